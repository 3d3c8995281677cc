"""Frames of logs in the Responses dialect, whoever answered."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState

from headgate.api.responses import asked_encoder
from headgate.dialects.openai_responses import OPENAI_RESPONSES
from headgate.dialects.response_object import response_object
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
    ResponseStarted,
    Retracted,
    Status,
    Terminal,
    Usage,
)
from headgate.lifecycle import SUCCESSES
from tests.unit.goldens import ROOT, cases, fold_of, log_of
from tests.unit.goldens import frames as frames_of
from tests.unit.openai_responses.wire import EVENT, HEX, NAME, RESPONSE, fold, frames, log, stream, whole

LOGS: Final = [case for case in cases("logs") if (ROOT / "logs" / case / "openai-responses.sse").exists()]
every_log = pytest.mark.parametrize("case", LOGS)
TEXT: Final[list[AnyEvent]] = [
    PartStarted(0, 0, PartKind.TEXT),
    Delta(0, 0, "a"),
    Delta(0, 0, "b"),
    PartDone(0, 0),
    ChoiceDone(0, Reason.STOP, "stop"),
]
CHAT: Final = "openai-chat"


@every_log
def test_object_of_a_response_is_that_of_its_stream(case: str) -> None:
    """But for the one word that no stream has."""
    last = frames((ROOT / "logs" / case / "openai-responses.sse").read_bytes())[-1]["response"]
    shown = response_object(fold_of(log_of(case)), first_output_ms=None, duration_ms=None)
    if shown["headgate"]["terminal"]["status"] == "cancelled":
        assert shown["status"] == "cancelled"
        last["status"] = "cancelled"
    del shown["headgate"]
    assert json.dumps(shown) == json.dumps(last)  # the order of keys included


@every_log
def test_golden_frames_are_what_the_official_sdk_takes(case: str) -> None:
    for frame in frames((ROOT / "logs" / case / "openai-responses.sse").read_bytes()):
        EVENT.validate_python(frame, strict=True)


@every_log
def test_stream_after_a_sequence_number_is_what_comes_after_it(case: str) -> None:
    complete = frames(b"".join(frames_of(OPENAI_RESPONSES.encoder(), log_of(case))))
    for after in range(-1, len(complete) + 1):
        rest = frames(b"".join(frames_of(OPENAI_RESPONSES.encoder(starting_after=after), log_of(case))))
        assert rest == complete[after + 1 :]


@pytest.mark.parametrize("case", sorted(set(LOGS) - {"retraction"}))
def test_only_the_last_frame_of_an_event_has_its_id(case: str) -> None:
    for (seq, _), data in zip(log_of(case), frames_of(OPENAI_RESPONSES.encoder(), log_of(case)), strict=True):
        lines = [line for frame in data.split(b"\n\n") for line in frame.split(b"\n") if line.startswith(b"id:")]
        assert lines == ([b"id: %d" % seq] if data else [])
        if data:
            assert data.split(b"\n\n")[-2].startswith(b"id: %d\n" % seq)


@every_log
def test_official_sdk_accumulates_our_stream_to_our_response(case: str) -> None:
    shown = frames((ROOT / "logs" / case / "openai-responses.sse").read_bytes())
    state: ResponseStreamState[None] = ResponseStreamState(input_tools=omit, text_format=omit)
    for frame in shown:
        state.handle_event(EVENT.validate_python(frame))
    if shown[-1]["type"] == "response.completed":
        found = state._completed_response
        assert found is not None
        assert found.output_text == RESPONSE.validate_python(shown[-1]["response"]).output_text


@pytest.mark.parametrize(
    ("status", "type", "shown", "details"),
    [
        (Status.COMPLETED, "response.completed", "completed", None),
        (Status.REFUSED, "response.completed", "completed", None),
        (Status.TRUNCATED, "response.incomplete", "incomplete", {"reason": "max_output_tokens"}),
        (Status.FILTERED, "response.incomplete", "incomplete", {"reason": "content_filter"}),
        (Status.BLOCKED, "response.incomplete", "incomplete", {"reason": "content_filter"}),
        (Status.FAILED, "response.failed", "failed", None),
        (Status.CANCELLED, "response.failed", "failed", None),
        (Status.EXPIRED, "response.failed", "failed", None),
    ],
)
def test_only_our_terminal_makes_the_end(status: Status, type: str, shown: str, details: dict[str, str] | None) -> None:
    events = TEXT if status in SUCCESSES else TEXT[:3]
    *before, last = frames(stream(log(events, status=status, provider=CHAT)))
    assert (last["type"], last["response"]["status"]) == (type, shown)
    assert last["response"]["incomplete_details"] == details
    assert (last["response"]["error"] is None) == status.successful
    assert (last["response"]["completed_at"] is None) == (shown != "completed")
    assert {frame["response"]["status"] for frame in before if "response" in frame} == {"in_progress"}


def test_item_that_is_open_at_a_successful_end_is_closed_as_incomplete() -> None:
    shown = frames(stream(log(TEXT[:3], status=Status.TRUNCATED, provider=CHAT)))
    ends = [frame["type"] for frame in shown[-4:]]
    stems = ["output_text.done", "content_part.done", "output_item.done", "incomplete"]
    assert ends == [f"response.{stem}" for stem in stems]
    assert shown[-2]["item"]["status"] == "incomplete"
    assert shown[-1]["response"]["output"] == [shown[-2]["item"]]


def call(number: int, arguments: str) -> list[AnyEvent]:
    return [PartStarted(0, number, PartKind.TOOL_CALL, f"c{number}", "f"), Delta(0, number, arguments)]


CUT: Final = ChoiceDone(0, Reason.LENGTH, "length")


@pytest.mark.parametrize(
    ("events", "statuses"),
    [
        ([*TEXT[:-1], CUT], ["incomplete"]),
        ([*TEXT[:-1], ChoiceDone(0, Reason.CONTENT_FILTER)], ["incomplete"]),
        ([*TEXT[:-1], ChoiceDone(0, Reason.TOOL_CALLS)], ["completed"]),
        ([*TEXT[:-1], *call(1, '{"a'), PartDone(0, 1), CUT], ["completed", "incomplete"]),
        (
            [*call(0, "{}"), *call(1, '{"a'), *call(2, "{}"), *(PartDone(0, number) for number in range(3)), CUT],
            ["completed", "incomplete", "incomplete"],
        ),
        (
            [*call(0, '{"a'), PartDone(0, 0), *call(1, "{}"), PartDone(0, 1), ChoiceDone(0, Reason.STOP)],
            ["completed", "completed"],
        ),
        (
            [*call(0, '{"a'), PartDone(0, 0), *call(1, ""), PartDone(0, 1), *call(2, "{}"), PartDone(0, 2), CUT],
            ["incomplete", "completed", "incomplete"],
        ),
        # the last one is done before one that began earlier
        (
            [*call(0, "{"), *call(1, "{}"), PartDone(0, 1), Delta(0, 0, "}"), PartDone(0, 0), CUT],
            ["completed", "incomplete"],
        ),
    ],
)
def test_item_that_the_end_cut_short_is_incomplete_wherever_it_is_shown(
    events: list[AnyEvent], statuses: list[str]
) -> None:
    numbered = log(events, provider=CHAT)
    shown = frames(stream(numbered))
    ends = {frame["output_index"]: frame["item"] for frame in shown if frame["type"] == "response.output_item.done"}
    assert [ends[index]["status"] for index in sorted(ends)] == statuses
    assert shown[-1]["response"]["output"] == whole(numbered)["output"] == [ends[index] for index in sorted(ends)]
    after = [frames(stream(numbered, starting_after=number)) for number in range(-1, len(shown))]
    assert after == [shown[number:] for number in range(len(shown) + 1)]


def test_end_of_an_item_waits_no_longer_than_it_has_to() -> None:
    numbered = log([*TEXT[:-1], *call(1, "{}"), PartDone(0, 1), ChoiceDone(0, Reason.TOOL_CALLS)], provider=CHAT)
    encoder = OPENAI_RESPONSES.encoder()
    made = {}
    for seq, event in enumerate(numbered, 1):
        for frame in frames(encoder.feed(seq, event)):
            if frame["type"] == "response.output_item.done":
                made[frame["item"]["type"]] = event
    assert made == {"message": PartStarted(0, 1, PartKind.TOOL_CALL, "c1", "f"), "function_call": numbered[-3]}


def test_end_of_an_item_whose_provider_says_how_it_ended_does_not_wait() -> None:
    item = {"type": "message", "id": "msg_1", "status": "completed"}
    encoder = OPENAI_RESPONSES.encoder()
    announced = Opaque(0, Extra({"type": "response.output_item.added", "output_index": 0, "item": item}))
    ended = Opaque(0, Extra({"type": "response.output_item.done", "output_index": 0, "item": item}))
    made = [encoder.feed(seq, event) for seq, event in enumerate(log([announced, ended, CUT]), 1)]
    assert [frame["type"] for frame in frames(made[3])] == ["response.output_item.done"]
    assert made[4] == b""


def test_item_that_waits_is_shown_as_complete_where_the_log_ends_without_a_finish_reason() -> None:
    shown = frames(stream(log(TEXT[:-1], status=Status.CANCELLED, provider=CHAT)))
    assert [frame["type"] for frame in shown[-2:]] == ["response.output_item.done", "response.failed"]
    assert shown[-2]["item"]["status"] == "completed"
    assert shown[-1]["response"]["output"] == [shown[-2]["item"]]


@pytest.mark.parametrize(
    ("said", "shown"), [("completed", "completed"), ("incomplete", "incomplete"), (None, "incomplete")]
)
def test_what_a_provider_of_this_dialect_says_of_an_item_holds(said: str | None, shown: str) -> None:
    place = {"output_index": 0}
    item = {"type": "message", "id": "msg_1"}
    status = {"status": said} if said else {}
    events: list[AnyEvent] = [
        Opaque(0, Extra({"type": "response.output_item.added", **place, "item": item})),
        PartStarted(0, 0, PartKind.TEXT, extra=Extra(choice=place | {"content_index": 0})),
        Delta(0, 0, "a"),
        PartDone(0, 0),
        Opaque(0, Extra({"type": "response.output_item.done", **place, "item": item | status})),
        ChoiceDone(0, Reason.LENGTH, "max_output_tokens"),
    ]
    numbered = log(events)
    (ended,) = [frame["item"] for frame in frames(stream(numbered)) if frame["type"] == "response.output_item.done"]
    assert ended["status"] == shown
    assert whole(numbered)["output"] == [ended]


@pytest.mark.parametrize(("arguments", "shown"), [("{}", "completed"), ('{"a', "incomplete")])
def test_call_of_a_provider_of_this_dialect_is_cut_where_its_arguments_are(arguments: str, shown: str) -> None:
    extra = Extra(choice={"output_index": 0})
    started = PartStarted(0, 0, PartKind.TOOL_CALL, "c", "f", extra)
    numbered = log([started, Delta(0, 0, arguments), PartDone(0, 0), CUT])
    (ended,) = [frame["item"] for frame in frames(stream(numbered)) if frame["type"] == "response.output_item.done"]
    assert ended["status"] == shown
    assert whole(numbered)["output"] == [ended]


def test_tokens_put_into_a_cache_are_shown_among_the_input() -> None:
    usage = whole(log([*TEXT, Usage(9, 1, cached_tokens=2, cache_write_tokens=3)], provider=CHAT))["usage"]
    assert usage["input_tokens_details"] == {"cached_tokens": 2, "cache_write_tokens": 3}


@pytest.mark.parametrize(
    ("code", "detail", "shown"),
    [
        ("upstream_cut", None, "server_error"),
        ("upstream_rate_limited", {"code": "too_many"}, "rate_limit_exceeded"),
        ("upstream_rejected", {"code": "invalid_prompt"}, "invalid_prompt"),
        ("upstream_rejected", {"code": 7}, "server_error"),
        ("cancelled", None, "server_error"),
    ],
)
def test_code_of_an_error_is_one_the_sdk_knows_and_ours_stands_beside_it(
    code: str, detail: dict[str, Any] | None, shown: str
) -> None:
    terminal = Terminal(Status.FAILED, code=code, message="No.", retryable=True, detail=detail)
    error = frames(stream([*log(TEXT[:3], status=Status.TRUNCATED)[:-1], terminal]))[-1]["response"]["error"]
    ours = {"code": code, "blame": None, "retryable": True}
    assert error == {"code": shown, "message": "No.", "headgate": ours}


def test_ids_of_items_begin_as_their_provider_wants_them_back() -> None:
    events: list[AnyEvent] = [
        PartStarted(0, 0, PartKind.REASONING),
        PartDone(0, 0),
        PartStarted(0, 1, PartKind.TEXT),
        PartDone(0, 1),
        PartStarted(0, 2, PartKind.TOOL_CALL, "", "f"),
        PartDone(0, 2),
        ChoiceDone(0, Reason.STOP),
    ]
    output = whole(log(events, provider=CHAT))["output"]
    assert [item["id"] for item in output] == [f"rs_{HEX}_0_0", f"msg_{HEX}_0_1", f"fc_{HEX}_0_2"]
    assert output[2]["call_id"] == f"call_{HEX[-24:]}_0_2"
    assert [item["status"] for item in output] == ["completed"] * 3


def test_response_object_says_what_was_asked_for_and_what_the_provider_used() -> None:
    echo = {"temperature": 0.5, "instructions": "Be brief.", "top_p": 0.9, "store": False}
    described = AttemptDescribed(1, "x", "m-1", {"top_p": 0.98, "billing": {"payer": "d"}, "status": "queued"})
    same = whole(log([described, *TEXT], started={"echo": echo}))
    assert {name: same[name] for name in echo} == echo | {"top_p": 0.98}
    assert (same["billing"], same["status"], same["model"]) == ({"payer": "d"}, "completed", "m-1")
    other = whole(log([described, *TEXT], started={"echo": echo}, provider=CHAT))
    assert other["top_p"] == 0.9
    assert "billing" not in other


def test_every_field_that_open_responses_requires_is_there_from_the_first_frame_on() -> None:
    required = (
        "id object created_at completed_at status incomplete_details model previous_response_id instructions output "
        "error tools tool_choice truncation parallel_tool_calls text top_p presence_penalty frequency_penalty "
        "top_logprobs temperature reasoning usage max_output_tokens max_tool_calls store background service_tier "
        "metadata safety_identifier prompt_cache_key"
    )
    for frame in frames(stream(log(TEXT, provider=CHAT))):
        if "response" in frame:
            assert set(required.split()) <= frame["response"].keys()


def test_usage_is_the_providers_own_in_its_dialect_and_complete_in_every() -> None:
    provider = {"input_tokens": 5, "output_tokens": 2, "input_tokens_details": {"cache_write_tokens": 3}, "cost": 1}
    usage = Usage(5, 2, 1, 1, provider=provider)
    same, other = (whole(log([*TEXT, usage], provider=name))["usage"] for name in (NAME, CHAT))
    assert same["input_tokens_details"] == {"cached_tokens": 1, "cache_write_tokens": 3}
    assert (same["cost"], same["total_tokens"]) == (1, 7)
    assert other == {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 7,
    }


def test_parts_that_only_another_dialect_knows_are_not_shown() -> None:
    other: list[AnyEvent] = [
        PartStarted(0, 0, PartKind.OTHER, extra=Extra(delta={"type": "server_tool_use"})),
        Delta(0, 0, "x"),
        Delta(0, 0, "y", Extra(delta={"a": 1})),
        Opaque(0, Extra({"type": "response.note"}, {"b": 1}, {"c": 1})),
        PartDone(0, 0),
        PartStarted(0, 1, PartKind.TEXT, extra=Extra({"a": 1}, {"output_index": 7}, {"c": 1})),
        Delta(0, 1, "Hi", Extra({"a": 1}, {"logprobs": {}}, {"logprobs": [1]})),
        PartDone(0, 1, Extra({"a": 1}, {"b": 1}, {"c": 1})),
        ChoiceDone(0, Reason.STOP, "end_turn", Extra({"a": 1})),
    ]
    shown = frames(stream(log(other, provider="anthropic-messages")))
    for frame in shown:
        EVENT.validate_python(frame, strict=True)
    content = [{"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}]
    assert [item["content"] for item in shown[-1]["response"]["output"]] == [content]
    assert len(shown) == 9


@pytest.mark.parametrize("type", ["response.completed", "response.done", "response.failed", "error", None, 7])
def test_no_event_of_a_provider_passes_for_an_end_of_ours(type: Any) -> None:
    opaque = Opaque(0, Extra(response={"type": type, "response": {}}))
    assert len(frames(stream(log([opaque, *TEXT])))) == len(frames(stream(log(TEXT))))


def test_retraction_is_told_to_who_asked() -> None:
    numbered = log_of("retraction")
    plain = frames(b"".join(frames_of(OPENAI_RESPONSES.encoder(), numbered)))
    told = frames(b"".join(frames_of(asked_encoder({"extensions": "true"}, OPENAI_RESPONSES), numbered)))
    (retracted,) = [frame for frame in told if frame["type"] == "headgate.retracted"]
    event = next(event for _, event in numbered if isinstance(event, Retracted))
    assert (retracted["from_char"], retracted["reason"]) == (event.from_char, event.reason)
    assert [frame["sequence_number"] for frame in told] == list(range(len(plain) + 1))


def test_text_with_line_ends_of_some_clients_stays_in_one_line() -> None:
    events: list[AnyEvent] = [
        PartStarted(0, 0, PartKind.TEXT),
        Delta(0, 0, "a\u2028b\x85"),
        PartDone(0, 0),
        ChoiceDone(0, Reason.STOP),
    ]
    data = stream(log(events))
    assert "\u2028" not in data.decode()
    assert frames(data)[-1]["response"]["output"][0]["content"][0]["text"] == "a\u2028b\x85"


def test_object_of_a_log_with_several_choices_has_the_items_of_all() -> None:
    events: list[AnyEvent] = [
        ResponseStarted(f"resp_{HEX}", "app", CHAT, "m", 1, choices=2),
        *log(TEXT, provider=CHAT)[1:-2],
        PartStarted(1, 0, PartKind.TEXT),
        Delta(1, 0, "c"),
    ]
    shown = response_object(fold(events), first_output_ms=1.0, duration_ms=None)
    assert [item["id"] for item in shown["output"]] == [f"msg_{HEX}_0_0", f"msg_{HEX}_1_0"]
    assert [choice["items"] for choice in shown["headgate"]["choices"]] == [[f"msg_{HEX}_0_0"], [f"msg_{HEX}_1_0"]]
    assert [item["status"] for item in shown["output"]] == ["completed", "in_progress"]
