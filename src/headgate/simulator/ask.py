"""What a request asks for, whatever the dialect it came in.

Each dialect has a reader of its own request (`chat.request` and its likes) that ends here, so that one plan answers
all of them: the same conversation gets the same words in every dialect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from headgate.simulator.dialect import Dialect


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of the conversation: its role (``system user assistant tool``) and the text in it."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function the model may call, with the JSON schema of its arguments."""

    name: str
    parameters: Mapping[str, Any] | None = None


class Calling(Enum):
    """Whether functions are to be called."""

    NONE = "none"
    AUTO = "auto"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Tools:
    """The functions given, and what the request says about calling them."""

    functions: tuple[Function, ...] = ()
    calling: Calling = Calling.AUTO
    named: str | None = None
    """The one function that has to be called."""
    parallel: bool = False
    """The request says in so many words that several calls at once are welcome."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request."""

    dialect: Dialect
    body: Any
    """The JSON as sent, with what the URL adds to it: ids on the wire depend on all of it."""
    said: Any
    """The part of it that the words of the answer depend on."""
    model: str | None
    turns: tuple[Turn, ...]
    stream: bool = False
    array: bool = False
    """The stream is to be one JSON array instead of events (Gemini without ``alt=sse``)."""
    include_usage: bool = True
    n: int = 1
    limit: int | None = None
    """Tokens a choice may have."""
    stops: tuple[str, ...] = ()
    tools: Tools = field(default_factory=Tools)
    json: bool = False
    """The answer is to be JSON."""
    schema: object = None
    """JSON schema of that JSON, where there is one."""
    thinking: bool = False
    """The reasoning is to be shown."""
    sealed: bool = False
    """Reasoning is to be handed out in encrypted form too (Responses)."""
    compact: bool = False
    """The conversation is to be made shorter, not answered (Responses)."""
    padded: bool = True
    """Deltas may carry padding against eavesdroppers (Responses)."""
    logprobs: int | None = None
    """Alternatives wanted per token; None for no log probabilities at all."""


def conversation(turns: Sequence[Turn], seed: int | None = None) -> Any:
    """`Ask.said` of a conversation: what Chat Completions would send for it."""
    return [[{"role": turn.role, "content": turn.text} for turn in turns], seed]
