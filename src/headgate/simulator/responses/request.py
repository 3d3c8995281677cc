"""The request of OpenAI Responses, as far as the simulator honours it. Nothing is stored: earlier turns come along."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgspec

from headgate.simulator.ask import Ask, Calling, Function, Tools, Turn, conversation
from headgate.simulator.body import Rule, check, convert, decode, joined
from headgate.simulator.dialect import Dialect

TOP_LOGPROBS_MAX: Final = 20
LIMIT_MIN: Final = 1
_LOGPROBS: Final = "message.output_text.logprobs"
_SEALED: Final = "reasoning.encrypted_content"
_OUTPUTS: Final = ("function_call_output", "custom_tool_call_output")


class Item(msgspec.Struct, frozen=True):
    """One item of the input. A message may leave out its type."""

    type: str = "message"
    role: str | None = None
    content: str | list[dict[str, Any]] | None = None
    output: Any = None


class StreamOptions(msgspec.Struct, frozen=True):
    include_obfuscation: bool | None = None


class Tool(msgspec.Struct, frozen=True):
    """A tool of any type; only functions are ever called."""

    type: str
    name: str | None = None
    parameters: dict[str, Any] | None = None


class Format(msgspec.Struct, frozen=True):
    type: str = "text"
    schema: dict[str, Any] | None = None


class Text(msgspec.Struct, frozen=True):
    format: Format | None = None


class Reasoning(msgspec.Struct, frozen=True):
    effort: str | None = None
    summary: str | None = None


class ResponsesRequest(msgspec.Struct, frozen=True):
    """The body of ``POST /v1/responses``."""

    input: str | list[Item]
    model: str | None = None
    instructions: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_output_tokens: int | None = None
    tools: list[Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    text: Text | None = None
    reasoning: Reasoning | None = None
    include: list[str] | None = None
    top_logprobs: int | None = None

    @property
    def functions(self) -> dict[str, Function]:
        own = (tool for tool in self.tools or [] if tool.type == "function" and tool.name)
        return {tool.name: Function(tool.name, tool.parameters) for tool in own if tool.name}

    @property
    def format(self) -> Format:
        return (self.text.format if self.text else None) or Format()


def read(body: bytes) -> Ask:
    """What the body asks for. Raises `RequestError` ``invalid_json`` or ``invalid_request``."""
    raw = decode(body)
    request = convert(raw, ResponsesRequest)
    _check(request)
    turns = _turns(request)
    included = request.include or []
    logprobs = request.top_logprobs is not None or _LOGPROBS in included
    options = request.stream_options
    return Ask(
        dialect=Dialect.RESPONSES,
        body=raw,
        said=conversation(turns),
        model=request.model,
        turns=turns,
        stream=bool(request.stream),
        limit=request.max_output_tokens,
        tools=_tools(request),
        json=request.format.type != "text",
        schema=request.format.schema,
        thinking=request.reasoning is not None and request.reasoning.summary is not None,
        sealed=_SEALED in included,
        padded=options is None or options.include_obfuscation is not False,
        logprobs=(request.top_logprobs or 0) if logprobs else None,
    )


def read_compacted(body: bytes) -> Ask:
    """What a request to ``/v1/responses/compact`` asks for: nothing is stored, so the input must be there. Raises as `read`."""
    return replace(read(body), compact=True, stream=False)


def _turns(request: ResponsesRequest) -> tuple[Turn, ...]:
    """The conversation; a function's output is a turn of its own, a call of the model's has no text."""
    turns = [Turn("system", request.instructions)] if request.instructions else []
    if isinstance(request.input, str):
        return (*turns, Turn("user", request.input))
    for item in request.input:
        if item.type in _OUTPUTS:
            turns.append(Turn("tool", item.output if isinstance(item.output, str) else ""))
        else:
            turns.append(Turn(item.role or "assistant", joined(item.content)))
    return tuple(turns)


def _tools(request: ResponsesRequest) -> Tools:
    choice = request.tool_choice
    return Tools(
        tuple(request.functions.values()),
        Calling(choice) if isinstance(choice, str) else Calling.AUTO,
        _named(choice) if isinstance(choice, dict) and choice.get("type") == "function" else None,
        bool(request.parallel_tool_calls),
    )


def _check(request: ResponsesRequest) -> None:
    """The rules that types do not say."""
    choice, limit = request.tool_choice, request.max_output_tokens
    known = not isinstance(choice, str) or choice in ("none", "auto", "required")
    named = choice if isinstance(choice, dict) and choice.get("type") == "function" else None
    check(
        (
            Rule("input", bool(request.input), "must not be empty"),
            Rule("max_output_tokens", limit is None or limit >= LIMIT_MIN, f"must be at least {LIMIT_MIN}"),
            Rule(
                "top_logprobs", 0 <= (request.top_logprobs or 0) <= TOP_LOGPROBS_MAX, f"must be 0 to {TOP_LOGPROBS_MAX}"
            ),
            Rule("tool_choice", known, "is not known"),
            Rule("tool_choice", choice in (None, "none", "auto") or bool(request.tools), "needs tools"),
            Rule("tool_choice", named is None or _named(named) in request.functions, "names no given tool"),
        )
    )


def _named(choice: dict[str, Any]) -> str:
    """The function that an object ``tool_choice`` names; empty where it names none."""
    name = choice.get("name")
    return name if isinstance(name, str) else ""
