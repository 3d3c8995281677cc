"""The default store: one SQLite file in WAL mode, inside the process.

``durability = "commit"``: commits run in the event loop (tens of microseconds; `synchronous=NORMAL`, so they survive
the death of the process). ``"fsync"``: commits run in a thread (`synchronous=FULL`, they survive a power cut).
Checkpoints never run in the loop. One process per file, enforced by a lock that dies with the process.

Why not through SQLAlchemy: docs/decisions/0003-sqlite-direct.md.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import msgspec

from headgate.errors import StoreError
from headgate.events import Entry
from headgate.stores import (
    TOMBSTONE_S,
    AuditCheckpoint,
    AuditRow,
    Batch,
    Done,
    Fact,
    Record,
    sqlite_audit,
    sqlite_facts,
    sqlite_file,
)
from headgate.stores.sqlite_file import blob, scalar

COMMITS_BEFORE_CHECKPOINT: Final = 200
"""About 1.5 MB of WAL: small enough that the final, held pass is short, large enough not to run all the time."""
PROBE_BYTES: Final = 64 * 1024
"""Room that must be there before new work is taken after a full disk."""
EXPIRE_ROWS_MAX: Final = 200
"""Journal rows deleted in one transaction, so that commits wait about a millisecond."""

_INSERT_ROW: Final = "INSERT INTO journal (id, committed_at, entries) VALUES (?, ?, ?)"
_UPSERT_RECORD: Final = (
    "INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (number) DO UPDATE SET "
    "last_seq = excluded.last_seq, terminal = excluded.terminal, expires_at = excluded.expires_at, rows = excluded.rows"
)
"""What else a record says stays as it was, so that the end of a log leaves half of the indexes alone."""

Result = TypeVar("Result")

_encode: Final = msgspec.msgpack.Encoder().encode
_decode_row: Final = msgspec.msgpack.Decoder(list[tuple[int, msgspec.Raw]]).decode
_decode_entry = msgspec.msgpack.Decoder(Entry).decode
_decode_ints = msgspec.msgpack.Decoder(list[int]).decode


def pack_rows(rows: Sequence[int]) -> bytes:
    """Journal rows as distances: one byte each for a response that streams."""
    distances, before = [], 0
    for row in rows:
        distances.append(row - before)
        before = row
    return _encode(distances)


def unpack_rows(data: bytes) -> tuple[int, ...]:
    rows, at = [], 0
    for distance in _decode_ints(data):
        at += distance
        rows.append(at)
    return tuple(rows)


def entries_of(number: int, data: bytes) -> list[Entry]:
    """What a journal row holds of this log. Raises `msgspec.DecodeError`."""
    return [_decode_entry(raw) for owner, raw in _decode_row(data) if owner == number]


class SqliteStore:
    """`Store` in one file. `path` is created if it is not there."""

    def __init__(self, path: str, *, fsync: bool = False) -> None:
        self._lock = sqlite_file.lock(path)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # answers in plain text: for this user alone
            self._writer = sqlite_file.connect(path, synchronous="FULL" if fsync else "NORMAL")
            sqlite_file.migrate(self._writer)
            self._execute = self._writer.cursor().execute  # that of a connection makes a cursor every time
            self._reader = sqlite_file.connect(path, synchronous="NORMAL")
            self._checkpointer = sqlite_file.connect(path, synchronous="NORMAL")
            self.next_row = scalar(self._writer, "SELECT coalesce(max(id), 0) + 1 FROM journal")
            self.next_number = scalar(self._writer, "SELECT coalesce(max(number), 0) + 1 FROM responses")
            self.audit_size: int = scalar(self._writer, sqlite_audit.SIZE)
        except (sqlite3.Error, OSError, StoreError) as error:
            os.close(self._lock)
            raise StoreError(f"cannot open {path}: {error}") from error
        self._commits_since_checkpoint = 0
        self._commits = ThreadPoolExecutor(1, "headgate-commit") if fsync else None
        self._upkeep = ThreadPoolExecutor(1, "headgate-upkeep")

    def commit(self, batch: Batch, done: Done) -> None:
        if self._commits is None:
            done(self._commit(batch))
            return
        loop = asyncio.get_running_loop()
        self._commits.submit(self._commit, batch).add_done_callback(
            lambda future: loop.call_soon_threadsafe(done, future.result())
        )

    def _commit(self, batch: Batch) -> StoreError | None:
        self._commits_since_checkpoint += 1
        execute = self._execute
        try:
            row = (batch.row, time.monotonic_ns(), blob(_encode(batch.entries)))
            if not batch.records and not batch.audit:
                execute(_INSERT_ROW, row)
                return None
            execute("BEGIN")
            execute(_INSERT_ROW, row)
            self._writer.executemany(_UPSERT_RECORD, [_record_row(record) for record in batch.records])
            if batch.audit:
                sqlite_audit.append(self._writer, batch.audit, batch.tiles)
            execute("COMMIT")
            self.audit_size += len(batch.audit)
        except Exception as error:  # noqa: BLE001  whatever it is: nothing of the batch is safe, and `done` must hear of it
            if self._writer.in_transaction:
                self._writer.rollback()
            return StoreError(f"commit failed: {error}")
        return None

    async def read(self, number: int, rows: Sequence[int]) -> list[tuple[int, list[Entry]]]:
        found = []
        try:
            for row in rows:
                got = self._reader.execute("SELECT committed_at, entries FROM journal WHERE id = ?", (row,)).fetchone()
                if got is None:
                    raise StoreError(f"journal row {row} is gone")
                found.append((got[0], entries_of(number, got[1])))
        except (sqlite3.Error, msgspec.DecodeError) as error:
            raise StoreError(f"cannot read the journal: {error}") from error
        return found

    async def find(self, response_id: str) -> Record | None:
        sql = "SELECT * FROM responses WHERE id = ?"
        row = self._read(lambda: self._reader.execute(sql, (response_id,)).fetchone())
        return None if row is None else _record(row)

    async def delete(self, record: Record) -> None:
        """The record goes first, so that nobody finds half a log; commits go on between two portions of its rows."""
        await self._on_writer(lambda: self._writer.execute("DELETE FROM responses WHERE id = ?", (record.id,)))
        for start in range(0, len(record.rows), EXPIRE_ROWS_MAX):
            rows = record.rows[start : start + EXPIRE_ROWS_MAX]
            await self._on_writer(functools.partial(self._take_out, record.number, rows))
            await asyncio.sleep(0)

    def _take_out(self, number: int, rows: Sequence[int]) -> None:
        """Write journal rows anew without this log's entries: others share them."""
        execute = self._writer.execute
        execute("BEGIN")
        try:
            for row in rows:
                found = execute("SELECT entries FROM journal WHERE id = ?", (row,)).fetchone()
                if found is not None:
                    kept = [(owner, raw) for owner, raw in _decode_row(found[0]) if owner != number]
                    execute("UPDATE journal SET entries = ? WHERE id = ?", (_encode(kept), row))
            execute("COMMIT")
        except BaseException:
            self._writer.rollback()
            raise

    async def unfinished(self) -> list[tuple[Record, list[int]]]:
        try:
            records = [_record(row) for row in self._reader.execute("SELECT * FROM responses WHERE terminal = ''")]
            rows = (
                self._rows_of({record.number for record in records}, min(r.first_row for r in records))
                if records
                else {}
            )
        except (sqlite3.Error, msgspec.DecodeError) as error:
            raise StoreError(f"cannot read the journal: {error}") from error
        return [(record, rows[record.number]) for record in records]

    def _rows_of(self, numbers: set[int], first: int) -> dict[int, list[int]]:
        """Journal rows from `first` on that hold entries of these logs."""
        rows: dict[int, list[int]] = {number: [] for number in numbers}
        journal = self._reader.execute("SELECT id, entries FROM journal WHERE id >= ? ORDER BY id", (first,))
        for row, entries in journal:
            for number in {number for number, _ in _decode_row(entries)} & numbers:
                rows[number].append(row)
        return rows

    async def expire(self, now: float, keep_rows_from: int) -> int:
        count = await self._on_writer(lambda: self._forget(now))
        more = True
        while more:
            more = await self._on_writer(lambda: self._delete_rows(keep_rows_from))
            await asyncio.sleep(0)  # commits go on between two portions
        return count

    def _forget(self, now: float) -> int:
        due = "terminal <> '' AND expired = 0 AND expires_at <= ?"
        count = self._writer.execute(f"UPDATE responses SET expired = 1, rows = x'90' WHERE {due}", (now,)).rowcount  # noqa: S608
        self._writer.execute("DELETE FROM responses WHERE expired = 1 AND expires_at <= ?", (now - TOMBSTONE_S,))
        return count

    def _delete_rows(self, keep_from: int) -> bool:
        """Delete one portion of journal rows that nothing needs; whether there may be more."""
        floor = scalar(self._writer, "SELECT min(first_row) FROM responses WHERE expired = 0")
        first = scalar(self._writer, "SELECT min(id) FROM journal")
        floor = keep_from if floor is None else min(floor, keep_from)
        if first is None or first >= floor:
            return False
        self._writer.execute("DELETE FROM journal WHERE id < ?", (min(floor, first + EXPIRE_ROWS_MAX),))
        return True

    async def probe(self) -> None:
        row, self.next_row = self.next_row, self.next_row + 1
        await self._on_writer(lambda: self._probe(row))

    def _probe(self, row: int) -> None:
        """Take up as much room as a large commit does, and give it back. The row is one that no log owns."""
        self._writer.execute(_INSERT_ROW, (row, 0, _encode([(0, bytes(PROBE_BYTES))])))
        self._writer.execute("DELETE FROM journal WHERE id = ?", (row,))

    async def record_config(self, version: str, text: str, now: float) -> None:
        sql = "INSERT OR IGNORE INTO configs VALUES (?, ?, ?)"
        await self._on_writer(lambda: self._writer.execute(sql, (version, text, now)))

    # facts

    async def put_fact(self, fact: Fact, *, expected: str | None = None) -> bool:
        return await self._on_writer(lambda: sqlite_facts.put(self._writer, fact, expected))

    async def fact(self, kind: str, key: str) -> Fact | None:
        return self._read(lambda: sqlite_facts.find(self._reader, kind, key))

    async def facts(
        self, kind: str, *, state: str | None = None, limit: int, after: tuple[float, str] | None = None
    ) -> list[Fact]:
        return self._read(lambda: sqlite_facts.page(self._reader, kind, state=state, limit=limit, after=after))

    async def count_facts(self, kind: str, state: str | None = None) -> int:
        return self._read(lambda: sqlite_facts.count(self._reader, kind, state))

    # the audit log

    async def audit_rows(self, first: int, limit: int) -> list[AuditRow]:
        return self._read(lambda: sqlite_audit.rows(self._reader, first, limit))

    async def audit_row(self, kind: str, ref: str) -> AuditRow | None:
        return self._read(lambda: sqlite_audit.newest_about(self._reader, kind, ref))

    async def audit_nodes(self, level: int, first: int, count: int) -> list[bytes]:
        return self._read(lambda: sqlite_audit.nodes(self._reader, level, first, count))

    async def put_checkpoint(self, checkpoint: AuditCheckpoint) -> None:
        await self._on_writer(lambda: sqlite_audit.put_checkpoint(self._writer, checkpoint))

    async def newest_checkpoint(self) -> AuditCheckpoint | None:
        return self._read(lambda: sqlite_audit.newest_checkpoint(self._reader))

    # inside

    def _read(self, job: Callable[[], Result]) -> Result:
        try:
            return job()
        except sqlite3.Error as error:
            raise StoreError(f"cannot read: {error}") from error

    async def _on_writer(self, job: Callable[[], Result]) -> Result:
        """Run `job` where commits run, so that it never comes between the statements of one."""
        try:
            if self._commits is None:
                return job()
            return await asyncio.get_running_loop().run_in_executor(self._commits, job)
        except sqlite3.Error as error:
            raise StoreError(f"cannot write: {error}") from error

    async def maintain(self, hold: Callable[[bool], None]) -> None:
        """A PASSIVE pass beside the commits, then a short second one with commits held, after which the WAL starts over."""
        if self._commits_since_checkpoint < COMMITS_BEFORE_CHECKPOINT:
            return
        self._commits_since_checkpoint = 0
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._upkeep, self._checkpoint)
        hold(True)
        try:
            await loop.run_in_executor(self._upkeep, self._checkpoint)
        finally:
            hold(False)

    def _checkpoint(self) -> None:
        try:
            self._checkpointer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error:
            return  # a full disk shows at the next commit, which is where it is acted on

    async def close(self) -> None:
        if self._commits is not None:
            self._commits.shutdown()
        self._upkeep.shutdown()
        for connection in (self._checkpointer, self._reader, self._writer):
            connection.close()
        os.close(self._lock)


def _record_row(record: Record) -> tuple[Any, ...]:
    return (
        record.number,
        record.id,
        record.owner,
        record.created_at,
        record.first_row,
        record.last_seq,
        record.terminal,
        record.expires_at,
        blob(pack_rows(record.rows)),
        int(record.expired),
    )


def _record(row: tuple[Any, ...]) -> Record:
    number, response_id, owner, created_at, first_row, last_seq, terminal, expires_at, rows, expired = row
    return Record(
        number=number,
        id=response_id,
        owner=owner,
        created_at=created_at,
        first_row=first_row,
        last_seq=last_seq,
        terminal=terminal,
        expires_at=expires_at,
        rows=unpack_rows(rows),
        expired=bool(expired),
    )
