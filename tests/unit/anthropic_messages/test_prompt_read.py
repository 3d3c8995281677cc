"""Anthropic Messages: what a client's request asks for, in no dialect's words; and by which names the rest is called."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from headgate.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from headgate.errors import RequestError
from headgate.prompt import (
    Effort,
    File,
    Image,
    JsonFormat,
    Message,
    Prompt,
    Reasoning,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
)

LEAST: Final[dict[str, Any]] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
EPHEMERAL: Final = {"type": "ephemeral"}


def read(**fields: Any) -> Prompt:
    request = ANTHROPIC_MESSAGES.read_request(json.dumps(LEAST | fields).encode())
    return ANTHROPIC_MESSAGES.read_prompt(request)


def said(*blocks: Any, role: str = "user") -> Prompt:
    return read(messages=[{"role": role, "content": list(blocks)}])


def refused(**fields: Any) -> str | None:
    with pytest.raises(RequestError) as error:
        read(**fields)
    assert error.value.code == "invalid_request"
    return error.value.param


def test_least_request_says_its_messages_and_its_limit() -> None:
    prompt = read()
    assert prompt.messages == (Message(Role.USER, (Text("Hi", "messages[0].content"),), at="messages[0]"),)
    assert (prompt.output_tokens_max, prompt.place("output_tokens_max")) == (9, "max_tokens")
    assert prompt.unplaced == ()


@pytest.mark.parametrize("field", ["output_format", "output_config"])
def test_format_of_the_answer_is_named_where_the_client_wrote_it(field: str) -> None:
    format = {"type": "json_schema", "schema": {"type": "object"}}
    prompt = read(**{field: format if field == "output_format" else {"format": format}})
    assert prompt.format == JsonFormat({"type": "object"})
    assert prompt.place("format") == ("output_format" if field == "output_format" else "output_config.format")


def test_request_for_a_warm_cache_and_no_answer_is_named() -> None:
    prompt = read(max_tokens=0)
    assert (prompt.output_tokens_max, prompt.unplaced) == (None, ("max_tokens",))


def test_fields_that_every_dialect_has_are_placed() -> None:
    prompt = read(
        temperature=0.5,
        top_p=1,
        top_k=4,
        stop_sequences=["a", "b"],
        metadata={"user_id": "u"},
        service_tier="standard_only",
        stream=True,
        system=None,
    )
    assert (prompt.temperature, prompt.top_p, prompt.top_k) == (0.5, 1, 4)
    assert (prompt.stop, prompt.user, prompt.service_tier) == (("a", "b"), "u", "standard_only")
    assert prompt.place("stop") == "stop_sequences"
    assert prompt.place("user") == "metadata.user_id"
    assert prompt.unplaced == ()


def test_system_is_the_first_message_with_a_part_per_block() -> None:
    assert read(system="Be brief.").messages[0] == Message(Role.SYSTEM, (Text("Be brief.", "system"),), at="system")
    prompt = read(system=[{"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": EPHEMERAL}])
    assert prompt.messages[0].parts == (Text("a", "system[0]"), Text("b", "system[1]"))
    assert prompt.unplaced == ("system[1].cache_control",)
    assert read(system="").messages[0].role is Role.USER


def test_system_message_in_the_conversation_stays_where_it_stood() -> None:
    prompt = read(messages=[{"role": "user", "content": "Hi"}, {"role": "system", "content": "Now briefly."}])
    assert [message.role for message in prompt.messages] == [Role.USER, Role.SYSTEM]


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "text", "text": "Hi"}, Text("Hi", "messages[0].content[0]")),
        (
            {"type": "text", "text": "Hi", "citations": [{"type": "char_location"}]},
            Text("Hi", "messages[0].content[0]"),
        ),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
            Image(data="iVBO", media_type="image/png", at="messages[0].content[0]"),
        ),
        (
            {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
            Image(url="https://x/y.png", at="messages[0].content[0]"),
        ),
        (
            {
                "type": "document",
                "title": "t",
                "citations": {"enabled": False},
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
            },
            File(data="JVBE", media_type="application/pdf", name="t", at="messages[0].content[0]"),
        ),
        (
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
            File(data="words", media_type="text/plain", at="messages[0].content[0]"),
        ),
        (
            {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}},
            File(url="https://x/y.pdf", media_type="application/pdf", at="messages[0].content[0]"),
        ),
        ({"type": "thinking", "thinking": "Hm", "signature": "EqQB"}, Reasoning("Hm", "messages[0].content[0]")),
        ({"type": "redacted_thinking", "data": "Em"}, Reasoning("", "messages[0].content[0]")),
        (
            {"type": "tool_use", "id": "c", "name": "f", "input": {"a": [1]}, "caller": {"type": "direct"}},
            ToolCall("c", "f", '{"a":[1]}', "messages[0].content[0]"),
        ),
        (
            {"type": "tool_result", "tool_use_id": "c", "content": "42"},
            ToolResult("c", (Text("42", "messages[0].content[0].content"),), at="messages[0].content[0]"),
        ),
        (
            {"type": "tool_result", "tool_use_id": "c", "is_error": True},
            ToolResult("c", (), is_error=True, at="messages[0].content[0]"),
        ),
    ],
)
def test_block_is_a_part(block: dict[str, Any], part: Any) -> None:
    prompt = said(block)
    assert prompt.messages[0].parts == (part,)
    assert prompt.unplaced == ()


def test_result_has_the_name_of_the_tool_and_parts_of_its_own() -> None:
    picture = {"type": "image", "source": {"type": "url", "url": "https://x"}}
    content = [{"type": "text", "text": "seen"}, picture, {"type": "search_result", "source": "s", "title": "t"}]
    prompt = read(
        messages=[
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "look", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": content}]},
        ]
    )
    (result,) = prompt.messages[1].parts
    assert isinstance(result, ToolResult)
    assert result.name == "look"
    at = "messages[1].content[0].content"
    assert result.content == (Text("seen", f"{at}[0]"), Image(url="https://x", at=f"{at}[1]"))
    assert prompt.unplaced == (f"{at}[2]",)


@pytest.mark.parametrize(
    ("block", "path"),
    [
        ({"type": "text", "text": "a", "cache_control": EPHEMERAL}, ".cache_control"),
        ({"type": "image", "source": {"type": "file", "file_id": "f"}}, ".source"),
        ({"type": "document", "source": {"type": "file", "file_id": "f"}}, ".source"),
        ({"type": "document", "source": {"type": "content", "content": "x"}}, ".source"),
        (
            {"type": "document", "source": {"type": "url", "url": "u"}, "citations": {"enabled": True}},
            ".citations",
        ),
        ({"type": "document", "source": {"type": "url", "url": "u"}, "context": "c"}, ".context"),
        ({"type": "image", "source": {"type": "url", "url": "u"}, "transformations": {"a": 1}}, ".transformations"),
        ({"type": "tool_use", "id": "c", "name": "f", "input": {}, "caller": {"type": "x"}}, ".caller"),
        ({"type": "tool_use", "id": "c", "name": "f", "input": {}, "toolset_name": "t"}, ".toolset_name"),
        ({"type": "tool_result", "tool_use_id": "c", "cache_control": EPHEMERAL}, ".cache_control"),
        ({"type": "server_tool_use", "id": "c", "name": "web_search", "input": {}}, ""),
        ({"type": "web_search_tool_result", "tool_use_id": "c", "content": []}, ""),
        ({"type": "search_result", "source": "s", "title": "t", "content": []}, ""),
        ({"type": "container_upload", "file_id": "f"}, ""),
        ({"type": "compaction", "content": "c"}, ""),
        ({"type": "brand_new"}, ""),
    ],
)
def test_what_only_this_dialect_can_say_of_a_block_is_named(block: dict[str, Any], path: str) -> None:
    assert said(block).unplaced == (f"messages[0].content[0]{path}",)


@pytest.mark.parametrize(
    "field",
    [
        "cache_control",
        "container",
        "context_management",
        "mcp_servers",
        "speed",
        "inference_geo",
        "diagnostics",
        "fallbacks",
        "brand_new",
    ],
)
def test_what_only_this_dialect_can_ask_for_is_named(field: str) -> None:
    assert read(**{field: {"x": 1}}).unplaced == (field,)
    assert read(**{field: None}).unplaced == ()


def test_tools_of_the_client_are_placed_and_those_of_the_provider_named() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    prompt = read(
        tools=[
            {"name": "f", "description": "d", "input_schema": schema, "strict": True},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 5},
            {"type": "custom", "name": "g", "input_schema": {"type": "object"}, "cache_control": EPHEMERAL},
        ]
    )
    assert prompt.tools == (
        Tool("f", "d", schema, True, "tools[0]"),
        Tool("g", parameters={"type": "object"}, at="tools[2]"),
    )
    assert prompt.unplaced == ("tools[1]", "tools[2].cache_control")


@pytest.mark.parametrize(
    ("given", "choice", "parallel"),
    [
        ({"type": "auto"}, ToolChoice(ToolMode.AUTO), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice(ToolMode.REQUIRED), False),
        ({"type": "none"}, ToolChoice(ToolMode.NONE), None),
        (
            {"type": "tool", "name": "f", "disable_parallel_tool_use": False},
            ToolChoice(ToolMode.REQUIRED, ("f",)),
            True,
        ),
        (None, None, None),
    ],
)
def test_tool_choice(given: Any, choice: ToolChoice | None, parallel: bool | None) -> None:
    prompt = read(tool_choice=given)
    assert (prompt.tool_choice, prompt.parallel_tool_calls) == (choice, parallel)
    assert prompt.place("parallel_tool_calls") == "tool_choice.disable_parallel_tool_use"


@pytest.mark.parametrize(
    ("fields", "effort"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, Effort(budget_tokens=2000)),
        ({"thinking": {"type": "adaptive", "display": "summarized"}}, Effort(budget_tokens=-1, shown=True)),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, Effort(budget_tokens=-1, shown=False)),
        ({"thinking": {"type": "disabled"}}, Effort(budget_tokens=0)),
        ({"output_config": {"effort": "xhigh"}}, Effort("xhigh")),
        ({"output_config": {"effort": "low"}, "thinking": {"type": "adaptive"}}, Effort("low", -1)),
        ({"output_config": {}}, None),
    ],
)
def test_effort(fields: dict[str, Any], effort: Effort | None) -> None:
    prompt = read(**fields)
    assert prompt.effort == effort
    assert prompt.unplaced == ()


def test_other_ways_of_thinking_are_named() -> None:
    prompt = read(thinking={"type": "between_tools"}, output_config={"effort": "low"})
    assert (prompt.effort, prompt.unplaced) == (Effort("low"), ("thinking",))
    assert read(thinking={"type": "adaptive", "display": "poem"}).unplaced == ("thinking.display",)


@pytest.mark.parametrize("path", ["output_config.format", "output_format"])
def test_schema_of_the_answer(path: str) -> None:
    schema = {"type": "object", "properties": {}}
    format: Any = {"type": "json_schema", "schema": schema}
    fields = {"output_config": {"format": format}} if "." in path else {path: format}
    assert read(**fields).format == JsonFormat(schema)
    other: Any = {"type": "grammar", "grammar": "x"}
    fields = {"output_config": {"format": other}} if "." in path else {path: other}
    assert read(**fields).unplaced == (path,)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0].source"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_use", "id": 1}]}]}, "messages[0].content[0].id"),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": "x"}]}]},
            "messages[0].content[0].input",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": 1}]}]},
            "messages[0].content[0].content",
        ),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tools": [{"name": "f", "input_schema": []}]}, "tools[0].input_schema"),
        ({"tool_choice": {"type": "sometimes"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"thinking": {"type": "enabled", "budget_tokens": "x"}}, "thinking.budget_tokens"),
        ({"thinking": {}}, "thinking.type"),
        ({"metadata": {"user_id": 1}}, "metadata.user_id"),
    ],
)
def test_what_is_malformed_is_named(fields: dict[str, Any], param: str) -> None:
    assert refused(**fields) == param
