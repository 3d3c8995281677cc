"""OpenAI Chat Completions, client side: a checked request -> a `Prompt`; its messages are read in `message_read`.

Everything in the body finds its place in the `Prompt`, or is named in ``unplaced`` by its path. ``model``, ``stream``
and ``stream_options`` are the gateway's own business. A few fields have a value that asks for nothing (``store``
false); with it they are not named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import msgspec

from headgate.dialects.given import Given, invalid
from headgate.dialects.openai_chat.message_read import read_messages
from headgate.prompt import Effort, JsonFormat, Prompt, Tool, ToolChoice, ToolMode
from headgate.request import CreateRequest

_OURS: Final = ("model", "stream", "stream_options")
_NEUTRAL: Final[dict[str, Any]] = {
    "store": False,
    "logprobs": False,
    "top_logprobs": 0,
    "modalities": ["text"],
    "frequency_penalty": 0,
    "presence_penalty": 0,
}
"""Values that ask for what everybody gives."""
_SWITCHES: Final = ("web_search_options", "search_parameters")
"""What these ask for is asked for by an empty object too: OpenAI's search of the web, and xAI's."""
_PLACES: Final = {
    "choices": "n",
    "format": "response_format",
    "effort": "reasoning_effort",
    "effort.level": "reasoning_effort",
}
_MODES: Final = {
    "auto": ToolMode.AUTO,
    "none": ToolMode.NONE,
    "required": ToolMode.REQUIRED,
    "any": ToolMode.REQUIRED,  # Mistral's word
}
_T = TypeVar("_T")


def read_prompt(request: CreateRequest) -> Prompt:
    """What the request asks for. Raises `RequestError` ``invalid_request`` naming the path of what is malformed."""
    unplaced: list[str] = []
    places = dict(_PLACES)
    body = Given(request.body, "", unplaced)
    for field in _OURS:
        body.take(field)
    for field, value in _NEUTRAL.items():
        if request.body.get(field) == value:
            body.take(field)
    effort = body.text("reasoning_effort")
    prompt = Prompt(
        messages=read_messages(body),
        tools=(*_tools(body), *_functions(body)),
        tool_choice=_tool_choice(body, places),
        parallel_tool_calls=body.flag("parallel_tool_calls"),
        output_tokens_max=_either(
            body, body.integer, ("max_completion_tokens", "max_tokens"), "output_tokens_max", places
        ),
        temperature=body.number("temperature"),
        top_p=body.number("top_p"),
        top_k=body.integer("top_k"),  # no word of OpenAI's, but one of nearly all compatible servers
        seed=body.integer("seed"),
        frequency_penalty=body.number("frequency_penalty"),
        presence_penalty=body.number("presence_penalty"),
        stop=_stop(body),
        choices=body.integer("n") or 1,
        format=_format(body),
        effort=Effort(effort) if effort else None,
        verbosity=body.text("verbosity"),
        user=_either(body, body.text, ("safety_identifier", "user"), "user", places) or "",
        metadata=_metadata(body),
        service_tier=body.text("service_tier"),
        places=places,
    )
    for field in _SWITCHES:
        if body.take(field) is not None:
            body.leave(field)
    body.end()
    return msgspec.structs.replace(prompt, unplaced=tuple(unplaced))


def _either(body: Given, take: Callable[[str], _T], fields: tuple[str, str], ours: str, places: dict[str, str]) -> _T:
    """The first of two fields that say the same; the other is unplaced where it says something else."""
    first, second = take(fields[0]), take(fields[1])
    if first in (None, ""):
        places[ours] = fields[1]
        return second
    places[ours] = fields[0]
    if second not in (None, "", first):
        body.leave(fields[1])
    return first


def _tools(body: Given) -> Iterator[Tool]:
    for at, given in body.objects("tools"):
        if (given.text("type") or "function") != "function":
            given.leave()
            continue
        function = given.object("function")
        yield _function(function, at)
        given.end()


def _functions(body: Given) -> Iterator[Tool]:
    """The older ``functions``."""
    for at, given in body.objects("functions"):
        yield _function(given, at)


def _function(given: Given, at: str) -> Tool:
    tool = Tool(
        name=given.required_text("name"),
        description=given.text("description"),
        parameters=given.mapping("parameters"),
        strict=given.flag("strict"),
        at=at,
    )
    given.end()
    return tool


def _tool_choice(body: Given, places: dict[str, str]) -> ToolChoice | None:
    """``tool_choice``, or the older ``function_call`` with its bare ``{"name"}``."""
    if not body.has("tool_choice") and body.has("function_call"):
        places["tool_choice"] = "function_call"
        word = body.take("function_call")
        if type(word) is not dict:
            return _mode("function_call", word)
        given = Given(word, "function_call", body.unplaced)
        choice = ToolChoice(ToolMode.REQUIRED, (given.required_text("name"),))
        given.end()
        return choice
    word = body.take("tool_choice")
    if word is None:
        return None
    return _chosen(Given(word, "tool_choice", body.unplaced)) if type(word) is dict else _mode("tool_choice", word)


def _mode(at: str, word: Any) -> ToolChoice:
    if type(word) is not str or word not in _MODES:
        raise invalid(at, f"one of {', '.join(_MODES)}, or an object")
    return ToolChoice(_MODES[word])


def _chosen(given: Given) -> ToolChoice | None:
    """A named function, or several that are allowed; custom tools are unplaced."""
    kind = given.required_text("type")
    if kind == "function":
        function = given.object("function")
        choice = ToolChoice(ToolMode.REQUIRED, (function.required_text("name"),))
        function.end()
    elif kind == "allowed_tools":
        allowed = given.object("allowed_tools")
        mode = _mode(allowed.path("mode"), allowed.take("mode"))
        names = []
        for _, tool in allowed.objects("tools"):
            if tool.required_text("type") == "function":
                names.append(tool.object("function").required_text("name"))
            else:
                tool.leave()
        choice = ToolChoice(mode.mode, tuple(names))
        allowed.end()
    else:
        given.leave()
        return None
    given.end()
    return choice


def _stop(body: Given) -> tuple[str, ...]:
    stop = body.take("stop")
    if stop is None:
        return ()
    words = [stop] if type(stop) is str else stop
    if type(words) is not list or not all(type(word) is str for word in words):
        raise invalid("stop", "a string or an array of strings")
    return tuple(words)


def _format(body: Given) -> JsonFormat | None:
    if not body.has("response_format"):
        body.take("response_format")
        return None
    given = body.object("response_format")
    match given.required_text("type"):
        case "text":
            found = None
        case "json_object":
            found = JsonFormat()
        case "json_schema":
            inner = given.object("json_schema")
            found = JsonFormat(
                schema=_schema(inner),
                name=inner.required_text("name"),
                description=inner.text("description"),
                strict=inner.flag("strict"),
            )
            inner.end()
        case _:
            given.leave()
            return None
    given.end()
    return found


def _schema(given: Given) -> dict[str, Any]:
    """Without one any JSON would do: another question than the client's."""
    schema = given.mapping("schema")
    if schema is None:
        raise invalid(given.path("schema"), "an object")
    return schema


def _metadata(body: Given) -> dict[str, str] | None:
    metadata = body.mapping("metadata")
    for key, value in (metadata or {}).items():
        if type(value) is not str:
            raise invalid(f"metadata.{key}", "a string")
    return metadata
