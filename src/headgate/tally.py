"""What a provider's answer has come to so far: why its choices ended, and what it used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from headgate.endings import Ending, ended
from headgate.events import AnyEvent, AttemptDescribed, ChoiceDone, Delta, Opaque, Reason, Status, Usage
from headgate.lifecycle import terminal_status
from headgate.tokens import estimate

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

    __slots__ = ("_has_usage", "_input_tokens", "_reasons", "_unseen_bytes")

    def __init__(self, input_tokens_estimate: int) -> None:
        self._input_tokens = input_tokens_estimate
        self._reasons: list[ChoiceDone] = []
        self._has_usage = False
        self._unseen_bytes = 0  # of text that nobody will be shown

    def note(self, events: Iterable[AnyEvent]) -> None:
        for event in events:
            if type(event) is ChoiceDone:
                self._reasons.append(event)
            elif type(event) is Usage:
                self._has_usage = True

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

        Nothing is estimated for a request that the provider never began to answer.
        """
        if self._has_usage:
            return []
        output_bytes = released_bytes + self._unseen_bytes
        if not output_bytes and not status.successful:
            return []
        self._has_usage = True
        return [Usage(self._input_tokens, estimate(output_bytes), estimated=True)]
