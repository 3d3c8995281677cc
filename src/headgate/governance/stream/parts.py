"""What the stream gate keeps of one part of an answer."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import NamedTuple

from headgate.events import Extra, Governance, Marks, PartKind
from headgate.governance.matching.automaton import Automaton
from headgate.governance.matching.json_text import JsonScanner
from headgate.governance.matching.scanner import Scanner

FOLLOWS: int = -1
"""Of a mark: it is where the scanner is."""


class Run(NamedTuple):
    """A piece of governed text, and the range of the ungoverned text that it stands for."""

    at: int
    """Where it begins in the governed text of its part."""
    text: str
    start: int
    end: int
    is_mask: bool = False
    """It stands for its range as a whole: nobody may be given half of it."""
    record: Governance | None = None
    """What the log is told of it."""

    @property
    def until(self) -> int:
        return self.at + len(self.text)

    def before(self, offset: int) -> Run:
        """What of it stands in front of a place in the governed text; not for masks."""
        return self._replace(text=self.text[: offset - self.at], end=self.start + offset - self.at)

    def behind(self, offset: int) -> Run:
        """What of it stands behind that place."""
        return self._replace(at=offset, text=self.text[offset - self.at :], start=self.start + offset - self.at)


class Places:
    """Where governed text of a part stands in the ungoverned: only masks move anything."""

    __slots__ = ("_masks",)

    def __init__(self) -> None:
        self._masks: list[Run] = []

    def note(self, run: Run) -> None:
        """The next piece of the part."""
        if run.is_mask:
            self._masks.append(run)

    def cover(self, at: int, until: int) -> tuple[int, int, int, int]:
        """A span of governed text, grown by the masks that it touches, and its range in the ungoverned text."""
        first = bisect_right(self._masks, at, key=_until)
        if first < len(self._masks):
            at = min(at, self._masks[first].at)
        last = bisect_left(self._masks, until, key=_at) - 1
        if last >= 0:
            until = max(until, self._masks[last].until)
        return at, until, self._ungoverned(at), self._ungoverned(until)

    def _ungoverned(self, place: int) -> int:
        before = bisect_right(self._masks, place, key=_until) - 1
        return self._masks[before].end + place - self._masks[before].until if before >= 0 else place


def _at(run: Run) -> int:
    return run.at


def _until(run: Run) -> int:
    return run.until


class Part:
    """One part that passes. `number` is the one it has in the log."""

    __slots__ = (
        "changed",
        "choice",
        "done",
        "ended",
        "governed",
        "held",
        "is_json",
        "kind",
        "mark",
        "number",
        "scanner",
        "shown",
        "signed",
        "texts",
        "verified",
        "watcher",
    )

    def __init__(self, choice: int, number: int, kind: PartKind, *, is_json: bool, acting: Automaton) -> None:
        self.choice = choice
        self.number = number
        self.kind = kind
        self.is_json = is_json
        self.scanner: Scanner | JsonScanner = JsonScanner(acting) if is_json else Scanner(acting)
        self.watcher: Watcher | None = None
        self.texts: list[str] = []
        """Its governed text as it left the gate, what is withheld included."""
        self.governed = 0
        """Code points of governed text that the rules have let through."""
        self.mark = FOLLOWS
        """Offset up to which its ungoverned text is released, where that is not what the rules have decided."""
        self.held = FOLLOWS
        """Where its release mark stands still."""
        self.changed = False
        """Something of it was masked: what the provider signed is not what is delivered."""
        self.verified = 0
        """Offset up to which all judged rules have passed it, in a log that may retract."""
        self.signed: Extra | None = None
        """A signature that waits for the end of the text it belongs to."""
        self.shown = False
        """Its beginning was given out."""
        self.ended = False
        """Nothing more comes for it."""
        self.done = False
        """Its end was given out."""

    @property
    def text(self) -> str:
        if len(self.texts) > 1:
            self.texts[:] = ["".join(self.texts)]
        return self.texts[0] if self.texts else ""

    def marks(self, *, complete: bool, all_verified: bool) -> Marks:
        """Its watermarks; `complete` says that what is withheld counts as released."""
        released = self.scanner.decided if self.mark == FOLLOWS else self.mark
        if self.held != FOLLOWS and not complete:
            released = min(released, self.held)
        verified = released if all_verified else min(self.verified, released)
        return Marks(self.choice, self.number, self.scanner.position, released, verified)


class Watcher:
    """Reads the text of a part for the rules that let it pass. Offsets are those of the ungoverned text."""

    __slots__ = ("_automaton", "_begin", "_is_json", "_scanner")

    def __init__(self, automaton: Automaton, *, is_json: bool) -> None:
        self._automaton = automaton
        self._is_json = is_json
        self._begin = 0
        self._scanner: Scanner | JsonScanner = JsonScanner(automaton) if is_json else Scanner(automaton)

    def feed(self, text: str) -> list[tuple[int, int, int]]:
        """Rule, start and end of what was found."""
        return self._found(self._scanner.feed(text))

    def finish(self) -> list[tuple[int, int, int]]:
        return self._found(self._scanner.finish())

    def _found(self, given: object) -> list[tuple[int, int, int]]:
        begin = self._begin
        found = []
        if isinstance(given, list):
            found = [
                (piece.rule, begin + piece.start, begin + piece.end) for piece in given if not isinstance(piece, str)
            ]
        if self._scanner.overlong:  # it changes nothing, so it is not worth an answer: it goes on with what comes
            self._begin += self._scanner.position
            self._scanner = JsonScanner(self._automaton) if self._is_json else Scanner(self._automaton)
        return found
