"""kill -9 at any moment: whatever a client saw is still there, under the same seq, byte for byte."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.durability.wire import (
    DONE,
    Exchange,
    Kind,
    ask,
    each_kind,
    events,
    get,
    log_of,
    process,
    received,
    run,
    send,
    uncommented,
)
from tests.e2e.harness import GatewayProcess, MountedProcess, config
from tests.soak import soaking

STREAMS = 24
KILLS = 200 if soaking() else 6
SUCCESS_MARKS = (b"[DONE]", b'"finish_reason":"', b"response.completed")


@dataclass
class Watched:
    """One response and everything its clients saw before the kill."""

    response_id: str
    chat: bytes
    native: bytes = b""
    finished: bool = False


@dataclass
class Round:
    """The clients between a start and a kill."""

    seed: int
    watched: list[Watched] = field(default_factory=list)
    _open: list[tuple[Exchange, Exchange | None]] = field(default_factory=list)

    async def client(self, at: GatewayProcess, number: int, dice: random.Random) -> None:
        """Stream an answer; every third client also follows it in the native dialect."""
        tokens, rate = dice.choice([(5, 0), (40, 200), (400, 300), (4000, 2000)])
        exchange: Exchange | None = None
        native: Exchange | None = None
        reading: asyncio.Task[bytes] | None = None
        try:
            await asyncio.sleep(dice.random() * 0.3)
            exchange = await ask(at, f"sim-t{tokens}-r{rate}-f5", seed=self.seed * 1000 + number, resume=True)
            if number % 3 == 0:
                native = await send(at, "GET", f"/v1/responses/{exchange.head.response_id}/events")
                await native.read_head()
                reading = asyncio.create_task(native.read())
            await exchange.read()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the kill
        if reading is not None:
            await reading
        if exchange is not None and exchange.head.status == 200:
            watched = Watched(exchange.head.response_id, received(exchange.body))
            watched.native = received(native.body) if native is not None else b""
            watched.finished = exchange.body.endswith(DONE)
            self.watched.append(watched)


async def check(at: GatewayProcess, watched: Watched) -> tuple[bytes, bytes]:
    """Compare what was seen with what is there; returns what is there, in both dialects."""
    chat = await events(at, watched.response_id, dialect="openai-chat")
    native = await events(at, watched.response_id)
    assert chat.startswith(watched.chat), "what the client saw is gone or changed"
    assert native.startswith(watched.native), "what the native reader saw is gone or changed"
    log = await log_of(at, watched.response_id)
    assert [event["seq"] for event in log] == list(range(1, len(log) + 1))
    assert [event["type"] for event in log].count("terminal") == 1
    terminal = log[-1]
    if watched.finished:
        assert terminal["status"] == "completed"
        assert chat == watched.chat
    elif terminal["status"] != "completed":  # an end that was committed but not yet seen is an end
        assert (terminal["status"], terminal["code"], terminal["retryable"]) == ("failed", "interrupted", True)
        assert not any(mark in chat for mark in SUCCESS_MARKS)
        assert b'"code":"interrupted"' in chat.rsplit(b"data: ", 1)[1]
        if any(event["type"] == "delta" for event in log):
            assert [event["estimated"] for event in log if event["type"] == "usage"] == [True]
    shown = (await get(at, f"/v1/responses/{watched.response_id}")).json()
    assert shown["status"] == ("completed" if terminal["status"] == "completed" else "failed")
    return chat, native


@pytest.mark.parametrize(
    ("durability", "kind", "kills"),
    [
        ("commit", GatewayProcess, KILLS),
        ("fsync", GatewayProcess, max(KILLS // 5, 2)),
        ("commit", MountedProcess, KILLS if soaking() else 2),
    ],
    ids=["commit-served", "fsync-served", "commit-mounted"],
)
def test_whatever_a_client_saw_survives_every_kill(durability: str, kind: Kind, kills: int, tmp_path: Path) -> None:
    seed = 8642

    async def test() -> None:
        store = f'url = "sqlite:///headgate.db"\ndurability = "{durability}"'
        everything: dict[str, tuple[bytes, bytes]] = {}
        interrupted = 0
        async with process(config(store=store), tmp_path, kind) as gateway:
            for number in range(kills):
                dice = random.Random(seed + number)
                round_ = Round(seed + number)
                clients = [
                    asyncio.create_task(round_.client(gateway, n, random.Random(dice.random()))) for n in range(STREAMS)
                ]
                await asyncio.sleep(0.05 + dice.random() * 0.6)
                await asyncio.to_thread(gateway.kill)
                await asyncio.gather(*clients)
                await asyncio.to_thread(gateway.restart)
                for watched in round_.watched:
                    try:
                        everything[watched.response_id] = await check(gateway, watched)
                    except AssertionError as error:
                        raise AssertionError(f"seed {seed}, kill {number}: {error}") from error
                    interrupted += not watched.finished
                for response_id in dice.sample(sorted(everything), min(10, len(everything))):
                    chat, native = everything[response_id]
                    assert await events(gateway, response_id, dialect="openai-chat") == chat, f"seed {seed}"
                    assert await events(gateway, response_id) == native, f"seed {seed}"
        assert interrupted > kills, "the kills hit something"

    run(test, within_s=3600 if soaking() else 120)


@each_kind
def test_resumed_client_reads_on_after_the_kill_and_learns_of_it(kind: Kind, tmp_path: Path) -> None:
    async def test() -> None:
        async with process(config(), tmp_path, kind) as gateway:
            exchange = await ask(gateway, "sim-t1000-r100-f5", resume=True)
            await exchange.read(5_000)
            await asyncio.to_thread(gateway.kill)
            await exchange.read()
            assert not exchange.complete, "a killed gateway never looks like an end"
            seen = received(exchange.body)
            await asyncio.to_thread(gateway.restart)
            response_id = exchange.head.response_id
            cursor = max(int(line[4:]) for line in seen.split(b"\n") if line.startswith(b"id: "))
            rest = await events(gateway, response_id, dialect="openai-chat", after=cursor)
            assert seen + rest == await events(gateway, response_id, dialect="openai-chat")
            assert rest.endswith(b'"code":"interrupted"}}\n\n')
            terminal = (await log_of(gateway, response_id))[-1]
            headers = {"Last-Event-ID": str(terminal["seq"])}
            over = await get(gateway, f"/v1/responses/{response_id}/events", headers=headers)
            assert over.head.status == 204
            assert uncommented(over.body) == b""

    run(test)
