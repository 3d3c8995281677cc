"""What a provider's answer has come to so far: why its choices ended, and what it used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from headgate.endings import Ending, ended
from headgate.events import AnyEvent, AttemptDescribed, ChoiceDone, Delta, Opaque, Reason, Status, Usage
from headgate.lifecycle import terminal_status
from headgate.tokens import estimate

IDLE_MAX: Final = 1024
"""Events of an answer that may only say that the provider lives, and are kept all the same: one every ten seconds for
hours. More of them are dropped, so that no log is made of nothing else."""
_CUT: Final = frozenset({Reason.LENGTH, Reason.CONTENT_FILTER})
"""Reasons that leave an answer unfinished."""

_DELTA: Final = Delta  # of this module: a name from an interpreted one is looked up each time
_NO_PROGRESS: Final = frozenset({AttemptDescribed, Usage})
"""Events that come without anything for a reader: a provider that sends only these has stalled."""


def is_text(event: AnyEvent) -> bool:
    """Progress of the plainest kind."""
    return type(event) is _DELTA and bool(event.text)


def is_progress(event: AnyEvent) -> bool:
    """Whether it brings anything: a provider that sends only what does not has stalled."""
    if type(event) is Delta:  # one that is empty, but for what stood beside it, may only say that the provider lives
        return bool(event.text) or (event.extra is not None and event.extra.delta is not None)
    return type(event) not in _NO_PROGRESS and not (type(event) is Opaque and event.idle)


class Tally:
    """Of one answer."""

    __slots__ = ("_has_usage", "_idle", "_input_tokens", "_last", "_reasons", "_unseen_bytes", "was_worked_on")

    def __init__(self, input_tokens_estimate: int) -> None:
        self._input_tokens = input_tokens_estimate
        self._reasons: list[ChoiceDone] = []
        self._has_usage = False
        self._unseen_bytes = 0  # of text that nobody will be shown
        self._idle = 0
        self._last: AnyEvent | None = None  # that brought something, but no text
        self.was_worked_on = False
        """The provider had the request, and it was we who ended it: its input was spent, whatever had come of it."""

    def note(self, events: list[AnyEvent]) -> list[AnyEvent]:
        """Returns those that the log keeps."""
        for event in events:
            if type(event) is ChoiceDone:
                self._reasons.append(event)
            elif type(event) is Usage:
                self._has_usage = True
            elif type(event) is Opaque and event.idle:
                self._idle += 1
        if self._idle <= IDLE_MAX:
            return events
        return [event for event in events if not (type(event) is Opaque and event.idle)]

    def progresses(self, events: Iterable[AnyEvent]) -> bool:
        """Whether any of them brings something. What has no text and is the same as before is said again to say nothing."""
        for event in events:
            if not is_progress(event):
                continue
            if not (type(event) is Opaque or (type(event) is Delta and not event.text)):
                return True
            if event != self._last:
                self._last = event
                return True
        return False

    def unseen(self, events: Sequence[AnyEvent]) -> list[AnyEvent]:
        """Of events that nobody will be shown, what stands in the log all the same; their text is counted."""
        self._unseen_bytes += sum([len(event.text.encode()) for event in events if type(event) is Delta])
        return [event for event in events if type(event) is Usage]

    @property
    def ending(self) -> Ending:
        """What the answer came to, if it is over."""
        return ended(terminal_status([done.reason for done in self._reasons]))

    @property
    def cut(self) -> list[int]:
        """Choices that a limit or a filter ended."""
        return [done.choice for done in self._reasons if done.reason in _CUT]

    def last_usage(self, status: Status, released_bytes: int) -> list[AnyEvent]:
        """What the log has to say of usage at the end of the attempt, where the provider has not said it.

        Nothing is estimated for a request that never reached the provider, or that it refused.
        """
        if self._has_usage:
            return []
        output_bytes = released_bytes + self._unseen_bytes
        if not output_bytes and not status.successful and not self.was_worked_on:
            return []
        self._has_usage = True
        return [Usage(self._input_tokens, estimate(output_bytes), estimated=True)]
