"""Whether a receipt is one of this gateway's, and whether a text, or a log, is what it says was delivered. Offline.

A receipt comes as ``GET /v1/responses/{id}/receipt`` gives it, or as somebody has formatted it since. What is checked
leads from the text to the key: text -> hash in the receipt -> signature of the receipt, and receipt -> row -> root ->
signature of the checkpoint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from headgate import receipts
from headgate.assemble import Digester, digest
from headgate.audit import checkpoints
from headgate.audit.signing import PublicKey, from_base64
from headgate.audit.source import from_hex
from headgate.events import AnyEvent, Delta, PartKind, PartStarted, ResponseStarted, Retracted
from headgate.merkle import leaf_hash, root_of_inclusion
from headgate.receipts import RESPONSE, canonical
from headgate.stores import AuditCheckpoint


class Check(NamedTuple):
    """One thing that was looked at."""

    passed: bool
    text: str
    known: bool = True
    """False: it could not be looked at with what was given."""


class _Bundle(msgspec.Struct):
    receipt: dict[str, Any]
    signature: str
    public_key: str
    inclusion: list[str]
    checkpoint: dict[str, Any]


class Receipt(NamedTuple):
    """A receipt with everything that proves it."""

    fields: dict[str, Any]
    body: bytes
    signature: bytes
    key: PublicKey
    inclusion: list[bytes]
    checkpoint: AuditCheckpoint


class ProofError(ValueError):
    """What was given cannot be read as what it should be."""


def parse(data: bytes) -> Receipt:
    """Raises `ProofError`."""
    try:
        bundle = msgspec.json.decode(data, type=_Bundle)
        return Receipt(
            bundle.receipt,
            canonical(bundle.receipt),
            from_base64(bundle.signature),
            PublicKey.from_base64(bundle.public_key),
            [from_hex(node) for node in bundle.inclusion],
            checkpoints.parse(bundle.checkpoint),
        )
    except receipts.UNREADABLE as error:
        raise ProofError(f"it is no receipt: {error}") from None


def check_receipt(receipt: Receipt, *, keys: Sequence[PublicKey], kept: AuditCheckpoint | None) -> list[Check]:
    """Whether it is signed, and in the log that a checkpoint speaks for. `keys`: those that are trusted, none for its own."""
    statement = checkpoints.read(receipt.checkpoint)
    seq, kind = receipt.fields.get("seq"), receipt.fields.get("kind")
    checks = [
        Check(
            not keys or receipt.key.raw in {key.raw for key in keys},
            f"the key {receipt.key.id} is {'one of those given' if keys else 'whose? give --public-key'}",
            known=bool(keys),
        ),
        Check(receipt.key.verifies(receipt.signature, receipt.body), "the receipt is signed by this key"),
        Check(kind == RESPONSE, "it is the receipt of a response"),
    ]
    checkpoint_key = {key.id: key for key in keys or [receipt.key]}.get(statement.key)
    signed = checkpoint_key is not None and checkpoint_key.verifies(
        receipt.checkpoint.signature, receipt.checkpoint.body
    )
    checks.append(Check(signed, f"the checkpoint of size {statement.size} is signed by the key {statement.key}"))
    index = seq - 1 if isinstance(seq, int) else -1
    root = root_of_inclusion(leaf_hash(receipt.body), index, statement.size, receipt.inclusion)
    included = root is not None and root.hex() == statement.root
    checks.append(Check(included, f"it is row {seq} of the log {statement.origin}"))
    if kept is not None:
        checks.append(_check_kept(receipt.checkpoint, kept))
    return checks


def check_text(receipt: Receipt, text: bytes) -> list[Check]:
    """Whether this is the text that was delivered; a line end that an editor put behind it does not count."""
    sha256, parts = receipt.fields.get("sha256"), _parts(receipt)
    candidates = [text, text.removesuffix(b"\n"), text.removesuffix(b"\r\n")]
    for candidate in candidates:
        hashed = hashlib.sha256(candidate)
        if digest([(0, 0, PartKind.TEXT, hashed.digest())]) == sha256:
            return [Check(True, "the text is what was delivered, all of it")]
        for part in parts:
            if part.get("sha256") == hashed.hexdigest():
                where = f"part {part.get('part')} of choice {part.get('choice')}, {part.get('kind')}"
                return [Check(True, f"the text is what was delivered as {where}")]
    if parts:
        return [Check(False, "the text is none of the parts that were delivered")]
    return [
        Check(False, "the text is not what was delivered, or not in one part of its own: then check the log (--events)")
    ]


def check_events(receipt: Receipt, lines: Iterable[bytes]) -> list[Check]:
    """Whether this is the log that was delivered: one native event a line. Raises `ProofError` where it is none."""
    log = _Log()
    for number, line in enumerate(lines, 1):
        if line.strip():
            log.feed(line, number)
    return [
        Check(log.id == receipt.fields.get("id"), f"the log is that of {receipt.fields.get('id')}"),
        Check(log.seq == receipt.fields.get("event_count") and log.ended, f"it is whole, {log.seq} events"),
        Check(log.gap == 0, f"event {log.gap} is there" if log.gap else "no event is missing"),
        Check(log.result() == receipt.fields.get("sha256"), "its text is what was delivered"),
    ]


class _Log:
    """The native log, as far as the hash goes."""

    def __init__(self) -> None:
        self.id = ""
        self.seq = 0
        self.ended = False
        self._digester = Digester()
        self._missing: list[int] = []

    @property
    def gap(self) -> int:
        """The first event that is missing, 0 for none."""
        return self._missing[0] if self._missing else 0

    def feed(self, line: bytes, number: int) -> None:
        try:
            fields = msgspec.json.decode(line, type=dict[str, Any])
            seq = fields["seq"]
            if not isinstance(seq, int) or seq <= self.seq or self.ended:
                raise ProofError(f"line {number}: event {seq} may not stand here")
            if len(self._missing) + seq - self.seq > GAP_MAX:
                raise ProofError(f"line {number}: {seq - self.seq - 1} events are missing before it")
            self._missing += range(self.seq + 1, seq)
            self.seq = seq
            self._take(fields)
        except ProofError:
            raise
        except (*receipts.UNREADABLE, LookupError, TypeError, AssertionError):
            raise ProofError(f"line {number} is no event of a native log") from None

    def result(self) -> str:
        return self._digester.result()

    def _take(self, fields: dict[str, Any]) -> None:
        kind = fields["type"]
        if kind == "response.started":
            self.id = fields["id"]
        elif kind == "terminal":
            self.ended = True
        elif kind == "retracted":
            taken_back = range(fields["from_seq"], self.seq)
            self._missing = [seq for seq in self._missing if seq not in taken_back]
        make = _EVENTS.get(kind)
        if make is not None:
            event = make(fields)
            msgspec.convert(msgspec.to_builtins(event), type(event))  # wrong types are no event
            self._digester.feed(event)


GAP_MAX: Final = 1_000_000
"""Events that a log may leave out because they were taken back."""
_EVENTS: Final[dict[str, Callable[[dict[str, Any]], AnyEvent]]] = {
    "response.started": lambda f: ResponseStarted(f["id"], "", "", "", 0, may_retract=f.get("may_retract", False)),
    "part.started": lambda f: PartStarted(f["choice"], f["part"], PartKind(f["kind"])),
    "delta": lambda f: Delta(f["choice"], f["part"], f["text"]),
    "retracted": lambda f: Retracted(
        f["choice"], f["part"], f.get("from_char", 0), f["from_seq"], "", f.get("replacement", "")
    ),
}


def _parts(receipt: Receipt) -> list[dict[str, Any]]:
    """The parts a receipt lists, if they are those its hash is made of."""
    parts = receipt.fields.get("parts")
    try:
        hashed = [(p["choice"], p["part"], PartKind(p["kind"]), bytes.fromhex(p["sha256"])) for p in parts or ()]
    except (LookupError, TypeError, ValueError):
        return []
    return list(parts or ()) if hashed and digest(hashed) == receipt.fields.get("sha256") else []


def _check_kept(shown: AuditCheckpoint, kept: AuditCheckpoint) -> Check:
    """Two checkpoints of one log. What lies between two sizes only the log itself can show."""
    ours, theirs = checkpoints.read(shown), checkpoints.read(kept)
    same = ours.origin == theirs.origin and (ours.size != theirs.size or ours.root == theirs.root)
    more = "" if ours.size == theirs.size else "; whether one grew out of the other only the log shows"
    return Check(same, f"its checkpoint and the one that was kept are of one log{more}", known=ours.size == theirs.size)
