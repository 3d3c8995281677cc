"""The request of Chat Completions, as far as the simulator honours it.

Unknown fields are ignored, known ones must have their types: a client that sends ``"n": "two"`` learns so with a 400
that names the field, as from the real thing.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from headgate.errors import RequestError

N_MAX: Final = 128
TOP_LOGPROBS_MAX: Final = 20
STOPS_MAX: Final = 4


class Message(msgspec.Struct, frozen=True):
    """One message; `content` is text or a list of typed parts."""

    role: str
    content: str | list[dict[str, Any]] | None = None

    @property
    def text(self) -> str:
        match self.content:
            case str(text):
                return text
            case list(parts):
                return "\n".join(str(part.get("text", "")) for part in parts)
            case _:
                return ""


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool | None = None


class Function(msgspec.Struct, frozen=True):
    name: str
    parameters: dict[str, Any] | None = None


class Tool(msgspec.Struct, frozen=True):
    """A tool of any type; only functions are ever called."""

    type: str = "function"
    function: Function | None = None


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
        return {tool.function.name: tool.function for tool in self.tools or [] if tool.function}


def decode(body: bytes) -> tuple[dict[str, Any], ChatRequest]:
    """The body as sent and as understood. Raises `RequestError` ``invalid_json`` or ``invalid_request``."""
    try:
        raw = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise RequestError("invalid_json", f"The body is not JSON: {error}") from None
    try:
        request = msgspec.convert(raw, ChatRequest)
    except msgspec.ValidationError as error:
        found = re.search(r"`\$\.?(.*)`$", str(error)) or re.search(r"field `(.*?)`", str(error))
        raise RequestError("invalid_request", str(error), param=found[1] or None if found else None) from None
    _check(request)
    return raw, request


def _check(request: ChatRequest) -> None:
    """The rules that types do not say."""
    choice = request.tool_choice
    rules = (
        ("messages", bool(request.messages), "must not be empty"),
        ("n", request.n is None or 1 <= request.n <= N_MAX, f"must be between 1 and {N_MAX}"),
        ("max_tokens", request.limit is None or request.limit >= 1, "must be at least 1"),
        ("stop", len(request.stops) <= STOPS_MAX, f"must have at most {STOPS_MAX} entries"),
        ("top_logprobs", 0 <= (request.top_logprobs or 0) <= TOP_LOGPROBS_MAX, f"must be 0 to {TOP_LOGPROBS_MAX}"),
        ("top_logprobs", bool(request.logprobs) or request.top_logprobs is None, "needs logprobs to be true"),
        ("tool_choice", choice in (None, "none", "auto") or bool(request.functions), "needs tools"),
        ("tool_choice", not isinstance(choice, str) or choice in ("none", "auto", "required"), "is not known"),
        ("tool_choice", not isinstance(choice, dict) or named(choice) in request.functions, "names no given tool"),
    )
    for param, holds, rule in rules:
        if not holds:
            raise RequestError("invalid_request", f"'{param}' {rule}.", param=param)


def named(choice: dict[str, Any]) -> str:
    """The function that an object ``tool_choice`` names; empty where it names none."""
    function = choice.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else ""
