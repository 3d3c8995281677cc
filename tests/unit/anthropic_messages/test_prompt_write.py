"""Anthropic Messages: a request of another dialect in this one's words; and by which names the rest is called."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from headgate.dialects.anthropic_messages.prompt_write import OUTPUT_TOKENS_MAX
from headgate.dialects.schema import closed
from headgate.errors import RequestError
from headgate.prompt import (
    Audio,
    Effort,
    File,
    Image,
    JsonFormat,
    Message,
    Part,
    Prompt,
    Reasoning,
    Refusal,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
)
from tests.soak import share

HI: Final = Message(Role.USER, (Text("Hi"),))
SCHEMA: Final = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}


def user(*parts: Part) -> Message:
    return Message(Role.USER, parts)


def assistant(*parts: Part) -> Message:
    return Message(Role.ASSISTANT, parts)


def written(prompt: Prompt) -> tuple[dict[str, Any], tuple[str, ...]]:
    request, unsupported = ANTHROPIC_MESSAGES.write_prompt(prompt, model="m", stream=False)
    assert (request.path, request.stream) == ("/v1/messages", False)
    return json.loads(request.body), unsupported


def write(*messages: Message, **fields: Any) -> dict[str, Any]:
    body, unsupported = written(Prompt(messages or (HI,), **fields))
    assert unsupported == ()
    return body


def unsupported(*messages: Message, **fields: Any) -> tuple[str, ...]:
    return written(Prompt(messages or (HI,), **fields))[1]


def contents(*messages: Message) -> list[Any]:
    return [(message["role"], message["content"]) for message in write(*messages)["messages"]]


def test_least_prompt_gets_the_limit_that_the_dialect_wants() -> None:
    wanted = {"model": "m", "max_tokens": OUTPUT_TOKENS_MAX, "messages": [{"role": "user", "content": "Hi"}]}
    assert write() == wanted
    request, _ = ANTHROPIC_MESSAGES.write_prompt(Prompt((HI,)), model="m", stream=True)
    assert json.loads(request.body) == wanted | {"stream": True}
    assert request.stream


def test_fields_that_every_dialect_has_are_written() -> None:
    body = write(output_tokens_max=7, temperature=1, top_p=0.5, top_k=3, stop=("a",), user="u", service_tier="default")
    assert {key: body[key] for key in ("max_tokens", "temperature", "top_p", "top_k")} == {
        "max_tokens": 7,
        "temperature": 1,
        "top_p": 0.5,
        "top_k": 3,
    }
    assert (body["stop_sequences"], body["metadata"]) == (["a"], {"user_id": "u"})
    assert body["service_tier"] == "standard_only"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"temperature": 1.2}, "temperature"),
        ({"seed": 0}, "seed"),
        ({"frequency_penalty": 0.0}, "frequency_penalty"),
        ({"presence_penalty": 1.0}, "presence_penalty"),
        ({"choices": 2}, "n"),
        ({"verbosity": "low"}, "verbosity"),
        ({"metadata": {"a": "b"}}, "metadata"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"format": JsonFormat()}, "response_format"),
        ({"stop": ("a", "\n")}, "stop"),
        ({"effort": Effort("extreme")}, "reasoning_effort"),
        ({"effort": Effort(budget_tokens=100)}, "reasoning_effort"),
    ],
)
def test_what_this_dialect_cannot_say_is_named_as_the_client_wrote_it(fields: dict[str, Any], path: str) -> None:
    places = {"choices": "n", "format": "response_format", "effort": "reasoning_effort"}
    body, named = written(Prompt((HI,), places=places, **fields))
    assert named == (path,)
    assert set(body) - {"stop_sequences"} == {"model", "max_tokens", "messages"}
    assert body.get("stop_sequences") in (None, ["a"])


def test_system_and_developer_messages_go_to_the_top() -> None:
    body = write(Message(Role.SYSTEM, (Text("a"),)), HI, Message(Role.DEVELOPER, (Text("b"), Text("c"))))
    assert body["system"] == [{"type": "text", "text": text} for text in "abc"]
    assert body["messages"] == [{"role": "user", "content": "Hi"}]
    assert write(Message(Role.SYSTEM, (Text("a"),)), HI)["system"] == "a"
    image = Message(Role.SYSTEM, (Image(url="u", at="messages[0].content[0]"),))
    assert unsupported(image, HI) == ("messages[0].content[0]",)


def test_prompt_of_nothing_but_system_messages_is_the_users() -> None:
    body = write(Message(Role.SYSTEM, (Text("a"),)))
    assert body["messages"] == [{"role": "user", "content": "a"}]
    assert "system" not in body


def test_neighbours_of_one_role_are_one_message() -> None:
    assert contents(user(Text("a")), user(Text("b")), assistant(Text("c")), assistant(Text("d"))) == [
        ("user", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
        ("assistant", [{"type": "text", "text": "c"}, {"type": "text", "text": "d"}]),
    ]


def test_results_of_tools_come_first_in_their_message() -> None:
    call, result = ToolCall("c", "f", '{"a": 1}'), ToolResult("c", (Text("42"),))
    assert contents(HI, assistant(Text("Wait."), call), user(Text("And?"), result)) == [
        ("user", "Hi"),
        (
            "assistant",
            [{"type": "text", "text": "Wait."}, {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}],
        ),
        (
            "user",
            [{"type": "tool_result", "tool_use_id": "c", "content": "42"}, {"type": "text", "text": "And?"}],
        ),
    ]


def test_result_holds_pictures_and_says_that_it_failed() -> None:
    parts = (Text("seen"), Image(url="https://x"), File(data="JV", media_type="application/pdf"))
    ((_, content),) = contents(user(ToolResult("c", parts, is_error=True), ToolResult("d", ())))
    assert content[0]["is_error"] is True
    assert [block["type"] for block in content[0]["content"]] == ["text", "image", "document"]
    assert content[1] == {"type": "tool_result", "tool_use_id": "d"}


def test_calls_without_an_id_get_one_and_their_results_the_same() -> None:
    calls = assistant(ToolCall("", "f", ""), ToolCall("", "g", ""), ToolCall("", "f", ""))
    results = user(ToolResult("", (), "g"), ToolResult("", (), "f"), ToolResult("", ()), ToolResult("", ()))
    (_, made), (_, answered) = contents(calls, results)
    assert [block["id"] for block in made] == [f"call_made_up_{n}" for n in (1, 2, 3)]
    assert [block["tool_use_id"] for block in answered] == [f"call_made_up_{n}" for n in (2, 1, 3, 4)]


def test_id_that_anthropic_would_refuse_is_made_valid_in_both_places() -> None:
    (_, made), (_, answered) = contents(
        assistant(ToolCall("functions.f:0", "f", "{}")), user(ToolResult("functions.f:0", ()))
    )
    assert made[0]["id"] == answered[0]["tool_use_id"] == "functions_f_0_" + sha256(b"functions.f:0").hexdigest()[:8]


def test_ids_that_differ_in_what_anthropic_refuses_stay_two() -> None:
    ((_, made),) = contents(assistant(*[ToolCall(id, "f", "{}") for id in ("f:0", "f.0", "f_0")]))
    assert len({block["id"] for block in made}) == 3
    assert made[2]["id"] == "f_0"


def test_arguments_that_are_no_object_are_wrapped() -> None:
    ((_, content),) = contents(assistant(ToolCall("a", "f", "nonsense"), ToolCall("b", "f", "")))
    assert [block["input"] for block in content] == [{"INVALID_JSON": "nonsense"}, {}]


def test_reasoning_and_blank_text_are_left_out_and_a_refusal_is_text() -> None:
    assert contents(HI, assistant(Reasoning("hm"), Text(" \n"), Refusal("No.")), assistant(Reasoning("x"))) == [
        ("user", "Hi"),
        ("assistant", "No."),
    ]


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (Image(url="https://x"), {"type": "image", "source": {"type": "url", "url": "https://x"}}),
        (
            Image(data="iV", media_type="image/jpg", detail="auto"),
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "iV"}},
        ),
        (
            File(data="JV", media_type="application/pdf", name="a.pdf"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JV"},
                "title": "a.pdf",
            },
        ),
        (
            File(data="words", media_type="text/markdown"),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        ),
        (File(url="https://x"), {"type": "document", "source": {"type": "url", "url": "https://x"}}),
    ],
)
def test_pictures_and_documents(part: Part, block: dict[str, Any]) -> None:
    assert contents(user(part)) == [("user", [block])]


@pytest.mark.parametrize(
    "part",
    [
        Audio("UklG", "audio/wav", at="here"),
        Image(data="x", media_type="image/tiff", at="here"),
        File(data="x", media_type="application/zip", at="here"),
        File(url="https://x", media_type="text/csv", at="here"),
        ToolCall("c", "f", "{}", at="here"),
    ],
)
def test_part_that_a_user_cannot_say_here_is_named(part: Part) -> None:
    assert unsupported(user(Text("Hi"), part)) == ("here",)


def test_pictures_of_the_assistant_details_and_names_of_speakers_are_named() -> None:
    messages = (
        user(Image(url="u", detail="high", at="messages[0].content[0]")),
        Message(Role.ASSISTANT, (Image(url="u", at="messages[1].content[0]"), Text("x")), "Ann", "messages[1]"),
    )
    wanted = ("messages[1].name", "messages[0].content[0].detail", "messages[1].content[0]")
    assert set(unsupported(*messages)) == set(wanted)


def test_tools_have_a_schema_of_an_object() -> None:
    tools = (Tool("f", "d", SCHEMA, True), Tool("g"), Tool("h", parameters={"properties": {}}))
    assert write(tools=tools)["tools"] == [
        {"name": "f", "description": "d", "input_schema": SCHEMA, "strict": True},
        {"name": "g", "input_schema": {"type": "object", "properties": {}}},
        {"name": "h", "input_schema": {"type": "object", "properties": {}}},
    ]


@pytest.mark.parametrize(
    ("choice", "parallel", "wanted", "names"),
    [
        (ToolChoice(ToolMode.AUTO), None, {"type": "auto"}, "fg"),
        (ToolChoice(ToolMode.NONE), False, {"type": "none"}, "fg"),
        (ToolChoice(ToolMode.REQUIRED), None, {"type": "any"}, "fg"),
        (ToolChoice(ToolMode.REQUIRED, ("g",)), None, {"type": "tool", "name": "g"}, "fg"),
        (ToolChoice(ToolMode.REQUIRED, ("f", "g")), None, {"type": "any"}, "fg"),
        (ToolChoice(ToolMode.AUTO, ("g",)), None, {"type": "auto"}, "g"),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}, "fg"),
        (ToolChoice(ToolMode.REQUIRED), True, {"type": "any", "disable_parallel_tool_use": False}, "fg"),
        (None, None, None, "fg"),
    ],
)
def test_tool_choice(choice: ToolChoice | None, parallel: bool | None, wanted: Any, names: str) -> None:
    tools = (Tool("f"), Tool("g"))
    body = write(tools=tools, tool_choice=choice, parallel_tool_calls=parallel)
    assert body.get("tool_choice") == wanted
    assert "".join(tool["name"] for tool in body["tools"]) == names


def test_choice_without_tools_is_nothing() -> None:
    assert set(write(tool_choice=ToolChoice(ToolMode.NONE), parallel_tool_calls=True)) == {
        "model",
        "max_tokens",
        "messages",
    }


@pytest.mark.parametrize(
    ("effort", "limit", "wanted"),
    [
        (Effort("high"), None, {"output_config": {"effort": "high"}}),
        (Effort("minimal"), None, {"output_config": {"effort": "low"}}),
        (Effort("none"), None, {"thinking": {"type": "disabled"}}),
        (Effort(budget_tokens=0), None, {"thinking": {"type": "disabled"}}),
        (Effort(budget_tokens=-1), None, {"thinking": {"type": "adaptive"}}),
        (Effort(shown=True), None, {"thinking": {"type": "adaptive", "display": "summarized"}}),
        (Effort(shown=False), None, {}),
        (
            Effort("low", -1, False),
            None,
            {"output_config": {"effort": "low"}, "thinking": {"type": "adaptive", "display": "omitted"}},
        ),
        (
            Effort(budget_tokens=2000),
            None,
            {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": OUTPUT_TOKENS_MAX + 2000},
        ),
        (Effort(budget_tokens=9000), 4000, {"thinking": {"type": "enabled", "budget_tokens": 3999}}),
    ],
)
def test_effort(effort: Effort, limit: int | None, wanted: dict[str, Any]) -> None:
    body = write(effort=effort, output_tokens_max=limit)
    least = {"model": "m", "max_tokens": limit or OUTPUT_TOKENS_MAX, "messages": [{"role": "user", "content": "Hi"}]}
    assert body == least | wanted


def test_schema_of_the_answer_takes_its_description_along() -> None:
    format = JsonFormat(SCHEMA, "name", "what it is", True)
    wanted = {"type": "json_schema", "schema": SCHEMA | {"description": "what it is"}}
    assert write(format=format)["output_config"] == {"format": wanted}


def test_objects_of_a_schema_are_closed_unless_they_say_otherwise() -> None:
    inner = {"type": "object", "properties": {"b": {"type": "integer"}}}
    schema = {
        "type": ["object", "null"],
        "properties": {"type": {"type": "array", "items": inner}, "open": inner | {"additionalProperties": True}},
        "$defs": {"x": {"anyOf": [inner, {"type": "string", "enum": ["object"]}]}},
        "examples": [{"type": "object"}],
    }
    shut = inner | {"additionalProperties": False}
    wanted = schema | {
        "properties": {"type": {"type": "array", "items": shut}, "open": inner | {"additionalProperties": True}},
        "$defs": {"x": {"anyOf": [shut, {"type": "string", "enum": ["object"]}]}},
        "additionalProperties": False,
    }
    assert write(format=JsonFormat(schema))["output_config"]["format"]["schema"] == wanted
    strict, loose = write(tools=(Tool("f", parameters=schema, strict=True), Tool("g", parameters=inner)))["tools"]
    assert strict["input_schema"] == wanted
    assert loose["input_schema"] == inner


def test_schema_is_closed_as_deep_as_schemas_go() -> None:
    schema: Any = {"type": "object"}
    for _ in range(200):
        schema = {"items": schema}
    deepest = closed(schema)
    while "items" in deepest:
        deepest = deepest["items"]
    assert deepest == {"type": "object"}


@pytest.mark.parametrize(
    ("messages", "thinks"),
    [
        ((HI, assistant(ToolCall("a", "f", "{}")), user(ToolResult("a", ()))), False),
        ((HI, assistant(Reasoning("hm"), Text("x"), ToolCall("a", "f", "{}")), user(ToolResult("a", ()))), False),
        ((HI, assistant(ToolCall("a", "f", "{}")), user(ToolResult("a", ())), user(Text("go on"))), True),
        ((HI, assistant(Text("x")), user(ToolResult("a", ()))), True),
        ((HI,), True),
    ],
)
def test_thinking_with_a_budget_is_left_out_where_anthropic_would_want_its_thinking_back(
    messages: tuple[Message, ...], thinks: bool
) -> None:
    assert ("thinking" in write(*messages, effort=Effort("low", 2048))) is thinks
    assert write(*messages, effort=Effort("low", 2048))["output_config"] == {"effort": "low"}
    assert write(*messages, effort=Effort("", -1))["thinking"] == {"type": "adaptive"}


@pytest.mark.parametrize(
    "messages",
    [
        (Message(Role.USER, (Text(" \n"),), at="m[1]"),),
        (Message(Role.SYSTEM, (Text("S"),)), Message(Role.USER, (), at="m[1]")),
        (HI, assistant(Text("x")), Message(Role.USER, (Text(" "),), at="m[1]")),
        (Message(Role.ASSISTANT, (Reasoning("x"),), at="m[1]"),),
    ],
)
def test_conversation_that_ends_with_nothing_said_is_refused_by_name(messages: tuple[Message, ...]) -> None:
    with pytest.raises(RequestError) as refused:
        written(Prompt(messages))
    assert (refused.value.code, refused.value.param) == ("invalid_request", "m[1]")


@pytest.mark.parametrize("tools", [(), (Tool("g"),)])
def test_call_that_must_come_of_a_tool_that_is_not_there_is_named(tools: tuple[Tool, ...]) -> None:
    assert unsupported(tools=tools, tool_choice=ToolChoice(ToolMode.REQUIRED, ("e", "f"))) == ("tool_choice",)


# Round trip: what this dialect can say comes back as it was.

WORDS: Final = st.text("abcdef", min_size=1, max_size=6)
TEXTS: Final = st.builds(Text, WORDS)
IMAGES: Final = st.builds(Image, url=WORDS) | st.builds(
    Image, data=WORDS, media_type=st.sampled_from(["image/png", "image/webp"])
)
FILES: Final = st.builds(
    File, data=WORDS, media_type=st.sampled_from(["application/pdf", "text/plain"]), name=st.just("") | WORDS
) | st.builds(File, url=WORDS, media_type=st.just("application/pdf"))
IDS: Final = st.sampled_from(["a", "b", "c"])
CALLS: Final = st.builds(ToolCall, IDS, IDS.map(lambda id: f"tool_{id}"), st.sampled_from(["{}", '{"a":[1,null]}']))
RESULTS: Final = st.builds(
    ToolResult, IDS, st.lists(TEXTS | IMAGES | FILES, max_size=3).map(tuple), is_error=st.booleans()
)
TURNS: Final = st.lists(
    st.tuples(
        st.tuples(st.lists(RESULTS, max_size=2), st.lists(TEXTS | IMAGES | FILES, min_size=1, max_size=3)).map(
            lambda parts: (*parts[0], *parts[1])
        ),
        st.lists(TEXTS | CALLS, min_size=1, max_size=3).map(tuple),
    ),
    min_size=1,
    max_size=3,
)
SYSTEMS: Final = st.lists(TEXTS, max_size=2).map(tuple)
BUDGETS: Final = st.tuples(
    st.sampled_from(["", "low", "max"]), st.sampled_from([-1, 1024, 5000]), st.sampled_from([None, True, False])
).map(lambda fields: Effort(*fields))
EFFORTS: Final = st.none() | BUDGETS | st.just(Effort("high")) | st.just(Effort("", 0))
CHOICES: Final = st.sampled_from(
    [None, ToolChoice(ToolMode.AUTO), ToolChoice(ToolMode.REQUIRED), ToolChoice(ToolMode.REQUIRED, ("f",))]
)


@st.composite
def prompts(draw: st.DrawFn) -> Prompt:
    system = draw(SYSTEMS)
    names: dict[str, str] = {}
    messages = [Message(Role.SYSTEM, system)] if system else []
    for said, answered in draw(TURNS):
        parts = [
            msgspec.structs.replace(p, name=names.get(p.call_id, "")) if type(p) is ToolResult else p for p in said
        ]
        messages.append(Message(Role.USER, tuple(parts)))
        messages.append(Message(Role.ASSISTANT, answered))
        names |= {part.id: part.name for part in answered if isinstance(part, ToolCall)}
    choice = draw(CHOICES)
    return Prompt(
        tuple(messages),
        tools=(Tool("f", "d", SCHEMA), Tool("g", parameters=SCHEMA, strict=True)),
        tool_choice=choice,
        parallel_tool_calls=draw(st.sampled_from([None, True, False])) if choice else None,
        output_tokens_max=draw(st.sampled_from([6000, 20_000])),
        temperature=draw(st.sampled_from([None, 0, 0.5, 1])),
        top_p=draw(st.sampled_from([None, 0.9])),
        top_k=draw(st.sampled_from([None, 40])),
        stop=draw(st.sampled_from([(), ("END", "x")])),
        format=draw(st.sampled_from([None, JsonFormat(SCHEMA)])),
        effort=draw(EFFORTS),
        user=draw(st.just("") | WORDS),
        service_tier=draw(st.sampled_from(["", "auto", "standard_only"])),
    )


def bare(value: Any) -> Any:
    """Without where it stood in somebody's body."""
    if isinstance(value, msgspec.Struct):
        fields = {name: bare(getattr(value, name)) for name in value.__struct_fields__ if name not in ("at", "places")}
        return type(value)(**fields)
    return tuple(bare(item) for item in value) if isinstance(value, tuple) else value


@settings(max_examples=share(10_000), deadline=None)
@given(prompts())
def test_what_this_dialect_can_say_comes_back_as_it_was(prompt: Prompt) -> None:
    request, named = ANTHROPIC_MESSAGES.write_prompt(prompt, model="m", stream=False)
    assert named == ()
    again = ANTHROPIC_MESSAGES.read_prompt(ANTHROPIC_MESSAGES.read_request(request.body))
    assert again.unplaced == ()
    assert bare(again) == bare(prompt)
