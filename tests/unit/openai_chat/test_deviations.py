"""What compatible servers do otherwise, beside what the recorded streams show."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.assemble import Fold
from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.dialects.openai_chat.chunks import ChunkDecoder
from headgate.dialects.openai_chat.failures import read_failure
from headgate.dialects.openai_chat.parts import PARTS_MAX
from headgate.dialects.openai_chat.request import read_request
from headgate.dialects.openai_chat.usage import read_usage
from headgate.events import (
    AnyEvent,
    AttemptStarted,
    ChoiceDone,
    Delta,
    PartKind,
    PartStarted,
    Reason,
    ResponseStarted,
    Status,
    Terminal,
)


def ending(word: str) -> Reason | str:
    """The reason that a finish word means, or the code of the failure."""
    decoder = ChunkDecoder(attempt=1, choices=1)
    choice = {"index": 0, "delta": {"content": "x"}, "finish_reason": word}
    events = decoder.frame(b"", {"choices": [choice]})
    if decoder.failure is not None:
        assert not any(isinstance(event, ChoiceDone) for event in events)
        return decoder.failure.code
    done = events[-1]
    assert isinstance(done, ChoiceDone)
    assert done.provider_reason == word
    return done.reason


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("stop", Reason.STOP),
        ("eos", Reason.STOP),
        ("end_turn", Reason.STOP),
        ("never heard of", Reason.STOP),
        ("length", Reason.LENGTH),
        ("MAX_TOKENS", Reason.LENGTH),
        ("model_length", Reason.LENGTH),
        ("model_context_window_exceeded", Reason.LENGTH),
        ("tool_use", Reason.TOOL_CALLS),
        ("SAFETY", Reason.CONTENT_FILTER),
        ("sensitive", Reason.CONTENT_FILTER),
        ("content_filter: PROHIBITED_CONTENT", Reason.CONTENT_FILTER),
        ("error", "upstream_error"),
        ("abort", "upstream_error"),
        ("insufficient_system_resource", "upstream_error"),
        ("function_call_filter: MALFORMED_FUNCTION_CALL", "upstream_malformed"),
    ],
)
def test_finish_words_of_other_servers_are_known(word: str, meaning: Reason | str) -> None:
    assert ending(word) == meaning


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}, (5, 3, 0, 0)),
        ({"prompt_tokens": 5, "completion_tokens": 3}, (5, 3, 0, 0)),
        ({"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 18}, (5, 13, 0, 10)),
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 3,
                "total_tokens": 18,
                "prompt_tokens_details": {"cached_tokens": 10},
            },
            (5, 3, 10, 0),
        ),
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 12,
                "total_tokens": 17,
                "completion_tokens_details": {"reasoning_tokens": 10},
            },
            (5, 12, 0, 10),
        ),
        ({"prompt_tokens": 5, "completion_tokens": 3, "prompt_cache_hit_tokens": 4}, (5, 3, 4, 0)),
    ],
)
def test_output_includes_reasoning_wherever_a_server_counts_it(
    usage: dict[str, Any], counts: tuple[int, int, int, int]
) -> None:
    read = read_usage(usage)
    assert read is not None
    assert (read.input_tokens, read.output_tokens, read.cached_tokens, read.reasoning_tokens) == counts
    assert read.provider is usage


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'[{"error":{"code":400,"message":"Bad key","status":"INVALID_ARGUMENT"}}]', "Bad key"),
        (b'{"detail":"Not there"}', "Not there"),
        (
            b'{"detail":[{"type":"missing","loc":["body","messages",0],"msg":"Field required"}]}',
            "body.messages.0: Field required",
        ),
        (b'{"object":"error","message":"No","type":"x"}', "No"),
        (b'{"error":"No"}', "No"),
        (b'{"detail":[1]}', "The provider answered with status 400."),
        (b"[]", "The provider answered with status 400."),
        (b"<html>", "The provider answered with status 400."),
    ],
)
def test_message_of_an_error_is_found_in_every_form(body: bytes, message: str) -> None:
    assert read_failure(400, {}, body).message == message


def test_content_that_is_no_text_stands_behind_the_text_of_a_whole_answer() -> None:
    reference = {"type": "reference", "reference_ids": [1]}
    message = {"content": [{"type": "text", "text": "a"}, reference, {"type": "text", "text": "b"}]}
    shown = whole({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    assert shown["content"] == [{"type": "text", "text": "ab"}, reference]


def test_content_without_any_text_is_passed_on_as_it_came() -> None:
    items = [
        {"type": "audio", "data": "QQ=="},
        "odd",
        {"type": "text", "text": 1},
        {"type": "thinking", "thinking": [2]},
    ]
    shown = whole({"choices": [{"index": 0, "message": {"content": items}, "finish_reason": "stop"}]})
    assert shown["content"] == [{"type": "text", "text": ""}, *items]


def whole(answer: Any) -> dict[str, Any]:
    """The message a client gets of this answer of a provider."""
    return message_of(ChunkDecoder(attempt=1, choices=1).whole(answer))


def message_of(events: list[AnyEvent]) -> dict[str, Any]:
    fold = Fold()
    log = [
        ResponseStarted("resp_" + "0" * 32, "app", "openai-chat", "m", 1),
        AttemptStarted(1, "p", "openai-chat", "m"),
        *events,
        Terminal(Status.COMPLETED),
    ]
    for seq, event in enumerate(log, 1):
        fold.feed(seq, event)
    message: dict[str, Any] = json.loads(OPENAI_CHAT.whole(fold))["choices"][0]["message"]
    return message


def test_extra_of_a_call_that_waited_for_its_name_is_kept() -> None:
    decoder = ChunkDecoder(attempt=1, choices=1)
    calls: list[dict[str, Any]] = [
        {"index": 0, "id": "c", "sig": 1},
        {"index": 0, "more": 2},
        {"index": 0, "function": {"name": "f"}},
    ]
    events = [
        event
        for call in calls
        for event in decoder.frame(b"", {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})
    ]
    (started,) = events
    assert isinstance(started, PartStarted)
    assert started.extra is not None
    assert (started.tool_id, started.tool_name, started.extra.delta) == ("c", "f", {"sig": 1, "more": 2})


def test_tools_are_part_of_the_text_that_is_counted() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "tools": [{"function": {"name": "f"}}]}
    assert read_request(json.dumps(body).encode()).text == [body["messages"], body["tools"], None]


def calls_of(*deltas: dict[str, Any]) -> ChunkDecoder:
    decoder = ChunkDecoder(attempt=1, choices=1)
    for call in deltas:
        if decoder.failure is None:
            decoder.frame(b"", {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})
    return decoder


def test_calls_that_never_get_a_name_are_bounded() -> None:
    """What waits is kept in memory, and a peer must not be able to grow it."""
    decoder = calls_of(*({"index": index, "id": f"c{index}"} for index in range(PARTS_MAX + 1)))
    assert decoder.failure is not None
    assert decoder.failure.code == "upstream_malformed"
    assert calls_of(*({"index": 0, f"x{index}": index} for index in range(100))).failure is None


def test_call_that_waits_for_its_name_gets_it_by_its_id() -> None:
    calls: list[dict[str, Any]] = [
        {"id": "c"},
        {"id": "c", "function": {"name": "f"}},
        {"function": {"arguments": "{}"}},
    ]
    decoder = ChunkDecoder(attempt=1, choices=1)
    events = [
        event
        for call in calls
        for event in decoder.frame(b"", {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})
    ]
    assert events == [PartStarted(0, 0, PartKind.TOOL_CALL, "c", "f"), Delta(0, 0, "{}")]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
ITEMS = st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, TEXTS)
    | st.builds(lambda text: {"type": "thinking", "thinking": text}, TEXTS)
    | st.builds(lambda a, b: {"type": "thinking", "thinking": [{"type": "text", "text": a}, {"text": b}]}, TEXTS, TEXTS)
    | st.builds(lambda number: {"type": "reference", "reference_ids": [number]}, st.integers(0, 9)),
    max_size=6,
)


@given(ITEMS, st.lists(st.integers(0, 6), max_size=3))
def test_content_in_arrays_folds_to_the_same_however_it_is_cut(items: list[Any], at: list[int]) -> None:
    marks = [0, *sorted(min(mark, len(items)) for mark in at), len(items)]
    deltas: list[Any] = [items[start:end] for start, end in pairwise(marks)]
    chunks = [{"choices": [{"index": 0, "delta": {"content": content}}]} for content in deltas]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    answer = {"choices": [{"index": 0, "message": {"content": items}, "finish_reason": "stop"}]}
    decoder = ChunkDecoder(attempt=1, choices=1)
    streamed = [event for chunk in [*chunks, end] for event in decoder.frame(b"", chunk)]
    assert decoder.failure is None
    assert message_of(streamed) == whole(answer)
