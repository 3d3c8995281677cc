"""Gemini, provider side: a `Prompt` -> a request; its messages are written in `content_write`.

What Gemini has no word for is named by its place in the client's body and left out.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.dialects import Written
from headgate.dialects.calls import choice_of
from headgate.dialects.gemini.content_write import write_messages
from headgate.dialects.gemini.prompt_read import JSON_TYPE
from headgate.dialects.gemini.request import has_budgets, upstream_path
from headgate.dialects.schema import described
from headgate.prompt import Effort, Prompt, Tool, ToolChoice, ToolMode
from headgate.request import UpstreamRequest

_NAMES: Final = {
    "output_tokens_max": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
}
_UNKNOWN: Final = ("verbosity", "user", "metadata")
"""Fields that Gemini has no word for."""
_TIERS_OF_OLD: Final = ("", "auto", "default")
"""Service tiers that ask for what everybody gets."""
LEVELS: Final = {"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "XHIGH"}
BUDGETS: Final = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
"""What Google's own Chat Completions endpoint makes of the levels, for models that know budgets only."""


def write_prompt(prompt: Prompt, *, model: str, stream: bool) -> Written:
    unsupported: list[str] = []
    body = write_messages(prompt.messages, unsupported, signs=not has_budgets(model))
    if prompt.tools:
        body["tools"] = [{"functionDeclarations": [_tool(tool) for tool in prompt.tools]}]
    choice = _tool_choice(prompt, unsupported)
    if choice is not None:
        body["toolConfig"] = {"functionCallingConfig": choice}
    config = _config(prompt, model, unsupported)
    if config:
        body["generationConfig"] = config
    unsupported += [prompt.place(field) for field in _UNKNOWN if getattr(prompt, field)]
    if prompt.parallel_tool_calls is False:
        unsupported.append(prompt.place("parallel_tool_calls"))
    if prompt.service_tier not in _TIERS_OF_OLD:
        unsupported.append(prompt.place("service_tier"))
    request = UpstreamRequest(path=upstream_path(model, stream=stream), body=msgspec.json.encode(body), stream=stream)
    return Written(request, tuple(unsupported))


def _config(prompt: Prompt, model: str, unsupported: list[str]) -> dict[str, Any]:
    config = {name: value for field, name in _NAMES.items() if (value := getattr(prompt, field)) is not None}
    if prompt.stop:
        config["stopSequences"] = list(prompt.stop)
    if prompt.choices != 1:
        config["candidateCount"] = prompt.choices
    if prompt.format is not None:
        config["responseMimeType"] = JSON_TYPE
        if prompt.format.schema is not None:
            config["responseJsonSchema"] = described(prompt.format.schema, prompt.format.description)
        elif prompt.format.description:
            unsupported.append(prompt.place("format"))
    if prompt.effort is not None:
        thinking = _thinking(prompt, prompt.effort, model, unsupported)
        if thinking:
            config["thinkingConfig"] = thinking
    return config


def _thinking(prompt: Prompt, effort: Effort, model: str, unsupported: list[str]) -> dict[str, Any]:
    """How much to think. Gemini takes a budget or a level: a budget is more exact, unless it is up to the model."""
    thinking: dict[str, Any] = {}
    if effort.budget_tokens is not None and not (effort.budget_tokens == -1 and effort.level):
        thinking["thinkingBudget"] = effort.budget_tokens
        if effort.level not in ("", "none"):
            unsupported.append(prompt.places.get("effort.level") or prompt.place("effort"))
    elif effort.level == "none":
        thinking["thinkingBudget"] = 0
    elif has_budgets(model) and effort.level in BUDGETS:
        thinking["thinkingBudget"] = BUDGETS[effort.level]
    elif effort.level in LEVELS and not has_budgets(model):
        thinking["thinkingLevel"] = LEVELS[effort.level]
    elif effort.level:
        unsupported.append(prompt.places.get("effort.level") or prompt.place("effort"))
    if effort.shown is not None:
        thinking["includeThoughts"] = effort.shown
    return thinking


def _tool(tool: Tool) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": tool.name}
    if tool.description:
        shown["description"] = tool.description
    if tool.parameters is not None:
        shown["parametersJsonSchema"] = tool.parameters
    return shown


def _tool_choice(prompt: Prompt, unsupported: list[str]) -> dict[str, Any] | None:
    """``functionCallingConfig``. Names narrow down ``ANY`` and ``VALIDATED`` only; the latter also means strictness."""
    asked = choice_of(prompt, unsupported)
    choice = asked or ToolChoice(ToolMode.AUTO)
    is_strict = any(tool.strict for tool in prompt.tools)
    if choice.mode is ToolMode.NONE:
        return {"mode": "NONE"}
    if choice.mode is ToolMode.REQUIRED:
        mode = "ANY"
    elif choice.names or is_strict:
        mode = "VALIDATED"
    else:
        return {"mode": "AUTO"} if asked is not None else None
    return {"mode": mode} | ({"allowedFunctionNames": list(choice.names)} if choice.names else {})
