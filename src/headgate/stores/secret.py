"""A secret of a store: random bytes, made when they are first needed, kept in it as a fact.

Whoever opens the store has the same one, and nothing is cached: a fact that is deleted is forgotten at once, and the
next secret is another. It lies there unencrypted, as everything does; it only keeps out who cannot read the store.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from headgate.stores import Fact, Store

SECRETS: Final = "secret"
"""Kind of the facts."""
KEPT: Final = "kept"
"""Their only state."""
SECRET_BYTES: Final = 32
"""As many as SHA-256 gives: more would add nothing to an HMAC (RFC 2104, section 3)."""


class Secret:
    """One secret, by its name."""

    def __init__(self, store: Store, name: str, wall: Callable[[], float]) -> None:
        """`wall` gives Unix time."""
        self._store = store
        self._name = name
        self._wall = wall

    async def find(self) -> bytes | None:
        """The secret, or None while nobody has needed one. Raises `StoreError`."""
        fact = await self._store.fact(SECRETS, self._name)
        return None if fact is None else fact.body

    async def find_or_make(self) -> bytes:
        """The secret, the same for all who ask at once. Raises `StoreError`."""
        found = await self.find()
        if found is not None:
            return found
        made = Fact(SECRETS, self._name, KEPT, self._wall(), secrets.token_bytes(SECRET_BYTES))
        if await self._store.put_fact(made, expected=""):
            return made.body
        return await self.find_or_make()  # somebody was faster
