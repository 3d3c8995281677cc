"""An answer's events -> ours: the message, its usage, its end (PROTOCOL.md sections 1 to 3).

    message_start        attempt.described; every field of the message without a place is its envelope
    content_block_*      parts, see `blocks`
    message_delta        choice.done, and usage
    message_stop         the end marker
    error                the failure
    unknown ones         opaque, with the event in ``extra.choice``
    ping                 nothing

A whole answer is read as the events that would have brought it, so both ways fold to the same payload.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from headgate.dialects.anthropic_messages.blocks import Blocks
from headgate.dialects.anthropic_messages.failures import failure_in_band
from headgate.dialects.anthropic_messages.objects import REASONS
from headgate.dialects.decode import Answer
from headgate.dialects.fields import HEARTBEATS, INTEGER_MAX, MalformedError, are_counts, count_of, kept, typed
from headgate.errors import Failure
from headgate.events import (
    AnyEvent,
    AttemptDescribed,
    ChoiceDone,
    Delta,
    Extra,
    Opaque,
    PartDone,
    PartStarted,
    Reason,
    Usage,
)

DESCRIPTION_CHARS_MAX: Final = 1024
"""Of a model name or an id."""
USAGE_FIELDS_MAX: Final = 256
"""They are gathered from all events; real ones have about ten."""
COUNT_MAX: Final = INTEGER_MAX // 4
"""Of one count: three of them are added up, and the journal has 64 bits."""
_MESSAGE_FIELDS: Final = frozenset(
    {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "stop_details"}
)
_IN_DELTA: Final = ("stop_reason", "stop_sequence", "stop_details", "container")
"""Fields of a whole message that a stream has inside ``message_delta.delta``."""
_BESIDE_DELTA: Final = ("usage", "context_management")
"""Fields of a whole message that a stream has in ``message_delta``."""
_ONLY_AT_THE_END: Final = frozenset({"container", "context_management"})
_TYPE: Final = re.compile(r"[A-Za-z0-9_.:\-]{1,128}")
"""What the type of an event that is passed on looks like; it becomes a line of a frame."""
_OF_A_DELTA: Final = frozenset({"type", "index", "delta"})
_OF_A_BLOCK: Final = _OF_A_DELTA | {"content_block"}
_OF_THE_START: Final = frozenset({"type", "message"})
_OF_THE_STOP: Final = frozenset({"type"})
_STOP_FIELDS: Final = frozenset({"stop_reason"})
_EVENT_FIELDS: Final = frozenset({"type", "delta", "usage"})


class MessageAnswer(Answer):
    """One attempt's answer."""

    def __init__(self, *, attempt: int) -> None:
        super().__init__()
        self._attempt = attempt
        self._blocks = Blocks()
        self._described = AttemptDescribed(attempt)
        self._usage_fields: dict[str, Any] = {}
        self._usage: Usage | None = None
        self._usage_given: Usage | None = None

    def frame(self, event: bytes, value: Any) -> list[AnyEvent]:
        made: list[AnyEvent] = []
        if type(value) is not dict:
            if event == b"error":
                self.failure = failure_in_band(value)
        elif value.get("type") == "content_block_delta":
            self._blocks.delta(_index(value), typed(value.get("delta"), dict, "a delta"), made)
            if len(value) > len(_OF_A_DELTA):
                self._blocks.touch(_index(value), made)
                _carry(value, made)
            if self.finished:
                self._refuse_more(made)
        else:
            self._rare(event, value, made)
        return made

    def whole(self, value: Any) -> list[AnyEvent]:
        message = typed(value, dict, "the answer")
        made: list[AnyEvent] = []
        if message.get("type") == "error" or message.get("error"):
            self.failure = failure_in_band(message)
            return made
        self._describe(message, kept(message, _MESSAGE_FIELDS | _ONLY_AT_THE_END), made)
        for index, block in enumerate(typed(message.get("content") or [], list, "content")):
            self._blocks.start(index, typed(block, dict, "a block"), made)
            self._blocks.stop(index, made)
        end: dict[str, Any] = {field: message.get(field) for field in _BESIDE_DELTA}
        self._message_delta(end | {"delta": {field: message.get(field) for field in _IN_DELTA}}, made)
        return made

    def end(self) -> list[AnyEvent]:
        if self.failure is None and not self.finished:
            self.failure = Failure("upstream_cut", "The provider's answer ended before it was complete.")
        return self._give_usage()

    def _rare(self, event: bytes, value: dict[str, Any], made: list[AnyEvent]) -> None:
        kind = value.get("type")
        if kind == "error" or event == b"error":
            self.failure = failure_in_band(value)
            return
        match kind if type(kind) is str else event.decode("ascii", "replace"):
            case "message_start":
                message = typed(value.get("message"), dict, "a message")
                self._describe(message, kept(message, _MESSAGE_FIELDS), made)
                beside = kept(value, _OF_THE_START)
                if beside and made:
                    made[-1] = msgspec.structs.replace(made[-1], extra=Extra(beside))
                self._count(message.get("usage"))
            case "content_block_start":
                block = typed(value.get("content_block"), dict, "a block")
                self._blocks.start(_index(value), block, made)
                _carry(value, made)
                self._refuse_more(made)
                self._describe({"model": _successor(block)}, None, made)
            case "content_block_stop":
                self._blocks.stop(_index(value), made)
                _carry(value, made)
            case "message_delta":
                self._message_delta(value, made)
            case "message_stop":
                beside = kept(value, _OF_THE_STOP)
                if beside:
                    made.append(Opaque(0, Extra(choice={"type": "message_stop"} | beside)))
                self.ended = True
            case _ if value.get("error"):
                self.failure = failure_in_band(value)
            case name:
                self._other(name, value, made)

    def _other(self, name: str, event: dict[str, Any], made: list[AnyEvent]) -> None:
        """An event that is nothing of ours, as it came, with its name, which it may have from its ``event:`` line alone."""
        if _TYPE.fullmatch(name) and name not in HEARTBEATS:
            made.append(Opaque(0, Extra(choice=kept({"type": name} | event | {"type": name}, frozenset())), idle=True))

    def _refuse_more(self, made: list[AnyEvent]) -> None:
        if self.finished and made:
            raise MalformedError("text came after its stop reason")

    def _describe(self, message: dict[str, Any], fields: dict[str, Any] | None, made: list[AnyEvent]) -> None:
        """Say what is new of the whole answer: the first id, the first fields, every model.

        Null, "" and what is no string say nothing.
        """
        known = self._described
        provider_id, model = (
            value if type(value) is str else "" for value in (message.get("id"), message.get("model"))
        )
        if max(len(provider_id), len(model)) > DESCRIPTION_CHARS_MAX:
            raise MalformedError(f"a value that describes it has more than {DESCRIPTION_CHARS_MAX} characters")
        described = AttemptDescribed(
            self._attempt, known.provider_id or provider_id, model or known.model, known.envelope or fields
        )
        if described != known:
            self._described = described
            envelope = None if known.envelope else fields  # given once: a peer could have it repeated without end
            made.append(AttemptDescribed(self._attempt, described.provider_id, described.model, envelope))

    def _message_delta(self, event: dict[str, Any], made: list[AnyEvent]) -> None:
        delta = typed(event.get("delta") or {}, dict, "a delta")
        word = typed(delta.get("stop_reason") or "", str, "stop_reason")
        response, inside = kept(event, _EVENT_FIELDS), kept(delta, _STOP_FIELDS)
        extra = Extra(response=response, delta=inside) if response or inside else None
        if event.get("usage") is not None:
            self._count(event["usage"])
            self._usage = read_usage(self._usage_fields) or self._usage
        if word and not self.finished:
            self._blocks.close(made)
            if REASONS.get(word) is Reason.REFUSAL:
                self._blocks.refusal(delta.get("stop_details"), made)
            made.append(ChoiceDone(0, REASONS.get(word, Reason.STOP), word, extra))
            made += self._give_usage()
            self.finished = True
        elif extra is not None:
            made.append(Opaque(0, extra, idle=True))  # of the whole message, not of what it says

    def _count(self, usage: Any) -> None:
        """Counts are cumulative: a later value replaces an earlier one, and null replaces nothing."""
        if usage is not None:
            self._usage_fields = self._usage_fields | (kept(typed(usage, dict, "usage"), frozenset()) or {})
            if len(self._usage_fields) > USAGE_FIELDS_MAX:
                raise MalformedError(f"its usage has more than {USAGE_FIELDS_MAX} fields")

    def _give_usage(self) -> list[AnyEvent]:
        """The newest usage, with the stop reason and at the end, unless it was given already.

        What ``message_start`` alone says is none: it counts the first token of the answer.
        """
        if self._usage is None or self._usage == self._usage_given:
            return []
        self._usage_given = self._usage
        return [self._usage]


def _carry(event: dict[str, Any], made: list[AnyEvent]) -> None:
    """Put fields that stood beside a block or a delta onto the last event that was made of it."""
    beside = kept(event, _OF_A_BLOCK)
    last = made[-1] if made else None
    if beside and isinstance(last, PartStarted | Delta | PartDone):
        own = last.extra or Extra()
        made[-1] = msgspec.structs.replace(last, extra=Extra(beside, own.choice, own.delta))


def _successor(block: dict[str, Any]) -> Any:
    """The model that goes on with the answer from a ``fallback`` block on; None for other blocks."""
    to = block.get("to") if block.get("type") == "fallback" else None
    return to.get("model") if type(to) is dict else None


def _index(event: dict[str, Any]) -> int:
    return typed(event.get("index"), int, "a block's index")


def read_usage(usage: dict[str, Any]) -> Usage | None:
    """The counts of a provider's usage object; None if input and output are missing, or one of them is no count."""
    if not are_counts([usage.get("input_tokens"), usage.get("output_tokens")], COUNT_MAX):
        return None

    def count(fields: Any, name: str) -> int:
        return count_of(fields.get(name), COUNT_MAX) if type(fields) is dict else 0

    cached, written = count(usage, "cache_read_input_tokens"), count(usage, "cache_creation_input_tokens")
    return Usage(
        count(usage, "input_tokens") + cached + written,
        count(usage, "output_tokens"),
        cached_tokens=cached,
        reasoning_tokens=count(usage.get("output_tokens_details"), "thinking_tokens"),
        provider=usage,
        cache_write_tokens=written,
    )
