"""Raw sockets: what really arrives, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from headgate.simulator import Simulator, SimulatorConfig

DEADLINE_S = 10.0


@dataclass
class Received:
    """One response, taken apart."""

    status: int
    headers: dict[str, str]
    chunks: list[bytes]
    """HTTP chunks of the body; a single one where it is not chunked."""
    complete: bool
    """Whether HTTP says that the body is complete."""

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)


def request(body: bytes, *, simulate: str = "", path: str = "/v1/chat/completions", method: str = "POST") -> bytes:
    extra = f"X-Simulate: {simulate}\r\n" if simulate else ""
    return f"{method} {path} HTTP/1.1\r\nHost: sim\r\n{extra}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = (line.split(":", 1) for line in head[1:] if line)
    return int(head[0].split(" ")[1]), {name.lower(): value.strip() for name, value in fields}


async def receive(reader: asyncio.StreamReader) -> Received:
    """Read one response to its end or to the end of the connection, whichever comes first."""
    status, headers = await read_head(reader)
    received = Received(status, headers, [], complete=False)
    if "content-length" in headers:
        try:
            received.chunks.append(await reader.readexactly(int(headers["content-length"])))
            received.complete = True
        except asyncio.IncompleteReadError as error:
            received.chunks.append(error.partial)
        return received
    if headers.get("transfer-encoding") != "chunked":
        received.chunks.append(await reader.read())
        return received
    while line := await reader.readline():
        size = int(line, 16)
        chunk = await reader.readexactly(size + 2)
        if size == 0:
            received.complete = True
            break
        received.chunks.append(chunk[:-2])
    return received


@contextlib.asynccontextmanager
async def connected(simulator: Simulator) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port, limit=1024 * 1024)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def until(condition: Callable[[], bool]) -> None:
    """Turn the loop until something has become true."""
    while not condition():
        await asyncio.sleep(0)


def serve(test: Callable[[Simulator], Awaitable[None]], config: SimulatorConfig | None = None) -> None:
    """Run a test against a simulator of its own, on a loop of its own, within the deadline."""

    async def run() -> None:
        async with asyncio.timeout(DEADLINE_S), await Simulator.start(config=config or SimulatorConfig()) as simulator:
            await test(simulator)

    asyncio.run(run())
