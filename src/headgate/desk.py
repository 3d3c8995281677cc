"""Responses that wait for a person: from the guard to the queue, and from a decision back into the log.

    guard holds -> (fold of the log) -> review, durable -> nobody drives the response any more
    reviews decide -> events and terminal, in one append

Invariant: a response is either driven by its producer, or waits here with a review that is in the store. What cannot be
put before a person is blocked (law 5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from headgate.clock import Clock
from headgate.endings import Ending
from headgate.errors import Failure, StoreError
from headgate.events import AnyEvent, Status
from headgate.finish import finish, taken_back
from headgate.governance.people.review import HeldResponse, held_response, rank
from headgate.governance.ruleset import Ruleset
from headgate.guard import Holding
from headgate.hub import Hub
from headgate.journal import Journal
from headgate.log import Log
from headgate.reviews import CannotHoldError, Reviews
from headgate.telemetry.logs import fields, logger

CANNOT_HOLD: Final = Failure("guard_failed", "What was held could not be put before a reviewer.")

_logger = logger("desk")

Refuse = Callable[[Failure], None]
"""End the response as blocked."""


class Desk:
    """Of one gateway."""

    def __init__(self, hub: Hub, journal: Journal, clock: Clock) -> None:
        self.reviews: Reviews
        """Set before the first hold."""
        self._hub = hub
        self._journal = journal
        self._clock = clock
        self._opening: set[asyncio.Task[None]] = set()

    def hold(
        self, log: Log, rules: Ruleset, holding: Holding, *, handed_over: Callable[[], None], refuse: Refuse
    ) -> None:
        """Put it before a reviewer. `handed_over` once that is durable; `refuse` if it cannot be done."""
        task = asyncio.get_running_loop().create_task(self._open(log, rules, holding, handed_over, refuse))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(
        self, log: Log, rules: Ruleset, holding: Holding, handed_over: Callable[[], None], refuse: Refuse
    ) -> None:
        try:
            await self._journal.flush()
            if self._journal.failed is not None:  # what is held belongs behind text that the store may not have
                raise self._journal.failed
            await self.reviews.open(await self._held(log, rules, holding))
        except (CannotHoldError, StoreError) as error:
            _logger.error("a held response is blocked", extra=fields(response=log.id, error=str(error)))
            refuse(CANNOT_HOLD)
        except Exception as fault:
            _logger.error("a fault in holding a response", exc_info=fault, extra=fields(response=log.id))
            refuse(CANNOT_HOLD)
        else:
            handed_over()
            if log.terminal is not None:  # cancelled meanwhile
                self.reviews.response_ended(log.id)

    async def _held(self, log: Log, rules: Ruleset, holding: Holding) -> HeldResponse:
        fold, _ = await self._hub.fold(log)
        assert fold.started is not None
        parts = [(index, number) for index, choice in fold.choices.items() for number in range(len(choice.parts))]
        held = held_response(
            fold,
            holding.held,
            settings=rules.policy.review,
            risk=_risk(rules, holding.held.reason, fold.started.risk),
            now=self._clock.wall(),
            status=holding.ending.status,
            unverified=[(choice, part, 0) for choice, part in parts] if holding.takes_back else (),
        )
        return msgspec.structs.replace(
            held,
            withheld=tuple(holding.withheld),
            closing=tuple(holding.closing),
            verdicts=tuple(holding.verdicts),
        )

    def decided(self, response_id: str, events: list[AnyEvent], ending: Ending) -> bool:
        """Into the log with it (`reviews.OnDecided`). False if the log has ended already, or is not here."""
        log = self._hub.live.get(response_id)
        if log is None or log.ended:
            return False
        finish(log, events, ending, self._clock)
        return True

    def cancel(self, log: Log) -> bool:
        """Somebody asks that a response that waits ends. False if it had ended, or does not wait here."""
        if log.ended or log.held is None:
            return False
        ending = Ending(Status.CANCELLED, Failure("cancelled", "The response was cancelled."))
        # held as a whole, it is in the log of somebody who can take text back: all others would be shown it at the end
        events = taken_back(log) if log.held.part < 0 else []
        finish(log, events, ending, self._clock)
        return True

    async def settled(self) -> None:
        """Until nothing is on its way to the queue any more."""
        await asyncio.gather(*self._opening, return_exceptions=True)


def _risk(rules: Ruleset, name: str, asked: str) -> str:
    """The higher of what the caller said of the request, and what the policy says of the rule."""
    known = (*rules.stream.acting_rules, *rules.stream.judged, *rules.final.acting_rules, *rules.final.judged)
    levels = [rule.risk for rule in known if rule.name == name]
    return max([*levels, asked or "low"], key=rank)
