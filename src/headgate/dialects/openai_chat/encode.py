"""OpenAI Chat Completions, client side: events -> frames, and the fold -> a whole answer.

The token path is `StreamEncoder._text`: everything of a frame that does not change between two tokens of a part is
kept as bytes, so a token costs one JSON string and one join.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.assemble import ChoiceFold, Fold, PartFold
from headgate.dialects.openai_chat.failures import error_object
from headgate.errors import CODES
from headgate.events import (
    AnyEvent,
    AttemptDescribed,
    AttemptStarted,
    ChoiceDone,
    Delta,
    Opaque,
    PartKind,
    PartStarted,
    Reason,
    ResponseStarted,
    Retracted,
    Status,
    Terminal,
    Usage,
)
from headgate.ids import suffix

NAME: Final = "openai-chat"
DONE: Final = b"[DONE]"
REASONING_FIELD: Final = "reasoning_content"

_WORD_OF_REASON: Final = {
    Reason.STOP: "stop",
    Reason.TOOL_CALLS: "tool_calls",
    Reason.LENGTH: "length",
    Reason.REFUSAL: "stop",
    Reason.CONTENT_FILTER: "content_filter",
}
_FIELD_OF_KIND: Final = {PartKind.TEXT: "content", PartKind.REFUSAL: "refusal", PartKind.REASONING: REASONING_FIELD}

_encode = msgspec.json.Encoder().encode


def json_bytes(value: Any) -> bytes:
    """Compact JSON. U+0085, U+2028 and U+2029 are escaped: several clients take them for line ends (WIRE trap 1)."""
    data = _encode(value)
    if not data.isascii():
        data = (
            data.replace(b"\xc2\x85", b"\\u0085")
            .replace(b"\xe2\x80\xa8", b"\\u2028")
            .replace(b"\xe2\x80\xa9", b"\\u2029")
        )
    return data


def finish_word(done: ChoiceDone | None, status: Status) -> str:
    """``finish_reason`` of a choice in a log that ended with `status`: the status overrules what the provider said."""
    if status is Status.BLOCKED:
        return "content_filter"
    if done is None:
        return "stop"
    if done.reason is Reason.TOOL_CALLS and done.provider_reason == "function_call":
        return "function_call"
    return _WORD_OF_REASON[done.reason]


def usage_object(usage: Usage, *, same_dialect: bool) -> dict[str, Any]:
    if same_dialect and usage.provider is not None:
        return usage.provider
    shown: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    if usage.estimated:
        shown["estimated"] = True
    return shown


def terminal_error(terminal: Terminal) -> bytes:
    """The error object of a log that failed, was cancelled or expired."""
    code = CODES.get(terminal.code, CODES["internal"])
    return error_object(
        terminal.message, status=terminal.http_status or code.status, code=terminal.code, detail=terminal.detail
    )


class _Part:
    """What the encoder keeps of an open part: where its text goes, and the frame around it."""

    __slots__ = ("field", "head", "kind", "tail", "tool_index")

    def __init__(self, kind: PartKind, field: str, tool_index: int) -> None:
        self.kind = kind
        self.field = field
        self.tool_index = tool_index
        self.head = b""  # filled lazily; dropped when the envelope changes
        self.tail = b""


class StreamEncoder:
    """Stage (seq, event) -> bytes of SSE frames. Deterministic: the same events give the same bytes."""

    def __init__(self, *, include_usage: bool | None = None) -> None:
        self._include_usage = include_usage
        self._base: dict[str, Any] = {}
        self._base_bytes = b""
        self._dialect = ""
        self._choices = 1
        self._parts: dict[tuple[int, int], _Part] = {}
        self._tools: dict[int, int] = {}  # choice -> tool calls so far
        self._begun: set[int] = set()
        self._done: dict[int, ChoiceDone] = {}
        self._usage: Usage | None = None

    def feed(self, seq: int, event: AnyEvent) -> bytes:
        if type(event) is Delta:
            part = self._parts[event.choice, event.part]
            if event.extra is None:
                return self._text(seq, event, part)
            return self._delta_with_extra(seq, event, part)
        return self._rare(seq, event)

    def _text(self, seq: int, event: Delta, part: _Part) -> bytes:
        if not part.head:
            self._frame_around(event.choice, part)
        text = event.text
        data = _encode(text) if text.isascii() else json_bytes(text)
        return b"id: %d\n%b%b%b" % (seq, part.head, data, part.tail)

    def _frame_around(self, choice: int, part: _Part) -> None:
        """Cut the frame of a delta in two around its text."""
        mark = "\x00"
        frame = self._chunk([{"index": choice, "delta": self._delta_object(part, mark), "finish_reason": None}])
        part.head, part.tail = frame.split(_encode(mark))

    def _rare(self, seq: int, event: AnyEvent) -> bytes:
        match event:
            case ResponseStarted():
                self._start(event)
            case AttemptStarted():
                self._dialect = event.dialect
            case AttemptDescribed():
                self._describe(event)
            case PartStarted():
                return self._part_started(seq, event)
            case Opaque() if self._dialect == NAME:
                delta = self._role(event.choice) | (event.extra.delta or {})
                return self._with_id(seq, self._choice_frame(event, delta, event.extra.choice))
            case ChoiceDone():
                self._done[event.choice] = event
            case Usage():
                self._usage = event
            case Retracted() if event.replacement:
                return self._text(
                    seq, Delta(event.choice, event.part, event.replacement), self._parts[event.choice, event.part]
                )
            case Terminal():
                return self._terminal(seq, event)
            case _:
                pass
        return b""

    def _start(self, event: ResponseStarted) -> None:
        self._choices = event.choices
        if self._include_usage is None:
            self._include_usage = event.include_usage
        self._base = {
            "id": f"chatcmpl-{suffix(event.id)}",
            "object": "chat.completion.chunk",
            "created": event.created_at,
            "model": event.model,
        }
        self._base_bytes = _open_object(self._base)

    def _describe(self, event: AttemptDescribed) -> None:
        if event.model:
            self._base["model"] = event.model
        if event.envelope and self._dialect == NAME:
            self._base.update(event.envelope)
        self._base_bytes = _open_object(self._base)
        for part in self._parts.values():
            part.head = b""

    def _role(self, choice: int) -> dict[str, Any]:
        """The start of a choice's first delta; nothing afterwards."""
        if choice in self._begun:
            return {}
        self._begun.add(choice)
        return {"role": "assistant"}

    def _part_started(self, seq: int, event: PartStarted) -> bytes:
        extra = (event.extra.delta if event.extra and self._dialect == NAME else None) or {}
        field, tool_index = _FIELD_OF_KIND.get(event.kind, ""), -1
        delta = self._role(event.choice)
        if delta:
            delta["content"] = "" if event.kind is PartKind.TEXT else None
        if event.kind is PartKind.TOOL_CALL:
            tool_index = self._tools.get(event.choice, 0)
            self._tools[event.choice] = tool_index + 1
            call = {"index": tool_index, "id": event.tool_id, "type": "function"} | extra
            delta["tool_calls"] = [call | _function(call, event.tool_name, "")]
        elif event.kind is PartKind.REASONING and extra:
            field = next(iter(extra))
        part = self._parts[event.choice, event.part] = _Part(event.kind, field, tool_index)
        if event.kind is PartKind.TOOL_CALL and extra.get("type") == "custom":
            part.field = "custom"
        return self._with_id(seq, self._choice_frame(event, delta, None)) if delta else b""

    def _delta_object(self, part: _Part, text: str) -> dict[str, Any]:
        if part.kind is not PartKind.TOOL_CALL:
            return {part.field: text}
        arguments = {"custom": {"input": text}} if part.field == "custom" else {"function": {"arguments": text}}
        return {"tool_calls": [{"index": part.tool_index} | arguments]}

    def _delta_with_extra(self, seq: int, event: Delta, part: _Part) -> bytes:
        assert event.extra is not None
        if self._dialect != NAME:
            return self._text(seq, event, part)
        delta = self._delta_object(part, event.text)
        if part.kind is PartKind.TOOL_CALL:
            delta["tool_calls"][0] |= event.extra.delta or {}
        else:
            delta |= event.extra.delta or {}
        return self._with_id(seq, self._choice_frame(event, delta, event.extra.choice))

    def _choice_frame(
        self, event: PartStarted | Delta | Opaque | ChoiceDone, delta: dict[str, Any], fields: dict[str, Any] | None
    ) -> bytes:
        extra = event.extra
        choice = {"index": event.choice, "delta": delta} | (fields or {}) | {"finish_reason": None}
        return self._chunk([choice], extra.response if extra and self._dialect == NAME else None)

    def _terminal(self, seq: int, event: Terminal) -> bytes:
        if not event.status.successful:
            return self._with_id(seq, b"data: %b\n\n" % terminal_error(event))
        frames = [self._finish_frame(index, event.status) for index in range(self._choices)]
        if self._include_usage and self._usage is not None:
            usage = usage_object(self._usage, same_dialect=self._dialect == NAME)
            frames.append(self._chunk([], {"usage": usage}))
        frames.append(self._with_id(seq, b"data: %b\n\n" % DONE))
        return b"".join(frames)

    def _finish_frame(self, index: int, status: Status) -> bytes:
        done = self._done.get(index)
        extra = done.extra if done is not None and self._dialect == NAME else None
        delta = self._role(index) | ((extra.delta if extra else None) or {})
        choice = {"index": index, "delta": delta} | ((extra.choice if extra else None) or {})
        choice["finish_reason"] = finish_word(done, status)
        return self._chunk([choice], extra.response if extra else None)

    def _chunk(self, choices: list[dict[str, Any]], fields: dict[str, Any] | None = None) -> bytes:
        tail = b"," + json_bytes(fields)[1:] if fields else b"}"
        return b'data: %b,"choices":%b%b\n\n' % (self._base_bytes, json_bytes(choices), tail)

    def _with_id(self, seq: int, frame: bytes) -> bytes:
        return b"id: %d\n%b" % (seq, frame)


def _function(call: dict[str, Any], name: str, arguments: str) -> dict[str, Any]:
    if call.get("type") == "custom":
        return {"custom": {"name": name, "input": arguments}}
    return {"function": {"name": name, "arguments": arguments}}


def _open_object(fields: dict[str, Any]) -> bytes:
    return json_bytes(fields)[:-1]


def whole(fold: Fold) -> bytes:
    """A whole ``chat.completion`` of a log with a successful terminal."""
    assert fold.started is not None and fold.terminal is not None
    started, same = fold.started, fold.dialect == NAME
    answer: dict[str, Any] = {
        "id": f"chatcmpl-{suffix(started.id)}",
        "object": "chat.completion",
        "created": started.created_at,
        "model": fold.model or started.model,
    }
    answer |= fold.envelope if same else {}
    empty = ChoiceFold()
    answer["choices"] = [
        _whole_choice(index, fold.choices.get(index, empty), fold.terminal.status, same=same)
        for index in range(started.choices)
    ]
    if fold.usage is not None:
        answer["usage"] = usage_object(fold.usage, same_dialect=same)
    answer |= fold.extra if same else {}
    return _encode(answer)


def _whole_choice(index: int, choice: ChoiceFold, status: Status, *, same: bool) -> dict[str, Any]:
    def text_of(kind: PartKind) -> str | None:
        parts = [part.text for part in choice.parts if part.kind is kind]
        return "".join(parts) if parts else None

    message: dict[str, Any] = {
        "role": "assistant",
        "content": text_of(PartKind.TEXT),
        "refusal": text_of(PartKind.REFUSAL),
    }
    extra = dict(choice.message_extra) if same else {}
    reasoning = text_of(PartKind.REASONING)
    if reasoning is not None:
        field = next((name for name in extra if name in REASONING_FIELDS and extra[name] == ""), REASONING_FIELD)
        message[field] = reasoning
        extra.pop(field, None)
    calls = [_whole_call(part, same=same) for part in choice.parts if part.kind is PartKind.TOOL_CALL]
    if calls:
        message["tool_calls"] = calls
    message |= extra
    shown = {"index": index, "message": message} | (choice.extra if same else {})
    shown["finish_reason"] = finish_word(choice.done, status)
    return shown


REASONING_FIELDS: Final = frozenset({"reasoning_content", "reasoning"})


def _whole_call(part: PartFold, *, same: bool) -> dict[str, Any]:
    call = {"id": part.tool_id, "type": "function"} | (part.tool_extra if same else {})
    return call | _function(call, part.tool_name, part.text)
