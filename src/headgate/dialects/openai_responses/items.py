"""Input items: what a request begins with, what it leaves for the next one, and how they are listed.

Items travel as they came. What they are called is settled late: an item without an id gets one when it is listed, and
ids of ours are taken away when an item goes to a provider, which would look for them in vain.
"""

from __future__ import annotations

import re
from typing import Any, Final

from headgate.assemble import Fold
from headgate.dialects.openai_responses.objects import outputs
from headgate.dialects.openai_responses.output import PREFIXES
from headgate.errors import RequestError
from headgate.ids import suffix

LIMIT: Final = 20
LIMIT_MAX: Final = 100
"""Of a page of input items; both are the API's own."""
_OURS: Final = re.compile(r"[a-z]+_[0-9a-f]{32}_(?:in|\d+)_\d+")
"""Ids that `Output` or `input_items` made up."""
_PREFIXES: Final = {**PREFIXES, "function_call_output": "fc", "custom_tool_call_output": "ctco"}


def input_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The input items of a request; a string is a message of the user's."""
    given = body.get("input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]
    return list(given or [])


def output_as_input(fold: Fold) -> list[dict[str, Any]]:
    """The output of a response as input of the next one."""
    found = outputs(fold).get(0)
    return [item.shown(ended=True) for item in found.in_order()] if found is not None else []


def as_sent_upstream(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Items for a provider of this dialect, without ids of ours.

    Reasoning with an id of ours came from a provider of another dialect; nobody else can use it, so it is left out.
    """
    sent = []
    for item in items:
        if _is_ours(item.get("id")):
            if item.get("type") == "reasoning":
                continue
            item = {name: value for name, value in item.items() if name != "id"}
        sent.append(item)
    return sent


def _is_ours(id: Any) -> bool:
    return type(id) is str and _OURS.fullmatch(id) is not None


def input_items(response_id: str, items: list[Any], query: dict[str, str]) -> dict[str, Any]:
    """The list object of ``GET /v1/responses/{id}/input_items`` for the query's ``after``, ``limit`` and ``order``.

    Raises `RequestError` ``invalid_request``.
    """
    order, after, limit = query.get("order") or "desc", query.get("after"), query.get("limit") or str(LIMIT)
    if order not in ("asc", "desc"):
        raise RequestError("invalid_request", "'order' must be asc or desc.", param="order")
    if not limit.isdecimal() or not limit.isascii() or len(limit) > 3 or not 1 <= int(limit) <= LIMIT_MAX:
        raise RequestError("invalid_request", f"'limit' must be 1 to {LIMIT_MAX}.", param="limit")
    shown = [_listed(response_id, number, item) for number, item in enumerate(items)]
    if order == "desc":
        shown.reverse()
    start = 0
    if after:
        start = next((at for at, item in enumerate(shown, 1) if item["id"] == after), -1)
        if start < 0:
            raise RequestError("invalid_request", f"There is no input item {after[:100]!r}.", param="after")
    page = shown[start : start + int(limit)]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": start + len(page) < len(shown),
    }


def _listed(response_id: str, number: int, item: dict[str, Any]) -> dict[str, Any]:
    """An item in its full form: with an id and a type, and a message's content as parts."""
    kind = item.get("type") or ("message" if "role" in item else "item_reference")
    id = item.get("id") or f"{_PREFIXES.get(kind, 'item')}_{suffix(response_id)}_in_{number}"
    shown = {"id": id, "type": kind} | {name: value for name, value in item.items() if name not in ("id", "type")}
    if kind == "message":
        content = item.get("content")
        if isinstance(content, str):
            word = "output_text" if item.get("role") == "assistant" else "input_text"
            own: dict[str, Any] = {"annotations": []} if word == "output_text" else {}
            shown["content"] = [{"type": word, "text": content} | own]
        shown.setdefault("status", "completed")
    elif kind in ("function_call", "function_call_output"):
        shown.setdefault("status", "completed")
    return shown
