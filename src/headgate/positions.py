"""Which event of a log brought which character: what a retraction has to say, and how far a log is verified.

Only logs that may retract keep this. Offsets are code points of a part's text as released, as in `Retracted.from_char`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from headgate.events import AnyEvent, Delta, PartDone, Released, Retracted

Place = tuple[int, int, int]
"""Choice, part, and an offset in its text."""


class _Part:
    """Where the deltas of one part begin."""

    __slots__ = ("length", "offsets", "seqs")

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.seqs: list[int] = []
        self.length = 0

    def append(self, seq: int, chars: int) -> None:
        self.offsets.append(self.length)
        self.seqs.append(seq)
        self.length += chars

    def cut(self, offset: int) -> None:
        keep = bisect_right(self.offsets, offset - 1)
        del self.offsets[keep:], self.seqs[keep:]
        self.length = min(self.length, offset)


class Positions:
    """The deltas of one log that are not taken back, of parts that are not done: those are verified."""

    __slots__ = ("_parts", "retracted", "verified_seq")

    def __init__(self) -> None:
        self.retracted: dict[int, int] = {}
        """Choice -> code points of it that were taken back."""
        self.verified_seq = 0
        """Up to where the log says that it is verified."""
        self._parts: dict[tuple[int, int], _Part] = {}

    def place(self, events: Sequence[AnyEvent], first_seq: int) -> list[AnyEvent]:
        """Take these events in; those that refer to others by ``seq`` and leave it 0 get it."""
        placed: list[AnyEvent] = []
        for seq, event in enumerate(events, first_seq):
            if type(event) is Delta:
                self._part(event).append(seq, len(event.text))
            elif type(event) is Retracted:
                if event.from_seq == 0:
                    event = msgspec.structs.replace(
                        event, from_seq=self.seq_of(event.choice, event.part, event.from_char)
                    )
                self._take_back(seq, event)
            elif type(event) is Released:
                event = event if event.seq else Released(seq - 1)
                self.verified_seq = max(self.verified_seq, seq if event.seq == seq - 1 else event.seq)
            elif type(event) is PartDone:
                self._parts.pop((event.choice, event.part), None)
            placed.append(event)
        return placed

    def _take_back(self, seq: int, event: Retracted) -> None:
        part = self._part(event)
        gone = max(0, part.length - event.from_char)
        self.retracted[event.choice] = self.retracted.get(event.choice, 0) + gone
        part.cut(event.from_char)
        if event.replacement:
            part.append(seq, len(event.replacement))

    def seq_of(self, choice: int, part: int, offset: int) -> int:
        """The event that brought this character; of the end of the text: the last one. 0 for a part without text."""
        known = self._parts.get((choice, part))
        if known is None or not known.seqs:
            return 0
        return known.seqs[max(0, bisect_right(known.offsets, offset) - 1)]

    def verified(self, unverified: Sequence[Place], last_seq: int) -> int:
        """The last event before the first of these places: everything up to it can no longer be taken back."""
        return min([self.seq_of(*place) - 1 for place in unverified], default=last_seq)

    @property
    def unverified(self) -> list[Place]:
        """Where in each part the text begins that the log has not said to be verified."""
        found: list[Place] = []
        for (choice, number), part in self._parts.items():
            first = bisect_right(part.seqs, self.verified_seq)
            if first < len(part.seqs):
                found.append((choice, number, part.offsets[first]))
        return found

    def retractions(self, places: Sequence[Place], reason: str) -> list[Retracted]:
        """What takes back the text from these places on, where there is any."""
        return [
            Retracted(choice, number, offset, 0, reason)
            for choice, number, offset in places
            if (part := self._parts.get((choice, number))) is not None and offset < part.length
        ]

    def _part(self, event: Delta | Retracted) -> _Part:
        return self._parts.setdefault((event.choice, event.part), _Part())
