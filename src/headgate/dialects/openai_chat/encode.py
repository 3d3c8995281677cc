"""OpenAI Chat Completions, client side: events -> frames.

The token path is `StreamEncoder._text`: everything of a frame that does not change between two tokens of a part is
kept as bytes, so a token costs one JSON string and one join.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.dialects.calls import NO_ARGUMENTS, made_up_call_id, may_end_without
from headgate.dialects.compact import compact_json, compact_text
from headgate.dialects.openai_chat.objects import (
    NAME,
    called,
    finish_word,
    reasoning_name,
    terminal_error,
    tool_call,
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
_FIELD_OF_KIND: Final = {PartKind.TEXT: "content", PartKind.REFUSAL: "refusal"}
_MARK: Final = "\x00"
"""Stands for the text while the frame around it is made."""

_encode: Final = msgspec.json.Encoder().encode


class _Part:
    """What the encoder keeps of a part: where its text goes, and the frame around it."""

    __slots__ = ("done", "field", "head", "is_custom", "said", "tail", "tool_index")

    def __init__(self, *, field: str = "", tool_index: int = -1, is_custom: bool = False) -> None:
        self.field = field
        self.tool_index = tool_index
        self.is_custom = is_custom
        self.done = False
        self.said = False  # it had text, or something was taken back from it
        self.head = b""  # filled lazily; dropped when what stands in every frame changes
        self.tail = b""

    def delta(self, text: str, extra: dict[str, Any] | None = None) -> dict[str, Any]:
        """A delta object with this text, and `extra` beside it: in a tool call's case inside the call."""
        if self.field:
            return {self.field: text} | (extra or {})
        function = {"custom": {"input": text}} if self.is_custom else {"function": {"arguments": text}}
        return {"tool_calls": [{"index": self.tool_index} | called(function, extra or {})]}


class StreamEncoder:
    """Stage (seq, event) -> bytes of SSE frames. Deterministic: the same events give the same bytes."""

    def __init__(self, *, include_usage: bool | None = None) -> None:
        self._include_usage = include_usage
        self._response_id = ""
        self._base: dict[str, Any] = {}
        self._base_bytes = b""
        self._same = False  # the answering attempt speaks this dialect: what else it said is shown
        self._choices = 1
        self._asked: dict[str, Any] = {}  # `_base` before any attempt says anything
        self._parts: dict[tuple[int, int], _Part | None] = {}  # None: of another dialect's own kind, not shown
        self._latest: _Part | None = None  # that of the last text: mostly the next one's as well
        self._latest_choice = self._latest_part = -1
        self._tools: dict[int, int] = {}  # choice -> tool calls so far
        self._begun: set[int] = set()
        self._done: dict[int, ChoiceDone] = {}
        self._usage: Usage | None = None

    def feed(self, seq: int, event: AnyEvent) -> bytes:
        if type(event) is not _DELTA:
            return self._rare(seq, event)
        choice, text, extra = event.choice, event.text, event.extra
        part = self._part(choice, event.part)
        if part is None:
            return b""
        if extra is not None:
            if self._same:
                return self._frame(seq, choice, part.delta(text, extra.delta), extra)
            if not text:  # it was for readers of another dialect
                return b""
        return self._text(seq, choice, part, text)

    def _part(self, choice: int, index: int) -> _Part | None:
        if index != self._latest_part or choice != self._latest_choice:
            self._latest = self._parts[choice, index]
            self._latest_choice, self._latest_part = choice, index
        return self._latest

    def _text(self, seq: int, choice: int, part: _Part, text: str) -> bytes:
        if not part.head:
            frame = self._chunk([{"index": choice, "delta": part.delta(_MARK), "finish_reason": None}])
            head, _, tail = frame.rpartition(_encode(_MARK))
            if not text:
                return b"id: %d\n%b%b%b" % (seq, head, compact_text(text), tail)
            part.head, part.tail, part.said = head, tail, True
        return b"id: %d\n%b%b%b" % (seq, part.head, compact_text(text), part.tail)

    def _rare(self, seq: int, event: AnyEvent) -> bytes:
        match event:
            case ResponseStarted():
                self._start(event)
            case AttemptStarted():
                self._attempt(event)
            case AttemptDescribed():
                self._describe(event)
            case PartStarted():
                return self._part_started(seq, event)
            case Opaque() if self._same:
                return self._frame(seq, event.choice, event.extra.delta or {}, event.extra)
            case ChoiceDone():
                self._done[event.choice] = event
            case Usage():
                self._usage = event
            case PartDone():
                part = self._parts[event.choice, event.part]
                if part is not None:
                    part.done = True
            case Retracted():
                part = self._parts[event.choice, event.part]
                if part is not None:
                    part.said = True
                    return self._text(seq, event.choice, part, event.replacement) if event.replacement else b""
            case Terminal():
                return self._terminal(seq, event)
            case _:
                pass
        return b""

    def _start(self, event: ResponseStarted) -> None:
        self._response_id = event.id
        self._choices = event.choices
        if self._include_usage is None:
            self._include_usage = event.include_usage
        self._asked = {
            "id": f"chatcmpl-{suffix(event.id)}",
            "object": "chat.completion.chunk",
            "created": event.created_at,
            "model": event.model,
        }
        self._rebase(self._asked)

    def _attempt(self, event: AttemptStarted) -> None:
        """What another attempt said of its answer holds no longer."""
        self._same = event.dialect == NAME
        self._rebase(self._asked)

    def _describe(self, event: AttemptDescribed) -> None:
        model = {"model": event.model} if event.model else {}
        envelope = (event.envelope if self._same else None) or {}
        self._rebase(self._base | model | envelope)

    def _rebase(self, base: dict[str, Any]) -> None:
        """Change what stands in every frame from here on."""
        self._base = base
        self._base_bytes = compact_json(base)[:-1]
        for part in self._parts.values():
            if part is not None:
                part.head = b""

    def _part_started(self, seq: int, event: PartStarted) -> bytes:
        if event.kind is PartKind.OTHER:
            self._parts[event.choice, event.part] = None
            return b""
        delta: dict[str, Any] = {}
        earlier = b""
        if event.choice not in self._begun:
            earlier = self._begin_upto(event.choice)
            delta = {"role": "assistant", "content": "" if event.kind is PartKind.TEXT else None}
        if event.kind is PartKind.TOOL_CALL:
            part, call = self._tool_call(event)
            delta["tool_calls"] = [call]
        elif event.kind is PartKind.REASONING:
            part = _Part(field=reasoning_name(event) if self._same else "reasoning_content")
        else:
            part = _Part(field=_FIELD_OF_KIND[event.kind])
        self._parts[event.choice, event.part] = part
        return earlier + self._frame(seq, event.choice, delta) if delta else b""

    def _begin_upto(self, choice: int) -> bytes:
        """Mark `choice` as begun, and show those before it: SDKs count choices by the order in which they turn up."""
        missing = [index for index in range(choice) if index not in self._begun]
        self._begun.update(missing, [choice])
        shown = [{"index": index, "delta": {"role": "assistant"}, "finish_reason": None} for index in missing]
        return b"".join([self._chunk([item]) for item in shown])

    def _tool_call(self, event: PartStarted) -> tuple[_Part, dict[str, Any]]:
        extra = (event.extra.delta if event.extra and self._same else None) or {}
        index = self._tools.get(event.choice, 0)
        self._tools[event.choice] = index + 1
        tool_id = event.tool_id or made_up_call_id(self._response_id, event.choice, event.part)
        call = {"index": index} | tool_call(tool_id, event.tool_name, "", extra)
        return _Part(tool_index=index, is_custom=call["type"] == "custom"), call

    def _terminal(self, seq: int, event: Terminal) -> bytes:
        if not event.status.successful:
            return b"id: %d\ndata: %b\n\n" % (seq, terminal_error(event, same_dialect=self._same))
        frames = []
        for index in range(self._choices):
            done = self._done.get(index)
            if not self._same:
                frames.append(self._without_arguments(index, done))
            extra = done.extra if done is not None and self._same else None
            word = finish_word(done, event.status, same_dialect=self._same)
            frames.append(self._choice_chunk(index, (extra.delta if extra else None) or {}, extra, word))
        if self._include_usage and self._usage is not None:
            frames.append(self._chunk([], {"usage": usage_object(self._usage, same_dialect=self._same)}))
        frames.append(b"id: %d\ndata: [DONE]\n\n" % seq)
        return b"".join(frames)

    def _without_arguments(self, choice: int, done: ChoiceDone | None) -> bytes:
        """What calls of a choice have in place of arguments that never came. Known at the end: they may have been cut."""
        reason = done.reason if done is not None else None
        frames = []
        for (of, number), part in self._parts.items():
            if of != choice or part is None or part.tool_index < 0 or part.said or not part.done:
                continue
            if may_end_without(reason, is_last=(choice, number + 1) not in self._parts):
                frames.append(self._choice_chunk(choice, part.delta(NO_ARGUMENTS), None, None))
        return b"".join(frames)

    def _frame(self, seq: int, choice: int, delta: dict[str, Any], extra: Extra | None = None) -> bytes:
        return b"id: %d\n%b" % (seq, self._choice_chunk(choice, delta, extra, None))

    def _choice_chunk(self, index: int, delta: dict[str, Any], extra: Extra | None, finish_reason: str | None) -> bytes:
        beside = (extra.choice if extra else None) or {}
        choice = {"index": index, "delta": delta} | beside | {"finish_reason": finish_reason}
        return self._chunk([choice], extra.response if extra else None)

    def _chunk(self, choices: list[dict[str, Any]], fields: dict[str, Any] | None = None) -> bytes:
        tail = b"," + compact_json(fields)[1:] if fields else b"}"
        return b'data: %b,"choices":%b%b\n\n' % (self._base_bytes, compact_json(choices), tail)
