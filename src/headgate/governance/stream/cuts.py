"""Where verdicts cut into the governed text of a part: spans to be masked, and places where it stops.

    redact(text)    at the smallest start the longest span, ties by rule order; then on at its end

A span that begins inside one that is masked goes on behind it: nothing that a rule objected to is shown because another
rule objected first. A span that stops the text does so where the mask would stand.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable
from itertools import takewhile
from typing import NamedTuple

from headgate.governance.stream.parts import Run


class Cut(NamedTuple):
    """A span that a rule objected to. In order of these fields, which is that of precedence."""

    at: int
    minus_end: int
    rule: int
    start: int
    end: int
    """Its range in the ungoverned text; the first two are in the governed text."""
    text: str

    @property
    def until(self) -> int:
        return -self.minus_end


class Cuts:
    """The cuts of one part that are not made yet."""

    __slots__ = ("_cuts",)

    def __init__(self) -> None:
        self._cuts: list[Cut] = []

    def add(self, rule: int, covered: tuple[int, int, int, int], text: str) -> None:
        """A span, as `Places.cover` gives it, and what stands there."""
        at, until, start, end = covered
        insort(self._cuts, Cut(at, -until, rule, start, end, text))

    def at(self, place: int) -> Cut | None:
        """The cut that begins here, or that a mask which ends here has left something of."""
        while self._cuts and self._cuts[0].until <= place:
            del self._cuts[0]
        return self._cuts[0] if self._cuts and self._cuts[0].at <= place else None

    def first(self, cut: Cut, stops: Callable[[Cut], bool]) -> Cut:
        """Take this cut, or one inside it that stops the text: that must not be lost under a mask."""
        inside = takewhile(lambda other: other.at < cut.until, self._cuts)
        found = next((other for other in inside if stops(other)), cut)
        self._cuts.remove(found)
        return found

    @property
    def next(self) -> int:
        """Where the next one begins."""
        return self._cuts[0].at if self._cuts else 2**63


def take(runs: deque[Run], upto: int) -> Run | None:
    """The text in front of a place that can be given away now, from the front of `runs`."""
    if not runs:
        return None
    run = runs[0]
    if run.until <= upto:
        return runs.popleft()
    if run.is_mask or run.at >= upto:
        return None
    runs[0] = run.behind(upto)
    return run.before(upto)
