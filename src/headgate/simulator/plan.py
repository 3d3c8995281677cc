"""What one request will be answered with, decided before a byte is sent.

A plan is a value: the same request gives the same plan, so the same bytes. Nothing here knows how the plan is
rendered (`wire`), in which order and at what time it is sent (`script`), or over what (`server`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Final

import msgspec

from headgate.errors import RequestError
from headgate.simulator import text
from headgate.simulator.config import SimulatorConfig
from headgate.simulator.faults import Fault, FaultName
from headgate.simulator.grammar import TOKENS_MAX, Behaviour, Content, parse
from headgate.simulator.request import ChatRequest, Function, decode, named
from headgate.simulator.schema import generate
from headgate.simulator.tokens import count, tokenize

EPOCH: Final = 1_770_000_000
"""``created`` of an answer lies within twelve days of this: it comes from the digest, as everything else does."""


class Kind(StrEnum):
    """What a part holds; the values are the fields of a delta."""

    REASONING = "reasoning_content"
    TEXT = "content"
    REFUSAL = "refusal"
    CALL = "tool_calls"


class Finish(StrEnum):
    """The finish reasons of Chat Completions that the simulator gives."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"


@dataclass(frozen=True, slots=True)
class Call:
    """Head of a tool call; `index` counts the calls of a choice."""

    index: int
    id: str
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
    stream: bool
    include_usage: bool
    choices: tuple[Choice, ...]
    prompt_tokens: int
    rate: float
    """Tokens per second and choice; 0 floods."""
    ttft_s: float
    logprobs: int | None
    """Alternatives wanted per token; None for no log probabilities at all."""
    faults: tuple[Fault, ...]

    @property
    def tokens(self) -> int:
        return sum(choice.tokens for choice in self.choices)

    def has(self, name: FaultName) -> bool:
        return any(fault.name is name for fault in self.faults)

    def at(self, name: FaultName, default: float = 0.0) -> float:
        """The number of a fault, `default` where the plan has no such fault."""
        return next((fault.at for fault in self.faults if fault.name is name), default)


def make(body: bytes, simulate: str, config: SimulatorConfig) -> Plan:
    """Read a request's body and its ``X-Simulate`` header into a plan.

    Raises `RequestError`: ``invalid_json``, ``invalid_request`` or ``model_not_found``.
    """
    raw, request = decode(body)
    model = request.model or config.default_model
    behaviour = parse(model, simulate, config)
    digest = _digest([raw, simulate])
    choices = _choices(request, behaviour, _digest([raw["messages"], request.seed]))
    return Plan(
        id=f"{digest:016x}",
        created=EPOCH + digest % 2**20,
        model=model,
        stream=bool(request.stream),
        include_usage=bool(request.stream_options and request.stream_options.include_usage),
        choices=choices,
        prompt_tokens=sum(count(message.text) for message in request.messages),
        rate=behaviour.rate,
        ttft_s=behaviour.ttft_ms / 1000,
        logprobs=(request.top_logprobs or 0) if request.logprobs else None,
        faults=behaviour.faults,
    )


def _digest(value: object) -> int:
    """64 bits that depend on the value alone, not on the order of an object's members."""
    encoded = msgspec.json.encode(value, order="deterministic")
    return int.from_bytes(blake2b(encoded, digest_size=8).digest(), "big")


def _choices(request: ChatRequest, behaviour: Behaviour, digest: int) -> tuple[Choice, ...]:
    n = request.n or 1
    if n * max(behaviour.tokens or 0, behaviour.about) > TOKENS_MAX:
        raise RequestError("invalid_request", f"'n' times the tokens asked for is over {TOKENS_MAX}.", param="n")
    calls = _called(request, behaviour)
    return tuple(_choice(request, behaviour, calls, digest=digest, index=index) for index in range(n))


def _choice(
    request: ChatRequest, behaviour: Behaviour, calls: Sequence[Function], *, digest: int, index: int
) -> Choice:
    parts: list[Part] = []
    finish = Finish.STOP
    if behaviour.reasoning:
        parts.append(Part(Kind.REASONING, text.reasoning_tokens(digest + index)))
    if calls:
        parts += [_call(function, digest=digest, choice=index, index=i) for i, function in enumerate(calls)]
        finish = Finish.TOOL_CALLS
    elif behaviour.content is Content.REFUSAL:
        parts.append(Part(Kind.REFUSAL, text.refusal_tokens(digest + index)))
    else:
        parts.append(Part(Kind.TEXT, _stopped(_content(request, behaviour, digest, index), request.stops)))
    kept = _limited(parts, request.limit)
    if kept != tuple(parts):
        finish = Finish.LENGTH
    forced = {FaultName.LENGTH: Finish.LENGTH, FaultName.CONTENT_FILTER: Finish.CONTENT_FILTER}
    for fault in behaviour.faults:
        finish = forced.get(fault.name, finish)
    return Choice(index, kept, finish)


def _content(request: ChatRequest, behaviour: Behaviour, digest: int, index: int) -> tuple[str, ...]:
    form = request.response_format
    if (form is None or form.type == "text") and behaviour.content is not Content.JSON:
        return text.content_tokens(behaviour, digest=digest, index=index)
    schema = (form.json_schema or {}).get("schema") if form else None
    return text.json_tokens(behaviour, schema, digest=digest, index=index)


def _stopped(tokens: tuple[str, ...], stops: Sequence[str]) -> tuple[str, ...]:
    """The tokens before the first occurrence of any stop sequence, which may begin inside a token."""
    whole = "".join(tokens)
    end = min((found for stop in stops if (found := whole.find(stop)) >= 0), default=None)
    if end is None:
        return tokens
    kept: list[str] = []
    for token in tokens:
        if len(token) >= end:
            return (*kept, token[:end]) if end else tuple(kept)
        kept.append(token)
        end -= len(token)
    return tuple(kept)


def _limited(parts: Sequence[Part], limit: int | None) -> tuple[Part, ...]:
    """The first `limit` tokens."""
    if limit is None:
        return tuple(parts)
    kept: list[Part] = []
    for part in parts:
        tokens = part.tokens[:limit]
        limit -= len(tokens)
        if tokens:
            kept.append(Part(part.kind, tokens, part.call))
    return tuple(kept)


def _called(request: ChatRequest, behaviour: Behaviour) -> list[Function]:
    """The functions that every choice calls.

    After a tool's result the answer is text, unless a call is forced: else an agent's loop would never end.
    """
    functions, choice = request.functions, request.tool_choice
    if not functions or choice == "none":
        return []
    if isinstance(choice, dict):
        return [functions[named(choice)]]
    asked = next((message.text for message in reversed(request.messages) if message.role == "user"), "")
    mentioned = [function for name, function in functions.items() if name in asked]
    if choice != "required":
        wanted = bool(mentioned) or behaviour.content is Content.TOOLS
        if not wanted or request.messages[-1].role == "tool":
            return []
    first = list({function.name: function for function in (*mentioned, *functions.values())}.values())
    return first[: 2 if request.parallel_tool_calls else 1]


def _call(function: Function, *, digest: int, choice: int, index: int) -> Part:
    arguments = generate(function.parameters or {"type": "object"}, seed=digest + choice + index)
    name = f"{_digest([digest, choice, index, function.name]):016x}"
    tokens = tokenize(json.dumps(arguments if isinstance(arguments, dict) else {}, ensure_ascii=False))
    return Part(Kind.CALL, ("", *tokens), Call(index, f"call_{name}", function.name))
