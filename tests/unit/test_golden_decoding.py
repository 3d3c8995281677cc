"""Provider bytes as recorded (or made up in their likeness), and the events they must become, however they are cut."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

import pytest

from headgate.dialects import Decoder
from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.events import AnyEvent, AttemptEnded, AttemptStarted, ResponseStarted
from headgate.lifecycle import Lifecycle
from tests.unit.goldens import ROOT, cases, event_of, lines

CASES: Final = cases("openai-chat")
every_case = pytest.mark.parametrize("case", CASES)


def upstream(case: str) -> tuple[bytes, Decoder]:
    """The provider's bytes and a new decoder for them."""
    folder = ROOT / "openai-chat" / case
    request = folder / "request.json"
    choices = json.loads(request.read_text())["n"] if request.exists() else 1
    whole = folder / "upstream.json"
    if whole.exists():
        return whole.read_bytes(), OPENAI_CHAT.whole_decoder(attempt=1, choices=choices)
    return (folder / "upstream.sse").read_bytes(), OPENAI_CHAT.stream_decoder(attempt=1, choices=choices)


def wanted(case: str) -> tuple[list[AnyEvent], dict[str, Any] | None]:
    """The golden events, and the golden failure."""
    *events, end = [json.loads(line) for line in lines(ROOT / "openai-chat" / case / "events.ndjson")]
    assert end["type"] == "end"
    return [event_of(event) for event in events], end["failure"]


def decode(decoder: Decoder, pieces: Iterable[bytes]) -> tuple[list[AnyEvent], str | None, bool]:
    """Events, failure code, and whether the end marker was seen before the input ended, as the producer reads them."""
    events: list[AnyEvent] = []
    for piece in pieces:
        events += decoder.feed(piece)
        if decoder.failure or decoder.ended:
            break
    if decoder.failure is None:
        events += decoder.finish()
    return events, decoder.failure.code if decoder.failure else None, decoder.ended


@every_case
def test_provider_bytes_become_the_golden_events(case: str) -> None:
    data, decoder = upstream(case)
    events, failure, _ = decode(decoder, [data])
    golden_events, golden_failure = wanted(case)
    assert events == golden_events
    assert failure == (golden_failure["code"] if golden_failure else None)


@every_case
def test_events_are_the_same_wherever_the_bytes_are_cut(case: str) -> None:
    data, decoder = upstream(case)
    whole = decode(decoder, [data])
    for cut in range(len(data) + 1):
        assert decode(upstream(case)[1], [data[:cut], data[cut:]]) == whole, f"cut at {cut}"


@every_case
def test_events_are_the_same_when_every_byte_comes_alone(case: str) -> None:
    data, decoder = upstream(case)
    whole = decode(decoder, [data])
    assert decode(upstream(case)[1], [data[at : at + 1] for at in range(len(data))]) == whole


@every_case
def test_decoded_events_are_legal(case: str) -> None:
    data, decoder = upstream(case)
    lifecycle = Lifecycle()
    lifecycle.feed(ResponseStarted("resp_" + "0" * 32, "app", "openai-chat", "m", 1, choices=2 if "n2" in case else 1))
    lifecycle.feed(AttemptStarted(1, "p", "openai-chat", "m"))
    for event in decode(decoder, [data])[0]:
        lifecycle.feed(event)
    lifecycle.feed(AttemptEnded(1, "ok"))


@every_case
def test_answer_is_finished_or_has_failed_and_never_both(case: str) -> None:
    data, decoder = upstream(case)
    decode(decoder, [data])
    assert decoder.finished != (decoder.failure is not None)
