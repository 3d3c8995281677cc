"""Logs of answers by a Gemini provider, and what the official SDK makes of bytes of ours."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import httpx
from google import genai
from google.genai import types

from headgate.assemble import Fold
from headgate.dialects import Decoder, StreamEncoder
from headgate.dialects.gemini import GEMINI
from headgate.events import (
    AnyEvent,
    AttemptEnded,
    AttemptStarted,
    ChoiceDone,
    ResponseStarted,
    Status,
    Terminal,
)
from headgate.lifecycle import Lifecycle, terminal_status
from tests.unit.goldens import ROOT, cases, event_of, lines

HEX: Final = "0" * 32
CASES: Final = cases("gemini")
CONFIG: Final = types.GenerateContentConfig(automatic_continuation=False)
"""Without it the SDK would ask on for as long as an answer ends with ``CONTINUATION``."""


def folder(case: str) -> Path:
    return ROOT / "gemini" / case


def choices_of(case: str) -> int:
    request = folder(case) / "request.json"
    return int(json.loads(request.read_text())["n"]) if request.exists() else 1


def upstream(case: str) -> tuple[bytes, Decoder]:
    """The provider's bytes and a new decoder for them."""
    whole = folder(case) / "upstream.json"
    if whole.exists():
        return whole.read_bytes(), GEMINI.whole_decoder(attempt=1, choices=choices_of(case))
    return (folder(case) / "upstream.sse").read_bytes(), GEMINI.stream_decoder(attempt=1, choices=choices_of(case))


def wanted(case: str) -> tuple[list[AnyEvent], str | None]:
    """The golden events, and the code of the golden failure."""
    *events, end = [json.loads(line) for line in lines(folder(case) / "events.ndjson")]
    return [event_of(event) for event in events], end["failure"] and end["failure"]["code"]


def decode(decoder: Decoder, pieces: Iterable[bytes]) -> tuple[list[AnyEvent], str | None]:
    """Events and failure code, as the producer reads them."""
    events: list[AnyEvent] = []
    for piece in pieces:
        events += decoder.feed(piece)
        if decoder.failure:
            break
    if decoder.failure is None:
        events += decoder.finish()
    return events, decoder.failure.code if decoder.failure else None


def log_of(
    events: Sequence[AnyEvent], *, choices: int = 1, failed: bool = False, dialect: str = "gemini"
) -> list[AnyEvent]:
    """The whole log of an answer with these events; every one of them legal."""
    status = terminal_status([event.reason for event in events if isinstance(event, ChoiceDone)])
    code = "upstream_cut" if failed else ""
    log = [
        ResponseStarted(f"resp_{HEX}", "app", "gemini", "asked", 1, choices=choices, stream=True),
        AttemptStarted(1, "p", dialect, "m"),
        *events,
        AttemptEnded(1, code or "ok"),
        Terminal(Status.FAILED if failed else status, code=code, message="Cut." if failed else ""),
    ]
    lifecycle = Lifecycle()
    for event in log:
        lifecycle.feed(event)
    return log


def fold(log: Iterable[AnyEvent]) -> Fold:
    folded = Fold()
    for seq, event in enumerate(log, 1):
        folded.feed(seq, event)
    return folded


def stream(log: Iterable[AnyEvent], encoder: StreamEncoder | None = None) -> bytes:
    encoder = encoder or GEMINI.encoder()
    return b"".join([encoder.feed(seq, event) for seq, event in enumerate(log, 1)])


def whole(log: Iterable[AnyEvent]) -> Any:
    return json.loads(GEMINI.whole(fold(log)))


def chunks(data: bytes) -> list[Any]:
    """The objects of a stream, which has nothing else in it."""
    frames = data.split(b"\n\n")
    assert frames.pop() == b""
    assert all(frame.startswith(b"data: ") and b"\n" not in frame for frame in frames)
    return [json.loads(frame[6:]) for frame in frames]


class _Provider(httpx.BaseTransport):
    """Answers every request with the bytes it was given; one client serves all tests, because making one is slow."""

    def __init__(self) -> None:
        self.answer = httpx.Response(200)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self.answer


_PROVIDER: Final = _Provider()


@cache
def _client() -> genai.Client:
    http = httpx.Client(transport=_PROVIDER)
    options = types.HttpOptions(
        base_url="http://headgate.test", httpx_client=http, retry_options=types.HttpRetryOptions(attempts=1)
    )
    return genai.Client(api_key="k", vertexai=False, http_options=options)


def sdk_stream(data: bytes) -> list[types.GenerateContentResponse]:
    """What `google-genai` makes of a stream."""
    _PROVIDER.answer = httpx.Response(200, content=data, headers={"content-type": "text/event-stream"})
    return list(_client().models.generate_content_stream(model="m", contents="Hi", config=CONFIG))


def sdk_whole(data: bytes, status: int = 200) -> types.GenerateContentResponse:
    """What `google-genai` makes of a whole answer."""
    _PROVIDER.answer = httpx.Response(status, content=data, headers={"content-type": "application/json"})
    return _client().models.generate_content(model="m", contents="Hi", config=CONFIG)
