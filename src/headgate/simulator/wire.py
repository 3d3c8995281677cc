"""Plans as the JSON of Chat Completions: stream chunks, whole answers, error objects.

Chunks are put together from bytes that are rendered once per answer; only a token's own text is encoded per token.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.simulator.faults import FaultName
from headgate.simulator.logprobs import logprob
from headgate.simulator.plan import Call, Choice, Finish, Kind, Part, Plan

encode: Final = msgspec.json.encode

_ERROR_TYPES: Final = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def error(status: int, message: str, *, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """An error body in OpenAI's shape."""
    kind = _ERROR_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error_object(message: str) -> dict[str, Any]:
    """An error as older OpenAI-compatible servers put it."""
    return {"object": "error", "message": message, "type": "server_error", "param": None, "code": 500}


class Chunks:
    """The chunks of one streamed answer; every method gives the JSON of one."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        head = {**_envelope(plan, "chat.completion.chunk"), "service_tier": "default", **_fingerprint(plan)}
        self._head = encode(head)[:-1] + b',"choices":['
        self._tail = b',"usage":null}' if plan.include_usage else b"}"

    def role(self, choice: Choice) -> bytes:
        content = None if choice.of(Kind.CALL) or choice.of(Kind.REFUSAL) else ""
        return self._chunk(choice, encode({"role": "assistant", "content": content, "refusal": None}))

    def token(self, choice: Choice, part: Part, index: int) -> bytes:
        """Token `index` of a part."""
        text = part.tokens[index]
        if part.call is None:
            delta = b'{"%b":%b}' % (part.kind.value.encode(), encode(text))
        else:
            delta = encode({"tool_calls": [_call_delta(part.call, text, first=index == 0)]})
        return self._chunk(choice, delta, logprobs=self._logprobs(part, index))

    def finish(self, choice: Choice) -> bytes:
        return self._chunk(choice, b"{}", finish=encode(choice.finish))

    def usage(self) -> bytes:
        return b'%b],"usage":%b}' % (self._head, encode(usage(self._plan)))

    def padded(self, size: int) -> bytes:
        """A chunk without any text, made `size` bytes longer by a field that no client knows."""
        return self._chunk(self._plan.choices[0], b"{}", extra=b',"padding":"%b"' % (b"." * size))

    def _chunk(
        self, choice: Choice, delta: bytes, *, finish: bytes = b"null", logprobs: bytes = b"null", extra: bytes = b""
    ) -> bytes:
        return b'%b{"index":%d,"delta":%b,"logprobs":%b,"finish_reason":%b}]%b%b' % (
            self._head,
            choice.index,
            delta,
            logprobs,
            finish,
            extra,
            self._tail,
        )

    def _logprobs(self, part: Part, index: int) -> bytes:
        top = self._plan.logprobs
        if top is None or part.kind not in (Kind.TEXT, Kind.REFUSAL):
            return b"null"
        return encode(_logprobs(part, range(index, index + 1), top))


def whole(plan: Plan) -> dict[str, Any]:
    """The answer as one object."""
    answer = {
        **_envelope(plan, "chat.completion"),
        "choices": [_choice(plan, choice) for choice in plan.choices],
        "usage": usage(plan),
        "service_tier": "default",
        **_fingerprint(plan),
    }
    if plan.has(FaultName.NO_USAGE):
        del answer["usage"]
    return answer


def usage(plan: Plan) -> dict[str, Any]:
    """Token counts: every token sent is one, and so is the head of a tool call."""
    reasoning = sum(len(part.tokens) for choice in plan.choices for part in choice.of(Kind.REASONING))
    return {
        "prompt_tokens": plan.prompt_tokens,
        "completion_tokens": plan.tokens,
        "total_tokens": plan.prompt_tokens + plan.tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
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
        if part.call is None:
            message[part.kind] = part.text
        else:
            message.setdefault(part.kind, []).append(_call(part.call, part.text))
    finish: Finish | None = None if plan.has(FaultName.NO_FINISH) else choice.finish
    return {"index": choice.index, "message": message, "logprobs": _all_logprobs(plan, choice), "finish_reason": finish}


def _call(call: Call, arguments: str) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _call_delta(call: Call, text: str, *, first: bool) -> dict[str, Any]:
    if first:
        return {"index": call.index, **_call(call, text)}
    return {"index": call.index, "function": {"arguments": text}}


def _all_logprobs(plan: Plan, choice: Choice) -> dict[str, Any] | None:
    parts = (*choice.of(Kind.TEXT), *choice.of(Kind.REFUSAL))
    if plan.logprobs is None or not parts:
        return None
    return _logprobs(parts[0], range(len(parts[0].tokens)), plan.logprobs)


def _logprobs(part: Part, indexes: range, top: int) -> dict[str, Any]:
    entries = [logprob(part.tokens[i], i, top) for i in indexes]
    return {"content": None, "refusal": None, part.kind.value: entries}
