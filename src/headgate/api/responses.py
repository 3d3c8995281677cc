"""Responses that exist: the object, the log from any cursor in any dialect, and cancelling."""

from __future__ import annotations

import msgspec

from headgate.api.creation import deliver, leave
from headgate.api.exchange import Exchange
from headgate.delivery import parse_cursor
from headgate.dialects import Dialect, client_dialects
from headgate.dialects.headgate import NDJSON
from headgate.dialects.response_object import response_object
from headgate.errors import RequestError
from headgate.events import Status
from headgate.gateway import Gateway
from headgate.log import Log
from headgate.reader import StreamReader

_DIALECTS = client_dialects()
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


async def show(gateway: Gateway, exchange: Exchange, owner: str, response_id: str) -> None:
    """``GET /v1/responses/{id}``."""
    await _answer_object(gateway, exchange, await gateway.hub.find(response_id, owner))


async def cancel(gateway: Gateway, exchange: Exchange, owner: str, response_id: str) -> None:
    """``POST /v1/responses/{id}/cancel``: 200 with the object; 409 if the response had ended otherwise."""
    log = await gateway.hub.find(response_id, owner)
    gateway.cancel(log)
    await gateway.journal.flush()
    if log.terminal is None:
        raise RequestError(
            "store_unavailable", "The gateway's store does not accept writes.", headers={"retry-after": "5"}
        )
    if log.terminal.status is not Status.CANCELLED:
        raise RequestError("already_finished", f"The response has ended already, as {log.terminal.status}.")
    await _answer_object(gateway, exchange, log)


async def events(gateway: Gateway, exchange: Exchange, owner: str, response_id: str) -> None:
    """``GET /v1/responses/{id}/events``: PROTOCOL.md section 6."""
    log = await gateway.hub.find(response_id, owner)
    query = exchange.query()
    dialect = _dialect(exchange, query)
    after, last_event_id = query.get("after"), exchange.header(b"last-event-id")
    given = after if after is not None else last_event_id
    cursor = parse_cursor(given, last_seq=log.committed_seq) if given else 0
    if log.terminal is not None and cursor == log.committed_seq and after is None:
        await exchange.answer(204, (("headgate-response-id", log.id),), b"")
        return
    if cursor:
        gateway.metrics.counter("headgate_resumes_total", dialect.name).inc()
    await _follow(gateway, exchange, log, dialect, cursor, include_usage=_boolean(query, "include_usage"))


async def _follow(
    gateway: Gateway, exchange: Exchange, log: Log, dialect: Dialect, cursor: int, *, include_usage: bool | None
) -> None:
    started = await gateway.hub.started(log)
    reader = StreamReader(
        log,
        dialect.encoder(include_usage=include_usage),
        cursor=cursor,
        may_retract=started.may_retract,
        expresses_retraction=dialect.expresses_retraction,
        heartbeat=dialect.heartbeat,
        read_rows=gateway.read_rows,
    )
    reader.attach()
    gateway.reader_came(log)
    try:
        await exchange.body(bytes_max=0, timeout_s=gateway.config.server.body_timeout_s)
        exchange.on_disconnect(reader.disconnect)
        await deliver(gateway, exchange, dialect.media_type, log, reader)
    finally:
        leave(gateway, log, reader, resumable=True)


def _dialect(exchange: Exchange, query: dict[str, str]) -> Dialect:
    name = query.get("dialect", "headgate")
    dialect: Dialect | None = _DIALECTS.get(name)
    if dialect is None or name == NDJSON.name:
        known = ", ".join(sorted(set(_DIALECTS) - {NDJSON.name}))
        raise RequestError("invalid_request", f"There is no dialect {name!r}. There are: {known}.", param="dialect")
    format_ = query.get("format", "")
    if format_ not in ("", "sse", "ndjson"):
        raise RequestError("invalid_request", "'format' must be sse or ndjson.", param="format")
    wants_ndjson = format_ == "ndjson" or (not format_ and "application/x-ndjson" in (exchange.header(b"accept") or ""))
    if wants_ndjson and name != "headgate":
        raise RequestError("not_expressible", f"The dialect {name} is not available as NDJSON.")
    return NDJSON if wants_ndjson else dialect


def _boolean(query: dict[str, str], name: str) -> bool | None:
    value = query.get(name)
    if value is not None and value not in _BOOLEANS:
        raise RequestError("invalid_request", f"'{name}' must be true or false.", param=name)
    return None if value is None else _BOOLEANS[value]


async def _answer_object(gateway: Gateway, exchange: Exchange, log: Log) -> None:
    fold, timeline = await gateway.hub.fold(log)
    shown = response_object(fold, first_output_ms=timeline.first_output_ms, duration_ms=timeline.duration_ms)
    headers = (("content-type", "application/json"), ("headgate-response-id", log.id), ("cache-control", "no-store"))
    await exchange.answer(200, headers, msgspec.json.encode(shown))
