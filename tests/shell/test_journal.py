"""Group commit: readers hear of events only after the store said they are safe, and in as few commits as can be."""

from __future__ import annotations

import asyncio
import time

from headgate.errors import StoreError
from headgate.journal import CONGESTED_ENTRIES, GAP_NS, LAZY_S
from tests.shell.scene import HeldStore, Scene, Watcher, begin, end, run, say, turns, until


def test_nothing_is_visible_before_the_commit_is_done() -> None:
    async def test() -> None:
        store = HeldStore()
        scene = Scene(store)
        log, reader = scene.log(), Watcher()
        log.readers.append(reader)
        begin(log)
        say(log, "secret")
        await until(lambda: store.in_flight)
        assert (reader.seen, log.committed_seq, log.opened) == ([], 0, False)
        assert scene.observer.seen == []
        store.finish()
        assert reader.text == "secret"
        assert (log.committed_seq, log.opened) == (4, True)

    run(test)


def test_flush_waits_for_what_was_appended_before_it_and_not_for_what_comes_after() -> None:
    async def test() -> None:
        store = HeldStore()
        scene = Scene(store)
        busy, mine = scene.log(), scene.log()
        begin(busy)
        await until(lambda: store.in_flight)
        begin(mine)
        flushing = asyncio.ensure_future(scene.journal.flush())
        for _ in range(2):  # the batch on its way, then the one with ours; others go on appending all the time
            assert not flushing.done()
            say(busy, "more")
            store.finish()
            await until(lambda: store.in_flight)
        await turns(2)
        assert flushing.done()
        assert mine.committed_seq

    run(test)


def test_first_append_is_committed_at_once_when_the_journal_was_idle() -> None:
    async def test() -> None:
        store = HeldStore()
        begin(Scene(store).log())
        assert not store.in_flight, "never inside append: the caller's own state must be complete first"
        await turns(2)
        assert len(store.in_flight) == 1

    run(test)


def test_what_arrives_while_a_commit_is_in_flight_makes_the_next_batch() -> None:
    async def test() -> None:
        store = HeldStore()
        scene = Scene(store)
        logs = [scene.log() for _ in range(5)]
        begin(logs[0])
        await until(lambda: store.in_flight)
        for log in logs[1:]:
            begin(log)
            for word in "abc":
                say(log, word)
        await asyncio.sleep(GAP_NS * 3 / 1e9)
        assert len(store.in_flight) == 1, "at most one commit in flight"
        store.finish()
        await until(lambda: store.in_flight)
        [(batch, _)] = store.in_flight
        assert {item.number for item in batch.entries} == {log.number for log in logs[1:]}
        assert len(batch.entries) == 4 * 4
        assert len(batch.records) == 4
        assert [batch.row for batch in store.batches] == [1, 2]

    run(test)


def test_appends_of_one_log_stay_in_order_over_batches() -> None:
    async def test() -> None:
        store = HeldStore()
        scene = Scene(store)
        log, reader = scene.log(), Watcher()
        log.readers.append(reader)
        begin(log)
        for n in range(50):
            say(log, f"{n} ")
            if n % 7 == 0:
                await until(lambda: store.in_flight)
                store.finish()
        end(log)
        while log.terminal is None:
            await until(lambda: store.in_flight)
            store.finish()
        assert reader.text == "".join(f"{n} " for n in range(50))
        entries = [item.entry for batch in store.batches for item in batch.entries]
        seqs = [entry.first_seq + i for entry in entries for i in range(len(entry.events))]
        assert seqs == list(range(1, 3 + 50 + 4 + 1)), "from 1, without gaps"

    run(test)


def test_under_load_commits_keep_their_gap() -> None:
    async def test() -> None:
        scene = Scene()
        log = scene.log()
        begin(log)
        started = time.monotonic_ns()
        while time.monotonic_ns() - started < 30_000_000:
            say(log, "x")
            await asyncio.sleep(0)
        await scene.journal.flush()
        elapsed = time.monotonic_ns() - started
        assert len(scene.commit_seconds) <= elapsed // GAP_NS + 2

    run(test)


def test_lazy_append_waits_for_the_next_commit_but_not_for_ever() -> None:
    async def test() -> None:
        store = HeldStore()
        scene = Scene(store)
        begin(scene.log(), lazy=True)
        await turns()
        assert not store.in_flight
        started = time.monotonic()
        await until(lambda: store.in_flight)
        assert time.monotonic() - started >= LAZY_S / 2
        store.finish()

    run(test)


def test_lazy_append_rides_with_what_its_log_appends_next() -> None:
    async def test() -> None:
        store = HeldStore()
        scene = Scene(store)
        log = scene.log()
        begin(log, lazy=True)
        say(log, "word")
        await turns(2)
        [(batch, _)] = store.in_flight
        assert [item.entry.first_seq for item in batch.entries] == [1, 4]
        store.finish()
        await asyncio.sleep(LAZY_S * 1.5)
        assert len(store.batches) == 1, "the lazy timer has nothing left to do"

    run(test)


def test_lazy_append_is_not_taken_along_by_another_log() -> None:
    """So that an answer that comes at once has one commit, and one record, from its request to its end."""

    async def test() -> None:
        store = HeldStore()
        scene = Scene(store)
        lazy, eager = scene.log(), scene.log()
        begin(lazy, lazy=True)
        begin(eager)
        await until(lambda: store.in_flight)
        assert {item.number for item in store.in_flight[0][0].entries} == {eager.number}
        store.finish()
        await until(lambda: store.in_flight)
        assert {item.number for item in store.in_flight[0][0].entries} == {lazy.number}
        store.finish()

    run(test)


def test_no_commit_starts_while_held_and_everything_goes_when_let_go() -> None:
    async def test() -> None:
        store = HeldStore()
        scene = Scene(store)
        scene.journal.hold(True)
        log, lazy = scene.log(), scene.log()
        begin(log)
        begin(lazy, lazy=True)
        await asyncio.sleep(LAZY_S * 1.5)
        assert not store.in_flight
        scene.journal.hold(False)
        await until(lambda: store.in_flight)
        assert len(store.in_flight[0][0].records) == 2
        store.finish()

    run(test)


def test_hold_during_a_commit_keeps_back_only_the_next_one() -> None:
    async def test() -> None:
        store = HeldStore()
        scene = Scene(store)
        log = scene.log()
        begin(log)
        await until(lambda: store.in_flight)
        scene.journal.hold(True)
        say(log, "later")
        store.finish()
        await asyncio.sleep(GAP_NS * 3 / 1e9)
        assert log.committed_seq == 3
        assert not store.in_flight
        scene.journal.hold(False)
        await until(lambda: store.in_flight)
        store.finish()
        assert log.committed_seq == 4

    run(test)


def test_flush_waits_for_everything_appended_so_far() -> None:
    async def test() -> None:
        store = HeldStore()
        scene = Scene(store)
        log = scene.log()
        begin(log)
        flushing = asyncio.create_task(scene.journal.flush())
        await until(lambda: store.in_flight)
        say(log, "more")
        store.finish()
        await until(lambda: store.in_flight)
        assert not flushing.done()
        store.finish()
        await flushing
        assert log.committed_seq == 4
        await scene.journal.flush()

    run(test)


def test_flush_of_lazy_appends_does_not_wait_for_their_timer() -> None:
    async def test() -> None:
        scene = Scene()
        log = scene.log()
        begin(log, lazy=True)
        started = time.monotonic()
        await scene.journal.flush()
        assert log.committed_seq == 3
        assert time.monotonic() - started < LAZY_S / 2

    run(test)


def test_failed_commit_shows_nothing_and_tells_every_log() -> None:
    async def test() -> None:
        store = HeldStore()
        scene = Scene(store)
        log, other = scene.log(), scene.log()
        reader, bystander = Watcher(), Watcher()
        log.readers.append(reader)
        other.readers.append(bystander)
        begin(log)
        await until(lambda: store.in_flight)
        say(log, "next batch")
        store.finish(StoreError("disk full"))
        assert (reader.seen, reader.broken, bystander.broken) == ([], 1, 1)
        assert str(scene.failures[0]) == "disk full"
        assert scene.journal.failed is scene.failures[0]
        await asyncio.sleep(GAP_NS * 3 / 1e9)
        assert not store.in_flight, "nothing of what was pending is tried again"
        assert log.committed_seq == 0

    run(test)


def test_foreign_exception_of_a_commit_is_a_store_failure_too() -> None:
    async def test() -> None:
        store = HeldStore()
        scene = Scene(store)
        begin(scene.log())
        await until(lambda: store.in_flight)
        store.finish(OSError("gone"))
        assert isinstance(scene.journal.failed, StoreError)

    run(test)


def test_failure_is_told_once_and_flush_does_not_hang_on_it() -> None:
    async def test() -> None:
        store = HeldStore()
        scene = Scene(store)
        log = scene.log()
        begin(log)
        flushing = asyncio.create_task(scene.journal.flush())
        await until(lambda: store.in_flight)
        store.finish(StoreError("first"))
        scene.journal.fail(StoreError("second"))
        await flushing
        await scene.journal.flush()
        assert [str(error) for error in scene.failures] == ["first"]

    run(test)


def test_after_recovery_new_logs_are_committed_and_the_broken_ones_stay_unseen() -> None:
    async def test() -> None:
        store = HeldStore()
        scene = Scene(store)
        lost, reader = scene.log(), Watcher()
        begin(lost)
        await until(lambda: store.in_flight)
        store.finish(StoreError("disk full"))
        scene.journal.recovered()
        fresh = scene.log()
        fresh.readers.append(reader)
        begin(fresh)
        say(fresh, "again")
        await until(lambda: store.in_flight)
        [(batch, _)] = store.in_flight
        assert {item.number for item in batch.entries} == {fresh.number}
        store.finish()
        assert reader.text == "again"
        assert lost.committed_seq == 0

    run(test)


def test_entries_behind_a_slow_commit_count_as_congestion_until_they_move() -> None:
    async def test() -> None:
        store = HeldStore()
        scene = Scene(store)
        log = scene.log()
        begin(log)
        await until(lambda: store.in_flight)
        for _ in range(CONGESTED_ENTRIES + 1):
            say(log, "x")
        assert scene.journal.congested is True
        store.finish()
        await until(lambda: store.in_flight)
        assert bool(scene.journal.congested) is False
        store.finish()

    run(test)
