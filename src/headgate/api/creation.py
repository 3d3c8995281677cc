"""Creating a response: admit the request, attach a reader, deliver what the log says."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from headgate.api import conversation
from headgate.api.declared import declared
from headgate.api.exchange import Answer, Exchange, Headers
from headgate.api.staying import stay
from headgate.assemble import Fold
from headgate.delivery import Departure, farewell
from headgate.dialects import ClientDialect
from headgate.dialects.transport import NDJSON, Shape, sse
from headgate.errors import RequestError, store_unavailable
from headgate.events import Terminal
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

PENDING_RETRY_S: Final = 60
"""When a caller is to look again for an answer that waits for a person."""

GetHeader = Callable[[bytes], str | None]
"""A request's header by its lower-case name."""


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
    request = read(dialect, body, exchange.header, model=model, stream=stream)
    if conversation.goes_on(request):
        request = await conversation.continued(gateway, request, owner)
    log = gateway.create(request, owner)
    streamed, background = request.stream, request.background
    del body, request  # a prompt may be large and the answer long
    if streamed:
        await _stream(gateway, exchange, dialect, log, shape or wanted_shape(dialect, exchange.header))
    elif background:
        await exchange.answer(*await conversation.shown(gateway, log))
    else:
        await _whole(gateway, exchange, dialect, log)


async def read_body(gateway: Gateway, exchange: Exchange) -> bytes:
    """The JSON body of a request. Raises `RequestError`."""
    require_json(exchange.header(b"content-type"))
    server = gateway.config.server
    return await exchange.body(bytes_max=server.body_bytes_max, timeout_s=server.body_timeout_s)


def require_json(content_type: str | None) -> None:
    """Raises `RequestError` for anything else: a browser may send it across origins without asking first."""
    if (
        content_type != "application/json"
        and (content_type or "").partition(";")[0].strip().lower() != "application/json"
    ):
        raise RequestError("unsupported_media_type", "The request body must be application/json.")


def read(
    dialect: ClientDialect, body: bytes, header: GetHeader, *, model: str = "", stream: bool = False
) -> CreateRequest:
    """The checked request, with those of the client's headers that a provider of its dialect understands."""
    request = declared(dialect.read_request(body, model=model, stream=stream), header(b"headgate-risk"))
    return forwarded(dialect, request, header)


def forwarded(dialect: ClientDialect, request: CreateRequest, header: GetHeader) -> CreateRequest:
    """With those of the client's headers that a provider of its dialect understands. Raises `RequestError`."""
    if not dialect.forwarded_headers:
        return request
    found = tuple((name.decode(), value) for name in dialect.forwarded_headers if (value := header(name)))
    for name, value in found:
        if len(value) > FORWARDED_CHARS_MAX or not value.isprintable():
            text = f"The header {name} must be at most {FORWARDED_CHARS_MAX} printable characters."
            raise RequestError("invalid_request", text)
    return msgspec.structs.replace(request, headers=found) if found else request


def wanted_shape(dialect: ClientDialect, header: GetHeader) -> Shape:
    """Lines of JSON for who asks for them in ``Accept``, else Server-Sent Events."""
    return NDJSON if NDJSON.media_type in (header(b"accept") or "") else sse(dialect)


async def _stream(gateway: Gateway, exchange: Exchange, dialect: ClientDialect, log: Log, shape: Shape) -> None:
    reader = stream_reader(gateway, dialect, log, shape)
    reader.attach()
    resumable = exchange.header(b"headgate-resume") == "1"
    try:
        exchange.on_disconnect(reader.disconnect)
        await stay(exchange, reader, partial(_follow, gateway, exchange, dialect, shape, log, reader))
    except Broken:
        raise _broken(exchange) from None
    finally:
        leave(gateway, log, reader, resumable=resumable)


async def _follow(
    gateway: Gateway, exchange: Exchange, dialect: ClientDialect, shape: Shape, log: Log, reader: StreamReader
) -> None:
    """The stream, or the status of a response that failed before it had begun."""
    opened = exchange.started or await reader.opened(gateway.config.server.commit_after_s)
    if reader.lost:
        return
    ended = None if exchange.started else log.terminal
    if opened and not log.opened and ended is not None and not ended.status.successful:
        await exchange.answer(*failed(dialect, log, ended, generated=False))
        return
    await deliver(gateway, exchange, shape.media_type, log, reader)


def stream_reader(gateway: Gateway, dialect: ClientDialect, log: Log, shape: Shape) -> StreamReader:
    """Who follows a new response from its beginning."""
    return StreamReader(
        log,
        shape.wrap(dialect.encoder()),
        expresses_retraction=dialect.expresses_retraction,
        heartbeat=shape.heartbeat,
        read_rows=gateway.read_rows,
    )


def stream_headers(media_type: str, log: Log) -> Headers:
    return (("content-type", media_type), ("headgate-response-id", log.id), *STREAM_HEADERS)


async def deliver(gateway: Gateway, exchange: Exchange, media_type: str, log: Log, reader: StreamReader) -> None:
    """Send the head, then everything the reader has to say. Raises `Broken` and cuts if it cannot be said."""
    sink: Sink | None = None
    gateway.stream_opened(reader)
    try:
        sink = await exchange.open_stream(
            stream_headers(media_type, log), wake=reader.wake, stall_s=gateway.config.server.write_stall_s
        )
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


def leave(
    gateway: Gateway,
    log: Log,
    reader: StreamReader | WholeReader,
    *,
    resumable: bool,
    why: Departure = Departure.CLIENT,
) -> None:
    """The reader is done, or gone."""
    reader.detach()
    if log.ended:
        return
    route = gateway.route_of(log)
    if route is None:
        return
    if why is Departure.CLIENT and reader.cancelled and not reader.lost:
        why = Departure.CANCELLED
    said = farewell(route.on_disconnect, grace_s=route.grace_s, resumable=resumable, why=why)
    gateway.disconnects.reader_left(log, said)


async def _whole(gateway: Gateway, exchange: Exchange, dialect: ClientDialect, log: Log) -> None:
    reader = WholeReader(log)
    reader.attach()
    resumable = exchange.header(b"headgate-resume") == "1"
    try:
        exchange.on_disconnect(reader.disconnect)
        await stay(exchange, reader, partial(_await, gateway, exchange, dialect, log, reader))
    except Broken:
        raise _broken(exchange) from None
    finally:
        leave(gateway, log, reader, resumable=resumable)


async def _await(gateway: Gateway, exchange: Exchange, dialect: ClientDialect, log: Log, reader: WholeReader) -> None:
    """The answer once it is there, or where it will be."""
    await reader.ended()
    if reader.lost:
        return
    fold, terminal = reader.fold, log.terminal
    answer = (
        whole(dialect, log, fold, terminal)
        if terminal is not None
        else pending(dialect, log, fold, mount=exchange.mount)
    )
    await exchange.answer(*answer, stall_s=gateway.config.server.write_stall_s)


def pending(dialect: ClientDialect, log: Log, fold: Fold, *, mount: str = "") -> Answer:
    """A person has to decide first: where the answer will be (RFC 9110, section 15.3.3). `mount` is where this app is."""
    assert fold.started is not None
    headers = [("content-type", "application/json"), ("headgate-response-id", log.id)]
    headers += [("location", f"{mount}/v1/responses/{log.id}"), ("retry-after", str(PENDING_RETRY_S))]
    return Answer(202, tuple(headers), dialect.pending(fold.started))


def whole(dialect: ClientDialect, log: Log, fold: Fold, terminal: Terminal) -> Answer:
    """The answer of a log that has ended."""
    if terminal.status.successful:
        headers = (("content-type", "application/json"), ("headgate-response-id", log.id))
        return Answer(200, headers, dialect.whole(fold))
    billed = any(attempt.http_status == 200 for attempt in fold.ended.values())
    return failed(dialect, log, terminal, generated=billed or bool(fold.choices))


def failed(dialect: ClientDialect, log: Log, terminal: Terminal, *, generated: bool) -> Answer:
    """A failure that is still an HTTP status. SDKs must not silently pay again for tokens that were generated.

    A provider that was asked for a whole answer, and given up, shows nothing of what it had generated.
    """
    headers = [("content-type", dialect.error_media_type), ("headgate-response-id", log.id)]
    if terminal.retry_after_s is not None:
        headers.append(("retry-after", f"{terminal.retry_after_s:g}"))
    if generated or terminal.code == "upstream_timeout":
        headers.append(("x-should-retry", "false"))
    same = log.provider_dialect == dialect.name
    status = dialect.failure_status(terminal, same_dialect=same)
    return Answer(status, headers, dialect.terminal_error(terminal, same_dialect=same))


def _broken(exchange: Exchange) -> Exception:
    """The store failed: an HTTP status while that is possible, a cut afterwards."""
    return Broken() if exchange.started else store_unavailable()
