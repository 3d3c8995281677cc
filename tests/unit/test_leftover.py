"""What a request holds beyond its prompt counts as well, in every dialect: for the endpoints that count, and for the fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from headgate.context import count, refusal
from headgate.dialects import client_dialects
from headgate.leftover import PATH_CHARS_MAX, found
from headgate.models import Limits
from headgate.request import CreateRequest

WORDS = 2000
BIG = "hello world " * (WORDS // 2)
LIMITS = Limits("m", context_tokens=WORDS - 10, family="openai")
ROOMY = Limits("m", context_tokens=WORDS * 4, family="openai")
DATA = "iVBORw0KGgo" * 4000
DIALECTS = client_dialects()
Read = Callable[..., CreateRequest]


def asked(dialect: str, **fields: Any) -> CreateRequest:
    """A request of this dialect with these fields in it."""
    match dialect:
        case "openai-chat":
            body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}
        case "openai-responses":
            body = {"model": "m", "input": "Hi", **fields}
        case "anthropic-messages":
            body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], **fields}
        case _:
            body = {"contents": [{"parts": [{"text": "Hi"}]}], **fields}
            return read(dialect)(json.dumps(body).encode(), model="m", stream=False)
    return read(dialect)(json.dumps(body).encode())


def read(dialect: str) -> Read:
    module = dialect.replace("-", "_")
    found = __import__(f"headgate.dialects.{module}.request", fromlist=["read_request"])
    reader: Read = found.read_request
    return reader


def tokens(request: CreateRequest) -> int:
    return count(DIALECTS[request.dialect].read_prompt(request), ROOMY, request.body).tokens


def refused(request: CreateRequest, limits: Limits = LIMITS, *, dropped: bool = False) -> bool:
    prompt = DIALECTS[request.dialect].read_prompt(request)
    return refusal(prompt, limits, None if dropped else request.body) is not None


def turn(*blocks: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "Hi"}, {"role": role, "content": list(blocks)}]}


def parts(*found: dict[str, Any], role: str = "model") -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}, {"role": role, "parts": list(found)}]}


def item(**fields: Any) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": "Hi"}, fields]}


TEXT = {"type": "text", "text": BIG}
SCHEMA = {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"description": BIG}}}}}
ASKED: dict[str, CreateRequest] = {
    "chat function": asked(
        "openai-chat", tools=[{"type": "function", "function": {"name": "f", "description": BIG, "parameters": {}}}]
    ),
    "chat parameters": asked(
        "openai-chat", tools=[{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]
    ),
    "chat functions": asked("openai-chat", functions=[{"name": "f", "description": BIG}]),
    "chat custom tool": asked("openai-chat", tools=[{"type": "custom", "custom": {"name": "f", "description": BIG}}]),
    "chat schema": asked(
        "openai-chat", response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}
    ),
    "chat custom call": asked(
        "openai-chat",
        messages=[
            {"role": "user", "content": "Hi"},
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": BIG}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "ok"},
        ],
    ),
    "chat custom result": asked(
        "openai-chat",
        messages=[
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": ""}}]},
            {"role": "tool", "tool_call_id": "c", "content": BIG},
        ],
    ),
    "responses instructions": asked("openai-responses", instructions=BIG),
    "responses function": asked("openai-responses", tools=[{"type": "function", "name": "f", "description": BIG}]),
    "responses custom tool": asked("openai-responses", tools=[{"type": "custom", "name": "f", "description": BIG}]),
    "responses schema": asked(
        "openai-responses", text={"format": {"type": "json_schema", "name": "s", "schema": SCHEMA}}
    ),
    "responses custom output": asked(
        "openai-responses", **item(type="custom_tool_call_output", call_id="c", output=BIG)
    ),
    "responses custom call": asked(
        "openai-responses", **item(type="custom_tool_call", call_id="c", name="f", input=BIG)
    ),
    "responses shell output": asked(
        "openai-responses", **item(type="shell_call_output", call_id="c", output=[{"stdout": BIG, "stderr": ""}])
    ),
    "responses mcp call": asked(
        "openai-responses", **item(type="mcp_call", id="c", server_label="s", name="f", arguments="{}", output=BIG)
    ),
    "messages tool": asked("anthropic-messages", tools=[{"name": "f", "description": BIG, "input_schema": {}}]),
    "messages examples": asked(
        "anthropic-messages", tools=[{"name": "f", "input_schema": SCHEMA, "input_examples": [{"a": "x"}]}]
    ),
    "messages schema": asked("anthropic-messages", output_config={"format": {"type": "json_schema", "schema": SCHEMA}}),
    "messages search result": asked(
        "anthropic-messages", **turn({"type": "search_result", "source": "s", "title": "t", "content": [TEXT]})
    ),
    "messages document of blocks": asked(
        "anthropic-messages", **turn({"type": "document", "source": {"type": "content", "content": [TEXT]}})
    ),
    "messages document's context": asked(
        "anthropic-messages",
        **turn(
            {"type": "document", "context": BIG, "source": {"type": "text", "media_type": "text/plain", "data": "x"}}
        ),
    ),
    "messages server tool": asked(
        "anthropic-messages",
        **turn({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": BIG}}, role="assistant"),
    ),
    "messages server tool's result": asked(
        "anthropic-messages",
        **turn(
            {
                "type": "bash_code_execution_tool_result",
                "tool_use_id": "s",
                "content": {"type": "bash_code_execution_result", "stdout": BIG, "stderr": "", "content": []},
            },
            role="assistant",
        ),
    ),
    "messages fetched page": asked(
        "anthropic-messages",
        **turn(
            {
                "type": "web_fetch_tool_result",
                "tool_use_id": "s",
                "content": {
                    "type": "web_fetch_result",
                    "url": "https://x",
                    "content": {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": BIG},
                    },
                },
            },
            role="assistant",
        ),
    ),
    "messages search result in a tool's": asked(
        "anthropic-messages",
        **turn({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "search_result", "content": [TEXT]}]}),
    ),
    "gemini function": asked("gemini", tools=[{"functionDeclarations": [{"name": "f", "description": BIG}]}]),
    "gemini response schema": asked(
        "gemini",
        generationConfig={"responseMimeType": "application/json", "responseSchema": SCHEMA},
    ),
    "gemini executable code": asked("gemini", **parts({"executableCode": {"language": "PYTHON", "code": BIG}})),
    "gemini code, as Python spells it": asked("gemini", **parts({"executable_code": {"code": BIG}})),
    "gemini code's result": asked("gemini", **parts({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": BIG}})),
    "gemini function response": asked(
        "gemini", **parts({"functionResponse": {"name": "f", "response": {"rows": [BIG]}}}, role="user")
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_everything_that_is_text_is_counted_and_is_refused_where_it_cannot_fit(name: str) -> None:
    request = ASKED[name]
    assert tokens(request) >= WORDS * 0.75, "estimated from its length, where no vocabulary is installed"
    assert tokens(request) <= WORDS * 1.1
    assert refused(request)
    assert not refused(request, ROOMY)


@pytest.mark.parametrize(
    "request_",
    [
        asked("anthropic-messages", **turn({"type": "image", "source": {"type": "file", "file_id": BIG}})),
        asked("anthropic-messages", **turn({"type": "web_search_result", "encrypted_content": BIG})),
        asked("anthropic-messages", **turn({"type": "thinking", "thinking": BIG, "signature": BIG}, role="assistant")),
        asked("anthropic-messages", **turn({"type": "container_upload", "data": DATA})),
        asked("anthropic-messages", tools=[{"name": "f", "input_schema": {}, "cache_control": {"type": "ephemeral"}}]),
        asked("anthropic-messages", metadata={"user_id": BIG}),
        asked("openai-chat", **turn({"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{DATA}"}})),
        asked(
            "openai-chat",
            messages=[
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "a", "reasoning_details": [{"type": "reasoning.text", "text": BIG}]},
            ],
        ),
        asked("openai-responses", **item(type="image_generation_call", id="i", result=DATA)),
        asked("openai-responses", **item(type="compaction", encrypted_content=BIG)),
        asked("openai-responses", prompt_cache_key=BIG),
        asked("gemini", tools=[{"googleSearch": {}}]),
        asked("gemini", **parts({"text": "a", "thoughtSignature": BIG})),
    ],
)
def test_what_is_no_text_counts_as_none(request_: CreateRequest) -> None:
    assert tokens(request_) < 40
    assert not refused(request_)


@pytest.mark.parametrize(
    ("request_", "wanted"),
    [
        (
            asked(
                "anthropic-messages",
                **turn(
                    {
                        "type": "search_result",
                        "content": [
                            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}}
                        ],
                    }
                ),
            ),
            765,
        ),
        (
            asked(
                "openai-responses",
                **item(
                    type="computer_call_output",
                    call_id="c",
                    output={"type": "computer_screenshot", "image_url": f"data:image/png;base64,{DATA}"},
                ),
            ),
            765,
        ),
        (
            asked(
                "openai-responses",
                **item(
                    type="custom_tool_call_output",
                    call_id="c",
                    output=[{"type": "input_file", "filename": "a.pdf", "file_data": DATA}],
                ),
            ),
            2000,
        ),
    ],
)
def test_pictures_and_documents_count_as_they_do_anywhere(request_: CreateRequest, wanted: int) -> None:
    assert wanted <= tokens(request_) < wanted + 40
    assert not refused(request_, Limits("m", context_tokens=100, family="openai"))


@pytest.mark.parametrize(
    "request_",
    [
        asked("openai-responses", **item(type="web_search_call", id="w", action={"type": "search", "query": BIG})),
        asked("openai-responses", prompt={"id": "p", "variables": {"a": BIG}}),
        asked(
            "openai-chat",
            tool_choice="none",
            tools=[{"type": "function", "function": {"name": "f", "description": BIG}}],
        ),
        asked(
            "anthropic-messages", tools=[{"name": "f", "description": BIG, "input_schema": {}, "defer_loading": True}]
        ),
        asked("openai-responses", tools=[{"type": "custom", "name": "f", "description": BIG, "defer_loading": True}]),
        asked("openai-chat", tools=[{"type": "function", "function": {"name": "f", "parameters": {"$defs": SCHEMA}}}]),
    ],
)
def test_what_may_be_left_out_is_counted_and_not_refused(request_: CreateRequest) -> None:
    assert tokens(request_) >= WORDS * 0.75
    assert not refused(request_)


def test_servers_of_open_models_do_not_show_the_schema_of_the_answer_to_the_model() -> None:
    open_model = Limits("m", context_tokens=WORDS - 10)
    assert not refused(ASKED["chat schema"], open_model)
    assert refused(ASKED["chat function"], open_model)


def test_what_the_route_drops_is_not_in_the_way() -> None:
    assert not refused(ASKED["messages search result"], dropped=True)
    assert refused(ASKED["messages tool"], dropped=True)


def test_what_lies_in_another_path_counts_once() -> None:
    body = {"messages": [{"content": [{"text": "a b c"}]}]}
    left = found(("messages[0].content[0].text", "messages[0].content[0]", "messages[0]", "messages[0]"), body)
    assert left.read == ["a b c"]


@pytest.mark.parametrize(
    "path",
    [
        "messages[7]",
        "messages[0].content[0].text.more",
        "messages[0][1]",
        "messages.content",
        "messages[x]",
        "messages[0]..",
        "messages[0]." + "a." * PATH_CHARS_MAX,
        "",
    ],
)
def test_path_that_leads_nowhere_is_nothing(path: str) -> None:
    left = found((path,), {"messages": [{"content": [{"text": "a"}]}]})
    assert (left.read, left.maybe, left.tools, left.media) == ([], [], [], [])


def test_name_of_a_field_may_have_a_dot_in_it() -> None:
    assert found(("messages[0].x.y",), {"messages": [{"x.y": "a"}]}).maybe == ["a"]
