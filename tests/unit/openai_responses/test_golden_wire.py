"""Providers' bytes as recorded (or made up in their likeness), and the events they must become, however they are cut."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from headgate.dialects.openai_responses import OPENAI_RESPONSES
from headgate.events import AnyEvent, AttemptDescribed
from tests.unit.goldens import ROOT, event_of, lines
from tests.unit.openai_responses.wire import (
    CASES,
    EVENT,
    NAME,
    RESPONSE,
    decoder,
    frames,
    is_stream,
    log,
    read,
    stream,
    upstream,
    whole,
)

every_case = pytest.mark.parametrize("case", CASES)
STREAMS: Final = [case for case in CASES if is_stream(case)]
OWN_WORDS: Final = {"several-parts", "unknown-fields-and-events"}
"""Cases with words that the SDK's types do not know."""
LESS_THAN_CANONICAL: Final = {
    "arguments-contradicted",
    "deltas-alone",
    "deltas-without-a-place",
    "everything-at-the-end",
    "other-end-marker",
}
"""Cases whose provider says less, or something else, than we do: what we send is read as more than it sent."""


def answer(case: str) -> tuple[list[AnyEvent], Any]:
    events, failure, _ = read(decoder(case), [upstream(case)])
    return events, failure


def final_response(case: str) -> dict[str, Any] | None:
    """The response object in the last event of a stream that has one with output, or the whole answer."""
    data = upstream(case)
    if not is_stream(case):
        return dict(json.loads(data))
    rows = [
        json.loads(line[6:])
        for line in data.decode().splitlines()
        if line.startswith("data: {") and line.endswith("}}")
    ]
    found = [row["response"] for row in rows if row.get("response", {}).get("output")]
    return {"status": "completed"} | found[-1] if found else None


@every_case
def test_provider_bytes_become_the_golden_events(case: str) -> None:
    *golden, end = [json.loads(line) for line in lines(ROOT / NAME / case / "events.ndjson")]
    events, failure = answer(case)
    assert events == [event_of(event) for event in golden]
    assert (failure.code if failure else None) == (end["failure"] or {"code": None})["code"]


@every_case
def test_events_are_the_same_wherever_the_bytes_are_cut(case: str) -> None:
    data = upstream(case)
    wanted = read(decoder(case), [data])
    for cut in range(len(data) + 1):
        assert read(decoder(case), [data[:cut], data[cut:]]) == wanted, f"cut at {cut}"
    assert read(decoder(case), [data[at : at + 1] for at in range(len(data))]) == wanted


@every_case
def test_answer_is_finished_or_has_failed_and_never_both(case: str) -> None:
    one = decoder(case)
    read(one, [upstream(case)])
    assert one.finished != (one.failure is not None)


@every_case
@pytest.mark.parametrize("provider", [NAME, "openai-chat"])
def test_every_frame_is_what_the_official_sdk_takes(case: str, provider: str) -> None:
    """As a reader of the provider's dialect, and as one of another."""
    events = log(*answer(case), provider=provider)
    shown = frames(stream(events))
    if provider == NAME and case in OWN_WORDS:
        return
    for frame in shown:
        EVENT.validate_python(frame, strict=True)
    RESPONSE.validate_python(shown[-1]["response"], strict=True)


@every_case
def test_stream_adds_up_and_ends_with_the_whole_answer(case: str) -> None:
    events, failure = answer(case)
    made = log(events, failure)
    shown = frames(stream(made))
    assert [frame["sequence_number"] for frame in shown] == list(range(len(shown)))
    check_sums(shown)
    if failure is None:
        assert shown[-1]["response"] == whole(made)


def check_sums(shown: list[dict[str, Any]]) -> None:
    """Deltas make the text of ``.done``, of the part's end, of the item's end and of the final response."""
    texts: dict[tuple[Any, ...], str] = {}
    items: dict[int, Any] = {}
    kinds: dict[int, str] = {}
    for frame in shown:
        kind = frame["type"]
        if kind == "response.output_item.added":
            kinds[frame["output_index"]] = frame["item"]["type"]
        if kinds.get(frame.get("output_index", -1), "") not in OURS:
            continue  # an item whose text is the provider's own
        key = (frame.get("output_index"), frame.get("content_index"), frame.get("summary_index"))
        stem = kind.rpartition(".")[0]
        if stem in TEXT_FIELDS and kind.endswith(".delta"):
            texts[key] = texts.get(key, "") + frame["delta"]
        elif stem in TEXT_FIELDS and kind.endswith(".done"):
            assert frame[TEXT_FIELDS[stem]] == texts.get(key, "")
        elif kind in ("response.content_part.done", "response.reasoning_summary_part.done"):
            part = frame["part"]
            if part["type"] in TEXT_TYPES:
                assert part.get("text", part.get("refusal")) == texts.get(key, "")
        elif kind == "response.output_item.done":
            items[frame["output_index"]] = frame["item"]
    output = shown[-1]["response"]["output"]
    for index, item in items.items():
        assert output[index] == item
    if shown[-1]["type"] != "response.failed":
        assert sorted(items) == [index for index, item in enumerate(output) if item["type"] in OURS]


OURS: Final = ("message", "reasoning", "function_call", "custom_tool_call")
TEXT_TYPES: Final = ("output_text", "refusal", "reasoning_text", "summary_text")
TEXT_FIELDS: Final = {
    "response.output_text": "text",
    "response.refusal": "refusal",
    "response.reasoning_text": "text",
    "response.reasoning_summary_text": "text",
    "response.function_call_arguments": "arguments",
    "response.custom_tool_call_input": "input",
}


@pytest.mark.parametrize("case", sorted(set(STREAMS) - LESS_THAN_CANONICAL))
def test_our_stream_is_read_as_the_events_it_was_made_of(case: str) -> None:
    """What a reader of the same dialect gets is all there was: nothing is lost between two gateways."""
    events, failure = answer(case)
    if failure is not None:
        return
    again, failed, ended = read(OPENAI_RESPONSES.stream_decoder(attempt=1, choices=1), [stream(log(events, None))])
    assert failed is None
    assert ended

    described = [event for event in events if not isinstance(event, AttemptDescribed)]
    assert [event for event in again if not isinstance(event, AttemptDescribed)] == described
    assert whole(log(again)) == whole(log(events))


@pytest.mark.parametrize("case", sorted(set(STREAMS) - {"arguments-contradicted"}))
def test_stream_and_its_final_response_fold_to_the_same(case: str) -> None:
    response = final_response(case)
    events, failure = answer(case)
    if response is None or failure is not None:
        return
    given, failed, _ = read(OPENAI_RESPONSES.whole_decoder(attempt=1, choices=1), [json.dumps(response).encode()])
    assert failed is None
    assert whole(log(given)) == whole(log(events))


@pytest.mark.parametrize(
    "case", sorted(set(CASES) - {"arguments-contradicted", "arguments-object", "reasoning-open-responses"})
)
def test_reader_of_the_same_dialect_is_shown_every_value_of_the_response(case: str) -> None:
    """All but what is ours to say: the response's id, its times, what the client itself asked for."""
    events, failure = answer(case)
    if failure is not None or (given := final_response(case)) is None:
        return
    shown = whole(log(events))
    for name in set(given) - {"id", "created_at", "completed_at", "tools"}:
        assert subset(given[name], shown.get(name)), name


def subset(given: Any, shown: Any) -> bool:
    """Whether every value that was given is shown; we may say more, such as an empty list of annotations."""
    if isinstance(given, dict):
        return all(value is None or subset(value, shown.get(name)) for name, value in given.items())
    if isinstance(given, list):
        return len(given) == len(shown) and all(subset(a, b) for a, b in zip(given, shown, strict=True))
    return given is None or bool(given == shown)
