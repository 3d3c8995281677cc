"""A line of the log as JSON: what is needed for those that come by the thousands. Where it goes is `logs`' business."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

_encode: Final = msgspec.json.Encoder().encode


class _Second:
    """The second that was written last, in words: lines come many to a second."""

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: tuple[int, str] = (-1, "")
        """In one piece: threads write lines as well."""


_newest: Final = _Second()


def info_line(seconds: float, name: str, message: str, values: dict[str, Any]) -> bytes:
    """``time level logger message`` of a line of the level ``info``, then its fields."""
    fields = _encode(values)
    return b'{"time":"%b","level":"info","logger":%b,"message":%b%b%b' % (
        iso(seconds).encode("ascii"),
        _encode(name),
        _encode(message),
        b"," if values else b"",
        fields[1:],
    )


def iso(seconds: float) -> str:
    """RFC 3339 with milliseconds, UTC."""
    second = int(seconds)
    number, text = _newest.known
    if second != number:
        text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        _newest.known = (second, text)
    millisecond = int(seconds * 1000) % 1000
    return f"{text}.{str(millisecond).zfill(3)}Z"
