"""The journal writes a receipt with every end, in the same commit, and rows of other kinds when they come."""

from __future__ import annotations

import msgspec
import pytest

from headgate import receipts
from headgate.audit import Audit
from headgate.errors import StoreError
from headgate.hub import Hub
from headgate.journal import Journal
from headgate.log import Log
from headgate.restart import end_interrupted
from headgate.reviews import Reviews
from headgate.stores import Store
from headgate.stores.memory import MemoryStore
from tests.shell.auditing import a_clock
from tests.shell.scene import HeldStore, Scene, begin, end, run, say, until


async def audited(store: Store) -> tuple[Scene, Audit]:
    """A scene whose journal has an audit log."""
    scene = Scene(store)
    audit = await Audit.open(store, None, a_clock())
    scene.journal = Journal(store, on_commit_seconds=scene.commit_seconds.append, on_failure=scene._fail, audit=audit)
    return scene, audit


def whole(scene: Scene, *words: str) -> Log:
    log = scene.log(owner="app")
    begin(log)
    say(log, *words)
    end(log)
    return log


def test_receipt_is_in_the_commit_of_the_end() -> None:
    async def test() -> None:
        store = HeldStore()
        scene, _ = await audited(store)
        log = whole(scene, "Hello", " there")
        await until(lambda: store.in_flight)
        [batch] = store.batches
        assert [record.terminal for record in batch.records] == ["completed"]
        assert [row.kind for row in batch.audit] == ["key", "response"]
        store.finish()
        fields = msgspec.json.decode(batch.audit[1].body)
        assert (fields["id"], fields["owner"], fields["sha256"]) == (log.id, "app", log.digest())
        assert fields["event_count"] == log.last_seq

    run(test)


def test_log_that_has_not_ended_has_no_receipt() -> None:
    async def test() -> None:
        scene, _ = await audited(MemoryStore())
        begin(scene.log())
        await scene.journal.flush()
        assert [row.kind for row in await scene.store.audit_rows(1, 10)] == ["key"]

    run(test)


def test_row_that_belongs_to_no_response_is_committed_for_itself() -> None:
    async def test() -> None:
        scene, audit = await audited(MemoryStore())
        await scene.journal.record(receipts.CHANGE, "policies", {"to": "2"})
        assert [row.kind for row in await scene.store.audit_rows(1, 10)] == ["key", "change"]
        checkpoint = await audit.checkpoint()
        assert checkpoint is not None
        assert checkpoint.size == 2

    run(test)


def test_what_a_failed_commit_lost_is_written_once_the_store_is_back() -> None:
    async def test() -> None:
        store = HeldStore()
        scene, audit = await audited(store)
        log = whole(scene, "lost")
        await until(lambda: store.in_flight)
        store.finish(StoreError("disk full"))
        assert scene.failures
        with pytest.raises(StoreError):
            await scene.journal.record(receipts.CHANGE, "policies", {"to": "2"})
        await audit.reload()
        scene.journal.recovered()
        whole(scene, "later")
        await until(lambda: store.in_flight)
        store.finish()
        rows = await store.audit_rows(1, 10)
        assert [(row.seq, row.kind) for row in rows] == [(1, "key"), (2, "change"), (3, "response")]
        assert rows[2].ref != log.id

    run(test)


def test_response_that_was_deleted_leaves_its_receipt_and_a_row_that_says_so() -> None:
    async def test() -> None:
        scene, audit = await audited(MemoryStore())
        log = whole(scene, "gone")
        await scene.journal.flush()
        hub = Hub(scene.store, scene.journal, scene.observer, a_clock())
        await hub.delete(log)
        assert await scene.store.find(log.id) is None
        assert [row.kind for row in await scene.store.audit_rows(1, 10)] == ["key", "response", "deletion"]
        assert await audit.prove(log.id, "app") is not None

    run(test)


def test_end_that_a_restart_writes_has_a_receipt_of_everything_before_it() -> None:
    async def test() -> None:
        store = MemoryStore()
        scene, _ = await audited(store)
        log = scene.log(owner="app")
        begin(log)
        say(log, "half")
        await scene.journal.flush()
        scene, _ = await audited(store)
        reviews = Reviews(store, a_clock(), {}, on_decided=lambda *_: False, on_escalation=lambda *_: None)
        await end_interrupted(store, scene.journal, scene.observer, a_clock(), reviews)
        row = await store.audit_row(receipts.RESPONSE, log.id)
        assert row is not None
        fields = msgspec.json.decode(row.body)
        assert fields["terminal"] == {"status": "failed", "code": "interrupted"}
        assert (fields["provider"], fields["requested_model"]) == ("p", "m")
        assert "duration_ms" not in fields

    run(test)
