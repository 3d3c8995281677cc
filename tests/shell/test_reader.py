"""A reader writes every event after its cursor once and in order, whether it is at the tail, behind, or late."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from headgate.dialects import StreamEncoder
from headgate.dialects.headgate import NATIVE
from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.errors import StoreError
from headgate.events import Delta, Entry, PartKind, Released, Retracted
from headgate.log import Log
from headgate.reader import PAGE_ROWS, Broken, StreamReader, WholeReader
from tests.shell.scene import ENDING, HeldStore, Scene, begin, beginning, end, run, say, turns, until

WORDS = ("The ", "mayor ", "of ", "Oslo ", "answers ", "létters", ".")


class Bucket:
    """A sink in memory that the test may stop."""

    def __init__(self) -> None:
        self.paused = False
        self.data = b""
        self.largest = 0
        self.ended = False
        self._open = asyncio.Event()
        self._open.set()

    def write(self, data: bytes) -> None:
        assert data, "an empty chunk would end a chunked body"
        assert not self.paused, "written to while paused"
        self.data += data
        self.largest = max(self.largest, len(data))

    async def flush(self) -> None:
        await self._open.wait()

    async def end(self) -> None:
        await self.flush()
        self.ended = True

    def abort(self) -> None: ...

    def pause(self, paused: bool) -> None:
        self.paused = paused
        self._open.clear() if paused else self._open.set()


def reader_of(scene: Scene, log: Log, encoder: StreamEncoder | None = None, **options: object) -> StreamReader:
    heartbeat = options.pop("heartbeat", b": ping\n\n")
    assert isinstance(heartbeat, bytes)
    return StreamReader(
        log,
        encoder or NATIVE.encoder(),
        heartbeat=heartbeat,
        read_rows=scene.store.read,
        **options,  # type: ignore[arg-type]
    )


async def read_all(scene: Scene, log: Log, encoder: StreamEncoder | None = None, **options: object) -> bytes:
    """What a reader of an ended log gets."""
    reader, bucket = reader_of(scene, log, encoder, **options), Bucket()
    reader.attach()
    await reader.run(bucket)
    reader.detach()
    return bucket.data


@asynccontextmanager
async def following(reader: StreamReader, bucket: Bucket) -> AsyncIterator[asyncio.Task[None]]:
    """The reader runs beside the test, and must end with it."""
    reader.attach()
    task = asyncio.create_task(reader.run(bucket))
    await turns()
    yield task
    async with asyncio.timeout(5):
        await task
    reader.detach()


async def told(scene: Scene, *, words: Sequence[str] = WORDS) -> Log:
    """A finished log, one commit for each word."""
    log = scene.log()
    begin(log)
    for word in words:
        say(log, word)
        await scene.journal.flush()
    end(log)
    await scene.journal.flush()
    return log


def frames(data: bytes) -> list[bytes]:
    return [frame + b"\n\n" for frame in data.split(b"\n\n")[:-1]]


def ids(data: bytes) -> list[int]:
    return [int(line[4:]) for line in data.split(b"\n") if line.startswith(b"id: ")]


def test_reader_that_was_there_first_gets_everything_from_the_tail() -> None:
    async def test() -> None:
        store = HeldStore()
        scene = Scene(store)
        log = scene.log()
        reader, bucket = reader_of(scene, log), Bucket()
        async with following(reader, bucket):
            for step in (begin, lambda log: say(log, "Hello"), end):
                step(log)
                await until(lambda: store.in_flight)
                before = bucket.data
                await turns()
                assert bucket.data == before, "nothing before the commit"
                store.finish()
                assert bucket.data != before, "written by the commit itself, not by a task later"
        assert ids(bucket.data) == list(range(1, log.committed_seq + 1))
        assert store.reads == 0, "a reader at the tail never asks the store"
        assert bucket.data == await read_all(scene, log)

    run(test)


def test_frames_made_before_the_sink_is_there_come_first_and_once() -> None:
    async def test() -> None:
        scene = Scene()
        log = scene.log()
        reader, bucket = reader_of(scene, log), Bucket()
        reader.attach()
        begin(log)
        say(log, "early")
        await scene.journal.flush()
        assert await reader.opened(5)
        task = asyncio.create_task(reader.run(bucket))
        await turns()
        say(log, "late")
        end(log)
        await task
        assert ids(bucket.data) == list(range(1, log.committed_seq + 1))

    run(test)


@pytest.mark.parametrize("dialect", [NATIVE, OPENAI_CHAT], ids=["headgate", "openai-chat"])
def test_head_that_leaves_before_any_token_is_followed_by_the_whole_stream(dialect: object) -> None:
    """The wait for a first token timed out: what was committed until then has frames in one dialect and none in another."""

    async def test() -> None:
        scene = Scene()
        log = scene.log()
        chat = dialect is OPENAI_CHAT
        encoder: StreamEncoder = OPENAI_CHAT.encoder() if chat else NATIVE.encoder()
        reader, bucket = reader_of(scene, log, encoder), Bucket()
        reader.attach()
        started, attempt, part = beginning(log)
        log.append([started, attempt], 1, lazy=True)
        await scene.journal.flush()
        assert not await reader.opened(0.01)
        task = asyncio.create_task(reader.run(bucket))
        await turns()
        log.append([part, Delta(0, 0, "at last")], 2)
        end(log)
        await task
        assert b"at last" in bucket.data
        assert bucket.data == await read_all(scene, log, OPENAI_CHAT.encoder() if chat else NATIVE.encoder())

    run(test)


def test_wait_for_the_first_token_ends_with_time_client_terminal_or_store() -> None:
    async def test() -> None:
        scene = Scene()
        silent, failed, gone, lost = (scene.log() for _ in range(4))
        readers = [reader_of(scene, log) for log in (silent, failed, gone, lost)]
        for reader in readers:
            reader.attach()
        assert not await readers[0].opened(0.005)
        begin(failed)
        end(failed)
        await scene.journal.flush()
        assert await readers[1].opened(5)
        waiting = asyncio.create_task(readers[2].opened(5))
        await turns()
        readers[2].disconnect()
        await waiting
        assert readers[2].lost
        waiting = asyncio.create_task(readers[3].opened(5))
        await turns()
        lost.broken()
        with pytest.raises(Broken):
            await waiting

    run(test)


def test_slow_sink_catches_up_from_the_store_and_loses_nothing() -> None:
    async def test() -> None:
        store = HeldStore()
        scene = Scene(store)
        log = scene.log()
        reader, bucket = reader_of(scene, log), Bucket()
        async with following(reader, bucket):
            begin(log)
            await until(lambda: store.in_flight)
            store.finish()
            bucket.pause(True)
            for n in range(3 * PAGE_ROWS):
                say(log, f"{n} ")
                await until(lambda: store.in_flight)
                store.finish()
            assert ids(bucket.data) == [1, 2, 3], "nothing is written to a sink that is paused"
            assert not reader._held, "and nothing is queued for it"
            bucket.pause(False)
            await until(lambda: reader.cursor == log.committed_seq)
            behind = store.reads
            assert behind >= 3, "page by page"
            say(log, "tail")
            end(log)
            await until(lambda: store.in_flight)
            store.finish()
        assert store.reads == behind, "at the tail again"
        assert ids(bucket.data) == list(range(1, log.committed_seq + 1))

    run(test)


def test_reader_that_is_far_behind_takes_one_page_at_a_time() -> None:
    async def test() -> None:
        scene = Scene()
        log = await told(scene, words=["x" * 100] * (4 * PAGE_ROWS))
        asked: list[int] = []

        async def read(number: int, rows: Sequence[int]) -> list[tuple[int, list[Entry]]]:
            asked.append(len(rows))
            return await scene.store.read(number, rows)

        reader = StreamReader(log, NATIVE.encoder(), heartbeat=b"", read_rows=read)
        bucket = Bucket()
        reader.attach()
        await reader.run(bucket)
        assert max(asked) <= PAGE_ROWS
        assert sum(asked) == len(log.rows), "each row once"
        assert ids(bucket.data) == list(range(1, log.committed_seq + 1))

    run(test)


def test_sink_that_stops_in_the_middle_of_catching_up_is_not_overrun() -> None:
    """Rows may be large: once the sink says stop, not even the rest of the page is written to it."""

    async def test() -> None:
        scene = Scene()
        log = await told(scene, words=["x"] * (4 * PAGE_ROWS))
        reader = reader_of(scene, log)

        class Narrow(Bucket):
            def write(self, data: bytes) -> None:
                super().write(data)
                if len(ids(self.data)) % 10 == 0:
                    self.pause(True)

        bucket = Narrow()
        reader.attach()
        task = asyncio.create_task(reader.run(bucket))
        while not task.done():
            await until(lambda: bucket.paused or task.done())
            bucket.pause(False)
        await task
        assert ids(bucket.data) == list(range(1, log.committed_seq + 1))

    run(test)


@pytest.mark.parametrize("dialect", [NATIVE, OPENAI_CHAT], ids=["headgate", "openai-chat"])
def test_resume_at_every_cursor_makes_the_uninterrupted_stream(dialect: object) -> None:
    async def test() -> None:
        scene = Scene()
        log = await told(scene)

        def encoder() -> StreamEncoder:
            made: StreamEncoder = dialect.encoder()  # type: ignore[attr-defined]
            return made

        whole = await read_all(scene, log, encoder())
        one = encoder()
        parts = {0: b""}
        for row in log.rows:
            for _, entries in await scene.store.read(log.number, [row]):
                for entry in entries:
                    for seq, event in enumerate(entry.events, entry.first_seq):
                        parts[seq] = parts[seq - 1] + one.feed(seq, event)
        assert parts[log.committed_seq] == whole
        for cursor, seen in parts.items():
            rest = await read_all(scene, log, encoder(), cursor=cursor)
            assert seen + rest == whole, f"after {cursor}"

    run(test)


def test_late_reader_of_a_live_log_gets_the_past_and_then_the_tail() -> None:
    async def test() -> None:
        scene = Scene()
        log = scene.log()
        begin(log)
        say(log, "past ")
        await scene.journal.flush()
        reader, bucket = reader_of(scene, log, cursor=2), Bucket()
        async with following(reader, bucket):
            assert ids(bucket.data) == [3, 4]
            say(log, "future")
            await scene.journal.flush()
            assert ids(bucket.data) == [3, 4, 5]
            end(log)
        assert ids(bucket.data) == list(range(3, log.committed_seq + 1))

    run(test)


def test_many_readers_with_their_own_pauses_all_get_the_same_bytes() -> None:
    """Readers come at seeded moments, from seeded cursors, and stop and go as they like while the log is written."""
    seed = 4711
    dice = random.Random(seed)

    async def test() -> None:
        scene = Scene()
        log = scene.log()
        running: list[tuple[int, Bucket, asyncio.Task[None]]] = []
        begin(log)
        for n in range(400):
            say(log, f"{n} ")
            if dice.random() < 0.08:
                cursor = dice.randint(0, log.committed_seq)
                reader, bucket = reader_of(scene, log, cursor=cursor), Bucket()
                reader.attach()
                running.append((cursor, bucket, asyncio.create_task(reader.run(bucket))))
            for _, bucket, _ in running:
                if dice.random() < 0.2:
                    bucket.pause(not bucket.paused)
            if dice.random() < 0.5:
                await scene.journal.flush()
            await asyncio.sleep(0)
        end(log)
        await scene.journal.flush()
        for _, bucket, _ in running:
            bucket.pause(False)
        await asyncio.gather(*(task for _, _, task in running))
        whole = frames(await read_all(scene, log))
        for cursor, bucket, _ in running:
            assert frames(bucket.data) == whole[cursor:], f"seed {seed}, cursor {cursor}"

    run(test)


def test_reader_at_the_end_of_an_ended_log_gets_nothing_and_is_done() -> None:
    async def test() -> None:
        scene = Scene()
        log = await told(scene)
        assert await read_all(scene, log, cursor=log.committed_seq) == b""

    run(test)


def test_client_that_goes_away_ends_the_reader() -> None:
    async def test() -> None:
        scene = Scene()
        log = scene.log()
        begin(log)
        reader, bucket = reader_of(scene, log), Bucket()
        async with following(reader, bucket) as task:
            await scene.journal.flush()
            assert not task.done()
            reader.disconnect()

    run(test)


def test_store_failure_cuts_the_reader_at_the_tail_and_behind() -> None:
    async def test() -> None:
        scene = Scene()
        log = scene.log()
        begin(log)
        await scene.journal.flush()
        for lagging in (False, True):
            reader, bucket = reader_of(scene, log), Bucket()
            reader.attach()
            task = asyncio.create_task(reader.run(bucket))
            await turns()
            bucket.pause(lagging)
            log.broken()
            await turns()
            bucket.pause(False)
            with pytest.raises(Broken):
                await task
            reader.detach()

    run(test)


def test_store_that_cannot_be_read_cuts_the_reader() -> None:
    async def test() -> None:
        scene = Scene()
        log = await told(scene)

        async def fail(number: int, rows: Sequence[int]) -> list[tuple[int, list[Entry]]]:
            raise StoreError("unreadable")

        reader = StreamReader(log, NATIVE.encoder(), heartbeat=b"", read_rows=fail)
        reader.attach()
        with pytest.raises(Broken):
            await reader.run(Bucket())

    run(test)


# heartbeats


def test_heartbeats_go_to_silent_streams_only_and_move_nothing() -> None:
    async def test() -> None:
        scene = Scene()
        log = scene.log()
        reader, bucket = reader_of(scene, log, heartbeat=b": ping\n"), Bucket()
        async with following(reader, bucket):
            begin(log)
            await scene.journal.flush()
            before, cursor = bucket.data, reader.cursor
            reader.beat(100.0, 1.0)
            reader.beat(100.9, 1.0)
            assert bucket.data == before, "it was not silent for long enough"
            reader.beat(101.0, 1.0)
            assert bucket.data == before + b": ping\n"
            assert (reader.cursor, log.committed_seq) == (cursor, cursor)
            reader.beat(101.5, 1.0)
            say(log, "x")
            await scene.journal.flush()
            reader.beat(102.2, 1.0)
            reader.beat(103.1, 1.0)
            assert bucket.data.count(b"ping") == 1, "an event counts as a sign of life"
            bucket.pause(True)
            reader.beat(200.0, 1.0)
            assert bucket.data.count(b"ping") == 1, "a client that does not read gets none"
            bucket.pause(False)
            end(log)

    run(test)


def test_no_heartbeat_before_the_head_has_left() -> None:
    async def test() -> None:
        scene = Scene()
        reader = reader_of(scene, scene.log())
        reader.attach()
        reader.beat(1.0, 0.1)
        reader.beat(100.0, 0.1)

    run(test)


# retractions


async def retracting(scene: Scene) -> Log:
    """1-3 begin, 4 'Safe. ', 5-7 taken back at 8, 9 'Good.', end."""
    log = scene.log()
    begin(log, may_retract=True)
    say(log, "Safe. ")
    log.append([Released(4)], 1)  # 5
    say(log, "bad ", "worse ")  # 6 7
    log.append([Retracted(0, 0, 6, 6, "policy", "[removed] ")], 1)  # 8
    say(log, "Good.")  # 9
    end(log)
    await scene.journal.flush()
    return log


def test_reader_that_had_not_seen_a_retracted_range_never_does() -> None:
    async def test() -> None:
        scene = Scene()
        log = await retracting(scene)
        for cursor in range(9):
            data = await read_all(scene, log, cursor=cursor)
            expected = [seq for seq in range(cursor + 1, log.committed_seq + 1) if seq not in (6, 7)]
            assert ids(data) == expected, f"after {cursor}"
            assert b"bad " not in data
            assert b"worse" not in data
            assert (b"retracted" in data) == (cursor < 8)

    run(test)


def test_reader_that_saw_the_range_is_told_that_it_is_taken_back() -> None:
    async def test() -> None:
        store = HeldStore()
        scene = Scene(store)
        log = scene.log()
        reader, bucket = reader_of(scene, log), Bucket()
        async with following(reader, bucket):
            begin(log, may_retract=True)
            say(log, "bad ")
            await until(lambda: store.in_flight)
            store.finish()
            assert b"bad" in bucket.data
            log.append([Retracted(0, 0, 0, 4, "policy", "[removed]")], 1)
            end(log)
            await until(lambda: store.in_flight)
            store.finish()
        assert ids(bucket.data) == list(range(1, log.committed_seq + 1))
        assert b"[removed]" in bucket.data

    run(test)


def test_dialect_that_cannot_retract_follows_only_what_is_verified() -> None:
    async def test() -> None:
        scene = Scene()
        log = scene.log()
        chat: dict[str, object] = {"expresses_retraction": False}
        reader, bucket = reader_of(scene, log, OPENAI_CHAT.encoder(), **chat), Bucket()
        begin(log, may_retract=True)
        async with following(reader, bucket):
            say(log, "Safe. ")
            await scene.journal.flush()
            await turns()
            assert bucket.data == b""
            log.append([Released(4)], 1)  # 5
            await scene.journal.flush()
            await turns()
            assert ids(bucket.data) == [3, 4]
            say(log, "bad ", "worse ")  # 6 7
            await scene.journal.flush()
            await turns()
            assert ids(bucket.data) == [3, 4], "a heartbeat of commits is no verification"
            log.append([Retracted(0, 0, 6, 6, "policy", "[removed] ")], 1)  # 8
            say(log, "Good.")  # 9
            log.append([Released(9)], 1)
            await scene.journal.flush()
            await turns()
            assert b"bad " not in bucket.data
            assert b"[removed] " in bucket.data
            assert ids(bucket.data) == [3, 4, 8, 9]
            end(log)
        assert bucket.data.endswith(b"data: [DONE]\n\n")
        assert bucket.data == await read_all(scene, log, OPENAI_CHAT.encoder(), **chat)

    run(test)


def test_mark_in_the_middle_of_a_commit_stops_a_limited_reader_exactly_there() -> None:
    async def test() -> None:
        scene = Scene()
        log = scene.log()
        chat: dict[str, object] = {"expresses_retraction": False}
        reader, bucket = reader_of(scene, log, OPENAI_CHAT.encoder(), **chat), Bucket()
        log.append([*beginning(log, may_retract=True), *(Delta(0, 0, w) for w in "abcdef"), Released(6)], 1)
        async with following(reader, bucket):
            await scene.journal.flush()
            await turns()
            assert ids(bucket.data) == [3, 4, 5, 6]
            log.append([Released(8)], 1)
            await scene.journal.flush()
            await turns()
            assert ids(bucket.data) == [3, 4, 5, 6, 7, 8]
            end(log)
        assert ids(bucket.data)[-1] == log.committed_seq

    run(test)


# whole answers


def test_whole_reader_folds_everything_and_ends_with_the_terminal() -> None:
    async def test() -> None:
        scene = Scene()
        log = scene.log()
        reader = WholeReader(log)
        reader.attach()
        waiting = asyncio.create_task(reader.ended())
        begin(log)
        for word in WORDS:
            say(log, word)
            await scene.journal.flush()
        assert not waiting.done()
        end(log)
        await waiting
        assert reader.fold.choices[0].parts[0].text == "".join(WORDS)
        assert reader.fold.choices[0].parts[0].kind is PartKind.TEXT
        assert reader.fold.terminal == ENDING[-1]
        reader.detach()
        reader.detach()
        assert log.readers == []

    run(test)


def test_whole_reader_ends_when_the_client_goes_or_the_store_fails() -> None:
    async def test() -> None:
        scene = Scene()
        log = scene.log()
        begin(log)
        gone, broken = WholeReader(log), WholeReader(log)
        for reader in (gone, broken):
            reader.attach()
        waiting = [asyncio.create_task(reader.ended()) for reader in (gone, broken)]
        await turns()
        gone.disconnect()
        await waiting[0]
        log.broken()
        with pytest.raises(Broken):
            await waiting[1]

    run(test)
