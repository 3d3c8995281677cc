"""Content blocks of an answer -> parts (PROTOCOL.md section 1).

A block is a part: text, ``thinking`` and ``tool_use`` by their own names, everything else as `PartKind.OTHER` with the
provider's object. What came with a part and has no place of its own stays the provider's object:

    part.started  extra.delta   unknown fields of the block; the whole block of an OTHER part
    delta         extra.delta   a delta without its text, such as {"type": "citations_delta", "citation": {...}}
    part.done     extra.delta   {"type": "signature_delta", "signature": "..."}

Blocks are found by their index and may interleave. Proxies put thinking into text blocks and leave out starts: text
whose block is not open, or is of the other kind, begins a part.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.dialects.anthropic_messages.objects import SHAPES
from headgate.dialects.fields import MalformedError, kept, storable, typed
from headgate.events import AnyEvent, Delta, Extra, PartDone, PartKind, PartStarted

PARTS_MAX: Final = 1024
"""Parts of one answer: far beyond any, small enough that a peer cannot grow our tables."""

_FLOWS: Final = {SHAPES[kind].delta: kind for kind in (PartKind.TEXT, PartKind.REASONING)}
"""Deltas that are text by themselves -> kind of the part they belong to."""
_PLACED: Final = {name: frozenset({"type", SHAPES[kind].field}) for name, kind in _FLOWS.items()}
_JSON_DELTA: Final = SHAPES[PartKind.TOOL_CALL].delta
_PLACED_OF_JSON: Final = frozenset({"type", "partial_json"})
_TEXT_FIELDS: Final = frozenset({"type", "text", "citations"})
_THINKING_FIELDS: Final = frozenset({"type", "thinking", "signature"})
_TOOL_FIELDS: Final = frozenset({"type", "id", "name", "input"})


class _Block:
    """A block that is open."""

    __slots__ = ("field", "input", "kind", "name", "part", "signature")

    def __init__(self, part: int, kind: PartKind) -> None:
        self.part = part
        self.kind = kind
        self.name, self.field = SHAPES[kind]
        self.input = ""  # JSON that stood in the block itself: its arguments, unless deltas bring others
        self.signature: dict[str, Any] | None = None


class Blocks:
    """The blocks of one answer: how many parts they made, and which of them are open."""

    def __init__(self) -> None:
        self._open: dict[int, _Block] = {}
        self._parts = 0

    def refusal(self, details: Any, made: list[AnyEvent]) -> None:
        """The explanation of a refusal is text for readers of other dialects; those of this one find it in its place."""
        explanation = details.get("explanation") if type(details) is dict else None
        if type(explanation) is str and explanation:
            part, self._parts = self._parts, self._parts + 1
            made += [PartStarted(0, part, PartKind.REFUSAL), Delta(0, part, explanation), PartDone(0, part)]

    def start(self, index: int, fields: dict[str, Any], made: list[AnyEvent]) -> None:
        """``content_block_start``, or a block of a whole answer."""
        self.stop(index, made)
        match typed(fields.get("type"), str, "a block's type"):
            case "text":
                self._start_text(index, fields, made)
            case "thinking":
                block = self._begin(index, PartKind.REASONING, made, extra=kept(fields, _THINKING_FIELDS))
                self._flow(block, fields.get("thinking"), made)
                self._sign(block, fields)
            case "tool_use":
                id, name = (typed(fields.get(key) or "", str, f"a tool call's {key}") for key in ("id", "name"))
                extra = kept(fields, _TOOL_FIELDS)
                block = self._begin(index, PartKind.TOOL_CALL, made, extra=extra, tool_id=id, tool_name=name)
                block.input = _arguments(fields.get("input"))
            case _:
                self._begin(index, PartKind.OTHER, made, extra=storable(fields))

    def delta(self, index: int, fields: dict[str, Any], made: list[AnyEvent]) -> None:
        """``content_block_delta``. The first branch is the token path."""
        block = self._open.get(index)
        if block is not None and len(fields) == 2 and fields.get("type") == block.name:
            text = fields.get(block.field)
            if text and type(text) is str:
                block.input = ""
                made.append(Delta(0, block.part, text))
                return
        self._rare(index, block, fields, made)

    def touch(self, index: int, made: list[AnyEvent]) -> None:
        """A delta that was nothing but what stood beside it needs an event for that; of a block that is not open none."""
        block = self._open.get(index)
        if not made and block is not None:
            made.append(Delta(0, block.part, ""))

    def stop(self, index: int, made: list[AnyEvent]) -> None:
        """``content_block_stop``; of a block that is not open it says nothing."""
        block = self._open.pop(index, None)
        if block is not None:
            if block.input:
                made.append(Delta(0, block.part, block.input))
            made.append(PartDone(0, block.part, Extra(delta=block.signature) if block.signature else None))

    def close(self, made: list[AnyEvent]) -> None:
        """The answer has its stop reason: whatever is open is done, in order of the parts."""
        for index in sorted(self._open, key=lambda index: self._open[index].part):
            self.stop(index, made)

    def _rare(self, index: int, block: _Block | None, fields: dict[str, Any], made: list[AnyEvent]) -> None:
        """A delta that is more or less than text of its own block."""
        name = typed(fields.get("type"), str, "a delta's type")
        kind = _FLOWS.get(name)
        if kind is not None and (block is None or block.kind is not kind):
            if block is None or block.kind in (PartKind.TEXT, PartKind.REASONING):
                self.stop(index, made)
                block = self._begin(index, kind, made)
            else:
                kind = None
        if block is None:
            if name == _JSON_DELTA:
                raise MalformedError("arguments came for a tool call that is not open")
            return
        if kind is not None:
            self._flow(block, fields.get(SHAPES[kind].field), made, kept(fields, _PLACED[name]), name)
        elif name == _JSON_DELTA and block.kind in (PartKind.TOOL_CALL, PartKind.OTHER):
            self._flow(block, fields.get("partial_json"), made, kept(fields, _PLACED_OF_JSON), name)
        elif name == "signature_delta" and block.kind is PartKind.REASONING:
            self._sign(block, fields)
        else:
            made.append(Delta(0, block.part, "", Extra(delta=storable(fields))))

    def _begin(
        self,
        index: int,
        kind: PartKind,
        made: list[AnyEvent],
        *,
        extra: dict[str, Any] | None = None,
        tool_id: str = "",
        tool_name: str = "",
    ) -> _Block:
        if self._parts == PARTS_MAX:
            raise MalformedError(f"it has more than {PARTS_MAX} parts")
        block = self._open[index] = _Block(self._parts, kind)
        self._parts += 1
        made.append(PartStarted(0, block.part, kind, tool_id, tool_name, Extra(delta=extra) if extra else None))
        return block

    def _start_text(self, index: int, fields: dict[str, Any], made: list[AnyEvent]) -> None:
        extra = kept(fields, _TEXT_FIELDS) or {}
        citations = fields.get("citations")
        if citations == []:  # what the blocks of an answer with citations begin with
            extra["citations"] = []
        block = self._begin(index, PartKind.TEXT, made, extra=extra)
        self._flow(block, fields.get("text"), made)
        for citation in typed(citations or [], list, "citations"):
            delta = storable({"type": "citations_delta", "citation": citation})
            made.append(Delta(0, block.part, "", Extra(delta=delta)))

    def _flow(
        self, block: _Block, text: Any, made: list[AnyEvent], unknown: dict[str, Any] | None = None, name: str = ""
    ) -> None:
        """Text of a block, with the fields of its delta that have no place."""
        text = "" if text is None else typed(text, str, "text of a block")
        if text:
            block.input = ""
        if unknown:
            made.append(Delta(0, block.part, text, Extra(delta={"type": name} | unknown)))
        elif text:
            made.append(Delta(0, block.part, text))

    def _sign(self, block: _Block, fields: dict[str, Any]) -> None:
        """Keep the signature for the end of the block; of several the last counts, as in the SDKs."""
        if fields.get("signature"):
            signature = typed(fields["signature"], str, "a signature")
            block.signature = {"type": "signature_delta", "signature": signature}


def _arguments(value: Any) -> str:
    """JSON text of an ``input`` that came whole; "" for the empty one that deltas follow."""
    if not value:
        return ""
    if type(value) is str:
        return value
    try:
        return msgspec.json.encode(typed(value, dict, "a tool call's input")).decode()
    except RecursionError:
        raise MalformedError("a tool call's input is nested too deeply") from None
