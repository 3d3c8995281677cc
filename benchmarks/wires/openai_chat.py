"""OpenAI Chat Completions, as OpenAI streams it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from benchmarks.answers import PROMPT, PROMPT_TOKENS, Model
from benchmarks.checks import StreamCheck
from benchmarks.wire import CHAT, Asked

PATH: Final = "/v1/chat/completions"


class _Options(msgspec.Struct):
    include_usage: bool = False


class _Request(msgspec.Struct):
    model: str
    stream: bool = False
    stream_options: _Options | None = None


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice]


class _Message(msgspec.Struct):
    content: str


class _WholeChoice(msgspec.Struct):
    message: _Message
    finish_reason: str


class _Whole(msgspec.Struct):
    choices: list[_WholeChoice]


_decode_chunk: Final = msgspec.json.Decoder(_Chunk).decode


class Check(StreamCheck):
    """Chunks, then ``[DONE]``."""

    def read(self, data: bytes) -> None:
        if data == b"[DONE]":
            self.end()
            return
        for choice in _decode_chunk(data).choices:
            content = choice.delta.content
            if content:
                self.token(content)
            if choice.finish_reason is not None:
                self.finished(choice.finish_reason)


class OpenAIChat:
    """``openai-chat``; see `benchmarks.wire.Wire`."""

    name = CHAT
    check: type[StreamCheck] = Check

    def path(self, model: str, *, stream: bool) -> str:
        return PATH

    def headers(self, key: str) -> list[str]:
        return [f"authorization: Bearer {key}"]

    def body(self, model: str, *, stream: bool) -> dict[str, Any]:
        body = {"model": model, "messages": [{"role": "user", "content": PROMPT}]}
        return {**body, "stream": True} if stream else body

    def told(self, body: bytes) -> tuple[str, str]:
        choices = msgspec.json.decode(body, type=_Whole).choices
        if len(choices) != 1:
            raise ValueError(f"{len(choices)} choices instead of 1")
        return choices[0].message.content, choices[0].finish_reason

    def asked(self, path: str, body: bytes) -> Asked | None:
        if path != PATH:
            return None
        request = msgspec.json.decode(body, type=_Request)
        options = request.stream_options
        return Asked(request.model, request.stream, options is not None and options.include_usage)

    def opening(self, model: Model) -> bytes:
        return _frame(model, {"role": "assistant", "content": ""})

    def token(self, model: Model, index: int) -> bytes:
        return _frame(model, {"content": model.token(index)})

    def closing(self, model: Model, *, usage: bool) -> bytes:
        """Finish reason, usage if it was asked for, end marker."""
        counted = {**_envelope(model, "chat.completion.chunk"), "choices": [], "usage": _usage(model)}
        said = b"data: %b\n\n" % msgspec.json.encode(counted) if usage else b""
        return _frame(model, {}, "stop") + said + b"data: [DONE]\n\n"

    def whole(self, model: Model) -> bytes:
        message = {"role": "assistant", "content": model.text(), "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        answer = {**_envelope(model, "chat.completion"), "choices": [choice], "usage": _usage(model)}
        return msgspec.json.encode(answer)


def _frame(model: Model, delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    chunk = {**_envelope(model, "chat.completion.chunk"), "choices": [choice]}
    return b"data: %b\n\n" % msgspec.json.encode(chunk)


def _envelope(model: Model, kind: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-bench",
        "object": kind,
        "created": 1_780_000_000,
        "model": model.name,
        "system_fingerprint": "fp_bench",
    }


def _usage(model: Model) -> dict[str, int]:
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": model.tokens,
        "total_tokens": PROMPT_TOKENS + model.tokens,
    }
