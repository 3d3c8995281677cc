"""OpenAI Responses, as OpenAI streams it: typed events with sequence numbers, the whole text again in each of the last four.

The check wants the numbers without gaps, and the text of the last event to be what was streamed.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from benchmarks.answers import PROMPT, PROMPT_TOKENS, Model
from benchmarks.checks import StreamCheck
from benchmarks.wire import Asked

PATH: Final = "/v1/responses"
ITEM_ID: Final = "msg_67c9fdcf37fc8190ba82116e33fb28c501b8b0ad29c64e08"
PADDING: Final = "aV3kQ9xLr2TbY7wN"
"""OpenAI pads its deltas, so that their sizes do not give the text away."""
_PLACE: Final = {"item_id": ITEM_ID, "output_index": 0, "content_index": 0}
_FIRST_TOKEN: Final = 4
"""Events in front of the first token, and so its sequence number."""


class _Request(msgspec.Struct):
    model: str
    stream: bool = False


class _Content(msgspec.Struct):
    text: str


class _Item(msgspec.Struct):
    type: str
    content: list[_Content] = []


class _Response(msgspec.Struct):
    status: str
    output: list[_Item] = []

    def text(self) -> str:
        return "".join(content.text for item in self.output for content in item.content)


class _Event(msgspec.Struct, gc=False):
    type: str
    sequence_number: int
    delta: str = ""
    response: msgspec.Raw = msgspec.Raw()


_decode_event: Final = msgspec.json.Decoder(_Event).decode
_decode_response: Final = msgspec.json.Decoder(_Response).decode


class Check(StreamCheck):
    """Numbered events, up to ``response.completed``; after it there may be ``[DONE]``, as Open Responses has it."""

    FINISH = "completed"
    END = "response.completed"

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._number = 0
        self._said: list[str] = []

    def read(self, data: bytes) -> None:
        if data == b"[DONE]":
            if not self._ended:
                self.note(f"[DONE] before {self.END}")
            return
        event = _decode_event(data)
        if event.sequence_number != self._number:
            self.note(f"event {self._number} has the number {event.sequence_number}")
        self._number = event.sequence_number + 1
        if event.type == "response.output_text.delta":
            self._said.append(event.delta)
            self.token(event.delta)
        elif event.type == self.END:
            response = _decode_response(event.response)
            if response.text() != "".join(self._said):
                self.note("the text of the response is not what was streamed")
            self.finished(response.status)
            self.end()
        elif event.type in ("error", "response.failed", "response.incomplete"):
            self.note(f"the response ended with {event.type}")


class OpenAIResponses:
    """``openai-responses``; see `benchmarks.wire.Wire`."""

    name = "openai-responses"
    check: type[StreamCheck] = Check

    def path(self, model: str, *, stream: bool) -> str:
        return PATH

    def headers(self, key: str) -> list[str]:
        return [f"authorization: Bearer {key}"]

    def body(self, model: str, *, stream: bool) -> dict[str, Any]:
        body = {"model": model, "input": [{"role": "user", "content": PROMPT}]}
        return {**body, "stream": True} if stream else body

    def told(self, body: bytes) -> tuple[str, str]:
        response = _decode_response(body)
        return response.text(), response.status

    def asked(self, path: str, body: bytes) -> Asked | None:
        if path != PATH:
            return None
        request = msgspec.json.decode(body, type=_Request)
        return Asked(request.model, request.stream)

    def opening(self, model: Model) -> bytes:
        begun = {"response": _response(model, "in_progress", [])}
        return b"".join(
            [
                _frame("response.created", 0, begun),
                _frame("response.in_progress", 1, begun),
                _frame("response.output_item.added", 2, {"output_index": 0, "item": _item("in_progress", [])}),
                _frame("response.content_part.added", 3, {**_PLACE, "part": _part("")}),
            ]
        )

    def token(self, model: Model, index: int) -> bytes:
        padding = PADDING[: 16 - index * 5 % 16]
        fields = {**_PLACE, "delta": model.token(index), "logprobs": [], "obfuscation": padding}
        return _frame("response.output_text.delta", _FIRST_TOKEN + index, fields)

    def closing(self, model: Model, *, usage: bool) -> bytes:
        number, text = _FIRST_TOKEN + model.tokens, model.text()
        item = _item("completed", [_part(text)])
        return b"".join(
            [
                _frame("response.output_text.done", number, {**_PLACE, "text": text, "logprobs": []}),
                _frame("response.content_part.done", number + 1, {**_PLACE, "part": _part(text)}),
                _frame("response.output_item.done", number + 2, {"output_index": 0, "item": item}),
                _frame("response.completed", number + 3, {"response": _response(model, "completed", [item])}),
            ]
        )

    def whole(self, model: Model) -> bytes:
        return msgspec.json.encode(_response(model, "completed", [_item("completed", [_part(model.text())])]))


def _frame(name: str, number: int, fields: dict[str, Any]) -> bytes:
    data = msgspec.json.encode({"type": name, "sequence_number": number, **fields})
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _item(status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": ITEM_ID, "type": "message", "status": status, "content": content, "role": "assistant"}


def _response(model: Model, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    usage = {
        "input_tokens": PROMPT_TOKENS,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": model.tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": PROMPT_TOKENS + model.tokens,
    }
    return {
        "id": "resp_67c9fdcecf488190bdd9a0409de3a1ec07b8b0ad4e5eb654",
        "object": "response",
        "created_at": 1_780_000_000,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": model.name,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage if status == "completed" else None,
        "user": None,
        "metadata": {},
    }
