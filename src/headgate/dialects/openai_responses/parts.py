"""What is known of a provider's answer while it comes: its items, and the parts in them.

    item.added -> parts (added, deltas, done) -> item.done        any of these may be missing, or hold all of the text

Text is never lost and never repeated: whatever comes with the end of a part, of an item or of the whole answer is
compared with what was streamed, and what is missing is appended. Where it contradicts what was streamed, the streamed
text stays, because readers have it, and the end of the part says so (``extra.choice.contradicted``, with the other text).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.dialects.fields import MalformedError, kept, storable, typed
from headgate.events import AnyEvent, Delta, Extra, PartDone, PartKind, PartStarted

PARTS_MAX: Final = 1024
"""Parts, and items, of one answer: far beyond any real one, small enough that a peer cannot grow our tables."""
_PROGRESS: Final = ("in_progress", "completed")
"""Statuses that an item has anyway, of itself."""


class Part:
    """One part of the log."""

    __slots__ = (
        "annotations",
        "contradicted",
        "done",
        "fields",
        "kind",
        "logprobs",
        "number",
        "place",
        "texts",
        "unknown",
    )

    def __init__(self, number: int, kind: PartKind, place: dict[str, Any], fields: dict[str, Any]) -> None:
        self.number = number
        self.kind = kind
        self.place = place
        self.fields = fields
        """What the provider said of it at its start."""
        self.texts: list[str] = []
        self.logprobs: list[Any] = []
        self.annotations: list[Any] = []
        self.unknown: dict[str, Any] = {}
        """Fields without a place, by the type of the event they came in."""
        self.contradicted = ""
        """Its text as the provider says it in the end, where that is another."""
        self.done = False

    def append(self, text: str, extra: Extra | None, made: list[AnyEvent]) -> None:
        if self.done:
            raise MalformedError("text of a part came after its end")
        self.texts.append(text)
        made.append(Delta(0, self.number, text, extra))

    def note(self, event: dict[str, Any], known: frozenset[str]) -> None:
        """Keep the fields of an event that have no place."""
        unknown = kept(event, known)
        if unknown and not self.done:
            self.unknown[event["type"]] = unknown

    def complete(self, text: Any, made: list[AnyEvent]) -> None:
        """Take note of the whole text; None says nothing. Some servers give arguments as the object they stand for."""
        if type(text) is dict:
            text = msgspec.json.encode(storable(text)).decode()
        whole = typed("" if text is None else text, str, "the text of a part")
        if not whole or self.kind is PartKind.OTHER:
            return
        streamed = "".join(self.texts)
        if whole == streamed:
            return
        if whole.startswith(streamed) and not self.done:
            self.append(whole[len(streamed) :], None, made)
        else:
            self.contradicted = whole

    def close(self, fields: dict[str, Any], made: list[AnyEvent]) -> None:
        """End the part. `fields` is what the provider says of it now; what is known already is not said again."""
        if self.done:
            return
        self.done = True
        if fields.get("annotations") in (None, [], self.annotations):
            fields.pop("annotations", None)
        if fields.get("logprobs") in (None, [], self.logprobs):
            fields.pop("logprobs", None)
        said = {name: value for name, value in fields.items() if value is not None and self.fields.get(name) != value}
        place = self.place | ({"contradicted": self.contradicted} if self.contradicted else {})
        extra = None
        if said or self.unknown or self.contradicted:
            extra = Extra(self.unknown or None, place, storable(said) or None)
        made.append(PartDone(0, self.number, extra))


class Item:
    """One output item. A tool call and an item of another kind is one part (`part`), the others hold theirs."""

    __slots__ = ("done", "id", "index", "kind", "part", "parts")

    def __init__(self, index: int, kind: str, id: str) -> None:
        self.index = index
        self.kind = kind
        self.id = id
        self.part: Part | None = None
        self.parts: dict[tuple[str, int], Part] = {}
        self.done = False

    def all_parts(self) -> list[Part]:
        return [*self.parts.values(), *([self.part] if self.part else [])]


class Parts:
    """Numbers the parts of an answer, and starts them."""

    def __init__(self) -> None:
        self.started = 0
        self.kinds: set[PartKind] = set()

    def hold(
        self,
        item: Item,
        at: str,
        index: int,
        kind: PartKind,
        made: list[AnyEvent],
        *,
        fields: dict[str, Any],
        unknown: dict[str, Any] | None = None,
    ) -> Part:
        """A part inside a message or a reasoning item. `fields` is the provider's object, text and all."""
        if item.done:
            raise MalformedError("a part of an item came after its end")
        place = {"output_index": item.index, at: index}
        if kind is PartKind.OTHER:
            fields = kept(fields, frozenset()) or {}
        else:
            fields = part_fields(fields)
            fields = {name: value for name, value in fields.items() if name not in ("annotations", "logprobs")}
        part = item.parts[at, index] = self._start(kind, place, fields, made, unknown=unknown)
        return part

    def tool_call(
        self, item: Item, fields: dict[str, Any], unknown: dict[str, Any] | None, made: list[AnyEvent]
    ) -> None:
        call_id = typed(fields.get("call_id") or "", str, "a tool call's call_id")
        name = typed(fields.get("name") or "", str, "a tool call's name")
        rest = tool_fields(fields)
        item.part = self._start(
            PartKind.TOOL_CALL, {"output_index": item.index}, rest, made, unknown=unknown, call=(call_id, name)
        )

    def other(self, item: Item, fields: dict[str, Any], unknown: dict[str, Any] | None, made: list[AnyEvent]) -> None:
        item.part = self._start(PartKind.OTHER, {"output_index": item.index}, fields, made, unknown=unknown)

    def _start(
        self,
        kind: PartKind,
        place: dict[str, Any],
        fields: dict[str, Any],
        made: list[AnyEvent],
        *,
        unknown: dict[str, Any] | None = None,
        call: tuple[str, str] = ("", ""),
    ) -> Part:
        if self.started >= PARTS_MAX:
            raise MalformedError(f"it has more than {PARTS_MAX} parts")
        extra = Extra(unknown, place, storable(fields) if fields else None)
        part = Part(self.started, kind, place, fields)
        made.append(PartStarted(0, self.started, kind, *call, extra))
        self.started += 1
        self.kinds.add(kind)
        return part


def part_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """What a content part of a known kind says beside its text."""
    found = kept(fields, frozenset({"type", "text", "refusal"})) or {}
    for name in ("annotations", "logprobs"):
        if type(found.get(name)) is not list or not found[name]:
            found.pop(name, None)
    return found


def tool_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """What a tool call says beside its name, its id and its text."""
    found = kept(fields, frozenset({"call_id", "name", "arguments", "input"})) or {}
    if found.get("type") == "function_call":
        del found["type"]
    if found.get("status") in _PROGRESS:
        del found["status"]
    return found
