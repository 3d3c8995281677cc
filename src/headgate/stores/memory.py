"""The store that keeps nothing: everything is gone with the process, and memory is all there is.

It gives up law 1 and nothing else: events still become visible only once they are in it, in the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from headgate.errors import StoreError
from headgate.events import Entry
from headgate.stores import TOMBSTONE_S, Batch, Done, JournalEntry, Record


class MemoryStore:
    """`Store` in dictionaries."""

    def __init__(self, clock_ns: Callable[[], int] | None = None) -> None:
        self.next_row = 1
        self.next_number = 1
        self._clock_ns = clock_ns
        self._rows: dict[int, tuple[int, list[JournalEntry]]] = {}
        self._records: dict[str, Record] = {}

    def commit(self, batch: Batch, done: Done) -> None:
        at = max((item.entry.read_at for item in batch.entries), default=0)
        self._rows[batch.row] = (self._clock_ns() if self._clock_ns else at, batch.entries)
        for record in batch.records:
            self._records[record.id] = record
        done(None)

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

    async def maintain(self, hold: Callable[[bool], None]) -> None:
        pass

    async def close(self) -> None:
        pass
