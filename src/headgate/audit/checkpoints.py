"""Checkpoints: signed statements of how large the audit log was at some time, and of the root over all of it.

Whoever keeps one can show later that the log still begins with what it began with then. As JSON it is one object: what
was signed, and ``signature`` beside it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate import receipts
from headgate.audit import signing
from headgate.receipts import canonical
from headgate.stores import AuditCheckpoint

KIND: Final = "checkpoint"
"""In what is signed, so that a signature under a checkpoint can never be shown under a receipt."""


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a checkpoint says."""

    at: int
    """Unix time, seconds."""
    key: str
    """Id of the key that signed it."""
    kind: str
    origin: str
    """Which log it is of: made of the hash of its first row."""
    root: str
    size: int


def origin(first_leaf: bytes) -> str:
    """What a log is called. No two logs begin with the same row: it names a key, and when it came into force."""
    return f"headgate/{first_leaf.hex()[:32]}"


def make(key: signing.SigningKey, *, size: int, root: bytes, at: int, origin: str) -> AuditCheckpoint:
    """Sign a statement."""
    statement = Statement(at=at, key=key.public.id, kind=KIND, origin=origin, root=root.hex(), size=size)
    body = canonical(msgspec.to_builtins(statement))
    return AuditCheckpoint(size, body, key.sign(body))


def read(checkpoint: AuditCheckpoint) -> Statement:
    """What it says; nothing of it is checked but its form. Raises `ValueError`."""
    try:
        statement = msgspec.json.decode(checkpoint.body, type=Statement)
    except receipts.UNREADABLE:
        raise ValueError("it is no checkpoint") from None
    if canonical(msgspec.to_builtins(statement)) != checkpoint.body or statement.kind != KIND:
        raise ValueError("it is no checkpoint")
    if statement.size < 1:
        raise ValueError("it is over nothing")
    if statement.size != checkpoint.size:
        raise ValueError(f"it says that it is of size {statement.size}")
    return statement


def shown(checkpoint: AuditCheckpoint) -> dict[str, Any]:
    """As one JSON object."""
    fields: dict[str, Any] = msgspec.json.decode(checkpoint.body)
    return {**fields, "signature": signing.to_base64(checkpoint.signature)}


def parse(fields: object) -> AuditCheckpoint:
    """The inverse of `shown`. Raises `ValueError`."""
    if not isinstance(fields, dict) or not isinstance(fields.get("signature"), str):
        raise ValueError("it is no checkpoint")
    signed = {name: value for name, value in fields.items() if name != "signature"}
    if not isinstance(signed.get("size"), int):
        raise ValueError("it is no checkpoint")
    checkpoint = AuditCheckpoint(signed["size"], canonical(signed), signing.from_base64(fields["signature"]))
    read(checkpoint)
    return checkpoint
