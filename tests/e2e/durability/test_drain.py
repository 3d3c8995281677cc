"""SIGTERM: no new work, readers may finish until the deadline, the rest is ended honestly and can be resumed."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.e2e.durability.wire import (
    CHAT,
    DONE,
    ask,
    events,
    get,
    log_of,
    process,
    question,
    received,
    run,
    send,
    until,
)
from tests.e2e.harness import GatewayProcess, config


def settings(drain_s: float) -> str:
    return config(server=f"drain_s = {drain_s}")


async def stopped(gateway: GatewayProcess) -> int:
    return await asyncio.to_thread(gateway.wait)


def test_readers_finish_and_the_exit_code_is_zero(tmp_path: Path) -> None:
    async def test() -> None:
        async with process(settings(10), tmp_path) as gateway:
            streams = [await ask(gateway.port, "sim-t100-r150-f5", seed=n) for n in range(10)]
            whole = await send(gateway.port, "POST", CHAT, question("sim-t50-r100-f0", stream=False))
            await asyncio.sleep(0.05)
            gateway.terminate()
            for stream in streams:
                await stream.read()
                assert stream.complete
                assert stream.body.endswith(DONE)
            await whole.read_head()
            await whole.read()
            assert whole.json()["choices"][0]["finish_reason"] == "stop"
            assert await stopped(gateway) == 0

    run(test)


def test_idle_gateway_stops_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with process(settings(30), tmp_path) as gateway:
            gateway.terminate()
            async with asyncio.timeout(3):
                assert await stopped(gateway) == 0

    run(test)


def test_while_draining_it_is_not_ready_and_takes_no_new_work(tmp_path: Path) -> None:
    """Whoever still comes, because a load balancer has not heard yet, is told so; a refused connection tells nothing."""

    async def test() -> None:
        async with process(settings(10), tmp_path) as gateway:
            stream = await ask(gateway.port, "sim-t200-r100-f0", resume=True)
            gateway.terminate()
            await asyncio.sleep(0.3)
            ready = await get(gateway.port, "/readyz")
            assert (ready.head.status, ready.json()["code"]) == (503, "draining")
            refused = await send(gateway.port, "POST", CHAT, question("sim-fast-t5"))
            await refused.read_head()
            await refused.read()
            assert (refused.head.status, refused.json()["error"]["code"]) == (503, "draining")
            assert "retry-after" in refused.head.headers
            assert (await get(gateway.port, "/healthz")).head.status == 200
            body = await events(gateway.port, stream.head.response_id, dialect="openai-chat")
            assert body.endswith(DONE), "a reader of what is in flight may come until the end"
            await stream.read()
            assert stream.body.endswith(DONE)
            assert await stopped(gateway) == 0

    run(test)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_what_is_not_done_at_the_deadline_is_interrupted_and_resumable(number: int, tmp_path: Path) -> None:
    async def test() -> None:
        async with process(settings(0.5), tmp_path) as gateway:
            chat = await ask(gateway.port, "sim-t10000-r100-f0", resume=True)
            silent = await send(gateway.port, "POST", CHAT, question("sim+hang"))
            whole = await send(gateway.port, "POST", CHAT, question("sim-t10000-r100-f0", stream=False))
            reading = asyncio.create_task(chat.read())
            await until(lambda: chat.text)
            os.kill(gateway.pid, number)
            await reading
            assert chat.complete, "it was told, not cut"
            assert b'"code":"interrupted"' in chat.body.rsplit(b"data: ", 1)[1]
            assert DONE not in chat.body
            await silent.read_head()
            assert silent.head.status == 502
            await whole.read_head()
            assert whole.head.status == 502
            assert await stopped(gateway) == 0
            await asyncio.to_thread(gateway.restart)
            response_id = chat.head.response_id
            assert await events(gateway.port, response_id, dialect="openai-chat") == chat.body
            seen = received(chat.body[: len(chat.body) // 2])
            cursor = int(seen.rsplit(b"id: ", 1)[1].split(b"\n")[0])
            assert seen + await events(gateway.port, response_id, dialect="openai-chat", after=cursor) == chat.body
            terminal = (await log_of(gateway.port, response_id))[-1]
            assert (terminal["code"], terminal["retryable"]) == ("interrupted", True)

    run(test)


def test_readers_of_a_replay_finish_too(tmp_path: Path) -> None:
    """A slow reader of an ended answer is a reader like any other."""

    async def test() -> None:
        async with process(settings(10), tmp_path) as gateway:
            first = await ask(gateway.port, "sim-fast-t30000")
            await first.read()
            replay = await send(
                gateway.port, "GET", f"/v1/responses/{first.head.response_id}/events?dialect=openai-chat"
            )
            await replay.read_head()
            await replay.read(1_000)
            gateway.terminate()
            while not replay.complete:
                before = len(replay.body)
                await replay.read(500_000)
                assert len(replay.body) > before, "cut"
                await asyncio.sleep(0.01)
            assert replay.body == first.body
            assert await stopped(gateway) == 0

    run(test)


def test_second_signal_does_not_break_the_drain(tmp_path: Path) -> None:
    async def test() -> None:
        async with process(settings(10), tmp_path) as gateway:
            stream = await ask(gateway.port, "sim-t60-r100-f0")
            gateway.terminate()
            await asyncio.sleep(0.1)
            gateway.terminate()
            await stream.read()
            assert stream.body.endswith(DONE)
            assert await stopped(gateway) == 0

    run(test)
