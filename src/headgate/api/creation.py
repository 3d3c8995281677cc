"""Creating a response: admit the request, attach a reader, deliver what the log says."""

from __future__ import annotations

from typing import Final

import msgspec

from headgate.api import conversation
from headgate.api.exchange import Exchange
from headgate.delivery import farewell
from headgate.dialects import ClientDialect
from headgate.dialects.transport import NDJSON, Shape, sse
from headgate.errors import CODES, RequestError
from headgate.gateway import Gateway
from headgate.log import Log
from headgate.reader import Broken, StreamReader, WholeReader
from headgate.request import CreateRequest
from headgate.sinks import ClientStalledError, Sink

STREAM_HEADERS = (
    ("cache-control", "no-cache, no-transform"),
    ("x-accel-buffering", "no"),
    ("incremental", "?1"),
    # Apps that compress what is not text/event-stream would hold an NDJSON stream back until it is long enough.
    ("content-encoding", "identity"),
)
FORWARDED_CHARS_MAX: Final = 1024
"""Of a header that goes on to the provider."""


async def create(
    gateway: Gateway,
    exchange: Exchange,
    dialect: ClientDialect,
    owner: str,
    *,
    model: str = "",
    stream: bool = False,
    shape: Shape | None = None,
) -> None:
    """``POST`` of a dialect's creation endpoint. `model`, `stream` and `shape` are what the path says, where it does."""
    body = await read_body(gateway, exchange)
    request = dialect.read_request(body, model=model, stream=stream)
    request = await conversation.continued(gateway, _with_headers(exchange, dialect, request), owner)
    log = gateway.create(request, owner)
    streamed, background = request.stream, request.background
    del body, request  # a prompt may be large and the answer long
    if streamed:
        await _stream(gateway, exchange, dialect, log, shape or wanted_shape(exchange, dialect))
    elif background:
        await conversation.answer_object(gateway, exchange, log)
    else:
        await _whole(gateway, exchange, dialect, log)


async def read_body(gateway: Gateway, exchange: Exchange) -> bytes:
    """The JSON body of a request. Raises `RequestError`."""
    media_type = (exchange.header(b"content-type") or "").partition(";")[0].strip().lower()
    if media_type != "application/json":  # anything else a browser may send across origins without asking first
        raise RequestError("unsupported_media_type", "The request body must be application/json.")
    server = gateway.config.server
    return await exchange.body(bytes_max=server.body_bytes_max, timeout_s=server.body_timeout_s)


def wanted_shape(exchange: Exchange, dialect: ClientDialect) -> Shape:
    """Lines of JSON for who asks for them in ``Accept``, else Server-Sent Events."""
    return NDJSON if NDJSON.media_type in (exchange.header(b"accept") or "") else sse(dialect)


def _with_headers(exchange: Exchange, dialect: ClientDialect, request: CreateRequest) -> CreateRequest:
    """The request with those of the client's headers that a provider of its dialect understands."""
    if not dialect.forwarded_headers:
        return request
    found = [(name, value) for name in dialect.forwarded_headers if (value := exchange.header(name))]
    for name, value in found:
        if len(value) > FORWARDED_CHARS_MAX or not value.isprintable():
            text = f"The header {name.decode()} must be at most {FORWARDED_CHARS_MAX} printable characters."
            raise RequestError("invalid_request", text)
    if not found:
        return request
    return msgspec.structs.replace(request, headers=tuple((name.decode(), value) for name, value in found))


async def _stream(gateway: Gateway, exchange: Exchange, dialect: ClientDialect, log: Log, shape: Shape) -> None:
    reader = StreamReader(
        log,
        shape.wrap(dialect.encoder()),
        expresses_retraction=dialect.expresses_retraction,
        heartbeat=shape.heartbeat,
        read_rows=gateway.read_rows,
    )
    reader.attach()
    resumable = exchange.header(b"headgate-resume") == "1"
    try:
        exchange.on_disconnect(reader.disconnect)
        opened = await reader.opened(gateway.config.server.commit_after_s)
        if reader.lost:
            return
        if opened and not log.opened and log.terminal is not None:
            fold, _ = await gateway.hub.fold(log)
            await _fail(exchange, dialect, log, same_dialect=fold.dialect == dialect.name, generated=False)
            return
        await deliver(gateway, exchange, shape.media_type, log, reader)
    except Broken:
        raise _broken(exchange) from None
    finally:
        leave(gateway, log, reader, resumable=resumable)


async def deliver(gateway: Gateway, exchange: Exchange, media_type: str, log: Log, reader: StreamReader) -> None:
    """Send the head, then everything the reader has to say. Raises `Broken` and cuts if it cannot be said."""
    headers = (("content-type", media_type), ("headgate-response-id", log.id), *STREAM_HEADERS)
    sink: Sink | None = None
    gateway.stream_opened(reader)
    try:
        sink = await exchange.open_stream(headers, wake=reader.wake, stall_s=gateway.config.server.write_stall_s)
        await reader.run(sink)
        if not reader.lost:
            await sink.end()
    except (Broken, ClientStalledError):
        reader.disconnect()
        if sink is not None:
            sink.abort()
        raise
    finally:
        gateway.stream_closed(reader)


def leave(gateway: Gateway, log: Log, reader: StreamReader | WholeReader, *, resumable: bool) -> None:
    """The reader is done, or gone."""
    reader.detach()
    route = gateway.route_of(log)
    if not log.ended and route is not None:
        gateway.reader_left(log, farewell(route.on_disconnect, grace_s=route.grace_s, resumable=resumable))


async def _whole(gateway: Gateway, exchange: Exchange, dialect: ClientDialect, log: Log) -> None:
    reader = WholeReader(log)
    reader.attach()
    resumable = exchange.header(b"headgate-resume") == "1"
    try:
        exchange.on_disconnect(reader.disconnect)
        await reader.ended()
        terminal, fold = log.terminal, reader.fold
        if reader.lost or terminal is None:
            return
        if not terminal.status.successful:
            billed = any(attempt.http_status == 200 for attempt in fold.ended.values()) or bool(fold.choices)
            await _fail(exchange, dialect, log, same_dialect=fold.dialect == dialect.name, generated=billed)
            return
        headers = (("content-type", "application/json"), ("headgate-response-id", log.id))
        await exchange.answer(200, headers, dialect.whole(fold), stall_s=gateway.config.server.write_stall_s)
    except Broken:
        raise _broken(exchange) from None
    finally:
        leave(gateway, log, reader, resumable=resumable)


async def _fail(exchange: Exchange, dialect: ClientDialect, log: Log, *, same_dialect: bool, generated: bool) -> None:
    """A failure that is still an HTTP status. SDKs must not silently pay again for tokens that were generated."""
    terminal = log.terminal
    assert terminal is not None
    headers = [("content-type", dialect.error_media_type), ("headgate-response-id", log.id)]
    if terminal.retry_after_s is not None:
        headers.append(("retry-after", f"{terminal.retry_after_s:g}"))
    if generated:
        headers.append(("x-should-retry", "false"))
    status = terminal.http_status or CODES[terminal.code].status
    await exchange.answer(status, headers, dialect.terminal_error(terminal, same_dialect=same_dialect))


def _broken(exchange: Exchange) -> Exception:
    """The store failed: an HTTP status while that is possible, a cut afterwards."""
    if exchange.started:
        return Broken()
    return RequestError(
        "store_unavailable", "The gateway's store does not accept writes.", headers={"retry-after": "5"}
    )
