"""What the benchmark has to know of a dialect, at both ends; the dialects themselves are in `benchmarks.wires`."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Protocol

from benchmarks.answers import Model
from benchmarks.checks import StreamCheck

CHAT: Final = "openai-chat"
"""What the others are compared with."""


class Asked(NamedTuple):
    """What a provider has to know of a request."""

    model: str
    stream: bool
    usage: bool = True
    """Whether the stream is to end with it; dialects in which it always does do not ask."""


class Wire(Protocol):
    """One dialect, as its clients and its providers speak it. Frames are made beforehand, so none of this is hot."""

    name: str
    check: type[StreamCheck]
    """A check of a streamed answer."""

    # A client

    def path(self, model: str, *, stream: bool) -> str: ...

    def headers(self, key: str) -> list[str]:
        """Its credential, its version: header lines."""
        ...

    def body(self, model: str, *, stream: bool) -> dict[str, Any]: ...

    def told(self, body: bytes) -> tuple[str, str]:
        """Text and finish reason of a whole answer. Raises `msgspec.DecodeError` or `ValueError`."""
        ...

    # A provider

    def asked(self, path: str, body: bytes) -> Asked | None:
        """A request for this dialect, or None for another's. Raises `msgspec.DecodeError` or `ValueError`."""
        ...

    def opening(self, model: Model) -> bytes:
        """Frames before the first token."""
        ...

    def token(self, model: Model, index: int) -> bytes:
        """The frame of one token."""
        ...

    def closing(self, model: Model, *, usage: bool) -> bytes:
        """Frames after the last token."""
        ...

    def whole(self, model: Model) -> bytes:
        """The same answer, not streamed."""
        ...
