"""Gemini, as Google streams it: whole chunks with the usage so far, lines that end in CRLF, no end marker."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

from benchmarks.answers import PROMPT, PROMPT_TOKENS, Model
from benchmarks.checks import StreamCheck
from benchmarks.wire import Asked

PATH: Final = re.compile(r"/v1beta/models/(.+):(stream)?[gG]enerateContent(?:\?alt=sse)?")


class _Part(msgspec.Struct, gc=False):
    text: str = ""


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part] = []


class _Candidate(msgspec.Struct, gc=False):
    content: _Content = msgspec.field(default_factory=_Content)
    finish: str | None = msgspec.field(name="finishReason", default=None)


class _Answer(msgspec.Struct, gc=False):
    candidates: list[_Candidate]


_decode: Final = msgspec.json.Decoder(_Answer).decode


class Check(StreamCheck):
    """Chunks, the last of which has the ``finishReason``."""

    FINISH = "STOP"
    END = "finishReason"

    def feed(self, data: bytes) -> None:
        super().feed(data.replace(b"\r", b""))

    def read(self, data: bytes) -> None:
        for candidate in _decode(data).candidates:
            for part in candidate.content.parts:
                if part.text:
                    self.token(part.text)
            if candidate.finish is not None:
                self.finished(candidate.finish)
                self.end()


class Gemini:
    """``gemini``; see `benchmarks.wire.Wire`."""

    name = "gemini"
    check: type[StreamCheck] = Check

    def path(self, model: str, *, stream: bool) -> str:
        return f"/v1beta/models/{model}:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}"

    def headers(self, key: str) -> list[str]:
        return [f"x-goog-api-key: {key}"]

    def body(self, model: str, *, stream: bool) -> dict[str, Any]:
        return {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}

    def told(self, body: bytes) -> tuple[str, str]:
        candidates = _decode(body).candidates
        if len(candidates) != 1:
            raise ValueError(f"{len(candidates)} candidates instead of 1")
        return "".join(part.text for part in candidates[0].content.parts), candidates[0].finish or ""

    def asked(self, path: str, body: bytes) -> Asked | None:
        found = PATH.fullmatch(path)
        return None if found is None else Asked(found[1], found[2] is not None)

    def opening(self, model: Model) -> bytes:
        return b""

    def token(self, model: Model, index: int) -> bytes:
        return _frame(_chunk(model, model.token(index), index + 1))

    def closing(self, model: Model, *, usage: bool) -> bytes:
        return _frame(_chunk(model, "", model.tokens, "STOP"))

    def whole(self, model: Model) -> bytes:
        return json.dumps(_chunk(model, model.text(), model.tokens, "STOP"), indent=2, ensure_ascii=False).encode()


def _frame(chunk: dict[str, Any]) -> bytes:
    data = json.dumps(chunk, separators=(",", ": "), ensure_ascii=False)
    return b"data: %b\r\n\r\n" % data.encode()


def _chunk(model: Model, text: str, tokens: int, finish: str | None = None) -> dict[str, Any]:
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}}
    return {
        "candidates": [candidate | ({"finishReason": finish} if finish else {}) | {"index": 0}],
        "usageMetadata": {
            "promptTokenCount": PROMPT_TOKENS,
            "candidatesTokenCount": tokens,
            "totalTokenCount": PROMPT_TOKENS + tokens,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": PROMPT_TOKENS}],
        },
        "modelVersion": model.name,
        "responseId": "LdGKaIu3NoKsmtkP0M27iQ8",
    }
