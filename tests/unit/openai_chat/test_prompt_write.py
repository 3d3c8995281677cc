"""Another dialect's prompt as a Chat Completions request: what it has no word for is named, nothing is lost unseen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headgate.dialects.openai_chat.prompt_write import is_openais, write_prompt
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

HI = (Message(Role.USER, (Text("Hi"),)),)


def write(prompt: Prompt, *, model: str = "gpt-x", stream: bool = False) -> tuple[dict[str, Any], tuple[str, ...]]:
    written = write_prompt(prompt, model=model, stream=stream)
    assert (written.request.path, written.request.stream) == ("/chat/completions", stream)
    return json.loads(written.request.body), written.unsupported


def messages(*given: Message, model: str = "gpt-x") -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    body, unsupported = write(Prompt(given), model=model)
    return body["messages"], unsupported


def user(*parts: Part) -> Message:
    return Message(Role.USER, parts)


def test_stream_always_asks_for_usage() -> None:
    assert write(Prompt(HI), stream=True)[0] == {
        "model": "gpt-x",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert "stream" not in write(Prompt(HI))[0]


@pytest.mark.parametrize(
    ("prompt", "unsupported"),
    [
        (Prompt(HI, top_k=5, places={"top_k": "generationConfig.topK"}), "generationConfig.topK"),
        (Prompt(HI, effort=Effort(budget_tokens=5), places={"effort": "thinking"}), "thinking"),
        (
            Prompt(HI, effort=Effort(budget_tokens=5), places={"effort.budget_tokens": "thinking.budget_tokens"}),
            "thinking.budget_tokens",
        ),
        (Prompt(HI, effort=Effort(shown=True), places={"effort": "thinking"}), "thinking"),
        (
            Prompt(HI, effort=Effort("low", shown=False), places={"effort.shown": "thinking.display"}),
            "thinking.display",
        ),
        (Prompt(HI, effort=Effort("extreme"), places={"effort": "output_config.effort"}), "output_config.effort"),
        (Prompt(HI, verbosity="chatty"), "verbosity"),
        (Prompt(HI, service_tier="warp"), "service_tier"),
        (Prompt((user(File(url="https://x/a.pdf", at="messages[0].content[0]")),)), "messages[0].content[0]"),
        (Prompt((user(Audio("QQ==", "audio/flac", "a")),)), "a"),
        (Prompt(HI, tool_choice=ToolChoice(ToolMode.REQUIRED)), "tool_choice"),
        (Prompt(HI, effort=Effort("high", 0), places={"effort.level": "output_config.effort"}), "output_config.effort"),
        (Prompt((user(ToolResult("c", (Text("x"), Image(url="https://x", at="i")), at="r")),)), "i"),
        (Prompt((Message(Role.SYSTEM, (Image(url="https://x", at="i"),)),)), "i"),
        (Prompt((Message(Role.ASSISTANT, (Text("a"), Image(url="https://x", at="i"))),)), "i"),
    ],
)
def test_what_chat_completions_cannot_say_is_named_by_its_place(prompt: Prompt, unsupported: str) -> None:
    assert write(prompt)[1] == (unsupported,)


def test_results_of_tools_come_first_and_calls_of_one_turn_stay_together() -> None:
    shown, unsupported = messages(
        Message(Role.ASSISTANT, (Reasoning("hm"), ToolCall("a", "f", "{}"))),
        Message(Role.ASSISTANT, (ToolCall("b", "f", "{}"),)),
        user(Text("And?"), ToolResult("a", (Text("1"),)), ToolResult("b", (Text("2"), Text("3")))),
    )
    assert unsupported == ()
    call = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert shown == [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "a"} | call, {"id": "b"} | call]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {
            "role": "tool",
            "tool_call_id": "b",
            "content": [{"type": "text", "text": "2"}, {"type": "text", "text": "3"}],
        },
        {"role": "user", "content": "And?"},
    ]


def test_turn_of_nothing_but_reasoning_is_left_out_without_a_word() -> None:
    shown, unsupported = messages(Message(Role.ASSISTANT, (Reasoning("hm"),)), *HI)
    assert (shown, unsupported) == ([{"role": "user", "content": "Hi"}], ())


def test_refusal_has_its_own_field() -> None:
    shown, _ = messages(Message(Role.ASSISTANT, (Refusal("No."),)))
    assert shown == [{"role": "assistant", "content": None, "refusal": "No."}]


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("gpt-5", True),
        ("openai/gpt-4o", True),
        ("o3-mini", True),
        ("chatgpt-4o-latest", True),
        ("gpt-oss-120b", False),
        ("openai/gpt-oss-20b", False),
        ("llama3.2", False),
        ("olmo-2", False),
        ("mistral-small", False),
    ],
)
def test_newer_words_go_only_to_models_that_know_them(model: str, known: bool) -> None:
    assert is_openais(model) is known
    body, _ = write(Prompt((Message(Role.DEVELOPER, (Text("a"),)),), output_tokens_max=5), model=model)
    assert body["messages"][0]["role"] == ("developer" if known else "system")
    assert body["max_completion_tokens" if known else "max_tokens"] == 5


@pytest.mark.parametrize(
    ("format", "wanted"),
    [
        (JsonFormat(), {"type": "json_object"}),
        (
            JsonFormat({"type": "object"}),
            {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}},
        ),
    ],
)
def test_format_without_a_name_gets_one_and_without_a_schema_is_any_object(format: JsonFormat, wanted: Any) -> None:
    assert write(Prompt(HI, format=format))[0]["response_format"] == wanted


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        (ToolChoice(ToolMode.REQUIRED), "required"),
        (ToolChoice(ToolMode.NONE, ("f",)), "none"),
        (ToolChoice(ToolMode.REQUIRED, ("f",)), {"type": "function", "function": {"name": "f"}}),
        (
            ToolChoice(ToolMode.AUTO, ("f",)),
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
        ),
    ],
)
def test_tool_choice_is_written_as_its_names_need_it(choice: ToolChoice, wanted: Any) -> None:
    assert write(Prompt(HI, tools=(Tool("f"),), tool_choice=choice))[0]["tool_choice"] == wanted


def test_choice_without_tools_is_left_out() -> None:
    assert "tool_choice" not in write(Prompt(HI, tool_choice=ToolChoice(ToolMode.AUTO)))[0]


def test_result_that_is_an_error_says_so_in_its_text() -> None:
    picture = Image(url="https://x", at="i")
    shown, unsupported = messages(
        user(
            ToolResult("a", (Text("no"), Text("way")), is_error=True),
            ToolResult("b", (), is_error=True),
            ToolResult("c", (picture,), is_error=True),
        )
    )
    words = [{"type": "text", "text": "Error: no"}, {"type": "text", "text": "way"}]
    assert [message["content"] for message in shown] == [words, "Error: ", "Error: "]
    assert unsupported == ("i",)


def test_ids_are_no_longer_than_openai_takes_and_those_of_results_are_those_of_their_calls() -> None:
    long, other = "functions." + "x" * 60, "functions." + "x" * 59
    calls = Message(Role.ASSISTANT, (ToolCall(long, "f", "{}"), ToolCall(other, "f", "{}"), ToolCall("c", "f", "{}")))
    (said, *answered), _ = messages(calls, user(ToolResult(long, ()), ToolResult(other, ()), ToolResult("c", ())))
    ids = [call["id"] for call in said["tool_calls"]]
    assert ids == [message["tool_call_id"] for message in answered]
    assert [len(id) for id in ids] == [40, 40, 1]
    assert len(set(ids)) == 3


def test_results_come_before_whatever_the_user_says_in_that_turn() -> None:
    calls = Message(Role.ASSISTANT, (ToolCall("a", "f", "{}"), ToolCall("b", "f", "{}")))
    shown, _ = messages(calls, user(ToolResult("a", ()), Text("x")), user(ToolResult("b", ()), Text("y")))
    assert [message["role"] for message in shown] == ["assistant", "tool", "tool", "user", "user"]
    assert [message["content"] for message in shown[3:]] == ["x", "y"]


def test_metadata_goes_only_to_models_that_take_it_without_storing_the_answer() -> None:
    prompt = Prompt(HI, metadata={"a": "b"})
    assert write(prompt, model="mistral-small")[0]["metadata"] == {"a": "b"}
    body, unsupported = write(prompt, model="gpt-5")
    assert ("metadata" in body, unsupported) == (False, ("metadata",))


@pytest.mark.parametrize(("budget", "effort"), [(0, "none"), (-1, None)])
def test_budget_that_a_word_says_is_that_word(budget: int, effort: str | None) -> None:
    assert write(Prompt(HI, effort=Effort("high", budget)))[0]["reasoning_effort"] == (effort or "high")
    body, unsupported = write(Prompt(HI, effort=Effort(budget_tokens=budget)))
    assert (body.get("reasoning_effort"), unsupported) == (effort, ())


def test_standard_tier_of_anthropic_is_the_default() -> None:
    assert write(Prompt(HI, service_tier="standard_only"))[0]["service_tier"] == "default"


def test_file_without_a_name_gets_one_of_its_type() -> None:
    (shown,), _ = messages(
        user(File(data="a", media_type="text/plain"), File(data="QQ==", media_type="application/pdf"))
    )
    assert [part["file"]["filename"] for part in shown["content"]] == ["file.txt", "file.pdf"]
    assert shown["content"][0]["file"]["file_data"] == "data:text/plain;base64,YQ=="
