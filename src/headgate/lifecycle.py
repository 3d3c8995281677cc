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

from typing import Final

from headgate.errors import HeadgateError
from headgate.events import (
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
_BADNESS: Final = {status: rank for rank, status in enumerate(Status)}


class LifecycleError(HeadgateError):
    """An event that may not stand where it stands: a fault in the gateway."""


def terminal_status(reasons: list[Reason]) -> Status:
    """How a log ends whose choices ended for these reasons: the worst one decides."""
    return max((STATUS_OF_REASON[reason] for reason in reasons), key=_BADNESS.__getitem__, default=Status.COMPLETED)


class _Choice:
    __slots__ = ("done", "open", "started")

    def __init__(self) -> None:
        self.started = 0
        self.open: set[int] = set()
        self.done = False


class Lifecycle:
    """The state of one log. `feed` every event before it is appended."""

    __slots__ = ("_attempt", "_attempts", "_choices", "_started", "terminal")

    def __init__(self) -> None:
        self.terminal: Terminal | None = None
        self._started: ResponseStarted | None = None
        self._attempt = 0  # number of the open attempt, 0 for none
        self._attempts = 0
        self._choices: dict[int, _Choice] = {}

    @property
    def open_attempt(self) -> int:
        """Number of the attempt that has not ended, or 0."""
        return self._attempt

    def feed(self, event: AnyEvent) -> None:
        """Accept the next event, or raise `LifecycleError`."""
        if type(event) is Delta:
            choice = self._choices.get(event.choice)
            if choice is None or event.part not in choice.open or self.terminal is not None:
                raise LifecycleError(f"delta for part {event.choice}.{event.part}, which is not open")
            return
        self._expect(self.terminal is None, event, "after the terminal")
        if isinstance(event, ResponseStarted):
            self._expect(self._started is None, event, "twice")
            self._started = event
        else:
            self._expect(self._started is not None, event, "where response.started belongs")
            self._feed_rare(event)

    def _feed_rare(self, event: AnyEvent) -> None:
        match event:
            case AttemptStarted() | AttemptDescribed() | AttemptEnded():
                self._feed_attempt(event)
            case PartStarted() | PartDone() | ChoiceDone() | Retracted():
                self._feed_choice(event)
            case Opaque():
                self._choice(event)
            case Terminal():
                self._end(event)
            case _:
                pass  # usage, governance, hold, release, seam: legal anywhere between start and terminal

    def _feed_attempt(self, event: AttemptStarted | AttemptDescribed | AttemptEnded) -> None:
        if isinstance(event, AttemptStarted):
            self._expect(self._attempt == 0, event, "while another attempt is open")
            self._expect(event.attempt == self._attempts + 1, event, f"but {self._attempts + 1} comes next")
            self._attempt = self._attempts = event.attempt
        else:
            self._expect(event.attempt == self._attempt, event, "of an attempt that is not open")
            if isinstance(event, AttemptEnded):
                self._attempt = 0

    def _feed_choice(self, event: PartStarted | PartDone | ChoiceDone | Retracted) -> None:
        choice = self._choice(event)
        self._expect(not choice.done, event, f"after choice {event.choice} was done")
        match event:
            case PartStarted():
                self._expect(event.part == choice.started, event, f"but part {choice.started} comes next")
                choice.started += 1
                choice.open.add(event.part)
            case PartDone():
                self._expect(event.part in choice.open, event, "of a part that is not open")
                choice.open.remove(event.part)
            case Retracted():
                may_retract = self._started is not None and self._started.may_retract
                self._expect(may_retract, event, "in a log that may not retract")
                self._expect(event.part in choice.open, event, "of a part that is not open")
            case ChoiceDone():
                self._expect(not choice.open, event, "with parts still open")
                choice.done = True

    def _end(self, event: Terminal) -> None:
        self._expect(self._attempt == 0, event, "while an attempt is open")
        if event.status in SUCCESSES:
            assert self._started is not None
            done = sum(choice.done for choice in self._choices.values())
            self._expect(done == self._started.choices, event, f"{event.status} with an unfinished choice")
        self.terminal = event

    def _choice(self, event: PartStarted | PartDone | ChoiceDone | Retracted | Opaque) -> _Choice:
        self._expect(self._attempts > 0, event, "before any attempt")
        assert self._started is not None
        self._expect(0 <= event.choice < self._started.choices, event, "of a choice that nobody asked for")
        return self._choices.setdefault(event.choice, _Choice())

    def _expect(self, legal: bool, event: AnyEvent, why: str) -> None:
        if not legal:
            raise LifecycleError(f"{event.name} {why}")
