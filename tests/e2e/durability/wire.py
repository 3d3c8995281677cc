"""A client on bare sockets: it sees every byte, and may cut the connection between any two of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest

from tests.e2e.harness import GatewayProcess, MountedProcess
from tests.soak import soaking

DEADLINE_S: Final = 120.0
CHAT: Final = "/v1/chat/completions"
DONE: Final = b"data: [DONE]\n\n"

Kind = type[GatewayProcess]
OURS: Final = pytest.param(GatewayProcess, id="served")
THEIRS: Final = pytest.param(MountedProcess, id="mounted")
each_kind = pytest.mark.parametrize("kind", [OURS, THEIRS])
"""Our own server, and somebody else's application: the two ways out of the process. A test without this says why."""
each_kind_in_soak = pytest.mark.parametrize("kind", [OURS, THEIRS] if soaking() else [OURS])
"""What goes the same way as others that run in both: a start of a process for each of them takes too long."""


def run(test: Callable[[], Awaitable[None]], *, within_s: float = DEADLINE_S) -> None:
    """Run a test on a loop of its own, within the deadline, and close what it left open."""

    async def within() -> None:
        try:
            async with asyncio.timeout(within_s):
                await test()
        finally:
            for exchange in tuple(Exchange.open):
                exchange.cut()
            await asyncio.sleep(0)

    asyncio.run(within())


async def until(condition: Callable[[], object], *, within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.002)


@asynccontextmanager
async def process(
    config: str, directory: Path, kind: type[GatewayProcess] = GatewayProcess
) -> AsyncIterator[GatewayProcess]:
    """A gateway process, started and stopped beside the loop, so that providers of the test may run on it."""
    gateway = await asyncio.to_thread(kind.start, config, directory=directory)
    try:
        yield gateway
    finally:
        if gateway.running:
            await asyncio.to_thread(gateway.kill)


async def stopped(gateway: GatewayProcess) -> int:
    """Its exit status, once it is gone. Plain uvicorn raises a SIGTERM once more when it is done: an orderly end as well."""
    status = await asyncio.to_thread(gateway.wait)
    return 0 if isinstance(gateway, MountedProcess) and status == -signal.SIGTERM else status


def route(model: str, provider: str, more: str = "") -> str:
    return f'[[routes]]\nmodel = "{model}"\nto = ["{provider}/*"]\n{more}\n'


def upstream(name: str, url: str) -> str:
    return f'[[providers]]\nname = "{name}"\nbase_url = "{url}"\n'


def question(model: str, *, stream: bool = True, seed: int = 0, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"Tell me about {seed}."}]
    return {"model": model, "messages": messages, "stream": stream, "seed": seed, **more}


@dataclass
class Head:
    status: int
    headers: dict[str, str]

    @property
    def response_id(self) -> str:
        return self.headers["headgate-response-id"]


class Exchange:
    """One request and what came of its answer so far."""

    open: ClassVar[set[Exchange]] = set()
    """Those whose connection is still there."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = Head(0, {})
        self.body = b""
        """Without the chunk framing, as far as it came."""
        self.complete = False
        """HTTP says that the body is complete."""
        self._reader = reader
        self._writer = writer
        self._left = 0  # of the chunk that is being read
        self._chunked = False
        self.open.add(self)

    async def read_head(self) -> None:
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = (line.split(":", 1) for line in lines[1:] if line)
        self.head = Head(int(lines[0].split(" ")[1]), {name.lower(): value.strip() for name, value in fields})
        self._chunked = self.head.headers.get("transfer-encoding") == "chunked"
        if not self._chunked:
            self._left = int(self.head.headers.get("content-length", "0"))
            self.complete = self._left == 0

    async def read(self, bytes_max: int = 1 << 30) -> bytes:
        """The rest of the body, or so many more bytes of it; a cut is no error but leaves `complete` false."""
        before = len(self.body)
        try:
            while not self.complete and len(self.body) - before < bytes_max:
                await self._read_some(bytes_max - (len(self.body) - before))
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            self.cut()
        if self.complete:
            self.cut()
        return self.body[before:]

    async def read_until(self, marker: bytes) -> None:
        while marker not in self.body and not self.complete:
            before = len(self.body)
            await self._read_some(1 << 30)
            assert len(self.body) > before or self.complete, f"cut before {marker!r}"

    async def _read_some(self, bytes_max: int) -> None:
        if not self._left and self._chunked:
            self._left = int(await self._reader.readline(), 16)
            if not self._left:
                await self._reader.readexactly(2)
                self.complete = True
                return
        piece = await self._reader.read(min(self._left, bytes_max))
        if not piece:
            raise asyncio.IncompleteReadError(b"", None)
        self.body += piece
        self._left -= len(piece)
        if not self._left:
            if self._chunked:
                await self._reader.readexactly(2)
            else:
                self.complete = True

    def cut(self, *, reset: bool = False) -> None:
        """Go away, with FIN or with RST."""
        if reset:
            sock = self._writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        self.open.discard(self)

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """Text of a chat stream so far."""
        words = []
        for _, block in frames(self.body):
            data = block.partition(b"data: ")[2].strip()
            if data.startswith(b"{"):
                choices = json.loads(data).get("choices") or [{}]
                words.append(choices[0].get("delta", {}).get("content") or "")
        return "".join(words)


async def send(
    at: GatewayProcess, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> Exchange:
    """Send a request and return at once."""
    reader, writer = await asyncio.open_connection(*at.address)
    data = b"" if body is None else json.dumps(body).encode()
    lines = {"Host": "127.0.0.1", "Content-Length": str(len(data)), **(headers or {})}
    if data:
        lines["Content-Type"] = "application/json"
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    writer.write(f"{method} {at.mount}{path} HTTP/1.1\r\n{head}\r\n".encode() + data)
    return Exchange(reader, writer)


async def ask(at: GatewayProcess, model: str, *, resume: bool = False, **more: Any) -> Exchange:
    """Begin a stream; the head is there when this returns."""
    headers = {"Headgate-Resume": "1"} if resume else {}
    exchange = await send(at, "POST", CHAT, question(model, **more), headers)
    await exchange.read_head()
    return exchange


async def get(
    at: GatewayProcess, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None
) -> Exchange:
    """A whole answer to a request without a body."""
    exchange = await send(at, method, path, None, headers)
    try:
        await exchange.read_head()
        await exchange.read()
    finally:
        exchange.cut()
    return exchange


async def events(at: GatewayProcess, response_id: str, *, dialect: str = "headgate", after: int | None = None) -> bytes:
    """A log's stream from a cursor to its end."""
    query = f"?dialect={dialect}" + ("" if after is None else f"&after={after}")
    exchange = await get(at, f"/v1/responses/{response_id}/events{query}")
    assert exchange.head.status == 200, exchange.body
    assert exchange.complete
    return uncommented(exchange.body)


async def log_of(at: GatewayProcess, response_id: str) -> list[dict[str, Any]]:
    """A log's events, as objects."""
    exchange = await get(at, f"/v1/responses/{response_id}/events?format=ndjson")
    assert exchange.head.status == 200, exchange.body
    return [json.loads(line) for line in exchange.body.split(b"\n") if line]


def uncommented(body: bytes) -> bytes:
    """Without heartbeats, which are the only bytes that need not be repeated."""
    if b": ping" not in body:
        return body
    body = body.replace(b": ping\n\n", b"")
    return body.replace(b": ping\n", b"")


def whole(body: bytes) -> bytes:
    """Complete frames only: what a client has really received."""
    body = uncommented(body)
    return body[: body.rfind(b"\n\n") + 2] if b"\n\n" in body else b""


def frames(body: bytes) -> list[tuple[int, bytes]]:
    """Complete SSE frames, each with its id (0 for none)."""
    found = []
    for block in whole(body).split(b"\n\n")[:-1]:
        first = block.split(b"\n", 1)[0]
        found.append((int(first[4:]) if first.startswith(b"id: ") else 0, block + b"\n\n"))
    return found


def cursor_of(body: bytes) -> int:
    """The id of the last complete frame that has one."""
    return max((seq for seq, _ in frames(body)), default=0)


def received(body: bytes) -> bytes:
    """What counts as received: everything up to the last complete frame with an id."""
    seen = frames(body)
    while seen and not seen[-1][0]:
        seen.pop()
    return b"".join(block for _, block in seen)
