"""Both ways out of the process keep one contract, over real sockets: our own server's transport, and plain ASGI."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn

from headgate import sinks
from headgate.api.exchange import EXTENSION, Exchange, Receive, Scope, Send
from headgate.protocol import HeadgateProtocol
from headgate.reader import Broken
from headgate.sinks import BUFFER_BYTES_MAX, ClientStalledError, MessageSink, SendSink, Sink, TransportSink
from tests.shell.scene import run, until

SOURCE = ast.parse((Path(__file__).parents[2] / "src/headgate/sinks.py").read_text())
SINK_LINES_MAX = 60
KINDS = {"transport": TransportSink, "send": SendSink}
PIECE = b"x" * 1000
SMALL = 4096
"""Socket buffers of the connections here, so that a client that does not read is felt at once."""

Scenario = Callable[[Sink], Awaitable[None]]


def test_chunk_says_its_size_whatever_it_is() -> None:
    for size in [*range(1, 2_100), 65_535, 65_536]:
        data = b"x" * size
        assert sinks.chunk(data) == f"{size:x}\r\n".encode() + data + b"\r\n"


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class House:
    """An app that opens a sink for every request and lets a test's scenario write to it."""

    def __init__(self, kind: str, scenario: Scenario, *, stall_s: float) -> None:
        self.outcome: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self.lost = asyncio.Event()
        self.port = 0
        self._kind = kind
        self._scenario = scenario
        self._stall_s = stall_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        protocol: HeadgateProtocol = scope["extensions"][EXTENSION]
        protocol.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        if self._kind == "send":
            del scope["extensions"][EXTENSION]
        exchange = Exchange(scope, receive, send, scope["path"])
        await exchange.body(bytes_max=0, timeout_s=1)
        exchange.on_disconnect(self.lost.set)
        headers = [("content-type", "text/plain")]
        sink = await exchange.open_stream(headers, wake=lambda: None, stall_s=self._stall_s)
        assert isinstance(sink, KINDS[self._kind])
        try:
            await self._scenario(sink)
        except (ClientStalledError, Broken) as error:
            self.outcome.set_result(error)
            if isinstance(error, ClientStalledError):
                sink.abort()
            raise
        else:
            self.outcome.set_result(None)
        finally:
            exchange.close()


@asynccontextmanager
async def serving(kind: str, scenario: Scenario, *, stall_s: float = 5.0) -> AsyncIterator[House]:
    """The app under uvicorn with our protocol class, on a free port."""
    house = House(kind, scenario, stall_s=stall_s)
    settings = uvicorn.Config(
        house,
        port=0,
        http=HeadgateProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level=60,
    )
    settings.load()
    server = uvicorn.Server(settings)
    server.lifespan = settings.lifespan_class(settings)
    await server.startup()
    house.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield house
    finally:
        for connection in tuple(server.server_state.connections):
            connection.transport.abort()
        await until(lambda: not server.server_state.connections)
        for listener in server.servers:
            listener.close()


@asynccontextmanager
async def client(house: House) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client that has asked, and reads only when the test does."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", house.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=SMALL)
    writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def receive_body(reader: asyncio.StreamReader) -> tuple[bytes, bool]:
    """The chunked body, and whether it is complete."""
    body = b""
    try:
        await reader.readuntil(b"\r\n\r\n")
        while True:
            size = int(await reader.readline() or b"x", 16)
            piece = await reader.readexactly(size + 2)
            if not size:
                return body, True
            body += piece[:-2]
    except (asyncio.IncompleteReadError, ConnectionError, ValueError):
        return body, False


@pytest.mark.parametrize("sink", [*KINDS.values(), MessageSink])
def test_a_sink_is_small(sink: type) -> None:
    (body,) = [node for node in SOURCE.body if isinstance(node, ast.ClassDef) and node.name == sink.__name__]
    assert body.end_lineno is not None
    assert body.end_lineno - body.lineno < SINK_LINES_MAX, "a sink decides nothing; what decides belongs elsewhere"


def test_there_are_no_other_sinks() -> None:
    found = {
        name
        for name, value in vars(sinks).items()
        if inspect.isclass(value) and name.endswith("Sink") and not getattr(value, "_is_protocol", False)
    }
    assert found == {sink.__name__ for sink in [*KINDS.values(), MessageSink]}


def test_messages_are_the_json_of_the_frames_in_order_and_wait_for_a_slow_client() -> None:
    async def scenario() -> None:
        sent: list[bytes] = []
        gate, woken = asyncio.Event(), asyncio.Event()

        async def send(message: bytes) -> None:
            await gate.wait()
            sent.append(message)

        sink = MessageSink(send, woken.set)
        sink.write(b'id: 1\nevent: a\ndata: {"n":1}\n\ndata: {"n":2}\n\n')
        assert woken.is_set()
        sink.write(b": ping\n\ndata: " + b"x" * sinks.BUFFER_BYTES_MAX + b"\n\n")
        assert sink.paused
        flushing = asyncio.ensure_future(sink.flush())
        await asyncio.sleep(0)
        assert not sent
        gate.set()
        await flushing
        assert sent == [b'{"n":1}', b'{"n":2}', b"x" * sinks.BUFFER_BYTES_MAX]
        assert not sink.paused

    asyncio.run(scenario())


def test_what_is_written_arrives_in_order_and_complete(kind: str) -> None:
    async def scenario(sink: Sink) -> None:
        for n in range(100):
            sink.write(b"%d;" % n)
            if n % 10 == 0:
                await sink.flush()
        await sink.end()

    async def test() -> None:
        async with serving(kind, scenario) as house, client(house) as (reader, _):
            body, complete = await receive_body(reader)
            assert body == b"".join(b"%d;" % n for n in range(100))
            assert complete

    run(test)


def test_body_that_is_not_ended_never_looks_complete(kind: str) -> None:
    async def scenario(sink: Sink) -> None:
        sink.write(b"half")
        await sink.flush()
        raise Broken

    async def test() -> None:
        async with serving(kind, scenario) as house, client(house) as (reader, _):
            assert await receive_body(reader) == (b"half", False)

    run(test)


def test_client_that_does_not_read_pauses_the_sink_and_one_that_reads_again_lets_it_go_on(kind: str) -> None:
    total = 40 * BUFFER_BYTES_MAX
    written: list[int] = [0]
    paused = asyncio.Event()

    async def scenario(sink: Sink) -> None:
        while written[0] < total:
            while not sink.paused and written[0] < total:
                sink.write(PIECE)
                written[0] += len(PIECE)
            if sink.paused:
                paused.set()
            await sink.flush()
            assert not sink.paused
        await sink.end()

    async def test() -> None:
        async with serving(kind, scenario) as house, client(house) as (reader, _):
            await paused.wait()
            await asyncio.sleep(0.05)
            assert written[0] < 6 * BUFFER_BYTES_MAX, "what waits for a slow client is bounded"
            body, complete = await receive_body(reader)
            assert len(body) == written[0] >= total
            assert complete

    run(test)


def test_client_that_takes_nothing_is_cut_after_the_stall(kind: str) -> None:
    stall_s = 0.1

    async def scenario(sink: Sink) -> None:
        while True:
            while not sink.paused:
                sink.write(PIECE)
            await sink.flush()

    async def test() -> None:
        async with serving(kind, scenario, stall_s=stall_s) as house, client(house) as (reader, _):
            started = time.monotonic()
            assert isinstance(await house.outcome, ClientStalledError)
            assert stall_s * 0.9 <= time.monotonic() - started < stall_s * 10
            _, complete = await receive_body(reader)
            assert not complete

    run(test)


def test_client_that_takes_little_but_steadily_is_not_cut(kind: str) -> None:
    total = 6 * BUFFER_BYTES_MAX

    async def scenario(sink: Sink) -> None:
        written = 0
        while written < total:
            while not sink.paused and written < total:
                sink.write(PIECE)
                written += len(PIECE)
            await sink.flush()
        await sink.end()

    async def test() -> None:
        async with serving(kind, scenario, stall_s=0.3) as house, client(house) as (reader, _):
            received = b""
            while not received.endswith(b"\r\n0\r\n\r\n"):
                received += await reader.read(24_000)
                await asyncio.sleep(0.01)
            assert await house.outcome is None

    run(test)


def test_client_that_goes_while_the_sink_is_paused_is_noticed_at_once(kind: str) -> None:
    """Its reader waits in `flush`; if that went on for `write_stall_s`, the provider would be paid for nobody."""
    written: list[float] = []
    finished: list[float] = []
    houses: list[House] = []

    async def scenario(sink: Sink) -> None:
        with contextlib.suppress(ClientStalledError):
            while not houses[0].lost.is_set():
                while not sink.paused:
                    sink.write(PIECE)
                    written.append(time.monotonic())
                await sink.flush()
        finished.append(time.monotonic())

    async def test() -> None:
        async with serving(kind, scenario, stall_s=1.0) as house:
            houses.append(house)
            async with client(house):
                await until(lambda: written and time.monotonic() - written[-1] > 0.05)
            left_at = time.monotonic()
            await house.lost.wait()
            await until(lambda: finished)
            assert finished[0] - left_at < 0.5

    run(test)


def test_writing_to_a_client_that_has_gone_does_no_harm(kind: str) -> None:
    gone = asyncio.Event()

    async def scenario(sink: Sink) -> None:
        sink.write(b"hello")
        await sink.flush()
        await gone.wait()
        for _ in range(20):
            sink.write(PIECE)
            with contextlib.suppress(ClientStalledError):
                await sink.flush()

    async def test() -> None:
        async with serving(kind, scenario, stall_s=0.1) as house:
            async with client(house) as (reader, _):
                await reader.readuntil(b"hello")
            await house.lost.wait()
            gone.set()
            assert await house.outcome is None

    run(test)
