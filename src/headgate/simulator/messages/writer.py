"""Plans as the events of a stream of Anthropic Messages, and as a whole message."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.simulator.faults import FaultName
from headgate.simulator.framing import COMMENT, DONE, NOISE, Framing, padded
from headgate.simulator.messages.blocks import begun, complete, delta, shown, signature
from headgate.simulator.messages.errors import error_of
from headgate.simulator.plan import Choice, Finish, Kind, Part, Plan
from headgate.simulator.quirks import Quirk
from headgate.simulator.registry import Name
from headgate.simulator.writer import BROKEN, OVERLOADED, SSE

GARBAGE: Final = b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","te'
_PING: Final = b'event: ping\ndata: {"type": "ping"}\n\n'
_encode: Final = msgspec.json.encode
_STOPS: Final = {
    Finish.STOP: "end_turn",
    Finish.LENGTH: "max_tokens",
    Finish.TOOL_CALLS: "tool_use",
    Finish.CONTENT_FILTER: "refusal",
    Finish.PAUSED: "pause_turn",
    Finish.CONTEXT_WINDOW: "model_context_window_exceeded",
}


class MessagesWriter:
    """One message. Anthropic gives one answer per request, so there is one choice."""

    stream_type = SSE

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._framing = Framing(plan)
        self._blocks = {id(part): index for index, part in enumerate(shown(plan))}
        self._open = 0
        """The block that began last."""

    def prelude(self) -> bytes:
        message = {**_envelope(self._plan), "content": [], "stop_reason": None, "stop_sequence": None}
        if not self._plan.has(FaultName.NO_USAGE):
            spent = {"output_tokens": 1, "output_tokens_details": {"thinking_tokens": 0}}
            message["usage"] = {**_usage(self._plan), **spent, "service_tier": "standard"}
        start = self._event("message_start", _encode({"message": message}))
        return start * 2 if self._plan.has(Quirk.DOUBLE_START) else start

    def opening(self) -> bytes:
        return b"" if self._blocks else _PING

    def token(self, choice: Choice, part: Part, index: int) -> bytes:
        block = self._blocks.get(id(part))
        if block is None:
            return b""
        whole = part.kind is Kind.CALL and self._plan.has(Quirk.DONE_ONLY)
        events = []
        if index == 0:
            self._open = block
            start = complete(part) if whole else begun(part)
            events.append(self._block("content_block_start", block, b'"content_block":' + _encode(start)))
            events.append(_PING if block == 0 else b"")
        if (added := delta(part, index)) is not None and not whole:
            events.append(self._block("content_block_delta", block, b'"delta":' + added))
        if index == len(part.tokens) - 1:
            events.append(self._stop(part, block))
        return b"".join(events)

    def finish(self, choice: Choice) -> bytes:
        return b""

    def ending(self) -> bytes:
        return b"" if self._plan.has(FaultName.NO_FINISH) else self._event("message_delta", self._end())

    def done(self) -> bytes:
        stop = self._event("message_stop", b"{}") * (2 if self._plan.has(Quirk.DOUBLE_END) else 1)
        return stop + DONE if self._plan.has(Quirk.WITH_DONE) else stop

    def flush(self) -> bytes:
        return b""

    def truncated(self) -> bytes:
        data = b'{"type":"message_delta",' + self._end()[1:]
        return b"event: message_delta\ndata: %b\n\n" % data[: len(data) // 2]

    def interruption(self, name: Name) -> bytes:
        match name:
            case FaultName.STALL_COMMENTS:
                return COMMENT
            case FaultName.NOISE:
                return NOISE
            case FaultName.GARBAGE:
                return b"event: content_block_delta\ndata: %b\n\n" % GARBAGE
            case FaultName.HUGE_LINE:
                return self._framing.event(padded(b'{"type":"ping"}'), "ping")
            case Quirk.UNKNOWN:
                note = self._block("content_block_delta", self._open, b'"delta":{"type":"x_note_delta","says":"hm"}')
                return self._event("x_note", b'{"says":"ignore me"}') + (note if self._blocks else b"")
            case Quirk.THINKING_IN_TEXT:
                stray = b'"delta":{"type":"thinking_delta","thinking":"(a stray thought)"}'
                return self._block("content_block_delta", self._open, stray)
            case FaultName.ERROR | FaultName.ERROR_EVENT | Quirk.OVERLOADED:
                return self._framing.event(self.broken(name) or b"", "error")
            case FaultName.ERROR_OBJECT:
                return self._framing.event(self.broken(name) or b"")
            case _:
                raise AssertionError(f"{name} strikes at no token")

    def whole(self) -> bytes:
        plan, choice = self._plan, self._plan.choices[0]
        message = {
            **_envelope(plan),
            "content": [complete(part) for part in shown(plan)],
            **_stopped(choice),
            "usage": {**_usage(plan), "service_tier": "standard"},
        }
        if plan.has(FaultName.NO_FINISH):
            message["stop_reason"] = None
        if plan.has(FaultName.NO_USAGE):
            del message["usage"]
        return self._framing.marked(_encode(message))

    def broken(self, name: Name) -> bytes | None:
        match name:
            case FaultName.GARBAGE:
                return b'{"type":"message","content":[{"type":"te]]'
            case FaultName.ERROR | FaultName.ERROR_EVENT | FaultName.ERROR_OBJECT:
                return error_of("api_error", BROKEN, f"req_{self._plan.id}")
            case Quirk.OVERLOADED:
                return error_of("overloaded_error", OVERLOADED, f"req_{self._plan.id}")
            case _:
                return None

    def _end(self) -> bytes:
        """What a message_delta says."""
        end: dict[str, Any] = {"delta": _stopped(self._plan.choices[0])}
        if not self._plan.has(FaultName.NO_USAGE):
            end["usage"] = _usage(self._plan)
        return _encode(end)

    def _stop(self, part: Part, block: int) -> bytes:
        """The end of a block, for thinking with its signature."""
        proof = b""
        if part.kind is Kind.REASONING:
            signed = _encode({"type": "signature_delta", "signature": signature(part)})
            proof = self._block("content_block_delta", block, b'"delta":' + signed)
        stop = b"" if self._plan.has(Quirk.NO_STOPS) else self._block("content_block_stop", block)
        return proof + stop

    def _block(self, kind: str, index: int, rest: bytes = b"") -> bytes:
        return self._event(kind, b'{"index":%d%b}' % (index, b"," + rest if rest else b""))

    def _event(self, kind: str, rest: bytes) -> bytes:
        """An event of the type, with the members of the object `rest`."""
        data = b'{"type":"%b"%b%b' % (kind.encode(), b"," if len(rest) > 2 else b"", rest[1:])
        return (_PING if self._framing.pings else b"") + self._framing.event(data, kind)


def _envelope(plan: Plan) -> dict[str, Any]:
    return {"model": plan.model, "id": f"msg_{plan.id}", "type": "message", "role": "assistant"}


def _stopped(choice: Choice) -> dict[str, Any]:
    """Why the message ended."""
    reason = "refusal" if choice.of(Kind.REFUSAL) else _STOPS.get(choice.finish, "end_turn")
    if choice.stop is not None:
        reason = "stop_sequence"
    details = None
    if reason == "refusal":
        explanation = "".join(part.text for part in choice.of(Kind.REFUSAL)) or None
        details = {"type": "refusal", "category": "general_harms", "explanation": explanation}
    return {"stop_reason": reason, "stop_sequence": choice.stop, "stop_details": details}


def _usage(plan: Plan) -> dict[str, Any]:
    """Token counts. What came from the cache does not count as input."""
    return {
        "input_tokens": plan.prompt_tokens - plan.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": plan.cached_tokens,
        "output_tokens": plan.tokens,
        "output_tokens_details": {"thinking_tokens": plan.reasoning_tokens},
    }
