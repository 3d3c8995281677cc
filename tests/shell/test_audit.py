"""The audit log grows with its commits and no further, signs what is committed, and proves what it signed."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headgate import receipts
from headgate.audit import Audit, checkpoints, proof, signing
from headgate.errors import ConfigError, StoreError
from headgate.merkle import EMPTY_ROOT, Tree
from headgate.stores import Batch, Done
from headgate.stores.memory import MemoryStore
from tests.shell.auditing import NOW, Writer, a_clock, closed, opened
from tests.shell.scene import run


def bundle(proved: dict[str, Any] | None) -> proof.Receipt:
    """As a client gets it."""
    assert proved is not None
    return proof.parse(msgspec.json.encode(proved))


def assert_proved(proved: dict[str, Any] | None) -> None:
    for check in proof.check_receipt(bundle(proved), keys=(), kept=None):
        assert check.passed, check.text


def test_first_row_names_the_key_and_every_end_has_a_row(tmp_path: Path) -> None:
    async def test() -> None:
        writer = await opened(tmp_path / "a.db")
        name = await writer.end()
        await writer.end(2)
        rows = await writer.store.audit_rows(1, 10)
        assert [(row.seq, row.kind) for row in rows] == [(1, "key"), (2, "response"), (3, "response"), (4, "response")]
        assert rows[1].ref == name
        fields = msgspec.json.decode(rows[1].body)
        assert (fields["seq"], fields["id"], fields["owner"], fields["terminal"]["status"]) == (
            2,
            name,
            "app",
            "completed",
        )
        await closed(writer)

    run(test)


def test_checkpoint_is_signed_once_over_everything_committed() -> None:
    async def test() -> None:
        writer = await opened(None)
        assert await writer.audit.checkpoint() is None, "nothing is committed"
        await writer.end(3)
        first = await writer.audit.checkpoint()
        assert first is not None
        assert await writer.audit.checkpoint() == first, "nothing is new"
        statement = checkpoints.read(first)
        tree = Tree()
        for row in await writer.store.audit_rows(1, 10):
            tree.append(row.leaf)
        assert (statement.size, statement.root, statement.at) == (4, tree.root().hex(), NOW)
        await writer.end()
        second = await writer.audit.checkpoint()
        assert second is not None
        assert second.size == 5
        assert checkpoints.read(second).origin == statement.origin

    run(test)


def test_what_is_not_committed_is_not_signed() -> None:
    """A commit is on its way for milliseconds, and may fail: a checkpoint over it would accuse an honest log for ever."""

    async def test() -> None:
        writer = await opened(None)
        await writer.end()
        batch = writer.batch()
        writer.audit.add(batch, receipts.RESPONSE, "resp_x", {})
        signed = await writer.audit.checkpoint()
        assert signed is not None
        assert signed.size == 2
        await writer.commit(batch)
        signed = await writer.audit.checkpoint()
        assert signed is not None
        assert signed.size == 3

    run(test)


class FailingStore(MemoryStore):
    """A store whose next commits fail."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    def commit(self, batch: Batch, done: Done) -> None:
        if self.failures:
            self.failures -= 1
            done(StoreError("disk full"))
        else:
            super().commit(batch, done)


def test_after_a_failed_commit_the_log_goes_on_where_the_store_is() -> None:
    async def test() -> None:
        store = FailingStore(1)
        writer = Writer(store, await Audit.open(store, None, a_clock()))
        writer.audit.note(receipts.CHANGE, "policies", {"version": "2"})
        with pytest.raises(StoreError):
            await writer.end(3)
        await writer.audit.reload()
        assert await writer.audit.checkpoint() is None
        assert writer.audit.pending, "what belonged to no response is not lost"
        name = await writer.end()
        rows = await store.audit_rows(1, 10)
        assert [(row.seq, row.kind) for row in rows] == [(1, "key"), (2, "change"), (3, "response")]
        assert_proved(await writer.audit.prove(name, "app"))

    run(test)


def test_every_receipt_is_proved_also_far_back_and_after_a_restart(tmp_path: Path) -> None:
    async def test() -> None:
        writer = await opened(tmp_path / "a.db")
        for count in (1, 254, 1, 1, 400, 143):
            await writer.end(count)
        names = list(writer.events)
        await closed(writer)
        writer = await opened(tmp_path / "a.db")
        await writer.end()
        for name in (names[0], names[253], names[254], names[255], names[511], names[-1]):
            assert_proved(await writer.audit.prove(name, "app"))
        await closed(writer)

    run(test)


def test_proof_of_one_among_many_rows_reads_few() -> None:
    class CountingStore(MemoryStore):
        nodes = 0

        async def audit_nodes(self, level: int, first: int, count: int) -> list[bytes]:
            self.nodes += count
            return await super().audit_nodes(level, first, count)

    async def test() -> None:
        store = CountingStore()
        writer = Writer(store, await Audit.open(store, None, a_clock()))
        name = await writer.end()
        batch = writer.batch()
        for n in range(20_000):
            writer.audit.add(batch, receipts.CHANGE, "n", {"version": str(n)})
        await writer.commit(batch)
        store.nodes = 0
        assert_proved(await writer.audit.prove(name, "app"))
        assert store.nodes < 600

    run(test)


def test_receipt_is_proved_to_its_owner_alone() -> None:
    async def test() -> None:
        writer = await opened(None)
        name = await writer.end(owner="app")
        assert await writer.audit.prove(name, "other") is None
        assert await writer.audit.prove("resp_" + "f" * 32, "app") is None
        assert_proved(await writer.audit.prove(name, "app"))

    run(test)


def test_receipt_that_no_checkpoint_covers_yet_has_one_signed() -> None:
    async def test() -> None:
        writer = await opened(None)
        await writer.end()
        old = await writer.audit.checkpoint()
        name = await writer.end()
        proved = bundle(await writer.audit.prove(name, "app"))
        assert old is not None
        assert proved.checkpoint.size > old.size
        again = bundle(await writer.audit.prove(name, "app"))
        assert again == proved._replace(key=again.key), "signatures are deterministic"

    run(test)


def test_key_is_made_for_its_user_alone_and_stays(tmp_path: Path) -> None:
    async def test() -> None:
        for _ in range(2):
            writer = await opened(tmp_path / "a.db")
            await writer.end()
            await closed(writer)
        rows = await writer_rows(tmp_path / "a.db")
        assert [row.kind for row in rows] == ["key", "response", "response"]

    run(test)
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600


def test_new_key_has_a_row_of_its_own_and_signs_from_there_on(tmp_path: Path) -> None:
    async def test() -> None:
        path = tmp_path / "a.db"
        first = await opened(path)
        name = await first.end()
        await closed(first)
        second = await opened(path, key_file=tmp_path / "second.pem")
        newest = await second.audit.checkpoint()
        assert newest is not None
        assert newest.size == 2, "the new key signs nothing before the log says so"
        await second.end()
        assert [row.kind for row in await second.store.audit_rows(1, 10)] == ["key", "response", "key", "response"]
        proved = bundle(await second.audit.prove(name, "app"))
        assert checkpoints.read(proved.checkpoint).key == proved.key.id, "the receipt and its checkpoint have one key"
        assert proved.checkpoint.size == 4
        await closed(second)
        third = await opened(path)
        await third.end()
        assert [row.kind for row in await third.store.audit_rows(5, 10)] == ["key", "response"], "back to the first"
        await closed(third)

    run(test)


@pytest.mark.parametrize("content", [b"", b"notes", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_file_that_holds_no_key_is_refused_and_left_alone(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        signing.load(path)
    assert path.read_bytes() == content
    with pytest.raises(ConfigError):
        signing.load(tmp_path)


def test_gateway_does_not_go_on_with_a_log_that_was_cut(tmp_path: Path) -> None:
    import sqlite3

    async def test() -> None:
        writer = await opened(tmp_path / "a.db")
        await writer.end(3)
        await closed(writer)
        connection = sqlite3.connect(tmp_path / "a.db")
        connection.execute("DELETE FROM audit WHERE seq = 4")
        connection.commit()
        connection.close()
        with pytest.raises(StoreError, match="audit verify"):
            await opened(tmp_path / "a.db")

    run(test)


def test_checkpoints_are_signed_while_it_runs_and_when_it_closes() -> None:
    async def test() -> None:
        writer = await opened(None)
        task = asyncio.create_task(writer.audit.run(0.001))
        await writer.end()
        while await writer.store.newest_checkpoint() is None:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await writer.end()
        await writer.audit.close()
        newest = await writer.store.newest_checkpoint()
        assert newest is not None
        assert newest.size == 3

    run(test)


def test_empty_log_signs_nothing() -> None:
    async def test() -> None:
        store = MemoryStore()
        audit = await Audit.open(store, None, a_clock())
        await audit.close()
        assert await store.newest_checkpoint() is None
        assert Tree().root() == EMPTY_ROOT

    run(test)


async def writer_rows(path: Path) -> list[Any]:
    writer = await opened(path)
    rows = await writer.store.audit_rows(1, 100)
    await closed(writer)
    return list(rows)
