"""The store that keeps nothing: everything is gone with the process, and memory is all there is.

It gives up law 1 and nothing else: events still become visible only once they are in it, in the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

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
    JournalEntry,
    Record,
)

AUDIT_ROWS_MAX: Final = 100_000
"""Audit rows that are kept whole, about 100 MB; of older ones only their hashes are, so that newer ones can be proved."""


class MemoryStore:
    """`Store` in dictionaries."""

    def __init__(self, clock_ns: Callable[[], int] | None = None, *, audit_rows_max: int = AUDIT_ROWS_MAX) -> None:
        self.next_row = 1
        self.next_number = 1
        self.audit_size = 0
        self._clock_ns = clock_ns
        self._audit_rows_max = audit_rows_max
        self._rows: dict[int, tuple[int, list[JournalEntry]]] = {}
        self._records: dict[str, Record] = {}
        self._facts: dict[tuple[str, str], Fact] = {}
        self._audit: list[AuditRow] = []
        self._about: dict[tuple[str, str], AuditRow] = {}
        self._tiles: dict[tuple[int, int], bytes] = {}
        self._checkpoints: dict[int, AuditCheckpoint] = {}

    def commit(self, batch: Batch, done: Done) -> None:
        at = max((item.entry.read_at for item in batch.entries), default=0)
        self._rows[batch.row] = (self._clock_ns() if self._clock_ns else at, batch.entries)
        for record in batch.records:
            self._records[record.id] = record
        for row in batch.audit:
            self._audit.append(row)
            self._about[row.kind, row.ref] = row
            self._forget_audit_row(len(self._audit) - self._audit_rows_max - 1)
        for tile in batch.tiles:
            self._tiles[tile.level, tile.idx] = tile.hash
        self.audit_size = len(self._audit)
        done(None)

    def _forget_audit_row(self, index: int) -> None:
        if index >= 0:
            row = self._audit[index]
            self._audit[index] = msgspec.structs.replace(row, body=b"")
            if self._about.get((row.kind, row.ref)) is row:
                del self._about[row.kind, row.ref]

    async def read(self, number: int, rows: Sequence[int]) -> list[tuple[int, list[Entry]]]:
        found = []
        for row in rows:
            if row not in self._rows:
                raise StoreError(f"journal row {row} is gone")
            committed_at, entries = self._rows[row]
            found.append((committed_at, [item.entry for item in entries if item.number == number]))
        return found

    async def find(self, response_id: str) -> Record | None:
        return self._records.get(response_id)

    async def delete(self, record: Record) -> None:
        for row in record.rows:
            if row in self._rows:
                at, entries = self._rows[row]
                self._rows[row] = (at, [item for item in entries if item.number != record.number])
        self._records.pop(record.id, None)

    async def unfinished(self) -> list[tuple[Record, list[int]]]:
        open_records = [record for record in self._records.values() if not record.terminal]
        return [(record, self._rows_of(record.number)) for record in open_records]

    def _rows_of(self, number: int) -> list[int]:
        return [row for row, (_, entries) in self._rows.items() if any(item.number == number for item in entries)]

    async def expire(self, now: float, keep_rows_from: int) -> int:
        dead = [r for r in self._records.values() if r.terminal and r.expires_at <= now and not r.expired]
        for record in dead:
            self._records[record.id] = msgspec.structs.replace(record, rows=(), expired=True)
        for record in list(self._records.values()):
            if record.expired and record.expires_at <= now - TOMBSTONE_S:
                del self._records[record.id]
        floor = min([keep_rows_from, *(r.first_row for r in self._records.values() if not r.expired)])
        for row in [row for row in self._rows if row < floor]:
            del self._rows[row]
        return len(dead)

    async def probe(self) -> None:
        pass

    async def record_config(self, version: str, text: str, now: float) -> None:
        pass

    async def put_fact(self, fact: Fact, *, expected: str | None = None) -> bool:
        known = self._facts.get((fact.kind, fact.key))
        if expected is not None and (known.state if known else "") != expected:
            return False
        self._facts[fact.kind, fact.key] = fact
        return True

    async def fact(self, kind: str, key: str) -> Fact | None:
        return self._facts.get((kind, key))

    async def facts(
        self, kind: str, *, state: str | None = None, limit: int, after: tuple[float, str] | None = None
    ) -> list[Fact]:
        found = [fact for fact in self._facts.values() if fact.kind == kind and state in (None, fact.state)]
        found.sort(key=lambda fact: (fact.at, fact.key))
        return [fact for fact in found if after is None or (fact.at, fact.key) > after][:limit]

    async def count_facts(self, kind: str, state: str | None = None) -> int:
        return sum(fact.kind == kind and state in (None, fact.state) for fact in self._facts.values())

    async def audit_rows(self, first: int, limit: int) -> list[AuditRow]:
        return self._audit[max(first - 1, 0) :][:limit]

    async def audit_row(self, kind: str, ref: str) -> AuditRow | None:
        return self._about.get((kind, ref))

    async def audit_nodes(self, level: int, first: int, count: int) -> list[bytes]:
        try:
            if level:
                return [self._tiles[level, index] for index in range(first, first + count)]
            return [self._audit[index].leaf for index in range(first, first + count)]
        except LookupError:
            raise StoreError(f"the audit log is damaged: hashes of level {level} are missing") from None

    async def put_checkpoint(self, checkpoint: AuditCheckpoint) -> None:
        self._checkpoints.setdefault(checkpoint.size, checkpoint)

    async def newest_checkpoint(self) -> AuditCheckpoint | None:
        return self._checkpoints.get(max(self._checkpoints, default=-1))

    async def maintain(self, hold: Callable[[bool], None]) -> None:
        pass

    async def close(self) -> None:
        pass
