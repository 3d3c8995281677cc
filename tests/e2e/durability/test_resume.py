"""Cut anywhere, resume with the last id: the pieces make, byte for byte, the stream that was never cut."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.durability.wire import (
    DONE,
    Exchange,
    Kind,
    ask,
    cursor_of,
    each_kind,
    each_kind_in_soak,
    events,
    get,
    process,
    received,
    run,
    send,
    uncommented,
)
from tests.e2e.harness import GatewayProcess, MountedProcess, config
from tests.soak import soaking

CYCLES = 2_000
"""Disconnects and resumes, in every run: they take a few seconds."""
LOGS_AT_ONCE = 16
MODELS = (
    "sim-t600-r600-f5",
    "sim-fast-t900",
    "sim-unicode-t400-r800-f1",
    "sim-tools",
    "sim-reasoning-t300-r600-f1",
    "sim-fast-t60+cut@40",
)
HEARTBEATS = "heartbeat_s = 0.5"


@dataclass(frozen=True)
class Dialect:
    """How a client of a dialect asks to go on, and what of its bytes counts as received."""

    name: str
    query: str

    def received(self, body: bytes) -> bytes:
        if self.name == "ndjson":
            return body[: body.rfind(b"\n") + 1].replace(b"\n\n", b"\n").lstrip(b"\n")
        return received(body)

    def cursor(self, body: bytes) -> int:
        if self.name == "ndjson":
            lines = [line for line in self.received(body).split(b"\n") if line]
            return int(json.loads(lines[-1])["seq"]) if lines else 0
        return cursor_of(body)


NATIVE = Dialect("headgate", "dialect=headgate")
CHAT = Dialect("openai-chat", "dialect=openai-chat")
NDJSON = Dialect("ndjson", "format=ndjson")


async def resume(at: GatewayProcess, response_id: str, dialect: Dialect, cursor: int, dice: random.Random) -> Exchange:
    """Ask for the rest, in one of the two ways; the head has been read when this returns."""
    path, headers = f"/v1/responses/{response_id}/events?{dialect.query}", {}
    if dice.random() < 0.5:
        path += f"&after={cursor}"
    elif cursor:
        headers = {"Last-Event-ID": str(cursor)}
    exchange = await send(at, "GET", path, None, headers)
    await exchange.read_head()
    return exchange


async def cut_and_resume(
    at: GatewayProcess, exchange: Exchange, dialect: Dialect, dice: random.Random
) -> tuple[bytes, int]:
    """Read an answer with cuts at random byte positions. Returns the pieces put together, and how many cuts there were."""
    response_id = exchange.head.response_id
    pieces, cursor, cuts = b"", 0, 0
    while True:
        await exchange.read(int(dice.expovariate(1 / 2_500)))
        if exchange.complete or exchange.head.status == 204:
            return pieces + uncommented(exchange.body), cuts
        cuts += 1
        pieces += dialect.received(exchange.body)
        cursor = max(cursor, dialect.cursor(exchange.body))
        exchange.cut(reset=dice.random() < 0.5)
        exchange = await resume(at, response_id, dialect, cursor, dice)


@pytest.mark.parametrize(
    ("kind", "cycles"),
    [
        pytest.param(GatewayProcess, CYCLES * (10 if soaking() else 1), id="served"),
        pytest.param(MountedProcess, CYCLES * 10 if soaking() else CYCLES // 5, id="mounted"),
    ],
)
def test_two_thousand_cuts_at_random_bytes_lose_and_repeat_nothing(kind: Kind, cycles: int, tmp_path: Path) -> None:
    seed = 13579

    async def one(at: GatewayProcess, number: int) -> int:
        dice = random.Random(seed * 10_000 + number)
        model = MODELS[number % len(MODELS)]
        options = {"stream_options": {"include_usage": True}} if number % 2 else {}
        watching = await ask(at, model, seed=number, resume=True, **options)
        response_id = watching.head.response_id
        uninterrupted = asyncio.create_task(watching.read())
        cuts = 0
        whole: dict[str, bytes] = {}
        for dialect in (CHAT, NATIVE, NDJSON):
            exchange = await resume(at, response_id, dialect, 0, dice)
            whole[dialect.name], made = await cut_and_resume(at, exchange, dialect, dice)
            cuts += made
        await uninterrupted
        assert watching.complete
        where = f"seed {seed}, log {number}, {model}"
        assert whole["openai-chat"] == uncommented(watching.body), where
        assert whole["headgate"] == await events(at, response_id), where
        answer = await get(at, f"/v1/responses/{response_id}/events?format=ndjson")
        assert whole["ndjson"] == answer.body, where
        return cuts

    async def test() -> None:
        cuts = number = 0
        async with process(config(server=HEARTBEATS), tmp_path, kind) as gateway:
            while cuts < cycles:
                batch = range(number, number + LOGS_AT_ONCE)
                cuts += sum(await asyncio.gather(*(one(gateway, n) for n in batch)))
                number += LOGS_AT_ONCE

    run(test, within_s=600)


PATIENT = '[[routes]]\nmodel = "sim*"\nto = ["sim/*"]\n'
"""Without short timeouts: of a hundred that begin at once, a busy machine gives the last its first token after a second."""


@each_kind
def test_creation_that_is_cut_is_resumed_where_it_stopped(kind: Kind, tmp_path: Path) -> None:
    """The first piece comes from the POST itself, cut with the very first bytes and anywhere after them."""
    seed = 24680

    async def one(at: GatewayProcess, number: int) -> None:
        dice = random.Random(seed + number)
        exchange = await ask(at, "sim-t60-r600-f5", seed=number, resume=True)
        response_id = exchange.head.response_id
        pieces, _ = await cut_and_resume(at, exchange, CHAT, dice)
        assert pieces == await events(at, response_id, dialect="openai-chat"), f"seed {seed}, {number}"
        assert pieces.endswith(DONE)

    async def test() -> None:
        async with process(config(routes=PATIENT), tmp_path, kind) as gateway:
            await asyncio.gather(*(one(gateway, number) for number in range(100)))

    run(test)


@each_kind_in_soak
@pytest.mark.parametrize("dialect", [CHAT, NATIVE], ids=lambda dialect: dialect.name)
def test_ten_devices_on_one_response_all_read_the_same(dialect: Dialect, kind: Kind, tmp_path: Path) -> None:
    async def test() -> None:
        async with process(config(), tmp_path, kind) as gateway:
            first = await ask(gateway, "sim-t300-r600-f5", resume=True)
            response_id = first.head.response_id
            dice = random.Random(1)

            async def device() -> bytes:
                await asyncio.sleep(dice.random() * 0.4)
                exchange = await resume(gateway, response_id, dialect, 0, dice)
                await exchange.read()
                return uncommented(exchange.body)

            read = await asyncio.gather(*(device() for _ in range(10)))
            assert set(read) == {await events(gateway, response_id, dialect=dialect.name)}

    run(test)


@each_kind
def test_slow_device_gets_everything_although_the_answer_is_long_over(kind: Kind, tmp_path: Path) -> None:
    """Its reader falls behind, is paused by its transport, and catches up from the store."""

    async def test() -> None:
        async with process(config(), tmp_path, kind) as gateway:
            slow = await ask(gateway, "sim-fast-t40000", resume=True)
            response_id = slow.head.response_id
            assert (await events(gateway, response_id, dialect="openai-chat")).endswith(DONE)
            while not slow.complete:
                await slow.read(200_000)
                await asyncio.sleep(0.001)
            assert uncommented(slow.body) == await events(gateway, response_id, dialect="openai-chat")

    run(test)


@each_kind
def test_devices_that_do_not_read_cost_no_memory(kind: Kind, tmp_path: Path) -> None:
    """Twenty readers far behind a long answer: what they have not taken is in the store, not in the process."""

    async def test() -> None:
        async with process(config(), tmp_path, kind) as gateway:
            first = await ask(gateway, "sim-fast-t40000", resume=True)
            await first.read()
            size = len(first.body)
            before = gateway.resident_bytes()
            path = f"/v1/responses/{first.head.response_id}/events?dialect=openai-chat"
            slow = [await send(gateway, "GET", path) for _ in range(20)]
            for exchange in slow:
                await exchange.read_head()
            await asyncio.sleep(1)
            grown = gateway.resident_bytes() - before
            assert grown < len(slow) * 1_500_000, f"{grown / 1e6:.0f} MB for readers of {size / 1e6:.0f} MB"
            for exchange in slow[::7]:
                await exchange.read()
                assert exchange.body == first.body

    run(test)
