"""The request gate at work: a request's text judged before anything is sent upstream.

What is short and needs nobody's opinion is judged at once; a long body is judged in slices, so that other responses go
on meanwhile, and questions are put to judges. Invariant: whatever happens, there is exactly one verdict; where the
gate itself is at fault, it stops the request (law 5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from headgate.errors import RequestError
from headgate.events import Verdict
from headgate.governance.judgement import Judgement
from headgate.governance.request.gate import RequestGate, RequestVerdict
from headgate.governance.ruleset import Ruleset
from headgate.guard import GUARD, Ask, log_fault, raised

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
        try:
            if not self._gate.judge(SLICE_CHARS) or (self._gate.questions and not self._gate.stopped):
                return None
            return self._gate.verdict()
        except RequestError:
            raise
        except Exception as fault:  # noqa: BLE001  told of, and it stops the request
            return _broken(fault)

    def when_done(self, done: Callable[[RequestVerdict], None]) -> None:
        """Go on, and call back with the verdict."""
        self._done = done
        asyncio.get_running_loop().call_soon(self._step, self._go_on)

    def _step(self, step: Callable[..., RequestVerdict | None], *arguments: object) -> None:
        """Nobody who calls back could do anything about a fault."""
        if self._done is None:
            return
        try:
            verdict = step(*arguments)
        except Exception as fault:  # noqa: BLE001  told of, and it stops the request
            verdict = _broken(fault)
        if verdict is not None:
            done, self._done = self._done, None
            done(verdict)

    def _go_on(self) -> RequestVerdict | None:
        if not self._gate.judge(SLICE_CHARS):
            asyncio.get_running_loop().call_soon(self._step, self._go_on)
            return None
        questions = [] if self._gate.stopped else self._gate.questions
        self._waiting = len(questions)
        for question in questions:
            rule = self._rules.request.judged[question.rule]
            self._ask(rule, question.text, partial(self._step, self._answered, question.number))
        return None if questions else self._gate.verdict()

    def _answered(self, number: int, judgement: Judgement) -> RequestVerdict | None:
        self._gate.answer(number, judgement)
        self._waiting -= 1
        return self._gate.verdict() if self._waiting == 0 or self._gate.stopped else None


def _broken(fault: Exception) -> RequestVerdict:
    log_fault("", fault)
    return RequestVerdict({}, [Verdict("request", GUARD, "error", detail=raised(fault))], GUARD, "guard_failed")
