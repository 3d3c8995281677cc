"""Plans as the JSON of Chat Completions: stream chunks, whole answers.

Chunks are put together from bytes that are rendered once per answer; only a token's own text is encoded per token.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.simulator.chat.errors import error, error_object
from headgate.simulator.faults import FaultName
from headgate.simulator.framing import COMMENT, DONE, NOISE, Framing, padded
from headgate.simulator.logprobs import logprob
from headgate.simulator.plan import Call, Choice, Finish, Kind, Part, Plan
from headgate.simulator.quirks import Quirk
from headgate.simulator.registry import Name
from headgate.simulator.writer import BROKEN, SSE, Problem

GARBAGE: Final = b'{"id":"chatcmpl-garbage","choices":[{"index":0,"delta":{"content":"br'
GARBAGE_WHOLE: Final = b'{"id":"chatcmpl-garbage","choices":[{"index":0,"message":{"role":"assi]]'

_encode: Final = msgspec.json.encode
_FIELDS: Final = {
    Kind.REASONING: "reasoning_content",
    Kind.TEXT: "content",
    Kind.REFUSAL: "refusal",
    Kind.CALL: "tool_calls",
}
"""The fields of a delta. What has none is left out."""
_FINISHES: Final = {
    Finish.LENGTH: "length",
    Finish.TOOL_CALLS: "tool_calls",
    Finish.CONTENT_FILTER: "content_filter",
}


class ChatWriter:
    """One answer as chunks, or whole."""

    stream_type = SSE

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._framing = Framing(plan)
        head = {**_envelope(plan, "chat.completion.chunk"), "service_tier": "default", **_fingerprint(plan)}
        self._head = _encode(head)[:-1] + b',"choices":['
        self._tail = b',"usage":null}' if plan.ask.include_usage else b"}"

    def prelude(self) -> bytes:
        return b""

    def opening(self) -> bytes:
        roles = b"".join(self._frame(self._role(choice)) for choice in self._plan.choices)
        return roles * 2 if self._plan.has(Quirk.DOUBLE_START) else roles

    def token(self, choice: Choice, part: Part, index: int) -> bytes:
        text = part.tokens[index]
        if part.kind not in _FIELDS:
            return b""
        if part.call is None:
            delta = b'{"%b":%b}' % (_FIELDS[part.kind].encode(), _encode(text))
        else:
            delta = _encode({"tool_calls": [_call_delta(part.call, text, first=index == 0)]})
        return self._frame(self._chunk(choice, delta, logprobs=self._logprobs(part, index)))

    def finish(self, choice: Choice) -> bytes:
        return b"" if self._plan.has(FaultName.NO_FINISH) else self._frame(self._finish(choice))

    def ending(self) -> bytes:
        if not self._plan.ask.include_usage or self._plan.has(FaultName.NO_USAGE):
            return b""
        return self._frame(b'%b],"usage":%b}' % (self._head, _encode(_usage(self._plan))))

    def done(self) -> bytes:
        return DONE * 2 if self._plan.has(Quirk.DOUBLE_END) else DONE

    def flush(self) -> bytes:
        return b""

    def truncated(self) -> bytes:
        last = self._finish(self._plan.choices[-1])
        return b"data: %b\n\n" % last[: len(last) // 2]

    def interruption(self, name: Name) -> bytes:
        match name:
            case FaultName.STALL_COMMENTS:
                return COMMENT
            case FaultName.NOISE:
                return NOISE
            case FaultName.GARBAGE:
                return b"data: %b\n\n" % GARBAGE
            case FaultName.HUGE_LINE:
                return self._frame(padded(self._chunk(self._plan.choices[0], b"{}")))
            case Quirk.UNKNOWN:
                return self._frame(b'%b],"x_note":{"says":"ignore me"}%b' % (self._head, self._tail))
            case FaultName.ERROR | FaultName.ERROR_OBJECT | FaultName.ERROR_EVENT:
                head = b"event: error\n" if name is FaultName.ERROR_EVENT else b""
                return head + self._frame(self.broken(name) or b"")
            case _:
                raise AssertionError(f"{name} strikes at no token")

    def whole(self) -> bytes:
        plan = self._plan
        answer = {
            **_envelope(plan, "chat.completion"),
            "choices": [_choice(plan, choice) for choice in plan.choices],
            "usage": _usage(plan),
            "service_tier": "default",
            **_fingerprint(plan),
        }
        if plan.has(FaultName.NO_USAGE):
            del answer["usage"]
        return self._framing.marked(_encode(answer))

    def broken(self, name: Name) -> bytes | None:
        match name:
            case FaultName.GARBAGE:
                return GARBAGE_WHOLE
            case FaultName.ERROR | FaultName.ERROR_EVENT:
                return error(Problem(500, BROKEN, code="server_error"))
            case FaultName.ERROR_OBJECT:
                return error_object(BROKEN)
            case _:
                return None

    def _frame(self, data: bytes) -> bytes:
        return (COMMENT if self._framing.pings else b"") + self._framing.event(data)

    def _role(self, choice: Choice) -> bytes:
        content = None if choice.of(Kind.CALL) or choice.of(Kind.REFUSAL) else ""
        return self._chunk(choice, _encode({"role": "assistant", "content": content, "refusal": None}))

    def _finish(self, choice: Choice) -> bytes:
        return self._chunk(choice, b"{}", finish=_encode(_FINISHES.get(choice.finish, "stop")))

    def _chunk(self, choice: Choice, delta: bytes, *, finish: bytes = b"null", logprobs: bytes = b"null") -> bytes:
        return b'%b{"index":%d,"delta":%b,"logprobs":%b,"finish_reason":%b}]%b' % (
            self._head,
            choice.index,
            delta,
            logprobs,
            finish,
            self._tail,
        )

    def _logprobs(self, part: Part, index: int) -> bytes:
        top = self._plan.ask.logprobs
        if top is None or part.kind not in (Kind.TEXT, Kind.REFUSAL):
            return b"null"
        return _encode(_logprobs(part, range(index, index + 1), top))


def _usage(plan: Plan) -> dict[str, Any]:
    """Token counts: every token sent is one, and so is the head of a tool call."""
    return {
        "prompt_tokens": plan.prompt_tokens,
        "completion_tokens": plan.tokens,
        "total_tokens": plan.prompt_tokens + plan.tokens,
        "prompt_tokens_details": {"cached_tokens": plan.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": plan.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _envelope(plan: Plan, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{plan.id}", "object": kind, "created": plan.created, "model": plan.model}


def _fingerprint(plan: Plan) -> dict[str, str]:
    return {"system_fingerprint": f"fp_{plan.id[:10]}"}


def _choice(plan: Plan, choice: Choice) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
    for part in choice.parts:
        if part.call is not None:
            message.setdefault("tool_calls", []).append(_call(part.call, part.text))
        elif part.kind in _FIELDS:
            message[_FIELDS[part.kind]] = part.text
    finish = None if plan.has(FaultName.NO_FINISH) else _FINISHES.get(choice.finish, "stop")
    return {"index": choice.index, "message": message, "logprobs": _all_logprobs(plan, choice), "finish_reason": finish}


def _call(call: Call, arguments: str) -> dict[str, Any]:
    return {"id": f"call_{call.id}", "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _call_delta(call: Call, text: str, *, first: bool) -> dict[str, Any]:
    if first:
        return {"index": call.index, **_call(call, text)}
    return {"index": call.index, "function": {"arguments": text}}


def _all_logprobs(plan: Plan, choice: Choice) -> dict[str, Any] | None:
    parts = (*choice.of(Kind.TEXT), *choice.of(Kind.REFUSAL))
    if plan.ask.logprobs is None or not parts:
        return None
    return _logprobs(parts[0], range(len(parts[0].tokens)), plan.ask.logprobs)


def _logprobs(part: Part, indexes: range, top: int) -> dict[str, Any]:
    entries = [logprob(part.tokens[i], i, top) for i in indexes]
    return {"content": None, "refusal": None, _FIELDS[part.kind]: entries}
