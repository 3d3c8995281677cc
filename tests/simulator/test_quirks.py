"""Every fault in every dialect, and what only some dialects can do. No sockets: that they carry this is tested elsewhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headgate.simulator.dialect import Dialect
from headgate.simulator.faults import Argument, FaultName
from headgate.simulator.quirks import QUIRKS, Quirk
from headgate.simulator.registry import DIFFERS, TABLE, Name, effect
from headgate.simulator.script import BOM
from headgate.simulator.steps import Abort, Close, Delimit, End
from tests.simulator.asking import Transcript, events
from tests.simulator.speaking import Said, names, objects, played, read

CHAT, RESPONSES, MESSAGES, GEMINI = Dialect
YOUNGER = [RESPONSES, MESSAGES, GEMINI]
MODEL = "sim-fast-t9"
TALKATIVE = "sim-fast-parallel-reasoning"
ENDS = {CHAT: b"[DONE]", RESPONSES: b"response.completed", MESSAGES: b"message_stop", GEMINI: b"finishReason"}

each_dialect = pytest.mark.parametrize("dialect", Dialect)
each_younger = pytest.mark.parametrize("dialect", YOUNGER)
each_mode = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])


def pairs(*quirks: Quirk) -> list[tuple[Dialect, Quirk]]:
    return [(dialect, quirk) for quirk in quirks or QUIRKS for dialect in QUIRKS[quirk].dialects]


def broken(dialect: Dialect, fault: str, model: str = MODEL, **fields: Any) -> Transcript:
    return played(dialect, f"{model}+{fault}", stream=True, **fields)


def healthy(dialect: Dialect, model: str = MODEL, **fields: Any) -> Said:
    return read(dialect, played(dialect, model, stream=True, **fields))


def shown(said: Said) -> tuple[Any, ...]:
    return said.text, said.reasoning, said.refusal, said.called, said.finish, said.tokens


def test_table_says_everything_about_every_fault() -> None:
    for name in TABLE:
        for dialect in Dialect:
            found = effect(name, dialect)
            assert (found is None) == (dialect not in TABLE[name].dialects)
            assert found is None or all(found)
    assert all(name in TABLE and dialect in TABLE[name].dialects for name, dialect in DIFFERS)
    assert all(TABLE[name].dialects == tuple(Dialect) for name in FaultName)


# --- the faults of all, in each dialect's terms


@each_dialect
@each_mode
@pytest.mark.parametrize("name", TABLE)
def test_every_fault_plays_to_an_end_or_to_silence(dialect: Dialect, name: Name, stream: bool) -> None:
    transcript = played(dialect, f"{MODEL}+{name}", stream=stream)
    assert (transcript.last is None) == transcript.stalled
    if dialect not in TABLE[name].dialects:
        assert transcript.head is not None
        assert transcript.head.status == 404
        assert "There is no" in transcript.body.decode()


@each_younger
@pytest.mark.parametrize("at", [0, 1, 4, 9, 50])
@pytest.mark.parametrize(
    ("name", "last"),
    [("cut", Close), ("reset", Abort), ("eof", End), ("close", Close), ("stall", None), ("stall-comments", Close)],
)
def test_stream_breaks_off_after_exactly_so_many_tokens(
    dialect: Dialect, name: str, last: type | None, at: int
) -> None:
    transcript = broken(dialect, f"{name}@{at}")
    reference = played(CHAT, f"{MODEL}+cut@{at}", stream=True)
    assert read(dialect, transcript).text == reference.text
    assert transcript.tokens == min(at, 9)
    assert ENDS[dialect] not in transcript.body
    assert transcript.stalled if last is None else isinstance(transcript.last, last)
    assert transcript.head is not None
    assert transcript.head.delimit is (Delimit.CLOSE if name == "close" else Delimit.CHUNKED)


@each_younger
def test_function_call_that_is_cut_is_never_whole(dialect: Dialect) -> None:
    said = read(dialect, broken(dialect, "eof@4", "sim-fast-tools", tools=True))
    for _, arguments in said.calls.values():
        with pytest.raises(json.JSONDecodeError):
            json.loads(arguments)


@each_younger
@pytest.mark.parametrize("name", ["error", "error-object", "error-event", "overloaded"])
def test_error_inside_a_200_is_the_last_event(dialect: Dialect, name: str) -> None:
    transcript = broken(dialect, f"{name}@4")
    assert read(dialect, transcript).text == broken(CHAT, "cut@4").text
    last = events(transcript.body)[-1]
    last = last[0] if isinstance(last, list) else last
    assert "error" in json.dumps(last)
    assert isinstance(transcript.last, End)
    assert ENDS[dialect] not in transcript.body
    whole = json.loads(played(dialect, f"{MODEL}+{name}").body)
    assert "error" in (whole[0] if isinstance(whole, list) else whole)


def test_errors_in_the_stream_word_for_word() -> None:
    def last(dialect: Dialect, fault: str) -> tuple[str | None, Any]:
        body = broken(dialect, fault).body
        final = body.replace(b"\r\n", b"\n").rstrip().split(b"\n\n")[-1]
        return next(iter(names(final)), None), events(body)[-1]

    error = {"type": "api_error", "message": "The model broke off (simulated)."}
    name, body = last(MESSAGES, "error")
    assert (name, body["type"], body["error"]) == ("error", "error", error)
    name, body = last(MESSAGES, "overloaded")
    assert (name, body["error"]["type"]) == ("error", "overloaded_error")
    assert last(MESSAGES, "error-object")[0] is None
    name, body = last(RESPONSES, "error")
    assert (name, body["type"], body["error"]["code"]) == ("error", "error", "server_error")
    assert last(RESPONSES, "error-object") == (None, {"error": body["error"]})
    name, body = last(RESPONSES, "error-event")
    assert name == "error"
    assert list(body) == ["type", "sequence_number", "code", "message", "param"]
    name, body = last(RESPONSES, "failed")
    assert (name, body["type"], body["response"]["status"]) == ("response.failed", "response.failed", "failed")
    assert last(RESPONSES, "overloaded")[1]["response"]["error"]["code"] == "server_is_overloaded"
    google = {"code": 500, "message": "The model broke off (simulated).", "status": "INTERNAL"}
    assert last(GEMINI, "error") == (None, {"error": google})
    assert last(GEMINI, "error-event") == ("error", {"error": google})
    assert last(GEMINI, "error-object") == (None, [{"error": google}])
    assert last(GEMINI, "overloaded")[1]["error"]["status"] == "UNAVAILABLE"


@each_younger
def test_garbage_is_one_line_inside_an_otherwise_complete_stream(dialect: Dialect) -> None:
    transcript = broken(dialect, "garbage@4")
    assert sum(isinstance(data, bytes) for data in events(transcript.body)) == 1
    assert shown(read(dialect, transcript)) == shown(healthy(dialect))


HARMLESS = ["noise@4", "huge-line@4", "crlf", "bom", "split-utf8", "drip", "bad-length", "huge-headers", "slow-headers"]


@each_younger
@pytest.mark.parametrize("fault", HARMLESS)
def test_harmless_faults_leave_the_answer_as_it_is(dialect: Dialect, fault: str) -> None:
    assert shown(read(dialect, broken(dialect, fault, "sim-fast-unicode-t9"))) == shown(
        healthy(dialect, "sim-fast-unicode-t9")
    )


@each_younger
def test_line_ends_are_those_the_provider_does_not_use(dialect: Dialect) -> None:
    plain, other = broken(dialect, "no-usage").body, broken(dialect, "no-usage+crlf").body
    ends = [plain.count(b"\r\n"), other.count(b"\r\n")]
    assert other.count(b"\n") == plain.count(b"\n") == max(ends) > min(ends) == 0
    assert (ends[0] > 0) == (dialect is GEMINI)
    assert broken(dialect, "bom").body.startswith(BOM)


@pytest.mark.parametrize(
    ("dialect", "name", "finish", "end"),
    [
        (RESPONSES, "no-done", None, False),
        (RESPONSES, "no-done-open", None, False),
        (RESPONSES, "no-finish", None, False),
        (RESPONSES, "truncated-json", None, True),
        (MESSAGES, "no-done", "end_turn", False),
        (MESSAGES, "no-done-open", "end_turn", False),
        (MESSAGES, "no-finish", None, True),
        (MESSAGES, "truncated-json", None, False),
        (GEMINI, "no-done", "STOP", True),
        (GEMINI, "no-done-open", "STOP", True),
        (GEMINI, "no-finish", None, False),
        (GEMINI, "truncated-json", None, True),
    ],
)
def test_what_the_end_of_the_stream_lacks(dialect: Dialect, name: str, finish: str | None, end: bool) -> None:
    transcript = broken(dialect, name)
    said = read(dialect, transcript)
    assert (said.text, said.finish) == (healthy(dialect).text, finish)
    assert (ENDS[dialect] in transcript.body) == end
    assert transcript.stalled == (name == "no-done-open")
    if name == "truncated-json":
        assert isinstance(events(transcript.body)[-1], bytes)


@each_younger
def test_usage_may_be_missing(dialect: Dialect) -> None:
    for stream in (True, False):
        transcript = played(dialect, f"{MODEL}+no-usage", stream=stream)
        assert read(dialect, transcript).tokens is None
        assert b"okens" not in transcript.body.replace(b"max_output_tokens", b"").replace(b"max_tokens", b"")


@each_younger
@pytest.mark.parametrize("name", ["cut", "reset", "close", "stall", "eof", "truncated-json", "garbage"])
def test_whole_answer_that_breaks_is_no_json(dialect: Dialect, name: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(played(dialect, f"{MODEL}+{name}").body)


@pytest.mark.parametrize("name", ["noise@4", "garbage@4", "error@4", "huge-line@4", "stall-comments@4", "with-done"])
def test_faults_of_a_stream_that_is_an_array(name: str) -> None:
    transcript = played(GEMINI, f"{MODEL}+{name}", array=True)
    body = transcript.body
    assert body.startswith(b"[{")
    if name.startswith(("noise", "huge")):
        assert read(GEMINI, transcript).text == healthy(GEMINI).text
    elif name.startswith("error"):
        assert json.loads(body + b"]")[-1]["error"]["status"] == "INTERNAL"
    elif name == "with-done":
        assert b"[DONE]" not in body
    else:
        with pytest.raises(json.JSONDecodeError):
            json.loads(body)


# --- quirks


@pytest.mark.parametrize(
    ("dialect", "quirk"),
    pairs(
        Quirk.INTERLEAVED,
        Quirk.PINGS,
        Quirk.UNKNOWN,
        Quirk.FOREIGN,
        Quirk.EXTRA_FIELDS,
        Quirk.DOUBLE_START,
        Quirk.DOUBLE_END,
        Quirk.DONE_ONLY,
        Quirk.NO_STOPS,
        Quirk.NO_EVENT_NAMES,
        Quirk.WITH_DONE,
        Quirk.DISAGREE,
        Quirk.RAW_REASONING,
        Quirk.BARE_FINISH,
        Quirk.EARLY_FINISH,
    ),
)
def test_harmless_quirks_change_the_stream_and_not_what_it_says(dialect: Dialect, quirk: Quirk) -> None:
    plain, odd = (played(dialect, model, stream=True, tools=True) for model in (TALKATIVE, f"{TALKATIVE}+{quirk}"))
    assert odd.body != plain.body
    foreign = quirk is Quirk.FOREIGN
    says, expected = shown(read(dialect, odd)), shown(read(dialect, plain))
    assert says[:-1] == expected[:-1]
    assert says[-1] == (expected[-1] + 1 if foreign else expected[-1])
    whole = read(dialect, played(dialect, f"{TALKATIVE}+{quirk}", tools=True))
    assert shown(whole)[:-1] == expected[:-1]


@pytest.mark.parametrize("dialect", [RESPONSES, MESSAGES])
def test_blocks_overlap_and_each_keeps_its_index(dialect: Dialect) -> None:
    found = objects(broken(dialect, "interleaved", TALKATIVE, tools=True).body)
    key, delta = ("index", "content_block_delta") if dialect is MESSAGES else ("output_index", ".delta")
    order = [event[key] for event in found if event["type"].endswith(delta)]
    assert set(order) == {0, 1, 2}
    assert order != sorted(order)


def test_messages_can_say_these() -> None:
    def deltas(fault: str) -> list[dict[str, Any]]:
        return [one for one in objects(broken(MESSAGES, fault).body) if one["type"] == "message_delta"]

    assert deltas("pause")[0]["delta"]["stop_reason"] == "pause_turn"
    assert deltas("context-window")[0]["delta"]["stop_reason"] == "model_context_window_exceeded"
    (refused,) = deltas("refused@4")
    assert refused["delta"]["stop_reason"] == "refusal"
    assert set(refused["delta"]["stop_details"]) == {"type", "category", "explanation"}
    assert read(MESSAGES, broken(MESSAGES, "refused@4")).text == broken(CHAT, "cut@4").text
    starts = [event["type"] for event in objects(broken(MESSAGES, "double-start").body)]
    assert starts[:3] == ["message_start", "message_start", "content_block_start"]
    signed = objects(broken(MESSAGES, "omitted-thinking", "sim-fast-reasoning-t1").body)
    kinds = [event["delta"]["type"] for event in signed if event["type"] == "content_block_delta"]
    assert kinds == ["signature_delta", "text_delta"]
    stray = read(MESSAGES, broken(MESSAGES, "thinking-in-text@3"))
    assert (stray.text, stray.reasoning) == (healthy(MESSAGES).text, "(a stray thought)")
    pinged = [event["type"] for event in objects(broken(MESSAGES, "pings").body)]
    assert pinged.count("ping") > len(pinged) / 2 - 1


def test_end_can_come_twice() -> None:
    assert broken(CHAT, "double-end").body.endswith(b"data: [DONE]\n\n" * 2)
    for dialect, end in ((RESPONSES, "response.completed"), (MESSAGES, "message_stop")):
        assert [event["type"] for event in objects(broken(dialect, "double-end").body)][-2:] == [end] * 2
    last = objects(broken(GEMINI, "double-end").body)[-1]
    assert set(last) == {"usageMetadata", "modelVersion", "responseId"}
    array = json.loads(played(GEMINI, f"{MODEL}+double-end", array=True).body)
    assert set(array[-1]) == set(last)


def test_google_can_finish_bare_or_in_every_chunk() -> None:
    def candidates(fault: str) -> list[dict[str, Any]]:
        return [one for chunk in objects(broken(GEMINI, fault, "sim-fast-t40").body) for one in chunk["candidates"]]

    assert candidates("bare-finish")[-1] == {"content": {"role": "model"}, "finishReason": "STOP", "index": 0}
    assert [one["finishReason"] for one in candidates("early-finish")] == ["STOP"] * 4


def test_status_of_a_stream_that_was_to_be_an_array_is_one_too() -> None:
    (error,) = json.loads(played(GEMINI, "sim+503", array=True).body)
    assert error["error"]["status"] == "UNAVAILABLE"


def test_arguments_can_come_all_at_once() -> None:
    found = objects(broken(RESPONSES, "done-only", "sim-fast-tools", tools=True).body)
    assert not any(event["type"].endswith(".delta") for event in found)
    (done,) = (event for event in found if event["type"] == "response.function_call_arguments.done")
    assert json.loads(done["arguments"])["inches"] >= 1
    starts = objects(broken(MESSAGES, "done-only", "sim-fast-tools", tools=True).body)
    (start,) = (event for event in starts if event["type"] == "content_block_start")
    assert start["content_block"]["input"]["inches"] >= 1
    assert not any(event["type"] == "content_block_delta" for event in starts)


@pytest.mark.parametrize("dialect", [RESPONSES, MESSAGES])
def test_ends_of_parts_and_names_of_events_can_be_missing(dialect: Dialect) -> None:
    kinds = [event["type"] for event in objects(broken(dialect, "no-stops", TALKATIVE, tools=True).body)]
    assert not any(kind.endswith((".done", "content_block_stop")) for kind in kinds)
    assert set(names(broken(dialect, "no-event-names").body)) <= {"ping"}


def test_final_output_can_disagree_with_the_deltas() -> None:
    found = objects(broken(RESPONSES, "disagree").body)
    final = found[-1]["response"]["output"][0]["content"][0]["text"]
    assert final == f"Revised: {healthy(RESPONSES).text}"


@pytest.mark.parametrize("dialect", [CHAT, RESPONSES])
def test_model_can_refuse_in_the_middle(dialect: Dialect) -> None:
    said = read(dialect, broken(dialect, "refused@4"))
    assert said.text == broken(CHAT, "cut@4").text
    assert len(said.refusal) > 10
    assert read(dialect, played(dialect, f"{MODEL}+refused@4")) == said


@pytest.mark.parametrize(("dialect", "quirk"), pairs())
@each_mode
def test_quirks_are_deterministic(dialect: Dialect, quirk: Quirk, stream: bool) -> None:
    first, again = (played(dialect, f"{TALKATIVE}+{quirk}", stream=stream, tools=True) for _ in range(2))
    assert first.body == again.body


def test_every_quirk_that_counts_tokens_can_strike_at_any() -> None:
    for dialect, quirk in pairs():
        if TABLE[quirk].argument is Argument.TOKENS:
            early, late = (broken(dialect, f"{quirk}@{at}") for at in (1, 8))
            assert early.body != late.body
