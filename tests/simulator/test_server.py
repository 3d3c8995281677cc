"""Sockets get what scripts say, and the connection is kept, limited and counted as documented."""

from __future__ import annotations

import asyncio
import json
from typing import cast

import pytest
import uvloop

from headgate.errors import ConfigError
from headgate.simulator import FaultName, Simulator, SimulatorConfig
from headgate.simulator.connection import BODY_BYTES_MAX
from headgate.simulator.steps import Abort, Delimit, End
from tests.simulator import asking
from tests.simulator.sockets import connected, read_head, receive, request, serve, until

PLAIN = asking.body("sim-fast-t9", stream=True)
ENDLESS = asking.body("sim-t100000-r10-f0", stream=True)
SILENT = {FaultName.HANG, FaultName.STALL, FaultName.STALL_COMMENTS, FaultName.NO_DONE_OPEN}
NOT_HERE = {*SILENT, FaultName.RESET, FaultName.HUGE_HEADERS, FaultName.SLOW_HEADERS}


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("name", [name for name in FaultName if name not in NOT_HERE])
def test_socket_gets_the_bytes_of_the_script_and_their_end(name: FaultName, streaming: bool) -> None:
    played = (asking.streamed if streaming else asking.answered)("sim-fast-t9", simulate=name)
    sent = request(asking.body("sim-fast-t9", **({"stream": True} if streaming else {})), simulate=name)

    async def test(simulator: Simulator) -> None:
        async with connected(simulator) as (reader, writer):
            writer.write(sent)
            received = await receive(reader)
            assert played.head is not None
            assert received.status == played.head.status
            assert received.headers.items() >= played.headers.items()
            assert received.body == played.body
            clean = isinstance(played.last, End) and played.head.delimit is not Delimit.CLOSE
            assert received.complete == clean
            assert simulator.stats.tokens == played.tokens
            if clean:
                writer.write(request(PLAIN))
                assert (await receive(reader)).complete, "the connection is kept"
            else:
                assert await reader.read() == b""
            assert simulator.stats.aborts == simulator.stats.open == 0

    serve(test)


@pytest.mark.parametrize("name", ["stall@4", "no-done-open"])
def test_silent_answer_keeps_the_connection_until_the_client_leaves(name: str) -> None:
    played = asking.streamed("sim-fast-t9", simulate=name)

    async def test(simulator: Simulator) -> None:
        async with connected(simulator) as (reader, writer):
            writer.write(request(PLAIN, simulate=name))
            await read_head(reader)
            size = int(await reader.readline(), 16)
            assert await reader.readexactly(size) == played.body
            assert await reader.readexactly(2) == b"\r\n"
            assert (simulator.stats.open, simulator.stats.aborts) == (1, 0)
            assert not reader.at_eof()
        await until(lambda: simulator.stats.open == 0)
        assert simulator.stats.aborts == 1

    serve(test)


def test_hanging_request_is_open_until_the_client_leaves() -> None:
    async def test(simulator: Simulator) -> None:
        async with connected(simulator) as (_, writer):
            writer.write(request(PLAIN, simulate="hang"))
            await until(lambda: simulator.stats.open == 1)
        await until(lambda: simulator.stats.aborts == 1)
        assert (simulator.stats.requests, simulator.stats.open, simulator.stats.tokens) == (1, 0, 0)

    serve(test)


def test_stall_sends_comments() -> None:
    async def test(simulator: Simulator) -> None:
        async with connected(simulator) as (reader, writer):
            writer.write(request(PLAIN, simulate="stall-comments@1"))
            await reader.readuntil(b": keep-alive\n\n")

    serve(test)


def test_reset_is_a_reset() -> None:
    played = asking.streamed("sim-fast-t9", simulate="reset@4")
    assert isinstance(played.last, Abort)

    async def test(simulator: Simulator) -> None:
        async with connected(simulator) as (reader, writer):
            writer.write(request(PLAIN, simulate="reset@4"))
            with pytest.raises(ConnectionResetError):
                await reader.read()
        assert simulator.stats.aborts == 0, "the client did not leave"

    serve(test)


def test_huge_headers_arrive() -> None:
    async def test(simulator: Simulator) -> None:
        async with connected(simulator) as (reader, writer):
            writer.write(request(PLAIN, simulate="huge-headers"))
            received = await receive(reader)
            assert len(received.headers["x-padding-31"]) == 8192
            assert received.complete

    serve(test)


def test_split_characters_and_single_bytes_are_http_chunks_of_their_own() -> None:
    async def test(simulator: Simulator) -> None:
        async with connected(simulator) as (reader, writer):
            writer.write(request(asking.body("sim-fast-t2", stream=True), simulate="drip"))
            assert {len(chunk) for chunk in (await receive(reader)).chunks} == {1}
            writer.write(request(asking.body("sim-fast-unicode-t40", stream=True), simulate="split-utf8"))
            received = await receive(reader)
            starts = sum(chunk[0] & 0xC0 == 0x80 for chunk in received.chunks)
            assert starts == sum(len(character.encode()) > 1 for character in received.body.decode()) > 5

    serve(test)


def test_pace_is_kept_on_the_clock() -> None:
    async def test(simulator: Simulator) -> None:
        async with connected(simulator) as (reader, writer):
            loop = asyncio.get_running_loop()
            started = loop.time()
            writer.write(request(asking.body("sim-t21-r200-f50", stream=True)))
            received = await receive(reader)
            assert loop.time() - started >= 0.05 + 20 / 200
            assert len(received.chunks) > 5, "tokens leave when they are due, not together"

    serve(test)


def test_pipelined_requests_are_answered_in_order() -> None:
    async def test(simulator: Simulator) -> None:
        async with connected(simulator) as (reader, writer):
            writer.write(request(asking.body("sim-t3-r100-f10")) + request(asking.body("sim-fast-t5")))
            counts = [json.loads((await receive(reader)).body)["usage"]["completion_tokens"] for _ in range(2)]
            assert counts == [3, 5]

    serve(test)


@pytest.mark.parametrize(
    ("method", "path", "status", "holds"),
    [
        ("GET", "/healthz", 200, '{"status":"ok"}'),
        ("GET", "/stats", 200, '{"requests":0,"open":0,"aborts":0,"tokens":0}'),
        ("GET", "/v1/models", 200, '"id":"sim-reasoning"'),
        ("GET", "/v1/models", 200, '"id":"flaky"'),
        ("GET", "/v1/models/sim-t5%2Bcut@3", 200, '"id":"sim-t5+cut@3"'),
        ("GET", "/v1/models/gpt-5", 404, '"code":"model_not_found"'),
        ("GET", "/v1/wrong", 404, '"code":"not_found"'),
        ("GET", "/v1/chat/completions", 405, '"code":"method_not_allowed"'),
        ("POST", "/v1/chat/completions", 400, '"code":"invalid_json"'),
    ],
)
def test_paths(method: str, path: str, status: int, holds: str) -> None:
    async def test(simulator: Simulator) -> None:
        async with connected(simulator) as (reader, writer):
            writer.write(request(b"", method=method, path=path))
            received = await receive(reader)
            assert received.status == status
            assert holds in received.body.decode()
            assert received.complete

    serve(test, SimulatorConfig(models={"flaky": "sim+cut@3"}))


def test_stats_count_what_happened() -> None:
    async def test(simulator: Simulator) -> None:
        async with connected(simulator) as (reader, writer):
            for body in (PLAIN, asking.body("wrong"), asking.body("sim-fast-t4")):
                writer.write(request(body))
                await receive(reader)
            writer.write(request(b"", method="GET", path="/stats"))
            stats = json.loads((await receive(reader)).body)
            assert stats == {"requests": 3, "open": 0, "aborts": 0, "tokens": 13}

    serve(test)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: s\r\nX-Long: " + b"." * 70_000, 431),
        (b"no request at all\r\n\r\n", 400),
        (b"POST /v1/chat/completions HTTP/1.1\r\nHost: s\r\nContent-Length: x\r\n\r\n", 400),
        (request(b"")[:-5] + b"%d\r\n\r\n" % (BODY_BYTES_MAX * 2) + b" " * (BODY_BYTES_MAX + 1), 413),
    ],
)
def test_requests_over_the_limits_or_against_the_rules_are_refused(sent: bytes, status: int) -> None:
    async def test(simulator: Simulator) -> None:
        async with connected(simulator) as (reader, writer):
            writer.write(sent)
            received = await receive(reader)
            assert received.status == status
            assert "error" in json.loads(received.body)
            assert await reader.read() == b"", "the connection is closed"

    serve(test)


def test_client_that_sends_on_and_on_while_it_is_answered_is_dropped() -> None:
    async def test(simulator: Simulator) -> None:
        async with connected(simulator) as (_, writer):
            writer.write(request(ENDLESS))
            await until(lambda: simulator.stats.open == 1)
            writer.write(b" " * 3_000_000)
            await until(lambda: simulator.stats.open == 0)
            assert simulator.stats.aborts == 0

    serve(test)


def test_client_that_asks_first_is_told_to_continue() -> None:
    async def test(simulator: Simulator) -> None:
        async with connected(simulator) as (reader, writer):
            head, _, body = request(asking.body("sim-fast-t2")).partition(b"\r\n\r\n")
            writer.write(head + b"\r\nExpect: 100-continue\r\n\r\n")
            assert (await read_head(reader))[0] == 100
            writer.write(body)
            assert (await receive(reader)).status == 200

    serve(test)


def test_client_that_does_not_read_is_paused_and_gets_everything_later() -> None:
    tokens = 60_000

    async def test(simulator: Simulator) -> None:
        async with connected(simulator) as (reader, writer):
            transport = cast(asyncio.Transport, writer.transport)
            transport.pause_reading()
            writer.write(request(asking.body(f"sim-fast-t{tokens}", stream=True)))
            await until(lambda: simulator.stats.open == 1)
            before = -1
            while simulator.stats.tokens != before:  # until it has stopped
                before = simulator.stats.tokens
                for _ in range(100):
                    await asyncio.sleep(0)
            assert before < tokens
            transport.resume_reading()
            received = await receive(reader)
            assert received.complete
            assert asking.events(received.body)[-1] == b"[DONE]"
            assert simulator.stats.tokens == tokens

    serve(test)


def test_closing_cuts_answers_and_may_be_repeated() -> None:
    async def test(simulator: Simulator) -> None:
        async with connected(simulator) as (reader, writer):
            writer.write(request(ENDLESS))
            await read_head(reader)
            await simulator.close()
            await simulator.close()
            assert (simulator.stats.open, simulator.stats.aborts) == (0, 0), "it was not the client that left"
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", simulator.port)

    serve(test)


def test_it_runs_on_uvloop_too() -> None:
    async def run() -> None:
        async with await Simulator.start() as simulator, connected(simulator) as (reader, writer):
            for fault in ("", "drip", "split-utf8"):
                writer.write(request(PLAIN, simulate=fault))
                assert (await receive(reader)).complete
            writer.write(request(PLAIN, simulate="reset"))
            with pytest.raises(ConnectionResetError):
                await reader.read()

    uvloop.run(run())


def test_configuration_that_cannot_be_used_names_every_problem() -> None:
    config = SimulatorConfig(default_model="x", rate=-1, models={"good": "sim", "bad": "sim+wrong"})
    with pytest.raises(ConfigError) as refused:
        asyncio.run(Simulator.start(config=config))
    assert [problem.split("'")[1] for problem in refused.value.problems[:2]] == ["x", "bad"]
    assert len(refused.value.problems) == 3
