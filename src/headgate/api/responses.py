"""Responses that exist: the object, the log from any cursor in any dialect, cancelling, deleting."""

from __future__ import annotations

from functools import partial

import msgspec

from headgate.api import conversation
from headgate.api.creation import deliver, leave
from headgate.api.exchange import Exchange
from headgate.api.staying import stay
from headgate.delivery import parse_cursor
from headgate.dialects import Dialect, StreamEncoder, dialects
from headgate.dialects.openai_responses import OPENAI_RESPONSES
from headgate.dialects.transport import NDJSON, Shape, Skip, sse
from headgate.errors import RequestError, store_unavailable
from headgate.events import ResponseStarted, Status
from headgate.gateway import Gateway
from headgate.log import Log
from headgate.reader import StreamReader

_DIALECTS = dialects()
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
COUNT_DIGITS_MAX = 15
"""Of a number of frames; larger ones are not exact in JavaScript."""


async def show(gateway: Gateway, exchange: Exchange, owner: str, response_id: str) -> None:
    """``GET /v1/responses/{id}``; with ``stream=true`` its stream in the Responses dialect, from ``starting_after`` on."""
    log = await gateway.hub.find(response_id, owner)
    query = exchange.query()
    if not boolean(query, "stream"):
        await exchange.answer(*await conversation.shown(gateway, log))
        return
    after = count(query, "starting_after")
    encoder = OPENAI_RESPONSES.encoder(starting_after=after)
    if after is not None:
        gateway.metrics.counter("headgate_resumes_total", OPENAI_RESPONSES.name).inc()
    await _follow(gateway, exchange, log, OPENAI_RESPONSES, sse(OPENAI_RESPONSES), encoder, cursor=0)


async def cancel(gateway: Gateway, exchange: Exchange, owner: str, response_id: str) -> None:
    """``POST /v1/responses/{id}/cancel``: 200 with the object; 409 if the response had ended otherwise."""
    log = await gateway.hub.find(response_id, owner)
    await stop(gateway, log)
    assert log.terminal is not None
    if log.terminal.status is not Status.CANCELLED:
        raise RequestError("already_finished", f"The response has ended already, as {log.terminal.status}.")
    await exchange.answer(*await conversation.shown(gateway, log))


async def delete(gateway: Gateway, exchange: Exchange, owner: str, response_id: str) -> None:
    """``DELETE /v1/responses/{id}``: stop it if it runs, and forget it and its text."""
    log = await gateway.hub.find(response_id, owner)
    await stop(gateway, log)
    await gateway.hub.delete(log)
    body = msgspec.json.encode({"id": response_id, "object": "response", "deleted": True})
    await exchange.answer(200, (("content-type", "application/json"),), body)


async def stop(gateway: Gateway, log: Log) -> None:
    """Cancel a response that runs, and wait until its end is written. Raises `RequestError` ``store_unavailable``."""
    gateway.cancel(log)
    await gateway.journal.flush()
    if log.terminal is None:
        raise store_unavailable()


async def events(gateway: Gateway, exchange: Exchange, owner: str, response_id: str) -> None:
    """``GET /v1/responses/{id}/events``: PROTOCOL.md section 6."""
    log = await gateway.hub.find(response_id, owner)
    query = exchange.query()
    dialect = asked_dialect(query)
    shape = _shape(exchange, query, dialect)
    after, last_event_id = query.get("after"), exchange.header(b"last-event-id")
    given = after if after is not None else last_event_id
    check_cursors(query, given)
    cursor = parse_cursor(given, last_seq=log.committed_seq) if given else 0
    if log.terminal is not None and cursor == log.committed_seq and after is None:
        await exchange.answer(204, (("headgate-response-id", log.id),), b"")
        return
    encoder = asked_encoder(query, dialect)
    if cursor or "after_frames" in query:
        gateway.metrics.counter("headgate_resumes_total", dialect.name).inc()
    await _follow(gateway, exchange, log, dialect, shape, encoder, cursor=cursor)


def asked_dialect(query: dict[str, str]) -> Dialect:
    """The dialect that ``?dialect=`` names. Raises `RequestError`."""
    name = query.get("dialect", "headgate")
    dialect = _DIALECTS.get(name)
    if dialect is None:
        known = ", ".join(sorted(_DIALECTS))
        raise RequestError("invalid_request", f"There is no dialect {name!r}. There are: {known}.", param="dialect")
    return dialect


def asked_encoder(query: dict[str, str], dialect: Dialect, *, end_marker: bool = True) -> StreamEncoder:
    """An encoder of this dialect, without the frames that ``?after_frames=`` says the client has.

    Events of ours among those of the Responses dialect are for who asks with ``?extensions=true``.
    """
    extensions = boolean(query, "extensions")
    if dialect is OPENAI_RESPONSES:
        encoder: StreamEncoder = OPENAI_RESPONSES.encoder(extensions=bool(extensions), end_marker=end_marker)
    else:
        encoder = dialect.encoder(include_usage=boolean(query, "include_usage"))
    frames = count(query, "after_frames")
    return Skip(encoder, frames) if frames else encoder


def check_cursors(query: dict[str, str], seq: str | None) -> None:
    """Raises `RequestError` ``invalid_cursor`` for a request that says in two ways where to go on."""
    if seq and "after_frames" in query:
        raise RequestError("invalid_cursor", "'after_frames' counts from the beginning: send no other cursor with it.")


def check_expressible(dialect: Dialect, started: ResponseStarted) -> None:
    """Raises `RequestError` ``not_expressible`` for a log with more answers than the dialect can show."""
    if started.choices > dialect.choices_max:
        text = f"The dialect {dialect.name} shows one answer, and this response has {started.choices}."
        raise RequestError("not_expressible", text, param="dialect")


async def _follow(
    gateway: Gateway,
    exchange: Exchange,
    log: Log,
    dialect: Dialect,
    shape: Shape,
    encoder: StreamEncoder,
    *,
    cursor: int,
) -> None:
    started = await gateway.hub.started(log)
    check_expressible(dialect, started)
    reader = StreamReader(
        log,
        shape.wrap(encoder),
        cursor=cursor,
        expresses_retraction=dialect.expresses_retraction,
        heartbeat=shape.heartbeat,
        read_rows=gateway.read_rows,
    )
    reader.attach()
    gateway.disconnects.forget(log.id)
    try:
        await exchange.body(bytes_max=0, timeout_s=gateway.config.server.body_timeout_s)
        exchange.on_disconnect(reader.disconnect)
        await stay(exchange, reader, partial(deliver, gateway, exchange, shape.media_type, log, reader))
    finally:
        leave(gateway, log, reader, resumable=True)


def _shape(exchange: Exchange, query: dict[str, str], dialect: Dialect) -> Shape:
    wanted = query.get("format")
    if wanted is None:
        wanted = "ndjson" if NDJSON.media_type in (exchange.header(b"accept") or "") else "sse"
    if wanted not in ("sse", "ndjson"):
        raise RequestError("invalid_request", "'format' must be sse or ndjson.", param="format")
    return NDJSON if wanted == "ndjson" else sse(dialect)


def boolean(query: dict[str, str], name: str) -> bool | None:
    """A query parameter that is true or false. Raises `RequestError`."""
    value = query.get(name)
    if value is not None and value not in _BOOLEANS:
        raise RequestError("invalid_request", f"'{name}' must be true or false.", param=name)
    return None if value is None else _BOOLEANS[value]


def count(query: dict[str, str], name: str) -> int | None:
    """A query parameter that is a number of things. Raises `RequestError` ``invalid_cursor``."""
    value = query.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdecimal() and len(value) <= COUNT_DIGITS_MAX):
        raise RequestError("invalid_cursor", f"'{name}' must be a decimal number of 0 or more.", param=name)
    return int(value)
