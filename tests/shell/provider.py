"""A provider on a raw socket that says, byte for byte, what a test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNKED: Final = HEAD + b"transfer-encoding: chunked\r\n\r\n"
CLOSED: Final = HEAD + b"connection: close\r\n\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"
DONE: Final = b"data: [DONE]\n\n"


def chunk(data: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def frame(**fields: Any) -> bytes:
    """One data line with a chat chunk."""
    value = {"id": "chatcmpl-p", "object": "chat.completion.chunk", "created": 1, "model": "m-1", **fields}
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def word(text: str) -> bytes:
    return frame(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": None}])


def finish(reason: str = "stop") -> bytes:
    return frame(choices=[{"index": 0, "delta": {}, "finish_reason": reason}])


def usage(prompt: int = 5, completion: int = 2) -> bytes:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return frame(choices=[], usage=counts)


def answer(*words: str) -> bytes:
    """A whole stream: head, words, finish reason, usage, end marker, end of body."""
    body = b"".join(word(text) for text in words) + finish() + usage() + DONE
    return CHUNKED + chunk(body) + LAST_CHUNK


def reply(status: int, body: bytes, *, kind: str = "application/json", extra: str = "") -> bytes:
    """A complete answer that is no stream."""
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{extra}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


@dataclass
class Request:
    """A request as it arrived."""

    head: str
    body: dict[str, Any]
    connection: int
    """Number of the connection it came on, from 0."""

    @property
    def line(self) -> str:
        return self.head.split("\r\n", 1)[0]


class Line:
    """One connection to the provider, from its side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, connection: int) -> Request | None:
        """The next request; None at the end of the connection."""
        try:
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = next((x.split(":")[1] for x in head.lower().split("\r\n") if x.startswith("content-length")), "0")
            body = await self._reader.readexactly(int(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        return Request(head, json.loads(body) if body else {}, connection)

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self._writer.write(piece)
            with contextlib.suppress(ConnectionError):
                await self._writer.drain()
            await asyncio.sleep(0)

    async def gone(self) -> None:
        """Until the other side has closed."""
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(65_536):
                pass

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        """Close with RST in place of FIN."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Play = Callable[[Line, Request], Awaitable[None]]


def says(*pieces: bytes) -> Play:
    """Send these bytes and keep the connection."""

    async def play(line: Line, request: Request) -> None:
        await line.send(*pieces)

    return play


def says_and_closes(*pieces: bytes) -> Play:
    async def play(line: Line, request: Request) -> None:
        await line.send(*pieces)
        line.close()

    return play


def says_and_waits(*pieces: bytes) -> Play:
    """Send these bytes and then nothing until the other side goes."""

    async def play(line: Line, request: Request) -> None:
        await line.send(*pieces)
        await line.gone()

    return play


@dataclass
class ScriptedProvider:
    """Plays one script for each request, in their order; the last one again for all that follow."""

    plays: tuple[Play, ...]
    url: str = ""
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    """Connections there are now."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, self.connections = self.connections, self.connections + 1
        self.open += 1
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        line = Line(reader, writer)
        try:
            while not writer.is_closing() and (request := await line.read(number)) is not None:
                play = self.plays[min(len(self.requests), len(self.plays) - 1)]
                self.requests.append(request)
                await play(line, request)
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            self.open -= 1
            self.tasks.discard(task)
            writer.close()


@asynccontextmanager
async def provider(*plays: Play, tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedProvider]:
    """A provider that listens on a free port of this machine."""
    scripted = ScriptedProvider(plays)
    server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0, ssl=tls)
    scripted.port = server.sockets[0].getsockname()[1]
    scripted.url = f"{'https' if tls else 'http'}://127.0.0.1:{scripted.port}/v1"
    try:
        yield scripted
    finally:
        server.close()
        for task in tuple(scripted.tasks):
            task.cancel()
        await asyncio.gather(*scripted.tasks, return_exceptions=True)
        await server.wait_closed()
