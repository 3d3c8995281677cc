"""What a request is answered with: text, tools, schemas, limits; and that it is the same every time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import RequestError
from headgate.simulator import corpus
from headgate.simulator.chat import read
from headgate.simulator.chat.request import ChatRequest
from headgate.simulator.config import SimulatorConfig
from headgate.simulator.plan import Choice, Finish, Kind, Plan
from headgate.simulator.planning import make
from headgate.simulator.script import script
from tests.simulator.asking import MESSAGES, TOOLS, answered, body, plan, play, streamed


def text(choice: Choice) -> str:
    return "".join(part.text for part in choice.of(Kind.TEXT))


def only(made: Plan) -> Choice:
    (choice,) = made.choices
    return choice


def asking(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def test_same_request_gives_the_same_bytes_and_another_one_another_id() -> None:
    first, again = (streamed("sim-reasoning", n=2, logprobs=True, top_logprobs=3) for _ in range(2))
    assert first.writes == again.writes
    assert first.headers == again.headers
    other = streamed("sim-reasoning", n=2, logprobs=True, top_logprobs=3, user="somebody")
    assert other.chunks[0]["id"] != first.chunks[0]["id"]
    assert other.text == first.text, "the text depends on messages and seed only"


def test_order_of_members_in_the_body_does_not_matter() -> None:
    members = {"model": "sim", "messages": MESSAGES, "n": 2}
    bodies = [json.dumps(dict(order)).encode() for order in (members.items(), reversed(members.items()))]
    assert bodies[0] != bodies[1]
    assert make(read(bodies[0]), "", SimulatorConfig()) == make(read(bodies[1]), "", SimulatorConfig())


def test_messages_and_seed_pick_the_text() -> None:
    by_message = {text(only(plan(messages=asking(str(i))))) for i in range(40)}
    by_seed = {text(only(plan(seed=i))) for i in range(40)}
    assert len(by_message) > len(corpus.PROSE) / 2
    assert len(by_seed) > len(corpus.PROSE) / 2


def test_stream_and_whole_answer_say_the_same() -> None:
    for model in ("sim-fast", "sim-fast-unicode", "sim-fast-markdown", "sim-fast-json"):
        assert streamed(model).text == answered(model).whole["choices"][0]["message"]["content"]


def test_answer_of_the_default_length_ends_with_a_sentence() -> None:
    for i in range(20):
        choice = only(plan("sim", messages=asking(str(i))))
        assert 120 <= choice.tokens <= 180
        assert text(choice).rstrip('"').endswith((".", "?", "!"))
    assert 800 <= only(plan("sim-long")).tokens <= 860


@pytest.mark.parametrize("tokens", [0, 1, 7, 5000])
def test_knob_for_tokens_is_exact(tokens: int) -> None:
    choice = only(plan(f"sim-t{tokens}"))
    assert choice.tokens == tokens
    assert choice.finish is Finish.STOP


def test_choices_differ() -> None:
    assert len({text(choice) for choice in plan("sim", n=20).choices}) == 20


def test_limit_cuts_at_the_token_and_says_length() -> None:
    free, limited = only(plan("sim")), only(plan("sim", max_tokens=5, max_completion_tokens=9))
    assert limited.finish is Finish.LENGTH
    assert limited.parts[0].tokens == free.parts[0].tokens[:9]
    assert only(plan("sim-t9", max_tokens=9)).finish is Finish.STOP
    assert only(plan("sim-reasoning", max_tokens=3)).of(Kind.TEXT) == ()


def test_stop_sequence_ends_the_text_before_its_first_occurrence() -> None:
    whole = text(only(plan("sim-long")))
    for stop in (whole[40:43], whole[300:330], [whole[200:210], whole[100:104]]):
        choice = only(plan("sim-long", stop=stop))
        first = min(whole.find(one) for one in ([stop] if isinstance(stop, str) else stop))
        assert text(choice) == whole[:first]
        assert choice.finish is Finish.STOP
    assert text(only(plan("sim-long", stop="no such text"))) == whole
    assert text(only(plan("sim-long", stop=whole[:5]))) == ""


def test_usage_counts_tokens_of_prompt_answer_and_reasoning() -> None:
    usage = answered("sim-t10-reasoning", n=2).whole["usage"]
    made = plan("sim-t10-reasoning", n=2)
    reasoning = sum(len(part.tokens) for choice in made.choices for part in choice.of(Kind.REASONING))
    assert reasoning > 60
    assert usage["prompt_tokens"] == 6  # How is a gate opened ?
    assert usage["completion_tokens"] == 20 + reasoning
    assert usage["total_tokens"] == 26 + reasoning
    assert usage["completion_tokens_details"]["reasoning_tokens"] == reasoning


def names(made: Plan) -> list[str]:
    return [part.call.name for part in only(made).parts if part.call]


@pytest.mark.parametrize(
    ("model", "said", "fields", "called"),
    [
        ("sim", "hello", {}, []),
        ("sim", "please ring_bell now", {}, ["ring_bell"]),
        ("sim", "please ring_bell now", {"tool_choice": "none"}, []),
        ("sim", "hello", {"tool_choice": "required"}, ["open_gate"]),
        ("sim", "ring_bell", {"tool_choice": {"type": "function", "function": {"name": "close_gate"}}}, ["close_gate"]),
        ("sim-tools", "hello", {}, ["open_gate"]),
        ("sim-tools", "hello", {"parallel_tool_calls": True}, ["open_gate", "close_gate"]),
        ("sim", "ring_bell", {"parallel_tool_calls": True}, ["ring_bell", "open_gate"]),
    ],
)
def test_which_tools_are_called(model: str, said: str, fields: dict[str, Any], called: list[str]) -> None:
    made = plan(model, messages=asking(said), tools=TOOLS, **fields)
    assert names(made) == called
    assert only(made).finish is (Finish.TOOL_CALLS if called else Finish.STOP)


def test_after_a_tools_result_the_answer_is_text_unless_a_call_is_forced() -> None:
    messages = [*asking("open_gate"), {"role": "assistant", "content": None}, {"role": "tool", "content": "done"}]
    for model in ("sim", "sim-tools"):
        assert names(plan(model, messages=messages, tools=TOOLS)) == []
        assert names(plan(model, messages=messages, tools=TOOLS, tool_choice="required")) == ["open_gate"]


def test_arguments_satisfy_the_tools_schema() -> None:
    (part,) = only(plan("sim-tools", tools=TOOLS)).parts
    arguments = json.loads(part.text)
    assert set(arguments) == {"gate", "inches"}
    assert arguments["inches"] >= 1
    assert part.tokens[0] == ""


def test_json_is_valid_and_follows_the_schema_asked_for() -> None:
    assert json.loads(text(only(plan("sim-json"))))["complete"] is True
    assert json.loads(text(only(plan("sim", response_format={"type": "json_object"}))))["words"] > 50
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    asked = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    assert type(json.loads(text(only(plan("sim", response_format=asked))))["ok"]) is bool


def test_refusal_is_a_part_of_its_own() -> None:
    (part,) = only(plan("sim-refusal")).parts
    assert part.kind is Kind.REFUSAL
    message = answered("sim-refusal").whole["choices"][0]["message"]
    assert (message["content"], message["refusal"]) == (None, part.text)


def test_logprobs_describe_every_token() -> None:
    entries = answered("sim-t6-unicode", logprobs=True, top_logprobs=3).whole["choices"][0]["logprobs"]["content"]
    assert [entry["token"] for entry in entries] == list(only(plan("sim-t6-unicode")).parts[0].tokens)
    for entry in entries:
        assert bytes(entry["bytes"]).decode() == entry["token"]
        values = [top["logprob"] for top in entry["top_logprobs"]]
        assert values[0] == entry["logprob"] <= 0
        assert values == sorted(values, reverse=True)
        assert len({top["token"] for top in entry["top_logprobs"]}) == 3
    assert answered("sim-t6").whole["choices"][0]["logprobs"] is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"n": 0}, "n"),
        ({"n": "two"}, "n"),
        ({"n": 129}, "n"),
        ({"stream": "yes"}, "stream"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"top_logprobs": 1}, "top_logprobs"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": "sometimes"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice"),
        ({"model": "sim-t100000", "n": 2}, "n"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
    ],
)
def test_bad_field_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as refused:
        make(read(body(**fields)), "", SimulatorConfig())
    assert (refused.value.code, refused.value.param) == ("invalid_request", param)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000])
def test_body_that_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(RequestError) as refused:
        make(read(data), "", SimulatorConfig())
    assert refused.value.code == "invalid_json"


def test_request_without_a_model_gets_the_default_one() -> None:
    data = json.dumps({"messages": MESSAGES}).encode()
    assert make(read(data), "", SimulatorConfig(default_model="sim-t3")).tokens == 3


ODD = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=4), inner, max_size=2)),
    max_leaves=4,
)
FIELDS = st.sampled_from(sorted(ChatRequest.__struct_fields__))


@given(st.dictionaries(FIELDS, ODD, max_size=3))
def test_no_body_raises_anything_but_a_refusal(fields: dict[str, Any]) -> None:
    try:
        made = make(read(body(**fields)), "", SimulatorConfig())
    except RequestError as error:
        assert error.status in (400, 404)  # noqa: PT017  (most, but not all, are refused)
    else:
        assert play(script(made)).head
