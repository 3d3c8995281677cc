"""Prompts: a client's request in no dialect's words, and a request of another dialect in ours."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.dialects.openai_responses import OPENAI_RESPONSES
from headgate.errors import RequestError
from headgate.prompt import (
    Audio,
    Effort,
    File,
    Image,
    JsonFormat,
    Message,
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

PIXEL: Final = "iVBORw0KGgo="


def read(**fields: Any) -> Prompt:
    body = {"model": "m", "input": "Hi"} | fields
    return OPENAI_RESPONSES.read_prompt(OPENAI_RESPONSES.read_request(json.dumps(body).encode()))


def write(prompt: Prompt, *, stream: bool = False) -> tuple[dict[str, Any], tuple[str, ...]]:
    written = OPENAI_RESPONSES.write_prompt(prompt, model="m", stream=stream)
    return json.loads(written.request.body), written.unsupported


def said(*messages: Message) -> Prompt:
    return Prompt(messages or (Message(Role.USER, (Text("Hi"),)),))


def test_string_is_what_the_user_says() -> None:
    prompt = read(instructions="Be brief.")
    assert prompt.messages == (
        Message(Role.SYSTEM, (Text("Be brief.", "instructions"),), at="instructions"),
        Message(Role.USER, (Text("Hi", "input"),), at="input"),
    )
    assert prompt.unplaced == ()


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"role": "user", "content": "a"}, Message(Role.USER, (Text("a", "input[0].content"),), at="input[0]")),
        ({"role": "system", "content": ""}, Message(Role.SYSTEM, (), at="input[0]")),
        (
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "a"}]},
            Message(Role.DEVELOPER, (Text("a", "input[0].content[0]"),), at="input[0]"),
        ),
        (
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                "phase": "final_answer",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "a", "annotations": [{"type": "file_path"}], "logprobs": []},
                    {"type": "refusal", "refusal": "no"},
                ],
            },
            Message(
                Role.ASSISTANT,
                (Text("a", "input[0].content[0]"), Refusal("no", "input[0].content[1]")),
                at="input[0]",
            ),
        ),
        (
            {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"},
            Message(Role.ASSISTANT, (ToolCall("c", "f", "{}", "input[0]"),), at="input[0]"),
        ),
        (
            {"type": "function_call_output", "call_id": "c", "output": "7"},
            Message(Role.USER, (ToolResult("c", (Text("7", "input[0].output"),), at="input[0]"),), at="input[0]"),
        ),
        (
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
            Message(Role.ASSISTANT, (Reasoning("", "input[0]"),), at="input[0]"),
        ),
        (
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
            },
            Message(Role.ASSISTANT, (Reasoning("a\n\nb", "input[0]"),), at="input[0]"),
        ),
    ],
)
def test_items_are_messages(item: dict[str, Any], message: Message) -> None:
    prompt = read(input=[item])
    assert prompt.messages == (message,)
    assert prompt.unplaced == ()


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ({"type": "input_image", "image_url": "https://a/b"}, Image(url="https://a/b")),
        (
            {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "low"},
            Image(data=PIXEL, media_type="image/png", detail="low"),
        ),
        ({"type": "input_file", "file_url": "https://a/b.pdf"}, File(url="https://a/b.pdf")),
        (
            {"type": "input_file", "file_data": "JVBERi0=", "filename": "a.pdf"},
            File(data="JVBERi0=", media_type="application/pdf", name="a.pdf"),
        ),
        (
            {"type": "input_file", "file_data": "SGk=", "filename": "a.txt"},
            File(data="Hi", media_type="text/plain", name="a.txt"),
        ),
        (
            {"type": "input_file", "file_data": "data:text/csv;base64,SGk="},
            File(data="Hi", media_type="text/csv"),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            Audio("AAAA", "audio/mpeg"),
        ),
    ],
)
def test_content_is_read(content: dict[str, Any], part: Any) -> None:
    prompt = read(input=[{"role": "user", "content": [content]}])
    assert prompt.messages[0].parts == (msgspec.structs.replace(part, at="input[0].content[0]"),)
    assert prompt.unplaced == ()


def test_result_of_a_tool_knows_the_tools_name() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    output = [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": "https://a/b"}]
    prompt = read(input=[call, {"type": "function_call_output", "call_id": "c", "output": output}])
    (result,) = prompt.messages[1].parts
    assert isinstance(result, ToolResult)
    assert result.name == "f"
    assert [type(part) for part in result.content] == [Text, Image]


@pytest.mark.parametrize(
    ("fields", "paths"),
    [
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, ["input[0]"]),
        ({"input": [{"id": "msg_1"}]}, ["input[0]"]),
        ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, ["input[0]"]),
        ({"input": [{"role": "user", "content": [{"type": "input_video"}]}]}, ["input[0].content[0]"]),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            ["input[0].content[0].file_id"],
        ),
        ({"input": [{"role": "user", "content": "a", "acme": 1}]}, ["input[0].acme"]),
        ({"tools": [{"type": "web_search"}]}, ["tools[0].type"]),
        ({"tools": [{"type": "function", "name": "f", "defer_loading": True}]}, ["tools[0].defer_loading"]),
        ({"tool_choice": {"type": "web_search"}}, ["tool_choice.type"]),
        ({"tool_choice": {"type": "allowed_tools", "tools": [{"type": "mcp"}]}}, ["tool_choice.tools[0].type"]),
        ({"text": {"format": {"type": "grammar"}}}, ["text.format"]),
        ({"reasoning": {"effort": "low", "context": "all_turns"}}, ["reasoning.context"]),
        ({"top_logprobs": 3, "include": ["reasoning.encrypted_content"]}, ["top_logprobs", "include"]),
        ({"truncation": "auto", "max_tool_calls": 3}, ["truncation", "max_tool_calls"]),
        ({"conversation": "c", "prompt": {"id": "p"}}, ["conversation", "prompt"]),
        ({"prompt_cache_key": "k", "previous_response_id": "r"}, ["prompt_cache_key", "previous_response_id"]),
        ({"user": "a", "safety_identifier": "b"}, ["user"]),
        ({"acme": 1}, ["acme"]),
        ({"store": True, "background": True, "stream_options": {"include_obfuscation": False}}, []),
        ({"truncation": "disabled", "top_logprobs": 0, "include": [], "metadata": {}}, []),
    ],
)
def test_what_no_other_dialect_has_a_word_for_is_named(fields: dict[str, Any], paths: list[str]) -> None:
    assert sorted(read(**fields).unplaced) == sorted(paths)


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "critic", "content": "a"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [7]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].image_url"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0].file_data"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "ftp://a"}]}]},
            "input[0].content[0].image_url",
        ),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": 7}]}, "input[0].output"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tool_choice": "some"}, "tool_choice"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort"),
        ({"text": {"format": 3}}, "text.format"),
    ],
)
def test_error_names_the_path(fields: dict[str, Any], at: str) -> None:
    with pytest.raises(RequestError) as caught:
        read(**fields)
    assert (caught.value.code, caught.value.param) == ("invalid_request", at)


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"max_output_tokens": 9}, "output_tokens_max", 9),
        ({"temperature": 0.5}, "temperature", 0.5),
        ({"top_p": 1}, "top_p", 1),
        ({"parallel_tool_calls": False}, "parallel_tool_calls", False),
        ({"metadata": {"a": "b"}}, "metadata", {"a": "b"}),
        ({"user": "u"}, "user", "u"),
        ({"safety_identifier": "s", "user": "s"}, "user", "s"),
        ({"service_tier": "flex"}, "service_tier", "flex"),
        ({"tool_choice": "none"}, "tool_choice", ToolChoice(ToolMode.NONE)),
        ({"tool_choice": {"type": "function", "name": "f"}}, "tool_choice", ToolChoice(ToolMode.REQUIRED, ("f",))),
        (
            {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}},
            "tool_choice",
            ToolChoice(ToolMode.AUTO, ("f",)),
        ),
        ({"text": {"format": {"type": "text"}}}, "format", None),
        ({"text": {"format": {"type": "json_object"}, "verbosity": "low"}}, "format", JsonFormat()),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"a": 1}, "strict": True}}},
            "format",
            JsonFormat({"a": 1}, "n", "", True),
        ),
        ({"text": {"verbosity": "low"}}, "verbosity", "low"),
        ({"reasoning": {"effort": "high", "summary": "detailed"}}, "effort", Effort("high", shown=True)),
        ({"reasoning": {}}, "effort", None),
        ({"presence_penalty": 1}, "presence_penalty", 1),
    ],
)
def test_parameters_have_their_place(fields: dict[str, Any], name: str, value: Any) -> None:
    prompt = read(**fields)
    assert getattr(prompt, name) == value
    assert prompt.unplaced == ()


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({"temperature": 0.5, "top_p": 0.1}, {"temperature": 0.5, "top_p": 0.1}),
        ({"output_tokens_max": 9}, {"max_output_tokens": 9}),
        ({"user": "u"}, {"safety_identifier": "u"}),
        (
            {"tools": (Tool("f"),)},
            {"tools": [{"type": "function", "name": "f", "parameters": None, "strict": False}]},
        ),
        ({"user": "u" * 65}, {"safety_identifier": sha256(b"u" * 65).hexdigest()}),
        (
            {"tools": (Tool("f", strict=True),), "tool_choice": ToolChoice(ToolMode.REQUIRED, ("f",))},
            {
                "tools": [{"type": "function", "name": "f", "parameters": None, "strict": True}],
                "tool_choice": {"type": "function", "name": "f"},
            },
        ),
        ({"tool_choice": ToolChoice(ToolMode.AUTO)}, {}),
        (
            {"format": JsonFormat({"a": 1})},
            {"text": {"format": {"type": "json_schema", "name": "answer", "schema": {"a": 1}}}},
        ),
        ({"effort": Effort("low", shown=True)}, {"reasoning": {"effort": "low", "summary": "auto"}}),
        ({"effort": Effort(budget_tokens=0)}, {"reasoning": {"effort": "none"}}),
        ({"effort": Effort(budget_tokens=-1)}, {}),
        ({"effort": Effort("high", -1)}, {"reasoning": {"effort": "high"}}),
        ({"service_tier": "standard_only"}, {"service_tier": "default"}),
    ],
)
def test_parameters_are_written(fields: dict[str, Any], body: dict[str, Any]) -> None:
    written, unsupported = write(msgspec.structs.replace(said(), **fields))
    plain = {"model": "m", "input": [{"type": "message", "role": "user", "content": "Hi"}], "store": False}
    assert written == plain | body
    assert unsupported == ()


@pytest.mark.parametrize(
    ("fields", "paths"),
    [
        ({"top_k": 3}, ("top_k",)),
        ({"seed": 0}, ("seed",)),
        ({"frequency_penalty": 1.0, "presence_penalty": 0.0}, ("frequency_penalty", "presence_penalty")),
        ({"stop": ("a",), "places": {"stop": "stop_sequences"}}, ("stop_sequences",)),
        ({"choices": 2, "places": {"choices": "n"}}, ("n",)),
        ({"verbosity": "huge"}, ("verbosity",)),
        ({"service_tier": "golden"}, ("service_tier",)),
        ({"effort": Effort("insane")}, ("effort",)),
        ({"effort": Effort(budget_tokens=9), "places": {"effort": "thinking"}}, ("thinking",)),
        ({"messages": (Message(Role.USER, (Audio("AA", "audio/wav", "x[0]"),)),)}, ("x[0]",)),
        ({"messages": (Message(Role.SYSTEM, (Image("https://a", at="x"), Text("a"))),)}, ("x",)),
        ({"messages": (Message(Role.USER, (Text("a"),), "ann", "messages[0]"),)}, ("messages[0].name",)),
        ({"effort": Effort("high", 0)}, ("effort",)),
        ({"tool_choice": ToolChoice(ToolMode.REQUIRED)}, ("tool_choice",)),
    ],
)
def test_what_this_dialect_has_no_word_for_is_named_by_its_place(
    fields: dict[str, Any], paths: tuple[str, ...]
) -> None:
    _, unsupported = write(msgspec.structs.replace(said(), **fields))
    assert unsupported == paths


def test_result_that_is_an_error_says_so_in_its_text() -> None:
    failed = ToolResult("c", (Text("no"), Image("https://a")), is_error=True)
    body, unsupported = write(said(Message(Role.USER, (failed, ToolResult("d", (), is_error=True)))))
    words, alone = [item["output"] for item in body["input"]]
    assert words == [
        {"type": "input_text", "text": "Error: no"},
        {"type": "input_image", "image_url": "https://a"},
    ]
    assert (alone, unsupported) == ("Error: ", ())


def test_ids_are_no_longer_than_openai_takes_and_those_of_results_are_those_of_their_calls() -> None:
    ids = ["x" * 64, "x" * 65, "x" * 66]
    calls = Message(Role.ASSISTANT, tuple([ToolCall(id, "f", "{}") for id in ids]))
    body, _ = write(said(calls, Message(Role.USER, tuple([ToolResult(id, ()) for id in ids]))))
    sent = [item["call_id"] for item in body["input"]]
    assert sent[:3] == sent[3:]
    assert (sent[0], {len(id) for id in sent}, len(set(sent))) == ("x" * 64, {64}, 3)


def test_instructions_alone_stay_an_item() -> None:
    body, _ = write(said(Message(Role.SYSTEM, (Text("S"),))))
    assert body["input"] == [{"type": "message", "role": "system", "content": "S"}]
    assert "instructions" not in body


def test_what_a_model_would_have_read_and_has_no_place_is_named() -> None:
    audio = {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}
    result = {"type": "function_call_output", "call_id": "c", "output": [audio]}
    assert read(input=[result]).unplaced == ("input[0].output[0]",)
    file = {"type": "input_file", "file_url": "https://a", "detail": "high"}
    assert read(input=[{"role": "user", "content": [file]}]).unplaced == ("input[0].content[0].detail",)
    assert read(input=[{"role": "user", "content": [file | {"detail": "auto"}]}]).unplaced == ()


def test_penalties_of_zero_ask_for_nothing() -> None:
    prompt = read(frequency_penalty=0, presence_penalty=0.0)
    assert (prompt.frequency_penalty, prompt.presence_penalty, prompt.unplaced) == (None, None, ())


def test_older_word_for_a_summary_is_named_as_the_client_wrote_it() -> None:
    assert read(reasoning={"generate_summary": "auto"}).place("effort.shown") == "reasoning.generate_summary"
    assert read(reasoning={"summary": "auto"}).place("effort.shown") == "reasoning.summary"


def test_turns_are_written_in_the_order_in_which_they_were_said() -> None:
    prompt = said(
        Message(Role.SYSTEM, (Text("S"),)),
        Message(Role.DEVELOPER, (Text("D1"), Text("D2"))),
        Message(Role.USER, (Text("a"), Image(data=PIXEL, media_type="image/png", detail="high"))),
        Message(Role.ASSISTANT, (Reasoning("r"), Text("b"), ToolCall("c", "f", "{}"), Refusal("no"))),
        Message(Role.USER, (ToolResult("c", (Text("7"),), "f"), Text("go on"))),
    )
    body, unsupported = write(prompt, stream=True)
    assert unsupported == ()
    assert (body["instructions"], body["stream"]) == ("S", True)
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "high"}
    developer = [{"type": "input_text", "text": "D1"}, {"type": "input_text", "text": "D2"}]
    assert body["input"] == [
        {"type": "message", "role": "developer", "content": developer},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}, image]},
        {"type": "message", "role": "assistant", "content": "b"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"type": "function_call_output", "call_id": "c", "output": "7"},
        {"type": "message", "role": "user", "content": "go on"},
    ]


WORDS: Final = st.text("abc ü\u2028", min_size=1, max_size=4)
TEXTS: Final = st.builds(Text, WORDS)
IMAGES: Final = st.builds(Image, url=st.just("https://a/b"), detail=st.sampled_from(["", "low"])) | st.builds(
    Image, data=st.just(PIXEL), media_type=st.just("image/png")
)
FILES: Final = st.builds(File, url=st.just("https://a/b"), name=st.sampled_from(["", "b"])) | st.builds(
    File, data=WORDS, media_type=st.just("text/plain"), name=st.just("a.txt")
)
CONTENT: Final = st.lists(TEXTS | IMAGES | FILES, min_size=1, max_size=3).map(tuple)
CALLS: Final = st.builds(ToolCall, st.sampled_from(["c1", "c2"]), st.just("f"), st.just("{}"))
MESSAGES: Final = (
    st.builds(Message, st.just(Role.USER), CONTENT)
    | st.builds(
        Message, st.sampled_from([Role.SYSTEM, Role.DEVELOPER]), st.lists(TEXTS, min_size=1, max_size=2).map(tuple)
    )
    | st.builds(
        Message,
        st.just(Role.ASSISTANT),
        st.lists(TEXTS | st.builds(Refusal, WORDS), min_size=1, max_size=2).map(tuple),
    )
    | st.builds(Message, st.just(Role.ASSISTANT), st.tuples(CALLS))
    | st.builds(Message, st.just(Role.USER), st.tuples(st.builds(ToolResult, st.just("c3"), CONTENT)))
)
PROMPTS: Final = st.builds(
    Prompt,
    st.lists(MESSAGES, max_size=4).map(tuple),
    tools=st.lists(
        st.builds(
            Tool,
            WORDS,
            description=st.sampled_from(["", "d"]),
            parameters=st.none() | st.just({"type": "object"}),
            strict=st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
    tool_choice=st.none()
    | st.builds(ToolChoice, st.sampled_from(ToolMode))
    | st.builds(ToolChoice, st.sampled_from([ToolMode.AUTO, ToolMode.REQUIRED]), st.sampled_from([("f",), ("f", "g")])),
    parallel_tool_calls=st.none() | st.booleans(),
    output_tokens_max=st.none() | st.integers(1, 9),
    temperature=st.none() | st.just(0.5),
    top_p=st.none() | st.just(0.5),
    format=st.none()
    | st.just(JsonFormat())
    | st.builds(JsonFormat, st.just({"a": 1}), WORDS, st.sampled_from(["", "d"])),
    effort=st.none() | st.builds(Effort, st.sampled_from(["low", "none"]), shown=st.none() | st.just(True)),
    verbosity=st.sampled_from(["", "low"]),
    user=st.sampled_from(["", "u"]),
    metadata=st.none() | st.just({"a": "b"}),
    service_tier=st.sampled_from(["", "flex"]),
).map(lambda prompt: prompt if prompt.tools else msgspec.structs.replace(prompt, tool_choice=None))


def without_places(value: Any) -> Any:
    """A prompt without what says where its values stood."""
    if isinstance(value, dict):
        return {name: without_places(item) for name, item in value.items() if name not in ("at", "places")}
    return [without_places(item) for item in value] if isinstance(value, list | tuple) else value


@settings(max_examples=share(20_000))
@given(PROMPTS)
def test_prompt_that_is_written_is_read_as_the_same_prompt(prompt: Prompt) -> None:
    written = OPENAI_RESPONSES.write_prompt(prompt, model="m", stream=False)
    assert written.unsupported == ()
    again = OPENAI_RESPONSES.read_prompt(OPENAI_RESPONSES.read_request(written.request.body))
    wanted, found = without_places(msgspec.to_builtins(prompt)), without_places(msgspec.to_builtins(again))
    assert found == wanted
