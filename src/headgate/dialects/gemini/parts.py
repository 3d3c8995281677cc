"""The parts of one candidate (PROTOCOL.md section 1, "Parts are found, not declared").

Consecutive text of one kind goes on in one part. A part with a signature stands alone, because it has to come back
exactly as it was. What is neither text nor a call of a function keeps its shape in a part of kind ``other``, and so
does text of which there is none, beside which something stood: Gemini sends signatures that way.
"""

from __future__ import annotations

from typing import Any, Final

from headgate.dialects.fields import MalformedError, kept, storable, typed
from headgate.dialects.gemini.partial import PartialArguments
from headgate.events import AnyEvent, ChoiceDone, Delta, Extra, PartDone, PartKind, PartStarted, Reason

PARTS_MAX: Final = 1024
"""Parts of one choice: far beyond any answer, small enough that a peer cannot grow our tables."""

_FILTERED: Final = (
    "SAFETY RECITATION LANGUAGE BLOCKLIST PROHIBITED_CONTENT SPII IMAGE_SAFETY IMAGE_PROHIBITED_CONTENT "
    "IMAGE_RECITATION IMAGE_OTHER MODEL_ARMOR ESCALATION PUP_LIMITED_DISABLED"
)
REASONS: Final[dict[str, Reason]] = {
    "STOP": Reason.STOP,
    "MAX_TOKENS": Reason.LENGTH,
    "CONTINUATION": Reason.LENGTH,
    **dict.fromkeys(_FILTERED.split(), Reason.CONTENT_FILTER),
}
"""Unknown words are `Reason.STOP`: the provider ended the choice of its own will."""
FAILURES: Final = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MALFORMED_RESPONSE",
        "MISSING_THOUGHT_SIGNATURE",
    }
)
"""Finish reasons of an answer that is of no use."""
UNSPECIFIED: Final = "FINISH_REASON_UNSPECIFIED"
"""No finish reason."""

_SIGNATURE: Final = "thoughtSignature"
_TEXT_FIELDS: Final = frozenset({"text", "thought"})
_CALL_FIELD: Final = frozenset({"functionCall"})
_CALL_FIELDS: Final = frozenset({"id", "name", "args"})


class _Call:
    """A call whose arguments are still coming."""

    __slots__ = ("arguments", "part")

    def __init__(self, part: int) -> None:
        self.part = part
        self.arguments = PartialArguments()


class Choice:
    """One candidate: how many parts it has, and which of them are open."""

    __slots__ = ("_call", "_open_flow", "_open_kind", "_parts", "calls", "done", "goes_on", "index", "pending", "word")

    def __init__(self, index: int) -> None:
        self.index = index
        self.done = False
        self.goes_on = False
        """A chunk of it came without a finish reason: the next one that has one is the last."""
        self.word = ""
        """A finish reason that may be none, since it came with the first chunk: older models send it with every one."""
        self.pending: dict[str, Any] = {}
        """Fields of the candidate that wait for an event to go with."""
        self.calls = 0
        self._parts = 0
        self._open_flow = -1  # the open part of text or reasoning
        self._open_kind: PartKind | None = None
        self._call: _Call | None = None

    def read(self, part: dict[str, Any], made: list[AnyEvent]) -> None:
        """Append the events of one part to `made`. Raises `MalformedError`."""
        text = part.get("text")
        call = part.get("functionCall")
        if call is not None:
            self._function_call(typed(call, dict, "a functionCall"), part, made)
        elif text is not None:
            self._text(typed(text, str, "a part's text"), part, made)
        else:
            self._other(part, made)

    def plain(self, text: str) -> Delta | None:
        """Text that goes on in the part that is open; None if there is none."""
        if self._open_kind is not PartKind.TEXT or self.done or self.word or self.pending or not self.goes_on:
            return None
        return Delta(self.index, self._open_flow, text)

    def finish(self, word: str, made: list[AnyEvent], reason: Reason | None = None) -> None:
        """The provider gave its finish reason, or another word that stands for `reason`."""
        if self._parts == 0:
            made.append(self._start(PartKind.TEXT))
            self._open_flow = 0
        if self._call is not None:
            flow = self._open_flow
            if 0 <= flow < self._call.part:
                self._close_flow(made)
            self._end_call(made)
        self._close_flow(made)
        made.append(ChoiceDone(self.index, reason or self._reason(word), word))
        self.done = True

    def _reason(self, word: str) -> Reason:
        reason = REASONS.get(word, Reason.STOP)
        return Reason.TOOL_CALLS if reason is Reason.STOP and self.calls else reason

    def _start(self, kind: PartKind, **fields: Any) -> PartStarted:
        if self._parts == PARTS_MAX:
            raise MalformedError(f"a candidate has more than {PARTS_MAX} parts")
        self._parts += 1
        return PartStarted(self.index, self._parts - 1, kind, **fields)

    def _text(self, text: str, part: dict[str, Any], made: list[AnyEvent]) -> None:
        fields = kept(part, _TEXT_FIELDS)
        if not text:
            if fields:
                self._other(part, made)
            return
        kind = PartKind.REASONING if part.get("thought") is True else PartKind.TEXT
        extra = Extra(delta=fields) if fields else None
        if fields and _SIGNATURE in fields:
            self._close_flow(made)
            started = self._start(kind)
            made += [started, Delta(self.index, started.part, text, extra), PartDone(self.index, started.part)]
            return
        if self._open_kind is not kind:
            self._close_flow(made)
            started = self._start(kind)
            self._open_flow, self._open_kind = started.part, kind
            made.append(started)
        made.append(Delta(self.index, self._open_flow, text, extra))

    def _close_flow(self, made: list[AnyEvent]) -> None:
        if self._open_flow >= 0:
            made.append(PartDone(self.index, self._open_flow))
            self._open_flow, self._open_kind = -1, None

    def _other(self, part: dict[str, Any], made: list[AnyEvent]) -> None:
        """Something without a word of ours: the part itself. An empty one is none."""
        fields = kept(part, frozenset())
        if fields:
            self._close_flow(made)
            started = self._start(PartKind.OTHER, extra=Extra(delta=fields))
            made += [started, PartDone(self.index, started.part)]

    def _function_call(self, call: dict[str, Any], part: dict[str, Any], made: list[AnyEvent]) -> None:
        """A call, or a piece of one: without a name it goes on with the call that is open."""
        name = typed(call.get("name") or "", str, "a function's name")
        id = typed(call.get("id") or "", str, "a call's id")
        pieces = typed(call.get("partialArgs") or [], list, "partialArgs")
        more = call.get("willContinue") is True
        goes_on = self._call is not None and not name
        if not name and not goes_on:
            self._other(part, made)
            return
        extra = _extra(call, part, is_piece=goes_on or more or bool(pieces))
        if not goes_on:
            if self._call is not None:
                self._end_call(made)
            self._close_flow(made)
            started = self._start(PartKind.TOOL_CALL, tool_id=id, tool_name=name, extra=extra)
            made.append(started)
            self.calls += 1
            self._call = _Call(started.part)
        elif self._call is not None and extra:
            made.append(Delta(self.index, self._call.part, "", extra))
        assert self._call is not None
        arguments = typed(call.get("args") or {}, dict, "a call's args")
        if arguments:
            self._call.arguments.merge(arguments)
        for piece in pieces:
            self._call.arguments.feed(typed(piece, dict, "a partial argument"))
        if not more:
            self._end_call(made)

    def _end_call(self, made: list[AnyEvent]) -> None:
        assert self._call is not None
        part = self._call.part
        made += [Delta(self.index, part, self._call.arguments.text()), PartDone(self.index, part)]
        self._call = None


def _extra(call: dict[str, Any], part: dict[str, Any], *, is_piece: bool) -> Extra | None:
    """What stood in a call and beside it, in the shape of the part. A piece has ``functionCall`` even if it is empty."""
    beside = kept(part, _CALL_FIELD) or {}
    inside = kept(call, _CALL_FIELDS) or {}
    if is_piece and call.get("args"):
        inside["args"] = storable(call["args"])
    if inside or is_piece:
        beside["functionCall"] = inside
    return Extra(delta=beside) if beside else None
