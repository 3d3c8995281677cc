"""What a detector that needs meaning is asked, and what it answers. Values; `headgate.judges` runs the detectors."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """What became of a question."""

    PASS = "pass"  # noqa: S105  no password
    FAIL = "fail"
    ERROR = "error"
    """It raised, hung, could not be reached, answered nonsense, or too many were waiting: fail closed (law 5)."""


class Span(NamedTuple):
    """A range of the text that was asked about, in code points, and what it is."""

    start: int
    end: int
    label: str = ""


class Judgement(NamedTuple):
    """The answer. A failure without spans is about the whole text; `detail` is in our words, never the text."""

    outcome: Outcome
    spans: tuple[Span, ...] = ()
    detail: str = ""


class Question(NamedTuple):
    """Text of one part that waits for the verdict of one rule. `rule` is its index in `RuleGroup.judged`."""

    number: int
    rule: int
    text: str
    choice: int
    part: int
