"""A disk that is full: readers are cut and never lied to, nothing is generated in vain, and room brings it all back."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from headgate.simulator import Simulator
from tests.e2e.durability.wire import (
    CHAT,
    DONE,
    Exchange,
    Kind,
    ask,
    cursor_of,
    each_kind,
    each_kind_in_soak,
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
    upstream,
)
from tests.e2e.harness import GatewayProcess, MountedProcess, config
from tests.soak import soaking

ENDLESS = "sim-t100000-r200-f0"
ROOMS = range(1_000, 100_000, 3_000) if soaking() else (1_000, 66_000, 70_000, 90_000)
"""Too little for a commit, for the probe, for its end, and enough for all of it."""


@dataclass
class Place:
    gateway: GatewayProcess
    simulator: Simulator

    async def ready(self) -> tuple[int, str]:
        answer = await get(self.gateway, "/readyz")
        return answer.head.status, answer.json().get("code", "")

    async def until_ready(self) -> None:
        async with asyncio.timeout(10):
            while (await self.ready())[0] != 200:
                await asyncio.sleep(0.05)

    @contextmanager
    def full(self, *, room: int = 0) -> Iterator[None]:
        """No file of the process grows beyond what the largest is now, and `room`."""
        largest = max(path.stat().st_size for path in self.gateway.directory.glob("headgate.db*"))
        _, hard = resource.prlimit(self.gateway.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.gateway.pid, resource.RLIMIT_FSIZE, (largest + room, hard))
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(self.gateway.pid, resource.RLIMIT_FSIZE, (hard, hard))


@asynccontextmanager
async def place(directory: Path, kind: Kind, *, durability: str = "commit") -> AsyncIterator[Place]:
    async with await Simulator.start() as simulator:
        settings = config(
            store=f'url = "sqlite:///headgate.db"\ndurability = "{durability}"',
            providers=upstream("sim", simulator.url),
            routes=route("*", "sim"),
        )
        async with process(settings, directory, kind) as gateway:
            yield Place(gateway, simulator)


@pytest.mark.parametrize(
    ("durability", "kind"),
    [("commit", GatewayProcess), ("fsync", GatewayProcess), ("commit", MountedProcess)],
    ids=["commit-served", "fsync-served", "commit-mounted"],
)
def test_full_disk_cuts_readers_stops_the_provider_and_is_recovered_from(
    durability: str, kind: Kind, tmp_path: Path
) -> None:
    async def test() -> None:
        async with place(tmp_path, kind, durability=durability) as here:
            done = await ask(here.gateway, "sim-fast-t20")
            await done.read()
            streams = [await ask(here.gateway, ENDLESS, resume=True, seed=n) for n in range(6)]
            whole = await send(here.gateway, "POST", CHAT, question(ENDLESS, stream=False))
            for stream in streams:
                await stream.read(2_000)
            with here.full():
                await asyncio.gather(*(stream.read() for stream in streams))
                for stream in streams:
                    assert not stream.complete, "cut, without the last chunk"
                    assert DONE not in stream.body
                    assert b'"error"' not in stream.body, "not an end of any kind"
                await until(lambda: here.simulator.stats.open == 0)
                assert here.simulator.stats.aborts == 7, "nobody generates what nobody can keep"
                await whole.read_head()
                await whole.read()
                assert (whole.head.status, whole.json()["error"]["code"]) == (503, "store_unavailable")
                assert await here.ready() == (503, "store_unavailable")
                refused = await ask(here.gateway, "sim-fast-t5")
                await refused.read()
                assert (refused.head.status, refused.json()["error"]["code"]) == (503, "store_unavailable")
                assert refused.head.headers["retry-after"]
                assert (await get(here.gateway, "/healthz")).head.status == 200
                assert await events(here.gateway, done.head.response_id, dialect="openai-chat") == done.body
                await asyncio.sleep(1.5)
                assert await here.ready() == (503, "store_unavailable"), "it does not believe in room that is not there"
            await here.until_ready()
            for stream in streams:
                await ended_as_interrupted(here.gateway, stream)
            again = await ask(here.gateway, "sim-fast-t20")
            await again.read()
            assert again.body.endswith(DONE)
            await asyncio.to_thread(here.gateway.restart)
            for stream in streams:
                await ended_as_interrupted(here.gateway, stream)
            assert await events(here.gateway, again.head.response_id, dialect="openai-chat") == again.body

    run(test)


async def ended_as_interrupted(at: GatewayProcess, stream: Exchange) -> None:
    """What the client saw is there; the rest says what happened."""
    log = await log_of(at, stream.head.response_id)
    assert [event["seq"] for event in log] == list(range(1, len(log) + 1))
    assert (log[-1]["status"], log[-1]["code"], log[-1]["retryable"]) == ("failed", "interrupted", True)
    seen = received(stream.body)
    whole = await events(at, stream.head.response_id, dialect="openai-chat")
    assert whole.startswith(seen)
    rest = await events(at, stream.head.response_id, dialect="openai-chat", after=cursor_of(stream.body))
    assert seen + rest == whole


@each_kind
def test_while_the_disk_is_full_a_response_that_was_cut_is_unavailable_and_not_unknown(
    kind: Kind, tmp_path: Path
) -> None:
    """A client that comes back at once must not be told that what it was just reading does not exist."""

    async def test() -> None:
        async with place(tmp_path, kind) as here:
            stream = await ask(here.gateway, ENDLESS, resume=True)
            await stream.read(2_000)
            with here.full():
                await stream.read()
                path = f"/v1/responses/{stream.head.response_id}"
                for target in (path, f"{path}/events?after=3"):
                    answer = await get(here.gateway, target)
                    assert answer.head.status != 404, answer.body
                    assert answer.head.status in (200, 503)

    run(test)


@each_kind_in_soak
def test_disk_that_fills_up_little_by_little_is_recovered_from_at_every_point(kind: Kind, tmp_path: Path) -> None:
    """Wherever in a commit, a probe or a recovery the room ends, more room brings the gateway back."""

    async def test() -> None:
        async with place(tmp_path, kind) as here:
            for room in ROOMS:
                stream = await ask(here.gateway, ENDLESS, resume=True, seed=room)
                await stream.read(500)
                with here.full():
                    await stream.read()
                    assert (await here.ready())[0] == 503
                with here.full(room=room):
                    await asyncio.sleep(0.7)  # it looks twice a second
                await here.until_ready()
                await ended_as_interrupted(here.gateway, stream)

    run(test, within_s=600)


@each_kind_in_soak
def test_it_is_not_ready_before_what_was_cut_has_its_end(kind: Kind, tmp_path: Path) -> None:
    """Writes are taken again, but the journal cannot be read: it says so, and tries again until it can."""

    async def test() -> None:
        async with place(tmp_path, kind) as here:
            stream = await ask(here.gateway, ENDLESS, resume=True)
            await stream.read(2_000)
            with contextlib.closing(sqlite3.connect(tmp_path / "headgate.db", isolation_level=None)) as store:
                with here.full():
                    await stream.read()
                    row, entries = store.execute("SELECT id, entries FROM journal ORDER BY id DESC LIMIT 1").fetchone()
                    store.execute("UPDATE journal SET entries = x'c1' WHERE id = ?", (row,))
                await asyncio.sleep(1.2)
                assert await here.ready() == (503, "store_unavailable")
                store.execute("UPDATE journal SET entries = ? WHERE id = ?", (entries, row))
            await here.until_ready()
            await ended_as_interrupted(here.gateway, stream)

    run(test)


@each_kind
def test_gateway_that_is_stopped_while_the_disk_is_full_ends_and_recovers_at_its_start(
    kind: Kind, tmp_path: Path
) -> None:
    async def test() -> None:
        async with place(tmp_path, kind) as here:
            stream = await ask(here.gateway, ENDLESS, resume=True)
            await stream.read(2_000)
            with here.full():
                await stream.read()
                here.gateway.terminate()
                assert await stopped(here.gateway) == 0
            await asyncio.to_thread(here.gateway.restart)
            await ended_as_interrupted(here.gateway, stream)

    run(test)


@each_kind_in_soak
def test_failed_commit_is_counted_once_however_long_the_disk_stays_full(kind: Kind, tmp_path: Path) -> None:
    async def test() -> None:
        async with place(tmp_path, kind) as here:
            stream = await ask(here.gateway, ENDLESS, resume=True)
            await stream.read(500)
            with here.full():
                await stream.read()
                await asyncio.sleep(1.1)
                metrics = (await get(here.gateway, "/metrics")).body.decode()
            [line] = [x for x in metrics.splitlines() if x.startswith("headgate_commit_failures_total ")]
            assert float(line.split()[1]) == 1

    run(test)
