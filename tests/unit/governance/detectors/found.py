"""What one detector finds in a text."""

from __future__ import annotations

from functools import cache

from headgate.governance.detectors import DETECTORS
from headgate.governance.matching.automaton import Automaton, Source
from headgate.governance.matching.scanner import Found, scan


def found(name: str, text: str) -> list[str]:
    """The matches of one detector, as they stand in the text."""
    return [piece.text for piece in scan(_automaton(name), text) if isinstance(piece, Found)]


@cache
def _automaton(name: str) -> Automaton:
    detector = DETECTORS[name]
    return Automaton([Source(detector.patterns, check=detector.check, ignore_case=detector.ignore_case)])
