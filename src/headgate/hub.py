"""All logs this process knows: those in memory, and those the store has.

Finding a log is one call whoever asks and wherever it is; a log that belongs to somebody else is not found.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from headgate import receipts
from headgate.assemble import Fold
from headgate.clock import Clock
from headgate.errors import RequestError
from headgate.events import AnyEvent, Delta, Entry, PartStarted, Released, ResponseStarted, Retracted, Terminal
from headgate.ids import is_response_id, new_response_id
from headgate.journal import Journal
from headgate.log import Log, Observer
from headgate.reader import PAGE_ROWS
from headgate.stores import Record, Store

MISSING: Final = "There is no response with this id."


class Timeline:
    """Times read off a log, in milliseconds since its first entry was read."""

    def __init__(self) -> None:
        self._start: int | None = None
        self.first_output_ms: float | None = None
        self.duration_ms: float | None = None

    def feed(self, read_at: int, event: AnyEvent) -> None:
        if self._start is None:
            self._start = read_at
        elapsed = round((read_at - self._start) / 1e6, 3)
        if self.first_output_ms is None and isinstance(event, PartStarted | Delta):
            self.first_output_ms = elapsed
        elif isinstance(event, Terminal):
            self.duration_ms = elapsed


class Hub:
    """Finds logs and reads them."""

    def __init__(self, store: Store, journal: Journal, observer: Observer, clock: Clock) -> None:
        self.live: dict[str, Log] = {}
        """Logs without a visible terminal."""
        self._store = store
        self._journal = journal
        self._observer = observer
        self._clock = clock

    def new_log(self, owner: str, *, now: float, expires_at: float) -> Log:
        """A log that is still empty. Put it into `live` before its first event."""
        number, self._store.next_number = self._store.next_number, self._store.next_number + 1
        record = Record(number, new_response_id(int(now * 1000)), owner, now, 0, 0, "", expires_at)
        return Log(record, self._journal, self._observer)

    async def find(self, response_id: str, owner: str) -> Log:
        """The caller's log. Raises `RequestError`: ``not_found``, also for ids of others; ``expired_response``."""
        missing = RequestError("not_found", MISSING)
        log = self.live.get(response_id)
        if log is not None:
            if log.record.owner != owner or not log.rows:
                raise missing
            return log
        if not is_response_id(response_id):
            raise missing
        record = await self._store.find(response_id)
        if record is None or record.owner != owner:
            raise missing
        if not record.terminal:  # the store failed while it was made: its end is written once writes are taken again
            raise RequestError("store_unavailable", "The response is being recovered.", headers={"retry-after": "1"})
        if record.expired or record.expires_at <= self._clock.wall():
            raise RequestError("expired_response", "The response is older than the retention.")
        return await self._stored(record)

    async def owner_of(self, response_id: str) -> str | None:
        """Whose response this is, for who need not say whose it should be; None if there is none (any more)."""
        log = self.live.get(response_id)
        record = log.record if log is not None else await self._store.find(response_id)
        return None if record is None else record.owner

    async def entries(self, log: Log) -> AsyncIterator[Entry]:
        """Everything visible now, from the store, in order."""
        upto = log.committed_seq
        rows = tuple(log.rows)
        for start in range(0, len(rows), PAGE_ROWS):
            for _, entries in await self._store.read(log.number, rows[start : start + PAGE_ROWS]):
                for entry in entries:
                    if entry.first_seq <= upto:
                        yield entry

    async def fold(self, log: Log) -> tuple[Fold, Timeline]:
        """What the log says so far."""
        fold, timeline = Fold(), Timeline()
        async for entry in self.entries(log):
            for seq, event in enumerate(entry.events, entry.first_seq):
                fold.feed(seq, event)
                timeline.feed(entry.read_at, event)
        return fold, timeline

    async def delete(self, log: Log) -> None:
        """Forget an ended response: its record, and its events in the journal. Its receipt stays, and says so."""
        fields = receipts.deletion(owner=log.record.owner, at=int(self._clock.wall()))
        await self._journal.record(receipts.DELETION, log.id, fields)
        await self._store.delete(log.record)

    async def started(self, log: Log) -> ResponseStarted:
        """The log's first event."""
        async for entry in self.entries(log):
            first = entry.events[0]
            assert isinstance(first, ResponseStarted)
            return first
        raise RequestError("not_found", MISSING)

    async def _stored(self, record: Record) -> Log:
        """A log that ended, from its record: nothing of it is kept in memory but the ids of its rows."""
        log = Log(record, self._journal, self._observer)
        log.rows.extend(record.rows)
        log.last_seq = log.committed_seq = record.last_seq
        started = await self.started(log)
        log.may_retract = started.may_retract
        marks = self.entries(log) if started.may_retract else self._tail(log)
        async for entry in marks:
            for seq, event in enumerate(entry.events, entry.first_seq):
                if isinstance(event, Terminal | Released | Retracted):
                    log.note(seq, event)
        return log

    async def _tail(self, log: Log) -> AsyncIterator[Entry]:
        for _, entries in await self._store.read(log.number, log.rows[-1:]):
            for entry in entries:
                yield entry
