"""OpenAI Chat Completions, provider side: a `Prompt` -> a request; its messages are written in `message_write`.

What Chat Completions, or the provider, has no word for is named by its place in the client's body and left out. OpenAI's
own models and compatible servers differ in two words (`is_openais`): the newer ones are used only where they are sure
to be known. What else a provider wants otherwise its `Traits` say.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from headgate.dialects import Written
from headgate.dialects.calls import choice_of
from headgate.dialects.openai_chat.message_write import write_messages
from headgate.dialects.openai_chat.request import PATH
from headgate.prompt import Effort, JsonFormat, Prompt, Tool, ToolChoice, ToolMode
from headgate.request import UpstreamRequest
from headgate.traits import PLAIN, Traits

_OPENAIS: Final = re.compile(r"(?:openai/)?(?:ft:)?(?:gpt-(?!oss)|o\d|chatgpt-|codex-)")
_SAME_NAME: Final = (
    "temperature",
    "top_p",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "user",
)
"""Fields that Chat Completions calls as `Prompt` does."""
_PROMPTS_NAMES: Final = {"n": "choices", "response_format": "format", "reasoning_effort": "effort.level"}
"""Fields that it calls otherwise."""
_EFFORTS: Final = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max"})
_VERBOSITIES: Final = frozenset({"low", "medium", "high"})
_TIERS: Final = {
    tier: tier for tier in ("auto", "default", "flex", "scale", "priority", "fast", "on_demand", "performance")
} | {"standard_only": "default"}  # the last is Anthropic's word
FORMAT_NAME: Final = "answer"
"""Name of a JSON schema whose client gave none; Chat Completions wants one."""


def is_openais(model: str) -> bool:
    """Whether a model's name is one of OpenAI's own, which know ``developer`` and ``max_completion_tokens``.

    Its reasoning models refuse the older ``max_tokens``; Ollama, Mistral and DeepSeek know nothing else.
    """
    return _OPENAIS.match(model) is not None


def write_prompt(prompt: Prompt, *, model: str, stream: bool, traits: Traits = PLAIN) -> Written:
    """The request. A stream always asks for usage: the log wants it."""
    unsupported: list[str] = []
    openais = is_openais(model)
    body: dict[str, Any] = {
        "model": model,
        "messages": write_messages(prompt.messages, unsupported, has_developer=openais, traits=traits),
    }
    for field in _SAME_NAME:
        value = getattr(prompt, field)
        if value not in (None, "", {}):
            body[field] = value
    if prompt.output_tokens_max is not None:
        body[_limit(openais, traits)] = prompt.output_tokens_max
    _tools(prompt, body, unsupported, traits)
    if prompt.stop:
        body["stop"] = list(prompt.stop)
    if prompt.choices != 1:
        body["n"] = prompt.choices
    if prompt.format is not None:
        body["response_format"] = _format(prompt.format)
    if prompt.metadata:
        if openais:  # they take it for what they store, and nothing is stored
            unsupported.append(prompt.place("metadata"))
        else:
            body["metadata"] = prompt.metadata
    _words(prompt, body, unsupported)
    _as_taken(prompt, body, unsupported, traits)
    if stream:
        body["stream"] = True
        if traits.stream_options:
            body["stream_options"] = {"include_usage": True}
    return Written(UpstreamRequest(path=PATH, body=msgspec.json.encode(body), stream=stream), tuple(unsupported))


def _limit(openais: bool, traits: Traits) -> str:
    if traits.output_limit != "by-model":
        return traits.output_limit
    return "max_completion_tokens" if openais else "max_tokens"


def _tools(prompt: Prompt, body: dict[str, Any], unsupported: list[str], traits: Traits) -> None:
    """Tools, and what is said of calls. Without tools nothing is: OpenAI takes ``parallel_tool_calls`` only beside them."""
    if prompt.tools:
        body["tools"] = [_tool(tool) for tool in prompt.tools]
        if prompt.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = prompt.parallel_tool_calls
    choice = choice_of(prompt, unsupported)
    if choice is None:
        return
    written = _tool_choice(choice)
    if type(written) is dict and written["type"] in traits.lacks:
        unsupported.append(prompt.place("tool_choice"))
        written = choice.mode.value
    body["tool_choice"] = written


def _as_taken(prompt: Prompt, body: dict[str, Any], unsupported: list[str], traits: Traits) -> None:
    """Leave out what the provider does not have, and call the rest as it does."""
    lacking = [field for field in traits.lacks if body.pop(field, None) is not None]
    unsupported += [_place(prompt, _PROMPTS_NAMES.get(field, field)) for field in lacking]
    if "seed" in body:
        body[traits.seed] = body.pop("seed")


def _words(prompt: Prompt, body: dict[str, Any], unsupported: list[str]) -> None:
    """What is said in words that not every dialect shares."""
    if prompt.top_k is not None:
        unsupported.append(prompt.place("top_k"))
    if prompt.effort is not None:
        _effort(prompt, prompt.effort, body, unsupported)
    if prompt.verbosity in _VERBOSITIES:
        body["verbosity"] = prompt.verbosity
    elif prompt.verbosity:
        unsupported.append(prompt.place("verbosity"))
    if prompt.service_tier in _TIERS:
        body["service_tier"] = _TIERS[prompt.service_tier]
    elif prompt.service_tier:
        unsupported.append(prompt.place("service_tier"))


def _effort(prompt: Prompt, effort: Effort, body: dict[str, Any], unsupported: list[str]) -> None:
    """``reasoning_effort``. A budget of 0 is the word ``none``, whatever the level; one of -1 is what happens without a word."""
    level = "none" if effort.budget_tokens == 0 else effort.level
    if level != effort.level and effort.level:
        unsupported.append(_place(prompt, "effort.level"))
    if level in _EFFORTS:
        body["reasoning_effort"] = level
    elif level:
        unsupported.append(_place(prompt, "effort.level"))
    if effort.budget_tokens is not None and effort.budget_tokens > 0:
        unsupported.append(_place(prompt, "effort.budget_tokens"))
    if effort.shown or (effort.shown is False and level != "none"):  # without thinking there is none to be seen
        unsupported.append(_place(prompt, "effort.shown"))


def _place(prompt: Prompt, field: str) -> str:
    """The place of a field of a field: its own where the client's dialect knows it, else that of the whole."""
    return prompt.places.get(field) or prompt.place(field.partition(".")[0])


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _tool_choice(choice: ToolChoice) -> str | dict[str, Any]:
    named = [{"type": "function", "function": {"name": name}} for name in choice.names]
    if not named or choice.mode is ToolMode.NONE:
        return choice.mode.value
    if choice.mode is ToolMode.REQUIRED and len(named) == 1:
        return named[0]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode.value, "tools": named}}


def _format(format: JsonFormat) -> dict[str, Any]:
    if format.schema is None:
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": format.name or FORMAT_NAME, "schema": format.schema}
    if format.description:
        schema["description"] = format.description
    if format.strict is not None:
        schema["strict"] = format.strict
    return {"type": "json_schema", "json_schema": schema}
