"""Where one part of an answer goes on in the next.

Providers cut one text into several parts (a signature, a citation, a paragraph of a summary), and readers see it whole.
So the end of a part waits for what follows in its choice: a part of the same kind takes over what could still become
part of a match, and a value that stands across the two is found. Anything else that comes in between ends the part where
it stands, because what the provider said there has its place; what lies across then is the re-scan's to find.
"""

from __future__ import annotations

from collections.abc import Iterator

from headgate.events import AnyEvent, PartDone, PartStarted
from headgate.governance.matching.scanner import Scanner
from headgate.governance.stream.parts import Part


class Joints:
    """Ends of parts that wait, at most one of each choice."""

    __slots__ = ("_carried", "_ends", "waiting")

    def __init__(self) -> None:
        self.waiting = False
        """An end waits: `due` is to be asked before the next event."""
        self._ends: dict[int, tuple[PartDone, Part]] = {}
        self._carried: Scanner | None = None

    def keep(self, event: PartDone, part: Part) -> bool:
        """Whether this end waits. JSON is whole in its part, and what is signed is signed as it stands."""
        if part.is_json or part.signed is not None or event.extra is not None:
            return False
        self._ends[event.choice] = (event, part)
        self.waiting = True
        return True

    def due(self, event: AnyEvent | None) -> Iterator[tuple[PartDone, Part]]:
        """The ends that come before `event`; None is the end of the answer. `carried` belongs to the part it begins."""
        choice = getattr(event, "choice", None)
        for at in [at for at in self._ends if choice is None or at == choice]:
            end, part = self._ends.pop(at)
            if isinstance(event, PartStarted) and event.kind is part.kind and isinstance(part.scanner, Scanner):
                self._carried = part.scanner.split()
            yield end, part
        self.waiting = bool(self._ends)

    def carried(self) -> Scanner | None:
        """What the part that begins now takes over, once."""
        scanner, self._carried = self._carried, None
        return scanner
