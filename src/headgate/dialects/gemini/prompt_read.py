"""Gemini, client side: a checked request -> a `Prompt`; its contents are read in `content_read`.

Everything in the body finds its place in the `Prompt`, or is named in ``unplaced`` by its path, as the client spelt it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import msgspec

from headgate.dialects.fields import MalformedError, storable
from headgate.dialects.gemini.content_read import read_messages
from headgate.dialects.gemini.given import Given
from headgate.dialects.gemini.schema import json_schema
from headgate.dialects.given import invalid
from headgate.prompt import Effort, JsonFormat, Prompt, Tool, ToolChoice, ToolMode
from headgate.request import CreateRequest

MODES: Final = {
    "AUTO": ToolMode.AUTO,
    "VALIDATED": ToolMode.AUTO,
    "ANY": ToolMode.REQUIRED,
    "NONE": ToolMode.NONE,
}
JSON_TYPE: Final = "application/json"
_OURS: Final = ("model", "stream")
_CONFIG_PLACES: Final = {
    "output_tokens_max": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "stop": "stopSequences",
    "choices": "candidateCount",
    "format": "responseMimeType",
    "effort": "thinkingConfig",
}
_T = TypeVar("_T")


def read_prompt(request: CreateRequest) -> Prompt:
    """What the request asks for. Raises `RequestError` ``invalid_request`` naming the path of what is malformed."""
    unplaced: list[str] = []
    body = Given(request.body, "", unplaced)
    for field in _OURS:
        body.take(field)
    places = {"tool_choice": body.path("toolConfig")}
    prompt = Prompt(messages=read_messages(body), tools=tuple(_tools(body)), tool_choice=_tool_choice(body))
    config = body.maybe("generationConfig")
    if config is not None:
        places |= {field: config.path(name) for field, name in _CONFIG_PLACES.items()}
        prompt = _config(prompt, config, places)
        logprobs = config.path("responseLogprobs")
        if config.flag("responseLogprobs"):
            config.leave(logprobs)
        config.end()
    body.end()
    return msgspec.structs.replace(prompt, places=places, unplaced=tuple(unplaced))


def _config(prompt: Prompt, config: Given, places: dict[str, str]) -> Prompt:
    return msgspec.structs.replace(
        prompt,
        output_tokens_max=config.integer("maxOutputTokens"),
        temperature=config.number("temperature"),
        top_p=config.number("topP"),
        top_k=config.integer("topK"),
        seed=config.integer("seed"),
        frequency_penalty=config.number("frequencyPenalty") or None,  # 0 asks for nothing
        presence_penalty=config.number("presencePenalty") or None,
        stop=config.strings("stopSequences"),
        choices=config.integer("candidateCount") or 1,
        format=_format(config, places),
        effort=_effort(config, places),
    )


def _tools(body: Given) -> Iterator[Tool]:
    """Functions. Tools that the provider runs itself are left in their objects, and named."""
    for _, group in body.objects("tools"):
        for at, given in group.objects("functionDeclarations"):
            yield Tool(
                name=given.required_text("name"),
                description=given.text("description"),
                parameters=_schema(given, "parametersJsonSchema", "parameters"),
                at=at,
            )
            given.end()
        group.end_in_full()


def _tool_choice(body: Given) -> ToolChoice | None:
    config = body.maybe("toolConfig")
    if config is None:
        return None
    found = None
    calling = config.maybe("functionCallingConfig")
    if calling is not None:
        path, word = calling.path("mode"), calling.word("mode") or "AUTO"
        if word not in MODES:
            raise invalid(path, f"one of {', '.join(MODES)}")
        found = ToolChoice(MODES[word], calling.strings("allowedFunctionNames"))
        calling.end()
    config.end()
    return found


def _format(config: Given, places: dict[str, str]) -> JsonFormat | None:
    """JSON, of a schema or of none. Other types than that and plain text are unplaced."""
    modalities = config.path("responseModalities")
    if config.strings("responseModalities") not in ((), ("TEXT",)):
        config.leave(modalities)
    media_type = config.text("responseMimeType").lower()
    where = config.path("responseJsonSchema" if config.has("responseJsonSchema") else "responseSchema")
    schema = _schema(config, "responseJsonSchema", "responseSchema")
    if media_type == JSON_TYPE:
        return JsonFormat(schema)
    if media_type not in ("", "text/plain"):
        config.leave(places["format"])
    if schema is not None:
        config.leave(where)
    return None


def _schema(given: Given, as_json: str, as_openapi: str) -> dict[str, Any] | None:
    """A schema given as JSON Schema, or in Gemini's own words."""
    plain = _bounded(given, as_json, given.mapping)
    own = _bounded(given, as_openapi, given.mapping)
    found: dict[str, Any] | None = plain if plain is not None else json_schema(own)
    return found


def _bounded(given: Given, field: str, take: Callable[[str], _T]) -> _T:
    path = given.path(field)
    value = take(field)
    try:
        storable({field: value})
    except MalformedError as error:
        raise invalid(path, f"a schema of the usual depth ({error})") from None
    return value


def _effort(config: Given, places: dict[str, str]) -> Effort | None:
    thinking = config.maybe("thinkingConfig")
    if thinking is None:
        return None
    names = {"level": "thinkingLevel", "budget_tokens": "thinkingBudget", "shown": "includeThoughts"}
    places |= {f"effort.{field}": thinking.path(name) for field, name in names.items()}
    effort = Effort(
        level=thinking.word("thinkingLevel").lower(),
        budget_tokens=thinking.integer("thinkingBudget"),
        shown=thinking.flag("includeThoughts"),
    )
    thinking.end()
    return effort if effort != Effort() else None
