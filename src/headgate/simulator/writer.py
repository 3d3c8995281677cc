"""What a dialect has to know to put a plan on the wire: the seam between plans and their bytes.

A writer renders one answer. `stream` and `whole` decide what is sent when, and break it where a fault says so; the
writer knows the words. Writers of streams have state (sequence numbers, open blocks), so one is made per answer.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from headgate.simulator.plan import Choice, Part
from headgate.simulator.registry import Name

SSE: Final = "text/event-stream; charset=utf-8"
JSON: Final = "application/json"
BROKEN: Final = "The model broke off (simulated)."
OVERLOADED: Final = "The model is overloaded (simulated)."


class Problem(NamedTuple):
    """A refusal, before any dialect has put it into its own shape."""

    status: int
    message: str
    param: str | None = None
    code: str | None = None
    retry_s: float | None = None
    """When to come back."""
    array: bool = False
    """It stands where a stream of one JSON array was asked for (Gemini)."""


class Writer(Protocol):
    """One answer in one dialect. What a method returns is written as it stands; nothing at all is ``b""``."""

    @property
    def stream_type(self) -> str:
        """Content type of the stream."""

    def prelude(self) -> bytes:
        """What comes at once, before the time to the first token is over."""

    def opening(self) -> bytes:
        """What comes with the first token."""

    def token(self, choice: Choice, part: Part, index: int) -> bytes:
        """Token `index` of a part. A writer may hold it back to send larger pieces."""

    def finish(self, choice: Choice) -> bytes:
        """The end of a choice, which comes with its last token."""

    def ending(self) -> bytes:
        """What comes after all choices and before the end marker."""

    def done(self) -> bytes:
        """The end marker."""

    def flush(self) -> bytes:
        """What is held back."""

    def truncated(self) -> bytes:
        """Half of the last event, in place of everything after the last token."""

    def interruption(self, name: Name) -> bytes:
        """What a fault puts into the stream where it strikes."""

    def whole(self) -> bytes:
        """The answer as one JSON value."""

    def broken(self, name: Name) -> bytes | None:
        """The body of a whole answer that a fault makes something else of; None where it does not."""
