"""A mock provider of every dialect, at `asyncio.Protocol` level, from frames that are ready before anybody asks.

It judges nothing and forgets everything. ``python -m benchmarks.provider PORT`` runs it until SIGTERM.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from functools import cache
from typing import Final

import httptools
import msgspec
import uvloop

from benchmarks import answers
from benchmarks.wire import Asked, Wire
from benchmarks.wires import WIRES

FIRST_S: Final = 0.002
"""From the request to the first token of a paced answer."""
BACKLOG: Final = 4096

_STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
_WHOLE_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
_REFUSAL: Final = b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


_STAMP_AT: Final = answers.STAMP_AT.encode()


class Ready:
    """Everything of a model's answers that is known beforehand, as HTTP chunks. Stamps are put in when they are sent."""

    def __init__(self, wire: Wire, name: str) -> None:
        self.model = answers.parse(name)
        self.opening = _STREAM_HEAD + _chunk(wire.opening(self.model))
        self.tokens = [_chunk(wire.token(self.model, index)) for index in range(self.model.tokens)]
        self._closing = {usage: _chunk(wire.closing(self.model, usage=usage)) + b"0\r\n\r\n" for usage in (False, True)}
        body = wire.whole(self.model)
        self.whole = _WHOLE_HEAD % (len(body), body)

    def token(self, index: int, stamps: list[bytes]) -> bytes:
        """The next token; of a stamped one, the time is added to `stamps`."""
        if not self.model.stamped:
            return self.tokens[index]
        stamp = b"%016d" % time.monotonic_ns()
        stamps.append(stamp)
        return self.tokens[index].replace(_STAMP_AT, stamp)

    def closing(self, stamps: list[bytes], *, usage: bool) -> bytes:
        """The end, which repeats the text in some dialects."""
        closing = self._closing[usage]
        return closing.replace(_STAMP_AT * len(stamps), b"".join(stamps)) if stamps else closing


def _chunk(data: bytes) -> bytes:
    """One HTTP chunk; nothing for nothing, which would be the end."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


@cache
def ready(wire: str, name: str) -> Ready:
    return Ready(WIRES[wire], name)


def find(path: str, body: bytes) -> tuple[Asked, Ready] | None:
    """What is asked for, and the answer; None where this is no request of any dialect."""
    try:
        for name, wire in WIRES.items():
            asked = wire.asked(path, body)
            if asked is not None:
                return asked, ready(name, asked.model)
    except (msgspec.DecodeError, ValueError):
        pass
    return None


class Connection(asyncio.Protocol):
    """One client, one answer at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.Handle | None = None
        self._path = b""
        self._body = b""
        self._answer: Ready | None = None  # what is being sent
        self._usage = False
        self._stamps: list[bytes] = []
        self._paused = False
        self._sent = 0
        self._started = 0.0
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self._transport is not None:
                self._transport.close()

    def on_message_begin(self) -> None:
        self._path = self._body = b""

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        assert self._transport is not None
        found = find(self._path.decode("ascii", "replace"), self._body)
        if found is None:
            self._transport.write(_REFUSAL)
            return
        asked, answer = found
        if not asked.stream:
            self._transport.write(answer.whole)
            return
        self._sent, self._answer, self._usage = 0, answer, asked.usage
        self._stamps.clear()
        if answer.model.rate:
            self._transport.write(answer.opening)
            self._started = self._loop.time() + FIRST_S
            self._timer = self._loop.call_at(self._started, self._next)
        else:
            self._transport.write(answer.opening + answer.token(0, self._stamps))
            self._sent = 1
            self._timer = self._loop.call_soon(self._next)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._timer is None and self._answer is not None:
            self._timer = self._loop.call_soon(self._next)

    def _next(self) -> None:
        """Write the next token, by itself, as providers do; at once after the last one, or in its time."""
        answer = self._answer
        self._timer = None
        if self._transport is None or answer is None:
            return
        if self._sent == answer.model.tokens:
            self._answer = None
            self._transport.write(answer.closing(self._stamps, usage=self._usage))
            return
        self._transport.write(answer.token(self._sent, self._stamps))
        self._sent += 1
        if answer.model.rate:
            self._timer = self._loop.call_at(self._started + self._sent / answer.model.rate, self._next)
        elif not self._paused:
            self._timer = self._loop.call_soon(self._next)


async def serve(port: int) -> None:
    """Answer on the loopback interface until SIGTERM."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    server = await loop.create_server(Connection, "127.0.0.1", port, backlog=BACKLOG)
    await stopped.wait()
    server.close()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
