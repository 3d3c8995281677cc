"""OpenAI Chat Completions, provider side: bytes of a stream or of a whole answer -> events.

Here bytes become chunks; what a chunk means is in `chunks`, what its messages amount to in `parts`. Most chunks of a
stream never get that far: see `template`.
"""

from __future__ import annotations

import codecs
from typing import Final

from headgate.dialects.openai_chat.chunks import ChunkDecoder
from headgate.dialects.openai_chat.failures import failure_in_band
from headgate.dialects.openai_chat.fields import JSON_ERRORS, read_json
from headgate.dialects.openai_chat.template import Template, learn
from headgate.errors import Failure
from headgate.events import AnyEvent, Delta
from headgate.sse import Frame, SseDecoder

WHOLE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Most bytes of a whole answer."""
LESSONS_MAX: Final = 8
"""Templates learned in vain, one after the other, before a stream is taken to be one that never repeats itself."""


class _Decoder:
    """What both ways of answering share; see `headgate.dialects.Decoder`."""

    def __init__(self, *, attempt: int, choices: int) -> None:
        self._chunks = ChunkDecoder(attempt=attempt, choices=choices)
        self._ended = False
        self.settled = False

    @property
    def failure(self) -> Failure | None:
        return self._chunks.failure

    @property
    def finished(self) -> bool:
        return self._chunks.finished and self._chunks.failure is None

    @property
    def ended(self) -> bool:
        return self._ended


class StreamDecoder(_Decoder):
    """Bytes of a ``text/event-stream`` -> events."""

    def __init__(self, *, attempt: int, choices: int) -> None:
        super().__init__(attempt=attempt, choices=choices)
        self._sse = SseDecoder()
        self._template: Template | None = None
        self._lessons = LESSONS_MAX

    def feed(self, data: bytes) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        if self.settled and self._is_over():
            return events
        for frame in self._sse.feed(data):
            template = self._template
            if template is not None:
                delta = template.match(frame)
                if delta is not None:
                    self._lessons = LESSONS_MAX
                    events.append(delta)
                    continue
            events += self._frame(frame)
            self.settled = self._is_over() or self._chunks.finished
            if self._is_over():
                return events
        if self._sse.overflowed:
            self.settled = True
            self._chunks.failure = Failure("upstream_too_large", "The provider sent a line over the limit.")
        return events

    def finish(self) -> list[AnyEvent]:
        return self._chunks.end()

    def _is_over(self) -> bool:
        return self._ended or self._chunks.failure is not None

    def _frame(self, frame: Frame) -> list[AnyEvent]:
        data = frame.data
        if data == b"[DONE]":
            self._ended = True
            return []
        try:
            chunk = read_json(data)
        except JSON_ERRORS:
            if data.lstrip()[:1] == b"{":
                self._chunks.failure = Failure("upstream_malformed", "The provider sent a chunk that is not JSON.")
            return []
        if frame.event == b"error":
            self._chunks.failure = failure_in_band(chunk)
            return []
        if not isinstance(chunk, dict):
            return []
        made = self._chunks.chunk(chunk)
        if any(type(event) is not Delta for event in made):
            self._template = None
        elif made and self._lessons:
            self._lessons -= 1
            self._template = learn(data, chunk, made) or self._template
        return made


class WholeDecoder(_Decoder):
    """Bytes of an ``application/json`` answer -> events, all at its end."""

    def __init__(self, *, attempt: int, choices: int) -> None:
        super().__init__(attempt=attempt, choices=choices)
        self._body: list[bytes] = []
        self._bytes = 0

    def feed(self, data: bytes) -> list[AnyEvent]:
        self._bytes += len(data)
        if self._bytes > WHOLE_BYTES_MAX:
            self.settled = True
            self._chunks.failure = Failure("upstream_too_large", "The provider's answer is over the limit.")
            self._body.clear()
        else:
            self._body.append(data)
        return []

    def finish(self) -> list[AnyEvent]:
        if self._chunks.failure is not None:
            return []
        try:
            answer = read_json(b"".join(self._body).removeprefix(codecs.BOM_UTF8))
        except JSON_ERRORS:
            self._chunks.failure = Failure("upstream_malformed", "The provider's answer is not JSON.")
            return []
        events = self._chunks.chunk(answer)
        return events + self._chunks.end()
