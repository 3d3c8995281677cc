"""Anthropic Messages, client side: a checked request -> a `Prompt`; its messages are read in `message_read`.

Everything in the body finds its place in the `Prompt`, or is named in ``unplaced`` by its path. ``model`` and
``stream`` are the gateway's own business.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from headgate.dialects.anthropic_messages.message_read import read_messages, read_system
from headgate.dialects.given import Given, invalid
from headgate.prompt import Effort, JsonFormat, Prompt, Tool, ToolChoice, ToolMode
from headgate.request import CreateRequest

_OURS: Final = ("model", "stream")
_PLACES: Final = {
    "output_tokens_max": "max_tokens",
    "stop": "stop_sequences",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "format": "output_config.format",
    "effort": "thinking",
    "effort.level": "output_config.effort",
    "effort.budget_tokens": "thinking.budget_tokens",
    "effort.shown": "thinking.display",
    "user": "metadata.user_id",
}
_MODES: Final = {"auto": ToolMode.AUTO, "none": ToolMode.NONE, "any": ToolMode.REQUIRED, "tool": ToolMode.REQUIRED}
_SHOWN: Final = {"summarized": True, "omitted": False}
_BUDGETS: Final = {"adaptive": -1, "disabled": 0}
"""Ways of thinking that are budgets in our words: as much as the model likes, and nothing."""


def read_prompt(request: CreateRequest) -> Prompt:
    """What the request asks for. Raises `RequestError` ``invalid_request`` naming the path of what is malformed."""
    unplaced: list[str] = []
    body = Given(request.body, "", unplaced)
    for field in _OURS:
        body.take(field)
    places = dict(_PLACES)
    level, format = _output_config(body, places)
    effort = _effort(body, level)
    tool_choice, parallel = _tool_choice(body)
    prompt = Prompt(
        messages=(*read_system(body), *read_messages(body)),
        tools=tuple(_tools(body)),
        tool_choice=tool_choice,
        parallel_tool_calls=parallel,
        output_tokens_max=_limit(body),
        temperature=body.number("temperature"),
        top_p=body.number("top_p"),
        top_k=body.integer("top_k"),
        stop=_stop(body),
        format=format,
        effort=effort,
        user=_user(body),
        service_tier=body.text("service_tier"),
        places=places,
    )
    body.end()
    return msgspec.structs.replace(prompt, unplaced=tuple(unplaced))


def _limit(body: Given) -> int | None:
    """``max_tokens``; 0, which asks for no answer but a warm cache, is unplaced."""
    limit = body.integer("max_tokens")
    if limit == 0:
        body.leave("max_tokens")
    return limit or None


def _tools(body: Given) -> Iterator[Tool]:
    """The client's own tools; those that the provider runs itself are unplaced."""
    for at, given in body.objects("tools"):
        if (given.text("type") or "custom") != "custom":
            given.leave()
            continue
        yield Tool(
            name=given.required_text("name"),
            description=given.text("description"),
            parameters=given.mapping("input_schema"),
            strict=given.flag("strict"),
            at=at,
        )
        given.end()


def _tool_choice(body: Given) -> tuple[ToolChoice | None, bool | None]:
    """The choice, and whether several calls at once are welcome."""
    if not body.has("tool_choice"):
        body.take("tool_choice")
        return None, None
    given = body.object("tool_choice")
    kind = given.required_text("type")
    if kind not in _MODES:
        raise invalid(given.path("type"), f"one of {', '.join(_MODES)}")
    names = (given.required_text("name"),) if kind == "tool" else ()
    alone = given.flag("disable_parallel_tool_use")
    given.end()
    return ToolChoice(_MODES[kind], names), None if alone is None else not alone


def _output_config(body: Given, places: dict[str, str]) -> tuple[str, JsonFormat | None]:
    """The level of effort, and the format of the answer, which an older beta had at the top of the body."""
    level, format = "", None
    if body.has("output_format"):
        format, places["format"] = _format(body.object("output_format")), "output_format"
    if body.has("output_config"):
        given = body.object("output_config")
        level = given.text("effort")
        if given.has("format"):
            format, places["format"] = _format(given.object("format")), _PLACES["format"]
        given.end()
    return level, format


def _format(given: Given) -> JsonFormat | None:
    if given.required_text("type") != "json_schema":
        given.leave()
        return None
    format = JsonFormat(schema=given.mapping("schema") or {})
    given.end()
    return format


def _effort(body: Given, level: str) -> Effort | None:
    """How much to think: the level stands in ``output_config``, all else in ``thinking``."""
    budget: int | None = None
    shown: bool | None = None
    if body.has("thinking"):
        given = body.object("thinking")
        kind = given.required_text("type")
        if kind == "enabled":
            budget = given.integer("budget_tokens")
        elif kind in _BUDGETS:
            budget = _BUDGETS[kind]
        else:
            given.leave()
            return Effort(level) if level else None
        display = given.text("display")
        shown = _SHOWN.get(display)
        if display and shown is None:
            given.leave(given.path("display"))
        given.end()
    effort = Effort(level, budget, shown)
    return effort if effort != Effort() else None


def _stop(body: Given) -> tuple[str, ...]:
    words = body.take("stop_sequences")
    if words is None:
        return ()
    if type(words) is not list or not all(type(word) is str for word in words):
        raise invalid("stop_sequences", "an array of strings")
    return tuple(words)


def _user(body: Given) -> str:
    if not body.has("metadata"):
        return ""
    given = body.object("metadata")
    user = given.text("user_id")
    given.end()
    return user
