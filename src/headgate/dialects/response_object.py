"""The object of a response: that of the Responses dialect with a ``headgate`` member (PROTOCOL.md section 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headgate.assemble import ChoiceFold, Fold
from headgate.dialects.openai_responses.objects import failure_fields, outputs, response_fields
from headgate.dialects.openai_responses.output import Output
from headgate.events import ResponseStarted, Terminal
from headgate.positions import Place


def response_object(
    fold: Fold,
    *,
    first_output_ms: float | None,
    duration_ms: float | None,
    generated: Mapping[Place, int] | None = None,
) -> dict[str, Any]:
    """The response as far as `fold` knows it. Times are read off the log by the caller, in milliseconds.

    `generated` is how much was read of a part while it is judged, where the log does not say that yet.
    """
    assert fold.started is not None
    times = {"first_output_ms": first_output_ms, "duration_ms": duration_ms}
    return response_fields(fold, cancelled="cancelled") | {
        "headgate": _headgate(fold, fold.started, generated or {}) | times
    }


def _headgate(fold: Fold, started: ResponseStarted, generated: Mapping[Place, int]) -> dict[str, Any]:
    terminal, items = fold.terminal, outputs(fold)
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
                "dropped": list(a.dropped),
            }
            for a in fold.attempts
        ],
        "watermarks": _watermarks(fold, generated),
        "choices": [_choice(index, choice, items[index]) for index, choice in sorted(fold.choices.items())],
        "usage_estimated": bool(fold.usage and fold.usage.estimated),
        "sha256": terminal.sha256 if terminal else None,
    }


def _choice(index: int, choice: ChoiceFold, output: Output) -> dict[str, Any]:
    items = [item.id for item in output.in_order()]
    return {"choice": index, "finish_reason": choice.done.reason if choice.done else None, "items": items}


def _watermarks(fold: Fold, generated: Mapping[Place, int]) -> list[dict[str, int]]:
    """Without governance the three marks are one; `verified` trails in a log that may retract, until it has ended."""
    assert fold.started is not None
    settled = fold.terminal is not None or not fold.started.may_retract
    marks = []
    for index, choice in sorted(fold.choices.items()):
        for number, part in enumerate(choice.parts):
            released = part.released_upto(fold.seq)
            read = max(part.generated, released, generated.get((index, number, 0), 0))
            shown = {"generated": read, "released": released}
            verified = released if settled else part.released_upto(fold.verified_seq)
            marks.append({"choice": index, "part": number} | shown | {"verified": verified})
    return marks


def _terminal(terminal: Terminal) -> dict[str, Any]:
    shown: dict[str, Any] = {"status": terminal.status}
    return shown if terminal.status.successful else shown | failure_fields(terminal)
