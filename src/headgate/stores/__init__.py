"""The durable store: what must survive the process.

    Store      the port; `tests/contracts` holds the suite every implementation passes
    sqlite     the default: one file, inside the process
    memory     gives up law 1, for tests and for who asks for it

The journal is one row per group commit, with the entries of every response that had something to say. A response's
own index, the ids of its rows, is kept in memory while it is live and written with its terminal.

Two things lie beside the journal: facts, which came about later and have a state of their own (a review, a version of a
policy), and the audit log, which only ever grows and outlives what it speaks of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from headgate.errors import ConfigError
from headgate.events import Entry
from headgate.merkle import Tile

TOMBSTONE_S: Final = 30 * 86_400
"""How long after its expiry a response is still answered with 410."""


class JournalEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One entry of one log, as it goes into a journal row. `number` is the log's key in the store."""

    number: int
    entry: Entry


class Record(msgspec.Struct, frozen=True):
    """What the store knows of a response without reading its log. Can be rebuilt from the journal."""

    number: int
    id: str
    owner: str
    created_at: float
    """Unix time, seconds."""
    first_row: int
    last_seq: int
    """0 while the log is open."""
    terminal: str
    """Status of the terminal; empty while the log is open."""
    expires_at: float
    rows: tuple[int, ...] = ()
    """Journal rows that hold the log, ascending; known once it has ended."""
    expired: bool = False
    """The log is gone; the record stays a while so that its owner is told 410, not 404."""


class Fact(msgspec.Struct, frozen=True):
    """Something that came about beside a log, or after it, and has a state that changes: one per kind and key."""

    kind: str
    key: str
    state: str
    at: float
    """Unix time, seconds; facts of a kind are listed in this order."""
    body: bytes


class AuditRow(msgspec.Struct, frozen=True, gc=False):
    """One row of the audit log. Never changed, never removed."""

    seq: int
    """Its place, from 1 without gaps."""
    kind: str
    ref: str
    """What it speaks of, such as the id of a response."""
    body: bytes
    """Canonical JSON (`headgate.receipts`)."""
    leaf: bytes
    """Its hash in the Merkle tree."""


class AuditCheckpoint(msgspec.Struct, frozen=True, gc=False):
    """A signed statement of the tree's root at some size."""

    size: int
    body: bytes
    signature: bytes


class Batch(msgspec.Struct):
    """What one commit writes, all or nothing: a journal row, the records of logs that began or ended in it, audit rows."""

    row: int
    entries: list[JournalEntry]
    records: list[Record] = []
    audit: list[AuditRow] = []
    tiles: list[Tile] = []
    """Subtrees that are complete with the last of `audit`."""


Done = Callable[[BaseException | None], None]


class Store(Protocol):
    """The port. Methods raise `StoreError` where the store fails; `commit` reports through `done` instead.

    `commit` may call `done` before it returns, or later on the event loop. At most one commit is in flight.
    """

    next_row: int
    next_number: int
    audit_size: int
    """Number of the newest audit row, 0 for none."""

    def commit(self, batch: Batch, done: Done) -> None: ...

    async def read(self, number: int, rows: Sequence[int]) -> list[tuple[int, list[Entry]]]:
        """Entries of log `number` in these journal rows, as ``(committed_at_ns, entries)`` a row, in order."""
        ...

    async def find(self, response_id: str) -> Record | None: ...

    async def delete(self, record: Record) -> None:
        """Take an ended log out of the journal, and forget its record: from then on it was never there."""
        ...

    async def unfinished(self) -> list[tuple[Record, list[int]]]:
        """Logs without a terminal, each with its journal rows: what a crash left behind."""
        ...

    async def expire(self, now: float, keep_rows_from: int) -> int:
        """Drop what expired before `now`; `keep_rows_from` is the first row a live log needs. Returns how many."""
        ...

    async def probe(self) -> None:
        """Try whether a write would be taken. Raises `StoreError` if not."""
        ...

    async def record_config(self, version: str, text: str, now: float) -> None: ...

    # facts

    async def put_fact(self, fact: Fact, *, expected: str | None = None) -> bool:
        """Write a fact, in place of what is there under its kind and key.

        With `expected` only if what is there has that state, or, for ``""``, if nothing is there. Whether it was written.
        """
        ...

    async def fact(self, kind: str, key: str) -> Fact | None: ...

    async def facts(
        self, kind: str, *, state: str | None = None, limit: int, after: tuple[float, str] | None = None
    ) -> list[Fact]:
        """Facts of a kind (in this state) by time and key, those behind ``after = (at, key)``, at most `limit`."""
        ...

    async def count_facts(self, kind: str, state: str | None = None) -> int: ...

    # the audit log

    async def audit_rows(self, first: int, limit: int) -> list[AuditRow]:
        """Rows from number `first` on, in order, at most `limit`."""
        ...

    async def audit_row(self, kind: str, ref: str) -> AuditRow | None:
        """The newest row of this kind about `ref`."""
        ...

    async def audit_nodes(self, level: int, first: int, count: int) -> list[bytes]:
        """Roots of `count` subtrees of ``256 ** level`` rows, from the `first`-th (from 0) on. Raises `StoreError` if one is missing."""
        ...

    async def put_checkpoint(self, checkpoint: AuditCheckpoint) -> None:
        """Keep a checkpoint; the first of a size stays."""
        ...

    async def newest_checkpoint(self) -> AuditCheckpoint | None: ...

    async def maintain(self, hold: Callable[[bool], None]) -> None:
        """Housekeeping, called every second or so; commits are held while ``hold(True)`` is in force."""
        ...

    async def close(self) -> None: ...


def open_store(url: str, *, durability: str) -> Store:
    """The store a configuration names. Raises `ConfigError` for a URL that names none, `StoreError` if it cannot open."""
    from headgate.stores.memory import MemoryStore
    from headgate.stores.sqlite import SqliteStore

    if url == "memory:":
        return MemoryStore()
    if url.startswith("sqlite:///"):
        return SqliteStore(url.removeprefix("sqlite:///"), fsync=durability == "fsync")
    raise ConfigError([f"store.url: {url!r} is none of sqlite:///PATH and memory:"])
