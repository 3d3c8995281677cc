"""`Audit`: gives rows of the audit log their places, keeps the tree, signs checkpoints and proves receipts."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from headgate import receipts
from headgate.audit import checkpoints, signing
from headgate.clock import Clock
from headgate.errors import StoreError
from headgate.merkle import Tree, complete, inclusion_ranges, join, leaf_hash, spans
from headgate.receipt import Receipt
from headgate.stores import AuditCheckpoint, AuditRow, Batch, Store
from headgate.telemetry.logs import fields as log_fields
from headgate.telemetry.logs import logger

_logger = logger("audit")

DAMAGED: Final = "the audit log is not what was signed; `headgate audit verify` says where"


class Note(NamedTuple):
    """A row that belongs to no log's end, waiting for the next commit."""

    kind: str
    ref: str
    fields: dict[str, Any]


class Audit:
    """The audit log of a store, as the one process that writes it sees it."""

    def __init__(self, store: Store, key: signing.SigningKey, clock: Clock) -> None:
        """For `open`, which is what others call."""
        self._store = store
        self._key = key
        self._clock = clock
        self._tree = Tree()
        self._committed = Tree()  # what the store is known to have: all that may be signed
        self._notes: list[Note] = []
        self._noted: list[Note] = []  # in the batch that is in flight
        self._signs_from = 0  # number of the row that names the key; 0 while there is none
        self._origin = ""
        self._newest: AuditCheckpoint | None = None
        self._signing = asyncio.Lock()

    @classmethod
    async def open(cls, store: Store, key_file: Path | None, clock: Clock) -> Audit:
        """Go on with the store's audit log. Without a file the key lives as long as this object.

        Raises `ConfigError` for a file that holds no key, `StoreError` for a log that contradicts its newest checkpoint:
        whatever was signed from then on would speak for it.
        """
        audit = cls(store, signing.load(key_file) if key_file else signing.SigningKey(), clock)
        await audit.reload()
        audit._newest = await store.newest_checkpoint()
        if audit._newest is not None:
            await audit._check(audit._newest)
        row = await store.audit_row(receipts.KEY, receipts.SIGNING)
        if row is not None and msgspec.json.decode(row.body).get("key") == audit._key.public.id:
            audit._signs_from = row.seq
        else:
            public = audit._key.public
            now = int(clock.wall())
            audit.note(
                receipts.KEY,
                receipts.SIGNING,
                receipts.key(key_id=public.id, public_key=public.base64, at=now),
            )
        return audit

    # the commit path

    @property
    def pending(self) -> bool:
        """Something waits for a commit."""
        return bool(self._notes)

    def note(self, kind: str, ref: str, fields: dict[str, Any]) -> None:
        """A row for the next commit; if that fails, for the first that does not. Names in `fields` are ASCII."""
        self._notes.append(Note(kind, ref, receipts.exact(fields)))

    def add(self, batch: Batch, kind: str, ref: str, fields: Receipt | dict[str, Any]) -> None:
        """A row for this batch: it is there if and only if the batch is committed."""
        seq = self._tree.size + 1
        body = receipts.body(kind, ref, seq, fields)
        leaf = leaf_hash(body)
        batch.audit.append(AuditRow(seq, kind, ref, body, leaf))
        tiles = self._tree.append(leaf)
        if tiles:
            batch.tiles += tiles

    def begin(self, batch: Batch) -> None:
        """A batch is being made: what waits goes into it. Called once for each, before anything is added to it."""
        if self._notes:
            self._noted, self._notes = self._notes, []
            for kind, ref, fields in self._noted:
                self.add(batch, kind, ref, fields)
                if kind == receipts.KEY and fields["key"] == self._key.public.id:
                    self._signs_from = self._tree.size

    def committed(self) -> None:
        """The batch is safe."""
        if self._committed.size != self._tree.size:
            self._committed = self._tree.copy()
            self._noted = []

    async def reload(self) -> None:
        """Begin again with what the store has: at the start, and after a commit that failed. Raises `StoreError`."""
        size = self._store.audit_size
        self._tree = Tree(size, await self._peaks(0, size))
        self._committed = self._tree.copy()
        self._notes, self._noted = self._noted + self._notes, []
        if self._signs_from > size:
            self._signs_from = 0

    # signing

    async def checkpoint(self) -> AuditCheckpoint | None:
        """Sign what is committed, if there is something new. The newest checkpoint; None before the first row."""
        async with self._signing:
            tree, newest = self._committed, self._newest
            new = newest is None or tree.size > newest.size
            if new and 0 < self._signs_from <= tree.size:
                if not self._origin:
                    self._origin = checkpoints.origin((await self._store.audit_nodes(0, 0, 1))[0])
                now = int(self._clock.wall())
                made = checkpoints.make(self._key, size=tree.size, root=tree.root(), at=now, origin=self._origin)
                await self._store.put_checkpoint(made)
                self._newest = made
            return self._newest

    async def run(self, every_s: float) -> None:
        """Sign checkpoints for as long as this is not cancelled."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.checkpoint()
            except StoreError as error:
                _logger.error("a checkpoint could not be kept", extra=log_fields(error=str(error)))

    async def close(self) -> None:
        """Sign what has not been signed."""
        try:
            await self.checkpoint()
        except StoreError as error:
            _logger.error("the last checkpoint could not be kept", extra=log_fields(error=str(error)))

    async def prove(self, response_id: str, owner: str) -> dict[str, Any] | None:
        """The receipt of `owner`'s response, signed, with the proof that it is in the log; None if there is none (yet)."""
        row = await self._store.audit_row(receipts.RESPONSE, response_id)
        if row is None or msgspec.json.decode(row.body).get("owner") != owner:
            return None
        signed = self._newest
        if signed is None or signed.size < row.seq or checkpoints.read(signed).key != self._key.public.id:
            signed = await self.checkpoint()
        if signed is None or signed.size < row.seq:
            return None
        inclusion = [join(await self._peaks(*part)) for part in inclusion_ranges(row.seq - 1, signed.size)]
        return {
            "receipt": msgspec.Raw(row.body),
            "signature": signing.to_base64(self._key.sign(row.body)),
            "public_key": self._key.public.base64,
            "inclusion": [node.hex() for node in inclusion],
            "checkpoint": checkpoints.shown(signed),
        }

    async def _peaks(self, begin: int, end: int) -> list[bytes]:
        """Roots of the complete subtrees of the rows from `begin` to `end`, counted from 0."""
        return [complete(await self._store.audit_nodes(*span)) for span in spans(begin, end)]

    async def _check(self, checkpoint: AuditCheckpoint) -> None:
        try:
            statement = checkpoints.read(checkpoint)
            if statement.size > self._tree.size or statement.root != join(await self._peaks(0, statement.size)).hex():
                raise ValueError
        except ValueError:
            raise StoreError(DAMAGED) from None
