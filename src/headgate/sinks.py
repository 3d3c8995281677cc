"""Where a reader's bytes go. Three ways out of the process, one contract; each is small because it decides nothing.

    TransportSink   our own server: straight to the socket's transport, no task, queue or await per token
    SendSink        mounted in somebody else's app: through its middleware, with ``await send()``
    MessageSink     a WebSocket: each frame's JSON is a message

`write` never blocks and never awaits. A sink that is `paused` is not written to: its reader catches up later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from headgate.dialects.transport import payloads

if TYPE_CHECKING:
    from headgate.channel import Channel, Turn

BUFFER_BYTES_MAX: Final = 64 * 1024
"""What may wait for a slow client before its reader is paused: the transports' own high-water mark."""

_HEADS: Final = tuple([b"%x\r\n" % size for size in range(1024)])
"""First lines of chunks that are no larger than a token's frame mostly is: to format one costs more than to write it."""

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Sink(Protocol):
    """What a reader writes to."""

    paused: bool

    def write(self, data: bytes) -> None: ...

    async def flush(self) -> None:
        """Return once the sink takes writes again."""
        ...

    async def end(self) -> None:
        """Complete the body."""
        ...

    def abort(self) -> None:
        """Cut the connection so that nobody takes the body for complete."""
        ...


class ClientStalledError(Exception):
    """The client took nothing for `write_stall_s`; it was cut and may resume."""


class ClientGone(Exception):
    """The client went away; there is nobody to answer."""


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body. Not for no data: that would end the body."""
    size = len(data)
    head = _HEADS[size] if size < len(_HEADS) else b"%x\r\n" % size
    return b"%b%b\r\n" % (head, data)


class TransportSink:
    """Writes chunks of the chunked body to our own server's transport."""

    __slots__ = ("_channel", "_end", "_stall_s", "_write", "paused")

    def __init__(self, channel: Channel | Turn, end: Callable[[], Awaitable[None]], *, stall_s: float) -> None:
        self.paused = False
        self._channel = channel
        self._end = end
        self._stall_s = stall_s
        self._write = channel.transport.write
        channel.on_pause(self._set_paused)

    def write(self, data: bytes) -> None:
        if data:  # an empty chunk would end the body
            self._write(chunk(data))

    async def flush(self) -> None:
        if self.paused:
            await self._channel.drain(self._stall_s)

    async def end(self) -> None:
        await self.flush()
        await self._end()

    def abort(self) -> None:
        self._channel.abort()

    def _set_paused(self, paused: bool) -> None:
        self.paused = paused


class SendSink:
    """Collects bytes and lets the reader's own coroutine send them."""

    __slots__ = (
        "_buffer",
        "_buffered",
        "_send",
        "_stall_s",
        "_wake",
        "paused",
        "torn",
    )

    def __init__(self, send: Send, wake: Callable[[], None], *, stall_s: float) -> None:
        self.paused = False
        self.torn = False
        """Cancelled in the middle of sending: nobody knows what of it has left, so nothing may follow."""
        self._send = send
        self._wake = wake
        self._stall_s = stall_s
        self._buffer: list[bytes] = []
        self._buffered = 0

    def write(self, data: bytes) -> None:
        self._buffer.append(data)
        self._buffered += len(data)
        self.paused = self._buffered > BUFFER_BYTES_MAX
        self._wake()

    async def flush(self) -> None:
        while self._buffer:
            data, self._buffer, self._buffered = b"".join(self._buffer), [], 0
            await self._send_body(data, more=True)
        self.paused = False

    async def end(self) -> None:
        await self.flush()
        await self._send_body(b"", more=False)

    def abort(self) -> None:
        """ASGI has no word for cutting a connection: the app raises `ClientStalledError` or `Broken`, and its server cuts."""

    async def _send_body(self, data: bytes, *, more: bool) -> None:
        try:
            async with asyncio.timeout(self._stall_s):
                await self._send({"type": "http.response.body", "body": data, "more_body": more})
        except TimeoutError:
            raise ClientStalledError from None
        except (OSError, RuntimeError) as error:  # how servers say that the client has left
            raise ClientGone from error
        except asyncio.CancelledError:
            self.torn = True
            raise


class MessageSink:
    """Collects frames and lets the reader's own coroutine send their JSON, one message a frame."""

    __slots__ = ("_buffered", "_messages", "_send", "_wake", "paused")

    def __init__(self, send: Callable[[bytes], Awaitable[None]], wake: Callable[[], None]) -> None:
        """`send` sends one message; it raises `ClientGone` or `ClientStalledError`."""
        self.paused = False
        self._send = send
        self._wake = wake
        self._messages: list[bytes] = []
        self._buffered = 0

    def write(self, data: bytes) -> None:
        self._messages += payloads(data)
        self._buffered += len(data)
        self.paused = self._buffered > BUFFER_BYTES_MAX
        self._wake()

    async def flush(self) -> None:
        while self._messages:
            messages, self._messages, self._buffered = self._messages, [], 0
            for message in messages:
                await self._send(message)
        self.paused = False

    async def end(self) -> None:
        await self.flush()

    def abort(self) -> None:
        """Whoever runs the reader closes the connection, with a code that says that the stream is not complete."""
