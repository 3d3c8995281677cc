"""What is asked of a client, and what it made of the answer: the same two records for every SDK in both languages."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

DIALECTS: Final = ("openai-chat", "openai-responses", "anthropic-messages", "gemini")
LANGUAGES: Final = ("python", "node")
CLIENTS: Final = tuple(f"{language} {dialect}" for language in LANGUAGES for dialect in DIALECTS)


class Call(msgspec.Struct):
    """A tool call; `arguments` is JSON text."""

    id: str = ""
    name: str = ""
    arguments: str = ""

    @property
    def given(self) -> dict[str, Any]:
        value = json.loads(self.arguments)
        assert isinstance(value, dict)
        return value


class Trouble(msgspec.Struct):
    """An exception of the SDK: the name of its class, and what it tells."""

    kind: str
    status: int = 0
    code: str = ""
    message: str = ""
    retry_after: str = ""


class Seen(msgspec.Struct):
    """What a user of the SDK has in hand at the end."""

    id: str = ""
    """As the dialect spells it, or our own from a header."""
    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    calls: list[Call] = []
    finish: str = ""
    """The finish reason as the SDK shows it; of a response its status, and the reason after a colon."""
    usage: tuple[int, int] | None = None
    turn: list[dict[str, Any]] = []
    """The answer as the next request repeats it."""
    error: Trouble | None = None
    value: Any = None
    """Of acts that are not about an answer."""

    @property
    def response_id(self) -> str:
        """Our id: every dialect's holds the same 32 hex digits."""
        return "resp_" + self.id[-32:] if self.id else ""


class Job(msgspec.Struct, frozen=True):
    """One thing to do with an SDK."""

    client: str
    """Language and dialect, one of `CLIENTS`."""
    model: str
    params: dict[str, Any]
    """What the SDK's own method takes, beside model and stream."""
    stream: bool = False
    act: str = "create"
    leave: int = 0
    """Leave the stream after so many items."""
    cancel: int = 0
    """Have somebody else cancel the response after so many items of its stream."""
    key: str = "none"

    @property
    def language(self) -> str:
        return self.client.partition(" ")[0]

    @property
    def dialect(self) -> str:
        return self.client.partition(" ")[2]

    def __str__(self) -> str:
        mode = "streamed" if self.stream else "whole"
        return f"{self.client} -> {self.model} ({self.act}, {mode})"
