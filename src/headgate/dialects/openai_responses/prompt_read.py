"""The Responses dialect, client side: a checked request -> a `Prompt`; its items are read in `item_read`.

Everything in the body finds its place in the `Prompt`, or is named in ``unplaced`` by its path. ``store``,
``background`` and the stream's options are the gateway's own business. A few fields have a value that asks for
nothing (``truncation`` disabled); with it they are not named.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from headgate.dialects.given import Given, invalid
from headgate.dialects.openai_responses.item_read import read_items
from headgate.prompt import Effort, JsonFormat, Message, Prompt, Role, Text, Tool, ToolChoice, ToolMode
from headgate.request import CreateRequest

_OURS: Final = ("model", "stream", "stream_options", "store", "background", "background_options")
_NEUTRAL: Final[dict[str, Any]] = {
    "truncation": "disabled",
    "top_logprobs": 0,
    "frequency_penalty": 0,
    "presence_penalty": 0,
}
"""Values that ask for what everybody gives."""
_PLACES: Final = {
    "output_tokens_max": "max_output_tokens",
    "format": "text.format",
    "verbosity": "text.verbosity",
    "effort": "reasoning",
    "effort.level": "reasoning.effort",
    "effort.shown": "reasoning.summary",
}
_MODES: Final = {mode.value: mode for mode in ToolMode}


def read_prompt(request: CreateRequest) -> Prompt:
    """What the request asks for. Raises `RequestError` ``invalid_request`` naming the path of what is malformed."""
    unplaced: list[str] = []
    body = Given(request.body, "", unplaced)
    for field in _OURS:
        body.take(field)
    for field, value in _NEUTRAL.items():
        if request.body.get(field) == value:
            body.take(field)
    user, user_at = body.text("safety_identifier"), "safety_identifier"
    other = body.text("user")
    if not user:
        user, user_at = other, "user"
    elif other not in ("", user):
        body.leave("user")
    format, verbosity = _text(body)
    places = {**_PLACES, "user": user_at}
    prompt = Prompt(
        messages=(*_instructions(body), *read_items(body)),
        tools=tuple(_tools(body)),
        tool_choice=_tool_choice(body),
        parallel_tool_calls=body.flag("parallel_tool_calls"),
        output_tokens_max=body.integer("max_output_tokens"),
        temperature=body.number("temperature"),
        top_p=body.number("top_p"),
        frequency_penalty=body.number("frequency_penalty"),
        presence_penalty=body.number("presence_penalty"),
        format=format,
        effort=_effort(body, places),
        verbosity=verbosity,
        user=user,
        metadata=_metadata(body),
        service_tier=body.text("service_tier"),
        places=places,
    )
    body.end()
    return msgspec.structs.replace(prompt, unplaced=tuple(unplaced))


def _instructions(body: Given) -> Iterator[Message]:
    """``instructions`` come before all items, with the word of the system."""
    if text := body.text("instructions"):
        yield Message(Role.SYSTEM, (Text(text, "instructions"),), at="instructions")


def _tools(body: Given) -> Iterator[Tool]:
    for at, given in body.objects("tools"):
        if given.required_text("type") != "function":
            given.leave(f"{at}.type")
            continue
        tool = Tool(
            name=given.required_text("name"),
            description=given.text("description"),
            parameters=given.mapping("parameters"),
            strict=given.flag("strict"),
            at=at,
        )
        given.end()
        yield tool


def _tool_choice(body: Given) -> ToolChoice | None:
    word = body.take("tool_choice")
    if word is None:
        return None
    if type(word) is not dict:
        return ToolChoice(_mode("tool_choice", word))
    given = Given(word, "tool_choice", body.unplaced)
    kind = given.required_text("type")
    if kind == "function":
        choice = ToolChoice(ToolMode.REQUIRED, (given.required_text("name"),))
    elif kind == "allowed_tools":
        mode = _mode("tool_choice.mode", given.take("mode") or "auto")
        choice = ToolChoice(mode, tuple(_allowed(given)))
    else:
        given.leave("tool_choice.type")
        return None
    given.end()
    return choice


def _allowed(given: Given) -> Iterator[str]:
    for at, tool in given.objects("tools"):
        if tool.required_text("type") != "function":
            tool.leave(f"{at}.type")
            continue
        yield tool.required_text("name")
        tool.end()


def _mode(at: str, word: Any) -> ToolMode:
    if type(word) is not str or word not in _MODES:
        raise invalid(at, f"one of {', '.join(_MODES)}, or an object")
    return _MODES[word]


def _text(body: Given) -> tuple[JsonFormat | None, str]:
    """``text``: the format of the answer, and how long it is to be."""
    if not body.has("text"):
        body.take("text")
        return None, ""
    given = body.object("text")
    verbosity = given.text("verbosity")
    format = _format(given.object("format")) if given.has("format") else None
    given.take("format")
    given.end()
    return format, verbosity


def _format(given: Given) -> JsonFormat | None:
    found: JsonFormat | None = None
    kind = given.required_text("type")
    if kind == "json_schema":
        found = JsonFormat(
            schema=_schema(given),
            name=given.required_text("name"),
            description=given.text("description"),
            strict=given.flag("strict"),
        )
    elif kind == "json_object":
        found = JsonFormat()
    elif kind != "text":
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


def _effort(body: Given, places: dict[str, str]) -> Effort | None:
    """``reasoning``. Any kind of summary shows the reasoning."""
    if not body.has("reasoning"):
        body.take("reasoning")
        return None
    given = body.object("reasoning")
    level, summary = given.text("effort"), given.text("summary")
    older = given.text("generate_summary")
    if older and not summary:
        places["effort.shown"] = given.path("generate_summary")
    given.end()
    shown = True if summary or older else None
    return Effort(level, shown=shown) if level or shown else None


def _metadata(body: Given) -> dict[str, str] | None:
    metadata = body.mapping("metadata")
    for key, value in (metadata or {}).items():
        if type(value) is not str:
            raise invalid(f"metadata.{key}", "a string")
    return metadata
