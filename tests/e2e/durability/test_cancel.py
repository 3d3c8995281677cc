"""Nobody pays for what nobody wants: cancelling reaches the provider at once, and leaving does what the route says."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from headgate.simulator import Simulator
from tests.e2e.durability.wire import (
    CHAT,
    Exchange,
    Kind,
    ask,
    each_kind,
    each_kind_in_soak,
    events,
    get,
    log_of,
    process,
    question,
    route,
    run,
    send,
    until,
    upstream,
)
from tests.e2e.harness import GatewayProcess, config
from tests.shell.provider import (
    CHUNKED,
    DONE,
    LAST_CHUNK,
    Line,
    Request,
    chunk,
    finish,
    provider,
    usage,
    word,
)

CANCEL_S = 0.2
ENDLESS = "sim-t100000-r50-f0"
SILENT = "sim-fast+hang"

ROUTES = "".join(
    route(f"{name}/*", "sim", more)
    for name, more in (
        ("cancel", 'on_disconnect = "cancel"'),
        ("continue", 'on_disconnect = "continue"'),
        ("drain", 'on_disconnect = "drain"'),
        ("graced", 'on_disconnect = "cancel"\ngrace_s = 0.6'),
        ("drained-later", 'on_disconnect = "drain"\ngrace_s = 0.3'),
    )
)
ROUTES = ROUTES.replace('to = ["sim/*"]', "to = TARGET")


@dataclass
class Place:
    """A gateway process whose provider is a simulator on the test's own loop."""

    gateway: GatewayProcess
    simulator: Simulator

    async def aborted(self, count: int) -> None:
        """Until so many answers were left by the gateway before they were complete."""
        await until(lambda: self.simulator.stats.aborts == count)


def routes_to(model: str) -> str:
    """Every policy, leading to one model of the simulator."""
    return ROUTES.replace("TARGET", f'["sim/{model}"]')


@asynccontextmanager
async def place(directory: Path, kind: Kind, routes: str) -> AsyncIterator[Place]:
    async with await Simulator.start() as simulator:
        settings = config(providers=upstream("sim", simulator.url), routes=routes)
        async with process(settings, directory, kind) as gateway:
            yield Place(gateway, simulator)


async def terminal_of(at: GatewayProcess, response_id: str) -> dict[str, object]:
    """The terminal, once it is there."""
    async with asyncio.timeout(10):
        while True:
            last = (await get(at, f"/v1/responses/{response_id}")).json()
            if last["headgate"]["terminal"] is not None:
                return (await log_of(at, response_id))[-1]
            await asyncio.sleep(0.02)


async def status_now(at: GatewayProcess, response_id: str) -> str:
    return str((await get(at, f"/v1/responses/{response_id}")).json()["status"])


# POST cancel


@each_kind
def test_cancel_reaches_the_provider_within_200_ms(kind: Kind, tmp_path: Path) -> None:
    async def test() -> None:
        async with place(tmp_path, kind, routes_to(ENDLESS)) as here:
            worst = 0.0
            for n in range(10):
                exchange = await ask(here.gateway, "cancel/x", seed=n)
                await exchange.read(1_000)
                started = time.monotonic()
                answer = await get(here.gateway, f"/v1/responses/{exchange.head.response_id}/cancel", method="POST")
                await here.aborted(n + 1)
                worst = max(worst, time.monotonic() - started)
                assert answer.head.status == 200
                assert answer.json()["status"] == "cancelled"
                await exchange.read()
                assert exchange.complete
                assert b'"code":"cancelled"' in exchange.body.rsplit(b"data: ", 1)[1]
                assert b"[DONE]" not in exchange.body
            assert worst < CANCEL_S

    run(test)


@each_kind_in_soak
def test_cancel_closes_the_socket_of_a_provider_within_200_ms(kind: Kind, tmp_path: Path) -> None:
    """Measured at the provider itself: from the POST until its connection is gone."""

    async def test() -> None:
        gone_at: list[float] = []

        async def play(line: Line, request: Request) -> None:
            await line.send(CHUNKED, chunk(word("Hello")))
            await line.gone()
            gone_at.append(time.monotonic())

        async with provider(play) as scripted:
            settings = config(providers=upstream("sim", scripted.url), routes=route("*", "sim"))
            async with process(settings, tmp_path, kind) as gateway:
                exchange = await ask(gateway, "m")
                started = time.monotonic()
                await get(gateway, f"/v1/responses/{exchange.head.response_id}/cancel", method="POST")
                await until(lambda: gone_at)
                assert gone_at[0] - started < CANCEL_S
                last = await terminal_of(gateway, exchange.head.response_id)
                assert (last["status"], last["code"]) == ("cancelled", "cancelled")
                spent = [e for e in await log_of(gateway, exchange.head.response_id) if e["type"] == "usage"]
                assert [(e["output_tokens"], e["estimated"]) for e in spent] == [(2, True)]

    run(test)


@each_kind_in_soak
def test_second_cancel_says_the_same_as_the_first(kind: Kind, tmp_path: Path) -> None:
    async def test() -> None:
        async with place(tmp_path, kind, routes_to(ENDLESS)) as here:
            exchange = await ask(here.gateway, "cancel/x")
            path = f"/v1/responses/{exchange.head.response_id}/cancel"
            answers = [await get(here.gateway, path, method="POST") for _ in range(3)]
            assert [answer.head.status for answer in answers] == [200, 200, 200]
            assert len({answer.body for answer in answers}) == 1

    run(test)


@each_kind_in_soak
def test_cancel_of_a_finished_response_is_a_conflict(kind: Kind, tmp_path: Path) -> None:
    async def test() -> None:
        async with place(tmp_path, kind, routes_to("sim-fast-t5")) as here:
            done = await ask(here.gateway, "cancel/x")
            await done.read()
            refused = await get(here.gateway, f"/v1/responses/{done.head.response_id}/cancel", method="POST")
            assert (refused.head.status, refused.json()["error"]["code"]) == (409, "already_finished")

    run(test)


# leaving


@each_kind
def test_leaving_before_the_first_token_cancels(kind: Kind, tmp_path: Path) -> None:
    async def test() -> None:
        async with place(tmp_path, kind, routes_to(SILENT)) as here:
            for stream in (True, False):
                before = here.simulator.stats.aborts
                exchange = await send(here.gateway, "POST", CHAT, question("cancel/x", stream=stream))
                await until(lambda: here.simulator.stats.open == 1)
                started = time.monotonic()
                exchange.cut()
                await here.aborted(before + 1)
                assert time.monotonic() - started < CANCEL_S

    run(test)


@each_kind
@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
def test_leaving_in_the_middle_cancels_at_once_and_estimates_what_was_used(
    reset: bool, kind: Kind, tmp_path: Path
) -> None:
    async def test() -> None:
        async with place(tmp_path, kind, routes_to(ENDLESS)) as here:
            exchange = await ask(here.gateway, "cancel/x")
            await exchange.read(2_000)
            started = time.monotonic()
            exchange.cut(reset=reset)
            await until(lambda: here.simulator.stats.aborts == 1)
            assert time.monotonic() - started < CANCEL_S
            response_id = exchange.head.response_id
            last = await terminal_of(here.gateway, response_id)
            assert (last["status"], last["code"], last["blame"]) == ("cancelled", "disconnected", "caller")
            log = await log_of(here.gateway, response_id)
            text = "".join(event["text"] for event in log if event["type"] == "delta")
            [used] = [event for event in log if event["type"] == "usage"]
            assert used["estimated"]
            assert used["output_tokens"] == -(-len(text.encode()) // 4)

    run(test)


@each_kind
def test_slow_client_that_leaves_while_it_is_paused_cancels_too(kind: Kind, tmp_path: Path) -> None:
    """Its reader waits for the socket, not for the log: it must hear of the loss all the same."""

    async def test() -> None:
        async with place(tmp_path, kind, routes_to("sim-t100000-r20000-f0")) as here:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, here.gateway.address)
            reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
            body = b'{"model":"cancel/x","stream":true,"messages":[{"role":"user","content":"x"}],"seed":1}'
            head = f"POST {here.gateway.mount}{CHAT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await reader.readuntil(b"\r\n\r\n")
            slow = Exchange(reader, writer)
            await asyncio.sleep(1.5)
            assert here.simulator.stats.open == 1, "the answer is too long to be over"
            started = time.monotonic()
            slow.cut(reset=True)
            await until(lambda: here.simulator.stats.open == 0, within_s=20)
            assert here.simulator.stats.aborts == 1, "it was cancelled, not read to its end"
            assert time.monotonic() - started < 5 * CANCEL_S

    run(test)


@each_kind_in_soak
def test_route_that_continues_finishes_without_anybody(kind: Kind, tmp_path: Path) -> None:
    async def test() -> None:
        async with place(tmp_path, kind, routes_to("sim-t60-r200-f0")) as here:
            exchange = await ask(here.gateway, "continue/x")
            await exchange.read(300)
            exchange.cut()
            last = await terminal_of(here.gateway, exchange.head.response_id)
            assert last["status"] == "completed"
            assert here.simulator.stats.aborts == 0
            body = await events(here.gateway, exchange.head.response_id, dialect="openai-chat")
            assert body.endswith(b"data: [DONE]\n\n")

    run(test)


@each_kind
def test_route_that_drains_reads_the_usage_and_keeps_nothing_more(kind: Kind, tmp_path: Path) -> None:
    async def test() -> None:
        async with place(tmp_path, kind, routes_to("sim-t60-r200-f0")) as here:
            exchange = await ask(here.gateway, "drain/x")
            await exchange.read(300)
            exchange.cut()
            response_id = exchange.head.response_id
            last = await terminal_of(here.gateway, response_id)
            assert (last["status"], last["code"]) == ("cancelled", "disconnected")
            assert here.simulator.stats.aborts == 0
            log = await log_of(here.gateway, response_id)
            [used] = [event for event in log if event["type"] == "usage"]
            assert used["output_tokens"] == 60
            assert not used.get("estimated")
            assert sum(event["type"] == "delta" for event in log) < 55
            assert [e["code"] for e in log if e["type"] == "attempt.ended"] == ["ok"]

    run(test)


@each_kind_in_soak
def test_drained_answer_without_usage_is_estimated(kind: Kind, tmp_path: Path) -> None:
    async def play(line: Line, request: Request) -> None:
        await line.send(CHUNKED, chunk(word("shown")))
        await asyncio.sleep(0.3)
        await line.send(*(chunk(word("unseen ")) for _ in range(40)), chunk(finish() + DONE), LAST_CHUNK)

    async def test() -> None:
        async with provider(play) as scripted:
            settings = config(
                providers=upstream("sim", scripted.url), routes=route("*", "sim", 'on_disconnect = "drain"')
            )
            async with process(settings, tmp_path) as gateway:
                exchange = await ask(gateway, "m")
                exchange.cut()
                await terminal_of(gateway, exchange.head.response_id)
                log = await log_of(gateway, exchange.head.response_id)
                [used] = [event for event in log if event["type"] == "usage"]
                assert used["estimated"]
                assert used["output_tokens"] >= 2

    run(test)


@each_kind_in_soak
@pytest.mark.parametrize("policy", ["graced", "drained-later"])
def test_grace_lets_a_client_come_back(policy: str, kind: Kind, tmp_path: Path) -> None:
    async def test() -> None:
        async with place(tmp_path, kind, routes_to("sim-t80-r100-f0")) as here:
            exchange = await ask(here.gateway, f"{policy}/x")
            await exchange.read(500)
            exchange.cut()
            response_id = exchange.head.response_id
            await asyncio.sleep(0.1)
            back = await send(here.gateway, "GET", f"/v1/responses/{response_id}/events?dialect=openai-chat")
            await back.read_head()
            await back.read()
            assert back.body.endswith(b"data: [DONE]\n\n"), "the grace ended with its return"
            assert here.simulator.stats.aborts == 0

    run(test)


@each_kind
def test_grace_that_passes_cancels(kind: Kind, tmp_path: Path) -> None:
    async def test() -> None:
        async with place(tmp_path, kind, routes_to(ENDLESS)) as here:
            exchange = await ask(here.gateway, "graced/x")
            await exchange.read(500)
            started = time.monotonic()
            exchange.cut()
            await until(lambda: here.simulator.stats.aborts == 1)
            assert 0.55 <= time.monotonic() - started < 0.6 + 4 * CANCEL_S

    run(test)


@each_kind_in_soak
def test_client_that_said_it_would_come_back_is_waited_for(kind: Kind, tmp_path: Path) -> None:
    async def test() -> None:
        async with place(tmp_path, kind, routes_to(ENDLESS)) as here:
            exchange = await ask(here.gateway, "cancel/x", resume=True)
            await exchange.read(500)
            exchange.cut()
            await asyncio.sleep(0.5)
            assert here.simulator.stats.aborts == 0
            assert await status_now(here.gateway, exchange.head.response_id) == "in_progress"
            await get(here.gateway, f"/v1/responses/{exchange.head.response_id}/cancel", method="POST")
            await until(lambda: here.simulator.stats.aborts == 1)

    run(test)


@each_kind
def test_second_reader_keeps_the_answer_going_when_the_first_leaves(kind: Kind, tmp_path: Path) -> None:
    async def test() -> None:
        async with place(tmp_path, kind, routes_to("sim-t60-r100-f0")) as here:
            first = await ask(here.gateway, "cancel/x")
            await first.read(300)
            second = await send(
                here.gateway, "GET", f"/v1/responses/{first.head.response_id}/events?dialect=openai-chat"
            )
            await second.read_head()
            first.cut()
            await second.read()
            assert second.body.endswith(b"data: [DONE]\n\n")
            assert here.simulator.stats.aborts == 0

    run(test)


@each_kind_in_soak
def test_usage_of_the_provider_is_kept_when_it_came_before_the_cancel(kind: Kind, tmp_path: Path) -> None:
    async def play(line: Line, request: Request) -> None:
        await line.send(CHUNKED, chunk(word("Hello") + finish() + usage(11, 22)))
        await line.gone()

    async def test() -> None:
        async with provider(play) as scripted:
            settings = config(
                providers=upstream("sim", scripted.url), routes=route("*", "sim", "timeouts = { linger_s = 60 }")
            )
            async with process(settings, tmp_path) as gateway:
                exchange = await ask(gateway, "m")
                await exchange.read_until(b"Hello")
                await get(gateway, f"/v1/responses/{exchange.head.response_id}/cancel", method="POST")
                log = await log_of(gateway, exchange.head.response_id)
                [used] = [event for event in log if event["type"] == "usage"]
                assert (used["output_tokens"], used.get("estimated")) == (22, None)

    run(test)
