"""The request of Google's Gemini API, as far as the simulator honours it. Model and method stand in its URL."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from headgate.simulator.ask import Ask, Calling, Function, Tools, Turn, conversation
from headgate.simulator.body import Rule, check, convert, decode
from headgate.simulator.dialect import Dialect

CANDIDATES_MAX: Final = 8
STOPS_MAX: Final = 5
_CALLING: Final = {
    "NONE": Calling.NONE,
    "ANY": Calling.REQUIRED,
    "AUTO": Calling.AUTO,
    "VALIDATED": Calling.AUTO,
    "MODE_UNSPECIFIED": Calling.AUTO,
}


class Content(msgspec.Struct, frozen=True):
    """One turn: `parts` are text, calls, results and data, of which only text and results count here."""

    parts: list[dict[str, Any]] = []
    role: str | None = None

    @property
    def text(self) -> str:
        return "\n".join(str(part["text"]) for part in self.parts if "text" in part)


class Declaration(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    parameters: dict[str, Any] | None = None
    parameters_json_schema: dict[str, Any] | None = None


class Tool(msgspec.Struct, frozen=True, rename="camel"):
    """Functions; what else a tool may be is never used."""

    function_declarations: list[Declaration] = []


class CallingConfig(msgspec.Struct, frozen=True, rename="camel"):
    mode: str = "AUTO"
    allowed_function_names: list[str] | None = None


class ToolConfig(msgspec.Struct, frozen=True, rename="camel"):
    function_calling_config: CallingConfig | None = None


class ThinkingConfig(msgspec.Struct, frozen=True, rename="camel"):
    include_thoughts: bool | None = None


class GenerationConfig(msgspec.Struct, frozen=True, rename="camel"):
    candidate_count: int | None = None
    max_output_tokens: int | None = None
    stop_sequences: list[str] | None = None
    seed: int | None = None
    response_mime_type: str | None = None
    response_schema: dict[str, Any] | None = None
    response_json_schema: Any = None
    thinking_config: ThinkingConfig | None = None


class GeminiRequest(msgspec.Struct, frozen=True, rename="camel"):
    """The body of ``POST /v1beta/models/{model}:generateContent``, and of the methods like it."""

    contents: list[Content]
    system_instruction: Content | None = None
    tools: list[Tool] | None = None
    tool_config: ToolConfig | None = None
    generation_config: GenerationConfig | None = None

    @property
    def config(self) -> GenerationConfig:
        return self.generation_config or GenerationConfig()

    @property
    def calling(self) -> CallingConfig:
        return (self.tool_config.function_calling_config if self.tool_config else None) or CallingConfig()

    @property
    def functions(self) -> dict[str, Function]:
        given = (one for tool in self.tools or [] for one in tool.function_declarations)
        return {one.name: Function(one.name, one.parameters_json_schema or _schema(one.parameters)) for one in given}


_VERBATIM: Final = frozenset(
    {"parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema", "args", "response"}
)
"""Members whose own members the caller named."""
_SNAKE: Final = re.compile(r"_([a-z])")


def read(body: bytes, *, model: str, stream: bool, array: bool) -> Ask:
    """What body and URL ask for. Raises `RequestError` ``invalid_json`` or ``invalid_request``."""
    raw = decode(body)
    request = convert(_camel(raw), GeminiRequest)
    _check(request)
    turns, config = tuple(_turns(request)), request.config
    schema = config.response_json_schema or _schema(config.response_schema)
    thinking = config.thinking_config
    return Ask(
        dialect=Dialect.GEMINI,
        body=[model, raw],
        said=conversation(turns, config.seed),
        model=model,
        turns=turns,
        stream=stream,
        array=array,
        n=config.candidate_count or 1,
        limit=config.max_output_tokens,
        stops=tuple(stop for stop in config.stop_sequences or () if stop),
        tools=_tools(request),
        json=config.response_mime_type == "application/json",
        schema=schema,
        thinking=thinking is not None and bool(thinking.include_thoughts),
    )


def read_counted(body: bytes) -> tuple[Turn, ...]:
    """The conversation whose tokens are to be counted. Raises as `read` does."""
    raw = decode(body)
    inner = raw.get("generateContentRequest") if isinstance(raw, dict) else None
    return tuple(_turns(convert(inner or raw, GeminiRequest)))


def _turns(request: GeminiRequest) -> Iterator[Turn]:
    """The conversation in the roles of others; a function's response is a turn of its own."""
    if request.system_instruction:
        yield Turn("system", request.system_instruction.text)
    for content in request.contents:
        if any("functionResponse" in part for part in content.parts):
            yield Turn("tool", content.text)
        else:
            yield Turn("assistant" if content.role == "model" else "user", content.text)


def _tools(request: GeminiRequest) -> Tools:
    calling, functions = request.calling, request.functions
    allowed = calling.allowed_function_names
    kept = [function for name, function in functions.items() if allowed is None or name in allowed]
    return Tools(tuple(kept), _CALLING[calling.mode])


def _schema(schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A schema of Google's as JSON schema: its types are in capitals."""
    if schema is None:
        return None
    return {key: _lowered(key, value) for key, value in schema.items()}


def _lowered(key: str, value: Any) -> Any:
    if key == "type" and isinstance(value, str):
        return value.lower()
    if isinstance(value, dict):
        return {name: _lowered(name if key != "properties" else "", one) for name, one in value.items()}
    if isinstance(value, list):
        return [_lowered("", one) for one in value]
    if key in ("minItems", "maxItems", "minLength", "maxLength") and isinstance(value, str) and value.isdigit():
        return int(value)  # 64-bit integers are strings in Google's JSON
    return value


def _check(request: GeminiRequest) -> None:
    """The rules that types do not say."""
    config, calling = request.config, request.calling
    count, limit = config.candidate_count, config.max_output_tokens
    allowed = calling.allowed_function_names or []
    check(
        (
            Rule("contents", bool(request.contents), "must not be empty"),
            Rule(
                "generationConfig.candidateCount",
                count is None or 1 <= count <= CANDIDATES_MAX,
                f"must be between 1 and {CANDIDATES_MAX}",
            ),
            Rule("generationConfig.maxOutputTokens", limit is None or limit >= 1, "must be at least 1"),
            Rule(
                "generationConfig.stopSequences",
                len(config.stop_sequences or ()) <= STOPS_MAX,
                f"must have at most {STOPS_MAX} entries",
            ),
            Rule("toolConfig.functionCallingConfig.mode", calling.mode in _CALLING, "is not known"),
            Rule(
                "toolConfig.functionCallingConfig.mode", calling.mode != "ANY" or bool(request.functions), "needs tools"
            ),
            Rule(
                "toolConfig.functionCallingConfig.allowedFunctionNames",
                all(name in request.functions for name in allowed),
                "names no given tool",
            ),
        )
    )


def _camel(value: Any) -> Any:
    """The value with its members' names as documented: Google takes ``snake_case`` too, and its Python SDK sends both."""
    if isinstance(value, list):
        return [_camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    named = ((_SNAKE.sub(lambda found: found[1].upper(), name), item) for name, item in value.items())
    return {name: item if name in _VERBATIM else _camel(item) for name, item in named}
