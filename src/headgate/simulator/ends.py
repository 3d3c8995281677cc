"""How an answer ends before its time: limits, and the faults that give it another end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from headgate.simulator.faults import FaultName
from headgate.simulator.plan import Choice, Finish, Kind, Part
from headgate.simulator.quirks import Quirk
from headgate.simulator.registry import Fault, Name

_ENDS: Final[Mapping[Name, Finish]] = {
    FaultName.LENGTH: Finish.LENGTH,
    FaultName.CONTENT_FILTER: Finish.CONTENT_FILTER,
    Quirk.PAUSED: Finish.PAUSED,
    Quirk.CONTEXT_WINDOW: Finish.CONTEXT_WINDOW,
    Quirk.RECITATION: Finish.RECITATION,
    Quirk.MALFORMED_CALL: Finish.MALFORMED_CALL,
    Quirk.BLOCKED: Finish.BLOCKED,
}


def limited(parts: Sequence[Part], limit: int | None) -> tuple[Part, ...]:
    """The first `limit` tokens."""
    if limit is None:
        return tuple(parts)
    kept: list[Part] = []
    for part in parts:
        tokens = part.tokens[:limit]
        limit -= len(tokens)
        if tokens:
            kept.append(Part(part.kind, tokens, part.call))
    return tuple(kept)


def ended(choice: Choice, faults: Sequence[Fault], refusal: tuple[str, ...]) -> Choice:
    """The choice with the end that its faults ask for; of several the last counts."""
    for fault in faults:
        finish = _ENDS.get(fault.name, choice.finish)
        parts = choice.parts
        match fault.name:
            case Quirk.MALFORMED_CALL:
                parts = tuple(part for part in parts if part.kind is not Kind.CALL)
            case Quirk.BLOCKED:
                parts = ()
            case Quirk.REFUSED:
                parts = (*limited(parts, int(fault.at)), Part(Kind.REFUSAL, refusal))
                finish = Finish.STOP
        stop = choice.stop if finish is choice.finish and parts == choice.parts else None
        choice = replace(choice, parts=parts, finish=finish, stop=stop)
    return choice
