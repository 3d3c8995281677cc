"""The Responses dialect, provider side: bytes of a stream or of a whole response -> events; what they mean is in `answer`.

Most events of a stream are text for the part that the last one was for. Those are read straight into a `PlainDelta`,
which takes no field that would have to be kept; everything else goes the long way, through a dict.
"""

from __future__ import annotations

from typing import Final

import msgspec

from headgate.dialects import decode
from headgate.dialects.openai_responses.answer import Answer
from headgate.dialects.openai_responses.plain import PlainDelta
from headgate.events import AnyEvent

_PLAIN_EVENTS: Final = frozenset({b"", b"response.output_text.delta"})
_read_plain: Final = msgspec.json.Decoder(PlainDelta).decode


class StreamDecoder(decode.StreamDecoder):
    """Bytes of a ``text/event-stream`` -> events."""

    def __init__(self, *, attempt: int) -> None:
        answer = Answer(attempt=attempt)
        super().__init__(answer)
        self._own = answer  # `_answer`, as what it is

    def _frame(self, event: bytes, data: bytes, events: list[AnyEvent]) -> None:
        if event in _PLAIN_EVENTS:
            try:
                plain = _read_plain(data)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass  # the long way finds out what it is
            else:
                delta = self._own.plain(plain)
                if delta is not None:
                    events.append(delta)
                    return
        super()._frame(event, data, events)


class WholeDecoder(decode.WholeDecoder):
    """Bytes of an ``application/json`` answer -> events, all at its end."""

    def __init__(self, *, attempt: int) -> None:
        super().__init__(Answer(attempt=attempt))
