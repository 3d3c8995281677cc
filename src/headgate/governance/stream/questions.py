"""What the judged rules of the gated lane are asked about a part, and how far each of them has passed it.

Pure book-keeping: it decides neither what is asked (`segments`) nor what is done about an answer (`lane`, `retracting`).
Offsets are code points of the governed text, which is what the rules are shown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from headgate.governance.judgement import Judgement, Outcome, Question, Span
from headgate.governance.ruleset import WATCHING, ActiveRule
from headgate.governance.stream.parts import Part
from headgate.governance.stream.segments import Segmenter


class Asked:
    """One question, and whether it was answered."""

    __slots__ = ("answered", "end", "judged", "rule", "start", "text")

    def __init__(self, judged: JudgedPart, rule: int, start: int, text: str) -> None:
        self.judged = judged
        self.rule = rule
        self.start = start
        self.end = start + len(text)
        self.text = text
        self.answered = False


class JudgedPart:
    """A part as the judged rules see it."""

    def __init__(self, part: Part, rules: Sequence[ActiveRule], *, dry: bool) -> None:
        self.part = part
        self.segmenters = [_segmenter(rule) for rule in rules]
        self.asked: list[deque[Asked]] = [deque() for _ in rules]
        """Of each rule: what it has not passed, in order."""
        self.segmented = [0] * len(rules)
        self.passed = [0] * len(rules)
        self._holding = [at for at, rule in enumerate(rules) if not dry and rule.action not in WATCHING]

    @property
    def frontier(self) -> int:
        """Up to where every rule that may change something has answered."""
        return min([self.passed[rule] for rule in self._holding], default=2**63)


def _segmenter(rule: ActiveRule) -> Segmenter:
    assert rule.settings is not None, "a judged rule is one of the policy's own"
    return Segmenter(rule.settings.unit, rule.settings.window_chars)


class Answer(NamedTuple):
    """An answer with what it is about. `spans` are offsets of the part, none of them empty."""

    judged: JudgedPart
    rule: int
    start: int
    end: int
    text: str
    """What was judged."""
    judgement: Judgement
    spans: tuple[Span, ...]


class Questions:
    """All questions of one response. The guard takes those in `new` and clears it."""

    def __init__(self, rules: Sequence[ActiveRule], *, dry: bool) -> None:
        self.rules = rules
        self.dry = dry
        self.new: list[Question] = []
        self._open: dict[int, Asked] = {}
        self._next = 0

    @property
    def waiting(self) -> int:
        """Questions without an answer."""
        return len(self._open)

    def watches(self, rule: int) -> bool:
        """Whether the rule only records."""
        return self.dry or self.rules[rule].action in WATCHING

    def part(self, part: Part) -> JudgedPart:
        return JudgedPart(part, self.rules, dry=self.dry)

    def text(self, judged: JudgedPart, text: str) -> list[int]:
        """More governed text of a part; ends of the segments that are complete with it."""
        return [
            end
            for rule, segmenter in enumerate(judged.segmenters)
            for end in self._ask(judged, rule, segmenter.feed(text))
        ]

    def end(self, judged: JudgedPart) -> None:
        """The part has ended."""
        for rule, segmenter in enumerate(judged.segmenters):
            self._ask(judged, rule, segmenter.finish())

    def whole(self, judged: JudgedPart, text: str) -> None:
        """Ask all rules about one text."""
        for rule in range(len(self.rules)):
            self._ask(judged, rule, [text] if text else [])

    def answer(self, number: int, judgement: Judgement) -> Answer | None:
        """Take in an answer; None to what nobody asked."""
        asked = self._open.pop(number, None)
        if asked is None:
            return None
        asked.answered = True
        self._advance(asked.judged, asked.rule)
        spans = tuple(
            [
                Span(asked.start + max(span.start, 0), min(asked.start + span.end, asked.end), span.label)
                for span in judgement.spans
                if max(span.start, 0) < min(span.end, len(asked.text))
            ]
        )
        if judgement.outcome is Outcome.FAIL and not spans:
            spans = (Span(asked.start, asked.end),)
        return Answer(asked.judged, asked.rule, asked.start, asked.end, asked.text, judgement, spans)

    def _ask(self, judged: JudgedPart, rule: int, texts: Sequence[str]) -> list[int]:
        ends = []
        for text in texts:
            asked = Asked(judged, rule, judged.segmented[rule], text)
            judged.segmented[rule] = asked.end
            judged.asked[rule].append(asked)
            ends.append(asked.end)
            if text.isspace():  # says nothing
                asked.answered = True
                continue
            self._next += 1
            self._open[self._next] = asked
            self.new.append(Question(self._next, rule, text, judged.part.choice, judged.part.number))
        self._advance(judged, rule)
        return ends

    def _advance(self, judged: JudgedPart, rule: int) -> None:
        waiting = judged.asked[rule]
        while waiting and waiting[0].answered:
            judged.passed[rule] = waiting.popleft().end
