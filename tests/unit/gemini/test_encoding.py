"""Gemini, client side: what the golden files do not show."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from google.genai.errors import APIError

from headgate.dialects.gemini import GEMINI
from headgate.dialects.gemini.array import ARRAY, JsonArray
from headgate.dialects.gemini.objects import INVALID_JSON
from headgate.errors import CODES, RequestError
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
from tests.unit.gemini.logs import HEX, chunks, fold, log_of, sdk_stream, stream, whole

TEXT: Final[list[AnyEvent]] = [PartStarted(0, 0, PartKind.TEXT), Delta(0, 0, "Hi"), PartDone(0, 0)]
STOPPED: Final = ChoiceDone(0, Reason.STOP, "stop")


def call(arguments: str, *, tool_id: str = "c1", extra: Extra | None = None) -> list[AnyEvent]:
    return [
        PartStarted(0, 0, PartKind.TOOL_CALL, tool_id, "f", extra),
        Delta(0, 0, arguments),
        PartDone(0, 0),
        ChoiceDone(0, Reason.TOOL_CALLS, "tool_calls"),
    ]


def parts(log: list[AnyEvent]) -> list[Any]:
    return [part for chunk in chunks(stream(log)) for c in chunk["candidates"] for part in c["content"]["parts"]]


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ("", {}),
        (" \n", {}),
        ("{}", {}),
        ('{"a": {"b": [1, 2.5, null]}}', {"a": {"b": [1, 2.5, None]}}),
        ('{"a": "\u2028"}', {"a": "\u2028"}),
        ('{"city": "Os', {INVALID_JSON: '{"city": "Os'}),
        ("[1]", {INVALID_JSON: "[1]"}),
        ('"text"', {INVALID_JSON: '"text"'}),
        ('{"n": 123456789012345678901234567890}', {INVALID_JSON: '{"n": 123456789012345678901234567890}'}),
        ('{"n": 1e999}', {INVALID_JSON: '{"n": 1e999}'}),
        ('{"a":' * 100 + "1" + "}" * 100, {INVALID_JSON: '{"a":' * 100 + "1" + "}" * 100}),
    ],
)
def test_arguments_are_an_object_whatever_the_model_wrote(arguments: str, shown: Any) -> None:
    log = log_of(call(arguments), dialect="openai-chat")
    wanted = {"functionCall": {"id": "c1", "name": "f", "args": shown}}
    assert parts(log) == [wanted, {"text": ""}]
    assert whole(log)["candidates"][0]["content"]["parts"] == [wanted]
    assert sdk_stream(stream(log))[0].function_calls[0].args == shown  # type: ignore[index]


def test_call_without_id_gets_one_only_for_clients_of_another_dialect() -> None:
    foreign, same = log_of(call("{}", tool_id=""), dialect="openai-chat"), log_of(call("{}", tool_id=""))
    assert parts(foreign)[0]["functionCall"]["id"] == f"call_{HEX[-24:]}_0_0"
    assert whole(foreign)["candidates"][0]["content"]["parts"] == parts(foreign)[:1]
    assert "id" not in parts(same)[0]["functionCall"]
    assert "id" not in whole(same)["candidates"][0]["content"]["parts"][0]["functionCall"]


def test_call_that_is_not_done_is_not_shown() -> None:
    log: list[AnyEvent] = [
        *log_of([*TEXT, PartStarted(0, 1, PartKind.TOOL_CALL, "c1", "f"), Delta(0, 1, '{"a"')], failed=True)[:-2],
        AttemptEnded(1, "ok"),
        Terminal(Status.TRUNCATED),
    ]
    assert b"functionCall" not in stream(log)
    assert b"functionCall" not in GEMINI.whole(fold(log))
    assert whole(log)["candidates"][0]["finishReason"] == "MAX_TOKENS"


def test_what_stood_beside_the_arguments_is_shown_with_the_call() -> None:
    made = call('{"a":1}', extra=Extra(delta={"thoughtSignature": "S"}))
    made[1] = Delta(0, 0, '{"a":1}', Extra({"top": 1}, {"avgLogprobs": -1}))
    (shown, _) = chunks(stream(log_of(made)))
    part = {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "S"}
    assert shown["candidates"] == [
        {"content": {"parts": [part], "role": "model"}, "index": 0, "avgLogprobs": -1},
    ]
    assert shown["top"] == 1
    assert "thoughtSignature" not in stream(log_of(made, dialect="openai-chat")).decode()


def test_parts_that_only_another_dialect_knows_are_not_shown() -> None:
    other: list[AnyEvent] = [
        PartStarted(0, 0, PartKind.OTHER, extra=Extra(delta={"type": "web_search_call"})),
        Delta(0, 0, "found", Extra(choice={"a": 1})),
        PartDone(0, 0),
        PartStarted(0, 1, PartKind.TEXT),
        Delta(0, 1, "Hi"),
        PartDone(0, 1),
        STOPPED,
    ]
    log = log_of(other, dialect="openai-responses")
    assert parts(log) == [{"text": "Hi"}, {"text": ""}]
    assert whole(log)["candidates"][0]["content"]["parts"] == [{"text": "Hi"}]


def test_extra_fields_of_another_dialect_are_not_shown() -> None:
    extra = Extra({"a": 1}, {"b": 1}, {"c": 1})
    made: list[AnyEvent] = [
        AttemptDescribed(1, "x", "m", {"service_tier": "default"}),
        PartStarted(0, 0, PartKind.TEXT, extra=extra),
        Delta(0, 0, "Hi", extra),
        PartDone(0, 0),
        ChoiceDone(0, Reason.STOP, "stop", extra),
        Opaque(0, extra),
    ]
    log = log_of(made, dialect="openai-chat")
    assert [sorted(chunk) for chunk in chunks(stream(log))] == [["candidates", "modelVersion", "responseId"]] * 2
    assert parts(log) == [{"text": "Hi"}, {"text": ""}]
    assert whole(log).keys() == {"candidates", "modelVersion", "responseId"}


def test_late_signature_in_an_event_of_its_own_is_shown() -> None:
    made: list[AnyEvent] = [
        *TEXT,
        ChoiceDone(0, Reason.STOP, "STOP"),
        Opaque(0, Extra(delta={"thoughtSignature": "S"})),
    ]
    assert parts(log_of(made)) == [{"text": "Hi"}, {"text": "", "thoughtSignature": "S"}, {"text": ""}]
    assert whole(log_of(made))["candidates"][0]["content"]["parts"][-1] == {"text": "", "thoughtSignature": "S"}


def test_unknown_fields_of_the_content_are_shown_inside_it() -> None:
    made: list[AnyEvent] = [
        *TEXT,
        ChoiceDone(0, Reason.STOP, "STOP", Extra(choice={"content": {"tag": 1}, "beside": 2})),
    ]
    (candidate,) = whole(log_of(made))["candidates"]
    assert candidate["content"] == {"parts": [{"text": "Hi"}], "role": "model", "tag": 1}
    assert candidate["beside"] == 2


def test_refusal_is_text_and_ends_with_safety() -> None:
    made: list[AnyEvent] = [
        PartStarted(0, 0, PartKind.REFUSAL),
        Delta(0, 0, "No."),
        PartDone(0, 0),
        ChoiceDone(0, Reason.REFUSAL, "x"),
    ]
    (candidate,) = whole(log_of(made, dialect="openai-chat"))["candidates"]
    assert candidate["content"]["parts"] == [{"text": "No."}]
    assert candidate["finishReason"] == "SAFETY"


@pytest.mark.parametrize("word", ["STOP", "RECITATION", "CONTINUATION", "SOMETHING_NEW"])
def test_finish_reason_of_the_same_dialect_is_as_the_provider_spelt_it(word: str) -> None:
    reasons = {"RECITATION": Reason.CONTENT_FILTER, "CONTINUATION": Reason.LENGTH}
    log = log_of([*TEXT, ChoiceDone(0, reasons.get(word, Reason.STOP), word)])
    assert whole(log)["candidates"][0]["finishReason"] == word
    assert chunks(stream(log))[-1]["candidates"][0]["finishReason"] == word


def test_answer_that_policy_blocked_never_says_what_the_provider_said() -> None:
    log = [*log_of([*TEXT, ChoiceDone(0, Reason.STOP, "STOP")])[:-1], Terminal(Status.BLOCKED)]
    assert whole(log)["candidates"][0]["finishReason"] == "PROHIBITED_CONTENT"


def test_candidate_that_said_something_is_shown_though_the_prompt_had_feedback() -> None:
    feedback = Extra(response={"promptFeedback": {"blockReason": "SAFETY"}})
    made: list[AnyEvent] = [*TEXT, ChoiceDone(0, Reason.CONTENT_FILTER, "SAFETY", feedback)]
    assert chunks(stream(log_of(made)))[-1]["candidates"][0]["finishReason"] == "SAFETY"
    assert whole(log_of(made))["candidates"][0]["finishReason"] == "SAFETY"


def test_model_that_is_described_late_stands_in_every_later_frame() -> None:
    made: list[AnyEvent] = [
        PartStarted(0, 0, PartKind.TEXT),
        Delta(0, 0, "a"),
        AttemptDescribed(1, "", "m-1", {"createTime": "t"}),
        Delta(0, 0, "b"),
        PartDone(0, 0),
        ChoiceDone(0, Reason.STOP, "STOP"),
    ]
    shown = chunks(stream(log_of(made)))
    assert [(c["modelVersion"], c.get("createTime")) for c in shown] == [("asked", None), ("m-1", "t"), ("m-1", "t")]


def test_usage_of_another_dialect_counts_reasoning_beside_the_candidates() -> None:
    usage = Usage(10, 7, cached_tokens=4, reasoning_tokens=5, estimated=True)
    (candidate_and_usage) = whole(log_of([*TEXT, STOPPED, usage], dialect="openai-chat"))
    assert candidate_and_usage["usageMetadata"] == {
        "promptTokenCount": 10,
        "cachedContentTokenCount": 4,
        "candidatesTokenCount": 2,
        "thoughtsTokenCount": 5,
        "totalTokenCount": 17,
        "estimated": True,
    }


@pytest.mark.parametrize("code", sorted(code for code, known in CODES.items() if known.blame is not Blame.POLICY))
@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED, Status.EXPIRED])
def test_nothing_but_success_looks_like_one(code: str, status: Status) -> None:
    """The JavaScript SDK raises on `code` from 400 to 599, the Python one where ``error`` is the first key."""
    log = [*log_of(list(TEXT), failed=True)[:-1], Terminal(status, code=code, message="No.")]
    data = stream(log)
    last = data.split(b"\n\n")[-2]
    assert last.startswith(b'data: {"error":{"code":')
    assert 400 <= json.loads(last[6:])["error"]["code"] <= 599
    assert b"finishReason" not in data
    with pytest.raises(APIError):
        sdk_stream(data)


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\u0085"], ids=lambda text: f"U+{ord(text):04X}")
def test_what_clients_take_for_a_line_end_is_escaped_wherever_it_stands(character: str) -> None:
    extra = Extra({"a": character}, {"b": character}, {"c": character})
    log: list[AnyEvent] = [
        ResponseStarted(f"resp_{HEX}", "app", "gemini", "m", 1, may_retract=True),
        AttemptStarted(1, "p", "gemini", "m"),
        AttemptDescribed(1, "", character, {"createTime": character}),
        PartStarted(0, 0, PartKind.TEXT),
        Delta(0, 0, f"ü{character}"),
        Delta(0, 0, character, extra),
        Retracted(0, 0, 0, 5, character, character),
        PartStarted(0, 1, PartKind.TOOL_CALL, character, character),
        Delta(0, 1, json.dumps({"a": character})),
        PartDone(0, 1),
        PartStarted(0, 2, PartKind.OTHER, extra=extra),
        Opaque(0, extra),
        Terminal(Status.FAILED, "internal", message=character),
    ]
    assert character not in stream(log).decode()
    assert len(chunks(stream(log))) == 7


def test_array_is_what_a_stream_without_sse_is() -> None:
    log = log_of([*TEXT, STOPPED])
    data = stream(log, JsonArray(GEMINI.encoder()))
    assert json.loads(data) == chunks(stream(log))
    assert data.startswith(b"[{")
    assert data.endswith(b"}]")
    assert b"},\r\n{" in data


def test_array_is_closed_by_the_terminal_and_by_nothing_else() -> None:
    failed = log_of(list(TEXT), failed=True)
    assert json.loads(stream(failed, JsonArray(GEMINI.encoder())))[-1]["error"]["code"] == 502
    with pytest.raises(json.JSONDecodeError):
        json.loads(stream(failed[:-1], JsonArray(GEMINI.encoder())))


def test_array_read_again_is_the_same_answer() -> None:
    decoder = GEMINI.whole_decoder(attempt=1, choices=1)
    decoder.feed(stream(log_of([*TEXT, ChoiceDone(0, Reason.STOP, "STOP")]), ARRAY.wrap(GEMINI.encoder())))
    made: list[AnyEvent] = [event for event in decoder.finish() if not isinstance(event, AttemptDescribed)]
    assert made == [*TEXT, ChoiceDone(0, Reason.STOP, "STOP")]


def test_errors_before_the_first_byte_are_what_the_sdk_parses() -> None:
    body = GEMINI.error_body(RequestError("model_not_found", "No such model.", param="model"))
    assert json.loads(body) == {"error": {"code": 404, "message": "No such model.", "status": "NOT_FOUND"}}
