"""Creating a response: admit the request, attach a reader, deliver what the log says."""

from __future__ import annotations

from headgate.api.exchange import Exchange
from headgate.delivery import farewell
from headgate.dialects import ClientDialect
from headgate.errors import CODES, RequestError
from headgate.events import Terminal
from headgate.gateway import Gateway
from headgate.log import Log
from headgate.reader import Broken, StreamReader, WholeReader
from headgate.sinks import ClientStalledError, Sink

STREAM_HEADERS = (
    ("cache-control", "no-cache, no-transform"),
    ("x-accel-buffering", "no"),
    ("incremental", "?1"),
    # Apps that compress what is not text/event-stream would hold an NDJSON stream back until it is long enough.
    ("content-encoding", "identity"),
)


async def create(gateway: Gateway, exchange: Exchange, dialect: ClientDialect, owner: str) -> None:
    """``POST`` of a dialect's creation endpoint."""
    media_type = (exchange.header(b"content-type") or "").partition(";")[0].strip().lower()
    if media_type != "application/json":  # anything else a browser may send across origins without asking first
        raise RequestError("unsupported_media_type", "The request body must be application/json.")
    server = gateway.config.server
    body = await exchange.body(bytes_max=server.body_bytes_max, timeout_s=server.body_timeout_s)
    request = dialect.read_request(body)
    streamed = request.stream
    log = gateway.create(request, owner)
    del body, request  # a prompt may be large and the answer long
    if streamed:
        await _stream(gateway, exchange, dialect, log)
    else:
        await _whole(gateway, exchange, dialect, log)


async def _stream(gateway: Gateway, exchange: Exchange, dialect: ClientDialect, log: Log) -> None:
    reader = StreamReader(
        log,
        dialect.encoder(),
        expresses_retraction=dialect.expresses_retraction,
        heartbeat=dialect.heartbeat,
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
            await _fail(exchange, dialect, log, log.terminal, generated=False)
            return
        await deliver(gateway, exchange, dialect.media_type, log, reader)
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
        terminal = log.terminal
        if reader.lost or terminal is None:
            return
        if not terminal.status.successful:
            billed = any(attempt.http_status == 200 for attempt in reader.fold.ended.values())
            await _fail(exchange, dialect, log, terminal, generated=billed or bool(reader.fold.choices))
            return
        body = dialect.whole(reader.fold)
        headers = (("content-type", "application/json"), ("headgate-response-id", log.id))
        await exchange.answer(200, headers, body, stall_s=gateway.config.server.write_stall_s)
    except Broken:
        raise _broken(exchange) from None
    finally:
        leave(gateway, log, reader, resumable=resumable)


async def _fail(exchange: Exchange, dialect: ClientDialect, log: Log, terminal: Terminal, *, generated: bool) -> None:
    """A failure that is still an HTTP status. SDKs must not silently pay again for tokens that were generated."""
    headers = [("content-type", dialect.error_media_type), ("headgate-response-id", log.id)]
    if terminal.retry_after_s is not None:
        headers.append(("retry-after", f"{terminal.retry_after_s:g}"))
    if generated:
        headers.append(("x-should-retry", "false"))
    status = terminal.http_status or CODES[terminal.code].status
    await exchange.answer(status, headers, dialect.terminal_error(terminal))


def _broken(exchange: Exchange) -> Exception:
    """The store failed: an HTTP status while that is possible, a cut afterwards."""
    if exchange.started:
        return Broken()
    return RequestError(
        "store_unavailable", "The gateway's store does not accept writes.", headers={"retry-after": "5"}
    )
