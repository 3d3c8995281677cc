"""Anthropic Messages, as Anthropic streams it: named events, a ping at the start, objects padded with blanks."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from benchmarks.answers import PROMPT, PROMPT_TOKENS, Model
from benchmarks.checks import StreamCheck
from benchmarks.wire import Asked

PATH: Final = "/v1/messages"
PADDING_MAX: Final = 16
"""Anthropic puts blanks in front of the last brace, so that sizes do not give the text away."""


class _Request(msgspec.Struct):
    model: str
    max_tokens: int
    stream: bool = False


class _Delta(msgspec.Struct, gc=False):
    text: str = ""
    stop_reason: str | None = None


class _Event(msgspec.Struct, gc=False):
    type: str
    delta: _Delta | None = None


class _Block(msgspec.Struct):
    text: str


class _Message(msgspec.Struct):
    content: list[_Block]
    stop_reason: str


_decode_event: Final = msgspec.json.Decoder(_Event).decode


class Check(StreamCheck):
    """Blocks between ``message_start`` and ``message_stop``."""

    FINISH = "end_turn"
    END = "message_stop"

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._open = False

    def read(self, data: bytes) -> None:
        event = _decode_event(data)
        kind = event.type
        if kind == "content_block_delta" and event.delta is not None:
            if not self._open:
                self.note("text outside a block")
            self.token(event.delta.text)
        elif kind in ("content_block_start", "content_block_stop"):
            self._open = kind == "content_block_start"
        elif kind == "message_delta" and event.delta is not None and event.delta.stop_reason is not None:
            if self._open:
                self.note("the message ended inside a block")
            self.finished(event.delta.stop_reason)
        elif kind == self.END:
            self.end()
        elif kind not in ("message_start", "ping"):
            self.note(f"an event {kind!r}")


class AnthropicMessages:
    """``anthropic-messages``; see `benchmarks.wire.Wire`."""

    name = "anthropic-messages"
    check: type[StreamCheck] = Check

    def path(self, model: str, *, stream: bool) -> str:
        return PATH

    def headers(self, key: str) -> list[str]:
        return [f"x-api-key: {key}", "anthropic-version: 2023-06-01"]

    def body(self, model: str, *, stream: bool) -> dict[str, Any]:
        body = {"model": model, "max_tokens": 4096, "messages": [{"role": "user", "content": PROMPT}]}
        return {**body, "stream": True} if stream else body

    def told(self, body: bytes) -> tuple[str, str]:
        message = msgspec.json.decode(body, type=_Message)
        return "".join(block.text for block in message.content), message.stop_reason

    def asked(self, path: str, body: bytes) -> Asked | None:
        if path != PATH:
            return None
        request = msgspec.json.decode(body, type=_Request)
        return Asked(request.model, request.stream)

    def opening(self, model: Model) -> bytes:
        message = _message(model, [], None, _usage(1))
        block = {"index": 0, "content_block": {"type": "text", "text": ""}}
        ping = b'event: ping\ndata: {"type": "ping"}\n\n'
        return _frame("message_start", {"message": message}, 3) + _frame("content_block_start", block, 9) + ping

    def token(self, model: Model, index: int) -> bytes:
        delta = {"type": "text_delta", "text": model.token(index)}
        return _frame("content_block_delta", {"index": 0, "delta": delta}, index * 5)

    def closing(self, model: Model, *, usage: bool) -> bytes:
        delta = {"stop_reason": "end_turn", "stop_sequence": None}
        return b"".join(
            [
                _frame("content_block_stop", {"index": 0}, 8),
                _frame("message_delta", {"delta": delta, "usage": {"output_tokens": model.tokens}}, 5),
                _frame("message_stop", {}, 11),
            ]
        )

    def whole(self, model: Model) -> bytes:
        content = [{"type": "text", "text": model.text()}]
        return msgspec.json.encode(_message(model, content, "end_turn", _usage(model.tokens)))


def _frame(name: str, fields: dict[str, Any], padding: int) -> bytes:
    data = msgspec.json.encode({"type": name, **fields})
    return b"event: %b\ndata: %b%b}\n\n" % (name.encode(), data[:-1], b" " * (padding % PADDING_MAX))


def _message(
    model: Model, content: list[dict[str, Any]], stop_reason: str | None, usage: dict[str, Any]
) -> dict[str, Any]:
    return {
        "model": model.name,
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
    }


def _usage(output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": PROMPT_TOKENS,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }
