"""One request in the words of each client dialect, as the methods of the official SDKs take it.

An `Ask` says what is wanted; `said` says it in a dialect. JavaScript and Python take the same parameters.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from tests.e2e.matrix.seen import Call, Seen

PROMPT: Final = "How is the third gate of the lower canal opened?"
SYSTEM: Final = "You keep the gates."
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"gate": {"type": "string"}, "inches": {"type": "integer"}},
    "required": ["gate", "inches"],
    "additionalProperties": False,
}
TOOLS: Final = ("open_gate", "close_gate")
PNG: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TOKENS_MAX: Final = 4096
"""Where a dialect wants a limit and the test does not."""


@dataclass(frozen=True)
class Ask:
    """A request in nobody's words."""

    prompt: str = PROMPT
    system: bool = False
    tools: bool = False
    schema: bool = False
    reasoning: bool = False
    tokens_max: int = 0
    stop: str = ""
    choice: str = ""
    """``none``, ``required``, or the name of the tool to be called."""
    turns: tuple[dict[str, Any], ...] = ()
    """What was said after the prompt, in the dialect's own words."""
    extra: dict[str, Any] = field(default_factory=dict)
    """More fields, in the dialect's own words."""


def said(dialect: str, ask: Ask, *, stream: bool = False) -> dict[str, Any]:
    """The parameters of the dialect's SDK."""
    match dialect:
        case "openai-chat":
            return {**_chat(ask), **({"stream_options": {"include_usage": True}} if stream else {}), **ask.extra}
        case "openai-responses":
            return {**_responses(ask), **ask.extra}
        case "anthropic-messages":
            return {**_messages(ask), **ask.extra}
        case _:
            params = _gemini(ask)
            return {**params, "config": {**params["config"], **ask.extra}}


def _chat(ask: Ask) -> dict[str, Any]:
    system = [{"role": "system", "content": SYSTEM}] if ask.system else []
    params: dict[str, Any] = {"messages": [*system, {"role": "user", "content": ask.prompt}, *ask.turns]}
    if ask.tools:
        functions = [{"name": name, "parameters": SCHEMA} for name in TOOLS]
        params["tools"] = [{"type": "function", "function": function} for function in functions]
        params["parallel_tool_calls"] = True
    if ask.choice:
        named = {"type": "function", "function": {"name": ask.choice}}
        params["tool_choice"] = named if ask.choice in TOOLS else ask.choice
    if ask.schema:
        form = {"name": "gate", "schema": SCHEMA, "strict": True}
        params["response_format"] = {"type": "json_schema", "json_schema": form}
    if ask.reasoning:
        params["reasoning_effort"] = "low"
    if ask.tokens_max:
        params["max_completion_tokens"] = ask.tokens_max
    if ask.stop:
        params["stop"] = [ask.stop]
    return params


def _responses(ask: Ask) -> dict[str, Any]:
    assert not ask.stop, "the Responses API has no stop sequences"
    params: dict[str, Any] = {"input": ask.prompt}
    if ask.turns:
        params["input"] = [{"role": "user", "content": ask.prompt}, *ask.turns]
    if ask.system:
        params["instructions"] = SYSTEM
    if ask.tools:
        params["tools"] = [{"type": "function", "name": name, "parameters": SCHEMA, "strict": True} for name in TOOLS]
        params["parallel_tool_calls"] = True
    if ask.choice:
        params["tool_choice"] = {"type": "function", "name": ask.choice} if ask.choice in TOOLS else ask.choice
    if ask.schema:
        params["text"] = {"format": {"type": "json_schema", "name": "gate", "schema": SCHEMA, "strict": True}}
    if ask.reasoning:
        params["reasoning"] = {"effort": "low"}
    if ask.tokens_max:
        params["max_output_tokens"] = ask.tokens_max
    return params


def _messages(ask: Ask) -> dict[str, Any]:
    params: dict[str, Any] = {
        "max_tokens": ask.tokens_max or TOKENS_MAX,
        "messages": [{"role": "user", "content": ask.prompt}, *ask.turns],
    }
    if ask.system:
        params["system"] = SYSTEM
    if ask.tools:
        params["tools"] = [{"name": name, "input_schema": SCHEMA} for name in TOOLS]
    if ask.choice:
        kinds = {"none": {"type": "none"}, "required": {"type": "any"}}
        params["tool_choice"] = kinds.get(ask.choice, {"type": "tool", "name": ask.choice})
    if ask.schema:
        params["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
    if ask.reasoning:
        params["thinking"] = {"type": "adaptive"}
    if ask.stop:
        params["stop_sequences"] = [ask.stop]
    return params


def _gemini(ask: Ask) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if ask.system:
        config["systemInstruction"] = SYSTEM
    if ask.tools:
        functions = [{"name": name, "description": name, "parametersJsonSchema": SCHEMA} for name in TOOLS]
        config["tools"] = [{"functionDeclarations": functions}]
    if ask.choice:
        modes = {"none": {"mode": "NONE"}, "required": {"mode": "ANY"}}
        calling = modes.get(ask.choice, {"mode": "ANY", "allowedFunctionNames": [ask.choice]})
        config["toolConfig"] = {"functionCallingConfig": calling}
    if ask.schema:
        config["responseMimeType"] = "application/json"
        config["responseJsonSchema"] = SCHEMA
    if ask.reasoning:
        config["thinkingConfig"] = {"thinkingLevel": "LOW"}
    if ask.tokens_max:
        config["maxOutputTokens"] = ask.tokens_max
    if ask.stop:
        config["stopSequences"] = [ask.stop]
    return {"contents": [{"role": "user", "parts": [{"text": ask.prompt}]}, *ask.turns], "config": config}


def picture(dialect: str) -> dict[str, Any]:
    """A user's turn that shows a picture."""
    url = f"data:image/png;base64,{PNG}"
    match dialect:
        case "openai-chat":
            return {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
        case "openai-responses":
            return {"role": "user", "content": [{"type": "input_image", "image_url": url, "detail": "auto"}]}
        case "anthropic-messages":
            source = {"type": "base64", "media_type": "image/png", "data": PNG}
            return {"role": "user", "content": [{"type": "image", "source": source}]}
        case _:
            return {"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}]}


def results(dialect: str, seen: Seen) -> tuple[dict[str, Any], ...]:
    """The answer and the results of the tools it called, as the turns of the next request."""
    told: list[dict[str, Any]]
    match dialect:
        case "openai-chat":
            told = [{"role": "tool", "tool_call_id": call.id, "content": _result(call)} for call in seen.calls]
        case "openai-responses":
            told = [
                {"type": "function_call_output", "call_id": call.id, "output": _result(call)} for call in seen.calls
            ]
        case "anthropic-messages":
            blocks = [{"type": "tool_result", "tool_use_id": c.id, "content": _result(c)} for c in seen.calls]
            told = [{"role": "user", "content": blocks}]
        case _:
            parts = [
                {"functionResponse": {"id": c.id or None, "name": c.name, "response": {"result": _result(c)}}}
                for c in seen.calls
            ]
            told = [{"role": "user", "parts": parts}]
    return (*seen.turn, *told)


def _result(call: Call) -> str:
    return f"{call.name} is done"
