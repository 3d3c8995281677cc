"""The response object of Responses, in every state it can be in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from headgate.simulator.faults import FaultName
from headgate.simulator.plan import Finish, Plan
from headgate.simulator.quirks import Quirk
from headgate.simulator.registry import Name
from headgate.simulator.responses.items import JSON, SEALED, complete, items
from headgate.simulator.writer import BROKEN, OVERLOADED

_DEFAULTS: Final[JSON] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""Members that repeat the request."""
_REASONS: Final = {Finish.LENGTH: "max_output_tokens", Finish.CONTENT_FILTER: "content_filter"}
_ERRORS: Final[dict[Name, JSON]] = {
    Quirk.FAILED: {"code": "server_error", "message": BROKEN},
    Quirk.OVERLOADED: {"code": "server_is_overloaded", "message": OVERLOADED},
}


def started(plan: Plan) -> JSON:
    """The response before it has said anything."""
    return _response(plan, "in_progress", ())


def failed(plan: Plan, name: Name) -> JSON:
    """The response after it broke off."""
    return {**_response(plan, "failed", ()), "error": _ERRORS[name]}


def ended(plan: Plan) -> JSON:
    """The response at its end."""
    output = [complete(plan, item) for item in items(plan)]
    reason = _REASONS.get(plan.choices[0].finish)
    if plan.has(FaultName.NO_FINISH):
        response = _response(plan, "in_progress", output)
    elif reason is not None:
        response = {**_response(plan, "incomplete", output), "incomplete_details": {"reason": reason}}
    else:
        response = {**_response(plan, "completed", output), "completed_at": plan.created + 1}
    if not plan.has(FaultName.NO_USAGE):
        response["usage"] = _usage(plan)
    return response


def compacted(plan: Plan) -> JSON:
    """A conversation made shorter: what the user said, and an item that nobody can read in place of the rest."""
    said = [turn.text for turn in plan.ask.turns if turn.role == "user" and turn.text]
    messages = [
        {
            "id": f"msg_{plan.id}{index:04x}",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_text", "text": text}],
        }
        for index, text in enumerate(said)
    ]
    item = {"id": f"cmp_{plan.id}", "type": "compaction", "encrypted_content": SEALED + plan.id}
    return {
        "id": f"resp_{plan.id}",
        "object": "response.compaction",
        "created_at": plan.created,
        "output": [*messages, item],
        "usage": _usage(plan),
    }


def revised(response: JSON) -> JSON:
    """A response whose texts are not what was said."""
    for item in response["output"]:
        for part in item.get("content", ()):
            if "text" in part:
                part["text"] = f"Revised: {part['text']}"
    return response


def _response(plan: Plan, status: str, output: Sequence[JSON]) -> JSON:
    return {
        "id": f"resp_{plan.id}",
        "object": "response",
        "created_at": plan.created,
        "status": status,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": plan.model,
        "output": list(output),
        "usage": None,
        **{name: _echo(plan, name, default) for name, default in _DEFAULTS.items()},
    }


def _echo(plan: Plan, name: str, default: Any) -> Any:
    """A member of the request, over its default."""
    given = plan.ask.body.get(name)
    if isinstance(default, dict) and isinstance(given, dict):
        return {**default, **given}
    return default if given is None else given


def _usage(plan: Plan) -> JSON:
    """Token counts: every token sent is one, and so is the head of a function call."""
    return {
        "input_tokens": plan.prompt_tokens,
        "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": plan.cached_tokens},
        "output_tokens": plan.tokens,
        "output_tokens_details": {"reasoning_tokens": plan.reasoning_tokens},
        "total_tokens": plan.prompt_tokens + plan.tokens,
    }
