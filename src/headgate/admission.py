"""Whether a request is served, where it leads, and which policy judges it: everything before its log begins.

Nothing is sent here, and nothing is kept. What is wrong with a request is said as a `RequestError`, before there is a
log; what a policy says of it stands in the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from headgate.config import Route
from headgate.dialects.openai_responses.request import kept
from headgate.errors import RequestError
from headgate.events import AnyEvent, Asked, ResponseStarted
from headgate.governance.masks import Masks
from headgate.governance.request.gate import RequestGate, RequestVerdict
from headgate.governance.request.unjudgeable import unjudgeable, without_unjudgeable
from headgate.governance.ruleset import Ruleset
from headgate.governor import Governor
from headgate.guard import Ask, judges_whole
from headgate.policies import NONE
from headgate.prompt import JsonFormat
from headgate.request import CreateRequest, UpstreamRequest
from headgate.routing import Routing, Target
from headgate.screening import Screening
from headgate.tokens import estimate, text_bytes

_FORMAT_FIELDS: Final = frozenset(
    {
        "response_format",
        "text",
        "output_config",
        "output_format",
        "generationConfig",
        "generation_config",
    }
)
"""Where the dialects ask for JSON; reading a prompt costs, so it is done only for who may ask."""


WHOLE_MAX: Final = 256
"""Policies whose rules for whole answers are kept; more than are in force at once."""


@dataclass(slots=True)
class Admitted:
    """A request that is going to be answered. Only who admits it changes it."""

    request: CreateRequest
    """As it may be judged: without fields whose answers nobody could judge."""
    route: Route
    target: Target
    text_bytes: int
    rules: Ruleset | None = None
    """What judges it; None for the policy ``none``."""
    format: JsonFormat | None = None
    """What it says of JSON, where something judges the answer."""
    upstream: UpstreamRequest | None = None
    """What is sent; None while the request has no verdict."""
    verdict: RequestVerdict | None = None
    screening: Screening | None = None
    """Where the verdict takes a while."""
    dropped: tuple[str, ...] = ()
    masks: Masks | None = None
    """Of the request, if something judged it: the answer's are counted on."""

    @property
    def choices(self) -> int:
        """How many the provider makes."""
        return min(self.request.choices, self.target.dialect.choices_max)

    def started(self, response_id: str, owner: str, *, created_at: int, config_version: str) -> ResponseStarted:
        """The first event of its log."""
        request, rules = self.request, self.rules
        return ResponseStarted(
            response_id,
            owner,
            request.dialect,
            request.model,
            created_at,
            stream=request.stream,
            include_usage=request.include_usage,
            choices=self.choices,
            route=self.route.model,
            policy=rules.name if rules is not None else NONE,
            policy_version=rules.version if rules is not None else "",
            config_version=config_version,
            may_retract=rules is not None and _may_take_back(rules),
            input_tokens_estimate=estimate(self.text_bytes),
            echo=request.echo if self.screening is None else None,
            input=request.input if self.screening is None else None,
            request_sha256=request.sha256,
            sources=request.sources,
            risk=request.risk,
        )

    def kept(self, verdict: RequestVerdict) -> CreateRequest:
        """The request as the log may have it: what a rule masked is masked there too; of a refused one nothing is kept."""
        request = self.request
        if (request.echo is None and request.input is None) or (not verdict.blocked and verdict.body is request.body):
            return request
        echo, input = (None, None) if verdict.blocked else kept(verdict.body)
        return msgspec.structs.replace(request, echo=echo, input=None if request.input is None else input)

    def asked(self, verdict: RequestVerdict) -> list[AnyEvent]:
        """What is said of the request where the verdict took its time."""
        if self.screening is None:
            return [*verdict.events]
        request = self.kept(verdict)
        if request.echo is None and request.input is None:
            return [*verdict.events]
        return [*verdict.events, Asked(request.echo, request.input)]


class Admission:
    """Of one gateway."""

    def __init__(self, routing: Routing, governor: Governor, ask: Ask) -> None:
        self._routing = routing
        self._governor = governor
        self._ask = ask
        self._whole: dict[str, tuple[Ruleset, Ruleset]] = {}

    def admit(self, request: CreateRequest, owner: str) -> Admitted:
        """Where the request leads, and what its policy says of it. Raises `RequestError`."""
        route, target = self._routing.resolve(request.model, request.dialect)
        text = text_bytes(request.text)
        governor = self._governor
        rules = governor.choose(route, governor.key_policy(owner), request.risk)
        if rules is None:
            upstream = self._routing.translate(request, route, target, text)
            return Admitted(request, route, target, text, upstream=upstream)
        if not request.stream:
            rules = self._for_whole(rules)
        dropped: tuple[str, ...] = ()
        if not rules.policy.dry_run:
            request, dropped = _judgeable(request, route)
        admitted = Admitted(request, route, target, text, rules, self._format(request), dropped=dropped)
        if rules.request.empty:
            admitted.upstream = self.translate(admitted, request.body)
            return admitted
        gate = RequestGate(rules, request.body)
        admitted.masks = gate.masks
        screening = Screening(gate, rules, self._ask)
        verdict = screening.begin()
        if verdict is None:
            self.translate(admitted, request.body)  # what is wrong with it is said now
            admitted.screening = screening
            return admitted
        if not verdict.blocked:
            admitted.upstream = self.translate(admitted, verdict.body)
        admitted.request = admitted.kept(verdict)
        admitted.verdict = verdict
        return admitted

    def translate(self, admitted: Admitted, body: dict[str, Any]) -> UpstreamRequest:
        """What is sent of this body. Raises `RequestError`."""
        request = admitted.request
        if body is not request.body:
            request = msgspec.structs.replace(request, body=body)
        upstream = self._routing.translate(request, admitted.route, admitted.target, admitted.text_bytes)
        if not admitted.dropped:
            return upstream
        return msgspec.structs.replace(upstream, dropped=(*admitted.dropped, *upstream.dropped))

    def _for_whole(self, rules: Ruleset) -> Ruleset:
        """The rules for an answer that nobody sees before its end: what the final gate refuses of it is taken back.

        Not where something needs meaning in the stream: then text would be in the log before its verdict, for whoever
        reads along.
        """
        policy = rules.policy
        if policy.retract or policy.dry_run or rules.stream.judged or not judges_whole(rules):
            return rules
        found = self._whole.get(rules.version)
        if found is None or found[0] is not rules:
            if len(self._whole) >= WHOLE_MAX:
                self._whole.clear()
            twin = rules._replace(policy=policy.model_copy(update={"retract": True}))
            found = self._whole[rules.version] = (rules, twin)
        return found[1]

    def _format(self, request: CreateRequest) -> JsonFormat | None:
        if _FORMAT_FIELDS.isdisjoint(request.body):
            return None
        try:
            return self._routing.prompt(request).format
        except RequestError:  # a provider of the same dialect may know better; then its text is judged as prose
            return None


def _may_take_back(rules: Ruleset) -> bool:
    """Whether anything could: readers that cannot be told of it would wait to the end for nothing."""
    return rules.policy.may_retract and (bool(rules.stream.judged) or judges_whole(rules))


def _judgeable(request: CreateRequest, route: Route) -> tuple[CreateRequest, tuple[str, ...]]:
    """Without fields whose answers no rule could judge. Raises `RequestError` ``unsupported_field`` unless the route drops."""
    paths = unjudgeable(request.dialect, request.body)
    if not paths:
        return request, ()
    if route.on_unsupported == "error":
        names = ", ".join(f"'{path}'" for path in paths)
        text = f"Nobody could judge what comes back for {names}, and the policy of this route judges everything. "
        text += 'Leave it out, or set on_unsupported = "drop" on the route.'
        raise RequestError("unsupported_field", text, param=paths[0])
    return msgspec.structs.replace(request, body=without_unjudgeable(request.dialect, request.body)), tuple(paths)
