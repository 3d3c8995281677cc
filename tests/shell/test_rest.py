"""Between two commits the loop rests where many streams run, and nowhere else."""

from __future__ import annotations

import asyncio

import pytest

from headgate.journal import BEGINNING_NS, GAP_NS, REST_LOGS_MIN
from headgate.log import Log
from tests.shell.scene import HeldStore, Scene, begin, end, run, say, turns, until


def streaming(scene: Scene, count: int) -> list[Log]:
    logs = [scene.log() for _ in range(count)]
    for log in logs:
        begin(log)
    return logs


async def committed(scene: Scene, logs: list[Log]) -> None:
    await until(lambda: all(not log.dirty for log in logs))


def test_after_a_commit_of_many_streams_the_loop_rests_until_the_next_is_due() -> None:
    async def test() -> None:
        rests: list[float] = []
        store = HeldStore()
        scene = Scene(store, rest=rests.append)
        logs = streaming(scene, REST_LOGS_MIN)
        await until(lambda: store.in_flight)
        store.finish()
        for log in logs:
            say(log, "word")
        await until(lambda: store.in_flight)
        store.finish()
        assert not rests, "not before what the readers wrote has left, which is at the end of this turn of the loop"
        await turns(2)
        [rest] = rests
        assert 0 < rest <= GAP_NS / 1e9

    run(test)


def test_what_arrived_during_the_rest_is_committed_at_once_after_it() -> None:
    async def test() -> None:
        store = HeldStore()

        def rest(_: float) -> None:  # it arrives in the kernel; the loop reads it in its next turn
            for log in logs:
                loop.call_soon(say, log, "second")

        loop = asyncio.get_running_loop()
        scene = Scene(store, rest=rest)
        logs = streaming(scene, REST_LOGS_MIN)
        await until(lambda: store.in_flight)
        store.finish()
        for log in logs:
            say(log, "first")
        await until(lambda: store.in_flight)
        store.finish()
        await turns(3)
        [(batch, _)] = store.in_flight
        assert len(batch.entries) == REST_LOGS_MIN

    run(test)


def test_a_rest_in_which_nothing_came_is_the_last() -> None:
    async def test() -> None:
        rests: list[float] = []
        scene = Scene(rest=rests.append)
        logs = streaming(scene, REST_LOGS_MIN)
        await committed(scene, logs)
        for log in logs:
            say(log, "word")
        await asyncio.sleep(10 * GAP_NS / 1e9)
        assert len(rests) == 1
        say(logs[0], "afterwards")
        await committed(scene, logs)

    run(test)


@pytest.mark.parametrize("count", [1, REST_LOGS_MIN - 1])
def test_few_streams_are_never_waited_for(count: int) -> None:
    async def test() -> None:
        rests: list[float] = []
        scene = Scene(rest=rests.append)
        logs = streaming(scene, count)
        for _ in range(5):
            await committed(scene, logs)
            for log in logs:
                say(log, "word")
        await asyncio.sleep(2 * GAP_NS / 1e9)
        assert not rests

    run(test)


def test_no_rest_where_a_response_begins_or_ends() -> None:
    async def test() -> None:
        rests: list[float] = []
        scene = Scene(rest=rests.append)
        logs = streaming(scene, REST_LOGS_MIN)
        await committed(scene, logs)
        for log in logs[1:]:
            say(log, "word")
        end(logs[0])
        await committed(scene, logs)
        await asyncio.sleep(2 * GAP_NS / 1e9)
        assert not rests

    run(test)


def test_no_rest_while_a_request_is_on_its_way_to_its_provider() -> None:
    async def test() -> None:
        rests: list[float] = []
        scene = Scene(rest=rests.append)
        logs = streaming(scene, REST_LOGS_MIN)
        await committed(scene, logs)
        begin(scene.log(), lazy=True)
        for log in logs:
            say(log, "word")
        await committed(scene, logs)
        await turns(3)
        assert not rests
        await asyncio.sleep(2 * BEGINNING_NS / 1e9)
        for log in logs:
            say(log, "word")
        await committed(scene, logs)
        await turns(3)
        assert len(rests) == 1, "it waits for its provider now"

    run(test)


def test_first_output_that_came_with_the_rest_is_committed_and_flush_ends() -> None:
    async def test() -> None:
        scene = Scene(rest=lambda _: None)
        logs = streaming(scene, REST_LOGS_MIN)
        await committed(scene, logs)
        for log in logs:
            say(log, "word")
        await committed(scene, logs)
        fresh = scene.log()
        begin(fresh)
        await scene.journal.flush()
        assert fresh.committed_seq == 3

    run(test)
