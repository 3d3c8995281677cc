"""The Responses dialect, provider side: a `Prompt` -> a request; its messages are written in `item_write`.

What the dialect has no word for is named by its place in the client's body and left out. The provider is not asked to
store anything: the log is ours, and nobody could find the response there under its id.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.dialects import Written
from headgate.dialects.calls import choice_of, within
from headgate.dialects.openai_responses.item_write import write_items
from headgate.dialects.openai_responses.request import PATH
from headgate.prompt import Effort, JsonFormat, Prompt, Tool, ToolChoice, ToolMode
from headgate.request import UpstreamRequest

_SAME_NAME: Final = ("parallel_tool_calls", "temperature", "top_p", "metadata")
"""Fields that this dialect calls as `Prompt` does."""
_NO_WORD: Final = ("top_k", "seed", "frequency_penalty", "presence_penalty", "stop")
_EFFORTS: Final = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max"})
_VERBOSITIES: Final = frozenset({"low", "medium", "high"})
_TIERS: Final = {tier: tier for tier in ("auto", "default", "flex", "scale", "priority", "fast", "ultrafast")} | {
    "standard_only": "default"  # Anthropic's word
}
USER_CHARS_MAX: Final = 64
"""Of ``safety_identifier``; OpenAI wants a hash there anyway."""
FORMAT_NAME: Final = "answer"
"""Name of a JSON schema whose client gave none; this dialect wants one."""


def write_prompt(prompt: Prompt, *, model: str, stream: bool) -> Written:
    """The request."""
    unsupported: list[str] = []
    instructions, items = write_items(prompt.messages, unsupported)
    body: dict[str, Any] = {"model": model, "input": items, "store": False}
    if instructions:
        body["instructions"] = instructions
    for field in _SAME_NAME:
        value = getattr(prompt, field)
        if value not in (None, {}):
            body[field] = value
    if prompt.output_tokens_max is not None:
        body["max_output_tokens"] = prompt.output_tokens_max
    if prompt.tools:
        body["tools"] = [_tool(tool) for tool in prompt.tools]
    choice = choice_of(prompt, unsupported)
    if choice is not None:
        body["tool_choice"] = _tool_choice(choice)
    if prompt.user:
        body["safety_identifier"] = within(prompt.user, USER_CHARS_MAX)
    text = _text(prompt, unsupported)
    if text:
        body["text"] = text
    if prompt.effort is not None:
        _effort(prompt, prompt.effort, body, unsupported)
    if prompt.service_tier in _TIERS:
        body["service_tier"] = _TIERS[prompt.service_tier]
    elif prompt.service_tier:
        unsupported.append(prompt.place("service_tier"))
    unsupported += [prompt.place(field) for field in _NO_WORD if getattr(prompt, field) not in (None, ())]
    if prompt.choices != 1:
        unsupported.append(prompt.place("choices"))
    if stream:
        body["stream"] = True
    return Written(UpstreamRequest(path=PATH, body=msgspec.json.encode(body), stream=stream), tuple(unsupported))


def _tool(tool: Tool) -> dict[str, Any]:
    """A function. This dialect takes ``strict`` for said where it is not, and would change the schema: so it is said."""
    shown: dict[str, Any] = {"type": "function", "name": tool.name}
    if tool.description:
        shown["description"] = tool.description
    return shown | {"parameters": tool.parameters, "strict": bool(tool.strict)}


def _tool_choice(choice: ToolChoice) -> str | dict[str, Any]:
    named = [{"type": "function", "name": name} for name in choice.names]
    if not named or choice.mode is ToolMode.NONE:
        return choice.mode.value
    if choice.mode is ToolMode.REQUIRED and len(named) == 1:
        return named[0]
    return {"type": "allowed_tools", "mode": choice.mode.value, "tools": named}


def _text(prompt: Prompt, unsupported: list[str]) -> dict[str, Any]:
    text: dict[str, Any] = {}
    if prompt.format is not None:
        text["format"] = _format(prompt.format)
    if prompt.verbosity in _VERBOSITIES:
        text["verbosity"] = prompt.verbosity
    elif prompt.verbosity:
        unsupported.append(prompt.place("verbosity"))
    return text


def _format(format: JsonFormat) -> dict[str, Any]:
    if format.schema is None:
        return {"type": "json_object"}
    shown: dict[str, Any] = {"type": "json_schema", "name": format.name or FORMAT_NAME, "schema": format.schema}
    if format.description:
        shown["description"] = format.description
    if format.strict is not None:
        shown["strict"] = format.strict
    return shown


def _effort(prompt: Prompt, effort: Effort, body: dict[str, Any], unsupported: list[str]) -> None:
    """``reasoning``. A budget of 0 is the word ``none``, whatever the level; one of -1 is what happens without a word."""
    reasoning: dict[str, Any] = {}
    level = "none" if effort.budget_tokens == 0 else effort.level
    if level != effort.level and effort.level:
        unsupported.append(_place(prompt, "effort.level"))
    if level in _EFFORTS:
        reasoning["effort"] = level
    elif level:
        unsupported.append(_place(prompt, "effort.level"))
    if effort.budget_tokens is not None and effort.budget_tokens > 0:
        unsupported.append(_place(prompt, "effort.budget_tokens"))
    if effort.shown:
        reasoning["summary"] = "auto"
    if reasoning:
        body["reasoning"] = reasoning


def _place(prompt: Prompt, field: str) -> str:
    """The place of a field of a field: its own where the client's dialect knows it, else that of the whole."""
    return prompt.places.get(field) or prompt.place(field.partition(".")[0])
