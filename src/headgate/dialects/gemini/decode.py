"""Gemini, provider side: bytes of a stream or of a whole answer -> events; what its chunks mean is in `answer`."""

from __future__ import annotations

from typing import Final

import msgspec

from headgate.dialects import decode
from headgate.dialects.gemini.answer import Answer
from headgate.dialects.gemini.plain import PlainChunk
from headgate.events import AnyEvent

_read_plain: Final = msgspec.json.Decoder(PlainChunk).decode


class StreamDecoder(decode.StreamDecoder):
    """Bytes of a ``text/event-stream`` -> events."""

    def __init__(self, *, attempt: int, choices: int) -> None:
        answer = Answer(attempt=attempt, choices=choices)
        super().__init__(answer)
        self._own = answer  # `_answer`, as what it is

    def _frame(self, event: bytes, data: bytes, events: list[AnyEvent]) -> None:
        if not event:
            try:
                delta = self._own.plain(_read_plain(data))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass  # the long way finds out what it is
            else:
                if delta is not None:
                    events.append(delta)
                    return
        super()._frame(event, data, events)


class WholeDecoder(decode.WholeDecoder):
    """Bytes of an ``application/json`` answer -> events, all at its end."""

    def __init__(self, *, attempt: int, choices: int) -> None:
        super().__init__(Answer(attempt=attempt, choices=choices))
