"""OpenAI Chat Completions, provider side: bytes of a stream or of a whole answer -> events.

Here bytes become chunks; what a chunk means is in `chunks`, what its messages amount to in `parts`. Most chunks of a
stream never get that far: see `template`.
"""

from __future__ import annotations

from typing import Final

from headgate.dialects import decode
from headgate.dialects.openai_chat.chunks import ChunkDecoder
from headgate.dialects.openai_chat.template import Template, learn
from headgate.events import AnyEvent, Delta, Opaque

LEARN_AFTER: Final = 8
"""Plain chunks before one is learned from: to learn costs about as much as to read ten of them the long way, and the first
token of a stream shall not wait for it."""
LESSONS_MAX: Final = 8
"""Templates learned in vain, one after the other, before a stream is taken to be one that never repeats itself."""


class StreamDecoder(decode.StreamDecoder):
    """Bytes of a ``text/event-stream`` -> events."""

    def __init__(self, *, attempt: int, choices: int, learn_after: int = LEARN_AFTER) -> None:
        super().__init__(ChunkDecoder(attempt=attempt, choices=choices))
        self._template: Template | None = None
        self._until_lesson = learn_after
        self._lessons = LESSONS_MAX

    def _frame(self, event: bytes, data: bytes, events: list[AnyEvent]) -> None:
        template = self._template
        if template is not None:
            delta = template.match(event, data)
            if delta is not None:
                self._lessons = LESSONS_MAX
                events.append(delta)
                return
        if data == b"[DONE]":
            self._answer.ended = self.settled = True
            return
        made = self._read(event, data)
        events += made
        if any(type(one) is not Delta and not (type(one) is Opaque and one.idle) for one in made):
            self._template = None
        elif made and type(made[0]) is Delta:
            if self._until_lesson > 1:
                self._until_lesson -= 1
            elif self._lessons:
                self._lessons -= 1
                self._template = learn(data, made) or self._template


class WholeDecoder(decode.WholeDecoder):
    """Bytes of an ``application/json`` answer -> events, all at its end."""

    def __init__(self, *, attempt: int, choices: int) -> None:
        super().__init__(ChunkDecoder(attempt=attempt, choices=choices))
