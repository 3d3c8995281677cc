"""OpenAI Chat Completions, provider side: bytes of a stream or a whole answer -> events.

The rules are PROTOCOL.md sections 1 to 3. A whole answer is read as one chunk whose deltas are the messages, so that
both ways of answering go through the same code and fold to the same payload.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from headgate.dialects.openai_chat.failures import failure_in_band
from headgate.errors import Failure
from headgate.events import (
    AnyEvent,
    AttemptDescribed,
    ChoiceDone,
    Delta,
    Extra,
    Opaque,
    PartDone,
    PartKind,
    PartStarted,
    Reason,
    Usage,
)
from headgate.sse import Frame, SseDecoder

CHOICES_MAX: Final = 128
"""OpenAI's own limit for ``n``."""
PARTS_MAX: Final = 1024
"""Parts of one choice: far beyond any answer, small enough that a peer cannot grow our tables."""
WHOLE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Most bytes of a whole answer."""

REASONS: Final[dict[str, Reason]] = {
    "stop": Reason.STOP,
    "length": Reason.LENGTH,
    "tool_calls": Reason.TOOL_CALLS,
    "function_call": Reason.TOOL_CALLS,
    "content_filter": Reason.CONTENT_FILTER,
}
"""Unknown words are `Reason.STOP`: the provider ended the choice of its own will."""

ENVELOPE_FIELDS: Final = ("system_fingerprint", "service_tier")
_CHUNK_FIELDS: Final = frozenset(
    {"id", "object", "created", "model", "choices", "usage", "obfuscation", *ENVELOPE_FIELDS}
)
_CHOICE_FIELDS: Final = frozenset({"index", "delta", "message", "finish_reason"})
_DELTA_FIELDS: Final = frozenset({"role", "content", "refusal", "tool_calls"})
_REASONING_FIELDS: Final = ("reasoning_content", "reasoning")
_TOOL_FIELDS: Final = frozenset({"index", "id", "function"})

_json = msgspec.json.Decoder()
JSON_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class MalformedError(ValueError):
    """A chunk has a value of a wrong type. Never leaves this module: it becomes a `Failure`."""


_T = TypeVar("_T")


def _typed(value: Any, kind: type[_T], what: str) -> _T:
    if not isinstance(value, kind):
        raise MalformedError(f"{what} is not {kind.__name__}")
    return value


class _Choice:
    """Decoding state of one choice: its parts so far, and which of them are open."""

    __slots__ = ("done", "flow", "flow_kind", "index", "parts", "tools")

    def __init__(self, index: int) -> None:
        self.index = index
        self.parts = 0
        self.flow = -1  # the open part of text, reasoning or refusal
        self.flow_kind: PartKind | None = None
        self.tools: dict[int, int] = {}  # the provider's index of a tool call -> part
        self.done = False

    def start(self, kind: PartKind, **fields: Any) -> PartStarted:
        if self.parts == PARTS_MAX:
            raise MalformedError(f"more than {PARTS_MAX} parts in a choice")
        self.parts += 1
        return PartStarted(self.index, self.parts - 1, kind, **fields)

    def close_flow(self) -> list[AnyEvent]:
        if self.flow < 0:
            return []
        done = PartDone(self.index, self.flow)
        self.flow, self.flow_kind = -1, None
        return [done]


class ChatDecoder:
    """Chunks -> events. `StreamDecoder` and `WholeDecoder` put bytes in front of it."""

    def __init__(self, *, attempt: int, choices: int) -> None:
        self.failure: Failure | None = None
        self.finished = False
        self.ended = False
        self._attempt = attempt
        self._expected = choices
        self._choices: dict[int, _Choice] = {}
        self._described: tuple[Any, ...] = ()
        self._identity = ("", "")
        self._envelope: dict[str, Any] = {}
        self._usage: Usage | None = None
        self._refused: set[int] = set()

    def chunk(self, chunk: Any) -> list[AnyEvent]:
        """Events of one chunk, or a failure."""
        events: list[AnyEvent] = []
        try:
            self._chunk(_typed(chunk, dict, "the chunk"), events)
        except MalformedError as error:
            self.failure = Failure("upstream_malformed", f"The provider's answer is malformed: {error}.")
        return events

    def end(self) -> list[AnyEvent]:
        """The input ended, with or without an end marker."""
        if self.failure is None and not self.finished:
            missing = self._expected - sum(choice.done for choice in self._choices.values())
            self.failure = Failure(
                "upstream_cut", f"The provider's answer ended before it was complete ({missing} unfinished choices)."
            )
        return self._flush_usage()

    def _chunk(self, chunk: dict[str, Any], events: list[AnyEvent]) -> None:
        get = chunk.get
        if get("error") or get("object") == "error":
            self.failure = failure_in_band(chunk)
            return
        described = (get("id"), get("model"), get("system_fingerprint"), get("service_tier"))
        if described != self._described:
            self._describe(described, events)
        unknown = chunk.keys() - _CHUNK_FIELDS
        response_extra = {key: chunk[key] for key in chunk if key in unknown} if unknown else None
        usage = get("usage")
        if usage is not None:
            self._usage = _usage(_typed(usage, dict, "usage"))
        for choice in _typed(get("choices") or [], list, "choices"):
            self._choice(_typed(choice, dict, "a choice"), response_extra, events)
            response_extra = None
        if response_extra:
            self._opaque(response_extra, events)
        if self.finished:
            events += self._flush_usage()

    def _describe(self, described: tuple[Any, ...], events: list[AnyEvent]) -> None:
        """Emit what is new in the fields that describe the whole answer; absent and null values say nothing."""
        self._described = described
        provider_id, model, *values = described
        known = {key: value for key, value in zip(ENVELOPE_FIELDS, values, strict=True) if value is not None}
        provider_id = provider_id if isinstance(provider_id, str) else ""
        model = model if isinstance(model, str) else ""
        identity = (provider_id, model)
        if identity != self._identity or any(self._envelope.get(key) != value for key, value in known.items()):
            self._identity = identity
            self._envelope.update(known)
            events.append(AttemptDescribed(self._attempt, provider_id, model, known or None))

    def _opaque(self, response_extra: dict[str, Any], events: list[AnyEvent]) -> None:
        index = next((i for i in range(self._expected) if not (i in self._choices and self._choices[i].done)), None)
        if index is not None:
            events.append(Opaque(index, Extra(response=response_extra)))
        elif self._usage is not None:  # after every choice is done only usage may still carry something
            self._usage = msgspec.structs.replace(
                self._usage, provider={**(self._usage.provider or {}), **response_extra}
            )

    def _choice(self, value: dict[str, Any], response_extra: dict[str, Any] | None, events: list[AnyEvent]) -> None:
        index = _typed(value.get("index", 0), int, "a choice's index")
        if not 0 <= index < max(self._expected, 1):
            raise MalformedError(f"a choice has index {index}, but {self._expected} were asked for")
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice(index)
        delta = value.get("delta")
        if delta is None:
            delta = value.get("message") or {}
        if choice.done:
            return
        _typed(delta, dict, "a delta")
        made: list[AnyEvent] = []
        unknown = self._parts(choice, delta, made)
        choice_extra = None
        for key in value.keys() - _CHOICE_FIELDS:
            if value[key] is not None:
                choice_extra = {k: value[k] for k in value if k not in _CHOICE_FIELDS and value[k] is not None}
                break
        extra = Extra(response_extra, choice_extra, unknown) if response_extra or choice_extra or unknown else None
        reason = value.get("finish_reason")
        if reason is not None:
            self._finish(choice, _typed(reason, str, "finish_reason"), made)
        events += made if extra is None else _carry(index, extra, made)

    def _parts(self, choice: _Choice, delta: dict[str, Any], made: list[AnyEvent]) -> dict[str, Any] | None:
        """Parts and deltas of one delta object; returns its fields that have no place among them."""
        unknown = (
            {k: v for k, v in delta.items() if k not in _DELTA_FIELDS and v is not None}
            if delta.keys() - _DELTA_FIELDS
            else {}
        )
        for field in _REASONING_FIELDS:
            text = unknown.get(field)
            if isinstance(text, str):
                del unknown[field]
                if text:
                    self._flow(choice, PartKind.REASONING, text, made, field)
                    break
        content = delta.get("content")
        if content:
            if isinstance(content, list):  # content parts of some providers: kept as they are
                unknown["content"] = content
            else:
                self._flow(choice, PartKind.TEXT, _typed(content, str, "content"), made)
        refusal = delta.get("refusal")
        if refusal:
            self._refused.add(choice.index)
            self._flow(choice, PartKind.REFUSAL, _typed(refusal, str, "refusal"), made)
        calls = delta.get("tool_calls")
        if calls:
            for position, call in enumerate(_typed(calls, list, "tool_calls")):
                self._tool_call(choice, position, _typed(call, dict, "a tool call"), made)
        return unknown or None

    def _flow(self, choice: _Choice, kind: PartKind, text: str, made: list[AnyEvent], field: str = "") -> None:
        if choice.flow_kind is not kind:
            made += choice.close_flow()
            extra = Extra(delta={field: ""}) if field and field != _REASONING_FIELDS[0] else None
            started = choice.start(kind, extra=extra)
            choice.flow, choice.flow_kind = started.part, kind
            made.append(started)
        made.append(Delta(choice.index, choice.flow, text))

    def _tool_call(self, choice: _Choice, position: int, call: dict[str, Any], made: list[AnyEvent]) -> None:
        function = call.get("function")
        unknown = {
            k: v for k, v in call.items() if k not in _TOOL_FIELDS and v is not None and (k, v) != ("type", "function")
        }
        if function is None and isinstance(call.get("custom"), dict):
            custom = unknown.pop("custom")
            function = {"name": custom.get("name"), "arguments": custom.get("input")}
        function = _typed(function or {}, dict, "a tool call's function")
        index = _typed(call.get("index", self._missing_index(choice, position, call)), int, "a tool call's index")
        extra = Extra(delta=unknown) if unknown else None
        part = choice.tools.get(index)
        if part is None:
            made += choice.close_flow()
            name = _typed(function.get("name") or "", str, "a tool call's name")
            started = choice.start(
                PartKind.TOOL_CALL, tool_id=_typed(call.get("id") or "", str, "id"), tool_name=name, extra=extra
            )
            part = choice.tools[index] = started.part
            made.append(started)
            extra = None
        arguments = function.get("arguments")
        if isinstance(arguments, dict):  # some servers give the parsed object in whole answers
            arguments = msgspec.json.encode(arguments).decode()
        if arguments or extra:
            made.append(Delta(choice.index, part, _typed(arguments or "", str, "arguments"), extra))

    def _missing_index(self, choice: _Choice, position: int, call: dict[str, Any]) -> int:
        """Some providers leave ``index`` out: a call with an id of its own is a new one, any other goes on with the last."""
        if "index" in call:
            return 0
        return len(choice.tools) if call.get("id") or not choice.tools else len(choice.tools) - 1

    def _finish(self, choice: _Choice, word: str, made: list[AnyEvent]) -> None:
        if choice.parts == 0:
            choice.flow, choice.flow_kind = 0, PartKind.TEXT
            made.append(choice.start(PartKind.TEXT))
        made += choice.close_flow()
        made += [PartDone(choice.index, part) for part in choice.tools.values()]
        reason = REASONS.get(word, Reason.STOP)
        if reason is Reason.STOP and choice.index in self._refused:
            reason = Reason.REFUSAL
        made.append(ChoiceDone(choice.index, reason, word))
        choice.done = True
        self.finished = sum(c.done for c in self._choices.values()) >= self._expected

    def _flush_usage(self) -> list[AnyEvent]:
        usage, self._usage = self._usage, None
        return [] if usage is None else [usage]


def _carry(index: int, extra: Extra, made: list[AnyEvent]) -> list[AnyEvent]:
    """Put `extra` onto the first delta, else onto the end of the choice, else onto an event of its own."""
    for kind in (Delta, ChoiceDone):
        for position, event in enumerate(made):
            if type(event) is kind and not (isinstance(event, Delta) and event.extra):
                made[position] = msgspec.structs.replace(event, extra=extra)
                return made
    return [*made, Opaque(index, extra)]


def _usage(usage: dict[str, Any]) -> Usage:
    def count(value: Any) -> int:
        return value if isinstance(value, int) and value >= 0 else 0

    def detail(group: str, field: str) -> int:
        details = usage.get(group)
        return count(details.get(field)) if isinstance(details, dict) else 0

    return Usage(
        input_tokens=count(usage.get("prompt_tokens")),
        output_tokens=count(usage.get("completion_tokens")),
        cached_tokens=detail("prompt_tokens_details", "cached_tokens"),
        reasoning_tokens=detail("completion_tokens_details", "reasoning_tokens"),
        provider=usage,
    )


class StreamDecoder:
    """Bytes of a ``text/event-stream`` -> events."""

    def __init__(self, *, attempt: int, choices: int) -> None:
        self._sse = SseDecoder()
        self._chat = ChatDecoder(attempt=attempt, choices=choices)
        self.ended = False

    @property
    def failure(self) -> Failure | None:
        return self._chat.failure

    @property
    def finished(self) -> bool:
        return self._chat.finished

    def feed(self, data: bytes) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        for frame in self._sse.feed(data):
            if self.ended or self._chat.failure is not None:
                break
            events += self._frame(frame)
        if self._sse.overflowed and self._chat.failure is None and not self.ended:
            self._chat.failure = Failure("upstream_too_large", "The provider sent a line over the limit.")
        return events

    def finish(self) -> list[AnyEvent]:
        return self._chat.end()

    def _frame(self, frame: Frame) -> list[AnyEvent]:
        data = frame.data
        if data == b"[DONE]":
            self.ended = True
            return []
        try:
            chunk = _json.decode(data)
        except JSON_ERRORS:
            if data.lstrip()[:1] == b"{":
                self._chat.failure = Failure("upstream_malformed", "The provider sent a chunk that is not JSON.")
            return []
        if frame.event == b"error":
            self._chat.failure = failure_in_band(chunk)
            return []
        return self._chat.chunk(chunk) if isinstance(chunk, dict) else []


class WholeDecoder:
    """Bytes of an ``application/json`` answer -> events, all at its end."""

    def __init__(self, *, attempt: int, choices: int) -> None:
        self._body: list[bytes] = []
        self._bytes = 0
        self._chat = ChatDecoder(attempt=attempt, choices=choices)
        self.ended = False

    @property
    def failure(self) -> Failure | None:
        return self._chat.failure

    @property
    def finished(self) -> bool:
        return self._chat.finished

    def feed(self, data: bytes) -> list[AnyEvent]:
        self._bytes += len(data)
        if self._bytes > WHOLE_BYTES_MAX:
            self._chat.failure = Failure("upstream_too_large", "The provider's answer is over the limit.")
            self._body.clear()
        else:
            self._body.append(data)
        return []

    def finish(self) -> list[AnyEvent]:
        if self._chat.failure is not None:
            return []
        try:
            answer = _json.decode(b"".join(self._body))
        except JSON_ERRORS:
            self._chat.failure = Failure("upstream_malformed", "The provider's answer is not JSON.")
            return []
        events = self._chat.chunk(answer)
        return events + self._chat.end()
