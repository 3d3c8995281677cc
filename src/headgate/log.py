"""One response's log while it is in memory: appended to by its producer, read by any number of readers.

Events are numbered when appended and become visible when their batch is committed. They are not kept here: the
journal is the log. What stays in memory is the ids of its journal rows (8 bytes a commit) and a few marks, so an open
stream costs the same however long its answer gets. A reader that falls behind reads from the store.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from headgate.assemble import Digester
from headgate.events import (
    AnyEvent,
    ChoiceDone,
    Delta,
    Entry,
    Held,
    Opaque,
    PartStarted,
    Released,
    ResponseStarted,
    Retracted,
    Reviewed,
    Terminal,
)
from headgate.journal import Journal, Urgency
from headgate.lifecycle import Lifecycle
from headgate.positions import Positions
from headgate.receipt import Receipt
from headgate.receipts import ANOTHER_CLOCK, ReceiptFold
from headgate.stores import JournalEntry, Record
from headgate.telemetry.logs import fields, logger

if TYPE_CHECKING:
    from headgate.telemetry.account import Account

_logger = logger("log")

_OPENING: Final = frozenset({PartStarted, Delta, Opaque, ChoiceDone})
"""Semantic events: with the first of them headers may leave."""
_NOTED: Final = frozenset({Terminal, Released, Retracted, Held, Reviewed})
_DELTA: Final = Delta
_ENTRY: Final = Entry
_JOURNAL_ENTRY: Final = JournalEntry
"""Of this module: a name from an interpreted one is looked up each time, and these are needed for every token."""
_NOTHING: Final[list[Entry]] = []
_SOON: Final = Urgency.SOON  # a member of an enum costs more to look up than to use
_NOW: Final = Urgency.NOW
_LAZY: Final = Urgency.LAZY
_HASHED: Final = frozenset({Delta, PartStarted, ResponseStarted, Retracted})
"""What the digest looks at."""


class LogReader(Protocol):
    """Who follows a log at its tail."""

    def on_commit(self, log: Log, entries: list[Entry]) -> None:
        """These entries have just become visible."""
        ...

    def on_broken(self) -> None:
        """The store failed: stop without any end marker."""
        ...


class Observer(Protocol):
    """Who is told of every log's commits, whoever reads it (`Gateway`)."""

    def expires_at(self) -> float:
        """Unix time until which a response that ends now is kept."""
        ...

    def log_committed(self, log: Log, entries: list[Entry]) -> None: ...


class Log:
    """An open (or just ended) log. Not for logs that ended long ago: those are a `Record` and the journal."""

    __slots__ = (
        "_committing",
        "_committing_seq",
        "_digester",
        "_journal",
        "_lifecycle",
        "_noting",
        "_observer",
        "_pending",
        "_record_due",
        "_row",
        "account",
        "committed_seq",
        "decisions",
        "dirty",
        "held",
        "hold_wait_s",
        "id",
        "impatient",
        "last_seq",
        "may_retract",
        "number",
        "opened",
        "positions",
        "provider_dialect",
        "readers",
        "record",
        "retractions",
        "rows",
        "terminal",
        "verified_seq",
        "was_held",
    )

    def __init__(self, record: Record, journal: Journal, observer: Observer) -> None:
        self.record = record
        self.id = record.id
        self.number = record.number
        self.last_seq = 0
        self.committed_seq = 0
        self.verified_seq = 0
        self.rows = array("Q")
        self.readers: list[LogReader] = []
        self.retractions: list[tuple[int, Retracted]] = []
        self.opened = False
        """A semantic event is visible (part.started, delta, choice.done, an opaque that is not idle): headers may leave."""
        self.may_retract = False
        """Text that is visible may be taken back, or was."""
        self.positions: Positions | None = None
        """Of an open log that may retract."""
        self.was_held = False
        self.held: Held | None = None
        """What a person has to decide about, once that is visible."""
        self.hold_wait_s = 0.0
        """How long a caller of a whole answer waits for that person."""
        self.provider_dialect = ""
        """Dialect of the provider that is answering; of a log that is in the making."""
        self.terminal: Terminal | None = None
        """The terminal, once it is visible."""
        self.account: Account | None = None
        """Where its numbers are kept, while it is made here."""
        self.dirty = False
        self.impatient = False
        """A client waits for the first output: it is committed without delay."""
        self._journal = journal
        self._observer = observer
        self._pending: list[Entry] = []
        self._committing = _NOTHING  # in the batch that is in flight
        self._committing_seq = 0  # seq of the last event in it
        self._record_due = True
        self._noting = False  # what is not visible yet holds something that `note` wants to see
        self._row = 0  # journal row of what is committing
        self._lifecycle = Lifecycle()
        self._digester = Digester()
        self.decisions = ReceiptFold()
        """What was said beside the text."""

    @property
    def ended(self) -> bool:
        """The terminal was appended, whether or not it is visible yet."""
        return self._lifecycle.terminal is not None

    @property
    def open_attempt(self) -> int:
        return self._lifecycle.open_attempt

    @property
    def released_bytes(self) -> int:
        """UTF-8 bytes of all text appended so far."""
        return self._digester.utf8_bytes

    def digest(self) -> str:
        """Hash of all text appended so far (PROTOCOL.md section 8)."""
        return self._digester.result()

    def receipt(self) -> Receipt:
        """Its receipt but for its place, once the terminal was appended."""
        terminal = self._lifecycle.terminal
        assert terminal is not None
        return self.decisions.fields(
            owner=self.record.owner,
            sha256=terminal.sha256 or self.digest(),
            event_count=self.last_seq,
            retracted_chars=self._digester.retracted_chars,
            parts=self._digester.parts() if self._digester.parts_count > 1 else (),
        )

    def append(self, events: Sequence[AnyEvent], read_at: int, *, lazy: bool = False) -> None:
        """Number these events and hand them to the journal. Raises `LifecycleError` for an event that may not stand there.

        `lazy` says that nobody waits for them.
        """
        if self.last_seq == 0:
            self._begin(events[0])
        if self.positions is not None:
            events = self.positions.place(events, self.last_seq + 1)
        taken, legal = tuple(events), 0
        lifecycle, digester, decisions = self._lifecycle, self._digester, self.decisions
        try:
            for event in taken:
                if type(event) is _DELTA:
                    choice, part = event.choice, event.part
                    lifecycle.delta(choice, part)
                    legal += 1
                    digester.delta(choice, part, event.text)
                    continue
                lifecycle.feed(event)
                legal += 1
                kind = type(event)
                decisions.feed(read_at, event)
                if kind in _HASHED:
                    digester.feed(event)
                if kind in _NOTED:
                    self._noting = True
        finally:  # what was legal before an illegal event is in the log: lifecycle and digest have counted it
            if legal:
                self._record_due = self._record_due or lifecycle.terminal is not None
                self._pending.append(_ENTRY(self.last_seq + 1, read_at, taken[:legal]))
                self.last_seq += legal
                urgency = _LAZY if lazy else _NOW if self.impatient else _SOON
                self.impatient = self.impatient and lazy
                self._journal.add(self, urgency=urgency)

    def replay(self, row: int, entries: Sequence[Entry]) -> None:
        """Take in what the journal holds already, in order (recovery)."""
        for entry in entries:
            for seq, event in enumerate(entry.events, entry.first_seq):
                self._lifecycle.feed(event)
                self._digester.feed(event)
                self.decisions.feed(ANOTHER_CLOCK, event)
                if type(event) in _NOTED:
                    self.note(seq, event)
                elif _opens(event):
                    self.opened = True
            if self.last_seq == 0:
                self._begin(entry.events[0])
            if self.positions is not None:
                self.positions.place(entry.events, entry.first_seq)
            self.last_seq = self.committed_seq = entry.first_seq + len(entry.events) - 1
        self.rows.append(row)
        self._record_due = False

    def _begin(self, started: AnyEvent) -> None:
        if type(started) is ResponseStarted and started.may_retract:
            self.may_retract = True
            self.positions = Positions()

    def flush_into(self, entries: list[JournalEntry], row: int) -> Record | None:
        """Move what is pending into a batch that becomes journal row `row`; the record, if it changes with it."""
        number = self.number
        pending = self._pending
        self._committing, self._pending = pending, []
        self._committing_seq = self.last_seq
        for entry in pending:
            entries.append(_JOURNAL_ENTRY(number, entry))  # noqa: PERF401  mostly one: a list of it costs more
        self._row = row
        self.dirty = False
        if not self._record_due:
            return None
        self._record_due = False
        terminal = self._lifecycle.terminal
        self.record = Record(
            number=number,
            id=self.id,
            owner=self.record.owner,
            created_at=self.record.created_at,
            first_row=self.rows[0] if self.rows else row,
            last_seq=self.last_seq if terminal else 0,
            terminal=str(terminal.status) if terminal else "",
            expires_at=self._observer.expires_at(),
            rows=(*self.rows, row) if terminal else (),
        )
        return self.record

    def committed(self) -> None:
        """What `flush_into` moved is safe: it is visible from here on."""
        entries, self._committing = self._committing, _NOTHING
        self.rows.append(self._row)
        self.committed_seq = self._committing_seq
        if not self.opened:
            self.opened = _any_opens(entries)
        if self._noting:
            self._note_all(entries)
        for reader in tuple(self.readers):
            try:
                reader.on_commit(self, entries)
            except Exception as error:  # noqa: BLE001  its fault must not keep others, or other logs, from what is theirs
                self._cut(reader, error)
        self._observer.log_committed(self, entries)

    def _note_all(self, entries: list[Entry]) -> None:
        self._noting = bool(self._pending) and self._noting  # what is pending may hold some as well
        for entry in entries:
            for at, event in enumerate(entry.events):
                if type(event) in _NOTED:
                    self.note(entry.first_seq + at, event)

    def _cut(self, reader: LogReader, error: Exception) -> None:
        _logger.error("a reader failed and is cut", exc_info=error, extra=fields(response=self.id))
        self.readers.remove(reader)
        reader.on_broken()

    def broken(self) -> None:
        """The store failed: what is pending will never be visible."""
        self._pending, self._committing = [], _NOTHING
        self.dirty = False
        for reader in tuple(self.readers):
            reader.on_broken()

    def note(self, seq: int, event: AnyEvent) -> None:
        """Remember what `event` says of the log as a whole, now that it is visible."""
        match event:
            case Terminal():
                self.terminal = event
            case Released():
                self.verified_seq = event.seq
            case Retracted():
                self.retractions.append((seq, event))
            case Held():
                self.held = event
                self.was_held = True
            case Reviewed():
                self.held = None
            case _:
                pass


def _any_opens(entries: list[Entry]) -> bool:
    for entry in entries:
        for event in entry.events:
            if _opens(event):
                return True
    return False


def _opens(event: AnyEvent) -> bool:
    """Whether an answer begins with it."""
    return type(event) in _OPENING and not (type(event) is Opaque and event.idle)
