"""What the tests of this dialect share: recorded answers, logs made of them, frames taken apart, the SDK's types."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from headgate.assemble import Fold
from headgate.dialects import Decoder
from headgate.dialects.openai_responses import OPENAI_RESPONSES
from headgate.errors import Failure
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
from headgate.sse import SseDecoder
from tests.unit.goldens import ROOT, cases

NAME: Final = OPENAI_RESPONSES.name
CASES: Final = cases(NAME)
HEX: Final = "0123456789abcdef" * 2
EVENT: Final[TypeAdapter[Any]] = TypeAdapter(ResponseStreamEvent)
RESPONSE: Final = TypeAdapter(Response)


def is_stream(case: str) -> bool:
    return (ROOT / NAME / case / "upstream.sse").exists()


def upstream(case: str) -> bytes:
    """The provider's bytes."""
    return (ROOT / NAME / case / ("upstream.sse" if is_stream(case) else "upstream.json")).read_bytes()


def decoder(case: str) -> Decoder:
    make = OPENAI_RESPONSES.stream_decoder if is_stream(case) else OPENAI_RESPONSES.whole_decoder
    return make(attempt=1, choices=1)


def read(decoder: Decoder, pieces: Iterable[bytes]) -> tuple[list[AnyEvent], Failure | None, bool]:
    """Events, failure, and whether the end marker was seen, as the producer asks for them."""
    events: list[AnyEvent] = []
    for piece in pieces:
        events += decoder.feed(piece)
        if decoder.failure or decoder.ended:
            break
    if decoder.failure is None:
        events += decoder.finish()
    return events, decoder.failure, decoder.ended


def streamed(events: Sequence[Any]) -> bytes:
    """A provider's stream of these events; bytes go into it as they are."""
    frames = []
    for number, event in enumerate(events):
        if isinstance(event, bytes):
            frames.append(event)
            continue
        body = json.dumps({"sequence_number": number} | event, ensure_ascii=False)
        frames.append(f"event: {event['type']}\ndata: {body}\n\n".encode())
    return b"".join(frames)


def answered(*events: Any) -> tuple[list[AnyEvent], Failure | None]:
    """What a stream of these events becomes."""
    found, failure, _ = read(OPENAI_RESPONSES.stream_decoder(attempt=1, choices=1), [streamed(events)])
    return found, failure


def log(
    events: Iterable[AnyEvent],
    failure: Failure | None = None,
    *,
    provider: str = NAME,
    status: Status | None = None,
    started: dict[str, Any] | None = None,
) -> list[AnyEvent]:
    """The whole log of an attempt with these events; every one of them legal."""
    made = list(events)
    reasons = [event.reason for event in made if isinstance(event, ChoiceDone)]
    if status is None:
        status = Status.FAILED if failure else terminal_status(reasons)
    code = failure.code if failure else "" if status.successful else "cancelled"
    complete: list[AnyEvent] = [
        ResponseStarted(f"resp_{HEX}", "app", NAME, "asked", 1780000000, stream=True, **(started or {})),
        AttemptStarted(1, "p", provider, "m"),
        *made,
        AttemptEnded(1, code or "ok"),
        Terminal(
            status,
            code=code,
            message=failure.message if failure else "",
            detail=failure.detail if failure else None,
            ended_at=1780000009,
        ),
    ]
    lifecycle = Lifecycle()
    for event in complete:
        lifecycle.feed(event)
    return complete


def fold(events: Iterable[AnyEvent]) -> Fold:
    folded = Fold()
    for seq, event in enumerate(events, 1):
        folded.feed(seq, event)
    return folded


def stream(events: Iterable[AnyEvent], **options: Any) -> bytes:
    """What a client gets that asks for a stream."""
    encoder = OPENAI_RESPONSES.encoder(**options)
    return b"".join(encoder.feed(seq, event) for seq, event in enumerate(events, 1))


def frames(data: bytes) -> list[dict[str, Any]]:
    """The objects in a stream of ours; what stands in ``event:`` is checked on the way, and that an end is marked as one."""
    found: list[dict[str, Any]] = []
    for event, payload in SseDecoder().feed(data):
        if payload == b"[DONE]":
            assert not found or found[-1]["type"] in ("response.completed", "response.incomplete", "response.failed")
            continue
        value = json.loads(payload)
        assert event.decode() == value["type"]
        found.append(value)
    return found


def whole(events: Iterable[AnyEvent]) -> Any:
    """What a client gets that asks for the whole answer."""
    return json.loads(OPENAI_RESPONSES.whole(fold(events)))
