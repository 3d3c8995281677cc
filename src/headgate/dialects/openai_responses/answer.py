"""A provider's answer -> events: the events of a stream, or a whole response (PROTOCOL.md sections 1 to 3).

A whole response is read as the ends of its items, one after the other, so that both ways of answering go through the
same code and fold to the same payload. What nobody here understands is kept as it came, for readers of this dialect.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from headgate.dialects import decode
from headgate.dialects.fields import HEARTBEATS, MalformedError, are_counts, count_of, kept, storable, typed
from headgate.dialects.openai_chat.failures import failure_in_band
from headgate.dialects.openai_responses.failures import failure_of_error, failure_of_event
from headgate.dialects.openai_responses.grouping import CONTENT, HANDLERS, PLACE, SUMMARY, Items, index_of
from headgate.dialects.openai_responses.objects import CANONICAL
from headgate.dialects.openai_responses.output import ANNOTATION_ADDED, HOLDERS, TOOLS
from headgate.dialects.openai_responses.parts import Part
from headgate.dialects.openai_responses.plain import PlainDelta
from headgate.errors import Failure
from headgate.events import AnyEvent, AttemptDescribed, ChoiceDone, Delta, Extra, Opaque, PartKind, Reason, Usage

DESCRIPTION_CHARS_MAX: Final = 1024
"""Of a model name or an id."""
_ASKED_FOR: Final = (
    "input instructions tools metadata previous_response_id conversation store background user safety_identifier "
    "prompt_cache_key output_text"
)
"""Fields of a response object that the log has from the client, or that are between us and the provider."""
_NOT_ENVELOPE: Final = CANONICAL | frozenset(_ASKED_FOR.split())
REASONS: Final = {"max_output_tokens": Reason.LENGTH, "content_filter": Reason.CONTENT_FILTER}
"""Of ``incomplete_details.reason``. Unknown ones are `Reason.LENGTH`: something was cut short."""
_TYPE: Final = re.compile(r"[A-Za-z0-9_.:\-]{1,128}")
"""What the type of an event that is passed on looks like; it becomes a line of a frame."""
_OF_THE_ANSWER: Final = "response."
"""What the types of events about the answer begin with. Others, none of which is known, may be heartbeats."""
_OF_OUTPUT: Final = frozenset({"item_id", "output_index", "delta"})
"""One of these is in every event about something that was made; what has none may be a heartbeat of any name."""
_LIFECYCLE_FIELDS: Final = frozenset({"type", "sequence_number", "response"})
_REASON_FIELD: Final = frozenset({"reason"})
_DELTA_FIELDS: Final = PLACE | {"summary_index", "delta", "logprobs"}
_DONE_FIELDS: Final = PLACE | {"summary_index", "logprobs"}


class Answer(decode.Answer):
    """One attempt's answer."""

    def __init__(self, *, attempt: int) -> None:
        super().__init__()
        self._described = AttemptDescribed(attempt)
        self._items = Items()
        self._plain_place: tuple[Any, ...] | None = None
        """Where `_plain_part` stands, in the provider's words."""
        self._plain_part: Part | None = None
        self._plain_items = 0
        """How many items there were then: another one may have taken its place."""

    def frame(self, event: bytes, value: Any) -> list[AnyEvent]:
        """Events of one event of a stream. May raise `MalformedError`."""
        if type(value) is not dict:
            return []
        made: list[AnyEvent] = []
        kind = value.get("type")
        if event == b"error" or kind in ("error", "response.error"):
            self.failure = failure_of_event(value)
        elif type(kind) is str:
            self._typed(kind, value, made)
        elif value.get("error"):
            self.failure = failure_in_band(value)
        elif event:  # some servers name their events there alone
            name = event.decode("ascii", "replace")
            self._typed(name, {"type": name} | value | {"type": name}, made)
        return made

    def _typed(self, kind: str, event: dict[str, Any], made: list[AnyEvent]) -> None:
        group = HANDLERS.get(kind)
        if group is not None:
            group(self._items, event, made)
        else:
            _HANDLERS.get(kind, Answer._other)(self, event, made)

    def plain(self, plain: PlainDelta) -> AnyEvent | None:
        """The event of a delta for the part that the last text was for; None if the long way has to find out."""
        part, text = self._plain_part, plain.delta
        if part is None or part.done or not text or plain.place != self._plain_place:
            return None
        if len(self._items.all) != self._plain_items:
            return None
        part.texts.append(text)
        return Delta(0, part.number, text)

    def whole(self, value: Any) -> list[AnyEvent]:
        """Events of a whole response. May raise `MalformedError`."""
        made: list[AnyEvent] = []
        response = typed(value, dict, "the answer")
        if response.get("object") != "response" and response.get("error"):
            self.failure = failure_in_band(response)
        else:
            if response.get("status") != "failed":
                typed(response.get("output"), list, "output")
            self._lifecycle({"response": response, "type": "response.completed"}, made)
        return made

    def end(self) -> list[AnyEvent]:
        """The input ended."""
        if self.failure is None and not self.finished:
            self.failure = Failure("upstream_cut", "The provider's answer ended before it was complete.")
        return []

    def _lifecycle(self, event: dict[str, Any], made: list[AnyEvent]) -> None:
        response = typed(event.get("response") or {}, dict, "response")
        self._describe(response, made)
        word = event["type"].rpartition(".")[2]
        status = response.get("status")
        if word in ("completed", "done") and status in ("incomplete", "failed", "cancelled", "in_progress", "queued"):
            word = status  # some servers have one last event for every end
        if word in ("completed", "done", "incomplete"):
            self._finish(response, "completed" if word == "done" else word, kept(event, _LIFECYCLE_FIELDS), made)
        elif word == "failed":
            self.failure = failure_of_error(response.get("error"))
        elif word == "cancelled":
            self.failure = Failure("upstream_error", "The provider cancelled the response.")

    def _describe(self, response: dict[str, Any], made: list[AnyEvent]) -> None:
        """Say what is new of the whole answer. Of several ids the first stays."""
        known = self._described
        id, model = (value if type(value := response.get(name)) is str else "" for name in ("id", "model"))
        if max(len(id), len(model)) > DESCRIPTION_CHARS_MAX:
            raise MalformedError(f"its id or model has more than {DESCRIPTION_CHARS_MAX} characters")
        envelope = (known.envelope or {}) | (kept(response, _NOT_ENVELOPE) or {})
        described = AttemptDescribed(known.attempt, known.provider_id or id, model or known.model, envelope or None)
        if described != known:
            made.append(described)
            self._described = described

    def _finish(self, response: dict[str, Any], word: str, beside: dict[str, Any] | None, made: list[AnyEvent]) -> None:
        """The provider's last word: what it had not said of its items, how the choice ended, and what it cost.

        `beside` stood beside the response in the event.
        """
        settled: set[int] = set()
        for position, item in enumerate(typed(response.get("output") or [], list, "output")):
            self._items.settle(position, typed(item, dict, "an item"), settled, made)
        self._items.end(made)
        details = response.get("incomplete_details")
        details = details if type(details) is dict else {}
        given, rest = details.get("reason"), kept(details, _REASON_FIELD)
        provider_reason = given if word == "incomplete" and type(given) is str and given else word
        extra = Extra(beside, {"incomplete_details": rest} if rest else None) if beside or rest else None
        made.append(ChoiceDone(0, self._reason(word, provider_reason), provider_reason[:DESCRIPTION_CHARS_MAX], extra))
        usage = response.get("usage")
        if usage is not None:
            read = read_usage(storable(typed(usage, dict, "usage")))
            made += [] if read is None else [read]
        self.finished = self.ended = True

    def _reason(self, word: str, provider_reason: str) -> Reason:
        if word == "incomplete":
            return REASONS.get(provider_reason, Reason.LENGTH)
        if PartKind.REFUSAL in self._items.kinds:
            return Reason.REFUSAL
        return Reason.TOOL_CALLS if PartKind.TOOL_CALL in self._items.kinds else Reason.STOP

    def _delta(self, event: dict[str, Any], made: list[AnyEvent]) -> None:
        text = typed(event.get("delta"), str, "delta")
        part = self._found(event, made)
        if part is None:
            self._other(event, made)
            return
        logprobs = event.get("logprobs")
        extra = None
        if logprobs or not event.keys() <= _DELTA_FIELDS:
            unknown = kept(event, _DELTA_FIELDS)
            found = storable({"logprobs": typed(logprobs, list, "logprobs")}) if logprobs else None
            extra = Extra(unknown, None, found) if unknown or found else None
        if not text:
            if extra is not None:  # nothing of the text, so no reader of another dialect need see it
                self._other(event, made, idle=extra.delta is None)
            return
        if logprobs:
            part.logprobs += logprobs
        part.append(text, extra, made)
        if part.kind is PartKind.TEXT:
            self._plain_part = part
            self._plain_items = len(self._items.all)
            self._plain_place = (event.get("item_id"), event.get("output_index"), event.get("content_index"))

    def _text_done(self, event: dict[str, Any], made: list[AnyEvent]) -> None:
        part = self._found(event, made)
        if part is None:
            self._other(event, made)
            return
        field = _TEXT_OF[event["type"]]
        part.note(event | {"type": _SPELT.get(event["type"], event["type"])}, _DONE_FIELDS | {field, "name"})
        part.complete(event.get(field), made)

    def _annotation(self, event: dict[str, Any], made: list[AnyEvent]) -> None:
        """A citation; too late after the end of its part, which has them all."""
        part = self._found(event, made)
        if part is None or part.done or event.get("annotation") is None:
            return
        part.annotations.append(event["annotation"])
        self._other(event, made)

    def _found(self, event: dict[str, Any], made: list[AnyEvent]) -> Part | None:
        """The part an event is about; started, if nobody did. None for items whose text is the provider's own."""
        kind, at = _ABOUT[event["type"]]
        if not at:
            item = self._items.find(event)
            if item is None:
                word = "custom_tool_call" if "custom" in event["type"] else "function_call"
                fields = {"type": word, "id": event.get("item_id"), "name": event.get("name")}
                item = self._items.create(index_of(event, "output_index", -1), fields, None, made)
            if item.kind in HOLDERS:
                raise MalformedError(f"an item of type {item.kind} has arguments")
            return item.part if item.kind in TOOLS else None
        item = self._items.holder(event, at, made)
        index = index_of(event, at, 0)
        part = item.parts.get((at, index))
        if part is None:
            part = self._items.start(item, at, index, kind, made)
        elif part.kind is not kind:
            raise MalformedError(f"a part of kind {part.kind} has text of kind {kind}")
        return part

    def _other(self, event: dict[str, Any], made: list[AnyEvent], *, idle: bool = False) -> None:
        """An event that is nothing of ours, as it came; it names its item by our number."""
        kind = event["type"]
        if not _TYPE.fullmatch(kind) or kind.removeprefix(_OF_THE_ANSWER) in HEARTBEATS:
            return
        shown = {name: value for name, value in event.items() if name not in ("sequence_number", "obfuscation")}
        item = self._items.find(event)
        if item is not None and "output_index" in shown:
            shown["output_index"] = item.index
        idle = idle or not kind.startswith(_OF_THE_ANSWER) or event.keys().isdisjoint(_OF_OUTPUT)
        made.append(Opaque(0, Extra(response=storable(shown)), idle=idle))


def read_usage(usage: dict[str, Any]) -> Usage | None:
    """The counts of a provider's usage object; None if input and output are missing, or one of them is no count."""
    if not are_counts([usage.get("input_tokens"), usage.get("output_tokens")]):
        return None

    def detail(group: str, field: str) -> int:
        details = usage.get(group)
        return count_of(details.get(field)) if isinstance(details, dict) else 0

    return Usage(
        input_tokens=count_of(usage.get("input_tokens")),
        output_tokens=count_of(usage.get("output_tokens")),
        cached_tokens=detail("input_tokens_details", "cached_tokens"),
        reasoning_tokens=detail("output_tokens_details", "reasoning_tokens"),
        provider=usage,
        cache_write_tokens=detail("input_tokens_details", "cache_write_tokens"),
    )


_FAMILIES: Final = {
    "response.output_text": (PartKind.TEXT, CONTENT, "text"),
    "response.refusal": (PartKind.REFUSAL, CONTENT, "refusal"),
    "response.reasoning_text": (PartKind.REASONING, CONTENT, "text"),
    "response.reasoning": (PartKind.REASONING, CONTENT, "text"),  # as Open Responses spells it
    "response.reasoning_summary_text": (PartKind.REASONING, SUMMARY, "text"),
    "response.reasoning_summary": (PartKind.REASONING, SUMMARY, "text"),
    "response.function_call_arguments": (PartKind.TOOL_CALL, "", "arguments"),
    "response.custom_tool_call_input": (PartKind.TOOL_CALL, "", "input"),
}
"""Stem of the events that carry text -> what it is text of, and the field of ``.done`` that has all of it."""
_TEXT_OF: Final = {f"{stem}.done": field for stem, (_, _, field) in _FAMILIES.items()}
_SPELT: Final = {
    "response.reasoning.done": "response.reasoning_text.done",
    "response.reasoning_summary.done": "response.reasoning_summary_text.done",
}
"""Ends that are shown under another type than they come under."""
_ABOUT: Final = {ANNOTATION_ADDED: (PartKind.TEXT, CONTENT)} | {
    f"{stem}.{end}": (kind, at) for stem, (kind, at, _) in _FAMILIES.items() for end in ("delta", "done")
}
_HANDLERS: Final[dict[str, Callable[[Answer, dict[str, Any], list[AnyEvent]], None]]] = {
    **{
        f"response.{word}": Answer._lifecycle
        for word in ("created", "queued", "in_progress", "completed", "incomplete", "failed", "cancelled", "done")
    },
    ANNOTATION_ADDED: Answer._annotation,
    **{f"{stem}.delta": Answer._delta for stem in _FAMILIES},
    **{f"{stem}.done": Answer._text_done for stem in _FAMILIES},
}
