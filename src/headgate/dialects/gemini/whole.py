"""Gemini, client side: the fold of a log -> a whole ``GenerateContentResponse``."""

from __future__ import annotations

from typing import Any

from headgate.assemble import ChoiceFold, Fold, PartFold
from headgate.dialects.calls import made_up_call_id
from headgate.dialects.gemini.objects import (
    NAME,
    answer_json,
    blocked_prompt,
    call_part,
    candidate,
    finish_word,
    merged,
    text_part,
    usage_object,
)
from headgate.events import PartKind, ResponseStarted
from headgate.ids import suffix


def pending(started: ResponseStarted) -> bytes:
    """An answer without candidates."""
    return answer_json([], {"modelVersion": started.model, "responseId": suffix(started.id)})


def whole(fold: Fold) -> bytes:
    """The whole answer of a log with a successful terminal."""
    started = fold.started
    assert started is not None
    same = fold.dialect == NAME
    described: dict[str, Any] = {"modelVersion": fold.model or started.model, "responseId": suffix(started.id)}
    return answer_json(
        None
        if same and _is_blocked(fold)
        else [_candidate(fold, index, same=same) for index in range(started.choices)],
        described | (fold.envelope if same else {}),
        usage=usage_object(fold.usage, same_dialect=same) if fold.usage is not None else None,
        extra=fold.extra if same else None,
    )


def _is_blocked(fold: Fold) -> bool:
    """Whether the prompt was refused, and nothing of an answer is there."""
    first = fold.choices.get(0) or ChoiceFold()
    return blocked_prompt(first.done) and not any(
        part.text or part.kind is PartKind.OTHER for choice in fold.choices.values() for part in choice.parts
    )


def _candidate(fold: Fold, index: int, *, same: bool) -> dict[str, Any]:
    assert fold.started is not None
    assert fold.terminal is not None
    choice = fold.choices.get(index) or ChoiceFold()
    parts = [
        shown
        for number, part in enumerate(choice.parts)
        if (shown := _part(part, fold.started.id, index, number, same=same)) is not None
    ]
    extras = [extra for part in choice.parts for extra in part.extras] + choice.extras
    if same:
        late = merged(choice.extras, "delta")
        parts += [{"text": ""} | late] if late else []
    word = finish_word(choice.done, fold.terminal.status, same_dialect=same)
    return candidate(index, parts or [{"text": ""}], merged(extras, "choice") if same else None, word)


def _part(part: PartFold, response_id: str, choice: int, number: int, *, same: bool) -> dict[str, Any] | None:
    """A part as it is shown; None for one that is not. An unfinished call has no arguments that could be shown."""
    extra = merged(part.extras, "delta") if same else {}
    if part.kind is PartKind.OTHER:
        return extra or None
    if part.kind is PartKind.TOOL_CALL:
        call_id = part.started.tool_id or ("" if same else made_up_call_id(response_id, choice, number))
        return call_part(part.started, call_id, part.text, extra) if part.done else None
    text = part.text
    return text_part(part.kind, text, extra) if text else None
