"""What the Responses dialect knows beyond one answer: responses as objects, their input, and turns that refer to earlier ones."""

from __future__ import annotations

import msgspec

from headgate.api.exchange import Answer, Exchange
from headgate.dialects.openai_responses import OPENAI_RESPONSES
from headgate.dialects.openai_responses.items import input_items, output_as_input
from headgate.dialects.response_object import response_object
from headgate.errors import RequestError, store_unavailable
from headgate.gateway import Gateway
from headgate.hub import MISSING
from headgate.log import Log
from headgate.request import CreateRequest


def goes_on(request: CreateRequest) -> bool:
    """Whether a request names a response before it."""
    return request.dialect == OPENAI_RESPONSES.name and request.body.get("previous_response_id") is not None


async def continued(gateway: Gateway, request: CreateRequest, owner: str) -> CreateRequest:
    """The request with the turns before it in place of ``previous_response_id``: providers know nothing of our ids.

    Raises `RequestError`: ``not_found`` as for any id, ``invalid_request`` for a response whose input was not kept.
    """
    previous = request.body["previous_response_id"]
    log = await gateway.hub.find(previous, owner)
    fold, _ = await gateway.hub.fold(log)
    started = fold.started
    if started is None or started.input is None or fold.terminal is None:
        why = "has not ended" if fold.terminal is None else "was not created in this dialect, or with store = false"
        raise RequestError("invalid_request", f"The response {previous!r} {why}.", param="previous_response_id")
    items = [*started.input, *output_as_input(fold), *OPENAI_RESPONSES.input_of(request.body)]
    body = {name: value for name, value in request.body.items() if name != "previous_response_id"} | {"input": items}
    size = len(msgspec.json.encode(items))
    if size > gateway.config.server.body_bytes_max:
        raise RequestError(
            "body_too_large", f"With the turns before it the input is {size} bytes.", param="previous_response_id"
        )
    text = [request.body.get("instructions"), request.body.get("tools"), items]
    return msgspec.structs.replace(request, body=body, text=text, input=None if request.input is None else items)


async def shown(gateway: Gateway, log: Log) -> Answer:
    """The object of a response, as far as it is known."""
    await gateway.journal.flush()
    fold, timeline = await gateway.hub.fold(log)
    if fold.started is None:  # the store failed before its beginning was safe, or somebody else has just deleted it
        raise store_unavailable() if log.terminal is None else RequestError("not_found", MISSING)
    known = response_object(
        fold,
        first_output_ms=timeline.first_output_ms,
        duration_ms=timeline.duration_ms,
        generated=gateway.generated(log),
    )
    headers = (("content-type", "application/json"), ("headgate-response-id", log.id), ("cache-control", "no-store"))
    return Answer(200, headers, msgspec.json.encode(known))


async def show_input(gateway: Gateway, exchange: Exchange, owner: str, response_id: str) -> None:
    """``GET /v1/responses/{id}/input_items``."""
    log = await gateway.hub.find(response_id, owner)
    fold, _ = await gateway.hub.fold(log)
    started = fold.started
    if started is None or started.input is None:
        raise RequestError(
            "not_found", "The input of this response was not kept: it is for responses created in this dialect."
        )
    headers = (("content-type", "application/json"), ("cache-control", "no-store"))
    listed = input_items(started.id, started.input, exchange.query())
    await exchange.answer(200, headers, msgspec.json.encode(listed))
