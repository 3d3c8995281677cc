"""Connections to providers: HTTP/1.1 over TCP or TLS, kept alive, bytes handed on as they come.

On the token path there is no task and no await: the socket's bytes arrive in `_Connection.data_received`, and all
body bytes of one read are given to the handler in one call. Tasks exist only while a connection is being made.

Not here: what the bytes mean. A peer that breaks HTTP becomes a `Failure` given to the handler, never an exception.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httptools

from headgate import __version__
from headgate.errors import Failure

HEAD_BYTES_MAX: Final = 64 * 1024
"""Of a provider's status line and headers."""
IDLE_S_MAX: Final = 55.0
"""An idle connection older than this is not used again: load balancers drop theirs at 60 s."""
IDLE_CONNECTIONS_MAX: Final = 512
"""Idle connections kept per provider."""
LINGER_S: Final = 2.0
"""How long an answer may take to end after its end marker before its connection is given up."""
TUNNEL_BYTES_MAX: Final = 16 * 1024
"""Of a proxy's answer to CONNECT."""


class Handler(Protocol):
    """Who gets an answer. `on_failed` or `on_end` is the last call, and there is exactly one of them."""

    def on_sent(self) -> None:
        """A connection is there and the request was written to it."""
        ...

    def on_head(self, status: int, headers: dict[str, str]) -> None: ...

    def on_body(self, data: bytes) -> None: ...

    def on_end(self) -> None: ...

    def on_failed(self, failure: Failure) -> None: ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a provider is and what every request to it carries."""

    url: SplitResult
    headers: tuple[tuple[str, str], ...] = ()
    proxy: SplitResult | None = None
    tls: ssl.SSLContext | None = field(default=None, compare=False)

    @property
    def host(self) -> str:
        return self.url.hostname or ""

    @property
    def port(self) -> int:
        return self.url.port or (443 if self.url.scheme == "https" else 80)


def endpoint(base_url: str, headers: dict[str, str]) -> Endpoint:
    """The endpoint of a base URL, with the proxy that the environment (``HTTPS_PROXY``, ``NO_PROXY``, ...) names for it."""
    url = urlsplit(base_url.rstrip("/"))
    proxy = None if proxy_bypass(url.hostname or "") else getproxies().get(url.scheme)
    tls = ssl.create_default_context() if url.scheme == "https" else None
    return Endpoint(url, tuple(headers.items()), urlsplit(proxy) if proxy else None, tls)


class Call:
    """One request under way. `abort` closes the provider's connection at once, which is how it learns of a cancel."""

    __slots__ = ("connect_s", "connection", "data", "handler", "retried", "task")

    def __init__(self, handler: Handler, data: bytes, connect_s: float) -> None:
        self.handler: Handler | None = handler
        self.data = data
        self.connect_s = connect_s
        self.connection: _Connection | None = None
        self.task: asyncio.Task[None] | None = None
        self.retried = False

    def abort(self) -> None:
        """End it without another call to the handler."""
        self.handler = None
        if self.task is not None:
            self.task.cancel()
        if self.connection is not None:
            self.connection.abort()

    def release(self) -> None:
        """The handler has heard enough. The connection is kept if its answer is complete within `LINGER_S`."""
        self.handler = None
        connection = self.connection
        if connection is not None and not connection.complete:
            asyncio.get_running_loop().call_later(LINGER_S, self._give_up)

    def _give_up(self) -> None:
        if self.connection is not None:
            self.connection.abort()

    def pause(self, paused: bool) -> None:
        """Stop reading from the provider, or go on."""
        connection = self.connection
        if connection is not None and connection.transport is not None and not connection.transport.is_closing():
            if paused:
                connection.transport.pause_reading()
            else:
                connection.transport.resume_reading()


class Pool:
    """Connections to one provider."""

    def __init__(self, target: Endpoint) -> None:
        self.endpoint = target
        self.idle: list[_Connection] = []
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[_Connection] = set()
        self._prefix = target.url.path
        if target.proxy is not None and target.tls is None:
            self._prefix = f"http://{target.url.netloc.rpartition('@')[2]}{target.url.path}"
        self._head = self._static_head()

    def post(self, path: str, body: bytes, *, accept: str, handler: Handler, connect_s: float) -> Call:
        """Send a request. Never raises; what goes wrong is told to `handler`, after this returned."""
        return self._send("POST", path, body, accept, handler, connect_s)

    def get(self, path: str, *, handler: Handler, connect_s: float) -> Call:
        return self._send("GET", path, b"", "application/json", handler, connect_s)

    def _send(self, method: str, path: str, body: bytes, accept: str, handler: Handler, connect_s: float) -> Call:
        head = f"{method} {self._prefix}{path} HTTP/1.1\r\n{self._head}accept: {accept}\r\n"
        if body:
            head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        call = Call(handler, head.encode("latin-1") + b"\r\n" + body, connect_s)
        connection = self._take_idle()
        if connection is not None:
            connection.start(call)
        else:
            self.connect(call)
        return call

    def connect(self, call: Call) -> None:
        call.task = self._loop.create_task(self._connect(call))
        self._tasks.add(call.task)
        call.task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for connection in tuple(self._open):
            connection.abort()

    def closed(self, connection: _Connection) -> None:
        self._open.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)

    def _static_head(self) -> str:
        given = {name.lower(): value for name, value in self.endpoint.headers}
        host = self.endpoint.url.netloc.rpartition("@")[2]
        headers = {"host": host, "user-agent": f"headgate/{__version__}", "accept-encoding": "identity"} | given
        proxy = self.endpoint.proxy
        if proxy is not None and self.endpoint.tls is None and proxy.username:
            headers["proxy-authorization"] = _basic(proxy)
        return "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    def _take_idle(self) -> _Connection | None:
        while self.idle:
            connection = self.idle.pop()
            if connection.usable():
                return connection
            connection.abort()
        return None

    async def _connect(self, call: Call) -> None:
        try:
            async with asyncio.timeout(call.connect_s):
                connection = await self._dial()
        except (OSError, TimeoutError, ValueError, OverflowError) as error:  # a host or port that is none, too
            if call.handler is not None:
                why = f"no connection within {call.connect_s:g} s" if isinstance(error, TimeoutError) else str(error)
                call.handler.on_failed(Failure("upstream_connect", f"Cannot connect to the provider: {why}."))
            return
        finally:
            call.task = None
        self._open.add(connection)
        connection.start(call)

    async def _dial(self) -> _Connection:
        target = self.endpoint
        proxy = target.proxy
        if proxy is None:
            hostname = target.host if target.tls else None
            _, connection = await self._loop.create_connection(
                lambda: _Connection(self), target.host, target.port, ssl=target.tls, server_hostname=hostname
            )
            return connection
        port = proxy.port or (443 if proxy.scheme == "https" else 80)
        over_tls = ssl.create_default_context() if proxy.scheme == "https" else None
        if target.tls is None:
            _, connection = await self._loop.create_connection(
                lambda: _Connection(self), proxy.hostname or "", port, ssl=over_tls
            )
            return connection
        return await self._tunnel(proxy, port, over_tls)

    async def _tunnel(self, proxy: SplitResult, port: int, over_tls: ssl.SSLContext | None) -> _Connection:
        """CONNECT through `proxy`, then TLS to the provider inside (RFC 9110 section 9.3.6)."""
        target = self.endpoint
        transport, tunnel = await self._loop.create_connection(
            lambda: _Tunnel(self._loop), proxy.hostname or "", port, ssl=over_tls
        )
        try:
            authority = f"{target.host}:{target.port}"
            credentials = f"proxy-authorization: {_basic(proxy)}\r\n" if proxy.username else ""
            transport.write(f"CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n{credentials}\r\n".encode())
            await tunnel.established
            connection = _Connection(self)
            assert target.tls is not None
            secure = await self._loop.start_tls(transport, connection, target.tls, server_hostname=target.host)
        except BaseException:
            transport.abort()
            raise
        assert secure is not None
        connection.connection_made(secure)
        return connection


def _basic(proxy: SplitResult) -> str:
    pair = f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}"
    return "Basic " + b64encode(pair.encode()).decode()


class _Tunnel(asyncio.Protocol):
    """Waits for a proxy's answer to CONNECT."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.established: asyncio.Future[None] = loop.create_future()
        self._answer = b""

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if self.established.done():
            return
        if b"\r\n\r\n" in self._answer:
            status = self._answer.split(b"\r\n", 1)[0].decode("latin-1")
            if status.split(" ")[1:2] == ["200"]:
                self.established.set_result(None)
            else:
                self.established.set_exception(OSError(f"the proxy answered {status!r}"))
        elif len(self._answer) > TUNNEL_BYTES_MAX:
            self.established.set_exception(OSError("the proxy's answer is over the limit"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.established.done():
            self.established.set_exception(exc or OSError("the proxy closed the connection"))


class _Connection(asyncio.Protocol):
    """One connection; one call at a time."""

    __slots__ = (
        "_body",
        "_call",
        "_head_bytes",
        "_header_bytes",
        "_headers",
        "_idle_since",
        "_in_head",
        "_keep_alive",
        "_parser",
        "_pool",
        "_reused",
        "_status",
        "complete",
        "transport",
    )

    def __init__(self, pool: Pool) -> None:
        self.transport: asyncio.Transport | None = None
        self._pool = pool
        self._call: Call | None = None
        self._reused = False
        self._idle_since = 0.0
        self._parser: Any = None
        self._reset()

    def _reset(self) -> None:
        self._status = 0
        self._headers: dict[str, str] = {}
        self._head_bytes = 0  # received while the head is incomplete
        self._header_bytes = 0  # of the headers themselves
        self._in_head = True
        self._body: list[bytes] = []
        self.complete = False
        self._keep_alive = False

    def usable(self) -> bool:
        fresh = time.monotonic() - self._idle_since < IDLE_S_MAX
        return fresh and self.transport is not None and not self.transport.is_closing()

    def start(self, call: Call) -> None:
        """Write the request. The connection is this call's until its answer is complete."""
        if call.handler is None:  # aborted while connecting
            self._rest()
            return
        assert self.transport is not None
        self._reset()
        self._parser = httptools.HttpResponseParser(self)
        self._call = call
        call.connection = self
        self.transport.write(call.data)
        call.handler.on_sent()

    def abort(self) -> None:
        self._call = None
        if self.transport is not None:
            self.transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._call is None:  # an idle connection must be silent
            self.abort()
            return
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._deliver()
            self._fail(
                Failure("upstream_malformed" if self._in_head else "upstream_cut", f"The provider broke HTTP: {error}.")
            )
            return
        if max(self._header_bytes, self._head_bytes if self._in_head else 0) > HEAD_BYTES_MAX:
            self._fail(Failure("upstream_too_large", "The provider's headers are over the limit."))
            return
        self._deliver()
        if self.complete:
            self._finish()

    def eof_received(self) -> None:
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.closed(self)
        call = self._call
        if call is None or call.handler is None:
            return
        if self._in_head and not self._head_bytes and self._reused and not call.retried:
            call.retried = True  # it was closed while idle, before it saw the request: a fresh one is no second attempt
            call.connection, self._call = None, None
            self._pool.connect(call)
            return
        until_close = "content-length" not in self._headers and "chunked" not in self._headers.get(
            "transfer-encoding", ""
        )
        if exc is None and not self._in_head and until_close:
            self._finish()
            return
        why = "before it answered" if self._in_head else "inside its answer"
        self._fail(Failure("upstream_cut", f"The provider closed the connection {why}."))

    # httptools callbacks

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        if self._status < 200:
            return
        self._in_head = False
        if self._call is not None:
            self._call.data = b""  # no retry from here on
        handler = self._handler()
        if handler is not None and self._header_bytes <= HEAD_BYTES_MAX:
            handler.on_head(self._status, self._headers)

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        if self._status >= 200:
            self.complete = True
            self._keep_alive = self._parser.should_keep_alive()  # known only here: llhttp resets it right after
        else:
            self._headers = {}

    # what follows from them

    def _handler(self) -> Handler | None:
        return self._call.handler if self._call is not None else None

    def _deliver(self) -> None:
        if not self._body:
            return
        body, self._body = self._body, []
        handler = self._handler()
        if handler is not None:
            handler.on_body(body[0] if len(body) == 1 else b"".join(body))

    def _finish(self) -> None:
        handler, keep = self._handler(), self.complete and self._keep_alive
        call, self._call = self._call, None
        if call is not None:
            call.connection = None
        if keep:
            self._rest()
        else:
            self.abort()
        if handler is not None:
            handler.on_end()

    def _fail(self, failure: Failure) -> None:
        handler = self._handler()
        self.abort()
        if handler is not None:
            handler.on_failed(failure)

    def _rest(self) -> None:
        self._reused = True
        self._idle_since = time.monotonic()
        if len(self._pool.idle) < IDLE_CONNECTIONS_MAX:
            self._pool.idle.append(self)
        else:
            self.abort()
