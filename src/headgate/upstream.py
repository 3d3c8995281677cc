"""Connections to providers: HTTP/1.1 over TCP or TLS, kept alive, bytes handed on as they come.

Here a request finds its connection, an idle one or a new one, direct or through the environment's proxy. Tasks exist
only while a connection is being made. What arrives on it is `connection`'s; what it means, the dialects'.
"""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from headgate import __version__
from headgate.connection import Connection, Handler, Tunnel
from headgate.errors import ConfigError, Failure
from headgate.request import UpstreamRequest
from headgate.telemetry.logs import fields, logger

LINGER_S: Final = 2.0
"""How long an answer may take to end after its end marker before its connection is given up."""


_logger = logger("upstream")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a provider is and what every request to it carries."""

    url: SplitResult
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    proxy: SplitResult | None = None
    tls: ssl.SSLContext | None = field(default=None, compare=False)

    @property
    def host(self) -> str:
        return self.url.hostname or ""

    @property
    def port(self) -> int:
        return self.url.port or (443 if self.url.scheme == "https" else 80)


def endpoint(
    base_url: str, headers: dict[str, str], *, query: dict[str, str] | None = None, through_proxy: bool = True
) -> Endpoint:
    """The endpoint of a base URL, with the proxy that the environment (``HTTPS_PROXY``, ``NO_PROXY``, ...) names for it.

    Raises `ConfigError` for a proxy that cannot be used.
    """
    url = urlsplit(base_url.rstrip("/"))
    tls = ssl.create_default_context() if url.scheme == "https" else None
    proxy = _proxy(url) if through_proxy else None
    return Endpoint(url, tuple(headers.items()), tuple((query or {}).items()), proxy, tls)


def _proxy(url: SplitResult) -> SplitResult | None:
    named = None if proxy_bypass(url.hostname or "") else getproxies().get(url.scheme)
    if not named:
        return None
    proxy = urlsplit(named if "://" in named else f"http://{named}")
    if proxy.scheme not in ("http", "https") or not proxy.hostname:
        raise ConfigError([f"{url.scheme.upper()}_PROXY: only http:// and https:// proxies can be used"])
    return proxy


class Call:
    """One request under way. `abort` closes the provider's connection at once, which is how it learns of a cancel."""

    __slots__ = ("connect_s", "connection", "data", "handler", "retried", "task")

    def __init__(self, handler: Handler, data: bytes, connect_s: float) -> None:
        self.handler: Handler | None = handler
        self.data = data
        self.connect_s = connect_s
        self.connection: Connection | None = None
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

    def __init__(self, target: Endpoint, *, address: str = "") -> None:
        """With `address` it is connected to that, and not to what the name is resolved to at that moment; certificate
        and Host header are those of the name, and a proxy is not asked."""
        self.endpoint = target
        self._address = address
        self.idle: list[Connection] = []
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[Connection] = set()
        self._prefix = target.url.path
        if target.proxy is not None and target.tls is None:
            self._prefix = f"http://{target.url.netloc.rpartition('@')[2]}{target.url.path}"
        self._query = urlencode(target.query)
        self._headers = self._static_headers()
        self._head = "".join(f"{name}: {value}\r\n" for name, value in self._headers.items())

    def post(self, request: UpstreamRequest, *, model: str, handler: Handler, connect_s: float) -> Call:
        """Send a request. Never raises; what goes wrong is told to `handler`, after this returned."""
        target = self._target(request.path, model)
        accept = "text/event-stream" if request.stream else "application/json"
        body, fixed = request.body, self._head_with(request.headers)
        head = (
            f"POST {target} HTTP/1.1\r\n{fixed}accept: {accept}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return self._send(Call(handler, head.encode("latin-1", "replace") + body, connect_s))

    def get(self, path: str, *, handler: Handler, connect_s: float) -> Call:
        """Ask for something small; as `post`."""
        head = f"GET {self._target(path, '')} HTTP/1.1\r\n{self._head}accept: application/json\r\n\r\n"
        return self._send(Call(handler, head.encode("latin-1"), connect_s))

    def _target(self, path: str, model: str) -> str:
        """The request target: prefix, path, the endpoint's query."""
        prefix = self._prefix
        if "{model}" in prefix:
            prefix = prefix.replace("{model}", quote(model, safe=""))
        if not self._query:
            return prefix + path
        return f"{prefix}{path}{'&' if '?' in path else '?'}{self._query}"

    def _head_with(self, headers: tuple[tuple[str, str], ...]) -> str:
        """The static head, with headers of one request in place of its own."""
        if not headers:
            return self._head
        return "".join(f"{name}: {value}\r\n" for name, value in {**self._headers, **dict(headers)}.items())

    def _send(self, call: Call) -> Call:
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

    def closed(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)

    def _static_headers(self) -> dict[str, str]:
        given = {name.lower(): value for name, value in self.endpoint.headers}
        host = self.endpoint.url.netloc.rpartition("@")[2]
        headers = {"host": host, "user-agent": f"headgate/{__version__}", "accept-encoding": "identity"} | given
        proxy = self.endpoint.proxy
        if proxy is not None and self.endpoint.tls is None and proxy.username:
            headers["proxy-authorization"] = _basic(proxy)
        return headers

    def _take_idle(self) -> Connection | None:
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
                where = f"{self.endpoint.host}:{self.endpoint.port}"
                _logger.warning("cannot connect", extra=fields(provider=where, error=str(error)))
                why = _why(error, call.connect_s)
                call.handler.on_failed(Failure("upstream_connect", f"Cannot connect to the provider: {why}."))
            return
        finally:
            call.task = None
        self._open.add(connection)
        if connection.transport is None or connection.transport.is_closing():
            self._open.discard(connection)
            if call.handler is not None:
                call.handler.on_failed(Failure("upstream_connect", "The provider closed the connection at once."))
            return
        connection.start(call)

    async def _dial(self) -> Connection:
        target = self.endpoint
        proxy = target.proxy
        if proxy is None or self._address:
            address, hostname = self._address or target.host, target.host if target.tls else None
            _, connection = await self._loop.create_connection(
                lambda: Connection(self), address, target.port, ssl=target.tls, server_hostname=hostname
            )
            return connection
        port = proxy.port or (443 if proxy.scheme == "https" else 80)
        over_tls = ssl.create_default_context() if proxy.scheme == "https" else None
        if target.tls is None:
            _, connection = await self._loop.create_connection(
                lambda: Connection(self), proxy.hostname or "", port, ssl=over_tls
            )
            return connection
        return await self._tunnel(proxy, port, over_tls)

    async def _tunnel(self, proxy: SplitResult, port: int, over_tls: ssl.SSLContext | None) -> Connection:
        """CONNECT through `proxy`, then TLS to the provider inside (RFC 9110 section 9.3.6)."""
        target = self.endpoint
        transport, tunnel = await self._loop.create_connection(
            lambda: Tunnel(self._loop), proxy.hostname or "", port, ssl=over_tls
        )
        try:
            host = f"[{target.host}]" if ":" in target.host else target.host
            authority = f"{host}:{target.port}"
            credentials = f"proxy-authorization: {_basic(proxy)}\r\n" if proxy.username else ""
            transport.write(f"CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n{credentials}\r\n".encode())
            await tunnel.established
            connection = Connection(self)
            assert target.tls is not None
            secure = await self._loop.start_tls(transport, connection, target.tls, server_hostname=target.host)
        except BaseException:
            transport.abort()
            raise
        assert secure is not None
        connection.connection_made(secure)
        return connection


def _why(error: Exception, connect_s: float) -> str:
    """What a caller may know of it: nothing of the network behind the gateway."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate is not trusted"
    if isinstance(error, ssl.SSLError):
        return "it does not speak TLS as we do"
    if isinstance(error, TimeoutError):
        return f"no connection within {connect_s:g} s"
    return "its address is unknown or refuses"


def _basic(proxy: SplitResult) -> str:
    pair = f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}"
    return "Basic " + b64encode(pair.encode()).decode()
