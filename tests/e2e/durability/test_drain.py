"""SIGTERM: no new work, readers may finish until the deadline, the rest is ended honestly and can be resumed.

How long a drain waits, and what it answers meanwhile, is the server's business: that is tried with our own alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.e2e.durability.wire import (
    CHAT,
    DONE,
    OURS,
    Kind,
    ask,
    each_kind,
    events,
    get,
    log_of,
    process,
    question,
    received,
    route,
    run,
    send,
    stopped,
    until,
)
from tests.e2e.harness import MountedProcess, config


class Hasty(MountedProcess):
    """Its server cancels what is open when it is told to stop, as soon as uvicorn can."""

    graceful_s = 1


def settings(drain_s: float) -> str:
    """`drain_s` is for our own server; another one has a deadline of its own."""
    return config(server=f"drain_s = {drain_s}", routes=route("sim*", "sim"))


@each_kind
def test_readers_finish_and_the_exit_code_is_zero(kind: Kind, tmp_path: Path) -> None:
    async def test() -> None:
        async with process(settings(10), tmp_path, kind) as gateway:
            streams = [await ask(gateway, "sim-t100-r150-f5", seed=n) for n in range(10)]
            whole = await send(gateway, "POST", CHAT, question("sim-t50-r100-f0", stream=False))
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
            stream = await ask(gateway, "sim-t200-r100-f0", resume=True)
            gateway.terminate()
            await asyncio.sleep(0.3)
            ready = await get(gateway, "/readyz")
            assert (ready.head.status, ready.json()["code"]) == (503, "draining")
            refused = await send(gateway, "POST", CHAT, question("sim-fast-t5"))
            await refused.read_head()
            await refused.read()
            assert (refused.head.status, refused.json()["error"]["code"]) == (503, "draining")
            assert "retry-after" in refused.head.headers
            assert (await get(gateway, "/healthz")).head.status == 200
            body = await events(gateway, stream.head.response_id, dialect="openai-chat")
            assert body.endswith(DONE), "a reader of what is in flight may come until the end"
            await stream.read()
            assert stream.body.endswith(DONE)
            assert await stopped(gateway) == 0

    run(test)


@pytest.mark.parametrize("kind", [OURS, pytest.param(Hasty, id="mounted")])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_what_is_not_done_at_the_deadline_is_interrupted_and_resumable(number: int, kind: Kind, tmp_path: Path) -> None:
    async def test() -> None:
        async with process(settings(0.5), tmp_path, kind) as gateway:
            chat = await ask(gateway, "sim-t10000-r100-f0", resume=True)
            silent = await send(gateway, "POST", CHAT, question("sim+hang"))
            whole = await send(gateway, "POST", CHAT, question("sim-t10000-r100-f0", stream=False))
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
            assert "Traceback" not in gateway.logs()
            await asyncio.to_thread(gateway.restart)
            response_id = chat.head.response_id
            assert await events(gateway, response_id, dialect="openai-chat") == chat.body
            seen = received(chat.body[: len(chat.body) // 2])
            cursor = int(seen.rsplit(b"id: ", 1)[1].split(b"\n")[0])
            assert seen + await events(gateway, response_id, dialect="openai-chat", after=cursor) == chat.body
            terminal = (await log_of(gateway, response_id))[-1]
            assert (terminal["code"], terminal["retryable"]) == ("interrupted", True)

    run(test)


def test_socket_that_a_stopping_server_closes_leaves_its_response_interrupted(tmp_path: Path) -> None:
    """uvicorn closes WebSockets at once, whatever it waits for otherwise. Our own server drains before it does."""

    async def test() -> None:
        async with process(settings(10), tmp_path, MountedProcess) as gateway:
            url = gateway.url.replace("http:", "ws:") + "/v1/responses"
            async with connect(url) as socket:
                await socket.send(json.dumps({"type": "response.create", "model": "sim-t10000-r100-f0", "input": "x"}))
                response_id = json.loads(await socket.recv())["response"]["id"]
                gateway.terminate()
                await socket.wait_closed()
                assert socket.close_code == 1012
            assert await stopped(gateway) == 0
            await asyncio.to_thread(gateway.restart)
            terminal = (await log_of(gateway, response_id))[-1]
            assert (terminal["code"], terminal["retryable"]) == ("interrupted", True)

    run(test)


def test_readers_of_a_replay_finish_too(tmp_path: Path) -> None:
    """A slow reader of an ended answer is a reader like any other."""

    async def test() -> None:
        async with process(settings(10), tmp_path) as gateway:
            first = await ask(gateway, "sim-fast-t30000")
            await first.read()
            replay = await send(gateway, "GET", f"/v1/responses/{first.head.response_id}/events?dialect=openai-chat")
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
            stream = await ask(gateway, "sim-t60-r100-f0")
            gateway.terminate()
            await asyncio.sleep(0.1)
            gateway.terminate()
            await stream.read()
            assert stream.body.endswith(DONE)
            assert await stopped(gateway) == 0

    run(test)
