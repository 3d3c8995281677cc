"""Chat Completions, client side: what the golden logs do not show."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from headgate.assemble import Fold
from headgate.dialects.calls import made_up_call_id
from headgate.dialects.headgate import NATIVE
from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.dialects.openai_chat.parts import WAITING_FIELDS_MAX
from headgate.dialects.response_object import response_object
from headgate.events import (
    AnyEvent,
    AttemptDescribed,
    AttemptEnded,
    AttemptStarted,
    Blame,
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
from headgate.sse import SseDecoder

HEX: Final = "0" * 32
STARTED: Final = ResponseStarted(f"resp_{HEX}", "app", "openai-chat", "m", 1, may_retract=True)


def log(*events: AnyEvent, dialect: str = "openai-chat", started: ResponseStarted = STARTED) -> list[AnyEvent]:
    return [started, AttemptStarted(1, "p", dialect, "m"), *events]


def chunks(events: list[AnyEvent], *, include_usage: bool | None = None) -> list[Any]:
    """The decoded data of every frame; the end marker as it is."""
    encoder = OPENAI_CHAT.encoder(include_usage=include_usage)
    data = b"".join(encoder.feed(seq, event) for seq, event in enumerate(events, 1))
    frames = [frame for _, frame in SseDecoder().feed(data)]
    return [frame if frame == b"[DONE]" else json.loads(frame) for frame in frames]


def deltas(events: list[AnyEvent]) -> list[Any]:
    return [chunk["choices"][0]["delta"] for chunk in chunks(events)]


def whole(events: list[AnyEvent]) -> Any:
    fold = Fold()
    for seq, event in enumerate(events, 1):
        fold.feed(seq, event)
    return json.loads(OPENAI_CHAT.whole(fold))


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\u0085"], ids=lambda text: f"U+{ord(text):04X}")
@pytest.mark.parametrize("dialect", [NATIVE, OPENAI_CHAT], ids=lambda dialect: dialect.name)
def test_what_clients_take_for_a_line_end_is_escaped_wherever_it_stands(dialect: Any, character: str) -> None:
    extra = Extra(response={"a": character}, choice={"b": character}, delta={"c": character})
    encoder = dialect.encoder()
    frames = [
        encoder.feed(seq, event)
        for seq, event in enumerate(
            log(
                AttemptDescribed(1, character, character, {"system_fingerprint": character}),
                PartStarted(0, 0, PartKind.TEXT),
                Delta(0, 0, f"ü{character}"),
                Delta(0, 0, character, extra),
                Retracted(0, 0, 0, 5, character, character),
                PartStarted(0, 1, PartKind.TOOL_CALL, character, character),
                Opaque(0, extra),
                Terminal(Status.FAILED, "internal", Blame.GATEWAY, message=character),
            ),
            1,
        )
    ]
    shown = b"".join(frames)
    assert f"\\u{ord(character):04x}".encode() in shown
    assert character.encode() not in shown
    assert "ü".encode() in shown


def test_text_may_look_like_anything() -> None:
    texts = ["", "\x00", "\\u0000", '"', "\\", "\n", "a\r\n\r\nb", "data: [DONE]", "😀"]
    events = log(AttemptDescribed(1, "", "\x00"), PartStarted(0, 0, PartKind.TEXT), *(Delta(0, 0, t) for t in texts))
    assert deltas(events)[1:] == [{"content": text} for text in texts]
    assert {chunk["model"] for chunk in chunks(events)} == {"\x00"}


def test_fields_inside_a_function_are_shown_where_they_stood() -> None:
    calls = [
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": "", "x": 1}, "y": 2},
        {"index": 0, "function": {"arguments": "{}", "z": "p"}},
        {"index": 0, "function": {"z": "q"}},
        {"index": 1, "id": "b", "type": "custom", "custom": {"name": "g", "input": "", "x": 3}},
        {"index": 1, "custom": {"input": "in", "z": 4}},
    ]
    chunks = [{"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]} for call in calls]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    decoder = OPENAI_CHAT.stream_decoder(attempt=1, choices=1)
    decoded = [event for chunk in chunks for event in decoder.feed(b"data: %b\n\n" % json.dumps(chunk).encode())]
    events = log(*decoded, AttemptEnded(1, "ok"), Terminal(Status.COMPLETED))
    shown = [delta["tool_calls"][0] for delta in deltas(events[:-2]) if "tool_calls" in delta]
    assert [call.get("function", call.get("custom")) for call in shown] == [
        {"name": "f", "arguments": "", "x": 1},
        {"arguments": "{}", "z": "p"},
        {"arguments": "", "z": "q"},
        {"name": "g", "input": "", "x": 3},
        {"input": "in", "z": 4},
    ]
    assert shown[0]["y"] == 2
    assert whole(events)["choices"][0]["message"]["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}", "x": 1, "z": "pq"}, "y": 2},
        {"id": "b", "type": "custom", "custom": {"name": "g", "input": "in", "x": 3, "z": 4}},
    ]


def test_call_that_waits_for_its_name_keeps_no_more_fields_of_its_function_than_others() -> None:
    decoder = OPENAI_CHAT.stream_decoder(attempt=1, choices=1)
    for number in range(WAITING_FIELDS_MAX):
        call = {"index": 0, "id": "a", "function": {f"x{number}": 1}}
        chunk = {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}
        started = decoder.feed(b"data: %b\n\n" % json.dumps(chunk).encode())
        assert bool(started) == (number == WAITING_FIELDS_MAX - 1)


def test_tool_call_without_an_id_gets_the_same_one_everywhere() -> None:
    events = log(
        PartStarted(0, 0, PartKind.TEXT),
        PartStarted(0, 1, PartKind.TOOL_CALL, "", "f"),
        PartDone(0, 0),
        PartDone(0, 1),
        ChoiceDone(0, Reason.TOOL_CALLS, "tool_calls"),
        AttemptEnded(1, "ok"),
        Terminal(Status.COMPLETED),
    )
    wanted = f"call_{HEX[-24:]}_0_1"
    assert len(made_up_call_id(f"resp_{HEX}", 127, 1023)) <= 40, "OpenAI takes no longer one"
    assert deltas(events[:4])[1]["tool_calls"][0]["id"] == wanted
    assert whole(events)["choices"][0]["message"]["tool_calls"][0]["id"] == wanted
    fold = Fold()
    for seq, event in enumerate(events, 1):
        fold.feed(seq, event)
    assert response_object(fold, first_output_ms=None, duration_ms=None)["output"][1]["call_id"] == wanted


def test_custom_tool_call_is_shown_as_it_came() -> None:
    kind = Extra(delta={"type": "custom", "sig": "s"})
    started = PartStarted(0, 0, PartKind.TOOL_CALL, "a", "f", kind)
    events = log(started, Delta(0, 0, "x"), PartDone(0, 0), ChoiceDone(0, Reason.STOP), AttemptEnded(1, "ok"))
    call = {"id": "a", "type": "custom", "custom": {"name": "f", "input": ""}, "sig": "s"}
    assert [delta["tool_calls"] for delta in deltas(events)] == [
        [{"index": 0} | call],
        [{"index": 0, "custom": {"input": "x"}}],
    ]
    message = whole([*events, Terminal(Status.COMPLETED)])["choices"][0]["message"]
    assert message["tool_calls"] == [call | {"custom": {"name": "f", "input": "x"}}]


def test_fields_of_another_dialect_are_not_shown() -> None:
    extra = Extra(response={"a": 1}, choice={"b": 1}, delta={"c": 1})
    events = log(
        AttemptDescribed(1, "x", "n", {"system_fingerprint": "f"}),
        Opaque(0, extra),
        PartStarted(0, 0, PartKind.REASONING, extra=Extra(delta={"thoughts": ""})),
        Delta(0, 0, "r", extra),
        PartDone(0, 0),
        PartStarted(0, 1, PartKind.TOOL_CALL, "i", "f", extra),
        PartDone(0, 1),
        ChoiceDone(0, Reason.TOOL_CALLS, "tool_use", extra),
        Usage(1, 2, provider={"tokens": 3}),
        AttemptEnded(1, "ok"),
        Terminal(Status.COMPLETED),
        dialect="anthropic-messages",
    )
    call = {"id": "i", "type": "function", "function": {"name": "f", "arguments": ""}}
    nothing = {"index": 0, "function": {"arguments": "{}"}}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    shown = chunks(events, include_usage=True)
    assert [chunk["choices"] for chunk in shown[:-1]] == [
        [{"index": 0, "delta": {"role": "assistant", "content": None}, "finish_reason": None}],
        [{"index": 0, "delta": {"reasoning_content": "r"}, "finish_reason": None}],
        [{"index": 0, "delta": {"tool_calls": [{"index": 0} | call]}, "finish_reason": None}],
        [{"index": 0, "delta": {"tool_calls": [nothing]}, "finish_reason": None}],
        [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}],
        [],
    ]
    assert shown[-2]["usage"] == usage
    assert all(set(chunk) <= {"id", "object", "created", "model", "choices", "usage"} for chunk in shown[:-1])
    message = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "reasoning_content": "r",
        "tool_calls": [call | {"function": {"name": "f", "arguments": "{}"}}],
    }
    answer = whole(events)
    assert answer["choices"] == [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
    assert set(answer) == {"id", "object", "created", "model", "choices", "usage"}


@pytest.mark.parametrize(
    ("status", "done", "word"),
    [
        (Status.COMPLETED, ChoiceDone(0, Reason.STOP, "eos"), "eos"),
        (Status.COMPLETED, ChoiceDone(0, Reason.TOOL_CALLS, "function_call"), "function_call"),
        (Status.COMPLETED, ChoiceDone(0, Reason.TOOL_CALLS), "tool_calls"),
        (Status.TRUNCATED, ChoiceDone(0, Reason.STOP, "eos"), "stop"),
        (Status.TRUNCATED, ChoiceDone(0, Reason.LENGTH, "length"), "length"),
        (Status.REFUSED, ChoiceDone(0, Reason.REFUSAL, "stop"), "stop"),
        (Status.FILTERED, ChoiceDone(0, Reason.CONTENT_FILTER, "content_filter"), "content_filter"),
        (Status.BLOCKED, ChoiceDone(0, Reason.STOP, "stop"), "content_filter"),
        (Status.BLOCKED, None, "content_filter"),
        (Status.TRUNCATED, None, "length"),
    ],
)
def test_finish_reason_is_the_choices_unless_the_end_overrules_it(
    status: Status, done: ChoiceDone | None, word: str
) -> None:
    events = log(*([done] if done else []), AttemptEnded(1, "ok"), Terminal(status))
    assert chunks(events)[0]["choices"] == [{"index": 0, "delta": {}, "finish_reason": word}]
    assert whole(events)["choices"][0]["finish_reason"] == word


def test_usage_is_shown_to_who_asked_and_estimates_say_so() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "estimated": True}
    events = log(Usage(1, 2, estimated=True), AttemptEnded(1, "ok"), Terminal(Status.TRUNCATED))
    assert [chunk for chunk in chunks(events)[:-1] if "usage" in chunk] == []
    assert chunks(events, include_usage=True)[-2]["usage"] == usage
    assert whole(events)["usage"] == usage


def test_replacement_of_retracted_text_is_a_delta_of_its_part() -> None:
    events = log(PartStarted(0, 0, PartKind.REFUSAL), Retracted(0, 0, 0, 3, "rule", "[x]"), Retracted(0, 0, 3, 4, "r"))
    assert deltas(events)[1:] == [{"refusal": "[x]"}]


def test_texts_of_parts_and_choices_that_take_turns_stay_apart() -> None:
    places = [(0, 0), (0, 1), (1, 0)]
    kinds = [PartKind.TEXT, PartKind.REFUSAL, PartKind.TEXT]
    opened = [PartStarted(choice, part, kind) for (choice, part), kind in zip(places, kinds, strict=True)]
    turns = [places[0], places[0], places[1], places[0], places[2], places[1], places[2], places[0]]
    said = [Delta(choice, part, f"{at} ") for at, (choice, part) in enumerate(turns)]
    got = [chunk["choices"][0] for chunk in chunks(log(*opened, *said))][-len(said) :]
    assert [(choice["index"], choice["delta"]) for choice in got] == [
        (delta.choice, {"refusal" if (delta.choice, delta.part) == (0, 1) else "content": delta.text}) for delta in said
    ]


def test_only_the_last_frame_of_an_event_carries_its_id() -> None:
    encoder = OPENAI_CHAT.encoder(include_usage=True)
    for seq, event in enumerate(log(Usage(1, 2), ChoiceDone(0, Reason.STOP), AttemptEnded(1, "ok")), 1):
        encoder.feed(seq, event)
    frames = encoder.feed(9, Terminal(Status.COMPLETED)).split(b"\n\n")
    assert [frame.startswith(b"id: ") for frame in frames] == [False, False, True, False]
    assert frames[2:] == [b"id: 9\ndata: [DONE]", b""]
