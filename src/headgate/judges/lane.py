"""The questions of one rule on their way to its judge: so many at once, so many waiting, each with a deadline.

Lanes know nothing of each other, so a judge that hangs makes its own rule fail and no other. What it still works on
after the deadline counts as under way until it is over: a judge that never returns is never given more than its share.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from headgate.governance.judgement import Judgement, Outcome
from headgate.judges.judge import Judge, error
from headgate.policies import Rule
from headgate.telemetry.logs import fields, logger

CLOSED: Final = error("the judge is closed")
FULL: Final = error("too many questions were waiting")

CLOSE_S: Final = 1.0
"""How long a coroutine that was cancelled may take to end; it may refuse."""

Observe = Callable[[str, Outcome, float], None]
"""Told of every answer: the kind of detector, the outcome, and how many seconds it took."""

_logger = logger("judges")


class _Question:
    """One text that waits for a verdict."""

    __slots__ = ("asked_at", "done", "task", "text", "timer")

    def __init__(self, text: str, done: Callable[[Judgement], None], asked_at: float) -> None:
        self.text = text
        self.done: Callable[[Judgement], None] | None = done  # None once it was called
        self.asked_at = asked_at
        self.timer: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None


class Lane:
    """The way to the judge of one rule."""

    def __init__(self, rule: Rule, judge: Judge, observe: Observe | None = None) -> None:
        self._name = rule.name
        self._detector = rule.detector
        self._judge = judge
        self._observe = observe
        self._timeout_s = rule.timeout_s
        self._running_max = min(rule.concurrency, judge.at_once)
        self._waiting_max = rule.queue_max
        self._loop = asyncio.get_running_loop()
        self._running: set[_Question] = set()
        self._waiting: dict[_Question, None] = {}
        """In order; one whose deadline passes leaves from the middle."""
        self._closed = False

    def ask(self, text: str, done: Callable[[Judgement], None]) -> None:
        """`done` is called later, within the deadline, and once."""
        question = _Question(text, done, self._loop.time())
        if self._closed:
            self._loop.call_soon(self._answer, question, CLOSED)
        elif len(self._running) < self._running_max:
            self._start(question)
        elif len(self._waiting) < self._waiting_max:
            self._waiting[question] = None
        else:
            self._loop.call_soon(self._answer, question, FULL)
            return
        question.timer = self._loop.call_at(question.asked_at + self._timeout_s, self._late, question)

    async def close(self) -> None:
        """Answer what is open, and let go of the judge."""
        self._closed = True
        waiting, self._waiting = self._waiting, {}
        tasks = [question.task for question in self._running if question.task is not None]
        for question in (*waiting, *self._running):
            self._answer(question, CLOSED)
        for task in tasks:
            task.cancel()
        await self._judge.close()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_S)

    def _start(self, question: _Question) -> None:
        self._running.add(question)
        question.task = self._loop.create_task(self._work(question))

    async def _work(self, question: _Question) -> None:
        left_s = question.asked_at + self._timeout_s - self._loop.time()
        try:
            judgement = await self._judge.judge(question.text, max(left_s, 0.001))
        except asyncio.CancelledError:
            judgement = error("it was cancelled")
        except KeyboardInterrupt:
            raise
        except BaseException as fault:  # noqa: BLE001  a judge is anybody's code: even SystemExit only fails its question
            judgement = error(f"it raised {type(fault).__name__}")
        finally:
            self._running.discard(question)
        self._answer(question, judgement)
        while self._waiting and len(self._running) < self._running_max:
            following = next(iter(self._waiting))
            del self._waiting[following]
            self._start(following)

    def _late(self, question: _Question) -> None:
        self._waiting.pop(question, None)
        self._answer(question, error(f"no verdict within {self._timeout_s:g} s"))
        if question.task is not None:
            question.task.cancel()

    def _answer(self, question: _Question, judgement: Judgement) -> None:
        done, question.done = question.done, None
        if question.timer is not None:
            question.timer.cancel()
        if done is None:
            return
        if judgement.outcome is Outcome.ERROR:
            _logger.warning("no verdict", extra=fields(rule=self._name, why=judgement.detail))
        try:
            if self._observe is not None:
                self._observe(self._detector, judgement.outcome, self._loop.time() - question.asked_at)
            done(judgement)
        except Exception as fault:  # its fault must not keep other questions from their answers
            _logger.error("a listener failed", exc_info=fault, extra=fields(rule=self._name))
