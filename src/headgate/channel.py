"""A client connection as one request on it sees it: through ASGI (`Channel`), or around it (`Turn`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, MutableMapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from headgate.api.exchange import Answer, Headers, Send
from headgate.sinks import ClientStalledError, chunk

if TYPE_CHECKING:
    from uvicorn.server import ServerState

    from headgate.protocol import HeadgateProtocol

LAST_CHUNK: Final = b"0\r\n\r\n"


class _Cork:
    """Stands in for the transport while a whole answer is given: head and body leave in one write, not two."""

    __slots__ = ("_pieces", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        self._pieces.append(data)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        if self._pieces:
            self._transport.write(b"".join(self._pieces))
            self._pieces.clear()


class Line:
    """A client connection as one request on it sees it.

    Requests may be pipelined, so what belongs to one request is kept here, never with the connection's newest one.
    """

    __slots__ = ("_flow", "_protocol", "transport")

    def __init__(self, protocol: HeadgateProtocol) -> None:
        self.transport = protocol.transport
        self._protocol = protocol
        self._flow = protocol.flow

    @property
    def write_paused(self) -> bool:
        """More is waiting for the client than the transport wants to hold."""
        return self._flow.write_paused

    def on_lost(self, callback: Callable[[], None] | None) -> None:
        """Call back at the moment the client is lost; None when nobody cares any more, for this or anything else."""
        if callback is None and self._protocol.owner is not self:
            return  # a later request of the pipeline has the connection by now
        self._protocol.owner = None if callback is None else self
        self._protocol.on_lost = callback
        self._protocol.on_pause = None
        if callback is not None and self._protocol.lost:
            callback()

    def on_pause(self, callback: Callable[[bool], None]) -> None:
        """Call back with whether more is waiting for the client than the transport wants to hold, now and at each change."""
        self._protocol.owner = self
        self._protocol.on_pause = callback
        callback(self._flow.write_paused)

    async def drain(self, stall_s: float) -> None:
        """Until writes are welcome or the client is gone. Raises `ClientStalledError` after `stall_s` without progress."""
        waiting = self.transport.get_write_buffer_size()
        while self.write_paused and not self._protocol.lost:
            try:
                async with asyncio.timeout(stall_s):
                    await self._flow.drain()
            except TimeoutError:
                left = self.transport.get_write_buffer_size()
                if left >= waiting:
                    raise ClientStalledError from None
                waiting = left


class Channel(Line):
    """What our server offers the app as an ASGI extension."""

    __slots__ = ("_cycle",)

    def __init__(self, protocol: HeadgateProtocol, cycle: RequestResponseCycle) -> None:
        super().__init__(protocol)
        self._cycle = cycle

    @property
    def body_complete(self) -> bool:
        """The request's body is here in full, so waiting for it needs no deadline."""
        return not self._cycle.more_body

    def abort(self) -> None:
        """Cut the connection: no end marker, and nothing more is sent on it."""
        self._cycle.disconnected = True
        self.transport.abort()

    def release(self) -> None:
        """The request is done. Its scope holds this object, which holds its cycle, which holds the scope: cut the circle."""
        self._cycle.scope["extensions"] = {}

    async def send_at_once(self, send: Send, messages: Sequence[MutableMapping[str, Any]]) -> None:
        """Send a head and its whole body in one write."""
        cork = _Cork(self.transport)
        self._cycle.transport = cork  # type: ignore[assignment]
        for message in messages:
            await send(message)
        cork.flush()


class _Nobody:
    """Stands where uvicorn wakes whoever waits for a request's messages."""

    __slots__ = ()

    def set(self) -> None:
        pass


class Turn(Line):
    """A request that is answered without ASGI: what `api.direct` sees of its connection.

    To uvicorn's class it looks like any other cycle, so requests that are pipelined behind it wait their turn.
    """

    __slots__ = ("disconnected", "keep_alive", "response_complete", "started")

    message_event: Final = _Nobody()

    def __init__(self, protocol: HeadgateProtocol, *, keep_alive: bool) -> None:
        super().__init__(protocol)
        self.keep_alive = keep_alive
        self.started = False
        """The status line has left."""
        self.disconnected = False
        self.response_complete = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The connection's."""
        return self._protocol.loop

    def answer(self, answer: Answer) -> None:
        """The whole answer."""
        head = self._head(answer.status, answer.headers)
        self.transport.write(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(answer.body), answer.body))
        self._complete()

    def open(self, headers: Headers, data: bytes, *, ended: bool = False) -> None:
        """The head of a chunked answer, its first chunk if there is one already, its end if that is there as well.

        In one write: the client wakes once.
        """
        head = self._head(200, headers) + b"transfer-encoding: chunked\r\n\r\n"
        begun = head + chunk(data) if data else head
        if not ended:
            self.transport.write(begun)
        elif not self.disconnected:
            self.transport.write(begun + LAST_CHUNK)
            self._complete()

    def end(self) -> None:
        """The end of a chunked answer."""
        if not self.disconnected:
            self.transport.write(LAST_CHUNK)
            self._complete()

    async def finish(self) -> None:
        """`end`, for who awaits it."""
        self.end()

    def abort(self) -> None:
        """Cut the connection: no end marker, and nothing more is sent on it."""
        self.disconnected = True
        self.transport.abort()

    def spawn(self, job: Coroutine[Any, Any, None]) -> None:
        """Let a coroutine do what has to wait. The server owns the task, and ends it when it stops."""
        tasks = self._protocol.tasks
        task = self.loop.create_task(job)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _head(self, status: int, headers: Headers) -> bytes:
        self.started = True
        lines = [STATUS_LINE[status], _every_answer(self._protocol.server_state)]
        for name, value in headers:
            if name == "headgate-response-id":  # the one that is never the same
                lines.append(b"headgate-response-id: %b\r\n" % value.encode("ascii"))
            elif name != "connection":
                lines.append(_header_line(name, value))
            elif value == "close":
                self.keep_alive = False
        if not self.keep_alive:
            lines.append(b"connection: close\r\n")
        return b"".join(lines)

    def _complete(self) -> None:
        self.response_complete = True
        if not self.keep_alive:
            self.transport.close()
        self._protocol.on_response_complete()


@lru_cache(maxsize=64)
def _header_line(name: str, value: str) -> bytes:
    return f"{name}: {value}\r\n".encode("latin-1")


class _Encoded:
    """The headers that every answer carries, as bytes: uvicorn renews them once a second."""

    def __init__(self) -> None:
        self.headers: Sequence[tuple[bytes, bytes]] = ()
        self.lines = b""


_encoded: Final = _Encoded()


def _every_answer(state: ServerState) -> bytes:
    if state.default_headers is not _encoded.headers:
        _encoded.headers = state.default_headers
        _encoded.lines = b"".join([b"%b: %b\r\n" % pair for pair in state.default_headers])
    return _encoded.lines
