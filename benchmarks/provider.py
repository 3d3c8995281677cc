"""A mock provider: Chat Completions at `asyncio.Protocol` level, from frames that are ready before anybody asks.

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
from benchmarks.answers import Model, chunk

FIRST_S: Final = 0.002
"""From the request to the first token of a paced answer."""
BACKLOG: Final = 4096

_STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
_WHOLE_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
_REFUSAL: Final = b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class _Options(msgspec.Struct):
    include_usage: bool = False


class _Request(msgspec.Struct):
    model: str
    stream: bool = False
    stream_options: _Options | None = None


class Ready:
    """Everything of a model's answers that is known beforehand, as HTTP chunks."""

    def __init__(self, model: Model) -> None:
        self.model = model
        name = model.name
        self.opening = _STREAM_HEAD + chunk(answers.opening(name))
        self.closing = {
            usage: chunk(answers.closing(name, model.tokens, usage=usage)) + b"0\r\n\r\n" for usage in (False, True)
        }
        body = answers.whole(name, model.tokens)
        self.whole = _WHOLE_HEAD % (len(body), body)
        stamped = chunk(answers.frame(name, {"content": answers.STAMP_AT.decode()}))
        self.before_stamp, _, self.after_stamp = stamped.partition(answers.STAMP_AT)
        self.tokens = (
            []
            if model.stamped
            else [chunk(answers.frame(name, {"content": answers.word(i)})) for i in range(model.tokens)]
        )

    def token(self, index: int) -> bytes:
        if self.tokens:
            return self.tokens[index]
        return b"%b%016d%b" % (self.before_stamp, time.monotonic_ns(), self.after_stamp)


@cache
def ready(name: str) -> Ready:
    return Ready(answers.parse(name))


class Connection(asyncio.Protocol):
    """One client, one answer at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.Handle | None = None
        self._body = b""
        self._answer: Ready | None = None  # what is being sent
        self._closing = b""
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
        self._body = b""

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        assert self._transport is not None
        try:
            request = msgspec.json.decode(self._body, type=_Request)
            answer = ready(request.model)
        except (msgspec.DecodeError, ValueError):
            self._transport.write(_REFUSAL)
            return
        if not request.stream:
            self._transport.write(answer.whole)
            return
        closing = answer.closing[bool(request.stream_options and request.stream_options.include_usage)]
        self._sent, self._answer, self._closing = 0, answer, closing
        if answer.model.rate:
            self._transport.write(answer.opening)
            self._started = self._loop.time() + FIRST_S
            self._timer = self._loop.call_at(self._started, self._next)
        else:
            self._transport.write(answer.opening + answer.token(0))
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
            self._transport.write(self._closing)
            return
        self._transport.write(answer.token(self._sent))
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
