"""An audit log as somebody outside reads it: from a store's file, beside a gateway that may be running, or from an export.

Nothing is believed here and nothing is judged: items come in the order in which they say they were written, and what
cannot be read as an item comes as `Broken`, in its place. `headgate.audit.verify` does the judging.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import sqlite3
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from headgate import receipts
from headgate.assemble import Digester
from headgate.audit import checkpoints
from headgate.errors import StoreError
from headgate.merkle import TILE_BITS, Tile
from headgate.stores import AuditCheckpoint, AuditRow
from headgate.stores.sqlite import entries_of, unpack_rows

EXPORT_FORMAT: Final = 1
LEVEL_MAX: Final = 7
"""Of tiles: 256 ** 7 rows are more than there will be."""
LINE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of an export; rows are some kilobytes at most."""
_PLACE: Final = {AuditRow: 0, Tile: 1, AuditCheckpoint: 2}
"""Of several items that came with one row, in this order."""


class Broken(NamedTuple):
    """Something that should be an item and is none."""

    place: str
    why: str


Item = AuditRow | Tile | AuditCheckpoint | Broken


class Ended(NamedTuple):
    """A response that the store says has ended."""

    id: str
    owner: str
    created_at: float
    last_seq: int
    terminal: str


class Kept(NamedTuple):
    """A response's log, as it is kept now."""

    sha256: str
    """Of its text (PROTOCOL.md section 8)."""
    event_count: int


class Source(Protocol):
    """A log to be read, once."""

    name: str
    rows: int | None
    """How many rows it says it has; None where it does not say."""

    def items(self) -> Iterator[Item]: ...

    def ended(self) -> Iterator[Ended]:
        """Responses that should have a receipt; none where the source does not know."""
        ...

    def kept(self, response_id: str) -> Kept | None:
        """What the log of a response says that is still kept; None where none is. Raises `StoreError` for one that is broken."""
        ...


class StoreSource:
    """The log in a SQLite file, opened for reading only: as it was when this was opened, whatever is written meanwhile."""

    def __init__(self, path: str) -> None:
        """Raises `StoreError` for a file that is no store with an audit log."""
        self.name = path
        if not Path(path).is_file():
            raise StoreError(f"{path}: there is no such file")
        try:
            self._connection = _open_read_only(path)
            self.rows: int | None = self._connection.execute("SELECT count(*) FROM audit").fetchone()[0]
        except sqlite3.Error as error:
            raise StoreError(f"{path} is no store with an audit log: {error}") from None

    def items(self) -> Iterator[Item]:
        merged = heapq.merge(self._rows(), *self._levels(), self._checkpoints(), key=_order)
        try:
            yield from (item for _, item in merged)
        except sqlite3.Error as error:
            yield Broken(self.name, f"it cannot be read on from here: {error}")

    def ended(self) -> Iterator[Ended]:
        sql = "SELECT id, owner, created_at, last_seq, terminal FROM responses WHERE terminal <> ''"
        try:
            for row in self._connection.execute(sql):
                yield Ended(*row)
        except sqlite3.Error as error:
            raise StoreError(f"{self.name}: its responses cannot be read: {error}") from None

    def kept(self, response_id: str) -> Kept | None:
        sql = "SELECT number, rows FROM responses WHERE id = ? AND terminal <> '' AND expired = 0"
        journal = "SELECT entries FROM journal WHERE id = ?"
        try:
            found = self._connection.execute(sql, (response_id,)).fetchone()
            if found is None:
                return None
            digester, seq = Digester(), 0
            for row in unpack_rows(found[1]):
                stored = self._connection.execute(journal, (row,)).fetchone()
                for entry in entries_of(found[0], stored[0]):
                    seq = entry.first_seq + len(entry.events) - 1
                    for event in entry.events:
                        digester.feed(event)
            return Kept(digester.result(), seq)
        except (sqlite3.Error, *receipts.UNREADABLE, LookupError, TypeError, AssertionError):
            raise StoreError("it cannot be read") from None

    def close(self) -> None:
        self._connection.close()

    def _rows(self) -> Iterator[tuple[int, Item]]:
        for values in self._connection.execute("SELECT seq, kind, ref, body, leaf FROM audit ORDER BY seq"):
            yield values[0], _typed(AuditRow, values, f"row {values[0]}")

    def _levels(self) -> list[Iterator[tuple[int, Item]]]:
        levels = [row[0] for row in self._connection.execute("SELECT DISTINCT level FROM audit_tiles")]
        return [self._tiles(level) for level in levels]

    def _tiles(self, level: Any) -> Iterator[tuple[int, Item]]:
        sql = "SELECT level, idx, hash FROM audit_tiles WHERE level = ? ORDER BY idx"
        for values in self._connection.execute(sql, (level,)):
            place = f"hash {values[1]} of level {level}"
            if not isinstance(level, int) or not 1 <= level <= LEVEL_MAX or not isinstance(values[1], int):
                yield 0, Broken(place, "there is no such hash")
            else:
                at = (values[1] + 1) << (TILE_BITS * level)
                yield at, Tile(*values) if isinstance(values[2], bytes) else Broken(place, "it is no hash")

    def _checkpoints(self) -> Iterator[tuple[int, Item]]:
        for values in self._connection.execute("SELECT size, body, signature FROM audit_checkpoints ORDER BY size"):
            yield values[0], _typed(AuditCheckpoint, values, f"checkpoint of size {values[0]}")


class ExportSource:
    """The log in an export: JSON Lines, as `lines` writes them."""

    def __init__(self, path: str) -> None:
        """Raises `StoreError` for a file that is no export."""
        self.name = path
        self._path = Path(path)
        self.rows: int | None = None
        with contextlib.closing(self._lines()) as lines:
            first = next(lines, b"")
        try:
            head = msgspec.json.decode(first, type=_Head)
        except receipts.UNREADABLE:
            raise StoreError(f"{path} is no export of an audit log") from None
        if head.headgate_audit != EXPORT_FORMAT:
            raise StoreError(f"{path} is an export of another version ({head.headgate_audit})")
        self.rows = head.rows

    def items(self) -> Iterator[Item]:
        for number, line in enumerate(self._lines(), 1):
            if number > 1:
                yield _item(line, f"line {number}")

    def ended(self) -> Iterator[Ended]:
        return iter(())

    def kept(self, response_id: str) -> Kept | None:
        return None

    def _lines(self) -> Generator[bytes, None, None]:
        try:
            with self._path.open("rb") as file:
                while line := file.readline(LINE_BYTES_MAX):
                    yield line
        except OSError as error:
            raise StoreError(f"{self.name}: {error.strerror}") from None


class _Head(msgspec.Struct):
    headgate_audit: int
    rows: int


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    seq: int
    kind: str
    ref: str
    leaf: str
    body: msgspec.Raw


class _Tile(msgspec.Struct, forbid_unknown_fields=True):
    level: int
    idx: int
    hash: str


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    row: _Row | None = None
    tile: _Tile | None = None
    checkpoint: dict[str, Any] | None = None


def lines(source: Source) -> Iterator[bytes]:
    """An export of a log, line by line: what it is, then every item. Raises `StoreError` for what cannot be written."""
    yield msgspec.json.encode({"headgate_audit": EXPORT_FORMAT, "rows": source.rows}) + b"\n"
    for item in source.items():
        match item:
            case AuditRow():
                row = _Row(item.seq, item.kind, item.ref, item.leaf.hex(), msgspec.Raw(item.body))
                line: dict[str, Any] = {"row": row}
            case Tile():
                line = {"tile": _Tile(item.level, item.idx, item.hash.hex())}
            case AuditCheckpoint():
                try:
                    line = {"checkpoint": checkpoints.shown(item)}
                except receipts.UNREADABLE:
                    raise StoreError(f"checkpoint of size {item.size}: it cannot be read") from None
            case Broken():
                raise StoreError(f"{item.place}: {item.why}")
        yield msgspec.json.encode(line) + b"\n"


def _item(line: bytes, place: str) -> Item:
    try:
        parsed = msgspec.json.decode(line, type=_Line)
        if parsed.row is not None:
            row = parsed.row
            return AuditRow(row.seq, row.kind, row.ref, bytes(row.body), from_hex(row.leaf))
        if parsed.tile is not None:
            return Tile(parsed.tile.level, parsed.tile.idx, from_hex(parsed.tile.hash))
        return checkpoints.parse(parsed.checkpoint)
    except receipts.UNREADABLE:
        return Broken(place, "it was changed: it cannot be read")


def from_hex(text: str) -> bytes:
    """Raises `ValueError`, also for digits that no export has."""
    data = bytes.fromhex(text)
    if data.hex() != text:
        raise ValueError("these are no hex digits of ours")
    return data


def _typed(kind: type[AuditRow] | type[AuditCheckpoint], values: tuple[Any, ...], place: str) -> Item:
    try:
        item: Item = msgspec.convert(
            dict(zip(kind.__struct_fields__, values, strict=True)), kind, builtin_types=(bytes,)
        )
    except receipts.UNREADABLE:
        return Broken(place, "it was changed: it cannot be read")
    return item


def _order(placed: tuple[int, Item]) -> tuple[int, int]:
    return placed[0], _PLACE.get(type(placed[1]), 0)


def _open_read_only(path: str) -> sqlite3.Connection:
    """A connection that sees one moment of the file, and takes text for what it is, whoever wrote it.

    Beside a gateway what is in its WAL counts. In a folder that takes no writes SQLite cannot share one, and needs none.
    """
    file = Path(path).absolute()
    alone = not file.with_name(file.name + "-wal").exists() and not os.access(file.parent, os.W_OK)
    mode = "immutable=1" if alone else "mode=ro"
    connection = sqlite3.connect(f"{file.as_uri()}?{mode}", uri=True, isolation_level=None)
    connection.text_factory = lambda data: data.decode("utf-8", "backslashreplace")
    connection.execute("BEGIN")
    return connection
