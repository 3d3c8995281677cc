"""A client's Chat Completions request in no dialect's words: everything is placed, or named."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import pytest

from headgate.dialects.openai_chat.prompt_read import read_prompt
from headgate.dialects.openai_chat.request import read_request
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

HI: Final = {"role": "user", "content": "Hi"}


def read(messages: list[Any] | None = None, **fields: Any) -> Prompt:
    return read_prompt(read_request(json.dumps({"model": "m", "messages": messages or [HI]} | fields).encode()))


def parts(*content: Any) -> tuple[Part, ...]:
    (message,) = read([{"role": "user", "content": list(content)}]).messages
    return message.parts


def refusal(messages: list[Any] | None = None, **fields: Any) -> str:
    """The param of the refusal."""
    with pytest.raises(RequestError) as refused:
        read(messages, **fields)
    assert refused.value.code == "invalid_request"
    assert refused.value.param is not None
    assert refused.value.param in refused.value.message
    return refused.value.param


def test_conversation_with_tools_keeps_its_order_and_its_places() -> None:
    prompt = read(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Metric units."}], "name": "ops"},
            {"role": "user", "content": "Oslo?", "name": "ann"},
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "Ask the tool.",
                "tool_calls": [
                    {"id": "c1", "type": "function", "index": 0, "function": {"name": "f", "arguments": '{"a":1}'}}
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "12"},
            {"role": "assistant", "content": "No.", "refusal": "Will not."},
        ]
    )
    assert prompt.messages == (
        Message(Role.SYSTEM, (Text("Be brief.", "messages[0].content"),), at="messages[0]"),
        Message(Role.DEVELOPER, (Text("Metric units.", "messages[1].content[0]"),), "ops", "messages[1]"),
        Message(Role.USER, (Text("Oslo?", "messages[2].content"),), "ann", "messages[2]"),
        Message(
            Role.ASSISTANT,
            (
                Reasoning("Ask the tool.", "messages[3].reasoning_content"),
                ToolCall("c1", "f", '{"a":1}', "messages[3].tool_calls[0]"),
            ),
            at="messages[3]",
        ),
        Message(
            Role.USER,
            (ToolResult("c1", (Text("12", "messages[4].content"),), "f", at="messages[4]"),),
            at="messages[4]",
        ),
        Message(
            Role.ASSISTANT,
            (Text("No.", "messages[5].content"), Refusal("Will not.", "messages[5].refusal")),
            at="messages[5]",
        ),
    )
    assert prompt.unplaced == ()


def test_every_kind_of_content_has_a_part() -> None:
    plain = base64.b64encode("grün".encode()).decode()
    assert parts(
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/PNG;base64,QUJD"}},
        {"type": "image_url", "image_url": "http://x/z.png"},
        {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "mp3"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,QQ==", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": "QQ=="}},
        {"type": "file", "file": {"file_data": "https://x/a.pdf"}},
        {"type": "file", "file": {"file_data": f"data:text/plain;charset=utf-8;base64,{plain}"}},
    ) == (
        Text("a", "messages[0].content[0]"),
        Image(url="https://x/y.png", detail="low", at="messages[0].content[1].image_url"),
        Image(data="QUJD", media_type="image/png", at="messages[0].content[2].image_url"),
        Image(url="http://x/z.png", at="messages[0].content[3].image_url"),
        Audio("QQ==", "audio/mpeg", "messages[0].content[4]"),
        File(data="QQ==", media_type="application/pdf", name="a.pdf", at="messages[0].content[5]"),
        File(data="QQ==", media_type="application/pdf", at="messages[0].content[6]"),
        File(url="https://x/a.pdf", at="messages[0].content[7]"),
        File(data="grün", media_type="text/plain", at="messages[0].content[8]"),
    )


def test_what_stood_beside_an_earlier_answer_and_no_model_reads_is_no_loss() -> None:
    google = {"google": {"thought_signature": "s"}}
    call = {"id": "c", "type": "function", "extra_content": google, "function": {"name": "f", "arguments": "{}"}}
    cited = [{"type": "url_citation", "url_citation": {"url": "u"}}]
    prompt = read([HI, {"role": "assistant", "content": "x", "annotations": cited, "tool_calls": [call]}])
    assert prompt.unplaced == ()
    assert prompt.messages[1].parts[1] == ToolCall("c", "f", "{}", "messages[1].tool_calls[0]")


def test_penalties_of_zero_ask_for_nothing() -> None:
    prompt = read(frequency_penalty=0, presence_penalty=0.0)
    assert (prompt.frequency_penalty, prompt.presence_penalty, prompt.unplaced) == (None, None, ())


def test_older_calls_of_one_function_are_two() -> None:
    said = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    answered = {"role": "function", "name": "f", "content": "x"}
    prompt = read([HI, said, answered, said, answered])
    calls = [part for message in prompt.messages for part in message.parts if isinstance(part, ToolCall)]
    results = [part for message in prompt.messages for part in message.parts if isinstance(part, ToolResult)]
    assert len({call.id for call in calls}) == 2
    assert [call.id for call in calls] == [result.call_id for result in results]


def test_every_parameter_has_a_field() -> None:
    prompt = read(
        stream=True,
        stream_options={"include_usage": True},
        max_completion_tokens=9,
        temperature=0,
        top_p=0.5,
        top_k=3,
        seed=7,
        frequency_penalty=-1,
        presence_penalty=1.5,
        n=2,
        stop="END",
        reasoning_effort="low",
        verbosity="high",
        user="u",
        metadata={"a": "b"},
        service_tier="flex",
        parallel_tool_calls=False,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "s", "description": "d", "schema": {"type": "object"}, "strict": True},
        },
        tools=[{"type": "function", "function": {"name": "f", "description": "d", "parameters": {}, "strict": False}}],
    )
    assert prompt.unplaced == ()
    assert (prompt.output_tokens_max, prompt.place("output_tokens_max")) == (9, "max_completion_tokens")
    assert (prompt.temperature, prompt.top_p, prompt.top_k, prompt.seed) == (0, 0.5, 3, 7)
    assert (prompt.frequency_penalty, prompt.presence_penalty) == (-1, 1.5)
    assert (prompt.choices, prompt.stop, prompt.effort) == (2, ("END",), Effort("low"))
    assert (prompt.verbosity, prompt.user, prompt.metadata) == ("high", "u", {"a": "b"})
    assert (prompt.service_tier, prompt.parallel_tool_calls) == ("flex", False)
    assert prompt.format == JsonFormat({"type": "object"}, "s", "d", strict=True)
    assert prompt.tools == (Tool("f", "d", {}, strict=False, at="tools[0]"),)
    assert [prompt.place(field) for field in ("choices", "format", "effort", "seed")] == [
        "n",
        "response_format",
        "reasoning_effort",
        "seed",
    ]


@pytest.mark.parametrize(
    ("fields", "unplaced"),
    [
        ({"logit_bias": {"1": 2}}, "logit_bias"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"audio": {"voice": "a", "format": "mp3"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"web_search_options": {"search_context_size": "low"}}, "web_search_options"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"search_parameters": {}}, "search_parameters"),
        ({"prompt_cache_key": "k"}, "prompt_cache_key"),
        ({"store": True}, "store"),
        ({"min_p": 0}, "min_p"),
        ({"max_completion_tokens": 2, "max_tokens": 3}, "max_tokens"),
        ({"safety_identifier": "a", "user": "b"}, "user"),
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools[0]"),
        ({"tools": [{"function": {"name": "f"}, "cache_control": {"type": "ephemeral"}}]}, "tools[0].cache_control"),
        ({"tool_choice": {"type": "custom", "custom": {"name": "f"}}}, "tool_choice"),
        ({"response_format": {"type": "regex", "pattern": "a"}}, "response_format"),
    ],
)
def test_field_without_a_word_of_ours_is_named(fields: dict[str, Any], unplaced: str) -> None:
    assert read(**fields).unplaced == (unplaced,)


@pytest.mark.parametrize(
    ("message", "unplaced"),
    [
        ({"content": [{"type": "text", "text": "a", "cache_control": {"type": "x"}}]}, "content[0].cache_control"),
        ({"content": [{"type": "video_url", "video_url": {"url": "https://x"}}]}, "content[0]"),
        ({"content": [{"type": "file", "file": {"file_id": "f"}}]}, "content[0].file.file_id"),
        ({"content": [{"type": "image_url", "image_url": {"url": "https://x", "x": 1}}]}, "content[0].image_url.x"),
        ({"role": "assistant", "audio": {"id": "a"}}, "audio"),
        ({"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {}}]}, "tool_calls[0]"),
    ],
)
def test_piece_of_a_message_without_a_word_of_ours_is_named(message: dict[str, Any], unplaced: str) -> None:
    assert read([{"role": "user"} | message, HI]).unplaced == (f"messages[0].{unplaced}",)


@pytest.mark.parametrize("field", ["logit_bias", "store", "logprobs", "modalities", "tools", "stop", "response_format"])
def test_null_asks_for_nothing(field: str) -> None:
    assert read(**{field: None}) == read()


def test_value_that_asks_for_what_everybody_gives_is_not_named() -> None:
    prompt = read(
        store=False,
        logprobs=False,
        top_logprobs=0,
        modalities=["text"],
        logit_bias={},
        response_format={"type": "text"},
    )
    assert (prompt.unplaced, prompt.format) == ((), None)


def test_echo_of_an_answer_is_a_message_of_the_assistant() -> None:
    """What ``message.model_dump()`` of the official SDK gives, sent back."""
    echo: dict[str, Any] = {"role": "assistant", "content": "A", "refusal": None, "annotations": [], "audio": None}
    prompt = read([echo | {"function_call": None, "tool_calls": None}, HI])
    assert prompt.unplaced == ()
    assert prompt.messages[0].parts == (Text("A", "messages[0].content"),)


def test_older_functions_are_tools() -> None:
    prompt = read(
        [
            HI,
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
        ],
        functions=[{"name": "f"}],
        function_call={"name": "f"},
    )
    call, result = prompt.messages[1].parts[0], prompt.messages[2].parts[0]
    assert isinstance(call, ToolCall)
    assert isinstance(result, ToolResult)
    assert (call.id, call.name) == (result.call_id, "f")
    assert prompt.tools == (Tool("f", at="functions[0]"),)
    assert prompt.tool_choice == ToolChoice(ToolMode.REQUIRED, ("f",))
    assert prompt.place("tool_choice") == "function_call"


def test_result_of_a_custom_tool_is_unplaced_with_its_call() -> None:
    call = {"id": "c", "type": "custom", "custom": {"name": "f", "input": ""}}
    prompt = read(
        [HI, {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": "1"}]
    )
    assert prompt.unplaced == ("messages[1].tool_calls[0]", "messages[2]")


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ("auto", ToolChoice(ToolMode.AUTO)),
        ("none", ToolChoice(ToolMode.NONE)),
        ("required", ToolChoice(ToolMode.REQUIRED)),
        ("any", ToolChoice(ToolMode.REQUIRED)),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice(ToolMode.REQUIRED, ("f",))),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
            ToolChoice(ToolMode.AUTO, ("f",)),
        ),
    ],
)
def test_tool_choice_is_a_mode_and_names(choice: Any, wanted: ToolChoice) -> None:
    assert read(tool_choice=choice).tool_choice == wanted


def test_arguments_that_came_as_an_object_become_text() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": {"a": [1]}}}
    (part,) = read([{"role": "assistant", "tool_calls": [call]}]).messages[0].parts
    assert isinstance(part, ToolCall)
    assert part.arguments == '{"a":[1]}'


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({}, "role"),
        ({"role": "narrator"}, "role"),
        ({"role": "user"}, "content"),
        ({"role": "system", "content": 1}, "content"),
        ({"role": "user", "content": ["a"]}, "content[0]"),
        ({"role": "user", "content": [{"text": "a"}]}, "content[0].type"),
        ({"role": "user", "content": [{"type": "text"}]}, "content[0].text"),
        ({"role": "user", "content": [{"type": "image_url"}]}, "content[0].image_url"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": "ftp://x"}]}, "content[0].image_url"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png,x"}}]},
            "content[0].image_url.url",
        ),
        ({"role": "user", "content": [{"type": "file", "file": {}}]}, "content[0].file.file_data"),
        (
            {"role": "user", "content": [{"type": "file", "file": {"file_data": "data:text/csv;base64,@"}}]},
            "content[0].file.file_data",
        ),
        ({"role": "user", "content": [{"type": "input_audio"}]}, "content[0].input_audio"),
        ({"role": "user", "content": "a", "name": 1}, "name"),
        ({"role": "tool", "content": "a"}, "tool_call_id"),
        ({"role": "function", "content": "a"}, "name"),
        ({"role": "assistant", "tool_calls": {}}, "tool_calls"),
        ({"role": "assistant", "tool_calls": ["a"]}, "tool_calls[0]"),
        ({"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}, "tool_calls[0].id"),
        ({"role": "assistant", "tool_calls": [{"id": "c"}]}, "tool_calls[0].function"),
        (
            {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": 1}}]},
            "tool_calls[0].function.arguments",
        ),
    ],
)
def test_malformed_message_is_refused_and_the_place_named(message: Any, param: str) -> None:
    assert refusal([HI, message]) == f"messages[1].{param}"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [1]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"function": {"name": "f", "parameters": []}}]}, "tools[0].function.parameters"),
        ({"tools": [{"function": {"name": "f", "strict": 1}}]}, "tools[0].function.strict"),
        ({"tool_choice": "always"}, "tool_choice"),
        ({"tool_choice": {}}, "tool_choice.type"),
        ({"stop": 1}, "stop"),
        ({"stop": ["a", 1]}, "stop"),
        ({"seed": 1.5}, "seed"),
        ({"frequency_penalty": "1"}, "frequency_penalty"),
        ({"parallel_tool_calls": 1}, "parallel_tool_calls"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"response_format": {}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"reasoning_effort": 1}, "reasoning_effort"),
        ({"user": 1}, "user"),
    ],
)
def test_malformed_field_is_refused_and_the_place_named(fields: dict[str, Any], param: str) -> None:
    assert refusal(**fields) == param
