"""Chat Completions, provider side: what the recorded streams do not show."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from headgate.dialects.fields import LEVELS_MAX
from headgate.dialects.openai_chat.chunks import ChunkDecoder
from headgate.dialects.openai_chat.decode import StreamDecoder, WholeDecoder
from headgate.dialects.openai_chat.parts import PARTS_MAX
from headgate.events import (
    AnyEvent,
    AttemptDescribed,
    ChoiceDone,
    Delta,
    Extra,
    Opaque,
    PartDone,
    PartKind,
    PartStarted,
    Reason,
    Usage,
)

TEXT = PartKind.TEXT
TOOL = PartKind.TOOL_CALL


def choice(index: int = 0, *, finish: str | None = None, beside: dict[str, Any] | None = None, **delta: Any) -> Any:
    return {"index": index, "delta": delta, "finish_reason": finish} | (beside or {})


def decode(*chunks: Any, choices: int = 1) -> list[AnyEvent]:
    """Events of chunks with these choices (a list), or of these chunks (an object)."""
    decoder = ChunkDecoder(attempt=1, choices=choices)
    events = [event for c in chunks for event in decoder.frame(b"", c if isinstance(c, dict) else {"choices": c})]
    assert decoder.failure is None
    return events


def failure(*chunks: Any) -> str:
    decoder = ChunkDecoder(attempt=1, choices=1)
    for chunk in chunks:
        assert decoder.failure is None
        decoder.frame(b"", chunk if isinstance(chunk, dict) else {"choices": chunk})
    assert decoder.failure is not None
    return decoder.failure.code


def call(name: str = "", arguments: Any = None, **fields: Any) -> dict[str, Any]:
    return fields | {"function": {"name": name or None, "arguments": arguments}}


@pytest.mark.parametrize(
    ("calls", "wanted"),
    [
        ([call("f", "1", index=0, id="a"), call("", "2", index=0)], [("a", "f", "12")]),
        ([call("f", "1", index=0, id="a"), call("", "2", index=0, id="a")], [("a", "f", "12")]),
        ([call("f", "1", index=0, id="a"), call("g", "2", index=0, id="b")], [("a", "f", "1"), ("b", "g", "2")]),
        (
            [call("f", "1", index=0, id="a"), call("g", "2", index=1, id="b"), call("", "3", index=0)],
            [("a", "f", "13"), ("b", "g", "2")],
        ),
        ([call("f", "1", id="a"), call("", "2")], [("a", "f", "12")]),
        ([call("f", "1", id="a"), call("g", "2", id="b"), call("", "3")], [("a", "f", "1"), ("b", "g", "23")]),
        ([call("f", "1"), call("g", "2")], [("", "f", "1"), ("", "g", "2")]),
        ([call("f", "1", index=7), call("", "2", index=7)], [("", "f", "12")]),
        ([call("f", {"a": 1}, id="a")], [("a", "f", '{"a":1}')]),
        ([{"id": "a", "type": "custom", "custom": {"name": "f", "input": "x"}}], [("a", "f", "x")]),
    ],
)
@pytest.mark.parametrize("one_chunk", [True, False])
def test_tool_call_is_found_by_its_index_its_id_or_its_name(
    *, calls: list[Any], wanted: list[tuple[str, str, str]], one_chunk: bool
) -> None:
    chunks = [[choice(tool_calls=calls)]] if one_chunk else [[choice(tool_calls=[one])] for one in calls]
    events = decode(*chunks)
    started = [event for event in events if isinstance(event, PartStarted)]
    texts = ["".join(e.text for e in events if isinstance(e, Delta) and e.part == p) for p in range(len(started))]
    assert [(e.tool_id, e.tool_name, text) for e, text in zip(started, texts, strict=True)] == wanted


@pytest.mark.parametrize(
    ("word", "deltas", "reason"),
    [
        ("stop", {"content": "a"}, Reason.STOP),
        ("eos", {"content": "a"}, Reason.STOP),
        ("stop", {"refusal": "a"}, Reason.REFUSAL),
        ("eos", {"refusal": "a"}, Reason.REFUSAL),
        ("length", {"refusal": "a"}, Reason.LENGTH),
        ("stop", {"tool_calls": [call("f")]}, Reason.TOOL_CALLS),
        ("eos", {"tool_calls": [call("f")]}, Reason.TOOL_CALLS),
        ("stop", {"refusal": "a", "tool_calls": [call("f")]}, Reason.REFUSAL),
        ("function_call", {"content": "a"}, Reason.TOOL_CALLS),
        ("content_filter", {"tool_calls": [call("f")]}, Reason.CONTENT_FILTER),
    ],
)
def test_reason_of_a_choice_follows_its_parts_where_the_word_leaves_it_open(
    word: str, deltas: dict[str, Any], reason: Reason
) -> None:
    done = decode([choice(finish=word, **deltas)])[-1]
    assert isinstance(done, ChoiceDone)
    assert (done.reason, done.provider_reason) == (reason, word)


def test_new_part_closes_prose_and_leaves_tool_calls_open() -> None:
    events = decode(
        [choice(reasoning_content="r")],
        [choice(content="a", tool_calls=[call("f", "1", index=0, id="a")])],
        [choice(content="b", tool_calls=[call("", "2", index=0)])],
        [choice(content="c")],
        [choice(finish="stop")],
    )
    assert events == [
        PartStarted(0, 0, PartKind.REASONING),
        Delta(0, 0, "r"),
        PartDone(0, 0),
        PartStarted(0, 1, TEXT),
        Delta(0, 1, "a"),
        PartDone(0, 1),
        PartStarted(0, 2, TOOL, "a", "f"),
        Delta(0, 2, "1"),
        PartStarted(0, 3, TEXT),
        Delta(0, 3, "b"),
        Delta(0, 2, "2"),
        Delta(0, 3, "c"),
        PartDone(0, 2),
        PartDone(0, 3),
        ChoiceDone(0, Reason.TOOL_CALLS, "stop"),
    ]


@pytest.mark.parametrize(
    ("delta", "name", "text"),
    [
        ({"reasoning_content": "r"}, None, "r"),
        ({"reasoning": "r"}, "reasoning", "r"),
        ({"reasoning": "r", "reasoning_content": "r"}, None, "r"),
        ({"reasoning": "r", "reasoning_content": ""}, "reasoning", "r"),
        ({"reasoning": "r", "reasoning_content": None}, "reasoning", "r"),
    ],
)
def test_reasoning_is_one_text_and_its_part_says_what_it_was_called(
    delta: dict[str, Any], name: str | None, text: str
) -> None:
    extra = Extra(delta={name: ""}) if name else None
    assert decode([choice(**delta)]) == [PartStarted(0, 0, PartKind.REASONING, extra=extra), Delta(0, 0, text)]


def test_extra_goes_onto_the_first_delta_or_the_end_of_the_choice_or_an_event_of_its_own() -> None:
    top, beside = {"t": 1}, {"logprobs": {"l": 1}}
    both = Extra(response=top, choice=beside)
    first = {"choices": [choice(content="a", beside=beside)], **top}
    assert decode(first)[1:] == [Delta(0, 0, "a", both)]
    assert decode({"choices": [choice(finish="stop", beside=beside)], **top})[-1] == ChoiceDone(
        0, Reason.STOP, "stop", both
    )
    assert decode({"choices": [choice(role="assistant", beside=beside)], **top}) == [Opaque(0, both, idle=True)]
    assert decode({"choices": [], **top}) == [Opaque(0, Extra(response=top), idle=True)]


def test_fields_of_the_message_do_not_end_up_inside_a_tool_call() -> None:
    one = [call("f", "1", index=0, id="a", sig="s")]
    assert decode([choice(tool_calls=one, note=1, beside={"c": 1})]) == [
        PartStarted(0, 0, TOOL, "a", "f", Extra(delta={"sig": "s"})),
        Delta(0, 0, "1"),
        Opaque(0, Extra(choice={"c": 1}, delta={"note": 1})),
    ]
    assert decode([choice(tool_calls=one, note=1, finish="stop")])[-1] == ChoiceDone(
        0, Reason.TOOL_CALLS, "stop", Extra(delta={"note": 1})
    )
    assert decode([choice(content="a", tool_calls=one, note=1)])[1] == Delta(0, 0, "a", Extra(delta={"note": 1}))


def test_what_stood_beside_a_tool_call_joins_what_stood_inside_it() -> None:
    start = [choice(tool_calls=[call("f", "1", index=0, id="a")])]
    more = [choice(tool_calls=[call("", "2", index=0, sig="s")], beside={"c": 1})]
    assert decode(start, more)[-1] == Delta(0, 0, "2", Extra(choice={"c": 1}, delta={"sig": "s"}))


def test_top_of_a_chunk_goes_with_its_first_choice() -> None:
    events = decode({"choices": [choice(1, content="b"), choice(0, content="a")], "t": 1}, choices=2)
    assert [event for event in events if isinstance(event, Delta)] == [
        Delta(1, 0, "b", Extra(response={"t": 1})),
        Delta(0, 0, "a"),
    ]


def test_answer_is_described_again_only_when_model_or_envelope_change() -> None:
    def described(*fields: dict[str, Any]) -> list[AnyEvent]:
        return decode(*({"choices": []} | f for f in fields))

    first = {"id": "a", "model": "m"}
    one = AttemptDescribed(1, "a", "m")
    assert described({"id": "", "model": None}, first, first, {"id": "b", "model": ""}) == [one]
    assert described(first, {"model": "n"}) == [one, AttemptDescribed(1, "a", "n")]
    assert described(first, {"service_tier": "x"}, {"system_fingerprint": "f"}) == [
        one,
        AttemptDescribed(1, "a", "m", {"service_tier": "x"}),
        AttemptDescribed(1, "a", "m", {"service_tier": "x", "system_fingerprint": "f"}),
    ]
    assert described({"model": "m"}, {"id": "a"}) == [AttemptDescribed(1, "", "m")]
    assert described({"id": 7, "model": ["m"], "service_tier": {}}) == []


def test_usage_comes_once_after_the_last_choice_and_again_only_if_it_changed() -> None:
    def usage(tokens: int) -> dict[str, Any]:
        return {"usage": {"prompt_tokens": tokens}}

    events = decode(
        {"choices": [choice(content="a")], **usage(1)},
        {"choices": [choice(finish="stop")], **usage(2)},
        {"choices": [], **usage(2)},
        {"choices": [], **usage(3)},
    )
    assert [event.input_tokens for event in events if isinstance(event, Usage)] == [2, 3]


def test_usage_of_an_answer_that_was_cut_is_kept() -> None:
    decoder = ChunkDecoder(attempt=1, choices=1)
    decoder.frame(b"", {"choices": [choice(content="a")], "usage": {"prompt_tokens": 3}})
    assert decoder.end() == [Usage(3, 0, provider={"prompt_tokens": 3})]
    assert decoder.failure is not None
    assert decoder.failure.code == "upstream_cut"


def test_usage_whose_counts_are_none_is_no_usage() -> None:
    events = decode({"choices": [choice(finish="stop")], "usage": {"prompt_tokens": "7", "completion_tokens": -1}})
    assert not any(isinstance(event, Usage) for event in events)


def test_details_that_are_no_counts_are_zero() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": "x"}}
    events = decode({"choices": [choice(finish="stop")], "usage": usage})
    assert events[-1] == Usage(7, 2, provider=usage)


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": 1},
        {"choices": [1]},
        {"choices": [], "usage": 1},
        {"choices": [{"index": "0"}]},
        {"choices": [{"index": True}]},
        {"choices": [{"index": 1}]},
        {"choices": [{"index": -1}]},
        [{"delta": 1}],
        [{"delta": {"content": 7}}],
        [{"delta": {"refusal": 7}}],
        [{"delta": {"tool_calls": 7}}],
        [{"delta": {"tool_calls": [7]}}],
        [{"delta": {"tool_calls": [{"index": "0"}]}}],
        [{"delta": {"tool_calls": [{"id": 7}]}}],
        [{"delta": {"tool_calls": [{"function": 7}]}}],
        [{"delta": {"tool_calls": [{"function": {"name": 7}}]}}],
        [{"delta": {"tool_calls": [{"function": {"arguments": 7}}]}}],
        [{"finish_reason": 7}],
        {"choices": [], "extra": 2**64},
        {"choices": [], "extra": [{"a": -(2**63) - 1}]},
        {"choices": [], "usage": {"prompt_tokens": 2**64}},
        {"choices": [], "model": "m" * 2000},
    ],
)
def test_wrong_type_or_what_no_log_can_hold_is_malformed(chunk: Any) -> None:
    assert failure(chunk) == "upstream_malformed"


def test_nesting_that_no_journal_could_hold_is_malformed() -> None:
    def nested(levels: int) -> Any:
        value: Any = 1
        for _ in range(levels):
            value = [value]
        return {"choices": [], "extra": value}

    decode(nested(LEVELS_MAX - 1))
    assert failure(nested(LEVELS_MAX)) == "upstream_malformed"


def test_number_of_parts_is_bounded() -> None:
    calls = [call("f", id=str(number)) for number in range(PARTS_MAX)]
    decode([choice(tool_calls=calls)])
    assert failure([choice(tool_calls=[*calls, call("f", id="more")])]) == "upstream_malformed"


def test_text_after_the_finish_reason_is_malformed_and_extra_fields_are_not() -> None:
    end = [choice(finish="stop")]
    assert failure(end, [choice(content="late")]) == "upstream_malformed"
    late = decode(end, [choice(content="", finish="length", beside={"c": 1})])[-1]
    assert late == Opaque(0, Extra(choice={"c": 1}), idle=True)


def test_finish_reason_that_is_empty_is_none() -> None:
    assert decode([choice(content="a", finish="")], [choice(content="b")])[1:] == [Delta(0, 0, "a"), Delta(0, 0, "b")]


def test_whole_answer_may_begin_with_a_bom() -> None:
    decoder = WholeDecoder(attempt=1, choices=1)
    answer = {"choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}]}
    decoder.feed(b"\xef\xbb\xbf" + json.dumps(answer).encode())
    assert decoder.finish()[1] == Delta(0, 0, "a")
    assert decoder.finished


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b"\xff", b"<html>"])
def test_whole_answer_that_is_no_object_is_malformed(body: bytes) -> None:
    decoder = WholeDecoder(attempt=1, choices=1)
    decoder.feed(body)
    assert decoder.finish() == []
    assert decoder.failure is not None
    assert decoder.failure.code == "upstream_malformed"
    assert not decoder.finished


def test_line_over_the_limit_ends_the_answer() -> None:
    decoder = StreamDecoder(attempt=1, choices=1)
    for _ in range(5):
        decoder.feed(b"data: " + b"x" * 1024 * 1024)
    assert decoder.failure is not None
    assert decoder.failure.code == "upstream_too_large"
    assert decoder.feed(b"\n\n") == []


def test_every_event_fits_into_the_journal() -> None:
    events = decode({"choices": [choice(content="a", beside={"big": 2**64 - 1, "small": -(2**63)})], "t": [[1]]})
    assert msgspec.msgpack.encode(events)


def test_name_of_an_event_takes_no_text_away() -> None:
    decoder = ChunkDecoder(attempt=1, choices=1)
    assert decoder.frame(b"heartbeat", {"at": 1}) == []
    events = decoder.frame(b"heartbeat", {"choices": [choice(content="kept")]})
    assert [event.text for event in events if isinstance(event, Delta)] == ["kept"]
