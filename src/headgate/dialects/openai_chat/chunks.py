"""Chunks of an answer -> events: what the whole answer says, its choices, its usage (PROTOCOL.md sections 1 to 3).

A whole answer is read as one chunk whose deltas are the messages, so that both ways of answering go through the same
code and fold to the same payload.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.dialects.decode import Answer
from headgate.dialects.fields import HEARTBEATS, MalformedError, is_heartbeat, kept, storable, typed
from headgate.dialects.openai_chat.failures import failure_in_band, failure_of_word
from headgate.dialects.openai_chat.parts import Choice
from headgate.dialects.openai_chat.usage import read_usage, usage_of
from headgate.errors import Failure
from headgate.events import AnyEvent, AttemptDescribed, ChoiceDone, Delta, Extra, Opaque, Usage

DESCRIPTION_CHARS_MAX: Final = 1024
"""Of a model name or another value that every later frame repeats."""
ENVELOPE_FIELDS: Final = ("system_fingerprint", "service_tier")
_CHUNK_FIELDS: Final = frozenset(
    {"id", "object", "created", "model", "choices", "usage", "obfuscation", "error", *ENVELOPE_FIELDS}
)
_CHOICE_FIELDS: Final = frozenset({"index", "delta", "message", "finish_reason"})


class ChunkDecoder(Answer):
    """Chunks -> events."""

    def __init__(self, *, attempt: int, choices: int) -> None:
        super().__init__()
        self._attempt = attempt
        self._expected = choices
        self._choices: dict[int, Choice] = {}
        self._seen: tuple[Any, ...] = ()  # what the last chunk said of the whole answer
        self._provider_id = self._model = ""
        self._envelope: dict[str, Any] = {}
        self._usage: Usage | None = None
        self._usage_given: Usage | None = None

    def frame(self, event: bytes, value: Any) -> list[AnyEvent]:
        """Events of one frame of a stream."""
        if event == b"error":
            self.failure = failure_in_band(value)
        elif isinstance(value, dict) and ("choices" in value or event.decode("ascii", "replace") not in HEARTBEATS):
            return self._read(value)
        return []

    def whole(self, value: Any) -> list[AnyEvent]:
        """Events of a whole answer."""
        return self._read(typed(value, dict, "the answer"))

    def end(self) -> list[AnyEvent]:
        """The input ended, with or without an end marker."""
        if self.failure is None and not self.finished:
            missing = self._expected - sum(choice.done for choice in self._choices.values())
            self.failure = Failure(
                "upstream_cut", f"The provider's answer ended before it was complete ({missing} unfinished choices)."
            )
        return self._give_usage()

    def _read(self, chunk: dict[str, Any]) -> list[AnyEvent]:
        """Events of one chunk, or a failure. What was made of it before something in it proved malformed stays."""
        events: list[AnyEvent] = []
        try:
            self._chunk(chunk, events)
        except MalformedError as error:
            self.failure = Failure("upstream_malformed", f"The provider's answer is malformed: {error}.")
        return events

    def _chunk(self, chunk: dict[str, Any], events: list[AnyEvent]) -> None:
        if chunk.get("error") or chunk.get("object") == "error":
            self.failure = failure_in_band(chunk)
            return
        choices, usage = chunk.get("choices"), usage_of(chunk)
        if choices is None and usage is None:
            self._foreign(chunk, events)
            return
        seen = (chunk.get("id"), chunk.get("model"), chunk.get("system_fingerprint"), chunk.get("service_tier"))
        if seen != self._seen:
            self._seen = seen
            self._describe(events)
        if usage is not None:
            self._usage = read_usage(storable(usage)) or self._usage
        extra = kept(chunk, _CHUNK_FIELDS)
        for choice in typed(choices or [], list, "choices"):
            self._choice(typed(choice, dict, "a choice"), extra, events)
            if self.failure is not None:
                return
            extra = None
        if extra:
            events.append(Opaque(0, Extra(response=extra), idle=True))
        if self.finished:
            events += self._give_usage()

    def _foreign(self, fields: dict[str, Any], events: list[AnyEvent]) -> None:
        """An object without anything that makes a chunk: what it has is kept, but it may well be a heartbeat."""
        extra = kept(fields, _CHUNK_FIELDS)
        if extra and not is_heartbeat(fields):
            events.append(Opaque(0, Extra(response=extra), idle=True))

    def _describe(self, events: list[AnyEvent]) -> None:
        """Say what is new of the whole answer. Null, "" and what is no string say nothing."""
        said = [value if type(value) is str else "" for value in self._seen]
        for value in said:
            if len(value) > DESCRIPTION_CHARS_MAX:
                raise MalformedError(f"a value that describes it has more than {DESCRIPTION_CHARS_MAX} characters")
        provider_id, model = self._provider_id or said[0], said[1] or self._model
        envelope = self._envelope
        if said[2] or said[3]:
            envelope = envelope | {k: v for k, v in zip(ENVELOPE_FIELDS, said[2:], strict=True) if v}
        nothing_yet = not (self._provider_id or self._model or self._envelope)
        if model != self._model or envelope != self._envelope or (nothing_yet and provider_id):
            events.append(AttemptDescribed(self._attempt, provider_id, model, envelope or None))
        self._provider_id, self._model, self._envelope = provider_id, model, envelope

    def _choice(self, fields: dict[str, Any], response: dict[str, Any] | None, events: list[AnyEvent]) -> None:
        index = fields.get("index")
        index = 0 if index is None else typed(index, int, "a choice's index")
        if not 0 <= index < self._expected:
            raise MalformedError(f"a choice has index {index}, but {self._expected} were asked for")
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = Choice(index)
        delta = fields.get("delta")
        if delta is None:
            delta = fields.get("message")
        was_done = choice.done
        made: list[AnyEvent] = []
        message = choice.read(typed({} if delta is None else delta, dict, "a delta"), made)
        if was_done and made:
            raise MalformedError(f"text of choice {index} came after its finish reason")
        beside = kept(fields, _CHOICE_FIELDS)
        word = fields.get("finish_reason")
        if word and not was_done:
            self.failure = failure_of_word(typed(word, str, "finish_reason"), fields)
            if self.failure is not None:
                events += made
                return
            choice.finish(word, made)
            self.finished = sum(c.done for c in self._choices.values()) == self._expected
        if response or beside or message:
            _carry(choice, Extra(response, beside, message), made)
        events += made

    def _give_usage(self) -> list[AnyEvent]:
        """The newest usage, unless it was given already."""
        if self._usage is None or self._usage == self._usage_given:
            return []
        self._usage_given = self._usage
        return [self._usage]


def _carry(choice: Choice, extra: Extra, made: list[AnyEvent]) -> None:
    """Put `extra` onto the first delta, else onto the end of the choice, else onto an event of its own.

    A tool call's delta has its own ``extra.delta``, which stood inside the call: fields of the message do not fit there.
    Nor does more ``content`` beside the text of that name.
    """
    position = next((at for at, event in enumerate(made) if type(event) is Delta), None)
    if position is not None:
        event = made[position]
        assert isinstance(event, Delta)
        if not (extra.delta and (choice.is_tool_call(event.part) or "content" in extra.delta)):
            own = event.extra.delta if event.extra else None
            extra = Extra(extra.response, extra.choice, extra.delta or own)
            made[position] = msgspec.structs.replace(event, extra=extra)
            return
    if made and isinstance(made[-1], ChoiceDone):
        made[-1] = msgspec.structs.replace(made[-1], extra=extra)
    else:  # what stood inside the delta may be output of a kind that nobody here knows
        made.append(Opaque(choice.index, extra, idle=extra.delta is None))
