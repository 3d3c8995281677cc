"""Where governed events leave the stream gate: into the log, behind a hold, or under the seal of the final gate.

nothing special       given out
its choice is held    withheld, in order, until a review approves
a log may retract     ends of parts and choices are sealed: what is done cannot be taken back
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from headgate.events import AnyEvent, ChoiceDone, Delta, Extra, Held, Marks, PartDone, PartStarted, Released, Retracted
from headgate.governance.stream.parts import Part

_SEALED: Final = frozenset({PartDone, ChoiceDone})


class Outlet:
    """The events of one response on their way out; the gate takes `out` after everything it is fed."""

    def __init__(self, *, seals: bool, unsigned: Callable[[Delta | PartDone], Extra | None]) -> None:
        """`unsigned` gives what stands beside an event without a signature of text that is not what was signed."""
        self.out: list[AnyEvent] = []
        self.withheld: list[AnyEvent] = []
        self.withheld_chars = 0
        self.holding: Held | None = None
        """The first hold."""
        self.parts: dict[tuple[int, int], Part] = {}
        """By choice and number in the log."""
        self._held: set[int] = set()
        self._seals = seals
        self._sealed: list[AnyEvent] = []
        self._unsigned = unsigned

    def send(self, choice: int, event: AnyEvent) -> None:
        """An event of a choice; -1 is none."""
        kind = type(event)
        if kind is PartDone:
            assert isinstance(event, PartDone)
            event = self._part_done(event)
        if self._seals and kind in _SEALED:
            self._sealed.append(event)
        elif kind is Released and self.holding is not None:
            pass  # what is withheld is not verified
        elif choice in self._held:
            self.withheld.append(event)
            if isinstance(event, Delta):
                self.withheld_chars += len(event.text)
        else:
            if kind is PartStarted:
                assert isinstance(event, PartStarted)
                self.parts[event.choice, event.part].shown = True
            self.give(event)

    def give(self, event: AnyEvent) -> None:
        """Give out, whatever is held."""
        self.out.append(event)

    def delta(self, part: Part, text: str, extra: Extra | None) -> None:
        if text:
            part.texts.append(text)
        if extra is not None and part.changed:
            extra = self._unsigned(Delta(part.choice, part.number, text, extra))
        if text or extra is not None:
            self.send(part.choice, Delta(part.choice, part.number, text, extra))

    def retracted(self, part: Part, from_char: int, reason: str, replacement: str) -> None:
        part.texts[:] = [part.text[:from_char], replacement]
        self.send(part.choice, Retracted(part.choice, part.number, from_char, 0, reason, replacement))

    def hold(self, part: Part, offset: int, rule: str) -> None:
        """Nothing more of the choice is given out."""
        if part.choice in self._held:
            return
        held = Held(part.choice, part.number, offset, rule)
        self.give(held)
        self.holding = self.holding or held
        self._held.add(part.choice)
        part.held = offset
        for mark in self.open_marks(part.choice):
            self.give(mark)

    def open_marks(self, choice: int | None = None) -> list[Marks]:
        """Watermarks of the parts that have begun and are not done, of one choice or of all."""
        return [
            part.marks(complete=False, all_verified=not self._seals)
            for part in self.parts.values()
            if part.shown and not part.done and choice in (None, part.choice)
        ]

    def seal(self) -> list[AnyEvent]:
        """The ends of parts and choices, once nothing can be taken back any more."""
        sealed, self._sealed = self._sealed, []
        found: list[AnyEvent] = []
        for event in sealed:
            if isinstance(event, PartDone):
                part = self.parts[event.choice, event.part]
                part.done = True
                found.append(part.marks(complete=True, all_verified=True))
            found.append(event)
        return found

    def _part_done(self, event: PartDone) -> PartDone:
        """The end of a part, after its watermarks, and without a signature of text that is not what was signed."""
        part = self.parts[event.choice, event.part]
        if not self._seals:
            part.done = part.choice not in self._held
            self.send(part.choice, part.marks(complete=True, all_verified=True))
        if event.extra is None or not part.changed:
            return event
        return PartDone(event.choice, event.part, self._unsigned(event))
