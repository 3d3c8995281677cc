"""The items of a provider's answer, and the parts in them: begun, found again, ended; whatever a server leaves out.

    output_item.added -> content_part.added, deltas, content_part.done -> output_item.done

An event is about the item of its ``item_id``, else that of its ``output_index``, else the last one. Items and parts
that nobody began are begun with the first event about them, and the end of an item has all of it once more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from headgate.dialects.fields import MalformedError, kept, storable, typed
from headgate.dialects.openai_responses.output import HOLDERS, ITEM_ADDED, ITEM_DONE, TOOLS
from headgate.dialects.openai_responses.parts import PARTS_MAX, Item, Part, Parts, part_fields, tool_fields
from headgate.events import AnyEvent, Extra, Opaque, PartKind

INDEX_MAX: Final = 2**31
CONTENT, SUMMARY = "content_index", "summary_index"
PLACE: Final = frozenset({"type", "sequence_number", "obfuscation", "item_id", "output_index", "content_index"})
"""Fields of an event that say where it belongs, or nothing."""
_KINDS: Final = {
    "output_text": PartKind.TEXT,
    "text": PartKind.TEXT,
    "refusal": PartKind.REFUSAL,
    "reasoning_text": PartKind.REASONING,
    "summary_text": PartKind.REASONING,
}
_PART_FIELDS: Final = PLACE | {"summary_index", "part"}
_ITEM_FIELDS: Final = frozenset({"type", "sequence_number", "obfuscation", "output_index", "item"})
_TYPE_FIELD: Final = frozenset({"type"})


class Items:
    """What is known of the items of one answer, `all` of them in the order in which they turned up."""

    def __init__(self) -> None:
        self.all: list[Item] = []
        self._parts = Parts()
        self._by_index: dict[int, Item] = {}  # the provider's output_index
        self._by_id: dict[str, Item] = {}

    @property
    def kinds(self) -> set[PartKind]:
        """Kinds of the parts so far."""
        return self._parts.kinds

    def added(self, event: dict[str, Any], made: list[AnyEvent]) -> None:
        if event.get("item") is None:
            return
        fields = typed(event["item"], dict, "an item")
        index = index_of(event, "output_index", -1)
        known = self._by_index.get(index)
        if known is None or known.done or known.kind != fields.get("type") or known.id not in ("", fields.get("id")):
            self.create(index, fields, kept(event, _ITEM_FIELDS), made)

    def ended(self, event: dict[str, Any], made: list[AnyEvent]) -> None:
        if event.get("item") is None:
            return
        fields = typed(event["item"], dict, "an item")
        index = index_of(event, "output_index", -1)
        id = fields.get("id")
        item = (self._by_id.get(id) if type(id) is str else None) or self._by_index.get(index)
        if item is None or item.kind != fields.get("type", item.kind):
            item = self.create(index, fields, None, made)
        if not item.done:
            self._end_item(item, fields, kept(event, _ITEM_FIELDS) or {}, made)

    def part_added(self, event: dict[str, Any], made: list[AnyEvent]) -> None:
        at = SUMMARY if event["type"].startswith("response.reasoning_summary") else CONTENT
        content = typed(event.get("part") or {}, dict, "part")
        item, index = self.holder(event, at, made), index_of(event, at, 0)
        if (at, index) not in item.parts:
            self.hold(item, at, index, content, made, unknown=kept(event, _PART_FIELDS))

    def part_ended(self, event: dict[str, Any], made: list[AnyEvent]) -> None:
        at = SUMMARY if event["type"].startswith("response.reasoning_summary") else CONTENT
        content = typed(event.get("part") or {}, dict, "part")
        item, index = self.holder(event, at, made), index_of(event, at, 0)
        part = item.parts.get((at, index)) or self.hold(item, at, index, content, made)
        part.note(event, _PART_FIELDS)
        self._end_part(part, content, made)

    def settle(self, position: int, fields: dict[str, Any], settled: set[int], made: list[AnyEvent]) -> None:
        """An item of the final response: nearly always one that was streamed already, under its id or in its place."""
        kind, id = fields.get("type"), fields.get("id")
        item = self._by_id.get(id) if type(id) is str else None
        if item is None or item.index in settled:
            there = self.all[position] if position < len(self.all) else None
            item = there if there is not None and there.kind == kind and position not in settled else None
        if item is None:
            item = self.create(-1, fields, None, made)
        settled.add(item.index)
        if not item.done:
            self._end_item(item, fields, {}, made)

    def create(self, index: int, fields: dict[str, Any], unknown: dict[str, Any] | None, made: list[AnyEvent]) -> Item:
        if len(self.all) >= PARTS_MAX:
            raise MalformedError(f"it has more than {PARTS_MAX} items")
        kind = typed(fields.get("type") or "message", str, "the type of an item")
        item = Item(len(self.all), kind, typed(fields.get("id") or "", str, "the id of an item"))
        self.all.append(item)
        if index >= 0:
            self._by_index[index] = item
        if item.id:
            self._by_id[item.id] = item
        if kind in HOLDERS:
            rest = {"type": kind} | (kept(fields, frozenset(["type", *HOLDERS[kind]])) or {})
            shown = {"type": ITEM_ADDED, "output_index": item.index, "item": rest} | (unknown or {})
            made.append(Opaque(0, Extra(response=storable(shown))))
        elif kind in TOOLS:
            self._parts.tool_call(item, fields, unknown, made)
        else:
            self._parts.other(item, {"type": kind} | (kept(fields, _TYPE_FIELD) or {}), unknown, made)
        return item

    def hold(
        self,
        item: Item,
        at: str,
        index: int,
        content: dict[str, Any],
        made: list[AnyEvent],
        *,
        unknown: dict[str, Any] | None = None,
    ) -> Part:
        word = typed(content.get("type", "text"), str, "the type of a content part")
        kind = _KINDS.get(word, PartKind.OTHER)
        if item.kind == "reasoning" and kind is PartKind.TEXT:
            kind = PartKind.REASONING  # Open Responses has reasoning as output_text
        return self._parts.hold(item, at, index, kind, made, fields=content, unknown=unknown)

    def _end_item(self, item: Item, fields: dict[str, Any], unknown: dict[str, Any], made: list[AnyEvent]) -> None:
        """The end of an item, which has all of its text once more: some servers give it nowhere else."""
        part = item.part
        if part is not None and item.kind in TOOLS:
            text = fields.get("input" if item.kind == "custom_tool_call" else "arguments")
            part.complete(text, made)
        for at, field in ((SUMMARY, "summary"), (CONTENT, "content")):
            if item.kind in HOLDERS and field in HOLDERS[item.kind]:
                for index, held in enumerate(typed(fields.get(field) or [], list, field)):
                    content = typed(held, dict, "a content part")
                    found = item.parts.get((at, index)) or self.hold(item, at, index, content, made)
                    self._end_part(found, content, made)
        self.close(item, fields, unknown, made)

    def _end_part(self, part: Part, content: dict[str, Any], made: list[AnyEvent]) -> None:
        text = content.get("refusal") if part.kind is PartKind.REFUSAL else content.get("text")
        part.complete(text, made)
        if part.kind is PartKind.OTHER:
            part.close(kept(content, _TYPE_FIELD) or {}, made)
        else:
            part.close(part_fields(content), made)

    def close(self, item: Item, fields: dict[str, Any], unknown: dict[str, Any], made: list[AnyEvent]) -> None:
        item.done = True
        for part in item.parts.values():
            part.close({}, made)
        part_ = item.part
        if item.kind in HOLDERS:
            rest = kept(fields, frozenset(["type", "id", *HOLDERS[item.kind]])) or {}
            rest = {"type": item.kind} | rest | ({"id": item.id} if item.id else {})
            event = {"type": ITEM_DONE, "output_index": item.index, "item": rest} | unknown
            made.append(Opaque(0, Extra(response=storable(event))))
        elif part_ is not None:
            if unknown:
                part_.unknown[ITEM_DONE] = storable(unknown)
            said = tool_fields(fields) if item.kind in TOOLS else kept(fields, _TYPE_FIELD) or {}
            said.pop("id", None)
            part_.close(said, made)

    def holder(self, event: dict[str, Any], at: str, made: list[AnyEvent]) -> Item:
        """The message or the reasoning that an event is about; begun, if nobody did."""
        item = self.find(event)
        if item is None or item.kind not in HOLDERS:
            reasons = at == SUMMARY or event["type"].startswith("response.reasoning")
            fields = {"type": "reasoning" if reasons else "message", "id": event.get("item_id")}
            item = self.create(index_of(event, "output_index", -1), fields, None, made)
        return item

    def find(self, event: dict[str, Any]) -> Item | None:
        """The item an event is about: ids are surer than indices, and an event that names none is about the last."""
        index, id = event.get("output_index"), event.get("item_id")
        if index is None and id is None:
            return self.all[-1] if self.all else None
        item = self._by_id.get(id) if type(id) is str else None
        return item or self._by_index.get(index_of(event, "output_index", -1))

    def start(self, item: Item, at: str, index: int, kind: PartKind, made: list[AnyEvent]) -> Part:
        """A part that nobody began."""
        return self._parts.hold(item, at, index, kind, made, fields={})

    def end(self, made: list[AnyEvent]) -> None:
        """The answer is whole: so is every item."""
        for item in self.all:
            if not item.done:
                self.close(item, {}, {}, made)


def index_of(event: dict[str, Any], name: str, default: int) -> int:
    """An index in an event; `default` for none."""
    index = event.get(name)
    if index is None:
        return default
    if not 0 <= (number := typed(index, int, name)) <= INDEX_MAX:
        raise MalformedError(f"{name} is {number}")
    return number


HANDLERS: Final[dict[str, Callable[[Items, dict[str, Any], list[AnyEvent]], None]]] = {
    ITEM_ADDED: Items.added,
    ITEM_DONE: Items.ended,
    "response.content_part.added": Items.part_added,
    "response.content_part.done": Items.part_ended,
    "response.reasoning_summary_part.added": Items.part_added,
    "response.reasoning_summary_part.done": Items.part_ended,
}
