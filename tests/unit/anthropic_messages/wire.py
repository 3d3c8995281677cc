"""The recorded answers of tests/golden/anthropic-messages, and logs around what is decoded of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from headgate.dialects import Decoder
from headgate.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from headgate.errors import Failure
from headgate.events import (
    AnyEvent,
    AttemptEnded,
    AttemptStarted,
    Blame,
    ChoiceDone,
    ResponseStarted,
    Status,
    Terminal,
    Usage,
)
from headgate.lifecycle import Lifecycle, terminal_status
from tests.unit.goldens import ROOT, event_of, fold_of, lines

FOLDER: Final = ROOT / "anthropic-messages"
HEX: Final = "0" * 32
STARTED: Final = ResponseStarted(f"resp_{HEX}", "app", "anthropic-messages", "asked", 1, input_tokens_estimate=7)
ESTIMATED: Final = Usage(7, 3, estimated=True)

NumberedLog = list[tuple[int, AnyEvent]]


def upstream(case: str) -> tuple[bytes, Decoder]:
    """The provider's bytes and a new decoder for them."""
    whole = FOLDER / case / "upstream.json"
    if whole.exists():
        return whole.read_bytes(), ANTHROPIC_MESSAGES.whole_decoder(attempt=1, choices=1)
    return (FOLDER / case / "upstream.sse").read_bytes(), ANTHROPIC_MESSAGES.stream_decoder(attempt=1, choices=1)


def wanted(case: str) -> tuple[list[AnyEvent], dict[str, Any] | None]:
    """The golden events, and the golden failure."""
    *events, end = [json.loads(line) for line in lines(FOLDER / case / "events.ndjson")]
    assert end["type"] == "end"
    return [event_of(event) for event in events], end["failure"]


def decode(decoder: Decoder, pieces: Iterable[bytes]) -> tuple[list[AnyEvent], Failure | None, bool]:
    """Events, failure, and whether the end marker was seen before the input ended, as the producer reads them."""
    events: list[AnyEvent] = []
    for piece in pieces:
        events += decoder.feed(piece)
        if decoder.failure or decoder.ended:
            break
    if decoder.failure is None:
        events += decoder.finish()
    return events, decoder.failure, decoder.ended


def decoded(case: str) -> list[AnyEvent]:
    data, decoder = upstream(case)
    return decode(decoder, [data])[0]


def stream(*frames: dict[str, Any]) -> bytes:
    """Events as a provider sends them."""
    return b"".join(f"event: {frame['type']}\ndata: {json.dumps(frame)}\n\n".encode() for frame in frames)


def read_stream(*frames: dict[str, Any]) -> tuple[list[AnyEvent], Failure | None]:
    decoder = ANTHROPIC_MESSAGES.stream_decoder(attempt=1, choices=1)
    return decode(decoder, [stream(*frames)])[:2]


def log(
    events: Iterable[AnyEvent],
    *,
    provider: str = "anthropic-messages",
    terminal: Terminal | None = None,
    started: ResponseStarted = STARTED,
) -> NumberedLog:
    """A legal log of these events of one attempt, with the terminal that they amount to unless one is given."""
    events = list(events)
    reasons = [event.reason for event in events if isinstance(event, ChoiceDone)]
    if terminal is None and not reasons:
        terminal = Terminal(Status.FAILED, code="upstream_cut", blame=Blame.UPSTREAM, message="Cut.")
    if not any(isinstance(event, Usage) for event in events):
        events.append(ESTIMATED)
    end = terminal or Terminal(terminal_status(reasons))
    all_events = [started, AttemptStarted(1, "p", provider, "m"), *events, AttemptEnded(1, "ok"), end]
    lifecycle = Lifecycle()
    for event in all_events:
        lifecycle.feed(event)
    return list(enumerate(all_events, 1))


def frames(log: NumberedLog) -> bytes:
    """The stream that a client gets."""
    encoder = ANTHROPIC_MESSAGES.encoder()
    return b"".join(encoder.feed(seq, event) for seq, event in log)


def shown(log: NumberedLog) -> list[dict[str, Any]]:
    """The data of every frame that a client gets."""
    return [json.loads(line[6:]) for line in frames(log).split(b"\n") if line.startswith(b"data: ")]


def whole(log: NumberedLog) -> Any:
    """The message that a client gets."""
    return json.loads(ANTHROPIC_MESSAGES.whole(fold_of(log)))


def case_names() -> list[str]:
    names = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
    assert names
    return names


def succeeds(case: str) -> bool:
    return wanted(case)[1] is None


CASES: Final = case_names()
SUCCESSES: Final = [case for case in CASES if succeeds(case)]


def client_file(case: str, name: str) -> Path:
    return FOLDER / case / name
