"""How the frames of a dialect travel: as Server-Sent Events, as lines of JSON, as messages.

Encoders write SSE frames; what else there is, is made of those, so every dialect has every transport. A frame's
``data:`` line is its JSON and never holds a line end, which is what makes taking it out exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from headgate.dialects import Dialect, StreamEncoder
from headgate.events import AnyEvent

_DATA: Final = b"data: "
_DONE: Final = b"[DONE]"


def payloads(frames: bytes) -> Iterator[bytes]:
    """The JSON of each frame. The one end marker that is no JSON becomes a JSON string: ``"[DONE]"``."""
    for line in frames.split(b"\n"):
        if line.startswith(_DATA):
            data = line[len(_DATA) :]
            yield b'"[DONE]"' if data == _DONE else data


class Lines:
    """A `StreamEncoder` whose frames are lines of JSON (NDJSON)."""

    def __init__(self, encoder: StreamEncoder) -> None:
        self._encoder = encoder

    def feed(self, seq: int, event: AnyEvent) -> bytes:
        return b"".join([data + b"\n" for data in payloads(self._encoder.feed(seq, event))])


class Skip:
    """A `StreamEncoder` without its first `frames` frames: the cursor of dialects that have none of their own."""

    def __init__(self, encoder: StreamEncoder, frames: int) -> None:
        self._encoder = encoder
        self._left = frames

    def feed(self, seq: int, event: AnyEvent) -> bytes:
        data = self._encoder.feed(seq, event)
        if not self._left or not data:
            return data
        frames = data.split(b"\n\n")
        skipped = 0
        while self._left and skipped < len(frames) - 1:
            self._left -= 1
            skipped += 1
        return b"\n\n".join(frames[skipped:])


class Shape(NamedTuple):
    """One way for a stream to travel."""

    media_type: str
    heartbeat: bytes
    """Written into a silent stream; no reader takes it for a frame."""
    wrap: Callable[[StreamEncoder], StreamEncoder] = lambda encoder: encoder


def sse(dialect: Dialect) -> Shape:
    """Server-Sent Events, as the dialect has them."""
    return Shape(dialect.media_type, dialect.heartbeat)


NDJSON: Final = Shape("application/x-ndjson", b"\n", Lines)
