"""The file of the SQLite store: its lock, its connections, its schema, and how an older schema becomes this one.

A step of `STEPS` is never changed once it was released: files in the wild have run it.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import Any, Final

from headgate.errors import StoreError

_JOURNAL: Final = """
CREATE TABLE journal (
    id INTEGER PRIMARY KEY,
    committed_at INTEGER NOT NULL,           -- monotonic, ns
    entries BLOB NOT NULL                    -- MessagePack: [[number, [first_seq, read_at, [event, ...]]], ...]
);
CREATE TABLE responses (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    created_at REAL NOT NULL,
    first_row INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    terminal TEXT NOT NULL,                  -- empty while the log is open
    expires_at REAL NOT NULL,
    rows BLOB NOT NULL,                      -- MessagePack: first journal row, then the distance to each next one
    expired INTEGER NOT NULL
);
CREATE INDEX responses_open ON responses (first_row) WHERE terminal = '';
CREATE INDEX responses_expiry ON responses (expires_at) WHERE terminal <> '' AND expired = 0;
CREATE INDEX responses_floor ON responses (first_row) WHERE expired = 0;
CREATE TABLE configs (version TEXT PRIMARY KEY, text TEXT NOT NULL, first_used_at REAL NOT NULL);
"""
_FACTS_AND_AUDIT: Final = """
CREATE TABLE facts (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    state TEXT NOT NULL,
    at REAL NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (kind, key)
);
CREATE INDEX facts_time ON facts (kind, at, key);
CREATE INDEX facts_state ON facts (kind, state, at, key);
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,                 -- from 1 without gaps
    kind TEXT NOT NULL,
    ref TEXT NOT NULL,
    body BLOB NOT NULL,                      -- canonical JSON
    leaf BLOB NOT NULL                       -- SHA-256 of 0x00 and the body (RFC 6962, section 2.1)
);
CREATE INDEX audit_ref ON audit (ref);
CREATE TABLE audit_tiles (
    level INTEGER NOT NULL,
    idx INTEGER NOT NULL,                    -- from 0; covers 256 ** level rows
    hash BLOB NOT NULL,
    PRIMARY KEY (level, idx)
) WITHOUT ROWID;
CREATE TABLE audit_checkpoints (size INTEGER PRIMARY KEY, body BLOB NOT NULL, signature BLOB NOT NULL);
"""

STEPS: Final = (_JOURNAL, _FACTS_AND_AUDIT)
"""What leads from each version of the schema to the next; an empty file has version 0."""
SCHEMA_VERSION: Final = len(STEPS)


def lock(path: str) -> int:
    """Hold ``<path>.lock`` for as long as this process lives. Raises `StoreError` if another one does."""
    try:
        Path(path).absolute().parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"cannot open {path}: {error}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise StoreError(f"{path} is in use by another process; give this one its own store.url") from None
    return descriptor


def connect(path: str, *, synchronous: str) -> sqlite3.Connection:
    """One of the store's own connections, in WAL mode, which checkpoints only when it is told to."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    return connection


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema to `SCHEMA_VERSION`, each step whole or not at all; a newer file is refused."""
    version = scalar(connection, "PRAGMA user_version")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"the store was written by a newer Headgate (schema {version}, this one knows {SCHEMA_VERSION})"
        )
    for number, step in enumerate(STEPS[version:], version + 1):
        try:
            connection.executescript(f"BEGIN; {step} PRAGMA user_version = {number}; COMMIT;")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.rollback()
            raise


blob: Final = bytearray
"""Bytes that are written by the thousands: for `bytes`, `sqlite3` looks for an adapter every time, longer than it writes."""


def scalar(connection: sqlite3.Connection, sql: str, *arguments: Any) -> Any:
    """The one value that a query gives."""
    return connection.execute(sql, arguments).fetchone()[0]
