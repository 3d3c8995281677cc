"""Whether an audit log is what was signed: every row, every hash, every checkpoint, from the first to the last.

One pass, in the order of the log, in memory that does not grow with it. A fault is named by the first row it concerns.
Where a row's own hash gives it away, that is the row; where somebody made the hashes anew as well, the next checkpoint
contradicts, and the rows since the last one that agrees are named.

What no log can show by itself is that it was once longer, or another one from the start: for that there are the key and
the checkpoint that somebody kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from headgate import receipts
from headgate.audit import checkpoints
from headgate.audit.signing import PublicKey
from headgate.audit.source import Broken, Ended, Kept, Source
from headgate.errors import StoreError
from headgate.merkle import TILE_BITS, Tile, Tree, leaf_hash
from headgate.stores import AuditCheckpoint, AuditRow

FINDINGS_MAX: Final = 20
"""More would say nothing new."""


class Finding(NamedTuple):
    """A fault, by the first row it concerns."""

    seq: int
    text: str


@dataclass(slots=True)
class Report:
    """What was found."""

    rows: int = 0
    checkpoints: int = 0
    logs: int = 0
    """Logs of responses that were compared with their receipts."""
    signed: int = 0
    """Rows that a checkpoint covers which agrees with them."""
    signed_at: int = 0
    """Unix time of that checkpoint."""
    origin: str = ""
    keys: list[str] = field(default_factory=list)
    """Ids of the keys that sign, in the order in which they came into force."""
    findings: list[Finding] = field(default_factory=list)
    more: int = 0
    """Findings beyond `FINDINGS_MAX`."""
    newest: AuditCheckpoint | None = None

    @property
    def good(self) -> bool:
        return not self.findings

    @property
    def first(self) -> Finding | None:
        """The fault that concerns the first row."""
        return min(self.findings, default=None, key=lambda finding: finding.seq)


def verify(
    source: Source, *, keys: Sequence[PublicKey] = (), kept: AuditCheckpoint | None = None, logs: bool = False
) -> Report:
    """Read a log from its first row to its last. Raises `StoreError` where the source cannot be read at all.

    `keys` are those that may sign; none: those the log names. `kept` is a checkpoint that somebody kept elsewhere.
    `logs`: look also whether every response's log that is still there has the text its receipt speaks of.
    """
    verifier = _Verifier(keys, kept, {ended.id: ended for ended in source.ended()})
    return verifier.run(source, logs=source.kept if logs else None)


class _Verifier:
    def __init__(self, keys: Sequence[PublicKey], kept: AuditCheckpoint | None, ended: dict[str, Ended]) -> None:
        self._known = {key.raw for key in keys}
        self._kept = kept
        self._logs: Callable[[str], Kept | None] | None = None
        self._ended = ended
        self._report = Report()
        self._tree = Tree()
        self._seq = 0
        self._due: dict[tuple[int, int], bytes] = {}  # tiles that the newest row completed
        self._key: PublicKey | None = None  # in force
        self._lost = False  # a hash of a row is not known, so no root can be computed from here on
        self._faults_since_signed = False
        self._began_at = 0.0
        self._agreed = 0  # size of the newest checkpoint that agrees
        self._missing_upto = 0  # rows that have been found missing
        self._odd: list[tuple[int, int]] = []  # first and last row under tiles that are not theirs

    def run(self, source: Source, *, logs: Callable[[str], Kept | None] | None) -> Report:
        self._logs = logs
        for item in source.items():
            match item:
                case AuditRow():
                    self._row(item)
                case Tile():
                    self._tile(item)
                case AuditCheckpoint():
                    self._checkpoint(item)
                case Broken():
                    self._find(self._seq + 1, f"{item.place}: {item.why}")
        self._end(source.rows)
        return self._report

    # rows

    def _row(self, row: AuditRow) -> None:
        self._tiles_done()
        if row.seq != self._seq + 1 and not self._order(row.seq):
            return
        self._seq = row.seq
        self._report.rows += 1
        fields = self._body(row)
        if not self._lost:
            tiles = self._tree.append(row.leaf)
            self._due = {(tile.level, tile.idx): tile.hash for tile in tiles}
        if row.seq == 1:
            self._report.origin = checkpoints.origin(row.leaf)
        if row.kind == receipts.KEY:
            self._new_key(row, fields)
        elif row.kind == receipts.RESPONSE:
            self._receipt(row, fields)
        if self._kept is not None and self._kept.size == row.seq:
            self._compare_kept(self._kept)

    def _order(self, seq: int) -> bool:
        """A row that is not the next one; whether to go on with it."""
        if seq <= self._seq:
            self._find(seq, f"row {seq} stands behind row {self._seq}: rows were reordered, or it is there twice")
            return False
        self._missing(self._seq + 1, seq - 1, f"row {seq} follows row {self._seq}")
        return True

    def _body(self, row: AuditRow) -> dict[str, Any]:
        if leaf_hash(row.body) != row.leaf:
            self._find(row.seq, f"row {row.seq} was changed: its content is not what its hash says")
        try:
            fields = msgspec.json.decode(row.body, type=dict[str, Any])
        except receipts.UNREADABLE:
            self._find(row.seq, f"row {row.seq} was changed: its content cannot be read")
            return {}
        if fields.get("seq") != row.seq:
            self._find(row.seq, f"row {row.seq} holds what is row {fields.get('seq')}: rows were reordered")
        elif (fields.get("kind"), fields.get("id")) != (row.kind, row.ref):
            self._find(row.seq, f"row {row.seq} was changed: what it is listed under is not what it says")
        return fields

    def _new_key(self, row: AuditRow, fields: dict[str, Any]) -> None:
        try:
            key = PublicKey.from_base64(str(fields.get("public_key")))
        except ValueError:
            self._find(row.seq, f"row {row.seq} names a key that is none")
            return
        if key.id != fields.get("key"):
            self._find(row.seq, f"row {row.seq} names a key by another's id")
        if self._known and key.raw not in self._known:
            self._find(row.seq, f"row {row.seq} brings in the key {key.id}, which is none of those given")
            return
        self._key = key
        self._report.keys.append(key.id)
        at = fields.get("at")
        if row.seq == 1 and isinstance(at, int):
            self._began_at = at

    def _receipt(self, row: AuditRow, fields: dict[str, Any]) -> None:
        ended = self._ended.pop(row.ref, None)
        if ended is None:
            return
        terminal = fields.get("terminal")
        status = terminal.get("status") if isinstance(terminal, dict) else None
        says = (fields.get("owner"), fields.get("event_count"), status)
        if says != (ended.owner, ended.last_seq, ended.terminal):
            self._find(row.seq, f"row {row.seq} contradicts the store's record of {row.ref}: one of them was changed")
        if self._logs is not None:
            self._compare_log(row, fields, self._logs)

    def _compare_log(self, row: AuditRow, fields: dict[str, Any], logs: Callable[[str], Kept | None]) -> None:
        try:
            log = logs(row.ref)
        except StoreError as error:
            self._find(row.seq, f"the log of {row.ref}, of which row {row.seq} speaks: {error}")
            return
        if log is None:
            return
        self._report.logs += 1
        if log != (fields.get("sha256"), fields.get("event_count")):
            self._find(
                row.seq, f"the log of {row.ref} is not what row {row.seq} says was delivered: its text was changed"
            )

    # hashes and signatures

    def _tile(self, tile: Tile) -> None:
        first, last = (tile.idx << TILE_BITS * tile.level) + 1, (tile.idx + 1) << TILE_BITS * tile.level
        expected = self._due.pop((tile.level, tile.idx), None)
        if self._lost and last == self._seq:
            return
        if expected is None:
            self._find(first, f"there is a hash over rows {first} to {last}, and no such rows")
        elif expected != tile.hash and not any(first <= found.seq <= last for found in self._report.findings):
            self._odd.append((first, last))

    def _tiles_done(self) -> None:
        for level, idx in self._due:
            first, last = (idx << TILE_BITS * level) + 1, (idx + 1) << TILE_BITS * level
            self._find(first, f"the hash over rows {first} to {last} is missing")
        self._due = {}

    def _checkpoint(self, checkpoint: AuditCheckpoint) -> None:
        if checkpoint.size > self._seq:
            self._missing(self._seq + 1, checkpoint.size, "a checkpoint covers them")
            return
        self._report.checkpoints += 1
        name = f"the checkpoint of size {checkpoint.size}"
        if checkpoint.size != self._seq or not self._signed(checkpoint, name):
            if checkpoint.size != self._seq:
                self._find(checkpoint.size, f"{name} stands behind row {self._seq}")
            return
        statement = checkpoints.read(checkpoint)
        if self._lost:
            return
        if statement.root != self._tree.root().hex():
            self._contradicted(f"{name} was signed over other rows")
            return
        for first, last in self._odd:
            self._find(first, f"the hash that is kept over rows {first} to {last} was changed; the rows are whole")
        self._odd = []
        self._agreed = self._report.signed = checkpoint.size
        self._report.signed_at = statement.at
        self._report.newest = checkpoint
        self._faults_since_signed = False

    def _signed(self, checkpoint: AuditCheckpoint, name: str) -> bool:
        try:
            statement = checkpoints.read(checkpoint)
        except ValueError as error:
            self._find(checkpoint.size, f"{name} was changed: {error}")
            return False
        if self._key is None or statement.key != self._key.id:
            self._find(checkpoint.size, f"{name} is signed by the key {statement.key}, which is not the one in force")
        elif not self._key.verifies(checkpoint.signature, checkpoint.body):
            self._find(checkpoint.size, f"{name} was changed: its signature is not over what it says")
        elif statement.origin != self._report.origin:
            self._find(checkpoint.size, f"{name} is of another log ({statement.origin})")
        else:
            return True
        return False

    def _compare_kept(self, kept: AuditCheckpoint) -> None:
        name = f"the checkpoint that was kept, of size {kept.size},"
        if not self._signed(kept, name) or self._lost:
            return
        if checkpoints.read(kept).root != self._tree.root().hex():
            self._contradicted(f"{name} was signed over other rows")

    def _contradicted(self, text: str) -> None:
        """The root is not the one that was signed. Where a row has been named already, that is why."""
        if self._faults_since_signed:
            return
        first, last = self._agreed + 1, self._seq
        if self._odd:
            first, last = max(first, self._odd[0][0]), min(last, self._odd[0][1])
            self._odd = []
        where = f"row {first}" if first == last else f"one of the rows {first} to {last}"
        self._find(first, f"{where} was changed, and its hash made anew: {text}")

    # the end

    def _end(self, rows: int | None) -> None:
        self._tiles_done()
        for first, last in self._odd:
            self._find(first, f"the hash over rows {first} to {last} is not theirs: one of them, or it, was changed")
        if rows is not None and rows > self._seq:
            self._missing(self._seq + 1, rows, f"the log says it has {rows} rows")
        elif rows is not None and rows < self._report.rows:
            self._find(rows + 1, f"the log says it has {rows} rows, and has {self._report.rows}")
        if self._kept is not None and self._kept.size > self._seq:
            self._missing(self._seq + 1, self._kept.size, "the checkpoint that was kept covers them")
        if self._seq == 0:
            self._find(1, "the log is empty: nothing was ever written, or everything was removed")
        elif not self._report.checkpoints and not self._report.findings:
            self._find(1, "there is no checkpoint: nothing of the log is signed")
        for ended in self._ended.values():
            if ended.created_at >= self._began_at:
                self._find(self._seq + 1, f"the receipt of {ended.id} is missing: the store says that it has ended")

    def _missing(self, first: int, last: int, why: str) -> None:
        self._lost = True
        first, self._missing_upto = max(first, self._missing_upto + 1), max(last, self._missing_upto)
        if first > last:
            return
        what = f"row {first} is" if first == last else f"rows {first} to {last} are"
        self._find(first, f"{what} missing: {why}")

    def _find(self, seq: int, text: str) -> None:
        self._faults_since_signed = True
        if len(self._report.findings) < FINDINGS_MAX:
            self._report.findings.append(Finding(seq, text))
        else:
            self._report.more += 1
