"""OpenAI Chat Completions, client side: the fold of a log -> a whole ``chat.completion``."""

from __future__ import annotations

from typing import Any, Final

from headgate.assemble import ChoiceFold, Fold
from headgate.dialects.calls import NO_ARGUMENTS, is_silent, made_up_call_id, may_end_without
from headgate.dialects.compact import compact_json
from headgate.dialects.openai_chat.objects import (
    NAME,
    finish_word,
    reasoning_name,
    tool_call,
    usage_object,
)
from headgate.events import PartKind, ResponseStarted
from headgate.ids import suffix

_TEXT: Final = PartKind.TEXT
_REFUSAL: Final = PartKind.REFUSAL
_REASONING: Final = PartKind.REASONING
_TOOL_CALL: Final = PartKind.TOOL_CALL


def pending(started: ResponseStarted) -> bytes:
    """An answer without choices."""
    return compact_json(_head(started, started.model) | {"choices": [], "headgate": {"status": "held"}})


def whole(fold: Fold) -> bytes:
    """The whole answer of a log with a successful terminal."""
    assert fold.started is not None
    started, same = fold.started, fold.dialect == NAME
    answer = _head(started, fold.model or started.model)
    if same:
        answer.update(fold.envelope)
    answer["choices"] = [_choice(fold, index, same=same) for index in range(started.choices)]
    if fold.usage is not None:
        answer["usage"] = usage_object(fold.usage, same_dialect=same)
    if same:
        answer.update(fold.extra)
    return compact_json(answer)


def _head(started: ResponseStarted, model: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{suffix(started.id)}",
        "object": "chat.completion",
        "created": started.created_at,
        "model": model,
    }


def _choice(fold: Fold, index: int, *, same: bool) -> dict[str, Any]:
    assert fold.started is not None
    assert fold.terminal is not None
    choice = fold.choices.get(index) or ChoiceFold()
    message: dict[str, Any] = {
        "role": "assistant",
        "content": _text(choice, _TEXT),
        "refusal": _text(choice, _REFUSAL),
    }
    for part in choice.parts:
        if part.kind is _REASONING and part.text:
            name = reasoning_name(part.started) if same else "reasoning_content"
            message[name] = message.get(name, "") + part.text
    calls = [
        _call(fold.started.id, index, number, choice, same=same)
        for number, part in enumerate(choice.parts)
        if part.kind is _TOOL_CALL
    ]
    if calls:
        message["tool_calls"] = calls
    shown: dict[str, Any] = {"index": index, "message": message}
    if same:
        message.update(_extra(choice, message["content"]))
        shown.update(choice.extra)
    shown["finish_reason"] = finish_word(choice.done, fold.terminal.status, same_dialect=same)
    return shown


def _extra(choice: ChoiceFold, text: str | None) -> dict[str, Any]:
    """Fields of the message; content that no word of ours fits stands behind the text, as an array."""
    extra = choice.message_extra
    items = extra.get("content")
    if text is None or type(items) is not list:
        return extra
    return extra | {"content": [{"type": "text", "text": text}, *items]}


def _text(choice: ChoiceFold, kind: PartKind) -> str | None:
    parts = [part.text for part in choice.parts if part.kind is kind]
    return "".join(parts) if parts else None


def _call(response_id: str, index: int, number: int, choice: ChoiceFold, *, same: bool) -> dict[str, Any]:
    part = choice.parts[number]
    tool_id = part.started.tool_id or made_up_call_id(response_id, index, number)
    arguments = part.text
    if not same and is_silent(part):
        reason = choice.done.reason if choice.done is not None else None
        arguments = NO_ARGUMENTS if may_end_without(reason, is_last=number == len(choice.parts) - 1) else ""
    return tool_call(tool_id, part.started.tool_name, arguments, part.tool_extra if same else {})
