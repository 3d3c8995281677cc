"""Many streams at once: none fails, none is mixed up with another, and a restart under load does not take for ever.

What a restart has to recover is the store's business: that is tried with our own server alone.
"""

from __future__ import annotations

import asyncio
import random
import resource
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.durability.wire import (
    DONE,
    Exchange,
    Kind,
    ask,
    each_kind,
    events,
    log_of,
    process,
    received,
    route,
    run,
)
from tests.e2e.harness import GatewayProcess, config
from tests.soak import soaking

STREAMS = 1_000 if soaking() else 200


@pytest.fixture(autouse=True)
def enough_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@each_kind
def test_a_thousand_streams_at_once_all_complete(kind: Kind, tmp_path: Path) -> None:
    """A thousand under soak, a fifth of that otherwise."""
    tokens = 200 if soaking() else 80

    async def one(at: GatewayProcess, number: int) -> Exchange:
        exchange = await ask(at, f"sim-t{tokens}-r40-f200", seed=number)
        await exchange.read()
        return exchange

    async def test() -> None:
        async with process(config(level="warning", routes=route("sim*", "sim")), tmp_path, kind) as gateway:
            streams = await asyncio.gather(*(one(gateway, number) for number in range(STREAMS)))
            assert Counter(stream.head.status for stream in streams) == {200: STREAMS}
            ends = Counter((stream.complete, stream.body.endswith(DONE)) for stream in streams)
            assert ends == {(True, True): STREAMS}, [stream.body[-300:] for stream in streams if not stream.complete][
                :3
            ]
            ids = [stream.head.response_id for stream in streams]
            assert len(set(ids)) == STREAMS
            for stream, response_id in zip(streams, ids, strict=True):
                assert response_id.removeprefix("resp_").encode() in stream.body
                foreign = {line for line in stream.body.split(b"\n") if b"chatcmpl-" in line}
                assert all(response_id.removeprefix("resp_").encode() in line for line in foreign)
            for stream in random.Random(3).sample(streams, 10):
                kept = await events(gateway, stream.head.response_id, dialect="openai-chat")
                assert kept == stream.body
            assert "Traceback" not in gateway.logs()

    run(test)


def test_restart_after_a_kill_with_many_streams_open_takes_seconds(tmp_path: Path) -> None:
    """Recovery reads every unfinished log: its cost must grow with what was written, not with its square."""

    async def client(at: GatewayProcess, number: int) -> Exchange | None:
        exchange = None
        try:
            exchange = await ask(at, "sim-t10000-r40-f0", seed=number, resume=True)
            await exchange.read()
        except (OSError, asyncio.IncompleteReadError):
            pass
        return exchange

    async def test() -> None:
        async with process(config(level="warning", routes=route("sim*", "sim")), tmp_path) as gateway:
            clients = [asyncio.create_task(client(gateway, n)) for n in range(STREAMS)]
            await asyncio.sleep(4 if soaking() else 2)
            await asyncio.to_thread(gateway.kill)
            streams = [stream for stream in await asyncio.gather(*clients) if stream is not None]
            started = time.monotonic()
            await asyncio.to_thread(gateway.restart)
            took = time.monotonic() - started
            for stream in random.Random(5).sample(streams, 10):
                log = await log_of(gateway, stream.head.response_id)
                assert log[-1]["code"] == "interrupted"
                whole = await events(gateway, stream.head.response_id, dialect="openai-chat")
                assert whole.startswith(received(stream.body))
            assert took < 5, f"{took:.1f} s for {STREAMS} streams"

    run(test, within_s=300)
