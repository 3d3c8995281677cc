"""Reviews as facts of the store. Each is two under one key: ``review``, what everybody in the queue may see, and
``review_text``, what is held: apart, because the queue is read often, and because the text goes when its response ends.

No decisions here. Every change names the state it comes from, so that of several processes one makes it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from headgate.events import AnyEvent, Retracted
from headgate.governance.people.review import HeldResponse, PartShown, Review, State
from headgate.reviews.waiting import PAGE_MAX, Position
from headgate.stores import Fact, Store

KIND: Final = "review"
TEXT_KIND: Final = "review_text"
KEPT: Final = "kept"
GONE: Final = "gone"
"""States of a text."""
SCAN_MAX: Final = 500
"""Decided reviews that one page of the queue looks at; with a filter it may come back short, with a cursor."""
_TEXTS_AT_ONCE: Final = 4
"""Texts that recovery loads at once; each may have `reviews.HELD_BYTES_MAX`."""
_REVIEW_ID: Final = re.compile(r"rev_[0-9a-f]{32}")


class _HeldText(msgspec.Struct, frozen=True, array_like=True):
    """What of a review goes when its response has ended."""

    shown: tuple[PartShown, ...]
    withheld: tuple[AnyEvent, ...]
    closing: tuple[AnyEvent, ...]
    retractions: tuple[Retracted, ...]


_encode = msgspec.msgpack.Encoder().encode
_decode_held = msgspec.msgpack.Decoder(HeldResponse).decode
_decode_text = msgspec.msgpack.Decoder(_HeldText).decode


def pack_text(held: HeldResponse) -> bytes:
    """What is held, as it is stored."""
    return _encode(_HeldText(held.shown, held.withheld, held.closing, held.retractions))


class ReviewFacts:
    """The reviews of one store. Everything raises `StoreError`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, opened: Review, text: bytes) -> bool:
        """Write a new review, its text first; False if there is one with this id."""
        held = opened.held
        await self._store.put_fact(Fact(TEXT_KIND, held.id, KEPT, held.created_at, text), expected="")
        return await self._store.put_fact(_fact(opened), expected="")

    async def put(self, after: Review, *, expected: State) -> bool:
        """Write what has become of a review; False if it no longer has the state that was expected."""
        return await self._store.put_fact(_fact(after), expected=expected)

    async def find(self, review_id: str) -> Review | None:
        """A review without its text."""
        fact = await self._store.fact(KIND, review_id) if _REVIEW_ID.fullmatch(review_id) else None
        return None if fact is None else _review(fact)

    async def with_text(self, known: Review) -> Review | None:
        """The review with what is held; None if that is gone."""
        fact = await self._store.fact(TEXT_KIND, known.held.id)
        if fact is None or fact.state != KEPT:
            return None
        text = _decode_text(fact.body)
        held = msgspec.structs.replace(known.held, **{name: getattr(text, name) for name in text.__struct_fields__})
        return Review(known.state, held)

    async def forget_text(self, review_id: str, at: float) -> None:
        """Let go of what is held. `at` is the review's ``created_at``."""
        await self._store.put_fact(Fact(TEXT_KIND, review_id, GONE, at, b""))

    async def of_state(self, state: State) -> AsyncIterator[Review]:
        """All reviews in this state, oldest first."""
        async for fact in self._all(KIND, state, PAGE_MAX):
            yield _review(fact)

    async def texts_kept(self) -> AsyncIterator[tuple[str, float]]:
        """Id and time of every review whose text is still there."""
        async for fact in self._all(TEXT_KIND, KEPT, _TEXTS_AT_ONCE):
            yield fact.key, fact.at

    async def page(
        self, state: State, policy: str, risk: str, *, after: Position | None, limit: int
    ) -> tuple[list[Review], str]:
        """Reviews in this state behind a position, oldest first, and where to go on if there may be more."""
        found: list[Review] = []
        place = (after.at, after.review_id) if after else None
        for _ in range(SCAN_MAX // PAGE_MAX):
            facts = await self._store.facts(KIND, state=state, limit=PAGE_MAX, after=place)
            for fact in facts:
                known = _review(fact)
                if policy in ("", known.held.policy) and risk in ("", known.held.risk):
                    found.append(known)
                place = (fact.at, fact.key)
                if len(found) == limit:
                    return found, Position(0, *place).text
            if len(facts) < PAGE_MAX:
                return found, ""
        return found, Position(0, *place).text if place else ""

    async def _all(self, kind: str, state: str, limit: int) -> AsyncIterator[Fact]:
        after: tuple[float, str] | None = None
        while facts := await self._store.facts(kind, state=state, limit=limit, after=after):
            for fact in facts:
                yield fact
            after = (facts[-1].at, facts[-1].key)


def _fact(known: Review) -> Fact:
    held = msgspec.structs.replace(known.held, shown=(), withheld=(), closing=(), retractions=())
    return Fact(KIND, held.id, known.state, held.created_at, _encode(held))


def _review(fact: Fact) -> Review:
    return Review(State(fact.state), _decode_held(fact.body))
