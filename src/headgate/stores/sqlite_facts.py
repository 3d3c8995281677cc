"""Facts in SQLite: the statements, each whole by itself, so that compare and set needs no transaction."""

from __future__ import annotations

import sqlite3

from headgate.stores import Fact

_COLUMNS = "kind, key, state, at, body"
_INSERT = "INSERT INTO facts (kind, key, state, at, body) VALUES (?, ?, ?, ?, ?)"
_REPLACE = (
    f"{_INSERT} ON CONFLICT (kind, key) DO UPDATE SET state = excluded.state, at = excluded.at, body = excluded.body"
)
_UPDATE = "UPDATE facts SET state = ?, at = ?, body = ? WHERE kind = ? AND key = ? AND state = ?"


def put(connection: sqlite3.Connection, fact: Fact, expected: str | None) -> bool:
    """See `Store.put_fact`."""
    row = (fact.kind, fact.key, fact.state, fact.at, fact.body)
    if expected is None:
        done = connection.execute(_REPLACE, row)
    elif expected:
        done = connection.execute(_UPDATE, (fact.state, fact.at, fact.body, fact.kind, fact.key, expected))
    else:
        done = connection.execute(f"{_INSERT} ON CONFLICT (kind, key) DO NOTHING", row)
    return done.rowcount == 1


def find(connection: sqlite3.Connection, kind: str, key: str) -> Fact | None:
    """See `Store.fact`."""
    sql = f"SELECT {_COLUMNS} FROM facts WHERE kind = ? AND key = ?"  # noqa: S608  a constant
    row = connection.execute(sql, (kind, key)).fetchone()
    return None if row is None else Fact(*row)


def page(
    connection: sqlite3.Connection, kind: str, *, state: str | None, limit: int, after: tuple[float, str] | None
) -> list[Fact]:
    """See `Store.facts`."""
    wanted, arguments = _wanted(kind, state)
    if after is not None:
        wanted, arguments = f"{wanted} AND (at, key) > (?, ?)", [*arguments, *after]
    sql = f"SELECT {_COLUMNS} FROM facts WHERE {wanted} ORDER BY at, key LIMIT ?"  # noqa: S608  constants
    return [Fact(*row) for row in connection.execute(sql, (*arguments, limit))]


def count(connection: sqlite3.Connection, kind: str, state: str | None) -> int:
    """See `Store.count_facts`."""
    wanted, arguments = _wanted(kind, state)
    sql = f"SELECT count(*) FROM facts WHERE {wanted}"  # noqa: S608  constants
    found: int = connection.execute(sql, arguments).fetchone()[0]
    return found


def _wanted(kind: str, state: str | None) -> tuple[str, list[str | float]]:
    return ("kind = ?", [kind]) if state is None else ("kind = ? AND state = ?", [kind, state])
