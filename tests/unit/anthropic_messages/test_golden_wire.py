"""Provider bytes as recorded (or made up in their likeness): the events they must become, and what clients get of them."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from headgate.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from headgate.lifecycle import Lifecycle
from tests.unit.anthropic_messages.wire import (
    CASES,
    FOLDER,
    SUCCESSES,
    client_file,
    decode,
    decoded,
    frames,
    log,
    upstream,
    wanted,
    whole,
)
from tests.unit.goldens import fold_of

every_case = pytest.mark.parametrize("case", CASES)
every_success = pytest.mark.parametrize("case", SUCCESSES)
TWICE: Final = [case for case in CASES if (FOLDER / f"whole-{case}").exists()]
"""Answers that are there as a stream and as a whole message."""


@every_case
def test_provider_bytes_become_the_golden_events(case: str) -> None:
    data, decoder = upstream(case)
    events, failure, _ = decode(decoder, [data])
    golden_events, golden_failure = wanted(case)
    assert events == golden_events
    assert (failure is None) == (golden_failure is None)
    if failure is not None and golden_failure is not None:
        assert (failure.code, failure.message) == (golden_failure["code"], golden_failure["message"])
        assert failure.http_status == golden_failure.get("http_status", 0)


@every_case
def test_events_are_the_same_wherever_the_bytes_are_cut(case: str) -> None:
    data, decoder = upstream(case)
    at_once = decode(decoder, [data])
    for cut in range(len(data) + 1):
        assert decode(upstream(case)[1], [data[:cut], data[cut:]]) == at_once, f"cut at {cut}"


@every_case
def test_events_are_the_same_when_every_byte_comes_alone(case: str) -> None:
    data, decoder = upstream(case)
    at_once = decode(decoder, [data])
    assert decode(upstream(case)[1], [data[at : at + 1] for at in range(len(data))]) == at_once


@every_case
def test_decoded_events_are_legal_and_the_answer_is_finished_or_has_failed(case: str) -> None:
    data, decoder = upstream(case)
    events, failure, _ = decode(decoder, [data])
    lifecycle = Lifecycle()
    for _, event in log(events):
        lifecycle.feed(event)
    assert decoder.finished == (failure is None)


@every_success
def test_client_gets_the_golden_stream(case: str) -> None:
    assert frames(log(decoded(case))) == client_file(case, "client.sse").read_bytes()


@every_success
def test_client_gets_the_golden_message(case: str) -> None:
    message = ANTHROPIC_MESSAGES.whole(fold_of(log(decoded(case))))
    assert message == client_file(case, "client.json").read_bytes()


@pytest.mark.parametrize("case", TWICE)
def test_streamed_and_whole_answer_amount_to_the_same(case: str) -> None:
    assert len(TWICE) >= 8
    assert whole(log(decoded(case))) == whole(log(decoded(f"whole-{case}")))


@pytest.mark.parametrize("case", [case for case in SUCCESSES if case.startswith("whole-")])
def test_whole_answer_is_passed_on_with_every_value(case: str) -> None:
    """Null is nothing, except inside of what is kept as it came; the id is ours."""
    sent = {key: value for key, value in json.loads(upstream(case)[0]).items() if value is not None and key != "id"}
    got = whole(log(decoded(case)))
    assert {key: got[key] for key in sent} == sent


@every_success
def test_our_stream_decodes_to_the_events_it_was_made_of(case: str) -> None:
    """As far as one block at a time goes; ids are ours, and what came late stands where it belongs."""
    events = decoded(case)
    decoder = ANTHROPIC_MESSAGES.stream_decoder(attempt=1, choices=1)
    again, failure, ended = decode(decoder, [frames(log(events))])
    assert (failure, ended) == (None, True)
    assert whole(log(again)) | {"model": ""} == whole(log(events)) | {"model": ""}  # a stream names it once
    if case not in ("interleaved-blocks", "missing-block-stop", "late-message-delta"):
        assert _comparable(again) == _comparable(events)


def _comparable(events: list[Any]) -> list[Any]:
    named = ("attempt.described", "usage")  # their ids and estimates are ours
    return [event for event in events if event.name not in named]
