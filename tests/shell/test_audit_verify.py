"""A log that was touched says so, and where: every byte of every record, rows dropped, swapped, made anew, cut off."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headgate import receipts
from headgate.audit import checkpoints, signing, source
from headgate.audit.verify import Report, verify
from headgate.errors import StoreError
from headgate.merkle import Tree, leaf_hash
from headgate.stores import AuditCheckpoint
from tests.shell.auditing import NOW, closed, opened, response_id
from tests.shell.scene import run

SMALL = 5
"""Rows: a key and four receipts, under checkpoints of 1, 3 and 5 rows."""
LARGE = 600
"""Rows of a log with two tiles."""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit")


@pytest.fixture(scope="module")
def small_log(places: Path) -> Path:
    async def make() -> None:
        writer = await opened(places / "small.db")
        writer.audit.begin(batch := writer.batch())
        await writer.commit(batch)
        await writer.audit.checkpoint()
        for _ in range(2):
            await writer.end()
            await writer.end()
            await writer.audit.checkpoint()
        await closed(writer)

    run(make)
    return places / "small.db"


@pytest.fixture(scope="module")
def large_log(places: Path) -> Path:
    async def make() -> None:
        writer = await opened(places / "large.db")
        for count in (250, 100, 200, LARGE - 551):
            await writer.end(count)
            await writer.audit.checkpoint()
        await closed(writer)

    run(make)
    return places / "large.db"


@pytest.fixture
def small(small_log: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(small_log, tmp_path / "small.db"))


@pytest.fixture
def large(large_log: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(large_log, tmp_path / "large.db"))


def looked_at(path: Path, **more: Any) -> Report:
    opened_source = source.StoreSource(str(path))
    try:
        return verify(opened_source, **more)
    finally:
        opened_source.close()


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def first_fault(path: Path, **more: Any) -> tuple[int, str]:
    first = looked_at(path, **more).first
    assert first is not None, "nothing was found"
    return first


def exported(path: Path, to: Path) -> Path:
    opened_source = source.StoreSource(str(path))
    to.write_bytes(b"".join(source.lines(opened_source)))
    opened_source.close()
    return to


def newest(path: Path) -> AuditCheckpoint:
    found = looked_at(path).newest
    assert found is not None
    return found


# untouched


def test_log_that_nobody_touched_is_good(small: Path, large: Path, tmp_path: Path) -> None:
    for path, rows, signed in ((small, SMALL, 3), (large, LARGE, 4)):
        for report in (looked_at(path), verify(source.ExportSource(str(exported(path, tmp_path / "export.jsonl"))))):
            assert report.good, report.findings
            assert (report.rows, report.signed, report.checkpoints) == (rows, rows, signed)
            assert len(report.keys) == 1


def test_log_is_verified_beside_the_gateway_that_writes_it(tmp_path: Path) -> None:
    async def test() -> None:
        writer = await opened(tmp_path / "a.db")
        await writer.end(3)
        await writer.audit.checkpoint()
        await writer.end(2)
        report = looked_at(tmp_path / "a.db")
        assert report.good, report.findings
        assert (report.rows, report.signed) == (6, 4), "two rows wait for the next checkpoint"
        await writer.end()
        await closed(writer)
        assert looked_at(tmp_path / "a.db").signed == 7

    run(test)


def test_keys_that_follow_each_other_are_checked_each_for_its_time(tmp_path: Path) -> None:
    async def test() -> None:
        for key in ("one.pem", "two.pem", "one.pem"):
            writer = await opened(tmp_path / "a.db", key_file=tmp_path / key)
            await writer.end()
            await closed(writer)

    run(test)
    report = looked_at(tmp_path / "a.db")
    assert report.good, report.findings
    one, two = (signing.load(tmp_path / name).public for name in ("one.pem", "two.pem"))
    assert report.keys == [one.id, two.id, one.id]
    assert looked_at(tmp_path / "a.db", keys=[one, two]).good
    seq, text = first_fault(tmp_path / "a.db", keys=[one])
    assert (seq, two.id in text) == (3, True)


# every byte


def mutations(path: Path) -> Iterator[tuple[str, str, Any, int, bytes | str | int]]:
    """Every byte of every column of every record: table, column, key of the record, row it is about, what to put there."""
    connection = sqlite3.connect(path)
    for table, key, columns in (
        ("audit", "seq", ("kind", "ref", "body", "leaf")),
        ("audit_checkpoints", "size", ("body", "signature")),
        ("audit_tiles", "rowid_of_tile", ("hash",)),
    ):
        about = "(idx << 8) + 1" if table == "audit_tiles" else key
        where = "idx" if table == "audit_tiles" else key
        names = ", ".join(columns)
        for record, seq, *values in connection.execute(f"SELECT {where}, {about}, {names} FROM {table}"):
            for column, value in zip(columns, values, strict=True):
                data = value.encode() if isinstance(value, str) else value
                for at in range(len(data)):
                    flipped = data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :]
                    yield table, column, record, seq, flipped
    connection.close()


def find_every_flip(path: Path, tables: tuple[str, ...]) -> int:
    """Flip, look, put back. How many flips there were."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    count = 0
    for table, column, record, seq, flipped in mutations(path):
        if table not in tables:
            continue
        where = "idx" if table == "audit_tiles" else "size" if table == "audit_checkpoints" else "seq"
        [(before,)] = connection.execute(f"SELECT {column} FROM {table} WHERE {where} = ?", (record,)).fetchall()
        cast = "CAST(? AS TEXT)" if isinstance(before, str) else "?"
        connection.execute(f"UPDATE {table} SET {column} = {cast} WHERE {where} = ?", (flipped, record))
        found, _ = first_fault(path)
        assert found == seq, f"{table}.{column} of {record}: row {found} was named"
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where} = ?", (before, record))
        count += 1
    connection.close()
    return count


def test_any_byte_of_any_record_that_is_flipped_is_found_and_its_row_named(small: Path) -> None:
    assert find_every_flip(small, ("audit", "audit_checkpoints")) > 3_000
    assert looked_at(small).good


def test_any_byte_of_a_tile_that_is_flipped_is_found_and_its_rows_named(large: Path) -> None:
    assert find_every_flip(large, ("audit_tiles",)) == 64
    assert looked_at(large).good


def test_any_byte_of_an_export_that_is_flipped_is_found(small: Path, tmp_path: Path) -> None:
    path = exported(small, tmp_path / "export.jsonl")
    data = path.read_bytes()
    for at in range(len(data) - 1):  # the last one is a line end
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :])
        try:
            good = verify(source.ExportSource(str(path))).good
        except StoreError:
            good = False
        same = msgspec.json.decode(b"[" + b",".join(path.read_bytes().split(b"\n")[:-1]) + b"]") if good else None
        assert not good or same == msgspec.json.decode(b"[" + b",".join(data.split(b"\n")[:-1]) + b"]"), at


def test_numbers_that_are_changed_are_found(small: Path) -> None:
    before = small.read_bytes()
    for statement, named in (
        ("UPDATE audit SET seq = 9 WHERE seq = 5", 5),
        ("UPDATE audit SET seq = 0 WHERE seq = 1", 0),
        ("UPDATE audit SET seq = -3 WHERE seq = 3", -3),
        ("UPDATE audit_checkpoints SET size = 4 WHERE size = 3", 4),
        ("UPDATE audit_checkpoints SET size = 40 WHERE size = 5", 6),
        ("UPDATE audit SET body = NULL WHERE seq = 2", 2),
        ("UPDATE audit SET body = 'text' WHERE seq = 2", 2),
        ("UPDATE audit SET leaf = 7 WHERE seq = 2", 2),
        ("INSERT INTO audit_tiles VALUES (1, 0, x'00')", 1),
        ("INSERT INTO audit_tiles VALUES (99, 0, x'00')", 1),
        ("INSERT INTO audit_tiles VALUES ('x', 'y', 'z')", 1),
    ):
        small.write_bytes(before)
        if "NULL" in statement:
            continue  # the schema does not let that happen
        change(small, statement)
        assert first_fault(small)[0] == named, statement


# whole rows


@pytest.mark.parametrize("seq", range(1, SMALL + 1))
def test_row_that_was_dropped_is_named(seq: int, small: Path, tmp_path: Path) -> None:
    export = exported(small, tmp_path / "export.jsonl")
    change(small, f"DELETE FROM audit WHERE seq = {seq}")
    found, text = first_fault(small)
    assert (found, "missing" in text) == (seq, True)
    kept = [line for line in export.read_bytes().splitlines(True) if b'"seq":%d,"kind"' % seq not in line]
    export.write_bytes(b"".join(kept))
    first = verify(source.ExportSource(str(export))).first
    assert first is not None
    assert (first.seq, "missing" in first.text) == (seq, True)


@pytest.mark.parametrize("pair", [(2, 3), (1, 2), (2, 5)])
def test_rows_that_were_swapped_are_named(pair: tuple[int, int], small: Path, tmp_path: Path) -> None:
    export = exported(small, tmp_path / "export.jsonl")
    first, second = pair
    swap = "UPDATE audit SET seq = {} WHERE seq = {}"
    change(small, swap.format(-1, first), swap.format(first, second), swap.format(second, -1))
    found, text = first_fault(small)
    assert (found, "reordered" in text) == (first, True)
    lines = export.read_bytes().splitlines(True)
    a, b = (next(n for n, line in enumerate(lines) if b'"seq":%d,"kind"' % seq in line) for seq in pair)
    lines[a], lines[b] = lines[b], lines[a]
    export.write_bytes(b"".join(lines))
    in_export = verify(source.ExportSource(str(export))).first
    assert in_export is not None
    assert in_export.seq == first


def test_rows_that_were_cut_off_at_the_end_are_named(small: Path, large: Path, tmp_path: Path) -> None:
    export = exported(small, tmp_path / "export.jsonl")
    change(small, "DELETE FROM audit WHERE seq > 3")
    assert first_fault(small)[0] == 4
    change(large, "DELETE FROM audit WHERE seq > 400", "DELETE FROM audit_tiles WHERE idx > 0")
    assert first_fault(large)[0] == 401
    lines = export.read_bytes().splitlines(True)
    for left in range(1, len(lines)):
        export.write_bytes(b"".join(lines[:left]))
        report = verify(source.ExportSource(str(export)))
        rows = sum(b'{"row"' in line for line in lines[:left])
        assert report.good == (rows == SMALL and left == len(lines) - 1), left
        if not report.good and rows < SMALL:
            assert report.first is not None
            assert report.first.seq == max(rows + 1, 1)


def test_row_that_somebody_put_in_is_named(small: Path) -> None:
    columns = "kind, ref, body, leaf"
    change(small, f"INSERT INTO audit (seq, {columns}) SELECT 6, {columns} FROM audit WHERE seq = 4")
    assert first_fault(small)[0] == 6


def test_log_that_is_empty_or_unsigned_is_not_good(small: Path) -> None:
    change(small, "DELETE FROM audit_checkpoints")
    assert "no checkpoint" in first_fault(small)[1]
    change(small, "DELETE FROM audit")
    assert "empty" in first_fault(small)[1]


# by somebody who makes the hashes anew


def rewrite(path: Path, edit: Callable[[dict[str, Any]], None], *, seq: int, tiles: bool = True) -> None:
    """Change what a row says, and everything that follows from it but the signatures."""
    connection = sqlite3.connect(path)
    tree = Tree()
    for at, body in connection.execute("SELECT seq, body FROM audit ORDER BY seq").fetchall():
        fields = msgspec.json.decode(body)
        if at == seq:
            edit(fields)
        data = receipts.canonical(fields)
        connection.execute("UPDATE audit SET body = ?, leaf = ? WHERE seq = ?", (data, leaf_hash(data), at))
        for tile in tree.append(leaf_hash(data)):
            if tiles:
                connection.execute("UPDATE audit_tiles SET hash = ? WHERE idx = ?", (tile.hash, tile.idx))
    connection.commit()
    connection.close()


def test_row_whose_hash_was_made_anew_contradicts_the_next_checkpoint(small: Path, large: Path) -> None:
    rewrite(small, lambda fields: fields.update(model="other"), seq=4)
    found, text = first_fault(small)
    assert found == 4
    assert "4 to 5" in text
    rewrite(large, lambda fields: fields.update(model="other"), seq=300)
    found, text = first_fault(large)
    assert "252 to 351" in text, "the checkpoint before it agrees, the one after it does not"


def test_tile_that_was_left_as_it_was_narrows_it_down(large: Path) -> None:
    rewrite(large, lambda fields: fields.update(model="other"), seq=253, tiles=False)
    assert "252 to 256" in first_fault(large)[1]


def test_signature_by_another_key_is_none(small: Path) -> None:
    rewrite(small, lambda fields: fields.update(model="other"), seq=4)
    connection = sqlite3.connect(small)
    tree = Tree()
    for (leaf,) in connection.execute("SELECT leaf FROM audit ORDER BY seq"):
        tree.append(leaf)
    forged = checkpoints.make(signing.SigningKey(), size=5, root=tree.root(), at=NOW, origin=looked_at(small).origin)
    sql = "UPDATE audit_checkpoints SET body = ?, signature = ? WHERE size = 5"
    connection.execute(sql, (forged.body, forged.signature))
    connection.commit()
    connection.close()
    assert "not the one in force" in first_fault(small)[1]


def test_another_log_altogether_is_told_by_the_key_and_by_the_checkpoint_that_was_kept(
    small: Path, tmp_path: Path
) -> None:
    async def forge() -> None:
        writer = await opened(tmp_path / "forged.db", key_file=tmp_path / "forged.pem")
        await writer.end(10)
        await closed(writer)

    run(forge)
    forged, key = tmp_path / "forged.db", signing.load(small_key(small)).public
    assert looked_at(forged).good, "by itself it is"
    assert first_fault(forged, keys=[key])[0] == 1
    assert "is signed by the key" in first_fault(forged, kept=newest(small))[1]


def small_key(small: Path) -> Path:
    """The key of the fixture's log: what its first row names is in the module's folder."""
    connection = sqlite3.connect(small)
    [(body,)] = connection.execute("SELECT body FROM audit WHERE seq = 1").fetchall()
    connection.close()
    wanted = msgspec.json.decode(body)["key"]
    folders = small.parent.parent.rglob("key.pem")
    return next(path for path in folders if signing.load(path).public.id == wanted)


# what somebody kept


def test_cut_that_takes_the_checkpoints_too_is_told_by_the_one_that_was_kept(small: Path) -> None:
    kept = newest(small)
    change(
        small,
        "DELETE FROM audit WHERE seq > 3",
        "DELETE FROM audit_checkpoints WHERE size > 3",
        "DELETE FROM responses WHERE number > 2",
    )
    assert looked_at(small).good, "by itself it is"
    found, text = first_fault(small, kept=kept)
    assert (found, "kept" in text) == (4, True)


def test_log_that_went_on_agrees_with_the_checkpoint_that_was_kept(tmp_path: Path) -> None:
    async def test() -> None:
        writer = await opened(tmp_path / "a.db")
        await writer.end(3)
        kept = await writer.audit.checkpoint()
        await writer.end(3)
        await closed(writer)
        assert looked_at(tmp_path / "a.db", kept=kept).good

    run(test)


def test_ended_response_without_a_receipt_is_named(small: Path) -> None:
    """Rows and checkpoints are gone from the end, and nobody kept one: the store still has the responses."""
    change(small, "DELETE FROM audit WHERE seq > 3", "DELETE FROM audit_checkpoints WHERE size > 3")
    found, text = first_fault(small)
    assert (found, "receipt" in text) == (4, True)


def test_response_that_ended_before_there_was_an_audit_log_needs_no_receipt(small: Path) -> None:
    columns = "id, owner, created_at, first_row, last_seq, terminal, expires_at, rows, expired"
    old = f"INSERT INTO responses (number, {columns}) VALUES (99, 'resp_old', 'app', {NOW - 5}, 1, 3, 'completed', 9e9, x'90', 0)"
    change(small, old)
    assert looked_at(small).good
    change(small, f"UPDATE responses SET created_at = {NOW + 5} WHERE number = 99")
    assert "resp_old" in first_fault(small)[1]


def test_record_of_the_store_that_contradicts_its_receipt_is_named(small: Path) -> None:
    change(small, f"UPDATE responses SET owner = 'somebody' WHERE id = '{response_id(2)}'")
    found, text = first_fault(small)
    assert (found, response_id(2) in text) == (3, True)


# the logs themselves


def test_log_whose_text_was_changed_is_named_by_its_receipt(small: Path) -> None:
    assert looked_at(small, logs=True).good
    assert looked_at(small, logs=True).logs == 4
    change(
        small,
        "UPDATE journal SET entries = CAST(replace(CAST(entries AS TEXT), 'Hello', 'Jello') AS BLOB) WHERE id = 3",
    )
    assert looked_at(small).good, "the audit log is whole"
    found, text = first_fault(small, logs=True)
    assert (found, response_id(2) in text) == (3, True)


def test_log_that_cannot_be_read_any_more_is_named_by_its_receipt(small: Path) -> None:
    for statement in (
        "UPDATE journal SET entries = x'c1' WHERE id = 3",
        "UPDATE journal SET entries = x'90' WHERE id = 3",
        "UPDATE journal SET entries = 'text' WHERE id = 3",
        "UPDATE responses SET rows = x'ff' WHERE number = 2",
        "DELETE FROM journal WHERE id = 3",
    ):
        change(small, statement)
        assert first_fault(small, logs=True)[0] == 3


def test_log_that_has_expired_needs_no_text(small: Path) -> None:
    change(small, "DELETE FROM journal WHERE id = 3", "UPDATE responses SET expired = 1, rows = x'90' WHERE number = 2")
    report = looked_at(small, logs=True)
    assert (report.good, report.logs) == (True, 3)


# what is no log


def test_file_that_is_no_log_is_a_store_error(tmp_path: Path, small: Path) -> None:
    notes, empty, older = tmp_path / "notes", tmp_path / "empty", tmp_path / "older.db"
    notes.write_bytes(b"these are somebody's notes\n" * 500)
    empty.write_bytes(b"")
    change(older, "CREATE TABLE journal (id INTEGER)")
    for path in (notes, empty, older, tmp_path / "missing", tmp_path):
        with pytest.raises(StoreError):
            source.StoreSource(str(path))
    for path in (notes, empty, small, tmp_path / "missing", tmp_path):
        with pytest.raises(StoreError):
            source.ExportSource(str(path))


def test_export_of_a_damaged_log_is_refused_rather_than_made_whole(small: Path) -> None:
    change(small, "UPDATE audit_checkpoints SET body = x'00' WHERE size = 3")
    with pytest.raises(StoreError):
        list(source.lines(source.StoreSource(str(small))))


def test_store_in_a_folder_that_takes_no_writes_is_read(small: Path) -> None:
    folder = small.parent
    folder.chmod(0o500)
    try:
        assert looked_at(small).good
    finally:
        folder.chmod(0o700)
