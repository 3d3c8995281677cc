"""Anthropic Messages, provider side: limits, and what the golden answers do not show."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest

from headgate.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from headgate.dialects.anthropic_messages.answer import (
    COUNT_MAX,
    DESCRIPTION_CHARS_MAX,
    USAGE_FIELDS_MAX,
    read_usage,
)
from headgate.dialects.anthropic_messages.blocks import PARTS_MAX
from headgate.dialects.anthropic_messages.objects import REASONS
from headgate.errors import Failure
from headgate.events import AnyEvent, AttemptDescribed, ChoiceDone, Delta, Extra, PartDone, PartKind, PartStarted, Usage
from headgate.lifecycle import terminal_status
from tests.unit.anthropic_messages.wire import read_stream, stream

TEXT: Final[dict[str, Any]] = {"type": "text", "text": ""}
END: Final[dict[str, Any]] = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}


def start(index: Any, block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: Any, delta: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def text(index: Any, text: Any) -> dict[str, Any]:
    return delta(index, {"type": "text_delta", "text": text})


def code(*frames: dict[str, Any]) -> str | None:
    failure: Failure | None = read_stream(*frames)[1]
    return failure.code if failure else None


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "frame",
    [
        start(None, TEXT),
        start(0, None),
        start(0, []),
        start(0, {"type": None}),
        start(0, {"type": ["text"]}),
        start(0, {"type": "text", "text": 1}),
        start(0, {"type": "text", "citations": "x"}),
        start(0, {"type": "thinking", "thinking": []}),
        start(0, {"type": "thinking", "signature": 1}),
        start(0, {"type": "tool_use", "id": 1}),
        start(0, {"type": "tool_use", "id": "x", "name": {"a": 1}}),
        start(0, {"type": "tool_use", "id": "x", "name": "f", "input": [1]}),
        start(0, {"type": "new", "deep": nested(100)}),
        start(0, {"type": "new", "large": 10**30}),
        delta(True, {"type": "text_delta", "text": "x"}),
        delta(0, None),
        delta(0, {}),
        delta(0, {"type": {}}),
        text(0, 1),
        text(0, ["x"]),
        delta(0, {"type": "thinking_delta", "thinking": 1}),
        delta(0, {"type": "input_json_delta", "partial_json": "{}"}),
        {"type": "message_start", "message": None},
        {"type": "message_start", "message": {"id": "x" * (DESCRIPTION_CHARS_MAX + 1)}},
        {"type": "message_start", "message": {"model": "x" * (DESCRIPTION_CHARS_MAX + 1)}},
        {"type": "message_start", "message": {"usage": 1}},
        {"type": "message_start", "message": {"new": 10**30}},
        {"type": "message_delta", "delta": [1]},
        {"type": "message_delta", "delta": {"stop_reason": 1}},
        {"type": "message_delta", "delta": {}, "usage": "x"},
        {"type": "content_block_stop", "index": "0"},
    ],
)
def test_wrong_types_are_malformed_because_they_may_have_been_text(frame: dict[str, Any]) -> None:
    failure = read_stream(frame)[1]
    assert failure is not None
    assert failure.code == "upstream_malformed"


def test_parts_are_limited() -> None:
    frames = [start(index, TEXT) for index in range(PARTS_MAX)]
    assert code(*frames, END) is None
    assert code(*frames, start(PARTS_MAX, TEXT), END) == "upstream_malformed"


def test_index_may_be_any_number_and_costs_nothing() -> None:
    events, failure = read_stream(start(10**15, TEXT), text(10**15, "Hi"), start(-1, TEXT), END)
    assert failure is None
    assert [event.part for event in events if isinstance(event, PartStarted)] == [0, 1]


@pytest.mark.parametrize("word", REASONS)
def test_every_stop_reason_of_the_table_is_kept_as_it_was_spelt(word: str) -> None:
    (done,) = (event for event in read_stream(END | {"delta": {"stop_reason": word}})[0])
    assert isinstance(done, ChoiceDone)
    assert (done.reason, done.provider_reason) == (REASONS[word], word)
    assert terminal_status([done.reason]).successful


def test_of_several_stop_reasons_the_first_counts() -> None:
    events, failure = read_stream(END, END | {"delta": {"stop_reason": "max_tokens"}})
    assert failure is None
    assert events == [ChoiceDone(0, REASONS["end_turn"], "end_turn")]


def test_block_that_begins_again_is_another_part() -> None:
    events, _ = read_stream(start(0, TEXT), text(0, "a"), start(0, TEXT), text(0, "b"), END)
    assert events[:6] == [
        PartStarted(0, 0, PartKind.TEXT),
        Delta(0, 0, "a"),
        PartDone(0, 0),
        PartStarted(0, 1, PartKind.TEXT),
        Delta(0, 1, "b"),
        PartDone(0, 1),
    ]


def test_text_inside_a_tool_call_is_kept_and_is_no_argument() -> None:
    tool = {"type": "tool_use", "id": "x", "name": "f", "input": {}}
    events, _ = read_stream(start(0, tool), text(0, "hm"), END)
    assert events[1] == Delta(0, 0, "", Extra(delta={"type": "text_delta", "text": "hm"}))


def test_arguments_that_came_as_text_are_that_text() -> None:
    tool = {"type": "tool_use", "id": "x", "name": "f", "input": '{"a": 1'}
    events, _ = read_stream(start(0, tool), END)
    assert Delta(0, 0, '{"a": 1') in events


def test_arguments_are_text_so_their_numbers_may_be_of_any_size() -> None:
    tool = {"type": "tool_use", "id": "x", "name": "f", "input": {"a": 10**30}}
    assert Delta(0, 0, f'{{"a":{10**30}}}') in read_stream(start(0, tool), END)[0]


def test_last_of_several_signatures_counts() -> None:
    def signature(value: str) -> dict[str, Any]:
        return delta(0, {"type": "signature_delta", "signature": value})

    events, _ = read_stream(start(0, {"type": "thinking"}), signature("a"), signature("b"), END)
    assert PartDone(0, 0, Extra(delta={"type": "signature_delta", "signature": "b"})) in events


def test_usage_counts_what_was_read_from_and_written_to_the_cache() -> None:
    usage = {
        "input_tokens": 5,
        "cache_read_input_tokens": 70,
        "cache_creation_input_tokens": 600,
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 4},
    }
    assert read_usage(usage) == Usage(
        675, 9, cached_tokens=70, reasoning_tokens=4, provider=usage, cache_write_tokens=600
    )


@pytest.mark.parametrize("wrong", [None, "1", -1, 1.5, True, COUNT_MAX + 1, [], {}])
def test_detail_that_is_no_count_is_none(wrong: Any) -> None:
    usage = {"output_tokens": 3, "output_tokens_details": wrong, "cache_read_input_tokens": wrong}
    assert read_usage(usage) == Usage(0, 3, provider=usage)


@pytest.mark.parametrize("wrong", ["1", -1, 1.5, True, COUNT_MAX + 1, [], {}])
def test_usage_of_which_a_count_is_none_is_no_usage(wrong: Any) -> None:
    assert read_usage({"input_tokens": wrong, "output_tokens": 3}) is None
    assert read_usage({"input_tokens": 3, "output_tokens": wrong}) is None


def test_start_of_a_message_alone_is_no_usage() -> None:
    """It counts one token of output; the gateway's own estimate is better than that."""
    message = {"id": "msg_1", "model": "m", "usage": {"input_tokens": 5, "output_tokens": 1}}
    events, failure = read_stream({"type": "message_start", "message": message}, start(0, TEXT), text(0, "Hi"))
    assert failure is not None
    assert not any(isinstance(event, Usage) for event in events)


def test_usage_is_gathered_within_limits() -> None:
    def counts(start: int) -> dict[str, Any]:
        return END | {"usage": {f"x{number}": 1 for number in range(start, start + USAGE_FIELDS_MAX)}}

    assert code(counts(0), counts(0)) is None
    assert code(counts(0), counts(1)) == "upstream_malformed"


def test_repetition_makes_no_log_that_is_much_longer_than_what_was_sent() -> None:
    """What is known of the whole answer must not be said again with every event that a peer makes up."""
    large = {"id": "msg_1", "usage": {"iterations": ["x" * 10_000]}}
    frames: list[dict[str, Any]] = [{"type": "message_start", "message": large}]
    frames += [{"type": "message_start", "message": {"model": f"m{number}"}} for number in range(300)]
    frames += [END | {"usage": {"output_tokens": number}} for number in range(300)]
    events, failure = read_stream(*frames)
    assert failure is None
    assert len(msgspec.msgpack.encode(events)) < 3 * len(stream(*frames))


def test_new_of_the_message_is_described_and_the_first_id_stays() -> None:
    def begin(**message: Any) -> dict[str, Any]:
        return {"type": "message_start", "message": message}

    events, _ = read_stream(begin(id="a", model=7), begin(id="b"), begin(model="m", new=[1]), begin(new=None), END)
    assert events[:-1] == [
        AttemptDescribed(1, "a"),
        AttemptDescribed(1, "a", "m", {"new": [1]}),
    ]


def test_nothing_after_the_end_marker_or_a_failure_is_read() -> None:
    for last in (stream({"type": "message_stop"}), stream({"type": "error", "error": {}})):
        decoder = ANTHROPIC_MESSAGES.stream_decoder(attempt=1, choices=1)
        decoder.feed(stream(start(0, TEXT)) + last)
        assert decoder.settled
        assert decoder.feed(stream(text(0, "more"))) == []


def test_stop_reason_is_a_whole_answer_before_its_end_marker() -> None:
    decoder = ANTHROPIC_MESSAGES.stream_decoder(attempt=1, choices=1)
    decoder.feed(stream(END))
    assert (decoder.settled, decoder.finished, decoder.ended) == (True, True, False)
    decoder.feed(stream({"type": "message_stop"}))
    assert decoder.ended


def kinds(events: list[AnyEvent]) -> list[PartKind]:
    return [event.kind for event in events if isinstance(event, PartStarted)]


@pytest.mark.parametrize("kind", ["redacted_thinking", "server_tool_use", "container_upload", "fallback", "brand_new"])
def test_block_of_another_kind_is_a_part_that_keeps_the_providers_object(kind: str) -> None:
    block = {"type": kind, "x": {"y": None}}
    events, _ = read_stream(start(0, block), END)
    assert events[0] == PartStarted(0, 0, PartKind.OTHER, extra=Extra(delta=block))
