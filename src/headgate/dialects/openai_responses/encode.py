"""The Responses dialect, client side: events -> frames.

Every frame has a ``sequence_number``: the number of frames before it, which the log alone decides. The token path is
`StreamEncoder._text`: everything of a frame that does not change between two tokens of a part is kept as bytes. The
text itself is kept too, because a part, an item and the response each end with all of it.

Whether an item is complete may only be known when the choice is done: the last one, and a call whose arguments are no
JSON, wait for that with their ``output_item.done``.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from headgate.assemble import Fold, PartFold
from headgate.dialects.calls import NO_ARGUMENTS
from headgate.dialects.compact import compact_json, compact_text
from headgate.dialects.openai_responses.objects import response_fields
from headgate.dialects.openai_responses.output import ITEM_ADDED, ITEM_DONE, NAME, Item, Output, Piece
from headgate.events import (
    AnyEvent,
    AttemptStarted,
    ChoiceDone,
    Delta,
    Extra,
    Opaque,
    PartDone,
    PartKind,
    PartStarted,
    ResponseStarted,
    Retracted,
    Status,
    Terminal,
)

_DELTA: Final = Delta  # of this module: a name from an interpreted one is looked up each time
_ENDINGS: Final = {
    Status.COMPLETED: "response.completed",
    Status.REFUSED: "response.completed",
    Status.TRUNCATED: "response.incomplete",
    Status.FILTERED: "response.incomplete",
    Status.BLOCKED: "response.incomplete",
}
"""The last frame of a stream; for every other status ``response.failed``."""
_WORDS_OF_OURS: Final = "created queued in_progress completed incomplete failed cancelled done error"
OURS: Final = frozenset(["error", *(f"response.{word}" for word in _WORDS_OF_OURS.split())])
"""Types that are made from our own log only, whatever a provider's event says (law 3)."""

_encode: Final = msgspec.json.Encoder().encode


class _Words(NamedTuple):
    """What the events of a part are called: ``<stem>.delta``, ``<stem>.done``, and the field that has all of its text."""

    stem: str
    field: str


_WORDS: Final = {
    (PartKind.TEXT, "content_index"): _Words("response.output_text", "text"),
    (PartKind.REFUSAL, "content_index"): _Words("response.refusal", "refusal"),
    (PartKind.REASONING, "content_index"): _Words("response.reasoning_text", "text"),
    (PartKind.REASONING, "summary_index"): _Words("response.reasoning_summary_text", "text"),
    (PartKind.TOOL_CALL, ""): _Words("response.function_call_arguments", "arguments"),
}
_CUSTOM: Final = _Words("response.custom_tool_call_input", "input")


class _Line:
    """What the encoder keeps of a part: the frame around its text, and where the text is collected."""

    __slots__ = ("append", "head", "item", "middle", "piece", "tail", "words")

    def __init__(self, item: Item, piece: Piece, words: _Words | None) -> None:
        self.item = item
        self.piece = piece
        self.append = piece.part.append
        self.words = words
        self.head = self.middle = self.tail = b""
        if words is not None:
            kind = f"{words.stem}.delta"
            self.head = b'\nevent: %b\ndata: {"type":"%b","sequence_number":' % (kind.encode(), kind.encode())
            self.middle = b"," + compact_json(self.place())[1:-1] + b',"delta":'
            self.tail = b',"logprobs":[]}\n\n' if words.stem == "response.output_text" else b"}\n\n"

    def place(self) -> dict[str, Any]:
        """Where the part stands, as every event of it says."""
        place: dict[str, Any] = {"item_id": self.item.id, "output_index": self.item.index}
        return place | {self.piece.at: self.piece.index} if self.piece.at else place

    @property
    def part_event(self) -> str:
        """Stem of the events that begin and end it inside its item."""
        return "response.reasoning_summary_part" if self.piece.at == "summary_index" else "response.content_part"


_Made = tuple[str, dict[str, Any]]
"""Type and fields of an event that is to be framed."""


class StreamEncoder:
    """Stage (seq, event) -> bytes of SSE frames. Deterministic: the same events give the same bytes.

    Frames up to the sequence number `starting_after` are counted and not sent. `extensions` adds events of our own.
    `end_marker` ends the stream with ``[DONE]``, as Open Responses wants it over HTTP whatever the response came to.
    """

    def __init__(self, *, starting_after: int | None = None, extensions: bool = False, end_marker: bool = True) -> None:
        self._end_marker = end_marker
        self._after = -1 if starting_after is None else starting_after
        self._extensions = extensions
        self._number = 0
        self._fold = Fold()
        self._output = Output("", 0, same_dialect=False)
        self._same = False  # the answering attempt speaks this dialect: what else it said is shown
        self._beside_end: dict[str, Any] = {}  # what stood beside the response in the provider's last event
        self._lines: dict[int, _Line] = {}
        self._shown: set[int] = set()  # indices of items whose end was shown
        self._waiting: dict[int, dict[str, Any]] = {}  # indices of items whose end waits -> fields beside the item

    def feed(self, seq: int, event: AnyEvent) -> bytes:
        if type(event) is _DELTA and (event.extra is None or not self._same):
            line = self._lines.get(event.part)
            if line is None or line.words is None or event.choice:
                return b""
            text = event.text
            line.append(seq, text)
            return self._text(seq, line, text)
        return self._rare(seq, event)

    def _text(self, seq: int, line: _Line, text: str) -> bytes:
        number = self._number
        self._number = number + 1
        if number <= self._after:
            return b""
        return b"id: %d%b%d%b%b%b" % (seq, line.head, number, line.middle, compact_text(text), line.tail)

    def _rare(self, seq: int, event: AnyEvent) -> bytes:
        if getattr(event, "choice", 0):
            return b""  # this dialect knows one choice
        self._fold.feed(seq, event)
        match event:
            case ResponseStarted():
                self._output = Output(event.id, 0, same_dialect=False)
                response = self._response()
                return self._send(
                    seq,
                    [("response.created", {"response": response}), ("response.in_progress", {"response": response})],
                )
            case AttemptStarted():
                self._same = self._output.same_dialect = event.dialect == NAME
            case PartStarted():
                return self._send(seq, self._part_started(event))
            case Delta() if event.part in self._lines and event.extra is not None:
                return self._send(seq, self._delta(self._lines[event.part], event.text, event.extra))
            case PartDone() if event.part in self._lines:
                return self._send(seq, self._part_done(self._lines[event.part], event.extra))
            case ChoiceDone():
                self._output.end(event.reason)
                self._beside_end = (event.extra.response if event.extra and self._same else None) or {}
                return self._send(seq, self._released(ended=True))
            case Opaque() if self._same and event.extra.response:
                return self._send(seq, self._opaque(event.extra.response))
            case Retracted() if event.part in self._lines:
                return self._retracted(seq, self._lines[event.part], event)
            case Terminal():
                return self._terminal(seq, event)
            case _:
                pass
        return b""

    def _part_started(self, event: PartStarted) -> list[_Made]:
        begun = self._output.begin(event.part, self._part(event.part))
        if begun is None:
            return []
        item, piece, is_new = begun
        words = _WORDS.get((event.kind, piece.at))
        line = self._lines[event.part] = _Line(item, piece, _CUSTOM if item.kind == "custom_tool_call" else words)
        unknown = (event.extra.response if event.extra and self._same else None) or {}
        made = self._released()
        if is_new:
            empty = item.shown(ended=False) | ({"content": []} if item.kind in ("message", "reasoning") else {})
            made.append((ITEM_ADDED, {"output_index": item.index, "item": empty} | ({} if piece.at else unknown)))
        if piece.at:
            made.append((f"{line.part_event}.added", line.place() | {"part": piece.shown()} | unknown))
        return made

    def _delta(self, line: _Line, text: str, extra: Extra) -> list[_Made]:
        """A delta with something beside its text; it is in the fold already."""
        if line.words is None:
            return []
        fields: dict[str, Any] = line.place() | {"delta": text}
        if line.words.stem == "response.output_text":
            fields["logprobs"] = []
        return [(f"{line.words.stem}.delta", fields | (extra.delta or {}) | (extra.response or {}))]

    def _part_done(self, line: _Line, extra: Extra | None, *, ended: bool = False) -> list[_Made]:
        item, piece = line.item, line.piece
        unknown = (extra.response if extra and self._same else None) or {}
        made: list[_Made] = []
        if line.words is not None and not self._output.is_silent(item):
            done = f"{line.words.stem}.done"
            fields: dict[str, Any] = line.place() | {line.words.field: piece.part.text}
            if line.words.stem == "response.output_text":
                fields["logprobs"] = piece.shown()["logprobs"]
            made.append((done, fields | unknown.get(done, {})))
        if piece.at:
            done = f"{line.part_event}.done"
            made.append((done, line.place() | {"part": piece.shown()} | unknown.get(done, {})))
        return made if item.announced else made + self._item_done(item, unknown.get(ITEM_DONE, {}), ended=ended)

    def _item_done(self, item: Item, unknown: dict[str, Any], *, ended: bool = False) -> list[_Made]:
        """The end of an item, unless it has to wait. `ended` says that nothing follows."""
        self._shown.add(item.index)
        if not ended and self._output.may_be_cut(item):
            self._waiting[item.index] = unknown
            return []
        made: list[_Made] = []
        if self._output.is_silent(item):
            self._output.settle(item)
            made = _arguments(item)
        return [*made, (ITEM_DONE, {"output_index": item.index, "item": item.shown(ended=ended)} | unknown)]

    def _released(self, *, ended: bool = False) -> list[_Made]:
        """Ends of items that need not wait any longer, in the order in which they came."""
        waiting, self._waiting = self._waiting, {}
        made: list[_Made] = []
        for index, unknown in waiting.items():
            item = self._output.item(index)
            assert item is not None
            made += self._item_done(item, unknown, ended=ended)
        return made

    def _opaque(self, event: dict[str, Any]) -> list[_Made]:
        """An event of the provider's, with the ids and the text of our log in it."""
        kind = event.get("type")
        if type(kind) is not str or kind in OURS:
            return []
        fields = {name: value for name, value in event.items() if name not in ("type", "item")}
        item = self._output.take(event) or self._output.item(event.get("output_index"))
        if kind == ITEM_DONE and item is not None:
            return self._item_done(item, fields)
        if kind == ITEM_ADDED and item is not None:
            return [*self._released(), (kind, fields | {"item": item.shown(ended=False)})]
        if item is not None and "item_id" in fields:
            fields["item_id"] = item.id
        return [(kind, fields | {"item": event["item"]} if "item" in event else fields)]

    def _retracted(self, seq: int, line: _Line, event: Retracted) -> bytes:
        """Nobody here has seen what is taken back: what stands in its place goes on where the text ends."""
        told = b""
        if self._extensions:
            fields = line.place() | {"from_char": event.from_char, "reason": event.reason}
            told = self._send(seq if not event.replacement else 0, [("headgate.retracted", fields)])
        return told + self._text(seq, line, event.replacement) if event.replacement else told

    def _terminal(self, seq: int, event: Terminal) -> bytes:
        made = self._released(ended=True)
        if event.status.successful:
            for number, line in self._lines.items():
                if not self._part(number).done:
                    made += self._part_done(line, None, ended=True)
            for item in self._output.in_order():
                if item.announced and item.index not in self._shown:
                    made += self._item_done(item, {}, ended=True)
        ending = _ENDINGS.get(event.status, "response.failed")
        made.append((ending, {"response": self._response()} | (self._beside_end if event.status.successful else {})))
        if not self._end_marker:
            return self._send(seq, made)
        return b"%bid: %d\ndata: [DONE]\n\n" % (self._send(0, made), seq)

    def _response(self) -> dict[str, Any]:
        return response_fields(self._fold, cancelled="failed")

    def _part(self, number: int) -> PartFold:
        return self._fold.choices[0].parts[number]

    def _send(self, seq: int, made: list[_Made]) -> bytes:
        """Frames of these events, without those up to `starting_after`; the last one has the id (0 for none)."""
        frames = []
        last = len(made) - 1
        for at, (kind, fields) in enumerate(made):
            number = self._number
            self._number = number + 1
            if number > self._after:
                data = compact_json({"type": kind, "sequence_number": number} | fields)
                id = b"id: %d\n" % seq if at == last and seq else b""
                frames.append(b"%bevent: %b\ndata: %b\n\n" % (id, kind.encode(), data))
        return b"".join(frames)


def _arguments(item: Item) -> list[_Made]:
    """Those of a call that said none: what stands for them, unless the call was cut."""
    place: dict[str, Any] = {"item_id": item.id, "output_index": item.index}
    stem = _WORDS[PartKind.TOOL_CALL, ""].stem
    arguments = NO_ARGUMENTS if item.without_arguments else ""
    made: list[_Made] = [(f"{stem}.delta", place | {"delta": arguments})] if arguments else []
    return [*made, (f"{stem}.done", place | {"arguments": arguments})]
