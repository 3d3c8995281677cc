"""The parts of a plan as content blocks of Anthropic Messages: how they begin, go on, end, and stand whole."""

from __future__ import annotations

import json
from typing import Any, Final
from zlib import crc32

import msgspec

from headgate.simulator.plan import Kind, Part, Plan

Block = dict[str, Any]
"""A content block or a delta of one, as JSON."""

_DELTAS: Final = {
    Kind.TEXT: ("text_delta", "text"),
    Kind.REASONING: ("thinking_delta", "thinking"),
    Kind.CALL: ("input_json_delta", "partial_json"),
    Kind.FOREIGN: ("x_note_delta", "says"),
}
_SHOWN: Final = (*_DELTAS, Kind.REDACTED)


def shown(plan: Plan) -> tuple[Part, ...]:
    """The parts that are blocks. A refusal is none: `Plan` has it, but a message tells it in ``stop_details``."""
    return tuple(part for part in plan.choices[0].parts if part.kind in _SHOWN and part.tokens)


def begun(part: Part) -> Block:
    """A block as it starts."""
    match part.kind:
        case Kind.REASONING:
            return {"type": "thinking", "thinking": "", "signature": ""}
        case Kind.CALL:
            return {**complete(part), "input": {}}
        case Kind.TEXT:
            return {"type": "text", "text": ""}
        case _:
            return complete(part)


def complete(part: Part) -> Block:
    """A block as a whole message holds it."""
    match part.kind:
        case Kind.REASONING:
            return {"type": "thinking", "thinking": part.text, "signature": signature(part)}
        case Kind.REDACTED:
            return {"type": "redacted_thinking", "data": "UmVkYWN0ZWQ6IG5vYm9keSBtYXkgcmVhZCB0aGlzLg=="}
        case Kind.FOREIGN:
            return {"type": "x_note", "says": "ignore me"}
        case Kind.CALL:
            assert part.call is not None
            return {
                "type": "tool_use",
                "id": f"toolu_{part.call.id}",
                "name": part.call.name,
                "input": arguments(part.text),
                "caller": {"type": "direct"},
            }
        case _:
            return {"type": "text", "text": part.text}


def delta(part: Part, index: int) -> bytes | None:
    """What token `index` adds; None where it adds nothing."""
    if part.kind not in _DELTAS or (part.kind is Kind.REASONING and not part.tokens[index]):
        return None
    kind, field = _DELTAS[part.kind]
    return b'{"type":"%b","%b":%b}' % (kind.encode(), field.encode(), msgspec.json.encode(part.tokens[index]))


def signature(part: Part) -> str:
    """What proves to nobody that the thinking is the model's own."""
    return f"EqQBCkYIBBgCKkC{crc32(part.text.encode('utf-8', 'replace')):08x}GAIiQ"


def arguments(text: str) -> Any:
    """A call's input. JSON that was cut off is an empty object, as from the real thing."""
    try:
        return json.loads(text) if text else {}
    except ValueError:
        return {}
