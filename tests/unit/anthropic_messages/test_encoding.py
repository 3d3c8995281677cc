"""Anthropic Messages, client side: what the golden logs do not show."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
import pytest

from headgate.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from headgate.dialects.anthropic_messages.encode import OURS
from headgate.dialects.anthropic_messages.tool_input import tool_input
from headgate.events import (
    AnyEvent,
    AttemptDescribed,
    Blame,
    ChoiceDone,
    Delta,
    Extra,
    Opaque,
    PartDone,
    PartKind,
    PartStarted,
    Reason,
    Retracted,
    Status,
    Terminal,
    Usage,
)
from tests.unit.anthropic_messages.wire import HEX, STARTED, frames, log, shown, whole
from tests.unit.goldens import fold_of

STOP: Final = ChoiceDone(0, Reason.STOP, "stop")
CHAT: Final = "openai-chat"


def part(number: int, kind: PartKind, *texts: str, **fields: Any) -> list[AnyEvent]:
    """A part from its start to its end."""
    started = PartStarted(0, number, kind, **fields)
    return [started, *(Delta(0, number, text) for text in texts), PartDone(0, number)]


def named(shown: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [frame for frame in shown if frame["type"] == kind]


def test_reasoning_of_another_dialect_is_thinking_without_a_signature() -> None:
    numbered = log([*part(0, PartKind.REASONING, "Hm"), *part(1, PartKind.TEXT, "Yes"), STOP], provider=CHAT)
    starts = [frame["content_block"] for frame in named(shown(numbered), "content_block_start")]
    assert starts == [{"type": "thinking", "thinking": "", "signature": ""}, {"type": "text", "text": ""}]
    assert whole(numbered)["content"][0] == {"type": "thinking", "thinking": "Hm", "signature": ""}


def test_refusal_of_another_dialect_is_text_and_the_reason_says_what_it_is() -> None:
    done = ChoiceDone(0, Reason.REFUSAL, "stop")
    numbered = log([*part(0, PartKind.REFUSAL, "No."), done], provider=CHAT)
    assert whole(numbered)["content"] == [{"type": "text", "text": "No."}]
    assert whole(numbered)["stop_reason"] == "refusal"
    assert named(shown(numbered), "message_delta")[0]["delta"] == {"stop_reason": "refusal", "stop_sequence": None}


def test_what_only_another_dialect_has_a_word_for_is_not_shown_and_leaves_no_gap() -> None:
    extra = Extra(delta={"type": "web_search_call"})
    events = [
        *part(0, PartKind.OTHER, "{}", extra=extra),
        *part(1, PartKind.TEXT, "Hi"),
        *part(2, PartKind.OTHER, extra=extra),
        *part(3, PartKind.TEXT, "!"),
        STOP,
    ]
    numbered = log(events, provider="openai-responses")
    assert [frame["index"] for frame in named(shown(numbered), "content_block_start")] == [0, 1]
    assert whole(numbered)["content"] == [{"type": "text", "text": "Hi"}, {"type": "text", "text": "!"}]


def test_extra_fields_of_another_dialect_are_not_shown() -> None:
    extra = Extra({"x_top": 1}, {"x_choice": 1}, {"x_delta": 1})
    events: list[AnyEvent] = [
        AttemptDescribed(1, "chatcmpl-1", "gpt", {"system_fingerprint": "x_fp"}),
        PartStarted(0, 0, PartKind.TEXT, extra=extra),
        Delta(0, 0, "Hi", extra),
        Delta(0, 0, "", extra),
        PartDone(0, 0, extra),
        Opaque(0, extra),
        ChoiceDone(0, Reason.STOP, "stop", extra),
        Usage(5, 2, provider={"x_usage": 1}),
    ]
    numbered = log(events, provider=CHAT)
    assert b"x_" not in frames(numbered)
    assert b"x_" not in json.dumps(whole(numbered)).encode()
    assert len(named(shown(numbered), "content_block_delta")) == 1


def test_tool_call_without_an_id_gets_the_one_of_every_dialect() -> None:
    numbered = log([*part(0, PartKind.TOOL_CALL, "{}", tool_name="f"), ChoiceDone(0, Reason.TOOL_CALLS)], provider=CHAT)
    (start,) = named(shown(numbered), "content_block_start")
    assert start["content_block"]["id"] == whole(numbered)["content"][0]["id"] == f"call_{HEX[-24:]}_0_0"


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ("", {}),
        (" \n", {}),
        ("{}", {}),
        ('{"a": [1, {"b": null}]}', {"a": [1, {"b": None}]}),
        ('{"n": 123456789012345678901234567890}', {"n": 123456789012345678901234567890}),
        ('{"a": 1, "b": "cut of', {"a": 1}),
        ('{"a": 1, "b": [1, 2', {"a": 1, "b": [1, 2]}),
        ("{", {}),
        ("[1]", {"INVALID_JSON": "[1]"}),
        ('"text"', {"INVALID_JSON": '"text"'}),
        ("null", {"INVALID_JSON": "null"}),
        ("[1", {"INVALID_JSON": "[1"}),
        ("{bad}", {"INVALID_JSON": "{bad}"}),
        ("get_weather()", {"INVALID_JSON": "get_weather()"}),
        ('{"a":' * 5000, {"INVALID_JSON": '{"a":' * 5000}),
    ],
)
def test_arguments_are_an_object_whatever_the_model_wrote(arguments: str, wanted: Any) -> None:
    assert json.loads(bytes(tool_input(arguments))) == wanted
    numbered = log([*part(0, PartKind.TOOL_CALL, arguments, tool_id="c", tool_name="f"), STOP], provider=CHAT)
    assert whole(numbered)["content"][0]["input"] == wanted
    deltas = [frame["delta"]["partial_json"] for frame in named(shown(numbered), "content_block_delta")]
    assert "".join(deltas) == arguments, "a stream has the arguments as they came"


@pytest.mark.parametrize(
    ("reason", "status", "word"),
    [
        (Reason.STOP, Status.COMPLETED, "end_turn"),
        (Reason.TOOL_CALLS, Status.COMPLETED, "tool_use"),
        (Reason.LENGTH, Status.TRUNCATED, "max_tokens"),
        (Reason.REFUSAL, Status.REFUSED, "refusal"),
        (Reason.CONTENT_FILTER, Status.FILTERED, "refusal"),
        (Reason.STOP, Status.BLOCKED, "refusal"),
        (None, Status.BLOCKED, "refusal"),
        (None, Status.TRUNCATED, "max_tokens"),
    ],
)
@pytest.mark.parametrize("provider", [CHAT, "anthropic-messages"])
def test_stop_reason_is_that_of_the_table(reason: Reason | None, status: Status, word: str, provider: str) -> None:
    done = [] if reason is None else [ChoiceDone(0, reason)]
    numbered = log([*part(0, PartKind.TEXT, "Hi"), *done], provider=provider, terminal=Terminal(status))
    assert named(shown(numbered), "message_delta")[0]["delta"] == {"stop_reason": word, "stop_sequence": None}
    assert whole(numbered)["stop_reason"] == word


def test_policy_that_blocks_overrules_the_providers_words() -> None:
    extra = Extra(delta={"stop_sequence": "END", "stop_details": {"type": "x"}, "container": {"id": "c"}})
    done = ChoiceDone(0, Reason.STOP, "stop_sequence", extra)
    numbered = log([*part(0, PartKind.TEXT, "Hi"), done], terminal=Terminal(Status.BLOCKED))
    wanted = {"stop_reason": "refusal", "stop_sequence": None, "container": {"id": "c"}}
    assert named(shown(numbered), "message_delta")[0]["delta"] == wanted
    assert wanted.items() <= whole(numbered).items()
    assert "stop_details" not in whole(numbered)


def test_foreign_fields_never_replace_what_we_say() -> None:
    """A provider's unknown fields may be called anything, and success is ours to say (law 3)."""
    extra = Extra({"id": "x", "content": "x", "stop_reason": "x"}, None, {"id": "x", "stop_sequence": "x"})
    events = [*part(0, PartKind.TEXT, "Hi"), Opaque(0, extra), ChoiceDone(0, Reason.STOP, "end_turn")]
    message = whole(log(events))
    assert message["id"] == f"msg_{HEX}"
    assert message["content"] == [{"type": "text", "text": "Hi"}]
    assert (message["stop_reason"], message["stop_sequence"]) == ("end_turn", None)


def test_success_ends_the_open_blocks_first_and_lets_the_waiting_ones_out() -> None:
    events: list[AnyEvent] = [
        PartStarted(0, 0, PartKind.TEXT),
        Delta(0, 0, "a"),
        PartStarted(0, 1, PartKind.TOOL_CALL, "c", "f"),
        Delta(0, 1, "{}"),
        PartStarted(0, 2, PartKind.TEXT),
        PartDone(0, 2),
        PartStarted(0, 3, PartKind.REASONING),
    ]
    numbered = log(events, provider=CHAT, terminal=Terminal(Status.TRUNCATED))
    kinds = [(frame["type"].removeprefix("content_block_"), frame.get("index")) for frame in shown(numbered)]
    assert kinds == [
        ("message_start", None),
        ("start", 0),
        ("delta", 0),
        ("stop", 0),
        ("start", 1),
        ("delta", 1),
        ("stop", 1),
        ("start", 2),
        ("stop", 2),
        ("start", 3),
        ("stop", 3),
        ("message_delta", None),
        ("message_stop", None),
    ]
    assert frames(numbered).count(b"id: ") == 3, "of the frames of one event only the last has an id"


def test_failure_drops_what_waits_and_has_no_mark_of_success() -> None:
    failed = Terminal(Status.FAILED, code="upstream_cut", blame=Blame.UPSTREAM, message="Cut.")
    events: list[AnyEvent] = [
        PartStarted(0, 0, PartKind.TEXT),
        PartStarted(0, 1, PartKind.TEXT),
        Delta(0, 1, "waits"),
    ]
    data = frames(log(events, provider=CHAT, terminal=failed))
    assert b"waits" not in data
    for mark in (b"message_stop", b"message_delta", b"content_block_stop"):
        assert mark not in data
    assert data.endswith(b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"Cut."}}\n\n')


def test_failure_before_everything_is_nothing_but_the_error() -> None:
    failed = Terminal(Status.FAILED, code="upstream_rate_limited", message="Slow.", detail={"type": "novel_error"})
    (frame,) = shown(log([], terminal=failed))
    assert frame == {"type": "error", "error": {"type": "novel_error", "message": "Slow."}}


def test_message_starts_with_the_first_part_where_nobody_described_it() -> None:
    (start, *_) = shown(log([*part(0, PartKind.TEXT), STOP], provider=CHAT))
    assert start["message"]["model"] == "asked"
    assert start["message"]["usage"] == {"input_tokens": 7, "output_tokens": 0}
    (start, *_) = shown(log([STOP], provider=CHAT))
    assert start["type"] == "message_start"


def test_message_starts_once() -> None:
    described = [AttemptDescribed(1, "a", "m1"), AttemptDescribed(1, "a", "m2")]
    numbered = log([*described, *part(0, PartKind.TEXT), STOP], provider=CHAT)
    assert [frame["message"]["model"] for frame in named(shown(numbered), "message_start")] == ["m1"]
    assert whole(numbered)["model"] == "m2"


def test_event_of_unknown_type_is_shown_where_it_stood_and_only_in_its_own_dialect() -> None:
    news = Opaque(0, Extra(choice={"type": "news", "delta": {"x": 1}}))
    events = [*part(0, PartKind.TEXT, "a"), news, STOP]
    kinds = [frame["type"] for frame in shown(log(events))]
    assert kinds[-4:] == ["content_block_stop", "news", "message_delta", "message_stop"]
    assert named(shown(log(events)), "news") == [{"type": "news", "delta": {"x": 1}}]
    assert named(shown(log(events, provider=CHAT)), "news") == []
    assert [frame["type"] for frame in shown(log([news, STOP]))][:2] == ["message_start", "news"]
    assert whole(log(events)) == whole(log([event for event in events if event is not news]))


@pytest.mark.parametrize("type", sorted(OURS))
def test_no_event_of_a_provider_is_shown_as_one_that_our_log_makes(type: str) -> None:
    other = Opaque(0, Extra(choice={"type": type, "x": 1}))
    with_it = shown(log([other, *part(0, PartKind.TEXT, "a"), STOP]))
    without = shown(log([*part(0, PartKind.TEXT, "a"), STOP]))
    beside_the_end = {"x": 1} if type == "message_stop" else {}  # fields of an end are no end
    assert with_it == [*without[:-1], without[-1] | beside_the_end]


def test_tokens_put_into_a_cache_stand_beside_the_others() -> None:
    numbered = log([STOP, Usage(50, 9, cached_tokens=30, cache_write_tokens=15)], provider="openai-responses")
    wanted = {
        "input_tokens": 5,
        "cache_read_input_tokens": 30,
        "output_tokens": 9,
        "cache_creation_input_tokens": 15,
    }
    assert whole(numbered)["usage"] == named(shown(numbered), "message_delta")[0]["usage"] == wanted


def test_usage_of_another_dialect_shows_cached_and_thinking_tokens_apart_and_says_if_it_is_estimated() -> None:
    usage = Usage(50, 9, cached_tokens=30, reasoning_tokens=4, provider={"prompt_tokens": 50})
    numbered = log([STOP, usage], provider=CHAT)
    wanted: dict[str, Any] = {"input_tokens": 20, "cache_read_input_tokens": 30, "output_tokens": 9}
    wanted |= {"output_tokens_details": {"thinking_tokens": 4}}
    assert whole(numbered)["usage"] == named(shown(numbered), "message_delta")[0]["usage"] == wanted
    assert whole(log([STOP], provider=CHAT))["usage"]["estimated"] is True


@pytest.mark.parametrize("waits", [False, True])
def test_replacement_of_what_was_taken_back_is_text_of_its_block(waits: bool) -> None:
    before: list[AnyEvent] = [PartStarted(0, 0, PartKind.TEXT), PartDone(0, 0)] if not waits else []
    number = 1
    if waits:
        before = [PartStarted(0, 0, PartKind.TEXT)]
    events: list[AnyEvent] = [
        *before,
        PartStarted(0, number, PartKind.TEXT),
        Delta(0, number, "Hi "),
        Retracted(0, number, 3, 6, "rule", "[name]"),
        Retracted(0, number, 9, 9, "rule"),
    ]
    started = msgspec.structs.replace(STARTED, may_retract=True)
    numbered = log(events, provider=CHAT, terminal=Terminal(Status.TRUNCATED), started=started)
    texts = [frame["delta"]["text"] for frame in named(shown(numbered), "content_block_delta")]
    assert texts == ["Hi ", "[name]"]


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\u0085"], ids=lambda text: f"U+{ord(text):04X}")
def test_characters_that_clients_take_for_line_ends_are_escaped(character: str) -> None:
    numbered = log([*part(0, PartKind.TEXT, f"a{character}b"), STOP], provider=CHAT)
    assert character.encode() not in frames(numbered)
    assert character.encode() not in ANTHROPIC_MESSAGES.whole(fold_of(numbered))
    assert whole(numbered)["content"][0]["text"] == f"a{character}b"


def test_fields_beside_a_message_a_block_or_a_delta_stand_there_again() -> None:
    events: list[dict[str, Any]] = [
        {
            "type": "message_start",
            "message": {"id": "msg_1", "model": "claude", "content": [], "usage": {}},
            "of_message": 0,
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}, "of_start": 1},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Yes"}, "of_delta": [2]},
        {"type": "content_block_stop", "index": 0, "of_stop": {"three": 3}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]
    decoder = ANTHROPIC_MESSAGES.stream_decoder(attempt=1, choices=1)
    made: list[AnyEvent] = []
    for event in events:
        made += decoder.feed(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
    made += decoder.finish()
    given = {event["type"]: event for event in events}
    for event in shown(log(made)):
        if event["type"].startswith("content_block"):
            assert event == given[event["type"]]
    assert [event["of_message"] for event in shown(log(made)) if event["type"] == "message_start"] == [0]
    assert [
        event
        for event in shown(log(made, provider=CHAT))
        if set(event) & {"of_message", "of_start", "of_delta", "of_stop"}
    ] == []
