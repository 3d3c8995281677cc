"""A gateway that cannot start says why, and lets go of everything, so that the next try can succeed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from headgate.errors import StoreError
from headgate.gateway import Gateway
from headgate.stores.sqlite import SqliteStore
from tests.faults.snapshots import FILES, NOWHERE, Snapshot, photographed
from tests.shell.asking import ask, settings
from tests.shell.provider import CHUNKED, chunk, provider, says_and_waits, word
from tests.shell.scene import run, until


async def crashed(directory: Path) -> Snapshot:
    """The files a crash in the middle of a response leaves."""
    async with (
        provider(says_and_waits(CHUNKED, chunk(word("Hel")))) as upstream,
        photographed(upstream.url, directory) as (opened, camera),
    ):
        got = ask(opened)
        await until(lambda: got.text)
        camera.develop()
        return camera.snapshots[-1]


def test_journal_that_cannot_be_read_stops_the_start_with_a_store_error(tmp_path: Path) -> None:
    async def test() -> None:
        path = (await crashed(tmp_path)).directory / FILES[0]
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("UPDATE journal SET entries = x'c1'")
        connection.close()
        with pytest.raises(StoreError):
            await Gateway(settings(NOWHERE, store=f"sqlite:///{path}")).open()

    run(test)


def test_start_that_failed_lets_go_of_the_file(tmp_path: Path) -> None:
    async def test() -> None:
        path = (await crashed(tmp_path)).directory / FILES[0]
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("UPDATE journal SET entries = x'c1'")
        connection.close()
        gateway = Gateway(settings(NOWHERE, store=f"sqlite:///{path}"))
        with pytest.raises(Exception):  # noqa: B017, PT011  which one is the other test's business
            await gateway.open()
        await SqliteStore(str(path)).close()

    run(test)


def test_store_in_use_stops_the_start_and_the_next_try_succeeds(tmp_path: Path) -> None:
    async def test() -> None:
        path = tmp_path / FILES[0]
        holder = SqliteStore(str(path))
        gateway = Gateway(settings(NOWHERE, store=f"sqlite:///{path}"))
        with pytest.raises(StoreError, match="in use"):
            await gateway.open()
        await holder.close()
        async with gateway:
            assert gateway.not_ready is None

    run(test)
