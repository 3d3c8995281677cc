"""What one request will be answered with, decided before a byte is sent.

A plan is a value: the same request gives the same plan (`planning`), so the same bytes. Nothing here knows how it is
rendered (a `Writer` of its dialect), in which order and at what time it is sent (`script`), or over what (`server`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from headgate.simulator.ask import Ask
from headgate.simulator.registry import Fault, Name

EPOCH: Final = 1_770_000_000
"""``created`` of an answer lies within twelve days of this: it comes from the digest, as everything else does."""


class Kind(Enum):
    """What a part holds."""

    REASONING = "reasoning"
    REDACTED = "redacted"
    """Reasoning that nobody may read; its one token is empty."""
    FOREIGN = "foreign"
    """Something of a type that no client knows; its one token is empty."""
    TEXT = "text"
    REFUSAL = "refusal"
    CALL = "call"


class Finish(Enum):
    """Why an answer ended; each dialect has its own words for them."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool calls"
    CONTENT_FILTER = "content filter"
    PAUSED = "paused"
    CONTEXT_WINDOW = "context window"
    MALFORMED_CALL = "malformed call"
    RECITATION = "recitation"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Call:
    """Head of a tool call; `index` counts the calls of a choice."""

    index: int
    id: str
    """Hexadecimal, as `Plan.id`."""
    name: str


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive tokens of one kind. The first token of a call is empty: it stands for the call's head."""

    kind: Kind
    tokens: tuple[str, ...]
    call: Call | None = None

    @property
    def text(self) -> str:
        return "".join(self.tokens)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the `n` answers."""

    index: int
    parts: tuple[Part, ...]
    finish: Finish
    stop: str | None = None
    """The stop sequence that ended it."""

    @property
    def tokens(self) -> int:
        return sum(len(part.tokens) for part in self.parts)

    def of(self, kind: Kind) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.kind is kind)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything about one answer."""

    id: str
    """Hexadecimal; ids on the wire are made from it."""
    created: int
    model: str
    ask: Ask
    """The request: some dialects repeat parts of it in the answer."""
    choices: tuple[Choice, ...]
    prompt_tokens: int
    cached_tokens: int
    """How many of the prompt's tokens count as read from a cache."""
    rate: float
    """Tokens per second and choice; 0 floods."""
    ttft_s: float
    faults: tuple[Fault, ...]

    @property
    def tokens(self) -> int:
        return sum(choice.tokens for choice in self.choices)

    @property
    def reasoning_tokens(self) -> int:
        return sum(len(part.tokens) for choice in self.choices for part in choice.of(Kind.REASONING))

    def has(self, name: Name) -> bool:
        return any(fault.name is name for fault in self.faults)

    def at(self, name: Name, default: float = 0.0) -> float:
        """The number of a fault, `default` where the plan has no such fault."""
        return next((fault.at for fault in self.faults if fault.name is name), default)
