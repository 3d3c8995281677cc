"""Who judges, decides and records, put together for one gateway: policies, judges, reviews, webhooks, the audit log.

governor   which policy judges a request, and how that changes
judges     rules that need meaning
desk       responses that wait for a person, and `reviews`, their queue
webhooks   whoever is to be told
audit      what happened, provably
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from headgate.admission import Admitted
from headgate.audit import Audit
from headgate.clock import Clock
from headgate.config import Config
from headgate.desk import Desk
from headgate.governance.final.schema import Schemas
from headgate.governance.people.review import HeldResponse
from headgate.governance.ruleset import ActiveRule, Ruleset
from headgate.governor import Governor
from headgate.guard import Guard, Wards
from headgate.hub import Hub
from headgate.journal import Journal
from headgate.judges import Judges
from headgate.places import Problem
from headgate.policies import Webhook
from headgate.producer import Producer
from headgate.reviews import Reviews, new_review_id
from headgate.stores import Store
from headgate.telemetry.metrics import Metrics
from headgate.webhooks import Webhooks

SQLITE_URL: Final = "sqlite:///"
RULE_MATCHED: Final = "headgate.rule.matched"
REVIEW_WAITS: Final = "headgate.review.waiting"
"""Types of webhook."""


class Oversight:
    """Of one gateway. `open` it before the first response, and after what a crash left behind has ended."""

    def __init__(
        self, config: Config, store: Store, journal: Journal, hub: Hub, *, audit: Audit, clock: Clock, metrics: Metrics
    ) -> None:
        self.audit = audit
        self.judges = Judges(observe=partial(_observed, metrics))
        self.webhooks = Webhooks(clock, count=lambda outcome: metrics.counter("headgate_webhooks_total", outcome).inc())
        self.governor = Governor(config, store, clock=clock, record=journal.record, prepare=self._prepare)
        self.desk = Desk(hub, journal, clock)
        self.reviews = Reviews(store, clock, hub.live, on_decided=self.desk.decided, on_escalation=self._review_waits)
        self.desk.reviews = self.reviews
        self._prepared: list[Ruleset] = []  # since the last sweep; they are about to come in force
        self._wards = Wards(
            ask=self.judges.ask,
            escalate=self.escalate,
            new_review=lambda: new_review_id(int(clock.wall() * 1000)),
            schemas=Schemas(),
        )
        metrics.gauge("headgate_reviews_open", lambda: self.reviews.open_count)

    async def open(self, stack: contextlib.AsyncExitStack) -> None:
        """Find out which policies are in force, and make what they need. Raises `ConfigError`, `StoreError`."""
        stack.push_async_callback(self.webhooks.close)
        stack.push_async_callback(self.judges.close)
        stack.push_async_callback(self.desk.settled)
        await self.governor.open()

    def govern(self, producer: Producer, admitted: Admitted, rules: Ruleset, handed_over: Callable[[], None]) -> None:
        """Have a policy judge what a producer will say. `handed_over` is told when a person decides from there on."""
        log = producer.log
        log.hold_wait_s = rules.policy.review.hold_wait_s
        guard = Guard(
            rules,
            producer,
            self._wards,
            response_id=log.id,
            dialect=log.provider_dialect,
            format=admitted.format,
            masks=admitted.masks,
        )
        hold = partial(self.desk.hold, log, rules, handed_over=handed_over, refuse=producer.stop)
        producer.govern(guard, hold)

    async def _prepare(self, rulesets: Mapping[str, Ruleset]) -> list[Problem]:
        problems = await self.judges.prepare(rulesets)
        self._prepared += rulesets.values()
        return problems

    async def sweep(self, in_use: Iterable[Ruleset | None]) -> None:
        """Let go of judges that no policy in force, none that is about to be, and no response in flight needs."""
        prepared, self._prepared = self._prepared, []
        used = [rules for rules in in_use if rules is not None]
        await self.judges.keep([*self.governor.rulesets.values(), *prepared, *used])

    def escalate(self, response_id: str, rules: Ruleset, rule: ActiveRule) -> None:
        """Tell whom the policy names that a rule matched; never the text."""
        told = {"response_id": response_id, "rule": rule.name, "action": str(rule.action), "risk": rule.risk}
        self._tell(rules, RULE_MATCHED, told)

    def _review_waits(self, held: HeldResponse, reason: str) -> None:
        rules = self.governor.rulesets.get(held.policy)
        if rules is not None:
            told = {"review_id": held.id, "response_id": held.response_id, "rule": held.held.reason, "risk": held.risk}
            self._tell(rules, REVIEW_WAITS, told | {"reason": reason})

    def _tell(self, rules: Ruleset, kind: str, payload: dict[str, Any]) -> None:
        webhook: Webhook | None = rules.policy.webhook
        if webhook is not None and not rules.policy.dry_run:
            self.webhooks.send(webhook, kind, payload | {"policy": rules.name, "policy_version": rules.version})


def _observed(metrics: Metrics, detector: str, outcome: str, seconds: float) -> None:
    metrics.histogram("headgate_judge_seconds", detector, outcome).observe(seconds)


def audit_key_file(config: Config) -> Path | None:
    """Where the key is that signs; None for a store that is not kept, whose key is not either."""
    if config.audit.key_file is not None:
        return Path(config.audit.key_file)
    if config.store.url.startswith(SQLITE_URL):
        return Path(config.store.url.removeprefix(SQLITE_URL) + ".audit-key.pem")
    return None
