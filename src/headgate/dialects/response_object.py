"""The object of a response: an Open Responses object with a ``headgate`` member (PROTOCOL.md section 8)."""

from __future__ import annotations

from typing import Any, Final

from headgate.assemble import ChoiceFold, Fold, PartFold
from headgate.dialects.calls import made_up_call_id
from headgate.events import PartKind, ResponseStarted, Status, Terminal, Usage
from headgate.ids import suffix

_STATUS: Final = {
    Status.COMPLETED: "completed",
    Status.REFUSED: "completed",
    Status.TRUNCATED: "incomplete",
    Status.FILTERED: "incomplete",
    Status.BLOCKED: "incomplete",
    Status.FAILED: "failed",
    Status.EXPIRED: "failed",
    Status.CANCELLED: "cancelled",
}
_INCOMPLETE: Final = {
    Status.TRUNCATED: "max_output_tokens",
    Status.FILTERED: "content_filter",
    Status.BLOCKED: "content_filter",
}


def response_object(fold: Fold, *, first_output_ms: float | None, duration_ms: float | None) -> dict[str, Any]:
    """The response as far as `fold` knows it. Times are read off the log by the caller, in milliseconds."""
    started, terminal = fold.started, fold.terminal
    assert started is not None
    status = terminal.status if terminal else None
    return {
        "id": started.id,
        "object": "response",
        "created_at": started.created_at,
        "status": _STATUS[status] if status else "in_progress",
        "model": fold.model or started.model,
        "output": [
            _item(started.id, c, p, part, ended=terminal is not None)
            for c, choice in sorted(fold.choices.items())
            for p, part in enumerate(choice.parts)
        ],
        "usage": _usage(fold.usage) if fold.usage else None,
        "error": _error(terminal) if terminal and not terminal.status.successful else None,
        "incomplete_details": {"reason": _INCOMPLETE[status]} if status in _INCOMPLETE else None,
        "headgate": _headgate(fold, started) | {"first_output_ms": first_output_ms, "duration_ms": duration_ms},
    }


def _headgate(fold: Fold, started: ResponseStarted) -> dict[str, Any]:
    terminal = fold.terminal
    return {
        "terminal": _terminal(terminal) if terminal else None,
        "seq": fold.seq,
        "dialect": started.dialect,
        "requested_model": started.model,
        "route": started.route,
        "policy": started.policy,
        "policy_version": started.policy_version,
        "config_version": started.config_version,
        "attempts": [
            {
                "attempt": a.attempt,
                "provider": a.provider,
                "model": a.model,
                "code": fold.ended[a.attempt].code if a.attempt in fold.ended else None,
            }
            for a in fold.attempts
        ],
        "watermarks": _watermarks(fold),
        "choices": [_choice(started.id, index, choice) for index, choice in sorted(fold.choices.items())],
        "usage_estimated": bool(fold.usage and fold.usage.estimated),
        "sha256": terminal.sha256 if terminal else None,
    }


def _item_id(response_id: str, choice: int, part: int) -> str:
    return f"item_{suffix(response_id)}_{choice}_{part}"


def _item(response_id: str, choice: int, index: int, part: PartFold, *, ended: bool) -> dict[str, Any]:
    item: dict[str, Any] = {"id": _item_id(response_id, choice, index)}
    status = "completed" if part.done else "incomplete" if ended else "in_progress"
    match part.kind:
        case PartKind.TOOL_CALL:
            call_id = part.started.tool_id or made_up_call_id(response_id, choice, index)
            fields = {"call_id": call_id, "name": part.started.tool_name, "arguments": part.text}
            return item | {"type": "function_call", "status": status} | fields
        case PartKind.REASONING:
            return item | {
                "type": "reasoning",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": part.text}],
            }
        case PartKind.REFUSAL:
            content: dict[str, Any] = {"type": "refusal", "refusal": part.text}
        case PartKind.TEXT:
            content = {"type": "output_text", "text": part.text, "annotations": [], "logprobs": []}
    return item | {"type": "message", "status": status, "role": "assistant", "content": [content]}


def _choice(response_id: str, index: int, choice: ChoiceFold) -> dict[str, Any]:
    items = [_item_id(response_id, index, part) for part in range(len(choice.parts))]
    return {"choice": index, "finish_reason": choice.done.reason if choice.done else None, "items": items}


def _watermarks(fold: Fold) -> list[dict[str, int]]:
    """Without governance the three marks of a finished part are one; `verified` trails in a log that may retract."""
    assert fold.started is not None
    settled = fold.terminal is not None or not fold.started.may_retract
    marks = []
    for index, choice in sorted(fold.choices.items()):
        for number, part in enumerate(choice.parts):
            length = len(part.text)
            verified = length if settled else part.length_upto(fold.verified_seq)
            marks.append(
                {"choice": index, "part": number, "generated": length, "released": length, "verified": verified}
            )
    return marks


def _usage(usage: Usage) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    return shown | ({"estimated": True} if usage.estimated else {})


def _error(terminal: Terminal) -> dict[str, Any]:
    return {"code": terminal.code, "message": terminal.message}


def _terminal(terminal: Terminal) -> dict[str, Any]:
    shown: dict[str, Any] = {"status": terminal.status}
    if not terminal.status.successful:
        shown |= {"code": terminal.code, "blame": terminal.blame, "retryable": terminal.retryable}
    return shown
