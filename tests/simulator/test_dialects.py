"""One plan, four dialects: whatever steers the simulator does so in each of them, with the same words."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from headgate import simulator
from headgate.simulator.dialect import Dialect
from headgate.simulator.steps import Delimit, End
from tests.simulator.asking import Transcript
from tests.simulator.speaking import Said, played, read

each_dialect = pytest.mark.parametrize("dialect", Dialect)
each_mode = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
YOUNGER = [Dialect.RESPONSES, Dialect.MESSAGES, Dialect.GEMINI]
SCHEMA = {"type": "object", "properties": {"gates": {"type": "integer", "minimum": 3}}, "required": ["gates"]}

QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    ("sim-fast", {}),
    ("sim-fast-t1", {}),
    ("sim-fast-t0", {}),
    ("sim-fast-long", {}),
    ("sim-fast-unicode-t300", {}),
    ("sim-fast-markdown", {}),
    ("sim-fast-json", {}),
    ("sim-fast-reasoning", {}),
    ("sim-fast-redacted", {}),
    ("sim-fast-refusal", {}),
    ("sim-fast-tools", {"tools": True}),
    ("sim-fast-parallel-reasoning", {"tools": True}),
    ("sim-fast", {"tools": True, "forced": "ring_bell"}),
    ("sim-fast", {"schema": SCHEMA}),
    ("sim-fast", {"limit": 7}),
    ("sim-fast-cached", {"system": "Answer briefly, as a lock keeper would."}),
]
each_question = pytest.mark.parametrize(("model", "fields"), QUESTIONS, ids=lambda value: str(value)[:40])


def both(dialect: Dialect, model: str, **fields: Any) -> tuple[Said, Said]:
    return (
        read(dialect, played(dialect, model, stream=True, **fields)),
        read(dialect, played(dialect, model, **fields)),
    )


def shown(said: Said) -> tuple[str, str, list[tuple[str, Any]]]:
    return said.text, said.reasoning, said.called


@each_dialect
@each_question
def test_stream_adds_up_to_the_whole_answer(dialect: Dialect, model: str, fields: dict[str, Any]) -> None:
    streamed, whole = both(dialect, model, **fields)
    assert shown(streamed) == shown(whole)
    assert (streamed.refusal, streamed.finish, streamed.tokens) == (whole.refusal, whole.finish, whole.tokens)


@pytest.mark.parametrize("dialect", YOUNGER)
@each_question
def test_same_question_gets_the_same_words_in_every_dialect(
    dialect: Dialect, model: str, fields: dict[str, Any]
) -> None:
    chat, _ = both(Dialect.CHAT, model, **fields)
    other, _ = both(dialect, model, **fields)
    assert shown(other) == shown(chat)
    assert (other.refusal, other.tokens) == (chat.refusal, chat.tokens)


@each_dialect
def test_streams_of_all_dialects_take_their_time(dialect: Dialect) -> None:
    transcript = played(dialect, "sim-t21-r10-f500", stream=True)
    assert transcript.head is not None
    assert transcript.head.delimit is Delimit.CHUNKED
    assert isinstance(transcript.last, End)
    assert transcript.writes[-1][0] == pytest.approx(2.5)
    assert min(when for when, data in transcript.writes if b"text" in data or b"content" in data) <= 0.5
    assert transcript.tokens == 21
    ((due, _),) = played(dialect, "sim-t21-r10-f500").writes
    assert due == pytest.approx(2.5)


@each_dialect
@each_mode
def test_same_request_gets_the_same_bytes(dialect: Dialect, stream: bool) -> None:
    first, again = (played(dialect, "sim-fast-parallel-reasoning", stream=stream, tools=True) for _ in range(2))
    assert first.body == again.body
    assert first.headers == again.headers


@each_dialect
def test_tool_result_in_the_history_leads_to_text(dialect: Dialect) -> None:
    streamed, whole = both(dialect, "sim-fast-tools", tools=True, result="The gate is open.")
    assert streamed.text == whole.text != ""
    assert not streamed.calls
    forced, _ = both(dialect, "sim-fast-tools", tools=True, result="open", forced="close_gate")
    assert [name for name, _ in forced.called] == ["close_gate"]


@pytest.mark.parametrize("dialect", [Dialect.CHAT, Dialect.RESPONSES, Dialect.MESSAGES])
def test_two_calls_where_the_request_welcomes_them(dialect: Dialect) -> None:
    said, _ = both(dialect, "sim-fast-tools", tools=True, parallel=True)
    assert [name for name, _ in said.called] == ["open_gate", "close_gate"]
    assert all(arguments["inches"] >= 1 for _, arguments in said.called)


@pytest.mark.parametrize("dialect", YOUNGER)
def test_reasoning_is_shown_where_the_request_asks_for_it(dialect: Dialect) -> None:
    asked, _ = both(dialect, "sim-fast-t5", thinking=True)
    named, _ = both(dialect, "sim-fast-t5-reasoning")
    assert asked.reasoning == named.reasoning != ""
    assert not both(dialect, "sim-fast-t5")[0].reasoning


@each_dialect
def test_structured_output_satisfies_its_schema(dialect: Dialect) -> None:
    said, _ = both(dialect, "sim-fast", schema=SCHEMA)
    assert json.loads(said.text)["gates"] >= 3


LENGTHS = {
    Dialect.CHAT: "length",
    Dialect.RESPONSES: "max_output_tokens",
    Dialect.MESSAGES: "max_tokens",
    Dialect.GEMINI: "MAX_TOKENS",
}


@each_dialect
def test_limit_cuts_at_the_token_and_says_so(dialect: Dialect) -> None:
    for said in both(dialect, "sim-fast", limit=6):
        assert said.tokens == 6
        assert said.finish == LENGTHS[dialect]


@pytest.mark.parametrize("dialect", [Dialect.CHAT, Dialect.MESSAGES, Dialect.GEMINI])
def test_stop_sequence_ends_the_text(dialect: Dialect) -> None:
    free, _ = both(dialect, "sim-fast")
    for said in both(dialect, "sim-fast", stops=[free.text[30:34]]):
        assert said.text == free.text[: free.text.find(free.text[30:34])]
        assert said.finish == {Dialect.CHAT: "stop", Dialect.MESSAGES: "stop_sequence", Dialect.GEMINI: "STOP"}[dialect]


USAGES = {
    Dialect.CHAT: lambda answer: (
        answer["usage"]["prompt_tokens"],
        answer["usage"]["prompt_tokens_details"]["cached_tokens"],
        answer["usage"]["completion_tokens"],
        answer["usage"]["completion_tokens_details"]["reasoning_tokens"],
    ),
    Dialect.RESPONSES: lambda answer: (
        answer["usage"]["input_tokens"],
        answer["usage"]["input_tokens_details"]["cached_tokens"],
        answer["usage"]["output_tokens"],
        answer["usage"]["output_tokens_details"]["reasoning_tokens"],
    ),
    Dialect.MESSAGES: lambda answer: (
        answer["usage"]["input_tokens"] + answer["usage"]["cache_read_input_tokens"],
        answer["usage"]["cache_read_input_tokens"],
        answer["usage"]["output_tokens"],
        answer["usage"]["output_tokens_details"]["thinking_tokens"],
    ),
    Dialect.GEMINI: lambda answer: (
        answer["usageMetadata"]["promptTokenCount"],
        answer["usageMetadata"]["cachedContentTokenCount"],
        answer["usageMetadata"]["candidatesTokenCount"] + answer["usageMetadata"]["thoughtsTokenCount"],
        answer["usageMetadata"]["thoughtsTokenCount"],
    ),
}


@each_dialect
def test_usage_tells_cached_and_reasoning_tokens_apart(dialect: Dialect) -> None:
    counts = USAGES[dialect](played(dialect, "sim-fast-cached-reasoning-t10").whole)
    reasoning = counts[3]
    assert counts == (6, 3, 10 + reasoning, reasoning)  # How is a gate opened ?
    assert reasoning > 30


def message_of(dialect: Dialect, transcript: Transcript) -> tuple[str, str]:
    """Kind and message of an error in its dialect's shape."""
    error = transcript.whole["error"]
    match dialect:
        case Dialect.GEMINI:
            assert transcript.head is not None
            assert error["code"] == transcript.head.status
            return error["status"], error["message"]
        case Dialect.MESSAGES:
            assert transcript.whole["type"] == "error"
            assert transcript.whole["request_id"].startswith("req_")
            assert set(error) == {"type", "message"}
            return error["type"], error["message"]
        case _:
            assert set(error) == {"message", "type", "param", "code"}
            return error["type"], error["message"]


@each_dialect
def test_unknown_model_is_refused_in_the_dialects_own_shape(dialect: Dialect) -> None:
    transcript = played(dialect, "gpt-5", stream=True)
    assert transcript.head is not None
    assert transcript.head.status == 404
    kind, message = message_of(dialect, transcript)
    assert "sim-reasoning" in message
    assert kind in ("invalid_request_error", "not_found_error", "NOT_FOUND")


def test_simulator_knows_nothing_of_what_it_tests() -> None:
    source = "\n".join(path.read_text("utf-8") for path in Path(simulator.__file__).parent.rglob("*.py"))
    imported = {found[1] for found in re.finditer(r"^\s*(?:from|import) headgate\.(\w+)", source, re.MULTILINE)}
    assert imported == {"simulator", "errors"}
