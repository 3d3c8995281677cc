"""Gemini, provider side: bytes of a stream or of a whole answer -> events; what its chunks mean is in `answer`."""

from __future__ import annotations

from headgate.dialects import decode
from headgate.dialects.gemini.answer import Answer


class StreamDecoder(decode.StreamDecoder):
    """Bytes of a ``text/event-stream`` -> events."""

    def __init__(self, *, attempt: int, choices: int) -> None:
        super().__init__(Answer(attempt=attempt, choices=choices))


class WholeDecoder(decode.WholeDecoder):
    """Bytes of an ``application/json`` answer -> events, all at its end."""

    def __init__(self, *, attempt: int, choices: int) -> None:
        super().__init__(Answer(attempt=attempt, choices=choices))
