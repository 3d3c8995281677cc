"""Gemini, client side: events -> frames.

Frames are ``data:`` lines and nothing else: the Python SDK raises on an ``id:``, an ``event:`` or a comment. The token
path is `StreamEncoder.feed`: everything of a frame that does not change between two tokens of a part is kept as bytes.
A call is shown once it is done, because a ``functionCall`` has its arguments as an object; only a provider of this
dialect that sent them in pieces has its pieces shown.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.dialects.calls import made_up_call_id
from headgate.dialects.compact import compact_text
from headgate.dialects.gemini.failures import terminal_error
from headgate.dialects.gemini.objects import (
    NAME,
    answer_json,
    blocked_prompt,
    call_part,
    candidate,
    finish_word,
    merged,
    text_part,
    usage_object,
)
from headgate.events import (
    AnyEvent,
    AttemptDescribed,
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
    Terminal,
    Usage,
)
from headgate.ids import suffix

_DELTA: Final = Delta  # of this module: a name from an interpreted one is looked up each time
_MARK: Final = "\x00"
"""Stands for the text while the frame around it is made."""

_encode: Final = msgspec.json.Encoder().encode


class _Part:
    """What the encoder keeps of a part: the frame around its text, or the pieces of a call."""

    __slots__ = ("arguments", "extras", "head", "is_done", "is_prose", "is_streamed", "started", "tail")

    def __init__(self, started: PartStarted, *, same: bool) -> None:
        self.started = started
        self.is_prose = started.kind is not PartKind.TOOL_CALL and started.kind is not PartKind.OTHER
        self.head = b""  # filled lazily; dropped when what stands in every frame changes
        self.tail = b""
        self.is_done = False
        self.arguments: list[str] = []
        self.extras: list[Extra] = [started.extra] if started.extra and same else []
        piece = (started.extra.delta or {}).get("functionCall") if started.extra and same else None
        self.is_streamed = isinstance(piece, dict) and (piece.get("willContinue") is True or "partialArgs" in piece)


class StreamEncoder:
    """Stage (seq, event) -> bytes of SSE frames. Deterministic: the same events give the same bytes."""

    def __init__(self) -> None:
        self._response_id = ""
        self._described: dict[str, Any] = {}
        self._same = False  # the answering attempt speaks this dialect: what else it said is shown
        self._shown = False  # something was
        self._choices = 1
        self._parts: dict[tuple[int, int], _Part] = {}
        self._calls: dict[int, list[_Part]] = {}  # choice -> calls that are not shown yet
        self._done: dict[int, ChoiceDone] = {}
        self._usage: Usage | None = None

    def feed(self, seq: int, event: AnyEvent) -> bytes:
        if type(event) is _DELTA:
            part = self._parts[event.choice, event.part]
            if part.is_prose and (event.extra is None or not self._same):
                if not part.head:
                    self._frame_around(part)
                return b"%b%b%b" % (part.head, compact_text(event.text), part.tail)
            return self._delta(event, part)
        return self._rare(event)

    def _frame_around(self, part: _Part) -> None:
        frame = self._frame(part.started.choice, text_part(part.started.kind, _MARK))
        part.head, _, part.tail = frame.partition(_encode(_MARK))

    def _rare(self, event: AnyEvent) -> bytes:
        match event:
            case ResponseStarted():
                self._response_id = event.id
                self._choices = event.choices
                self._described = {"modelVersion": event.model, "responseId": suffix(event.id)}
            case AttemptStarted():
                self._same = event.dialect == NAME
            case AttemptDescribed():
                self._describe(event)
            case PartStarted():
                return self._part_started(event)
            case PartDone():
                return self._part_done(event)
            case Opaque() if self._same:
                return self._frame(event.choice, {"text": ""} | (event.extra.delta or {}), event.extra)
            case ChoiceDone():
                self._done[event.choice] = event
            case Usage():
                self._usage = event
            case Retracted() if event.replacement:
                return self.feed(0, Delta(event.choice, event.part, event.replacement))
            case Terminal():
                return self._terminal(event)
            case _:
                pass
        return b""

    def _describe(self, event: AttemptDescribed) -> None:
        if event.model:
            self._described["modelVersion"] = event.model
        if event.envelope and self._same:
            self._described.update(event.envelope)
        for part in self._parts.values():
            part.head = b""

    def _part_started(self, event: PartStarted) -> bytes:
        part = self._parts[event.choice, event.part] = _Part(event, same=self._same)
        if event.kind is PartKind.TOOL_CALL and not part.is_streamed:
            self._calls.setdefault(event.choice, []).append(part)
        fields = event.extra.delta if event.extra and self._same else None
        if not fields:
            return b""
        if event.kind is PartKind.OTHER:
            return self._frame(event.choice, fields)
        if part.is_streamed:
            named = {"id": event.tool_id} if event.tool_id else {}
            call = named | {"name": event.tool_name} | fields["functionCall"]
            return self._frame(event.choice, fields | {"functionCall": call})
        return b""

    def _delta(self, event: Delta, part: _Part) -> bytes:
        """A delta with more than text, or of something that is not text."""
        extra = event.extra if self._same else None
        if part.is_prose:
            shown = text_part(part.started.kind, event.text, extra.delta if extra else None)
            return self._frame(event.choice, shown, extra)
        if part.started.kind is PartKind.OTHER:
            return b""
        if part.is_streamed:
            return self._frame(event.choice, (extra.delta or {}), extra) if extra else b""
        part.arguments.append(event.text)
        if extra:
            part.extras.append(extra)
        return b""

    def _part_done(self, event: PartDone) -> bytes:
        part = self._parts[event.choice, event.part]
        part.is_done = True
        return self._ready_calls(event.choice)

    def _ready_calls(self, choice: int, *, all_of_them: bool = False) -> bytes:
        """Frames of finished calls, in the order in which they began: one that ends early waits for those before it."""
        frames, waiting = b"", self._calls.get(choice, [])
        while waiting and (waiting[0].is_done or all_of_them):
            part = waiting.pop(0)
            frames += self._call(part) if part.is_done else b""
        return frames

    def _call(self, part: _Part) -> bytes:
        started = part.started
        call_id = started.tool_id
        if not call_id and not self._same:
            call_id = made_up_call_id(self._response_id, started.choice, started.part)
        shown = call_part(started, call_id, "".join(part.arguments), merged(part.extras, "delta"))
        part.arguments.clear()
        extra = Extra(merged(part.extras, "response"), merged(part.extras, "choice"))
        return self._frame(started.choice, shown, extra)

    def _terminal(self, event: Terminal) -> bytes:
        if not event.status.successful:
            return b"data: %b\n\n" % terminal_error(event, same_dialect=self._same)
        late = b"".join([self._ready_calls(choice, all_of_them=True) for choice in sorted(self._calls)])
        extras = [done.extra for done in self._done.values() if done.extra and self._same]
        candidates = None
        if self._shown or not (self._same and blocked_prompt(self._done.get(0))):
            candidates = [self._finished(index, event) for index in range(self._choices)]
        data = answer_json(
            candidates,
            self._described,
            usage=usage_object(self._usage, same_dialect=self._same) if self._usage else None,
            extra=merged(extras, "response"),
        )
        return b"%bdata: %b\n\n" % (late, data)

    def _finished(self, index: int, terminal: Terminal) -> dict[str, Any]:
        """The end of a candidate. Its empty text is there because the SDKs' chats drop a turn without parts."""
        done = self._done.get(index)
        extra = done.extra if done is not None and self._same else None
        word = finish_word(done, terminal.status, same_dialect=self._same)
        return candidate(index, [{"text": ""}], extra.choice if extra else None, word)

    def _frame(self, choice: int, part: dict[str, Any], extra: Extra | None = None) -> bytes:
        self._shown = True
        shown = candidate(choice, [part], extra.choice if extra else None)
        return b"data: %b\n\n" % answer_json([shown], self._described, extra=extra.response if extra else None)
