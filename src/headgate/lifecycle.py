"""What may follow what in a log. This file owns all legality; everything else may rely on it.

A log is: ``response.started``, then attempts and what they yield, then one ``terminal``. Inside a choice:

    state of a part     part.started   delta    part.done   choice.done
    absent              -> open        illegal  illegal     -
    open                illegal        open     -> done     illegal
    done                illegal        illegal  illegal     fine

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

    __slots__ = ("_attempt", "_choices", "_may_retract", "_started", "terminal")

    def __init__(self) -> None:
        self.terminal: Terminal | None = None
        self._started = False
        self._may_retract = False
        self._attempt = 0  # number of the open attempt, 0 for none
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
        if self.terminal is not None:
            raise LifecycleError(f"{event.name} after the terminal")
        if self._started == isinstance(event, ResponseStarted):
            raise LifecycleError(
                f"{event.name} where response.started {'stood already' if self._started else 'belongs'}"
            )
        self._feed_rare(event)

    def _feed_rare(self, event: AnyEvent) -> None:
        match event:
            case ResponseStarted():
                self._started = True
                self._may_retract = event.may_retract
            case AttemptStarted():
                self._expect(self._attempt == 0, event, "while another attempt is open")
                self._attempt = event.attempt
            case AttemptDescribed() | AttemptEnded():
                self._expect(event.attempt == self._attempt, event, "of an attempt that is not open")
                if isinstance(event, AttemptEnded):
                    self._attempt = 0
            case PartStarted():
                choice = self._open_choice(event.choice, event)
                self._expect(event.part == choice.started, event, f"but part {choice.started} comes next")
                choice.started += 1
                choice.open.add(event.part)
            case PartDone():
                choice = self._open_choice(event.choice, event)
                self._expect(event.part in choice.open, event, "of a part that is not open")
                choice.open.remove(event.part)
            case ChoiceDone():
                choice = self._open_choice(event.choice, event)
                self._expect(not choice.open, event, "with parts still open")
                choice.done = True
            case Opaque():
                self._open_choice(event.choice, event)
            case Retracted():
                self._expect(self._may_retract, event, "in a log that may not retract")
            case Terminal():
                self._expect(self._attempt == 0, event, "while an attempt is open")
                unfinished = any(not choice.done for choice in self._choices.values())
                succeeds = event.status.successful and event.status is not Status.BLOCKED
                self._expect(not (succeeds and unfinished), event, f"{event.status} with an unfinished choice")
                self.terminal = event
            case _:
                pass  # usage, governance, hold, release, seam: legal anywhere between start and terminal

    def _open_choice(self, index: int, event: AnyEvent) -> _Choice:
        choice = self._choices.setdefault(index, _Choice())
        self._expect(not choice.done, event, f"after choice {index} was done")
        return choice

    def _expect(self, legal: bool, event: AnyEvent, why: str) -> None:
        if not legal:
            raise LifecycleError(f"{event.name} {why}")
