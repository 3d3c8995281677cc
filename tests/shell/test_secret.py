"""A store has one secret of a name, whoever asks, and keeps it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from headgate.stores import Fact
from headgate.stores.memory import MemoryStore
from headgate.stores.secret import SECRET_BYTES, Secret
from headgate.stores.sqlite import SqliteStore
from tests.shell.scene import run, turns


class Slow(MemoryStore):
    """A store that others get to while it looks."""

    async def fact(self, kind: str, key: str) -> Fact | None:
        found = await super().fact(kind, key)
        await turns()
        return found


def secret(store: MemoryStore | SqliteStore, name: str = "links") -> Secret:
    return Secret(store, name, lambda: 1.0)


def test_those_who_ask_at_once_for_a_secret_that_is_not_there_get_the_same() -> None:
    async def test() -> None:
        store = Slow()
        found = await asyncio.gather(*(secret(store).find_or_make() for _ in range(4)))
        assert set(found) == {await secret(store).find()}
        assert len(found[0]) == SECRET_BYTES

    run(test)


def test_secret_is_not_made_by_looking_for_it() -> None:
    async def test() -> None:
        store = MemoryStore()
        assert await secret(store).find() is None
        await secret(store, "other").find_or_make()
        assert await secret(store).find() is None

    run(test)


def test_secrets_of_two_names_and_of_two_stores_differ() -> None:
    async def test() -> None:
        store = MemoryStore()
        asked = (secret(store), secret(store, "other"), secret(MemoryStore()))
        assert len({await one.find_or_make() for one in asked}) == 3

    run(test)


def test_secret_is_kept_over_a_restart(tmp_path: Path) -> None:
    async def test() -> None:
        found = []
        for _ in range(2):
            store = SqliteStore(str(tmp_path / "headgate.db"), fsync=False)
            found.append(await secret(store).find_or_make())
            await store.close()
        assert found[0] == found[1]

    run(test)
