"""The parts of one choice, found in a flat message (PROTOCOL.md section 1, "Parts are found, not declared")."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.dialects.openai_chat.fields import MalformedError, kept, typed
from headgate.events import AnyEvent, ChoiceDone, Delta, Extra, PartDone, PartKind, PartStarted, Reason

PARTS_MAX: Final = 1024
"""Parts of one choice: far beyond any answer, small enough that a peer cannot grow our tables."""

REASONS: Final[dict[str, Reason]] = {
    "stop": Reason.STOP,
    "length": Reason.LENGTH,
    "tool_calls": Reason.TOOL_CALLS,
    "function_call": Reason.TOOL_CALLS,
    "content_filter": Reason.CONTENT_FILTER,
}
"""Unknown words are `Reason.STOP`: the provider ended the choice of its own will."""
REASONING_FIELD: Final = "reasoning_content"
_REASONING_FIELDS: Final = (REASONING_FIELD, "reasoning")
_TOOL_FIELDS: Final = frozenset({"index", "id", "function"})
_PLACED_FIELDS: Final = frozenset({"role", "content", "refusal", "tool_calls"})


class _Call:
    """A tool call that is open."""

    __slots__ = ("id", "part")

    def __init__(self, part: int, id: str) -> None:
        self.part = part
        self.id = id


class Choice:
    """One choice: how many parts it has, and which of them are open."""

    __slots__ = ("_calls", "_calls_by_index", "_kinds", "_open_flow", "_open_kind", "_parts", "done", "index")

    def __init__(self, index: int) -> None:
        self.index = index
        self.done = False
        self._parts = 0
        self._open_flow = -1  # the open part of text, reasoning or refusal
        self._open_kind: PartKind | None = None
        self._calls: list[_Call] = []
        self._calls_by_index: dict[int, _Call] = {}
        self._kinds: set[PartKind] = set()

    def read(self, delta: dict[str, Any], made: list[AnyEvent]) -> dict[str, Any] | None:
        """Append the events of one delta object to `made`; returns its fields that have no place among them."""
        unknown = kept(delta, _PLACED_FIELDS)
        if unknown is not None:
            self._reasoning(unknown, made)
        content = delta.get("content")
        if content:
            if type(content) is list:  # content parts of some providers: kept as they are
                unknown = (unknown or {}) | (kept({"content": content}, frozenset()) or {})
            else:
                self._flow(PartKind.TEXT, typed(content, str, "content"), made)
        refusal = delta.get("refusal")
        if refusal:
            self._flow(PartKind.REFUSAL, typed(refusal, str, "refusal"), made)
        for call in typed(delta.get("tool_calls") or [], list, "tool_calls"):
            self._tool_call(typed(call, dict, "a tool call"), made)
        return unknown or None

    def finish(self, word: str, made: list[AnyEvent]) -> None:
        """The provider gave its finish reason."""
        if self._parts == 0:
            made.append(self._start(PartKind.TEXT))
            self._open_flow = 0
        numbers = [call.part for call in self._calls]
        if self._open_flow >= 0:
            numbers.append(self._open_flow)
        made += [PartDone(self.index, part) for part in sorted(numbers)]
        made.append(ChoiceDone(self.index, self._reason(word), word))
        self.done = True

    def is_tool_call(self, part: int) -> bool:
        return any(call.part == part for call in self._calls)

    def _reason(self, word: str) -> Reason:
        reason = REASONS.get(word, Reason.STOP)
        if reason is Reason.STOP and PartKind.REFUSAL in self._kinds:
            return Reason.REFUSAL
        if reason is Reason.STOP and self._calls:
            return Reason.TOOL_CALLS
        return reason

    def _start(self, kind: PartKind, **fields: Any) -> PartStarted:
        if self._parts == PARTS_MAX:
            raise MalformedError(f"a choice has more than {PARTS_MAX} parts")
        self._parts += 1
        self._kinds.add(kind)
        return PartStarted(self.index, self._parts - 1, kind, **fields)

    def _reasoning(self, unknown: dict[str, Any], made: list[AnyEvent]) -> None:
        """Take reasoning out of `unknown`. The same text under two names is one text."""
        found = [(name, unknown.pop(name)) for name in _REASONING_FIELDS if type(unknown.get(name)) is str]
        name, text = next(((name, text) for name, text in found if text), ("", ""))
        if text:
            self._flow(PartKind.REASONING, text, made, name)

    def _flow(self, kind: PartKind, text: str, made: list[AnyEvent], name: str = REASONING_FIELD) -> None:
        if self._open_kind is not kind:
            self._close_flow(made)
            started = self._start(kind, extra=None if name == REASONING_FIELD else Extra(delta={name: ""}))
            self._open_flow, self._open_kind = started.part, kind
            made.append(started)
        made.append(Delta(self.index, self._open_flow, text))

    def _close_flow(self, made: list[AnyEvent]) -> None:
        if self._open_flow >= 0:
            made.append(PartDone(self.index, self._open_flow))
            self._open_flow, self._open_kind = -1, None

    def _tool_call(self, fields: dict[str, Any], made: list[AnyEvent]) -> None:
        unknown = kept(fields, _TOOL_FIELDS) or {}
        if unknown.get("type") == "function":
            del unknown["type"]
        name, arguments = _function(fields, unknown)
        extra = Extra(delta=unknown) if unknown else None
        call = self._find(fields, name)
        if call is None:
            self._close_flow(made)
            id = typed(fields.get("id") or "", str, "a tool call's id")
            started = self._start(PartKind.TOOL_CALL, tool_id=id, tool_name=name, extra=extra)
            call = _Call(started.part, id)
            self._calls.append(call)
            made.append(started)
            extra = None
        index = fields.get("index")
        if index is not None:
            self._calls_by_index[index] = call
        if arguments or extra:
            made.append(Delta(self.index, call.part, arguments, extra))

    def _find(self, fields: dict[str, Any], name: str) -> _Call | None:
        """The open call that these fields go on with, or None for a new one."""
        index, id = fields.get("index"), fields.get("id")
        if index is None:
            return None if id or name or not self._calls else self._calls[-1]
        call = self._calls_by_index.get(typed(index, int, "a tool call's index"))
        if call is not None and id and call.id and id != call.id:
            return None
        return call


def _function(fields: dict[str, Any], unknown: dict[str, Any]) -> tuple[str, str]:
    """Name and arguments of a tool call. A custom tool's name and input stand for them; its ``type`` is kept."""
    function = fields.get("function")
    if function is None and type(unknown.get("custom")) is dict:
        custom = unknown.pop("custom")
        function = {"name": custom.get("name"), "arguments": custom.get("input")}
    function = typed(function or {}, dict, "a tool call's function")
    arguments = function.get("arguments") or ""
    if type(arguments) is dict:  # some servers give the parsed object in whole answers
        arguments = msgspec.json.encode(kept(arguments, frozenset()) or {}).decode()
    name = typed(function.get("name") or "", str, "a tool call's name")
    return name, typed(arguments, str, "a tool call's arguments")
