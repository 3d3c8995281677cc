"""What frames and whole answers share: the objects a client of Gemini knows.

Names of fields are in the order in which they go out; the shapes are those of the official ``google-genai`` SDK.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from headgate.dialects.compact import compact_json
from headgate.dialects.fields import JSON_ERRORS, MalformedError, read_json, storable
from headgate.events import ChoiceDone, Extra, PartKind, PartStarted, Reason, Status, Usage

NAME: Final = "gemini"
INVALID_JSON: Final = "INVALID_JSON"
"""The one argument of a call whose arguments are no JSON object. No function takes it, so nothing runs unnoticed."""

_PIECES: Final = frozenset({"args", "partialArgs", "willContinue"})
"""Fields of a call that came in pieces; the whole has its ``args``."""
_WORD_OF_REASON: Final = {
    Reason.STOP: "STOP",
    Reason.TOOL_CALLS: "STOP",
    Reason.LENGTH: "MAX_TOKENS",
    Reason.REFUSAL: "SAFETY",
    Reason.CONTENT_FILTER: "SAFETY",
}
_WORD_OF_STATUS: Final = {
    Status.COMPLETED: "STOP",
    Status.TRUNCATED: "MAX_TOKENS",
    Status.REFUSED: "SAFETY",
    Status.FILTERED: "SAFETY",
    Status.BLOCKED: "PROHIBITED_CONTENT",
}


def finish_word(done: ChoiceDone | None, status: Status, *, same_dialect: bool) -> str:
    """``finishReason`` of a choice in a log that ended with a successful `status` (PROTOCOL.md section 3)."""
    if done is None or status is Status.BLOCKED:
        return _WORD_OF_STATUS[status]
    if same_dialect and done.provider_reason:
        return done.provider_reason
    return _WORD_OF_REASON[done.reason]


def blocked_prompt(done: ChoiceDone | None) -> bool:
    """Whether the provider of this dialect took the prompt for forbidden: it answered with ``promptFeedback`` alone."""
    if done is None or done.extra is None or done.reason is not Reason.CONTENT_FILTER:
        return False
    feedback = (done.extra.response or {}).get("promptFeedback")
    return isinstance(feedback, dict) and feedback.get("blockReason") == done.provider_reason


def text_part(kind: PartKind, text: str, extra: dict[str, Any] | None = None) -> dict[str, Any]:
    """Prose as a part. A refusal is text; `extra` stood beside it in the provider's own part."""
    part: dict[str, Any] = {"text": text}
    if kind is PartKind.REASONING:
        part["thought"] = True
    return part | extra if extra else part


def call_part(started: PartStarted, tool_id: str, arguments: str, extra: dict[str, Any]) -> dict[str, Any]:
    """A tool call as a part. `extra` mirrors the provider's part: what it has under ``functionCall`` stood inside."""
    call: dict[str, Any] = {"id": tool_id} if tool_id else {}
    call |= {"name": started.tool_name, "args": arguments_object(arguments)}
    inside = extra.get("functionCall")
    if isinstance(inside, dict):
        call |= {key: value for key, value in inside.items() if key not in _PIECES}
    return {"functionCall": call} | {key: value for key, value in extra.items() if key != "functionCall"}


def arguments_object(arguments: str) -> dict[str, Any]:
    """Arguments as the object that a ``functionCall`` wants; none at all are the empty one."""
    if not arguments.strip():
        return {}
    try:
        value = read_json(arguments)
        return storable(value) if type(value) is dict else {INVALID_JSON: arguments}
    except (*JSON_ERRORS, MalformedError):
        return {INVALID_JSON: arguments}


def candidate(
    index: int, parts: list[dict[str, Any]], extra: dict[str, Any] | None, finish_reason: str | None = None
) -> dict[str, Any]:
    """One candidate of a chunk or of a whole answer; `extra` stood beside its content, or as ``content`` inside it."""
    content: dict[str, Any] = {"parts": parts, "role": "model"}
    shown: dict[str, Any] = {"content": content}
    if finish_reason is not None:
        shown["finishReason"] = finish_reason
    shown["index"] = index
    if extra:
        shown |= {key: value for key, value in extra.items() if key != "content"}
        inside = extra.get("content")
        if isinstance(inside, dict):
            content |= inside
    return shown


def usage_object(usage: Usage, *, same_dialect: bool) -> dict[str, Any]:
    """``usageMetadata``: the provider's own in the same dialect. Reasoning is counted beside the candidates."""
    if same_dialect and usage.provider is not None:
        return usage.provider
    shown: dict[str, Any] = {"promptTokenCount": usage.input_tokens}
    if usage.cached_tokens:
        shown["cachedContentTokenCount"] = usage.cached_tokens
    shown["candidatesTokenCount"] = max(usage.output_tokens - usage.reasoning_tokens, 0)
    if usage.reasoning_tokens:
        shown["thoughtsTokenCount"] = usage.reasoning_tokens
    shown["totalTokenCount"] = usage.input_tokens + usage.output_tokens
    if usage.estimated:
        shown["estimated"] = True
    return shown


def answer_json(
    candidates: list[dict[str, Any]] | None,
    described: dict[str, Any],
    *,
    usage: dict[str, Any] | None = None,
    extra: dict[str, Any] | None = None,
) -> bytes:
    """A chunk or a whole answer. `described` is what every one of them repeats."""
    shown: dict[str, Any] = {} if candidates is None else {"candidates": candidates}
    if usage is not None:
        shown["usageMetadata"] = usage
    shown |= described
    if extra:
        shown |= extra
    return compact_json(shown)


def merged(extras: Iterable[Extra], place: str) -> dict[str, Any]:
    """Extra fields of one `place`, folded as the official SDKs do it: later values replace earlier ones, by field.

    The exception is what goes with the tokens one by one: the lists of ``logprobsResult`` grow.
    """
    found: dict[str, Any] = {}
    for extra in extras:
        for key, value in (getattr(extra, place) or {}).items():
            known = found.get(key)
            if isinstance(known, dict) and isinstance(value, dict):
                found[key] = known | (_grown(known, value) if key == "logprobsResult" else value)
            else:
                found[key] = value
    return found


def _grown(known: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    both_lists = {key for key, item in value.items() if isinstance(item, list) and isinstance(known.get(key), list)}
    return {key: known[key] + item if key in both_lists else item for key, item in value.items()}
