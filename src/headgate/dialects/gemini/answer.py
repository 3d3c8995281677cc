"""Chunks of an answer -> events: what the whole answer says, its candidates, its usage (PROTOCOL.md sections 1 to 3).

A whole answer is one chunk; an array of chunks, which is what a stream without ``alt=sse`` is, is read as those. There
is no end marker: the answer is whole once every candidate that was asked for has its finish reason.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.dialects import decode
from headgate.dialects.fields import (
    HEARTBEATS,
    INTEGER_MAX,
    MalformedError,
    are_counts,
    count_of,
    is_heartbeat,
    kept,
    storable,
    typed,
)
from headgate.dialects.gemini.failures import failure_in_band
from headgate.dialects.gemini.objects import merged
from headgate.dialects.gemini.parts import FAILURES, UNSPECIFIED, Choice
from headgate.dialects.gemini.plain import PlainChunk
from headgate.errors import Failure
from headgate.events import AnyEvent, AttemptDescribed, ChoiceDone, Delta, Extra, Opaque, Reason, Usage

DESCRIPTION_CHARS_MAX: Final = 1024
"""Of a model name or another value that every later frame repeats."""
_MESSAGE_CHARS_MAX: Final = 500
_CHUNK_FIELDS: Final = frozenset({"candidates", "usageMetadata", "modelVersion", "responseId", "createTime", "error"})
_KNOWN_FIELDS: Final = _CHUNK_FIELDS | {"promptFeedback"}
_CANDIDATE_FIELDS: Final = frozenset({"content", "finishReason", "index"})
_CONTENT_FIELDS: Final = frozenset({"parts", "role"})
_COUNTS: Final = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount")


class Answer(decode.Answer):
    """One attempt's answer. There is no end marker: it never says `ended`."""

    def __init__(self, *, attempt: int, choices: int) -> None:
        super().__init__()
        self._streams = True
        self._attempt = attempt
        self._expected = choices
        self._choices: dict[int, Choice] = {}
        self._done = 0
        self._seen: tuple[Any, ...] = (None, None, None)  # what the last chunk said of the whole answer
        self._described = AttemptDescribed(attempt)
        self._usage: dict[str, Any] | None = None
        self._usage_given: dict[str, Any] | None = None

    def frame(self, event: bytes, value: Any) -> list[AnyEvent]:
        if event == b"error":
            self.failure = failure_in_band(value)
            return []
        if event.decode("ascii", "replace") in HEARTBEATS and not (type(value) is dict and "candidates" in value):
            return []
        return self._read(value if type(value) is list else [value])

    def plain(self, chunk: PlainChunk) -> AnyEvent | None:
        """The event of a chunk that goes on with the text of a candidate; None if the long way has to find out."""
        candidate = chunk.candidates[0]
        text = candidate.content.parts[0].text
        choice = self._choices.get(candidate.index)
        if choice is None or not text or (chunk.responseId, chunk.modelVersion, chunk.createTime) != self._seen:
            return None
        delta = choice.plain(text)
        if delta is not None and chunk.usageMetadata is not None:
            self._usage = chunk.usageMetadata
        return delta

    def whole(self, value: Any) -> list[AnyEvent]:
        self._streams = type(value) is list
        return self._read(value if type(value) is list else [typed(value, dict, "the answer")])

    def end(self) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        for choice in self._choices.values():
            if choice.word and not choice.done and self.failure is None:
                made: list[AnyEvent] = []
                self._finish(choice, choice.word, made)
                _carry(choice, None, None, made)
                events += made
        if self.failure is None and not self.finished:
            self.failure = Failure(
                "upstream_cut",
                f"The provider's answer ended before it was complete ({self._expected - self._done} unfinished choices).",
            )
        try:
            events += self._give_usage()
        except MalformedError as error:
            self._malformed(error)
        return events

    def _read(self, chunks: list[Any]) -> list[AnyEvent]:
        """Events of some chunks, or a failure. What was made before something in them proved malformed stays."""
        events: list[AnyEvent] = []
        try:
            for chunk in chunks:
                if type(chunk) is dict and self.failure is None:
                    self._chunk(chunk, events)
        except MalformedError as error:
            self._malformed(error)
        return events

    def _malformed(self, error: MalformedError) -> None:
        if self.failure is None:
            self.failure = Failure("upstream_malformed", f"The provider's answer is malformed: {error}.")

    def _chunk(self, chunk: dict[str, Any], events: list[AnyEvent]) -> None:
        get = chunk.get
        if get("error"):
            self.failure = failure_in_band(chunk)
            return
        if chunk.keys().isdisjoint(_KNOWN_FIELDS):
            foreign = kept(chunk, frozenset())
            if foreign and not is_heartbeat(foreign):
                events.append(Opaque(0, Extra(response=foreign), idle=True))
            return
        seen = (get("responseId"), get("modelVersion"), get("createTime"))
        if seen != self._seen:
            self._seen = seen
            self._describe(events)
        usage = get("usageMetadata")
        if usage is not None:
            self._usage = typed(usage, dict, "usageMetadata")
        extra = kept(chunk, _CHUNK_FIELDS)
        candidates = typed(get("candidates") or [], list, "candidates")
        for candidate in candidates:
            self._candidate(typed(candidate, dict, "a candidate"), extra, events)
            if self.failure is not None:
                return
            extra = None
        if extra:
            word = None if candidates else _block_reason(extra)
            if word and not self.finished:
                self._block(word, extra, events)
            else:
                events.append(Opaque(0, Extra(response=extra), idle=True))
        if self.finished:
            events += self._give_usage()

    def _describe(self, events: list[AnyEvent]) -> None:
        """Say what is new of the whole answer. Null, "" and what is no string say nothing."""
        known = self._described
        provider_id, model, created = (value if type(value) is str else "" for value in self._seen)
        if max(len(provider_id), len(model), len(created)) > DESCRIPTION_CHARS_MAX:
            raise MalformedError(f"a value that describes it has more than {DESCRIPTION_CHARS_MAX} characters")
        described = AttemptDescribed(
            self._attempt,
            known.provider_id or provider_id,
            model or known.model,
            {"createTime": created} if created else known.envelope,
        )
        is_first = known == AttemptDescribed(self._attempt)
        if described != known and (is_first or (described.model, described.envelope) != (known.model, known.envelope)):
            events.append(described)
        self._described = described

    def _candidate(self, fields: dict[str, Any], response: dict[str, Any] | None, events: list[AnyEvent]) -> None:
        choice = self._choice(fields.get("index"))
        made: list[AnyEvent] = []
        beside = kept(fields, _CANDIDATE_FIELDS)
        content = fields.get("content")
        if content is not None:
            for part in typed(typed(content, dict, "a candidate's content").get("parts") or [], list, "parts"):
                choice.read(typed(part, dict, "a part"), made)
            unknown = kept(content, _CONTENT_FIELDS)
            if unknown:
                beside = (beside or {}) | {"content": unknown}
        if made and choice.done:
            raise MalformedError(f"text of candidate {choice.index} came after its finish reason")
        word = typed(fields.get("finishReason") or UNSPECIFIED, str, "finishReason")
        if word in FAILURES:
            events += made
            self.failure = _useless(word, fields.get("finishMessage"))
            return
        self._finish_reason(choice, word, made)
        if response or beside or choice.pending:
            _carry(choice, response, beside, made)
        events += made

    def _finish_reason(self, choice: Choice, word: str, made: list[AnyEvent]) -> None:
        """End the choice, unless its first chunk says STOP: then only the end of the input shows whether it meant it."""
        if word == UNSPECIFIED or choice.done:
            choice.goes_on = choice.goes_on or bool(made)
            choice.word = "" if made else choice.word
        elif word == "STOP" and made and not choice.goes_on and self._streams:
            choice.word = word
        else:
            self._finish(choice, word, made)

    def _finish(self, choice: Choice, word: str, made: list[AnyEvent], reason: Reason | None = None) -> None:
        choice.finish(word, made, reason)
        self._done += 1
        self.finished = self._done == self._expected

    def _choice(self, index: Any) -> Choice:
        number = 0 if index is None else typed(index, int, "a candidate's index")
        choice = self._choices.get(number)
        if choice is None:
            if not 0 <= number < self._expected:
                raise MalformedError(f"a candidate has index {number}, but {self._expected} were asked for")
            choice = self._choices[number] = Choice(number)
        return choice

    def _block(self, word: str, extra: dict[str, Any], events: list[AnyEvent]) -> None:
        """The provider refuses the prompt: every candidate that was asked for ends here, filtered."""
        for index in range(self._expected):
            choice = self._choice(index)
            if not choice.done:
                made: list[AnyEvent] = []
                self._finish(choice, word, made, Reason.CONTENT_FILTER)
                _carry(choice, extra, None, made)
                extra = {}
                events += made

    def _give_usage(self) -> list[AnyEvent]:
        """The newest usage, unless it was given already."""
        if self._usage is None or self._usage == self._usage_given:
            return []
        self._usage_given = self._usage
        usage = read_usage(storable(self._usage))
        return [] if usage is None else [usage]


def _carry(
    choice: Choice, response: dict[str, Any] | None, beside: dict[str, Any] | None, made: list[AnyEvent]
) -> None:
    """Put extra fields onto the end of the choice, else onto the first delta.

    What stands beside a finish reason belongs to it: clients look for a continuation's token there and nowhere else.
    Fields of a candidate that find neither wait for the next event, so that they stay in order with those of its text;
    those of the whole answer, and what comes after the end, have an event of their own.
    """
    if choice.pending:
        beside = merged((Extra(choice=choice.pending), Extra(choice=beside)), "choice")
        choice.pending = {}
    ends = bool(made) and isinstance(made[-1], ChoiceDone)
    if not ends and choice.word:
        choice.pending, beside = beside or {}, None
    position = len(made) - 1 if ends else next((at for at, event in enumerate(made) if isinstance(event, Delta)), -1)
    if position >= 0:
        event = made[position]
        assert isinstance(event, Delta | ChoiceDone)
        own = event.extra.delta if event.extra else None
        if response or beside or own:
            made[position] = msgspec.structs.replace(event, extra=Extra(response or None, beside, own))
        return
    if not choice.done:
        choice.pending = choice.pending or beside or {}
        beside = None
    if response or beside:
        made.append(Opaque(choice.index, Extra(response or None, beside), idle=True))


def _block_reason(fields: dict[str, Any]) -> str:
    """Why the prompt was blocked; empty if it was not."""
    feedback = fields.get("promptFeedback")
    word = feedback.get("blockReason") if type(feedback) is dict else None
    return word if type(word) is str and word != "BLOCKED_REASON_UNSPECIFIED" else ""


def _useless(word: str, message: Any) -> Failure:
    said = f": {message[:_MESSAGE_CHARS_MAX]}" if type(message) is str and message else "."
    return Failure("upstream_malformed", f"The provider ended its answer with {word}{said}")


def read_usage(usage: dict[str, Any]) -> Usage | None:
    """The counts of a ``usageMetadata``; None if those that matter are missing or are no counts."""
    if not are_counts([usage.get(field) for field in _COUNTS]):
        return None

    def count(field: str) -> int:
        return count_of(usage.get(field))

    thoughts = count("thoughtsTokenCount")
    return Usage(
        input_tokens=min(count("promptTokenCount") + count("toolUsePromptTokenCount"), INTEGER_MAX),
        output_tokens=min(count("candidatesTokenCount") + thoughts, INTEGER_MAX),
        cached_tokens=count("cachedContentTokenCount"),
        reasoning_tokens=thoughts,
        provider=usage,
    )
