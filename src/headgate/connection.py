"""One connection to a provider: HTTP/1.1 in, calls of a `Handler` out; and the tunnel through a proxy before it.

On the token path there is no task and no await: the socket's bytes arrive in `Connection.data_received`, and all body
bytes of one read are given to the handler in one call. A peer that breaks HTTP becomes a `Failure` given to the
handler, never an exception. Which connection a request goes to is the pool's business (`upstream`).
"""

from __future__ import annotations

import asyncio
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import httptools

from headgate.errors import Failure

if TYPE_CHECKING:
    from headgate.upstream import Call, Pool

HEAD_BYTES_MAX: Final = 64 * 1024
"""Of a provider's status line and headers."""
IDLE_S_MAX: Final = 55.0
"""An idle connection older than this is not used again: load balancers drop theirs at 60 s."""
IDLE_CONNECTIONS_MAX: Final = 512
"""Idle connections kept per provider."""
TUNNEL_BYTES_MAX: Final = 16 * 1024
"""Of a proxy's answer to CONNECT."""
SWITCHED: Final = "The provider switched to another protocol (101), which nobody asked it to."


@lru_cache(maxsize=256)
def _lower(name: bytes) -> str:
    """A header's name; a provider's answers all have the same ones."""
    return name.decode("latin-1").lower()


class Handler(Protocol):
    """Who gets an answer. `on_failed` or `on_end` is the last call, and there is exactly one of them."""

    def on_sent(self) -> None:
        """A connection is there and the request was written to it."""
        ...

    def on_head(self, status: int, headers: dict[str, str]) -> None: ...

    def on_body(self, data: bytes) -> None: ...

    def on_end(self) -> None: ...

    def on_failed(self, failure: Failure) -> None: ...


class Tunnel(asyncio.Protocol):
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


class Connection(asyncio.Protocol):
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
        "_more",
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
        self._body = b""  # of the read that is being parsed, the first piece: mostly there is no other
        self._more: list[bytes] = []
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
        self._parser = httptools.HttpResponseParser(self)  # a new one: nothing of an answer may reach the next one
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
        except httptools.HttpParserUpgrade:  # no subclass of the other
            self._fail(Failure("upstream_malformed", SWITCHED))
            return
        except httptools.HttpParserError as error:
            self._deliver()
            self._fail(
                Failure("upstream_malformed" if self._in_head else "upstream_cut", f"The provider broke HTTP: {error}.")
            )
            return
        if self._header_bytes > HEAD_BYTES_MAX or (self._in_head and self._head_bytes > HEAD_BYTES_MAX):
            self._fail(Failure("upstream_too_large", "The provider's headers are over the limit."))
            return
        if self._body:
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
        self._headers[_lower(name)] = value.decode("latin-1")

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
        if self._body:
            self._more.append(data)
        else:
            self._body = data

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
        data, self._body = self._body, b""
        if self._more:
            data = b"".join([data, *self._more])
            self._more.clear()
        call = self._call
        if call is not None and call.handler is not None:
            call.handler.on_body(data)

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
