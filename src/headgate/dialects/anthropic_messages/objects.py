"""What frames and whole answers share: the objects a client of Anthropic Messages knows."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from headgate.dialects.calls import made_up_call_id
from headgate.dialects.fields import JSON_ERRORS, read_json
from headgate.events import ChoiceDone, Extra, PartKind, PartStarted, Reason, Status, Usage
from headgate.ids import suffix
from headgate.lifecycle import STATUS_OF_REASON

NAME: Final = "anthropic-messages"

REASONS: Final[dict[str, Reason]] = {
    "end_turn": Reason.STOP,
    "stop_sequence": Reason.STOP,
    "pause_turn": Reason.STOP,
    "tool_use": Reason.TOOL_CALLS,
    "max_tokens": Reason.LENGTH,
    "model_context_window_exceeded": Reason.LENGTH,
    "refusal": Reason.REFUSAL,
}
"""What the provider's words mean. Unknown ones are `Reason.STOP`: it ended the answer of its own will."""

_WORD_OF_REASON: Final = {
    Reason.STOP: "end_turn",
    Reason.TOOL_CALLS: "tool_use",
    Reason.LENGTH: "max_tokens",
    Reason.REFUSAL: "refusal",
    Reason.CONTENT_FILTER: "refusal",
}
_WORD_OF_STATUS: Final = {
    Status.COMPLETED: "end_turn",
    Status.TRUNCATED: "max_tokens",
    Status.REFUSED: "refusal",
    Status.FILTERED: "refusal",
    Status.BLOCKED: "refusal",
}
_STOP_FIELDS: Final = frozenset({"stop_reason", "stop_sequence", "stop_details"})


class Shape(NamedTuple):
    """How text of a part travels: the type of its deltas, and the field of them that holds it."""

    delta: str
    field: str


SHAPES: Final = {
    PartKind.TEXT: Shape("text_delta", "text"),
    PartKind.REFUSAL: Shape("text_delta", "text"),
    PartKind.REASONING: Shape("thinking_delta", "thinking"),
    PartKind.TOOL_CALL: Shape("input_json_delta", "partial_json"),
    PartKind.OTHER: Shape("input_json_delta", "partial_json"),
}


def delta_of(extra: Extra | None) -> dict[str, Any]:
    """What stood inside the provider's delta, block or ``message_delta.delta``."""
    return (extra.delta if extra is not None else None) or {}


def is_shown(started: PartStarted, *, same_dialect: bool) -> bool:
    """Whether a part is a block here: not what only another dialect has a word for, nor the text of `stop_details`."""
    return started.kind is not (PartKind.REFUSAL if same_dialect else PartKind.OTHER)


def empty_block(response_id: str, started: PartStarted, *, same_dialect: bool) -> dict[str, Any]:
    """The content block of a part before any of its text."""
    extra = delta_of(started.extra) if same_dialect else {}
    match started.kind:
        case PartKind.TEXT | PartKind.REFUSAL:
            return {"type": "text", "text": ""} | extra
        case PartKind.REASONING:
            return {"type": "thinking", "thinking": "", "signature": ""} | extra
        case PartKind.TOOL_CALL:
            tool_id = started.tool_id or made_up_call_id(response_id, started.choice, started.part)
            return {"type": "tool_use", "id": tool_id, "name": started.tool_name, "input": {}} | extra
        case PartKind.OTHER:
            return dict(extra)


def message_object(response_id: str, model: str) -> dict[str, Any]:
    """The message as ``message_start`` has it, without its usage."""
    return {
        "id": f"msg_{suffix(response_id)}",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": model,
        "stop_reason": None,
        "stop_sequence": None,
    }


def stop_fields(done: ChoiceDone | None, status: Status, *, same_dialect: bool) -> dict[str, Any]:
    """``stop_reason``, ``stop_sequence`` and what else stood beside them, for a successful `status` (PROTOCOL.md section 3).

    The provider's own words hold unless something of ours ended the answer: a policy, a budget.
    """
    if done is None:
        return {"stop_reason": _WORD_OF_STATUS[status], "stop_sequence": None}
    if same_dialect and done.provider_reason and STATUS_OF_REASON[done.reason] is status:
        return {"stop_reason": done.provider_reason, "stop_sequence": None} | delta_of(done.extra)
    word = _WORD_OF_STATUS[status] if status is Status.BLOCKED else _WORD_OF_REASON[done.reason]
    return {"stop_reason": word, "stop_sequence": None} | (beside_stop(done.extra) if same_dialect else {})


def beside_stop(extra: Extra | None) -> dict[str, Any]:
    """Fields of ``message_delta.delta`` that do not say why the answer stopped, such as ``container``."""
    return {field: value for field, value in delta_of(extra).items() if field not in _STOP_FIELDS}


def usage_object(usage: Usage | None, *, input_tokens_estimate: int, same_dialect: bool) -> dict[str, Any]:
    """The provider's own usage in the same dialect, else the counts of the log: cached tokens stand beside the others."""
    if usage is None:
        return {"input_tokens": input_tokens_estimate, "output_tokens": 0}
    if same_dialect and usage.provider is not None:
        return usage.provider
    shown: dict[str, Any] = {
        "input_tokens": max(usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens, 0),
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
    }
    if usage.cache_write_tokens:
        shown["cache_creation_input_tokens"] = usage.cache_write_tokens
    if usage.reasoning_tokens:
        shown["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return shown | ({"estimated": True} if usage.estimated else {})


def read_models(body: bytes) -> list[str]:
    """Names in a list of models."""
    try:
        return [item["id"] for item in read_json(body)["data"] if type(item["id"]) is str]
    except (*JSON_ERRORS, TypeError, KeyError):
        return []
