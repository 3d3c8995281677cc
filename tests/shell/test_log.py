"""A log numbers, checks and hashes what is appended, and tells its readers what has become visible."""

from __future__ import annotations

import gc
import hashlib
import sys

import pytest

from headgate.errors import LifecycleError
from headgate.events import Delta, Entry, Extra, Opaque, Released, Retracted, Status, Terminal
from headgate.stores import Batch
from tests.shell.scene import HeldStore, Scene, Watcher, begin, beginning, end, run, say, until


def test_events_are_numbered_from_one_without_gaps() -> None:
    async def test() -> None:
        scene = Scene()
        log = scene.log()
        begin(log)
        say(log, "a", "b")
        assert (log.last_seq, log.committed_seq) == (5, 0)
        await scene.journal.flush()
        assert log.committed_seq == 5
        assert len(scene.observer.seen) == 5

    run(test)


def test_illegal_event_is_refused_and_what_was_there_stays() -> None:
    async def test() -> None:
        scene = Scene()
        log = scene.log()
        begin(log)
        with pytest.raises(LifecycleError):
            log.append([Delta(0, 7, "no such part")], 1)
        with pytest.raises(LifecycleError):
            log.append([Terminal(Status.COMPLETED)], 1)
        say(log, "still legal")
        await scene.journal.flush()
        assert scene.observer.text == "still legal"
        assert log.last_seq == log.committed_seq == 4

    run(test)


def test_nothing_is_appended_after_the_terminal() -> None:
    async def test() -> None:
        scene = Scene()
        log = scene.log()
        begin(log)
        end(log)
        assert log.ended
        assert log.terminal is None, "not before it is visible"
        with pytest.raises(LifecycleError):
            say(log, "late")
        with pytest.raises(LifecycleError):
            end(log)
        await scene.journal.flush()
        assert log.terminal is not None

    run(test)


def test_record_is_written_with_the_first_batch_and_with_the_terminal_only() -> None:
    async def test() -> None:
        store = HeldStore()
        scene = Scene(store)
        log = scene.log(owner="app")
        for step in (begin, lambda log: say(log, "a"), lambda log: say(log, "b"), end):
            step(log)
            await until(lambda: store.in_flight)
            store.finish()
        records: list[Batch] = [batch for batch in store.batches if batch.records]
        assert [batch.row for batch in records] == [1, 4]
        first, last = records[0].records[0], records[1].records[0]
        assert (first.terminal, first.rows, first.last_seq, first.first_row) == ("", (), 0, 1)
        assert (last.terminal, last.rows, last.last_seq, last.first_row) == ("completed", (1, 2, 3, 4), 9, 1)
        assert last.owner == "app"

    run(test)


def test_log_opens_with_the_first_semantic_event() -> None:
    async def test() -> None:
        scene = Scene()
        log = scene.log()
        started, attempt, part = beginning(log)
        log.append([started, attempt], 1)
        await scene.journal.flush()
        assert not log.opened
        log.append([Opaque(0, Extra(response={"position": 3}), idle=True)], 1)
        await scene.journal.flush()
        assert not log.opened, "the provider lives, and has said nothing yet"
        log.append([part], 1)
        await scene.journal.flush()
        assert log.opened

    run(test)


def test_hash_and_size_are_those_of_the_text() -> None:
    async def test() -> None:
        log = Scene().log()
        begin(log)
        say(log, "Grü", "ße")
        part = hashlib.sha256("Grüße".encode()).hexdigest()
        assert log.digest() == hashlib.sha256(f"0:0:text:{part}\n".encode()).hexdigest()
        assert log.released_bytes == len("Grüße".encode())

    run(test)


def test_readers_may_leave_while_they_are_told() -> None:
    async def test() -> None:
        scene = Scene()
        log, second = scene.log(), Watcher()

        class Leaver(Watcher):
            def on_commit(self, log: object, entries: object) -> None:
                scene.logs[0].readers.remove(self)

        log.readers += [Leaver(), second]
        begin(log)
        await scene.journal.flush()
        assert second.commits == 1
        assert log.readers == [second]

    run(test)


def test_fault_in_one_reader_stays_its_own() -> None:
    async def test() -> None:
        scene = Scene()
        faulty, fine, neighbour = scene.log(), Watcher(), scene.log()

        class Faulty(Watcher):
            def on_commit(self, log: object, entries: object) -> None:
                raise RuntimeError("a fault in an encoder")

        broken = Faulty()
        faulty.readers += [broken, fine]
        begin(faulty)
        begin(neighbour)
        await scene.journal.flush()
        assert (broken.broken, fine.commits, neighbour.committed_seq) == (1, 1, 3)
        assert faulty.readers == [fine], "it is cut, not asked again"

    run(test)


def test_marks_and_retractions_are_remembered_once_visible() -> None:
    async def test() -> None:
        scene = Scene()
        log = scene.log()
        begin(log, may_retract=True)
        say(log, "a", "b")
        log.append([Released(4), Retracted(0, 0, 1, 5, "why")], 1)
        assert (log.verified_seq, log.retractions) == (0, [])
        await scene.journal.flush()
        assert log.verified_seq == 4
        assert log.retractions == [(7, Retracted(0, 0, 1, 5, "why"))]

    run(test)


def test_replayed_log_goes_on_where_the_journal_ends() -> None:
    async def test() -> None:
        scene = Scene()
        first, again = scene.log(), scene.log()
        again.replay(3, [Entry(1, 1, beginning(first)), Entry(4, 2, (Delta(0, 0, "abc"),))])
        begin(first)
        say(first, "abc")
        assert again.digest() == first.digest()
        assert (again.last_seq, again.committed_seq, again.open_attempt) == (4, 4, 1)
        end(again)
        await scene.journal.flush()
        assert again.record.first_row == 3
        assert again.record.last_seq == 8

    run(test)


def test_memory_of_an_open_log_does_not_grow_with_its_text() -> None:
    async def test() -> None:
        scene = Scene()
        log = scene.log()
        begin(log)
        for _ in range(500):
            say(log, "x" * 1000)
        await scene.journal.flush()
        lists = [value for value in gc.get_referents(log) if isinstance(value, list)]
        assert not [value for value in lists if value], "nothing of the text is kept"
        assert sys.getsizeof(log.rows) < 10_000

    run(test)
