"""Plans as the events of a stream of Responses, numbered from 0, and as a whole response object."""

from __future__ import annotations

from typing import Any, Final
from zlib import crc32

import msgspec

from headgate.simulator.chat.errors import error
from headgate.simulator.faults import FaultName
from headgate.simulator.framing import COMMENT, DONE, NOISE, Framing, padded
from headgate.simulator.plan import Choice, Finish, Kind, Part, Plan
from headgate.simulator.quirks import Quirk
from headgate.simulator.registry import Name
from headgate.simulator.responses import envelope
from headgate.simulator.responses.items import (
    Item,
    begun,
    complete,
    content_part,
    items,
    logprobs,
    summary,
    summary_text,
)
from headgate.simulator.writer import BROKEN, SSE, Problem

GARBAGE: Final = b'{"type":"response.output_text.delta","item_id":"msg_garbage","delta":"br'
_encode: Final = msgspec.json.encode
_PADDING: Final = "k3vX9qLw2ZpT7sRf"
_TERMINALS: Final = {Finish.LENGTH: "response.incomplete", Finish.CONTENT_FILTER: "response.incomplete"}
_STEMS: Final = {Kind.TEXT: "output_text", Kind.REFUSAL: "refusal", Kind.REASONING: "reasoning_text"}
"""Middle of an event's name: ``response.output_text.delta``."""
_FIELDS: Final = {Kind.TEXT: "text", Kind.REFUSAL: "refusal", Kind.REASONING: "text"}


class ResponsesWriter:
    """One response. There is one choice."""

    stream_type = SSE

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._framing = Framing(plan)
        self._number = 0
        self._items = {id(part): item for item in items(plan) for part in item.parts}
        self._left = {item.index: len(item.parts) for item in items(plan)}
        """Parts of an item that are not complete."""

    def prelude(self) -> bytes:
        response = envelope.started(self._plan)
        starts = 2 if self._plan.has(Quirk.DOUBLE_START) else 1
        created = b"".join(self._event("response.created", response=response) for _ in range(starts))
        return created + self._event("response.in_progress", response=response)

    def opening(self) -> bytes:
        return b""

    def token(self, choice: Choice, part: Part, index: int) -> bytes:
        item = self._items[id(part)]
        events = []
        if index == 0 and part is item.parts[0]:
            events.append(
                self._event("response.output_item.added", output_index=item.index, item=begun(self._plan, item))
            )
        events.append(self._said(item, part, index))
        if index == len(part.tokens) - 1:
            self._left[item.index] -= 1
            if not self._left[item.index]:
                shown = complete(self._plan, item)
                events.append(self._over("response.output_item.done", output_index=item.index, item=shown))
        return b"".join(events)

    def finish(self, choice: Choice) -> bytes:
        return b""

    def ending(self) -> bytes:
        return b""

    def done(self) -> bytes:
        if self._plan.has(FaultName.NO_FINISH):
            return DONE
        name, response = self._terminal()
        ends = 2 if self._plan.has(Quirk.DOUBLE_END) else 1
        end = b"".join(self._event(name, response=response) for _ in range(ends))
        return end + DONE if self._plan.has(Quirk.WITH_DONE) else end

    def flush(self) -> bytes:
        return b""

    def truncated(self) -> bytes:
        name, response = self._terminal()
        data = _encode({"type": name, "sequence_number": self._number, "response": response})
        return b"event: %b\ndata: %b\n\n" % (name.encode(), data[: len(data) // 2])

    def interruption(self, name: Name) -> bytes:
        match name:
            case FaultName.STALL_COMMENTS:
                return COMMENT
            case FaultName.NOISE:
                return NOISE
            case FaultName.GARBAGE:
                return b"event: response.output_text.delta\ndata: %b\n\n" % GARBAGE
            case FaultName.HUGE_LINE:
                return self._framing.event(padded(self._keepalive()), "keepalive")
            case FaultName.ERROR:  # what OpenAI sends; its reference documents the other
                shown = {"type": "server_error", "code": "server_error", "message": BROKEN, "param": None}
                return self._event("error", error=shown)
            case FaultName.ERROR_EVENT:
                return self._event("error", code="server_error", message=BROKEN, param=None)
            case FaultName.ERROR_OBJECT:
                return self._framing.event(self.broken(name) or b"")
            case Quirk.OVERLOADED | Quirk.FAILED:
                return self._event("response.failed", response=envelope.failed(self._plan, name))
            case Quirk.UNKNOWN:
                return self._event("response.x_note.delta", says="ignore me")
            case _:
                raise AssertionError(f"{name} strikes at no token")

    def whole(self) -> bytes:
        plan = self._plan
        return self._framing.marked(_encode(envelope.compacted(plan) if plan.ask.compact else envelope.ended(plan)))

    def broken(self, name: Name) -> bytes | None:
        match name:
            case FaultName.GARBAGE:
                return b'{"object":"response","output":[{"type":"mess]]'
            case FaultName.ERROR | FaultName.ERROR_EVENT | FaultName.ERROR_OBJECT:
                return error(Problem(500, BROKEN, code="server_error"))
            case Quirk.OVERLOADED | Quirk.FAILED:
                return _encode(envelope.failed(self._plan, name))
            case _:
                return None

    # -- parts

    def _said(self, item: Item, part: Part, index: int) -> bytes:
        """What a token adds to its part, with the part's beginning and end."""
        if part.kind is Kind.CALL:
            return self._arguments(item, part, index)
        if part.kind is Kind.REASONING and not self._plan.has(Quirk.RAW_REASONING):
            return self._summary(item, part, index)
        if part.kind in _STEMS:
            return self._content(item, part, index)
        return b""

    def _content(self, item: Item, part: Part, index: int) -> bytes:
        place = {**_at(item), "content_index": item.parts.index(part)}
        stem, field = f"response.{_STEMS[part.kind]}", _FIELDS[part.kind]
        text = part.kind is Kind.TEXT
        odds = {"logprobs": logprobs(self._plan, part, index)} if text else {}
        events = []
        if index == 0:
            empty = {**content_part(self._plan, part), field: "", **({"logprobs": []} if text else {})}
            events.append(self._event("response.content_part.added", **place, part=empty))
        events.append(self._delta(f"{stem}.delta", part.tokens[index], **place, **odds))
        if index == len(part.tokens) - 1:
            odds = {"logprobs": logprobs(self._plan, part)} if text else {}
            events.append(self._over(f"{stem}.done", **place, **{field: part.text}, **odds))
            events.append(self._over("response.content_part.done", **place, part=content_part(self._plan, part)))
        return b"".join(events)

    def _summary(self, item: Item, part: Part, index: int) -> bytes:
        number, end = summary(part, index)
        place = {**_at(item), "summary_index": number}
        stem, events = "response.reasoning_summary", []
        if index == 0 or summary(part, index - 1)[0] != number:
            events.append(self._event(f"{stem}_part.added", **place, part={"type": "summary_text", "text": ""}))
        events.append(self._delta(f"{stem}_text.delta", part.tokens[index], **place))
        if index == end - 1:
            text = summary_text(part, number)
            events.append(self._over(f"{stem}_text.done", **place, text=text))
            events.append(self._over(f"{stem}_part.done", **place, part={"type": "summary_text", "text": text}))
        return b"".join(events)

    def _arguments(self, item: Item, part: Part, index: int) -> bytes:
        stem, events = "response.function_call_arguments", []
        if index and not self._plan.has(Quirk.DONE_ONLY):
            events.append(self._delta(f"{stem}.delta", part.tokens[index], **_at(item)))
        if index == len(part.tokens) - 1:
            events.append(self._over(f"{stem}.done", **_at(item), arguments=part.text))
        return b"".join(events)

    # -- events

    def _terminal(self) -> tuple[str, dict[str, Any]]:
        response = envelope.ended(self._plan)
        if self._plan.has(Quirk.DISAGREE):
            response = envelope.revised(response)
        return _TERMINALS.get(self._plan.choices[0].finish, "response.completed"), response

    def _delta(self, name: str, text: str, **members: Any) -> bytes:
        """A delta, padded so that its length does not tell the length of the text."""
        padding = {}
        if self._plan.ask.padded:
            padding["obfuscation"] = _PADDING[: 1 + crc32(text.encode("utf-8", "replace")) % len(_PADDING)]
        return self._event(name, **members, delta=text, **padding)

    def _over(self, name: str, **members: Any) -> bytes:
        """An event that says that something is complete."""
        return b"" if self._plan.has(Quirk.NO_STOPS) else self._event(name, **members)

    def _event(self, name: str, **members: Any) -> bytes:
        ping = b""
        if self._framing.pings:
            ping = self._framing.event(self._keepalive(), "keepalive")
        data = _encode({"type": name, "sequence_number": self._take(), **members})
        return ping + self._framing.event(data, name)

    def _keepalive(self) -> bytes:
        return b'{"type":"keepalive","sequence_number":%d}' % self._take()

    def _take(self) -> int:
        number, self._number = self._number, self._number + 1
        return number


def _at(item: Item) -> dict[str, Any]:
    return {"item_id": item.id, "output_index": item.index}
