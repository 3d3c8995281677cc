"""Output items: how the parts of a log are grouped in this dialect, and what each item is called.

A log from another dialect has one item per part. In a log from a provider of this dialect, ``extra.choice`` of a part
says where it stood (``output_index``, and ``content_index`` or ``summary_index`` inside its item); messages and
reasoning, which hold several parts or none, are announced and closed by `Opaque` events that hold the provider's
``response.output_item.added`` and ``.done``. Text is never in those: it comes from the parts alone.
"""

from __future__ import annotations

from typing import Any, Final

from headgate.assemble import ChoiceFold, PartFold
from headgate.dialects.calls import NO_ARGUMENTS, is_silent, made_up_call_id, may_end_without
from headgate.dialects.fields import JSON_ERRORS, read_json
from headgate.events import PartKind, Reason
from headgate.ids import suffix

NAME: Final = "openai-responses"
ITEM_ADDED: Final = "response.output_item.added"
ITEM_DONE: Final = "response.output_item.done"
ANNOTATION_ADDED: Final = "response.output_text.annotation.added"
HOLDERS: Final = {"message": ("content",), "reasoning": ("summary", "content")}
"""Items that hold parts, and the fields they hold them in."""
PREFIXES: Final = {"message": "msg", "reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc"}
"""What OpenAI wants the id of an item to begin with when a client sends it back."""
TOOLS: Final = frozenset({"function_call", "custom_tool_call"})
CUTTING: Final = frozenset({Reason.LENGTH, Reason.CONTENT_FILTER})
"""Ends of an answer that is not whole: what was being said is incomplete."""
_ITEM_OF_KIND: Final = {PartKind.TEXT: "message", PartKind.REFUSAL: "message", PartKind.REASONING: "reasoning"}


class Piece:
    """A part of the log, and where it stands in its item: `at` is ``content_index``, ``summary_index`` or empty."""

    __slots__ = ("annotations", "at", "index", "part", "same")

    def __init__(self, part: PartFold, at: str, index: int, *, same: bool) -> None:
        self.part = part
        self.at = at
        self.index = index
        self.same = same
        self.annotations: list[Any] = []

    def fields(self) -> dict[str, Any]:
        """What the provider said of the part beside its text. What came at its start or end says where it stood."""
        if not self.same:
            return {}
        found: dict[str, Any] = {}
        logprobs: list[Any] = []
        for extra in self.part.extras:
            if extra.choice is not None:
                found |= extra.delta or {}
            elif extra.delta is not None:
                logprobs += extra.delta.get("logprobs", ())
        return {"logprobs": logprobs} | found if logprobs else found

    def shown(self) -> dict[str, Any]:
        """The content part as far as it is known."""
        kind, text = self.part.kind, self.part.text
        fields = self.fields()
        if kind is PartKind.OTHER:
            return fields
        if kind is PartKind.REFUSAL:
            return {"type": "refusal", "refusal": text} | fields
        if kind is PartKind.REASONING:
            return {"type": "summary_text" if self.at == "summary_index" else "reasoning_text", "text": text} | fields
        return {"type": "output_text", "text": text, "annotations": self.annotations, "logprobs": []} | fields


class Item:
    """One output item. `fields` is what a provider of this dialect said of it; `announced` says that it also says its end."""

    __slots__ = (
        "_has_json",
        "announced",
        "call_id",
        "cut",
        "ended",
        "fields",
        "id",
        "index",
        "kind",
        "pieces",
        "without_arguments",
    )

    def __init__(self, index: int, kind: str, id: str, fields: dict[str, Any], *, announced: bool) -> None:
        given = fields.get("id")
        self.index = index
        self.kind = kind
        self.id = given if type(given) is str and given else id
        self.call_id = ""
        self.fields = fields
        self.announced = announced
        self.ended = False
        self.cut = False
        """The end of the answer cut it short; see `Output.end`."""
        self.without_arguments = False
        """A call that was meant to have none; see `Output.settle`."""
        self.pieces: list[Piece] = []
        self._has_json: bool | None = None

    @property
    def has_json(self) -> bool:
        """Whether the arguments of a call that is closed are whole."""
        if self._has_json is None:
            self._has_json = _is_json(self.pieces[0].part.text)
        return self._has_json

    @property
    def closed(self) -> bool:
        return self.ended if self.announced else all(piece.part.done for piece in self.pieces)

    def given(self) -> dict[str, Any]:
        """What a provider of this dialect said of it, first and last."""
        if self.pieces and self.kind not in HOLDERS:
            return {**self.fields, **self.pieces[0].fields()}
        return self.fields

    def shown(self, *, ended: bool) -> dict[str, Any]:
        """The item as far as it is known. `ended` says that nothing follows, so that what is open stays incomplete."""
        fields = self.given()
        extra = {name: value for name, value in fields.items() if name not in _OWN_FIELDS}
        if self.kind not in PREFIXES:
            return {"id": self.id, "type": self.kind, **{k: v for k, v in fields.items() if k not in ("id", "type")}}
        if self.closed:
            status = fields.get("status") or ("incomplete" if self.cut else "completed")
        else:
            status = "incomplete" if ended else "in_progress"
        if self.kind == "reasoning" and self.announced and not fields.get("status"):
            head = {"id": self.id, "type": self.kind}  # providers give it none, and take none back
        else:
            head = {"id": self.id, "type": self.kind, "status": status}
        return head | self._body() | extra

    def _body(self) -> dict[str, Any]:
        if self.kind == "message":
            return {"role": self.fields.get("role") or "assistant", "content": self._held("content_index")}
        if self.kind == "reasoning":
            content = self._held("content_index")
            return {"summary": self._held("summary_index")} | (
                {"content": content} if content or not self.announced else {}
            )
        started, text = self.pieces[0].part.started, self.pieces[0].part.text
        field = "input" if self.kind == "custom_tool_call" else "arguments"
        return {
            "call_id": self.call_id,
            "name": started.tool_name,
            field: NO_ARGUMENTS if self.without_arguments else text,
        }

    def _held(self, at: str) -> list[dict[str, Any]]:
        pieces = sorted([piece for piece in self.pieces if piece.at == at], key=lambda piece: piece.index)
        return [piece.shown() for piece in pieces]


_OWN_FIELDS: Final = frozenset({"id", "type", "status", "role", "content", "summary", "call_id", "name"})


class Output:
    """The output items of one choice; feed it the parts and the `Opaque` events of a log, or `take_all` of a fold."""

    def __init__(self, response_id: str, choice: int, *, same_dialect: bool) -> None:
        self.same_dialect = same_dialect
        self._response_id = response_id
        self._choice = choice
        self._items: dict[int, Item] = {}
        self._next = 0
        self._pieces: dict[tuple[int, str, int], Piece] = {}
        self._reason: Reason | None = None

    def may_be_cut(self, item: Item) -> bool:
        """Whether the item, closed as it is, is incomplete if the answer is cut short now.

        That is the last one, and a call whose arguments are no JSON yet. What a provider of this dialect says of an
        item is believed, and of calls it says nothing but that they are incomplete.
        """
        if item.kind not in PREFIXES or item.given().get("status"):
            return False
        if item.kind == "function_call" and not item.has_json:
            return True
        return item.index == self._next - 1 and not (self.same_dialect and item.kind in TOOLS)

    def end(self, reason: Reason) -> None:
        """The choice ended; nothing follows."""
        self._reason = reason
        for item in self._items.values():
            item.cut = reason in CUTTING and item.closed and self.may_be_cut(item)

    def is_silent(self, item: Item) -> bool:
        """Whether the item is a call that is done and never had arguments, from a provider of another dialect."""
        return not self.same_dialect and item.kind == "function_call" and is_silent(item.pieces[0].part)

    def settle(self, item: Item) -> None:
        """Nothing of the item is to come: decide whether a call without arguments was meant so."""
        item.without_arguments = self.is_silent(item) and may_end_without(
            self._reason, is_last=item.index == self._next - 1
        )

    def in_order(self) -> list[Item]:
        return [self._items[index] for index in sorted(self._items)]

    def item(self, index: Any) -> Item | None:
        """The item with this ``output_index``."""
        return self._items.get(index) if type(index) is int else None

    def take_all(self, choice: ChoiceFold) -> None:
        """Everything a fold knows of a choice."""
        events = [extra.response for extra in choice.extras if extra.response] if self.same_dialect else []
        for event in events:
            if event.get("type") == ITEM_ADDED:
                self.take(event)
        for number, part in enumerate(choice.parts):
            self.begin(number, part)
        for event in events:
            if event.get("type") != ITEM_ADDED:
                self.take(event)
        if choice.done is not None:
            self.end(choice.done.reason)
        for item in self._items.values():
            self.settle(item)

    def begin(self, number: int, part: PartFold) -> tuple[Item, Piece, bool] | None:
        """The item a part belongs to, its place there, and whether the item is new; None if it is nothing of ours."""
        started, same = part.started, self.same_dialect
        if started.kind is PartKind.OTHER and not same:
            return None
        extra = started.extra if same else None
        place, fields = (extra.choice if extra else None) or {}, (extra.delta if extra else None) or {}
        at = "summary_index" if "summary_index" in place else "content_index"
        held = started.kind in _ITEM_OF_KIND or at in place
        piece = Piece(part, at if held else "", place.get(at, 0), same=same)
        index = place.get("output_index", self._next)
        item = self._items.get(index)
        is_new = item is None
        if item is None:
            item = self._add(index, self._kind(part, fields, held=held), {} if held else fields, announced=False)
        if started.kind is PartKind.TOOL_CALL:
            item.call_id = started.tool_id or made_up_call_id(self._response_id, self._choice, number)
        item.pieces.append(piece)
        self._pieces[index, piece.at, piece.index] = piece
        return item, piece, is_new

    def take(self, event: dict[str, Any]) -> Item | None:
        """An event of the provider's as it came; returns the item that it begins or ends."""
        kind, index = event.get("type"), event.get("output_index")
        if type(index) is not int:
            return None
        if kind == ITEM_ADDED:
            fields = event["item"]
            return self._add(index, fields.get("type", "message"), fields, announced=True)
        item = self._items.get(index)
        if kind == ITEM_DONE and item is not None and item.announced:
            item.ended = True
            item.fields = {k: v for k, v in item.fields.items() if k != "status"} | event["item"]
            return item
        if kind == ANNOTATION_ADDED:
            piece = self._pieces.get((index, "content_index", event.get("content_index", 0)))
            if piece is not None:
                piece.annotations.append(event.get("annotation"))
        return None

    def _kind(self, part: PartFold, fields: dict[str, Any], *, held: bool) -> str:
        if part.kind is PartKind.TOOL_CALL:
            return "custom_tool_call" if fields.get("type") == "custom_tool_call" else "function_call"
        if part.kind is PartKind.OTHER and not held:
            return str(fields.get("type", "other"))
        return _ITEM_OF_KIND.get(part.kind, "message")

    def _add(self, index: int, kind: str, fields: dict[str, Any], *, announced: bool) -> Item:
        id = f"{PREFIXES.get(kind, 'item')}_{suffix(self._response_id)}_{self._choice}_{index}"
        item = self._items[index] = Item(index, kind, id, fields, announced=announced)
        self._next = max(self._next, index + 1)
        return item


def _is_json(text: str) -> bool:
    """Whether arguments are whole; none at all are."""
    if not text.strip():
        return True
    try:
        read_json(text)
    except JSON_ERRORS:
        return False
    return True
