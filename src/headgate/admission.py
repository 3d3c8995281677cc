"""Whether a request is served, where it leads, and which policy judges it: everything before its log begins.

Nothing is sent here, and nothing is kept. What is wrong with a request is said as a `RequestError`, before there is a
log; what a policy says of it stands in the log.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from headgate.config import Route
from headgate.errors import RequestError
from headgate.governance.request import RequestGate, RequestVerdict
from headgate.governance.ruleset import Ruleset
from headgate.governance.unjudgeable import unjudgeable, without_unjudgeable
from headgate.governor import Governor
from headgate.guard import Ask
from headgate.prompt import JsonFormat
from headgate.request import CreateRequest, UpstreamRequest
from headgate.routing import Routing, Target
from headgate.screening import Screening
from headgate.tokens import text_bytes

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


class Admitted(NamedTuple):
    """A request that is going to be answered."""

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


class Admission:
    """Of one gateway."""

    def __init__(self, routing: Routing, governor: Governor, ask: Ask) -> None:
        self._routing = routing
        self._governor = governor
        self._ask = ask

    def admit(self, request: CreateRequest, owner: str) -> Admitted:
        """Where the request leads, and what its policy says of it. Raises `RequestError`."""
        route, target = self._routing.resolve(request.model, request.dialect)
        text = text_bytes(request.text)
        governor = self._governor
        rules = governor.choose(route, governor.key_policy(owner), request.risk)
        if rules is None:
            return Admitted(
                request, route, target, text, upstream=self._routing.translate(request, route, target, text)
            )
        dropped: tuple[str, ...] = ()
        if not rules.policy.dry_run:
            request, dropped = _judgeable(request, route)
        admitted = Admitted(request, route, target, text, rules, self._format(request), dropped=dropped)
        if rules.request.empty:
            return admitted._replace(upstream=self.translate(admitted, request.body))
        screening = Screening(RequestGate(rules, request.body), rules, self._ask)
        verdict = screening.begin()
        if verdict is None:
            self.translate(admitted, request.body)  # what is wrong with it is said now
            return admitted._replace(screening=screening)
        upstream = None if verdict.blocked else self.translate(admitted, verdict.body)
        return admitted._replace(upstream=upstream, verdict=verdict)

    def translate(self, admitted: Admitted, body: dict[str, Any]) -> UpstreamRequest:
        """What is sent of this body. Raises `RequestError`."""
        request = admitted.request
        if body is not request.body:
            request = msgspec.structs.replace(request, body=body)
        upstream = self._routing.translate(request, admitted.route, admitted.target, admitted.text_bytes)
        if not admitted.dropped:
            return upstream
        return msgspec.structs.replace(upstream, dropped=(*admitted.dropped, *upstream.dropped))

    def _format(self, request: CreateRequest) -> JsonFormat | None:
        if _FORMAT_FIELDS.isdisjoint(request.body):
            return None
        try:
            return self._routing.prompt(request).format
        except RequestError:  # a provider of the same dialect may know better; then its text is judged as prose
            return None


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
