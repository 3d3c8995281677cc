"""What a client asks a model for, in no dialect's words: the hub through which requests go from one dialect to another.

    client's body -> Prompt -> provider's body          only where the two dialects differ

Between two sides of one dialect the body travels as it came. A `Prompt` holds what more than one dialect can say;
whatever a client sent beyond that is named in `unplaced`, so that it is refused or recorded as dropped, never lost
unseen. `places` and every ``at`` say where a value stood in the client's own body, because that is the name an error
has to use.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class Role(StrEnum):
    """Who speaks. Results of tools are the user's."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"


class Text(msgspec.Struct, frozen=True):
    """Prose."""

    text: str
    at: str = ""


class Image(msgspec.Struct, frozen=True):
    """A picture, by ``http(s)`` URL or as base64 `data` with its `media_type`."""

    url: str = ""
    data: str = ""
    media_type: str = ""
    detail: str = ""
    """``low``, ``high`` or ``auto``; empty for unsaid."""
    at: str = ""


class File(msgspec.Struct, frozen=True):
    """A document, such as a PDF: by URL, as base64 `data`, or as plain text in `data` with a ``text/`` media type."""

    url: str = ""
    data: str = ""
    media_type: str = ""
    name: str = ""
    at: str = ""


class Audio(msgspec.Struct, frozen=True):
    """Sound as base64 `data`."""

    data: str
    media_type: str
    at: str = ""


class Refusal(msgspec.Struct, frozen=True):
    """What the model said when it refused, earlier in the conversation."""

    text: str
    at: str = ""


class Reasoning(msgspec.Struct, frozen=True):
    """Reasoning of an earlier turn: its text, without what a provider signed or encrypted.

    Most providers of another dialect cannot use it, and writers leave it out without a word; some models that speak Chat
    Completions want it back (`headgate.traits`).
    """

    text: str = ""
    at: str = ""


class ToolCall(msgspec.Struct, frozen=True):
    """A call the model made earlier. `arguments` is JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str
    at: str = ""


class ToolResult(msgspec.Struct, frozen=True):
    """What a tool gave back. `name` is the tool's, found from the call where the dialect does not say it."""

    call_id: str
    content: tuple[Text | Image | File, ...]
    name: str = ""
    is_error: bool = False
    at: str = ""


Part = Text | Image | File | Audio | Refusal | Reasoning | ToolCall | ToolResult


class Message(msgspec.Struct, frozen=True):
    """One turn, or a piece of one: writers join neighbours of one role where their dialect wants that."""

    role: Role
    parts: tuple[Part, ...]
    name: str = ""
    at: str = ""


class Tool(msgspec.Struct, frozen=True):
    """A function the model may call. `parameters` is a JSON schema, None for no arguments."""

    name: str
    description: str = ""
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    at: str = ""


class ToolMode(StrEnum):
    """Whether tools are called."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"
    """At least one call, of any tool or of those named."""


class ToolChoice(msgspec.Struct, frozen=True):
    """`names` narrows the tools down; with `ToolMode.REQUIRED` and one name that tool is called."""

    mode: ToolMode
    names: tuple[str, ...] = ()


class JsonFormat(msgspec.Struct, frozen=True):
    """The answer is JSON; of this `schema`, where there is one."""

    schema: dict[str, Any] | None = None
    name: str = ""
    description: str = ""
    strict: bool | None = None


class Effort(msgspec.Struct, frozen=True):
    """How much to think. `level`: ``none minimal low medium high xhigh max``, as the client spelt it; empty for unsaid."""

    level: str = ""
    budget_tokens: int | None = None
    """Most tokens of reasoning; 0 turns it off, -1 lets the model decide."""
    shown: bool | None = None
    """Whether the reasoning, or a summary of it, is to be part of the answer."""


class Prompt(msgspec.Struct, frozen=True):
    """One request. None and empty mean that the client did not say."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    output_tokens_max: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: tuple[str, ...] = ()
    choices: int = 1
    format: JsonFormat | None = None
    effort: Effort | None = None
    verbosity: str = ""
    user: str = ""
    """An opaque id of the end user, for the provider's abuse detection."""
    metadata: dict[str, str] | None = None
    service_tier: str = ""
    places: dict[str, str] = {}
    """Field of this record -> its path in the client's body, where the two differ."""
    unplaced: tuple[str, ...] = ()
    """Paths in the client's body that no other dialect has a word for."""

    def place(self, field: str) -> str:
        """Where the client wrote this field."""
        return self.places.get(field, field)
