"""Anthropic Messages, client side: the fold of a log -> a whole message."""

from __future__ import annotations

from typing import Any

from headgate.assemble import ChoiceFold, Fold, PartFold
from headgate.dialects.anthropic_messages.objects import (
    NAME,
    beside_stop,
    delta_of,
    empty_block,
    is_shown,
    message_object,
    stop_fields,
    usage_object,
)
from headgate.dialects.anthropic_messages.tool_input import tool_input
from headgate.dialects.compact import compact_json
from headgate.events import PartKind, ResponseStarted


def pending(started: ResponseStarted) -> bytes:
    """A message without content, that has not stopped."""
    usage = usage_object(None, input_tokens_estimate=started.input_tokens_estimate, same_dialect=False)
    beside = {"usage": usage, "headgate": {"status": "held"}}
    return compact_json(message_object(started.id, started.model) | {"content": []} | beside)


def whole(fold: Fold) -> bytes:
    """The whole answer of a log with a successful terminal."""
    assert fold.started is not None
    assert fold.terminal is not None
    started, same = fold.started, fold.dialect == NAME
    choice = fold.choices.get(0) or ChoiceFold()
    message = message_object(started.id, fold.model or started.model)
    message["content"] = [
        _block(started.id, part, same=same) for part in choice.parts if is_shown(part.started, same_dialect=same)
    ]
    message |= stop_fields(choice.done, fold.terminal.status, same_dialect=same)
    estimate = started.input_tokens_estimate
    usage = usage_object(fold.usage, input_tokens_estimate=estimate, same_dialect=same)
    return compact_json(message | (_beside(fold, choice, message) if same else {}) | {"usage": usage})


def _beside(fold: Fold, choice: ChoiceFold, message: dict[str, Any]) -> dict[str, Any]:
    """What else the provider said of the whole answer, first and last; nothing of it replaces what is in `message`."""
    found = dict(fold.envelope)
    for extra in choice.extras:
        found |= beside_stop(extra) | (extra.response or {})
    return {field: value for field, value in found.items() if field not in message}


def _block(response_id: str, part: PartFold, *, same: bool) -> dict[str, Any]:
    block = empty_block(response_id, part.started, same_dialect=same)
    text = part.text
    match part.kind:
        case PartKind.TEXT | PartKind.REFUSAL:
            block["text"] = text
        case PartKind.REASONING:
            block["thinking"] = text
        case PartKind.TOOL_CALL:
            block["input"] = tool_input(text)
        case PartKind.OTHER if text:
            block["input"] = tool_input(text)
    if same:
        _add(block, part)
    return block


def _add(block: dict[str, Any], part: PartFold) -> None:
    """What other deltas brought: citations are collected, a signature is put in.

    In a block whose kind we do not know a delta's text grows and its other fields are replaced, as in the SDKs.
    """
    extras = part.extras[1:] if part.started.extra is not None else part.extras
    citations: list[Any] = []
    pieces: dict[str, list[str]] = {}
    for delta in [delta_of(extra) for extra in extras]:
        match delta.get("type"):
            case "citations_delta" if "citation" in delta:
                citations.append(delta["citation"])
            case "signature_delta":
                block["signature"] = delta.get("signature", "")
            case "text_delta" | "thinking_delta" if part.kind is PartKind.OTHER:
                for field, value in delta.items():
                    if field != "type" and type(value) is str:
                        pieces.setdefault(field, []).append(value)
            case _ if part.kind is PartKind.OTHER:
                block |= {field: value for field, value in delta.items() if field != "type"}
            case _:
                pass
    if citations:
        block["citations"] = [*(block.get("citations") or []), *citations]
    for field, texts in pieces.items():
        block[field] = str(block.get(field) or "") + "".join(texts)
