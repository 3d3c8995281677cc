"""What may follow what in a log. This file owns all legality; everything else may rely on it.

A log is: ``response.started``, then attempts and what they yield, then one ``terminal``. Inside a choice:

    state of a part   part.started   delta     part.done   retracted   choice.done   opaque
    absent            -> open        illegal   illegal     illegal     fine          fine
    open              illegal        open      -> done     open (1)    illegal       fine
    done              illegal        illegal   illegal     illegal     fine          fine
    (choice done)     illegal        illegal   illegal     illegal     illegal       fine

    (1) in a log that may retract

The terminal may come over anything that is open, except an attempt; but `SUCCESSES` need every choice done.

An illegal event is a fault of ours (a decoder lets none through), so it raises `LifecycleError`; the producer ends
the log with ``internal``. Nothing a peer sends can reach that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from headgate.errors import LifecycleError
from headgate.events import (
    NAMES,
    AnyEvent,
    AttemptDescribed,
    AttemptEnded,
    AttemptStarted,
    ChoiceDone,
    Delta,
    Opaque,
    PartDone,
    PartStarted,
    Reason,
    ResponseStarted,
    Retracted,
    Status,
    Terminal,
)

STATUS_OF_REASON: Final[dict[Reason, Status]] = {
    Reason.STOP: Status.COMPLETED,
    Reason.TOOL_CALLS: Status.COMPLETED,
    Reason.LENGTH: Status.TRUNCATED,
    Reason.REFUSAL: Status.REFUSED,
    Reason.CONTENT_FILTER: Status.FILTERED,
}
SUCCESSES: Final = frozenset({Status.COMPLETED, Status.REFUSED, Status.FILTERED})
"""Ends that only the provider can bring about. A budget or a policy of ours may end what is unfinished."""
_DELTA: Final = Delta  # of this module: a name from an interpreted one is looked up each time
_BADNESS: Final = {status: rank for rank, status in enumerate(Status)}
_BEST: Final = Status.COMPLETED


def terminal_status(reasons: list[Reason]) -> Status:
    """How a log ends whose choices ended for these reasons: the worst one decides."""
    worst = _BEST
    for reason in reasons:
        status = STATUS_OF_REASON[reason]
        if _BADNESS[status] > _BADNESS[worst]:
            worst = status
    return worst


class _Choice:
    __slots__ = ("done", "open", "started")

    def __init__(self) -> None:
        self.started = 0
        self.open: set[int] = set()
        self.done = False


class Lifecycle:
    """The state of one log. `feed` every event before it is appended."""

    __slots__ = (
        "_attempt",
        "_attempts",
        "_choices",
        "_delta_choice",
        "_delta_part",
        "_in_text",
        "_started",
        "terminal",
    )

    def __init__(self) -> None:
        self.terminal: Terminal | None = None
        self._started: ResponseStarted | None = None
        self._attempt = 0  # number of the open attempt, 0 for none
        self._attempts = 0
        self._choices: dict[int, _Choice] = {}
        self._in_text = False  # the last event was a delta, for this part: the next one may be as well
        self._delta_choice = self._delta_part = 0

    @property
    def open_attempt(self) -> int:
        """Number of the attempt that has not ended, or 0."""
        return self._attempt

    def feed(self, event: AnyEvent) -> None:
        """Accept the next event, or raise `LifecycleError`."""
        if type(event) is _DELTA:
            self.delta(event.choice, event.part)
            return
        self._in_text = False
        if self.terminal is not None:
            raise _illegal(event, "after the terminal")
        kind = type(event)
        if (kind is ResponseStarted) is (self._started is not None):
            raise _illegal(event, "twice" if self._started else "where response.started belongs")
        check = _CHECKS.get(kind)
        if check is not None:  # others (usage, governance, hold, release, seam) are legal anywhere in between
            check(self, event)

    def delta(self, index: int, part: int) -> None:
        """Accept a `Delta` for this part of this choice, or raise `LifecycleError`."""
        if self._in_text and part == self._delta_part and index == self._delta_choice:
            return
        choice = self._choices.get(index)
        if choice is None or part not in choice.open or self.terminal is not None:
            raise LifecycleError(f"{NAMES[Delta]} of a part that is not open")
        self._in_text, self._delta_choice, self._delta_part = True, index, part

    def _response_started(self, event: ResponseStarted) -> None:
        self._started = event

    def _attempt_started(self, event: AttemptStarted) -> None:
        if self._attempt != 0:
            raise _illegal(event, "while another attempt is open")
        if event.attempt != self._attempts + 1:
            raise _illegal(event, f"but {self._attempts + 1} comes next")
        self._attempt = self._attempts = event.attempt

    def _attempt_described(self, event: AttemptDescribed) -> None:
        if event.attempt != self._attempt:
            raise _illegal(event, "of an attempt that is not open")

    def _attempt_ended(self, event: AttemptEnded) -> None:
        if event.attempt != self._attempt:
            raise _illegal(event, "of an attempt that is not open")
        self._attempt = 0

    def _part_started(self, event: PartStarted) -> None:
        choice = self._unfinished(event)
        if event.part != choice.started:
            raise _illegal(event, f"but part {choice.started} comes next")
        choice.started += 1
        choice.open.add(event.part)

    def _part_done(self, event: PartDone) -> None:
        choice = self._unfinished(event)
        if event.part not in choice.open:
            raise _illegal(event, "of a part that is not open")
        choice.open.remove(event.part)

    def _retracted(self, event: Retracted) -> None:
        choice = self._unfinished(event)
        if self._started is None or not self._started.may_retract:
            raise _illegal(event, "in a log that may not retract")
        if event.part not in choice.open:
            raise _illegal(event, "of a part that is not open")

    def _choice_done(self, event: ChoiceDone) -> None:
        choice = self._unfinished(event)
        if choice.open:
            raise _illegal(event, "with parts still open")
        choice.done = True

    def _opaque(self, event: Opaque) -> None:
        self._choice(event)

    def _terminal(self, event: Terminal) -> None:
        if self._attempt != 0:
            raise _illegal(event, "while an attempt is open")
        if event.status in SUCCESSES:
            done = sum([choice.done for choice in self._choices.values()])
            if self._started is None or done != self._started.choices:
                raise _illegal(event, f"{event.status} with an unfinished choice")
        self.terminal = event

    def _unfinished(self, event: PartStarted | PartDone | ChoiceDone | Retracted) -> _Choice:
        choice = self._choices.get(event.choice) or self._choice(event)
        if choice.done:
            raise _illegal(event, f"after choice {event.choice} was done")
        return choice

    def _choice(self, event: PartStarted | PartDone | ChoiceDone | Retracted | Opaque) -> _Choice:
        choice = self._choices.get(event.choice)
        if choice is None:
            if self._attempts == 0:
                raise _illegal(event, "before any attempt")
            if self._started is None or not 0 <= event.choice < self._started.choices:
                raise _illegal(event, "of a choice that nobody asked for")
            choice = self._choices[event.choice] = _Choice()
        return choice


def _illegal(event: AnyEvent, why: str) -> LifecycleError:
    return LifecycleError(f"{event.name} {why}")


_CHECKS: Final[dict[type[Any], Callable[[Lifecycle, Any], None]]] = {
    ResponseStarted: Lifecycle._response_started,
    AttemptStarted: Lifecycle._attempt_started,
    AttemptDescribed: Lifecycle._attempt_described,
    AttemptEnded: Lifecycle._attempt_ended,
    PartStarted: Lifecycle._part_started,
    PartDone: Lifecycle._part_done,
    Retracted: Lifecycle._retracted,
    ChoiceDone: Lifecycle._choice_done,
    Opaque: Lifecycle._opaque,
    Terminal: Lifecycle._terminal,
}
