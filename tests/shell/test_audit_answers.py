"""``GET /v1/responses/{id}/receipt`` answers its owner, as long as the audit log is there, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from headgate.api import receipts
from headgate.api.exchange import Exchange
from headgate.audit import Audit, proof
from headgate.errors import RequestError
from headgate.hub import Hub
from tests.shell.auditing import Writer, a_clock
from tests.shell.scene import Scene, begin, run


@dataclass
class Desk:
    """As much of a gateway as a receipt needs."""

    hub: Hub
    audit: Audit


class Scenery:
    """A store with an audit log, and somebody who asks."""

    def __init__(self, scene: Scene, audit: Audit) -> None:
        self.scene = scene
        self.writer = Writer(scene.store, audit)
        self.desk = Desk(Hub(scene.store, scene.journal, scene.observer, a_clock()), audit)

    @classmethod
    async def open(cls) -> Scenery:
        scene = Scene()
        return cls(scene, await Audit.open(scene.store, None, a_clock()))

    async def ask(self, response_id: str, owner: str = "app") -> tuple[int, bytes]:
        """Status and body. Raises `RequestError`, which the app makes an answer of."""
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope: dict[str, Any] = {"type": "http", "method": "GET", "query_string": b"", "headers": []}
        exchange = Exchange(scope, receive, send, f"/v1/responses/{response_id}/receipt")
        await receipts.show(self.desk, exchange, owner, response_id)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


def test_owner_gets_a_receipt_that_proves_itself() -> None:
    async def test() -> None:
        scenery = await Scenery.open()
        name = await scenery.writer.end()
        status, body = await scenery.ask(name)
        assert status == 200
        assert all(check.passed for check in proof.check_receipt(proof.parse(body), keys=(), kept=None))
        assert msgspec.json.decode(body)["receipt"]["id"] == name

    run(test)


def test_somebody_else_is_told_that_there_is_nothing() -> None:
    async def test() -> None:
        scenery = await Scenery.open()
        name = await scenery.writer.end()
        for response_id, owner in ((name, "other"), ("resp_" + "f" * 32, "app"), ("nonsense", "app")):
            with pytest.raises(RequestError) as refused:
                await scenery.ask(response_id, owner)
            assert refused.value.code == "not_found"

    run(test)


def test_response_that_runs_has_none_yet() -> None:
    async def test() -> None:
        scenery = await Scenery.open()
        log = scenery.scene.log(owner="app")
        begin(log)
        await scenery.scene.journal.flush()
        scenery.desk.hub.live[log.id] = log
        with pytest.raises(RequestError) as refused:
            await scenery.ask(log.id)
        assert refused.value.code == "not_finished"
        with pytest.raises(RequestError) as refused:
            await scenery.ask(log.id, "other")
        assert refused.value.code == "not_found"

    run(test)


def test_receipt_outlives_the_response() -> None:
    async def test() -> None:
        scenery = await Scenery.open()
        name = await scenery.writer.end()
        record = await scenery.scene.store.find(name)
        assert record is not None
        await scenery.scene.store.delete(record)
        assert (await scenery.ask(name))[0] == 200
        with pytest.raises(RequestError):
            await scenery.ask(name, "other")

    run(test)


def test_many_who_ask_at_once_get_one_checkpoint() -> None:
    async def test() -> None:
        scenery = await Scenery.open()
        names = [await scenery.writer.end() for _ in range(5)]
        answers = await asyncio.gather(*(scenery.ask(name) for name in names))
        found = {msgspec.json.encode(msgspec.json.decode(body)["checkpoint"]) for _, body in answers}
        assert len(found) == 1

    run(test)
