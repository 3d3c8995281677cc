"""A stream without ``alt=sse``: the chunks as the elements of one JSON array, which is how Google answers then.

    [{chunk},
    {chunk}]

The array is closed by the terminal alone, the error object included. What was cut stays an open array, which no reader
takes for an answer.
"""

from __future__ import annotations

from typing import Final

from headgate.dialects import StreamEncoder
from headgate.dialects.transport import Shape, payloads
from headgate.events import AnyEvent, Terminal


class JsonArray:
    """A `StreamEncoder` whose frames are the elements of an array."""

    def __init__(self, encoder: StreamEncoder) -> None:
        self._encoder = encoder
        self._is_first = True

    def feed(self, seq: int, event: AnyEvent) -> bytes:
        made = []
        for data in payloads(self._encoder.feed(seq, event)):
            made.append(b"[" if self._is_first else b",\r\n")
            made.append(data)
            self._is_first = False
        if isinstance(event, Terminal):
            made.append(b"[]" if self._is_first else b"]")
        return b"".join(made)


ARRAY: Final = Shape("application/json", b"\n", JsonArray)
