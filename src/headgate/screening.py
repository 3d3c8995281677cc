"""The request gate at work: a request's text judged before anything is sent upstream.

What is short and needs nobody's opinion is judged at once; a long body is judged in slices, so that other responses go
on meanwhile, and questions are put to judges. Invariant: whatever happens, there is exactly one verdict.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from headgate.governance.judgement import Judgement
from headgate.governance.request import RequestGate, RequestVerdict
from headgate.governance.ruleset import Ruleset
from headgate.guard import Ask

SLICE_CHARS: Final = 32_768
"""Judged in one go: a few milliseconds."""


class Screening:
    """Of one request. `begin` it once."""

    __slots__ = ("_ask", "_done", "_gate", "_rules", "_waiting")

    def __init__(self, gate: RequestGate, rules: Ruleset, ask: Ask) -> None:
        self._gate = gate
        self._rules = rules
        self._ask = ask
        self._waiting = 0
        self._done: Callable[[RequestVerdict], None] | None = None

    def begin(self) -> RequestVerdict | None:
        """The verdict, if it is there at once; else say `when_done`. Raises `RequestError` for a body nested too deeply."""
        if not self._gate.judge(SLICE_CHARS) or (self._gate.questions and not self._gate.stopped):
            return None
        return self._gate.verdict()

    def when_done(self, done: Callable[[RequestVerdict], None]) -> None:
        """Go on, and call back with the verdict."""
        self._done = done
        asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        if not self._gate.judge(SLICE_CHARS):
            asyncio.get_running_loop().call_soon(self._go_on)
            return
        questions = [] if self._gate.stopped else self._gate.questions
        self._waiting = len(questions)
        for question in questions:
            rule = self._rules.request.judged[question.rule]
            self._ask(rule, question.text, partial(self._answered, question.number))
        if not questions:
            self._finish()

    def _answered(self, number: int, judgement: Judgement) -> None:
        self._gate.answer(number, judgement)
        self._waiting -= 1
        if self._waiting == 0:
            self._finish()

    def _finish(self) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(self._gate.verdict())
