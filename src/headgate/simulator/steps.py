"""The closed vocabulary in which a script tells the shell what to do. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Delimit(Enum):
    """What ends the body."""

    CHUNKED = "chunked"
    LENGTH = "length"
    """The headers carry a content-length."""
    CLOSE = "close"
    """The end of the connection, as in HTTP/1.0."""


@dataclass(frozen=True, slots=True)
class Head:
    """Send status and headers. Always the first step that sends anything, once."""

    status: int
    headers: tuple[tuple[str, str], ...]
    delimit: Delimit


@dataclass(frozen=True, slots=True)
class Write:
    """Send bytes of the body; `tokens` of the answer become complete with them.

    Writes with no `Wait` between them may leave as one.
    """

    data: bytes
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """The next step is due so many seconds after this one was due. Zero only sets writes apart."""

    seconds: float


@dataclass(frozen=True, slots=True)
class End:
    """The body is complete as far as HTTP can tell; the connection is kept where that is possible."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection after what was written: an incomplete body, unless the end delimits it."""


@dataclass(frozen=True, slots=True)
class Abort:
    """Reset the connection (TCP RST)."""


Step = Head | Write | Wait | End | Close | Abort

SILENCE_S: Final = 3600.0
"""How long an answer that stalls keeps its connection."""
