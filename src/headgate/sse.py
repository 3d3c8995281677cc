"""Server-Sent Events, as WHATWG HTML section 9.2 has them: bytes in, frames out.

Not here: what a frame means (dialects), and writing frames (encoders do that, each in its own words).

Invariant: the frames depend on the bytes alone, never on how they were cut; and what is pending is bounded.
Lines end at LF, CRLF or CR and nowhere else (not at U+2028, U+0085, VT, FF as `str.splitlines` has it).
"""

from __future__ import annotations

import re
from typing import Final

PENDING_BYTES_MAX: Final = 4 * 1024 * 1024
"""Most bytes of a frame. Providers send images and tool arguments in one line; none sends 4 MiB of text."""

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_BOM: Final = b"\xef\xbb\xbf"
_PLAIN: Final = b"data: "
"""How nearly every frame begins; what follows up to the blank line is its data."""
_NAMED: Final = b"event: "
"""How the frames of dialects begin that say the event's name; the data is the next line."""
_BLANK: Final = b"\n\n"
_LF: Final = 0x0A
_CR: Final = 0x0D
"""Numbers: what ``in`` takes for a byte of `bytes` at once; for ``b"\\r"`` it makes an exception first."""

Frame = tuple[bytes, bytes]
"""One dispatched event: its ``event`` field (empty for none) and its data, lines joined with LF."""


class SseDecoder:
    """Stage bytes -> `Frame`. Frames without data are not dispatched; an unterminated last frame is discarded."""

    __slots__ = (
        "_after_cr",
        "_at_start",
        "_between",
        "_data",
        "_data_bytes",
        "_event",
        "_pending_bytes_max",
        "_rest",
        "_rest_bytes",
        "overflowed",
    )

    def __init__(self, pending_bytes_max: int = PENDING_BYTES_MAX) -> None:
        self.overflowed = False
        """A frame has more than `pending_bytes_max`; nothing is decoded from there on."""
        self._pending_bytes_max = pending_bytes_max
        self._rest: list[bytes] = []  # pieces of the unfinished line, joined once its end is there
        self._rest_bytes = 0
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._event = b""
        self._after_cr = False  # a CR ended the last line; an LF right after it belongs to it
        self._at_start = True
        self._between = False  # nothing is pending, and no BOM or LF has to be skipped: a frame begins here

    def feed(self, data: bytes) -> list[Frame]:
        if self.overflowed or not data:
            return []
        if self._at_start and data[0] != _BOM[0] and not self._rest:  # no BOM: the first read may take the short way
            self._at_start, self._between = False, True
        if self._at_start or self._after_cr or len(data) > self._pending_bytes_max:
            return self._feed_lines(data)
        if _CR in data:
            plain = data.replace(b"\r\n", b"\n")
            if _CR in plain:
                return self._feed_lines(data)
            data = plain
        if self._between and data.endswith(_BLANK):
            frame = _frame_of(data, len(data) - len(_BLANK))
            if frame is not None:
                return [frame]
        return self._feed_blocks(data)

    def finish(self) -> list[Frame]:
        """End of input. What is pending was never terminated, so it was never an event."""
        return []

    def _feed_blocks(self, data: bytes) -> list[Frame]:
        """The usual case, LF only or CRLF only: whole ``data:`` frames are cut out in one go, the ragged ends go line by line."""
        frames: list[Frame] = []
        start = 0
        if not self._between:
            start = data.find(_BLANK) + 2
            if start == 1:
                return self._feed_lines(data)
            frames = self._feed_lines(data[:start])
        end = data.rfind(_BLANK, start)
        if end >= 0 and not self.overflowed:
            blocks = data[start:end].split(_BLANK)
            whole = [frame for block in blocks if (frame := _frame_of(block, len(block))) is not None]
            frames += whole if len(whole) == len(blocks) else self._feed_lines(data[start : end + 2])
            start = end + 2
        if start < len(data):
            frames += self._feed_lines(data[start:])
        return frames

    def _feed_lines(self, data: bytes) -> list[Frame]:
        if self._after_cr:
            self._after_cr = False
            if data[0] == _LF:
                data = data[1:]
        lines = _LINE_END.split(data) if _CR in data else data.split(b"\n")
        if data.endswith(b"\r"):
            self._after_cr = True
        frames: list[Frame] = []
        rest = lines.pop()
        for line in lines:
            self._add(line)
            if self.overflowed:
                return frames
            line = self._rest[0] if len(self._rest) == 1 else b"".join(self._rest)
            self._rest.clear()
            self._rest_bytes = 0
            self._line(line, frames)
        self._add(rest)
        self._between = not (self._rest or self._data or self._event or self._at_start or self._after_cr)
        return frames

    def _add(self, piece: bytes) -> None:
        """One more piece of the unfinished line. The limit is for a frame's data and the line that is being read."""
        if piece:
            self._rest.append(piece)
            self._rest_bytes += len(piece)
        if self._rest_bytes + self._data_bytes > self._pending_bytes_max:
            self.overflowed = True
            self._rest.clear()
            self._data.clear()

    def _line(self, line: bytes, frames: list[Frame]) -> None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:
            if self._data:
                frames.append((self._event, b"\n".join(self._data)))
                self._data.clear()
                self._data_bytes = 0
            self._event = b""
            return
        field, _, value = line.partition(b":")
        if field == b"data":
            value = value.removeprefix(b" ")
            self._data.append(value)
            self._data_bytes += len(value) + 1
        elif field == b"event":
            self._event = value.removeprefix(b" ")


def _frame_of(block: bytes, end: int) -> Frame | None:
    """The frame of a block up to its `end`; lines end in LF. None if it is not ``data`` alone or ``event`` and then ``data``."""
    if block.startswith(_PLAIN):
        data = block[len(_PLAIN) : end]
        return (b"", data) if _LF not in data else None
    if block.startswith(_NAMED):
        event, _, line = block[len(_NAMED) : end].partition(b"\n")
        if line.startswith(_PLAIN) and _LF not in line:
            return event, line[len(_PLAIN) :]
    return None
