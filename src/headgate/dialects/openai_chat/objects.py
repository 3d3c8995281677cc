"""What frames and whole answers share: the objects a client of Chat Completions knows."""

from __future__ import annotations

from typing import Any, Final

from headgate.dialects.failures import PASSED_ON
from headgate.dialects.fields import JSON_ERRORS, read_json
from headgate.dialects.openai_chat.failures import error_object
from headgate.errors import CODES
from headgate.events import ChoiceDone, PartStarted, Reason, Status, Terminal, Usage

NAME: Final = "openai-chat"

_WORD_OF_REASON: Final = {
    Reason.STOP: "stop",
    Reason.TOOL_CALLS: "tool_calls",
    Reason.LENGTH: "length",
    Reason.REFUSAL: "stop",
    Reason.CONTENT_FILTER: "content_filter",
}
_WORD_OF_STATUS: Final = {
    Status.COMPLETED: "stop",
    Status.TRUNCATED: "length",
    Status.REFUSED: "stop",
    Status.FILTERED: "content_filter",
    Status.BLOCKED: "content_filter",
}


def finish_word(done: ChoiceDone | None, status: Status, *, same_dialect: bool) -> str:
    """``finish_reason`` of a choice in a log that ended with a successful `status` (PROTOCOL.md section 3)."""
    if done is None or status is Status.BLOCKED:
        return _WORD_OF_STATUS[status]
    if status is Status.COMPLETED and same_dialect and done.provider_reason:
        return done.provider_reason
    return _WORD_OF_REASON[done.reason]


def tool_call(tool_id: str, name: str, arguments: str, extra: dict[str, Any]) -> dict[str, Any]:
    """A tool call. One that came as a custom tool's is shown as that: `extra` says its ``type``."""
    if extra.get("type") == "custom":
        return {"id": tool_id, "type": "custom"} | called({"custom": {"name": name, "input": arguments}}, extra)
    return {"id": tool_id, "type": "function"} | called({"function": {"name": name, "arguments": arguments}}, extra)


def called(function: dict[str, dict[str, Any]], extra: dict[str, Any]) -> dict[str, Any]:
    """The one field that says what was called, and `extra` beside it and, under the same name, inside it."""
    ((name, fields),) = function.items()
    inside = extra.get(name)
    beside = {key: value for key, value in extra.items() if key != name}
    return {name: fields | inside if isinstance(inside, dict) else fields} | beside


def reasoning_name(started: PartStarted) -> str:
    """The field that the provider has reasoning in: the mark in its ``part.started``, or the usual one."""
    marks = (started.extra.delta if started.extra else None) or {}
    return next((name for name, value in marks.items() if value == ""), "reasoning_content")


def usage_object(usage: Usage, *, same_dialect: bool) -> dict[str, Any]:
    if same_dialect and usage.provider is not None:
        return usage.provider
    shown: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    if usage.cached_tokens:
        shown["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}
    if usage.reasoning_tokens:
        shown["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    if usage.estimated:
        shown["estimated"] = True
    return shown


def terminal_error(terminal: Terminal, *, same_dialect: bool) -> bytes:
    """The error object of a log that failed, was cancelled or expired."""
    code = CODES.get(terminal.code, CODES["internal"])
    detail = terminal.detail if same_dialect and terminal.code in PASSED_ON else None
    return error_object(terminal.message, status=terminal.http_status or code.status, code=terminal.code, detail=detail)


def read_models(body: bytes) -> list[str]:
    """Names in a list of models."""
    try:
        return [item["id"] for item in read_json(body)["data"] if type(item["id"]) is str]
    except (*JSON_ERRORS, TypeError, KeyError):
        return []
