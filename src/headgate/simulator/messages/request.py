"""The request of Anthropic Messages, as far as the simulator honours it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from headgate.simulator.ask import Ask, Calling, Function, Tools, Turn, conversation
from headgate.simulator.body import Rule, check, convert, decode, joined
from headgate.simulator.dialect import Dialect

THINKING_TOKENS_MIN: Final = 1024
_CALLING: Final = {"auto": Calling.AUTO, "any": Calling.REQUIRED, "tool": Calling.REQUIRED, "none": Calling.NONE}


class Message(msgspec.Struct, frozen=True):
    """One message; `content` is text or a list of typed blocks."""

    role: str
    content: str | list[dict[str, Any]]


class Tool(msgspec.Struct, frozen=True):
    """A tool; those of Anthropic's own have a type and no schema, and are never called."""

    name: str
    type: str | None = None
    input_schema: dict[str, Any] | None = None


class ToolChoice(msgspec.Struct, frozen=True):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(msgspec.Struct, frozen=True):
    type: str
    budget_tokens: int | None = None


class Format(msgspec.Struct, frozen=True):
    type: str
    schema: dict[str, Any] | None = None


class OutputConfig(msgspec.Struct, frozen=True):
    format: Format | None = None


class Counted(msgspec.Struct, frozen=True):
    """The body of ``POST /v1/messages/count_tokens``."""

    messages: list[Message]
    model: str | None = None
    system: str | list[dict[str, Any]] | None = None


class MessagesRequest(msgspec.Struct, frozen=True):
    """The body of ``POST /v1/messages``."""

    messages: list[Message]
    max_tokens: int
    model: str | None = None
    system: str | list[dict[str, Any]] | None = None
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: Format | None = None

    @property
    def functions(self) -> dict[str, Function]:
        own = (tool for tool in self.tools or [] if tool.type in (None, "custom"))
        return {tool.name: Function(tool.name, tool.input_schema) for tool in own}

    @property
    def thinks(self) -> bool:
        return self.thinking is not None and self.thinking.type != "disabled"

    @property
    def format(self) -> Format | None:
        return self.output_format or (self.output_config.format if self.output_config else None)


def read(body: bytes) -> Ask:
    """What the body asks for. Raises `RequestError` ``invalid_json`` or ``invalid_request``."""
    raw = decode(body)
    request = convert(raw, MessagesRequest)
    _check(request)
    turns = tuple(_turns(request))
    return Ask(
        dialect=Dialect.MESSAGES,
        body=raw,
        said=conversation(turns),
        model=request.model,
        turns=turns,
        stream=bool(request.stream),
        limit=request.max_tokens,
        stops=tuple(stop for stop in request.stop_sequences or () if stop),
        tools=_tools(request),
        json=request.format is not None,
        schema=request.format.schema if request.format else None,
        thinking=request.thinks,
    )


def read_counted(body: bytes) -> tuple[Turn, ...]:
    """The conversation whose tokens are to be counted. Raises as `read` does."""
    request = convert(decode(body), Counted)
    check((Rule("messages", bool(request.messages), "must not be empty"),))
    return tuple(_turns(request))


def _turns(request: MessagesRequest | Counted) -> Iterator[Turn]:
    """The conversation; a tool's result is a turn of its own."""
    if request.system:
        yield Turn("system", joined(request.system))
    for message in request.messages:
        blocks = message.content if isinstance(message.content, list) else []
        results = [block for block in blocks if block.get("type") == "tool_result"]
        for result in results:
            yield Turn("tool", _content(result.get("content")))
        rest = [block for block in blocks if block not in results]
        if rest or not results:
            yield Turn(message.role, joined(rest if blocks else message.content))


def _content(content: Any) -> str:
    """The text of a tool's result; whatever else it may be counts as nothing."""
    if isinstance(content, list):
        return joined([part for part in content if isinstance(part, dict)])
    return content if isinstance(content, str) else ""


def _tools(request: MessagesRequest) -> Tools:
    choice = request.tool_choice
    return Tools(
        tuple(request.functions.values()),
        _CALLING[choice.type] if choice else Calling.AUTO,
        choice.name if choice and choice.type == "tool" else None,
        bool(choice and choice.disable_parallel_tool_use is False),
    )


def _check(request: MessagesRequest) -> None:
    """The rules that types do not say."""
    choice, thinking = request.tool_choice, request.thinking
    budget = thinking.budget_tokens if thinking and thinking.type == "enabled" else None
    needs = choice is not None and choice.type in ("any", "tool")
    named = choice.name if choice and choice.type == "tool" else None
    check(
        (
            Rule("messages", bool(request.messages), "must not be empty"),
            Rule("max_tokens", request.max_tokens >= 1, "must be at least 1"),
            Rule("tool_choice", choice is None or choice.type in _CALLING, "is not known"),
            Rule("tool_choice", not needs or bool(request.functions), "needs tools"),
            Rule("tool_choice", named is None or named in request.functions, "names no given tool"),
            Rule("tool_choice", choice is None or choice.type != "tool" or named is not None, "needs a name"),
            Rule(
                "thinking.budget_tokens",
                thinking is None or thinking.type != "enabled" or (budget or 0) >= THINKING_TOKENS_MIN,
                f"must be at least {THINKING_TOKENS_MIN}",
            ),
            Rule("max_tokens", budget is None or request.max_tokens > budget, "must be more than budget_tokens"),
        )
    )
