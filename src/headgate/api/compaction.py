"""``POST /v1/responses/compact``: handed to the provider behind the model, and its answer back.

It is no response: it has no log, no receipt, and no id that anybody could ask for. Nothing of it is kept here, and
nothing of it can be judged, because what comes back is encrypted. So it is for providers that speak the dialect
themselves, on routes whose policy judges nothing.
"""

from __future__ import annotations

import asyncio
from typing import Final

from headgate import fetch
from headgate.api import conversation
from headgate.api.creation import forwarded, read_body
from headgate.api.declared import declared
from headgate.api.exchange import Answer, Exchange
from headgate.config import Route
from headgate.dialects.decode import WHOLE_BYTES_MAX
from headgate.dialects.openai_responses import OPENAI_RESPONSES
from headgate.dialects.openai_responses.compaction import is_compaction, read_compaction, write_compaction
from headgate.endings import Ending, closing
from headgate.errors import CODES, Failure, RequestError
from headgate.events import Status
from headgate.gateway import Gateway
from headgate.request import CreateRequest
from headgate.routing import Target
from headgate.sinks import ClientGone

OPEN_MAX: Final = 64
"""Compactions under way at once. Each holds a conversation, and its provider, for seconds up to minutes."""
_RETRY: Final = {"retry-after": "1"}


class Compactions:
    """Those of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._open = 0

    async def make(self, exchange: Exchange, owner: str) -> None:
        """Read the request, and answer it. Raises `RequestError`."""
        gateway = self._gateway
        body = await read_body(gateway, exchange)
        request = declared(read_compaction(body), exchange.header(b"headgate-risk"))
        request = forwarded(OPENAI_RESPONSES, request, exchange.header)
        if conversation.goes_on(request):
            request = await conversation.continued(gateway, request, owner)
        route, target = gateway.routing.resolve(request.model, request.dialect)
        _check_native(target)
        self._check_unjudged(route, owner, request)
        self._check_ready()
        self._open += 1
        try:
            outcome = await _relayed(gateway, exchange, request, route, target)
        finally:
            self._open -= 1
        await exchange.answer(*_answer(outcome, target), stall_s=gateway.config.server.write_stall_s)

    def _check_unjudged(self, route: Route, owner: str, request: CreateRequest) -> None:
        """Raises `RequestError` ``unsupported_operation`` where a policy would have to judge what comes back."""
        governor = self._gateway.governor
        rules = governor.choose(route, governor.key_policy(owner), request.risk)
        if rules is not None and not rules.policy.dry_run:
            text = f"The policy '{rules.name}' judges every answer, and a compaction is encrypted, so nobody could judge it. "
            text += "Send the whole conversation, or compact it on a route without a policy."
            raise RequestError("unsupported_operation", text, param="model")

    def _check_ready(self) -> None:
        why = self._gateway.not_ready or ("overloaded" if self._open >= OPEN_MAX else None)
        if why is not None:
            raise RequestError(why, CODES[why].meaning, headers=_RETRY)


def _check_native(target: Target) -> None:
    if target.dialect.name != OPENAI_RESPONSES.name:
        name = target.provider.name
        text = (
            f"The provider '{name}' ({target.dialect.name}) has no counterpart for a compaction. Ask for a model of a "
        )
        text += (
            f"provider that speaks {OPENAI_RESPONSES.name} (or say that '{name}' does, with 'also'), or shorten the "
        )
        text += "conversation yourself."
        raise RequestError("unsupported_operation", text, param="model")


async def _relayed(
    gateway: Gateway, exchange: Exchange, request: CreateRequest, route: Route, target: Target
) -> fetch.Fetched | Failure:
    """What the provider says. A client that goes away takes its request to the provider with it."""
    timeouts = route.timeouts
    asking = asyncio.ensure_future(
        fetch.post(
            target.pool,
            write_compaction(request, model=target.model),
            model=target.model,
            connect_s=timeouts.connect_s,
            timeout_s=min(timeouts.whole_s, timeouts.total_s or timeouts.whole_s),
            bytes_max=WHOLE_BYTES_MAX,
        )
    )

    gone = False

    def leave() -> None:
        nonlocal gone
        gone = True
        asking.cancel()

    gateway.errands.add(asking)
    asking.add_done_callback(gateway.errands.discard)
    exchange.on_disconnect(leave)
    try:
        return await asking
    except asyncio.CancelledError:
        if gone:
            raise ClientGone from None
        # The gateway stops, or the server that it is mounted in: nothing is under way any more, and that can be said.
        return Failure("interrupted", "The compaction was stopped while it was under way.")


def _answer(outcome: fetch.Fetched | Failure, target: Target) -> Answer:
    if isinstance(outcome, fetch.Fetched) and outcome.status == 200 and is_compaction(outcome.body):
        return Answer(200, (("content-type", "application/json"), ("cache-control", "no-store")), outcome.body)
    failure = outcome if isinstance(outcome, Failure) else _failure(outcome, target)
    headers = [("content-type", OPENAI_RESPONSES.error_media_type)]
    if failure.retry_after_s is not None:
        headers.append(("retry-after", f"{failure.retry_after_s:g}"))
    terminal = closing(Ending(Status.FAILED, failure), sha256="", ended_at=0)
    return Answer(failure.status, headers, OPENAI_RESPONSES.terminal_error(terminal, same_dialect=True))


def _failure(fetched: fetch.Fetched, target: Target) -> Failure:
    if 200 <= fetched.status < 300:
        return Failure("upstream_malformed", "The provider answered with something that is no compaction.")
    failure = target.dialect.read_failure(fetched.status, fetched.headers, fetched.body)
    if fetched.status in (404, 405) and failure.detail is None:  # a server's own page: it has nothing at that path
        name = target.provider.name
        text = f"The provider '{name}' does not know compactions ({fetched.status}): ask for a model of another one."
        return Failure("unsupported_operation", text)
    return failure
