"""The audit log in SQLite: its statements. What the rows say, and whether they are true, is nothing of the store's."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from headgate.errors import StoreError
from headgate.merkle import Tile
from headgate.stores import AuditCheckpoint, AuditRow
from headgate.stores.sqlite_file import blob

_ROW = "seq, kind, ref, body, leaf"
_INSERT = "INSERT INTO audit (seq, kind, ref, body, leaf) VALUES (?, ?, ?, ?, ?)"
_INSERT_TILE = "INSERT OR REPLACE INTO audit_tiles (level, idx, hash) VALUES (?, ?, ?)"
_CHECKPOINT = "SELECT size, body, signature FROM audit_checkpoints"
SIZE = "SELECT coalesce(max(seq), 0) FROM audit"


def append(connection: sqlite3.Connection, rows: Sequence[AuditRow], tiles: Sequence[Tile]) -> None:
    """Inside the transaction of the batch they belong to."""
    connection.executemany(_INSERT, [(row.seq, row.kind, row.ref, blob(row.body), blob(row.leaf)) for row in rows])
    if tiles:
        connection.executemany(_INSERT_TILE, [(tile.level, tile.idx, tile.hash) for tile in tiles])


def rows(connection: sqlite3.Connection, first: int, limit: int) -> list[AuditRow]:
    """See `Store.audit_rows`."""
    sql = f"SELECT {_ROW} FROM audit WHERE seq >= ? ORDER BY seq LIMIT ?"  # noqa: S608  a constant
    return [AuditRow(*row) for row in connection.execute(sql, (first, limit))]


def newest_about(connection: sqlite3.Connection, kind: str, ref: str) -> AuditRow | None:
    """See `Store.audit_row`."""
    sql = f"SELECT {_ROW} FROM audit WHERE ref = ? AND kind = ? ORDER BY seq DESC LIMIT 1"  # noqa: S608  a constant
    row = connection.execute(sql, (ref, kind)).fetchone()
    return None if row is None else AuditRow(*row)


def nodes(connection: sqlite3.Connection, level: int, first: int, count: int) -> list[bytes]:
    """See `Store.audit_nodes`. The leaves are level 0."""
    if level:
        sql = "SELECT hash FROM audit_tiles WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx"
        found = connection.execute(sql, (level, first, first + count)).fetchall()
    else:
        sql = "SELECT leaf FROM audit WHERE seq > ? AND seq <= ? ORDER BY seq"
        found = connection.execute(sql, (first, first + count)).fetchall()
    if len(found) != count:
        raise StoreError(f"the audit log is damaged: {count - len(found)} hashes of level {level} are missing")
    return [row[0] for row in found]


def put_checkpoint(connection: sqlite3.Connection, checkpoint: AuditCheckpoint) -> None:
    """See `Store.put_checkpoint`."""
    sql = "INSERT INTO audit_checkpoints (size, body, signature) VALUES (?, ?, ?) ON CONFLICT (size) DO NOTHING"
    connection.execute(sql, (checkpoint.size, checkpoint.body, checkpoint.signature))


def newest_checkpoint(connection: sqlite3.Connection) -> AuditCheckpoint | None:
    """See `Store.newest_checkpoint`."""
    row = connection.execute(f"{_CHECKPOINT} ORDER BY size DESC LIMIT 1").fetchone()
    return None if row is None else AuditCheckpoint(*row)
