"""``sim-echo``: an answer in the words of who asks, so that a test can have any text said by any dialect."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.simulator import chat, gemini, messages, responses
from headgate.simulator.config import SimulatorConfig
from headgate.simulator.dialect import Dialect
from headgate.simulator.plan import Kind, Plan
from headgate.simulator.planning import make
from headgate.simulator.tokens import tokenize
from tests.simulator.asking import TOOLS, plan
from tests.simulator.speaking import ASKED, played, read

ADDRESS = "Write to ada@example.com; it costs 5 €."
each_dialect = pytest.mark.parametrize("dialect", Dialect)
each_mode = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])


def echo(said: str, model: str = "sim-fast-echo", **fields: Any) -> Plan:
    return plan(model, messages=[{"role": "user", "content": said}], **fields)


def texts(made: Plan, kind: Kind) -> list[str]:
    return ["".join(part.text for part in choice.of(kind)) for choice in made.choices]


def hidden(text: str) -> str:
    return "base64:" + b64encode(text.encode()).decode()


@each_dialect
@each_mode
def test_text_and_reasoning_are_what_the_user_said(dialect: Dialect, stream: bool) -> None:
    said = read(dialect, played(dialect, "sim-fast-echo-reasoning", stream=stream))
    assert (said.text, said.reasoning) == (ASKED, ASKED)


@given(st.text())
def test_any_text_is_said_letter_for_letter_in_tokens(text: str) -> None:
    made = echo(hidden(text))
    assert texts(made, Kind.TEXT) == [text]
    assert made.choices[0].parts[0].tokens == tuple(tokenize(text))


@pytest.mark.parametrize("said", ["base64:?", "base64:/w==", "base64:YQ", "BASE64:YQ==", "a base64:YQ=="])
def test_what_is_no_text_in_base64_is_said_as_it_stands(said: str) -> None:
    assert texts(echo(said), Kind.TEXT) == [said]


def test_last_turn_of_the_user_is_what_counts() -> None:
    turns = [("user", "one"), ("assistant", "two"), ("user", ADDRESS), ("assistant", "three")]
    made = plan("sim-fast-echo", messages=[{"role": role, "content": text} for role, text in turns])
    assert texts(made, Kind.TEXT) == [ADDRESS]


def test_every_choice_says_it_and_limits_hold() -> None:
    assert texts(echo(ADDRESS, n=2), Kind.TEXT) == [ADDRESS] * 2
    assert texts(echo(ADDRESS, "sim-fast-echo-t3"), Kind.TEXT) == ["".join(list(tokenize(ADDRESS))[:3])]
    assert texts(echo(ADDRESS, max_completion_tokens=2), Kind.TEXT) == ["".join(list(tokenize(ADDRESS))[:2])]
    assert texts(echo(ADDRESS, stop=["@"]), Kind.TEXT) == ["Write to ada"]


@pytest.mark.parametrize("form", [{"type": "json_object"}, {"type": "json_schema", "json_schema": {"schema": {}}}])
def test_asked_for_json_it_says_what_it_was_told_all_the_same(form: dict[str, Any]) -> None:
    assert texts(echo("no JSON", response_format=form), Kind.TEXT) == ["no JSON"]


def test_arguments_of_a_call_are_an_object_that_the_user_said() -> None:
    arguments = json.dumps({"gate": ADDRESS, "more": [1, None]}, ensure_ascii=False)
    made = echo(hidden(arguments), "sim-fast-echo-parallel", tools=TOOLS)
    assert [part.text for part in made.choices[0].of(Kind.CALL)] == [arguments] * 2


@pytest.mark.parametrize("said", ["", "no JSON", "[1]", '{"gate": '])
def test_arguments_are_made_up_where_it_was_no_object(said: str) -> None:
    (call,) = echo(said, "sim-fast-echo-tools", tools=TOOLS).choices[0].of(Kind.CALL)
    assert json.loads(call.text).keys() == {"gate", "inches"}


def test_every_dialect_says_the_same_object() -> None:
    arguments = {"gate": ADDRESS, "inches": 3}
    said, model, config = hidden(json.dumps(arguments)), "sim-fast-echo-tools", SimulatorConfig()
    schema = {"type": "object"}
    turn = {"role": "user", "content": said}
    tool = {"name": "open_gate", "input_schema": schema}
    function = {"name": "open_gate", "parameters": schema}
    asks = [
        chat.read(body(model=model, messages=[turn], tools=[{"type": "function", "function": function}])),
        responses.read(body(model=model, input=said, tools=[{"type": "function", **function}])),
        messages.read(body(model=model, max_tokens=99, messages=[turn], tools=[tool])),
        gemini.read(
            body(contents=[{"role": "user", "parts": [{"text": said}]}], tools=[{"functionDeclarations": [function]}]),
            model=model,
            stream=False,
            array=False,
        ),
    ]
    for ask in asks:
        (call,) = make(ask, "", config).choices[0].of(Kind.CALL)
        assert json.loads(call.text) == arguments


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()
