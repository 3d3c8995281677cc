"""Anthropic Messages, provider side: a `Prompt` -> the request; its messages are written in `message_write`.

What this dialect cannot say is named by the path it had in the client's body. Nothing is bent to fit: a temperature
over 1 is unsupported, not 1.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.dialects import Written
from headgate.dialects.anthropic_messages.message_write import write_messages
from headgate.dialects.anthropic_messages.request import PATH, wants_thinking_back
from headgate.dialects.calls import choice_of
from headgate.dialects.schema import closed, described
from headgate.prompt import Effort, Prompt, Tool, ToolChoice, ToolMode
from headgate.request import UpstreamRequest

OUTPUT_TOKENS_MAX: Final = 8192
"""``max_tokens`` of a client that set no limit: the dialect wants one, and this is what every model since 2024 can do."""
BUDGET_TOKENS_MIN: Final = 1024
"""The least ``thinking.budget_tokens`` that Anthropic takes."""
TEMPERATURE_MAX: Final = 1
_NO_COUNTERPART: Final = ("seed", "frequency_penalty", "presence_penalty", "verbosity", "metadata")
_LEVELS: Final = {level: level for level in ("low", "medium", "high", "xhigh", "max")} | {"minimal": "low"}
_TIERS: Final = {"auto": "auto", "standard_only": "standard_only", "default": "standard_only"}
"""``default`` is OpenAI's word for it."""
_MODES: Final = {ToolMode.AUTO: "auto", ToolMode.NONE: "none", ToolMode.REQUIRED: "any"}


def write_prompt(prompt: Prompt, *, model: str, stream: bool) -> Written:
    """The request, and the paths of what it does not say.

    Raises `RequestError` ``invalid_request`` where there is nothing to answer.
    """
    unsupported: list[str] = []
    system, messages = write_messages(prompt.messages, unsupported)
    body: dict[str, Any] = {"model": model, "max_tokens": _output_tokens(prompt)}
    if system:
        body["system"] = system
    body["messages"] = messages
    for field in ("temperature", "top_p", "top_k"):
        value = getattr(prompt, field)
        if field == "temperature" and value is not None and value > TEMPERATURE_MAX:
            unsupported.append(prompt.place(field))
        elif value is not None:
            body[field] = value
    unsupported += [prompt.place(field) for field in _NO_COUNTERPART if getattr(prompt, field) not in (None, "", {})]
    if prompt.choices != 1:
        unsupported.append(prompt.place("choices"))
    body |= _tools(prompt, unsupported) | _words(prompt, unsupported) | _output_config(prompt, unsupported)
    left_out: list[str] = []
    if wants_thinking_back(messages, body.get("thinking")):
        shown = body.pop("thinking").get("display")
        left_out = [_place(prompt, field) for field in ("effort.budget_tokens", *(["effort.shown"] if shown else []))]
    if stream:
        body["stream"] = True
    request = UpstreamRequest(path=PATH, body=msgspec.json.encode(body), stream=stream, dropped=tuple(left_out))
    return Written(request, tuple(unsupported))


def _output_tokens(prompt: Prompt) -> int:
    """The limit, which counts the thinking too: where the client set none, the budget comes on top of ours."""
    if prompt.output_tokens_max is not None:
        return prompt.output_tokens_max
    budget = prompt.effort.budget_tokens if prompt.effort is not None else None
    return OUTPUT_TOKENS_MAX + max(budget or 0, 0)


def _tools(prompt: Prompt, unsupported: list[str]) -> dict[str, Any]:
    """``tools`` and ``tool_choice``. A choice among several tools is written by leaving out the others."""
    choice = choice_of(prompt, unsupported)
    tools = prompt.tools
    if choice is not None and len(choice.names) > (1 if choice.mode is ToolMode.REQUIRED else 0):
        tools = tuple([tool for tool in tools if tool.name in choice.names])
    if not tools:
        if prompt.tools:  # none of those that were to be chosen from
            unsupported.append(prompt.place("tool_choice"))
        return {}
    written: dict[str, Any] = {"tools": [_tool(tool) for tool in tools]}
    shown = _tool_choice(choice) if choice is not None else {}
    if prompt.parallel_tool_calls is not None and shown.get("type") != "none":
        shown = (shown or {"type": "auto"}) | {"disable_parallel_tool_use": not prompt.parallel_tool_calls}
    return written | ({"tool_choice": shown} if shown else {})


def _tool(tool: Tool) -> dict[str, Any]:
    written: dict[str, Any] = {"name": tool.name}
    if tool.description:
        written["description"] = tool.description
    schema = {"type": "object"} | (tool.parameters or {"properties": {}})
    written["input_schema"] = closed(schema) if tool.strict else schema
    if tool.strict is not None:
        written["strict"] = tool.strict
    return written


def _tool_choice(choice: ToolChoice) -> dict[str, Any]:
    if choice.mode is ToolMode.REQUIRED and len(choice.names) == 1:
        return {"type": "tool", "name": choice.names[0]}
    return {"type": _MODES[choice.mode]}


def _words(prompt: Prompt, unsupported: list[str]) -> dict[str, Any]:
    """What is said in words that not every dialect shares."""
    written: dict[str, Any] = {}
    stop = [word for word in prompt.stop if word.strip()]
    if stop:
        written["stop_sequences"] = stop
    if len(stop) < len(prompt.stop):  # Anthropic refuses those of nothing but white space
        unsupported.append(prompt.place("stop"))
    if prompt.user:
        written["metadata"] = {"user_id": prompt.user}
    if prompt.service_tier in _TIERS:
        written["service_tier"] = _TIERS[prompt.service_tier]
    elif prompt.service_tier:
        unsupported.append(prompt.place("service_tier"))
    return written


def _output_config(prompt: Prompt, unsupported: list[str]) -> dict[str, Any]:
    """``output_config`` and ``thinking``."""
    written: dict[str, Any] = {}
    config: dict[str, Any] = {}
    if prompt.effort is not None:
        thinking = _effort(prompt, prompt.effort, config, unsupported)
        if thinking:
            written["thinking"] = thinking
    if prompt.format is not None:
        if prompt.format.schema is None:
            unsupported.append(prompt.place("format"))
        else:
            schema = closed(described(prompt.format.schema, prompt.format.description))
            config["format"] = {"type": "json_schema", "schema": schema}
    return written | ({"output_config": config} if config else {})


def _effort(prompt: Prompt, effort: Effort, config: dict[str, Any], unsupported: list[str]) -> dict[str, Any]:
    """Put the level into `config`, and return ``thinking``: a budget, or what is to be seen of it."""
    budget = 0 if effort.level == "none" else effort.budget_tokens
    if effort.level in _LEVELS:
        config["effort"] = _LEVELS[effort.level]
    elif effort.level not in ("", "none"):
        unsupported.append(_place(prompt, "effort.level"))
    if budget is not None and budget > 0:
        budget = min(budget, _output_tokens(prompt) - 1)
        if budget < BUDGET_TOKENS_MIN:
            unsupported.append(_place(prompt, "effort.budget_tokens"))
            budget = None
    if budget == 0:
        return {"type": "disabled"}
    display = {} if effort.shown is None else {"display": "summarized" if effort.shown else "omitted"}
    if budget is not None and budget > 0:
        return {"type": "enabled", "budget_tokens": budget} | display
    if budget == -1 or effort.shown:
        return {"type": "adaptive"} | display
    return {}


def _place(prompt: Prompt, field: str) -> str:
    """The place of a field of a field: its own where the client's dialect knows it, else that of the whole."""
    return prompt.places.get(field) or prompt.place(field.partition(".")[0])
