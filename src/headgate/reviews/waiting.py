"""Which reviews wait, for how long yet, and in which order people see them. In memory; the store has the reviews.

What is held of a response is not here: 10,000 of these are a few megabytes.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, NamedTuple

from headgate.errors import RequestError
from headgate.governance.people.review import Review, State, rank

PAGE_MAX: Final = 100
"""Reviews on a page of the queue."""
NEVER: Final = float("inf")


class Position(NamedTuple):
    """Where a page of the queue ends."""

    rank: int
    """Of its risk, lowest for the highest, which comes first."""
    at: float
    review_id: str

    @property
    def text(self) -> str:
        """As clients hand it back."""
        return f"{self.rank}:{self.at!r}:{self.review_id}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Raises `RequestError` ``invalid_cursor``."""
        first, _, rest = text.partition(":")
        at, _, review_id = rest.partition(":")
        try:
            return cls(int(first), float(at), review_id)
        except ValueError:
            raise RequestError("invalid_cursor", "'after' must be the 'after' of the page before.") from None


@dataclass(slots=True)
class _Entry:
    position: Position
    response_id: str
    policy: str
    risk: str
    state: State
    due: float


class Waiting:
    """The reviews whose responses have not ended."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._of_response: dict[str, str] = {}
        self._due: list[tuple[float, str]] = []  # a heap; what no longer agrees with its entry is passed over

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, review_id: str) -> bool:
        return review_id in self._entries

    def clear(self) -> None:
        self._entries.clear()
        self._of_response.clear()
        self._due.clear()

    def note(self, known: Review, *, due: float | None) -> None:
        """Take a review in, or what has become of it. `due` is when to look at it; None: as before."""
        held = known.held
        entry = self._entries.get(held.id)
        if entry is None:
            position = Position(-rank(held.risk), held.created_at, held.id)
            entry = _Entry(position, held.response_id, held.policy, held.risk, known.state, NEVER)
            self._entries[held.id] = entry
            self._of_response[held.response_id] = held.id
        entry.state = known.state
        if due is not None:
            self._schedule(entry, due)

    def hurry(self, response_id: str) -> None:
        """Look at the review of this response as soon as possible, if it has one."""
        review_id = self._of_response.get(response_id)
        if review_id is not None:
            self._schedule(self._entries[review_id], 0.0)

    def take_due(self, now: float) -> str | None:
        """A review that is due, if there is one; say `reschedule` when it was looked at."""
        while self._due and self._due[0][0] <= now:
            due, review_id = heapq.heappop(self._due)
            entry = self._entries.get(review_id)
            if entry is not None and entry.due == due:
                entry.due = NEVER
                return review_id
        return None

    def reschedule(self, review_id: str, due: float | None) -> None:
        """It was looked at. None: nothing is left to be done, forget it; a sooner time that was set meanwhile stays."""
        entry = self._entries.get(review_id)
        if entry is None:
            return
        if due is None:
            del self._entries[review_id]
            self._of_response.pop(entry.response_id, None)
        elif due < entry.due:
            self._schedule(entry, due)

    def page(
        self, states: Collection[State], policy: str, risk: str, *, after: Position | None, limit: int
    ) -> tuple[list[str], str]:
        """Ids behind a position, highest risk and then oldest first, and the position of the last if there are more."""
        wanted = (
            entry.position
            for entry in self._entries.values()
            if entry.state in states
            and policy in ("", entry.policy)
            and risk in ("", entry.risk)
            and (after is None or entry.position > after)
        )
        found = heapq.nsmallest(limit + 1, wanted)
        last = found[limit - 1].text if len(found) > limit else ""
        return [position.review_id for position in found[:limit]], last

    def _schedule(self, entry: _Entry, due: float) -> None:
        if due != entry.due:
            entry.due = due
            heapq.heappush(self._due, (due, entry.position.review_id))
