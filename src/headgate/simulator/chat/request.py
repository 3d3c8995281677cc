"""The request of Chat Completions, as far as the simulator honours it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.simulator.ask import Ask, Calling, Function, Tools, Turn
from headgate.simulator.body import Rule, check, convert, decode, joined
from headgate.simulator.dialect import Dialect

N_MAX: Final = 128
TOP_LOGPROBS_MAX: Final = 20
STOPS_MAX: Final = 4


class Message(msgspec.Struct, frozen=True):
    """One message; `content` is text or a list of typed parts."""

    role: str
    content: str | list[dict[str, Any]] | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class ToolFunction(msgspec.Struct, frozen=True):
    name: str
    parameters: dict[str, Any] | None = None


class Tool(msgspec.Struct, frozen=True):
    """A tool of any type; only functions are ever called."""

    type: str = "function"
    function: ToolFunction | None = None


class ResponseFormat(msgspec.Struct, frozen=True):
    type: str = "text"
    json_schema: dict[str, Any] | None = None


class ChatRequest(msgspec.Struct, frozen=True):
    """The body of ``POST /v1/chat/completions``."""

    messages: list[Message]
    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    tools: list[Tool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None

    @property
    def limit(self) -> int | None:
        """Tokens a choice may have."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def stops(self) -> list[str]:
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [stop for stop in stops if stop]

    @property
    def functions(self) -> dict[str, Function]:
        given = (tool.function for tool in self.tools or [] if tool.function)
        return {function.name: Function(function.name, function.parameters) for function in given}


def read(body: bytes) -> Ask:
    """What the body asks for. Raises `RequestError` ``invalid_json`` or ``invalid_request``."""
    raw = decode(body)
    request = convert(raw, ChatRequest)
    _check(request)
    form = request.response_format
    return Ask(
        dialect=Dialect.CHAT,
        body=raw,
        said=[raw["messages"], request.seed],
        model=request.model,
        turns=tuple(Turn(message.role, joined(message.content)) for message in request.messages),
        stream=bool(request.stream),
        include_usage=bool(request.stream_options and request.stream_options.include_usage),
        n=request.n or 1,
        limit=request.limit,
        stops=tuple(request.stops),
        tools=_tools(request),
        json=form is not None and form.type != "text",
        schema=(form.json_schema or {}).get("schema") if form else None,
        logprobs=(request.top_logprobs or 0) if request.logprobs else None,
    )


def _tools(request: ChatRequest) -> Tools:
    choice = request.tool_choice
    return Tools(
        tuple(request.functions.values()),
        Calling(choice) if isinstance(choice, str) else Calling.AUTO,
        _named(choice) if isinstance(choice, dict) else None,
        bool(request.parallel_tool_calls),
    )


def _check(request: ChatRequest) -> None:
    """The rules that types do not say."""
    choice = request.tool_choice
    logprobs = 0 <= (request.top_logprobs or 0) <= TOP_LOGPROBS_MAX
    check(
        (
            Rule("messages", bool(request.messages), "must not be empty"),
            Rule("n", request.n is None or 1 <= request.n <= N_MAX, f"must be between 1 and {N_MAX}"),
            Rule("max_tokens", request.limit is None or request.limit >= 1, "must be at least 1"),
            Rule("stop", len(request.stops) <= STOPS_MAX, f"must have at most {STOPS_MAX} entries"),
            Rule("top_logprobs", logprobs, f"must be 0 to {TOP_LOGPROBS_MAX}"),
            Rule("top_logprobs", bool(request.logprobs) or request.top_logprobs is None, "needs logprobs to be true"),
            Rule("tool_choice", choice in (None, "none", "auto") or bool(request.functions), "needs tools"),
            Rule("tool_choice", not isinstance(choice, str) or choice in ("none", "auto", "required"), "is not known"),
            Rule(
                "tool_choice",
                not isinstance(choice, dict) or _named(choice) in request.functions,
                "names no given tool",
            ),
        )
    )


def _named(choice: dict[str, Any]) -> str:
    """The function that an object ``tool_choice`` names; empty where it names none."""
    function = choice.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else ""
