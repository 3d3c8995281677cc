"""The parts of one choice, found in a flat message (PROTOCOL.md section 1, "Parts are found, not declared")."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.assemble import accumulate
from headgate.dialects.fields import MalformedError, kept, storable, typed
from headgate.dialects.openai_chat.reasons import REASONS, STOP, normal
from headgate.events import AnyEvent, ChoiceDone, Delta, Extra, PartDone, PartKind, PartStarted, Reason

PARTS_MAX: Final = 1024
"""Parts of one choice: far beyond any answer, small enough that a peer cannot grow our tables."""

WAITING_FIELDS_MAX: Final = 16
"""Unknown fields of a call that waits for its name."""
REASONING_FIELD: Final = "reasoning_content"
_REASONING_FIELDS: Final = (REASONING_FIELD, "reasoning")
_TOOL_FIELDS: Final = frozenset({"index", "id", "function"})
_FUNCTION_FIELDS: Final = frozenset({"name", "arguments"})
_CUSTOM_FIELDS: Final = frozenset({"name", "input"})
_PLACED_FIELDS: Final = frozenset({"role", "content", "refusal", "tool_calls"})


_NOT_YET: Final = -1
_TEXT: Final = PartKind.TEXT


class _Call:
    """A tool call that is open; without a `part` while nothing is known of it but its id."""

    __slots__ = ("extra", "id", "name", "part")

    def __init__(self, id: str) -> None:
        self.id = id
        self.name = ""
        self.part = _NOT_YET
        self.extra: dict[str, Any] = {}
        """Fields that came before it had a part."""


class Choice:
    """One choice: how many parts it has, and which of them are open."""

    __slots__ = ("_calls", "_calls_by_index", "_open_flow", "_open_kind", "_parts", "_refuses", "done", "index")

    def __init__(self, index: int) -> None:
        self.index = index
        self.done = False
        self._parts = 0
        self._open_flow = -1  # the open part of text, reasoning or refusal
        self._open_kind: PartKind | None = None
        self._calls: list[_Call] = []
        self._calls_by_index: dict[int, _Call] = {}
        self._refuses = False

    def read(self, delta: dict[str, Any], made: list[AnyEvent]) -> dict[str, Any] | None:
        """Append the events of one delta object to `made`; returns its fields that have no place among them."""
        unknown = kept(delta, _PLACED_FIELDS)
        if unknown is not None:
            self._reasoning(unknown, made)
        content = delta.get("content")
        if content:
            if type(content) is list:
                unknown = (unknown or {}) | self._items(content, made)
            else:
                self._flow(_TEXT, typed(content, str, "content"), made)
        refusal = delta.get("refusal")
        if refusal:
            self._refuses = True
            self._flow(PartKind.REFUSAL, typed(refusal, str, "refusal"), made)
        for call in typed(delta.get("tool_calls") or [], list, "tool_calls"):
            self._tool_call(typed(call, dict, "a tool call"), made)
        return unknown or None

    def finish(self, word: str, made: list[AnyEvent]) -> None:
        """The provider gave its finish reason."""
        for call in self._calls:
            if call.part == _NOT_YET:
                self._start_call(call, made)
        if self._parts == 0:
            made.append(self._start(_TEXT))
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
        reason = REASONS.get(normal(word), STOP)
        if reason is not STOP:
            return reason
        if self._refuses:
            return Reason.REFUSAL
        return Reason.TOOL_CALLS if self._calls else reason

    def _start(self, kind: PartKind, tool_id: str = "", tool_name: str = "", extra: Extra | None = None) -> PartStarted:
        if self._parts == PARTS_MAX:
            raise MalformedError(f"a choice has more than {PARTS_MAX} parts")
        self._parts += 1
        return PartStarted(self.index, self._parts - 1, kind, tool_id, tool_name, extra)

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

    def _items(self, content: list[Any], made: list[AnyEvent]) -> dict[str, Any]:
        """Read content that came as an array (Mistral's reasoning models); returns it without what was understood."""
        left = []
        for item in content:
            match item:
                case {"type": "text", "text": str(text)}:
                    self._flow_some(PartKind.TEXT, text, made)
                case {"type": "thinking", "thinking": str(text)}:
                    self._flow_some(PartKind.REASONING, text, made)
                case {"type": "thinking", "thinking": [*inner]} if all(map(_is_text, inner)):
                    self._flow_some(PartKind.REASONING, "".join([text["text"] for text in inner]), made)
                case _:
                    left.append(item)
        return storable({"content": left}) if left else {}

    def _flow_some(self, kind: PartKind, text: str, made: list[AnyEvent]) -> None:
        if text:
            self._flow(kind, text, made)

    def _tool_call(self, fields: dict[str, Any], made: list[AnyEvent]) -> None:
        unknown = kept(fields, _TOOL_FIELDS) or {}
        if unknown.get("type") == "function":
            del unknown["type"]
        name, arguments = _function(fields, unknown)
        call = self._find(fields, name)
        if call is None:
            if len(self._calls) == PARTS_MAX:
                raise MalformedError(f"a choice has more than {PARTS_MAX} parts")
            call = _Call(typed(fields.get("id") or "", str, "a tool call's id"))
            self._calls.append(call)
        index = fields.get("index")
        if index is not None:
            self._calls_by_index[index] = call
        if call.part == _NOT_YET:
            call.name = name
            accumulate(call.extra, unknown, strings_grow=True)
            if not (name or arguments or _fields(call.extra) > WAITING_FIELDS_MAX):
                return  # some servers give the name only after the id
            self._start_call(call, made)
            unknown = {}
        if arguments or unknown:
            made.append(Delta(self.index, call.part, arguments, Extra(delta=unknown) if unknown else None))

    def _start_call(self, call: _Call, made: list[AnyEvent]) -> None:
        self._close_flow(made)
        extra = Extra(delta=call.extra) if call.extra else None
        started = self._start(PartKind.TOOL_CALL, tool_id=call.id, tool_name=call.name, extra=extra)
        call.part = started.part
        made.append(started)

    def _find(self, fields: dict[str, Any], name: str) -> _Call | None:
        """The open call that these fields go on with, or None for a new one."""
        index, id = fields.get("index"), fields.get("id")
        if index is None:
            return self._find_unnumbered(id, name)
        call = self._calls_by_index.get(typed(index, int, "a tool call's index"))
        if call is not None and id and call.id and id != call.id:
            return None
        return call

    def _find_unnumbered(self, id: Any, name: str) -> _Call | None:
        """The call with this id, without one the last; a name begins a new one, unless that call waits for its name."""
        call = next((call for call in reversed(self._calls) if not id or call.id == id), None)
        return call if call is not None and (not name or call.part == _NOT_YET) else None


def _keep(name: str, found: dict[str, Any] | None, unknown: dict[str, Any]) -> None:
    if found:
        unknown[name] = found


def _fields(extra: dict[str, Any]) -> int:
    """How many fields there are, those inside the function included."""
    inner = extra.get("function") or extra.get("custom") or {}
    return len(extra) + (len(inner) if isinstance(inner, dict) else 0)


def _is_text(item: Any) -> bool:
    return isinstance(item, dict) and type(item.get("text")) is str


def _function(fields: dict[str, Any], unknown: dict[str, Any]) -> tuple[str, str]:
    """Name and arguments of a tool call. A custom tool's name and input stand for them; its ``type`` is kept.

    What else stood beside the two goes into `unknown`, in an object of the same name.
    """
    function = fields.get("function")
    if function is None and type(unknown.get("custom")) is dict:
        custom = unknown.pop("custom")
        _keep("custom", kept(custom, _CUSTOM_FIELDS), unknown)
        function = {"name": custom.get("name"), "arguments": custom.get("input")}
    else:
        function = typed(function or {}, dict, "a tool call's function")
        _keep("function", kept(function, _FUNCTION_FIELDS), unknown)
    arguments = function.get("arguments")
    if type(arguments) is dict:  # some servers give the parsed object in whole answers
        arguments = msgspec.json.encode(kept(arguments, frozenset()) or {}).decode()
    name = typed(function.get("name") or "", str, "a tool call's name")
    return name, typed(arguments or "", str, "a tool call's arguments")
