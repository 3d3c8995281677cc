"""From a provider's bytes to the JSON values of its answer, for every dialect; what a value means is its `Answer`'s.

Both decoders are `headgate.dialects.Decoder`: nothing a peer sends makes them raise, and what they keep is bounded.
"""

from __future__ import annotations

import codecs
from typing import Any, Final

from headgate.dialects.fields import JSON_ERRORS, MalformedError, read_json
from headgate.errors import Failure
from headgate.events import AnyEvent
from headgate.sse import SseDecoder

WHOLE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Most bytes of a whole answer."""


class Answer:
    """One attempt's answer as it becomes known. `failure` ends it, and with it what this object may be used for.

    A class and not a protocol for the same reason as `AnswerDecoder`.
    """

    def __init__(self) -> None:
        self.failure: Failure | None = None
        self.finished = False
        """Every choice that was asked for has its finish reason."""
        self.ended = False
        """The end marker was seen."""

    def frame(self, event: bytes, value: Any) -> list[AnyEvent]:
        """Events of one frame of a stream: its ``event`` field and its JSON. May raise `MalformedError`."""
        raise NotImplementedError

    def whole(self, value: Any) -> list[AnyEvent]:
        """Events of a whole answer. May raise `MalformedError`."""
        raise NotImplementedError

    def end(self) -> list[AnyEvent]:
        """The input ended, with or without an end marker: what is still owed, and `failure` if it ended too early."""
        raise NotImplementedError


class AnswerDecoder:
    """What both ways of answering share. A class of our own, not a protocol: compiled, its methods are called in C."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.settled = False

    def feed(self, data: bytes) -> list[AnyEvent]:
        raise NotImplementedError

    def finish(self) -> list[AnyEvent]:
        raise NotImplementedError

    @property
    def failure(self) -> Failure | None:
        return self._answer.failure

    @property
    def finished(self) -> bool:
        return self._answer.finished and self._answer.failure is None

    @property
    def ended(self) -> bool:
        return self._answer.ended

    def _malformed(self, why: object) -> None:
        self._answer.failure = Failure("upstream_malformed", f"The provider's answer is malformed: {why}.")


class StreamDecoder(AnswerDecoder):
    """Bytes of a ``text/event-stream`` -> events."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self._sse = SseDecoder()

    def feed(self, data: bytes) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        if self.settled and self._is_over():
            return events
        sse = self._sse
        for event, value in sse.feed(data):
            self._frame(event, value, events)
            if self.settled and self._is_over():
                return events
        if sse.overflowed:
            self.settled = True
            self._answer.failure = Failure("upstream_too_large", "The provider sent a line over the limit.")
        return events

    def finish(self) -> list[AnyEvent]:
        return self._answer.end()

    def _is_over(self) -> bool:
        return self._answer.ended or self._answer.failure is not None

    def _frame(self, event: bytes, data: bytes, events: list[AnyEvent]) -> None:
        """Append the events of one frame. Those that are read in a shorter way than `_read` must settle nothing."""
        events += self._read(event, data)

    def _read(self, event: bytes, data: bytes) -> list[AnyEvent]:
        """Events of one frame, and whether they settle it."""
        made = self._made(event, data)
        answer = self._answer
        self.settled = answer.finished or answer.ended or answer.failure is not None
        return made

    def _made(self, event: bytes, data: bytes) -> list[AnyEvent]:
        """A line that begins like an object may have been text; others are nobody's loss."""
        try:
            value = read_json(data)
        except JSON_ERRORS:
            if data.lstrip()[:1] == b"{":
                self._malformed("a line is not JSON")
            return []
        try:
            return self._answer.frame(event, value)
        except MalformedError as error:
            self._malformed(error)
            return []


class WholeDecoder(AnswerDecoder):
    """Bytes of an ``application/json`` answer -> events, all at its end."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self._body: list[bytes] = []
        self._bytes = 0

    def feed(self, data: bytes) -> list[AnyEvent]:
        self._bytes += len(data)
        if self._bytes > WHOLE_BYTES_MAX:
            self.settled = True
            self._answer.failure = Failure("upstream_too_large", "The provider's answer is over the limit.")
            self._body.clear()
        else:
            self._body.append(data)
        return []

    def finish(self) -> list[AnyEvent]:
        answer = self._answer
        if answer.failure is not None:
            return []
        try:
            value = read_json(b"".join(self._body).removeprefix(codecs.BOM_UTF8))
        except JSON_ERRORS:
            self._malformed("it is not JSON")
            return []
        try:
            events = answer.whole(value)
        except MalformedError as error:
            self._malformed(error)
            return []
        return events + answer.end()
