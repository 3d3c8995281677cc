"""Every store passes this suite: what is committed is there, in order, for its owner, and goes when it is due."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from headgate.errors import ConfigError, StoreError
from headgate.events import Delta, Entry, Extra, Opaque, PartKind, PartStarted, ResponseStarted, Status, Terminal
from headgate.merkle import Tile
from headgate.stores import (
    TOMBSTONE_S,
    AuditCheckpoint,
    AuditRow,
    Batch,
    Fact,
    JournalEntry,
    Record,
    Store,
    open_store,
    sqlite_file,
)
from headgate.stores.memory import MemoryStore
from headgate.stores.sqlite import SqliteStore, pack_rows, unpack_rows

NOW = 1_780_000_000.0
RETENTION_S = 60.0


@dataclass
class Place:
    """A kind of store, and where it is."""

    kind: str
    directory: Path

    def open(self) -> Store:
        if self.kind == "memory":
            return open_store("memory:", durability="commit")
        return open_store(f"sqlite:///{self.directory}/store.db", durability=self.kind)

    @property
    def durable(self) -> bool:
        return self.kind != "memory"


@pytest.fixture(params=["memory", "commit", "fsync"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(request.param, tmp_path)


Story = Callable[[Store], Awaitable[None]]


def tell(place: Place, *stories: Story) -> None:
    """Run the stories one after the other; a durable store is closed and opened between them."""

    async def run() -> None:
        async with asyncio.timeout(30):
            store = place.open()
            for number, story in enumerate(stories):
                if number and place.durable:
                    await store.close()
                    store = place.open()
                await story(store)
            await store.close()

    asyncio.run(run())


async def commit(store: Store, entries: Sequence[JournalEntry], *records: Record) -> int:
    """One commit, as the journal does it. Returns its row."""
    row = store.next_row
    store.next_row += 1
    done: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    store.commit(Batch(row, list(entries), list(records)), done.set_result)
    error = await done
    if error is not None:
        raise error
    return row


def a_record(store: Store, *, owner: str = "app", row: int | None = None, expires_at: float = 0.0) -> Record:
    """The record of a log that begins in the next row."""
    number = store.next_number
    store.next_number += 1
    return Record(
        number=number,
        id=f"resp_{number:032x}",
        owner=owner,
        created_at=NOW,
        first_row=store.next_row if row is None else row,
        last_seq=0,
        terminal="",
        expires_at=expires_at or NOW + RETENTION_S,
    )


def ended(record: Record, *, last_seq: int, rows: Sequence[int]) -> Record:
    return replace(record, terminal="completed", last_seq=last_seq, rows=tuple(rows))


def text(record: Record, seq: int, *words: str) -> JournalEntry:
    return JournalEntry(record.number, Entry(seq, seq * 10, tuple(Delta(0, 0, word) for word in words)))


def started(record: Record) -> JournalEntry:
    event = ResponseStarted(record.id, record.owner, "openai-chat", "m", int(record.created_at))
    return JournalEntry(record.number, Entry(1, 1, (event,)))


async def finished_log(store: Store, *, rows: int = 3, expires_at: float = 0.0) -> Record:
    """A whole log over that many commits."""
    record = a_record(store, expires_at=expires_at)
    used = [await commit(store, [started(record)], record)]
    used += [await commit(store, [text(record, seq, "word")]) for seq in range(2, rows)]
    record = ended(record, last_seq=rows, rows=[*used, store.next_row])
    last = JournalEntry(record.number, Entry(rows, 1, (Terminal(Status.COMPLETED),)))
    await commit(store, [last], record)
    return record


async def texts(store: Store, record: Record, rows: Sequence[int]) -> list[str]:
    found = []
    for _, entries in await store.read(record.number, rows):
        for entry in entries:
            found += [event.text for event in entry.events if isinstance(event, Delta)]
    return found


async def readable(store: Store, record: Record, row: int) -> bool:
    """Whether a journal row still holds something of the log."""
    try:
        return any(entries for _, entries in await store.read(record.number, [row]))
    except (StoreError, KeyError):
        return False


# what is written is there


def test_entries_come_back_as_they_were_written_also_after_a_restart(place: Place) -> None:
    odd = Opaque(0, Extra(response={"a": [1, None, {"b": "\U0001f600"}]}, choice={}, delta={"c": 1.5}))
    events = (PartStarted(0, 0, PartKind.TOOL_CALL, "call_1", "f"), Delta(0, 0, "é\x00\u2028"), odd)
    kept: list[tuple[Record, int]] = []

    async def write(store: Store) -> None:
        record = a_record(store)
        row = await commit(store, [JournalEntry(record.number, Entry(7, 123_456, events))], record)
        kept.append((record, row))

    async def read(store: Store) -> None:
        record, row = kept[0]
        [(committed_at, entries)] = await store.read(record.number, [row])
        assert entries == [Entry(7, 123_456, events)]
        assert isinstance(committed_at, int)

    tell(place, write, read)


def test_batch_with_several_logs_gives_each_reader_its_own_entries(place: Place) -> None:
    async def story(store: Store) -> None:
        one, two, three = a_record(store), a_record(store), a_record(store)
        entries = [text(one, 2, "a"), text(two, 2, "x"), text(one, 3, "b", "c"), text(two, 3, "y")]
        row = await commit(store, entries, one, two, three)
        assert await texts(store, one, [row]) == ["a", "b", "c"]
        assert await texts(store, two, [row]) == ["x", "y"]
        assert await texts(store, three, [row]) == []

    tell(place, story)


def test_rows_come_back_in_the_order_asked_for(place: Place) -> None:
    async def story(store: Store) -> None:
        record = a_record(store)
        rows = [await commit(store, [text(record, n + 2, str(n))], record) for n in range(20)]
        assert rows == sorted(rows), "rows count upwards"
        assert await texts(store, record, rows) == [str(n) for n in range(20)]
        assert await texts(store, record, rows[5:9]) == ["5", "6", "7", "8"]
        assert await store.read(record.number, []) == []

    tell(place, story)


def test_row_that_is_not_there_is_an_error_and_not_an_empty_answer(place: Place) -> None:
    async def story(store: Store) -> None:
        record = a_record(store)
        row = await commit(store, [text(record, 2, "a")], record)
        with pytest.raises(StoreError):
            await store.read(record.number, [row, row + 1])

    tell(place, story)


def test_record_is_found_by_its_id_with_its_owner_and_its_index(place: Place) -> None:
    kept: list[Record] = []

    async def write(store: Store) -> None:
        open_one = a_record(store, owner="ümlaut")
        await commit(store, [started(open_one)], open_one)
        kept.extend([open_one, await finished_log(store, rows=5)])

    async def find(store: Store) -> None:
        open_one, finished = kept
        assert await store.find(open_one.id) == open_one
        assert await store.find(finished.id) == finished
        assert await store.find("resp_" + "f" * 32) is None
        assert await store.find("' OR 1=1 --") is None
        assert await texts(store, finished, finished.rows) == ["word"] * 3

    tell(place, write, find)


def test_a_record_that_is_written_again_replaces_the_first(place: Place) -> None:
    async def story(store: Store) -> None:
        record = a_record(store)
        row = await commit(store, [started(record)], record)
        end = ended(record, last_seq=2, rows=[row, row + 1])
        await commit(store, [text(record, 2, "a")], end)
        assert await store.find(record.id) == end

    tell(place, story)


def test_unfinished_logs_are_listed_with_exactly_their_rows(place: Place) -> None:
    kept: list[tuple[Record, list[int]]] = []

    async def write(store: Store) -> None:
        await finished_log(store)
        first, second = a_record(store), a_record(store)
        rows: dict[int, list[int]] = {first.number: [], second.number: []}
        shared = await commit(store, [started(first), started(second)], first, second)
        only_first = await commit(store, [text(first, 2, "a")])
        await finished_log(store)
        both = await commit(store, [text(second, 2, "b"), text(first, 3, "c")])
        rows[first.number] += [shared, only_first, both]
        rows[second.number] += [shared, both]
        kept.extend([(first, rows[first.number]), (second, rows[second.number])])

    async def recover(store: Store) -> None:
        found = await store.unfinished()
        assert sorted(found, key=lambda item: item[0].number) == kept

    async def write_and_recover(store: Store) -> None:
        await write(store)
        await recover(store)

    tell(place, write_and_recover, recover) if place.durable else tell(place, write_and_recover)


def test_numbers_of_a_reopened_store_go_on_after_those_it_holds(tmp_path: Path) -> None:
    kept: list[int] = []

    async def write(store: Store) -> None:
        record = await finished_log(store, rows=6)
        kept.extend([record.number, max(record.rows)])

    async def again(store: Store) -> None:
        assert store.next_number > kept[0]
        assert store.next_row > kept[1]

    tell(Place("commit", tmp_path), write, again)


# what is due goes


def test_expired_log_leaves_a_tombstone_with_its_owner(place: Place) -> None:
    kept: list[Record] = []

    async def expire(store: Store) -> None:
        record = await finished_log(store)
        kept.append(record)
        assert await store.expire(record.expires_at - 1, store.next_row) == 0
        assert await store.find(record.id) == record
        assert await store.expire(record.expires_at, store.next_row) == 1
        assert await store.expire(record.expires_at, store.next_row) == 0, "it is counted once"

    async def tombstone(store: Store) -> None:
        found = await store.find(kept[0].id)
        assert found is not None
        assert found.expired
        assert found.rows == ()
        assert found.owner == "app"

    tell(place, expire, tombstone)


def test_tombstone_is_gone_when_nobody_can_ask_for_it_any_more(place: Place) -> None:
    async def story(store: Store) -> None:
        record = await finished_log(store)
        await store.expire(record.expires_at, store.next_row)
        await store.expire(record.expires_at + TOMBSTONE_S + 1, store.next_row)
        assert await store.find(record.id) is None

    tell(place, story)


def test_rows_of_an_expired_log_are_deleted(place: Place) -> None:
    async def story(store: Store) -> None:
        record = await finished_log(store, rows=10)
        await store.expire(record.expires_at, store.next_row)
        assert not [row for row in record.rows if await readable(store, record, row)]

    tell(place, story)


def test_one_expiry_deletes_every_row_that_nobody_needs(place: Place) -> None:
    """A gateway writes up to 500 rows a second and looks every 30 s: what one look leaves over piles up for ever."""
    if place.kind == "fsync":
        pytest.skip("as commit, with 20,000 fsyncs")

    async def story(store: Store) -> None:
        record = await finished_log(store, rows=20_000)
        await store.expire(record.expires_at, store.next_row)
        left = [row for row in record.rows[::100] if await readable(store, record, row)]
        assert not left, f"{len(left)} of {len(record.rows[::100])} sampled rows are still there"

    tell(place, story)


def test_an_open_log_never_expires_however_old_it_is(place: Place) -> None:
    async def story(store: Store) -> None:
        record = a_record(store, expires_at=NOW + 1)
        row = await commit(store, [started(record), text(record, 2, "a")], record)
        assert await store.expire(NOW + 1e6, row) == 0
        assert await texts(store, record, [row]) == ["a"]
        found = await store.find(record.id)
        assert found is not None
        assert not found.expired

    tell(place, story)


def test_rows_a_live_log_needs_are_kept_although_the_store_does_not_know_it_yet(place: Place) -> None:
    """The record of a log is written with its first row, but the caller's own floor counts too."""

    async def story(store: Store) -> None:
        dead = await finished_log(store, rows=4)
        keep_from = store.next_row
        row = await commit(store, [JournalEntry(999, Entry(1, 1, (Delta(0, 0, "kept"),)))])
        await store.expire(dead.expires_at, keep_from)
        [(_, [entry])] = await store.read(999, [row])
        assert entry.events == (Delta(0, 0, "kept"),)
        assert not await readable(store, dead, dead.rows[0])

    tell(place, story)


def test_among_interleaved_logs_only_what_expired_goes(place: Place) -> None:
    """Logs that begin, grow and end between each other, in a seeded order; at every expiry the living are whole."""
    seed = 20260
    dice = random.Random(seed)

    async def story(store: Store) -> None:
        live: dict[int, tuple[Record, list[int]]] = {}
        whole: list[Record] = []
        for step in range(300):
            records: list[Record] = []
            entries: list[JournalEntry] = []
            row = store.next_row
            if dice.random() < 0.3 or not live:
                record = a_record(store, expires_at=NOW + step + dice.randrange(50))
                live[record.number] = (record, [])
                records.append(record)
            for number, (record, rows) in list(live.items()):
                if dice.random() < 0.5 or record in records:
                    entries.append(text(record, len(rows) + 1, f"{number}:{len(rows)}"))
                    rows.append(row)
                    if dice.random() < 0.1:
                        end = ended(record, last_seq=len(rows), rows=rows)
                        records = [r for r in records if r.number != number] + [end]
                        whole.append(end)
                        del live[number]
            if entries:
                await commit(store, entries, *records)
            if step % 25 == 24:
                await store.expire(NOW + step, min((rows[0] for _, rows in live.values()), default=store.next_row))
                kept = [*((record, rows) for record, rows in live.values())]
                kept += [(record, list(record.rows)) for record in whole if record.expires_at > NOW + step]
                for record, rows in kept:
                    expected = [f"{record.number}:{n}" for n in range(len(rows))]
                    assert await texts(store, record, rows) == expected, f"seed {seed}, step {step}"
                for record in whole:
                    found = await store.find(record.id)
                    assert found is not None
                    assert found.expired == (record.expires_at <= NOW + step), f"seed {seed}, step {step}"

    tell(place, story)


# facts


def a_fact(key: str, state: str = "open", at: float = NOW, *, kind: str = "review", body: bytes = b"{}") -> Fact:
    return Fact(kind, key, state, at, body)


def test_fact_comes_back_as_it_was_written_also_after_a_restart(place: Place) -> None:
    odd = a_fact("ümlaut ' key", at=NOW + 0.125, body=b"\x00\xff{}")

    async def write(store: Store) -> None:
        assert await store.put_fact(odd)

    async def read(store: Store) -> None:
        assert await store.fact("review", odd.key) == odd
        assert await store.fact("policy", odd.key) is None, "kinds are apart"
        assert await store.fact("review", "' OR 1=1 --") is None

    tell(place, write, read)


def test_fact_without_expectation_takes_the_place_of_what_is_there(place: Place) -> None:
    async def story(store: Store) -> None:
        assert await store.put_fact(a_fact("a"))
        after = a_fact("a", "done", NOW + 1, body=b"2")
        assert await store.put_fact(after)
        assert await store.fact("review", "a") == after
        assert await store.count_facts("review") == 1

    tell(place, story)


def test_of_two_who_expect_the_same_state_one_writes(place: Place) -> None:
    async def story(store: Store) -> None:
        await store.put_fact(a_fact("a"))
        mine, yours = (a_fact("a", "claimed", NOW + 1, body=who) for who in (b"mine", b"yours"))
        done = await asyncio.gather(store.put_fact(mine, expected="open"), store.put_fact(yours, expected="open"))
        assert sorted(done) == [False, True]
        assert await store.fact("review", "a") == (mine if done[0] else yours)

    tell(place, story)


def test_fact_that_must_be_new_is_refused_where_there_is_one_and_the_other_way_round(place: Place) -> None:
    async def story(store: Store) -> None:
        assert not await store.put_fact(a_fact("a"), expected="open"), "there is none"
        assert await store.fact("review", "a") is None
        assert await store.put_fact(a_fact("a"), expected="")
        assert not await store.put_fact(a_fact("a", "done"), expected="")
        assert await store.put_fact(a_fact("a", "other"), expected="open")
        assert not await store.put_fact(a_fact("a", "done"), expected="open")
        assert await store.fact("review", "a") == a_fact("a", "other")

    tell(place, story)


def test_facts_are_listed_by_time_and_key_and_counted(place: Place) -> None:
    async def write(store: Store) -> None:
        for key, state, at in (("d", "open", 2), ("b", "open", 1), ("a", "done", 1), ("c", "open", 1)):
            await store.put_fact(a_fact(key, state, NOW + at))
        await store.put_fact(a_fact("x", kind="policy"))

    async def read(store: Store) -> None:
        assert [fact.key for fact in await store.facts("review", limit=10)] == ["a", "b", "c", "d"]
        assert [fact.key for fact in await store.facts("review", state="open", limit=10)] == ["b", "c", "d"]
        assert await store.facts("review", state="lost", limit=10) == []
        counts = [await store.count_facts("review", state) for state in ("open", "done", "lost", None)]
        assert counts == [3, 1, 0, 4]

    tell(place, write, read)


def test_facts_are_paged_without_gaps_or_repeats(place: Place) -> None:
    async def story(store: Store) -> None:
        for n in range(23):
            await store.put_fact(a_fact(f"k{n:02}", "even" if n % 2 == 0 else "odd", NOW + n // 5))
        for state, expected in ((None, range(23)), ("even", range(0, 23, 2))):
            seen: list[str] = []
            after: tuple[float, str] | None = None
            while page := await store.facts("review", state=state, limit=4, after=after):
                assert len(page) <= 4
                seen += [fact.key for fact in page]
                after = (page[-1].at, page[-1].key)
            assert seen == [f"k{n:02}" for n in expected]

    tell(place, story)


# the audit log


def audit_row(seq: int, *, kind: str = "response", ref: str = "") -> AuditRow:
    return AuditRow(seq, kind, ref or f"resp_{seq:032x}", b'{"seq":%d}' % seq, bytes([seq % 256]) * 32)


async def commit_audit(store: Store, *rows: AuditRow, record: Record | None = None, tiles: Sequence[Tile] = ()) -> None:
    done: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    batch = Batch(store.next_row, [], [record] if record else [], list(rows), list(tiles))
    store.next_row += 1
    store.commit(batch, done.set_result)
    error = await done
    if error is not None:
        raise error


def test_audit_rows_come_back_in_order_also_after_a_restart(place: Place) -> None:
    rows = [audit_row(seq) for seq in range(1, 11)]

    async def write(store: Store) -> None:
        assert store.audit_size == 0
        assert await store.audit_rows(1, 10) == []
        await commit_audit(store, *rows[:3])
        await commit(store, [])
        await commit_audit(store, *rows[3:])
        assert store.audit_size == 10

    async def read(store: Store) -> None:
        assert store.audit_size == 10
        assert await store.audit_rows(1, 100) == rows
        assert await store.audit_rows(4, 3) == rows[3:6]
        assert await store.audit_rows(10, 5) == rows[9:]
        assert await store.audit_rows(11, 5) == []

    tell(place, write, read)


def test_audit_row_is_written_with_its_record_or_not_at_all(tmp_path: Path) -> None:
    async def story(store: Store) -> None:
        await commit_audit(store, audit_row(1))
        record = a_record(store)
        with pytest.raises(StoreError):
            await commit_audit(store, audit_row(2), audit_row(1), record=record)
        assert store.audit_size == 1
        assert [row.seq for row in await store.audit_rows(1, 10)] == [1]
        assert await store.find(record.id) is None
        await commit_audit(store, audit_row(2), record=record)
        assert await store.find(record.id) == record

    for kind in ("commit", "fsync"):
        tell(Place(kind, tmp_path / kind), story)


def test_newest_audit_row_about_something_is_found_whatever_became_of_it(place: Place) -> None:
    kept: list[Record] = []

    async def write(store: Store) -> None:
        record = await finished_log(store)
        kept.append(record)
        mine = [audit_row(1, ref=record.id), audit_row(2, kind="deletion", ref=record.id), audit_row(3)]
        await commit_audit(store, *mine, audit_row(4, kind="change", ref="a"), audit_row(5, kind="change", ref="a"))
        await store.delete(record)

    async def read(store: Store) -> None:
        found = [await store.audit_row(kind, kept[0].id) for kind in ("response", "deletion", "change")]
        assert [row and row.seq for row in found] == [1, 2, None]
        newest = await store.audit_row("change", "a")
        assert newest is not None
        assert newest.seq == 5

    tell(place, write, read)


def test_audit_outlives_the_responses_it_speaks_of(place: Place) -> None:
    async def story(store: Store) -> None:
        record = await finished_log(store)
        await commit_audit(store, audit_row(1, ref=record.id))
        await store.expire(record.expires_at + TOMBSTONE_S + 1, store.next_row)
        await store.expire(record.expires_at + TOMBSTONE_S + 1, store.next_row)
        assert await store.find(record.id) is None
        assert await store.audit_row("response", record.id) is not None

    tell(place, story)


def test_hashes_of_the_audit_tree_are_read_by_level(place: Place) -> None:
    async def write(store: Store) -> None:
        await commit_audit(store, *(audit_row(seq) for seq in range(1, 7)), tiles=[Tile(1, 0, b"t" * 32)])
        await commit_audit(store, audit_row(7), tiles=[Tile(1, 1, b"u" * 32), Tile(2, 0, b"v" * 32)])

    async def read(store: Store) -> None:
        assert await store.audit_nodes(0, 2, 3) == [audit_row(seq).leaf for seq in (3, 4, 5)]
        assert await store.audit_nodes(1, 0, 2) == [b"t" * 32, b"u" * 32]
        assert await store.audit_nodes(2, 0, 1) == [b"v" * 32]
        assert await store.audit_nodes(1, 0, 0) == []
        for level, first, count in ((0, 5, 3), (1, 1, 2), (3, 0, 1)):
            with pytest.raises(StoreError):
                await store.audit_nodes(level, first, count)

    tell(place, write, read)


def test_newest_checkpoint_is_the_largest_and_the_first_of_a_size_stays(place: Place) -> None:
    one, two = (AuditCheckpoint(size, b"{%d}" % size, b"s" * 64) for size in (3, 7))

    async def write(store: Store) -> None:
        assert await store.newest_checkpoint() is None
        await store.put_checkpoint(two)
        await store.put_checkpoint(one)
        await store.put_checkpoint(AuditCheckpoint(7, b"other", b"s" * 64))

    async def read(store: Store) -> None:
        assert await store.newest_checkpoint() == two

    tell(place, write, read)


# housekeeping


def test_deleted_log_was_never_there_and_its_neighbours_stay(place: Place) -> None:
    async def story(store: Store) -> None:
        kept, gone = a_record(store), a_record(store)
        rows = [await commit(store, [started(kept), started(gone)], kept, gone)]
        rows.append(await commit(store, [text(kept, 2, "stays"), text(gone, 2, "goes")]))
        kept, gone = (ended(record, last_seq=2, rows=rows) for record in (kept, gone))
        await commit(store, [], kept, gone)
        await store.delete(gone)
        assert await store.find(gone.id) is None
        assert await texts(store, gone, rows) == []
        assert await store.find(kept.id) == kept
        assert await texts(store, kept, rows) == ["stays"]

    async def later(store: Store) -> None:
        assert await store.unfinished() == []

    tell(place, story, later)


def test_config_versions_may_be_recorded_again(place: Place) -> None:
    async def story(store: Store) -> None:
        await store.record_config("v1", "{}", NOW)
        await store.record_config("v1", "{}", NOW + 1)
        await store.record_config("v2", '{"a":1}', NOW + 2)

    tell(place, story)


def test_probe_of_a_store_that_works_leaves_nothing_behind(place: Place) -> None:
    async def story(store: Store) -> None:
        record = await finished_log(store)
        for _ in range(3):
            await store.probe()
        assert await store.unfinished() == []
        assert await texts(store, record, record.rows) == ["word"]
        assert await texts(store, (await finished_log(store)), record.rows) == [], "numbers were not taken twice"

    tell(place, story)


def test_maintenance_lets_commits_go_on_and_keeps_the_file_small(place: Place) -> None:
    async def story(store: Store) -> None:
        held: list[bool] = []
        for _ in range(3):
            await finished_log(store, rows=250)
            await store.maintain(held.append)
        assert held in ([], [True, False] * 3), "every hold is released"
        if place.durable:
            wal = place.directory / "store.db-wal"
            assert wal.stat().st_size < 8_000_000

    tell(place, story)


def test_store_url_that_names_no_store_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        open_store("mysql://localhost", durability="commit")
    with pytest.raises(StoreError):
        open_store(f"sqlite:///{tmp_path}", durability="commit")


# memory's own


def test_memory_does_not_keep_every_audit_row_whole() -> None:
    async def story() -> None:
        store = MemoryStore(audit_rows_max=3)
        await commit_audit(store, *(audit_row(seq) for seq in range(1, 9)))
        assert await store.audit_row("response", audit_row(5).ref) is None
        assert await store.audit_row("response", audit_row(6).ref) == audit_row(6)
        assert store.audit_size == 8
        assert await store.audit_nodes(0, 0, 8) == [audit_row(seq).leaf for seq in range(1, 9)]

    asyncio.run(story())


# SQLite's own


def test_second_process_on_the_same_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    script = (
        "import sys\nfrom headgate.errors import StoreError\nfrom headgate.stores.sqlite import SqliteStore\n"
        "try:\n    SqliteStore(sys.argv[1])\nexcept StoreError as error:\n    print('refused:', error)\n"
    )

    def other() -> str:
        return subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True).stdout

    async def run() -> None:
        store = SqliteStore(str(path))
        assert "refused:" in other()
        assert "in use" in other()
        with pytest.raises(StoreError):
            SqliteStore(str(path))
        await store.close()
        assert other() == ""

    asyncio.run(run())


def test_newer_schema_is_refused_and_the_file_let_go_of(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    _set_schema(path, 99)
    with pytest.raises(StoreError, match="newer"):
        SqliteStore(str(path))
    _set_schema(path, 0)

    async def run() -> None:
        await SqliteStore(str(path)).close()

    asyncio.run(run())


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"these are somebody's notes, not a database\n" * 100)
    with pytest.raises(StoreError):
        SqliteStore(str(path))
    assert path.read_bytes().startswith(b"these are")


def test_text_that_cannot_be_encoded_fails_the_commit_and_nothing_else(tmp_path: Path) -> None:
    async def story(store: Store) -> None:
        record = a_record(store)
        with pytest.raises(StoreError):
            await commit(store, [text(record, 1, "\ud800")], record)
        assert await store.find(record.id) is None
        await finished_log(store)

    tell(Place("commit", tmp_path), story)


@pytest.mark.parametrize("scribble", [b"", b"\x00", b"\x91\x92\x01", b"\xc1"], ids=["empty", "int", "cut", "noise"])
def test_row_that_cannot_be_decoded_is_a_store_error_and_nothing_else(scribble: bytes, tmp_path: Path) -> None:
    """Housekeeping and the start survive a `StoreError`, and say what is wrong; they survive nothing else."""

    async def story(store: Store) -> None:
        record = a_record(store)
        row = await commit(store, [started(record)], record)
        connection = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        connection.execute("UPDATE journal SET entries = ? WHERE id = ?", (scribble, row))
        connection.close()
        with pytest.raises(StoreError):
            await store.read(record.number, [row])
        with pytest.raises(StoreError):
            await store.unfinished()

    tell(Place("commit", tmp_path), story)


_FULL_DISK = """
import asyncio, os, resource, sys
from headgate.errors import StoreError
from headgate.events import Delta, Entry
from headgate.stores import Batch, JournalEntry, Record
from headgate.stores.sqlite import SqliteStore

async def main(path):
    store = SqliteStore(path)
    done = []
    record = Record(1, "resp_" + "0" * 32, "", 0.0, 1, 0, "", 1.0)
    store.commit(Batch(1, [JournalEntry(1, Entry(1, 1, (Delta(0, 0, "a"),)))], [record]), done.append)
    store.next_row = 2
    assert done == [None], done
    base = os.stat(path + "-wal").st_size
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    outcomes = []
    for extra in range(0, 120_000, 4096):
        resource.setrlimit(resource.RLIMIT_FSIZE, (base + extra, hard))
        try:
            await store.probe()
            outcomes.append("room")
        except StoreError:
            outcomes.append("full")
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        [(found, rows)] = await store.unfinished()
        assert rows == [1], (extra, rows)
        base = os.stat(path + "-wal").st_size
    assert "full" in outcomes and "room" in outcomes, outcomes
    await store.close()

asyncio.run(main(sys.argv[1]))
"""


def test_probe_that_finds_the_disk_full_halfway_leaves_a_readable_journal(tmp_path: Path) -> None:
    """At some limit the probe's row still fits and its deletion no longer does; recovery must read past that."""
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(tmp_path / "store.db")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_file_of_an_older_schema_is_upgraded_and_stays_readable(tmp_path: Path) -> None:
    """Schema 1 had the journal alone: such a file is in use, with logs that ended and logs that a crash left open."""
    path = tmp_path / "store.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(sqlite_file.STEPS[0] + "PRAGMA user_version = 1;")
    packed = pack_rows([1])
    for number, terminal in ((1, "completed"), (2, "")):
        row = (number, f"resp_{number:032x}", "app", NOW, 1, 3, terminal, NOW + 1e6, packed if terminal else b"\x90", 0)
        connection.execute("INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    entries = [JournalEntry(number, Entry(1, 5, (Delta(0, 0, f"old {number}"),))) for number in (1, 2)]
    connection.execute("INSERT INTO journal VALUES (1, 7, ?)", (msgspec.msgpack.encode(entries),))
    connection.close()

    async def first(store: Store) -> None:
        old = await store.find(f"resp_{1:032x}")
        assert old is not None
        assert await texts(store, old, old.rows) == ["old 1"]
        assert [(record.number, rows) for record, rows in await store.unfinished()] == [(2, [1])]
        assert store.audit_size == 0
        await commit_audit(store, audit_row(1, ref=old.id))
        assert await store.put_fact(a_fact("a"), expected="")

    async def second(store: Store) -> None:
        assert store.audit_size == 1
        assert await store.count_facts("review", "open") == 1
        await finished_log(store)

    tell(Place("commit", tmp_path), first, second)
    assert _schema(path) == sqlite_file.SCHEMA_VERSION


def test_upgrade_that_fails_halfway_leaves_the_older_schema_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(sqlite_file.STEPS[0] + "PRAGMA user_version = 1;")
    connection.execute("CREATE TABLE audit_checkpoints (somebody TEXT)")
    with pytest.raises(StoreError, match="already exists"):
        SqliteStore(str(path))
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert "facts" not in tables
    assert _schema(path) == 1
    connection.execute("DROP TABLE audit_checkpoints")
    connection.close()
    tell(Place("commit", tmp_path), finishes_a_log)
    assert _schema(path) == sqlite_file.SCHEMA_VERSION


async def finishes_a_log(store: Store) -> None:
    await finished_log(store)


@given(st.lists(st.integers(0, 2**40), unique=True).map(sorted))
def test_rows_are_packed_and_unpacked_without_loss(rows: list[int]) -> None:
    assert unpack_rows(pack_rows(rows)) == tuple(rows)


def test_packed_rows_of_a_stream_take_a_byte_each() -> None:
    assert len(pack_rows(range(5_000, 6_000))) < 1_010


def _schema(path: Path) -> int:
    connection = sqlite3.connect(path)
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    return version


def _set_schema(path: Path, version: int) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.commit()
    connection.close()
