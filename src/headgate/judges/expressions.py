"""A rule that is any regular expression at all: ``detector = "regex"`` with ``lane = true``.

The engine backtracks, so an expression may take for ever over a text. The `regex` library lets other threads run
meanwhile, and stops it after a time that it counts in CPU time of the whole process: that is what frees the thread,
while the deadline of the question is kept by the lane.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Final

import regex

from headgate.governance.judgement import Judgement, Outcome, Span
from headgate.judges.judge import SPANS_MAX, JudgeError, error
from headgate.judges.workers import THREADS_MAX, Workers
from headgate.policies import Rule

LATE: Final = error("the expression took too long")


class ExpressionJudge:
    """Runs one expression, in threads."""

    def __init__(self, expression: regex.Pattern[str], concurrency: int) -> None:
        self.at_once = min(concurrency, THREADS_MAX)
        self._expression = expression
        self._workers = Workers("expression")

    async def judge(self, text: str, timeout_s: float) -> Judgement:
        judgement: Judgement = await self._workers.run(partial(matches, self._expression, text, timeout_s))
        return judgement

    async def close(self) -> None:
        self._workers.close()


def compiled(rule: Rule) -> regex.Pattern[str]:
    """The expression of a rule. Raises `JudgeError`."""
    assert rule.pattern is not None
    try:
        expression = regex.compile(rule.pattern, flags=regex.IGNORECASE if rule.ignore_case else 0)
    except (regex.error, RecursionError, OverflowError, ValueError) as fault:
        raise JudgeError("pattern", f"no regular expression: {fault}") from fault
    if expression.search("") is not None:
        raise JudgeError("pattern", "it matches the empty text, and so every text")
    return expression


def matches(expression: regex.Pattern[str], text: str, timeout_s: float) -> Judgement:
    """All matches, left to right. One at a time: an iterator of the library would keep other threads waiting."""
    until = time.monotonic() + timeout_s
    spans: list[Span] = []
    at = 0
    try:
        while at <= len(text) and len(spans) <= SPANS_MAX:
            match = expression.search(text, at, timeout=max(until - time.monotonic(), 0.001))
            if match is None:
                break
            if match.end() > match.start():
                spans.append(Span(match.start(), match.end()))
            at = max(match.end(), match.start() + 1)
    except TimeoutError:
        return LATE
    if len(spans) > SPANS_MAX:
        return Judgement(Outcome.FAIL, detail="more matches than are counted")
    return Judgement(Outcome.FAIL if spans else Outcome.PASS, tuple(spans))
