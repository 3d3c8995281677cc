"""A request in the words of the provider: nothing is lost unseen, whatever the pair."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from headgate.dialects import client_dialects, provider_dialects
from headgate.dialects.translate import NAMED_MAX, upstream_request
from headgate.errors import RequestError
from headgate.request import UpstreamRequest

USER: Final = {"role": "user", "content": "Hello"}
LEAST: Final[dict[str, dict[str, Any]]] = {
    "openai-chat": {"model": "asked", "messages": [USER]},
    "openai-responses": {"model": "asked", "input": "Hello"},
    "anthropic-messages": {"model": "asked", "max_tokens": 64, "messages": [USER]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]},
}
PAIRS: Final = [(client, provider) for client in LEAST for provider in LEAST]
MIXED: Final = [(client, provider) for client, provider in PAIRS if client != provider]
UNKNOWN: Final = {"a_field_of_tomorrow": {"deep": [1, "2", None]}}


def translated(
    client: str, provider: str, fields: dict[str, Any] | None = None, *, may_drop: bool = False, stream: bool = True
) -> UpstreamRequest:
    spoken = client_dialects()[client]
    body = json.dumps(LEAST[client] | (fields or {})).encode()
    request = spoken.read_request(body, model="asked", stream=stream)
    return upstream_request(
        request,
        spoken,
        provider_dialects()[provider],
        provider_name="p",
        model="theirs",
        stream=stream,
        may_drop=may_drop,
    )


def body_of(request: UpstreamRequest) -> dict[str, Any]:
    body = json.loads(request.body)
    assert isinstance(body, dict)
    return body


@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_least_request_of_every_dialect_reaches_every_provider(client: str, provider: str) -> None:
    sent = translated(client, provider)
    assert sent.stream
    assert not sent.dropped
    assert "Hello" in sent.body.decode()
    assert "theirs" in (sent.path if provider == "gemini" else body_of(sent)["model"])


@pytest.mark.parametrize("dialect", LEAST)
def test_between_two_sides_of_one_dialect_unknown_fields_arrive(dialect: str) -> None:
    assert body_of(translated(dialect, dialect, UNKNOWN)).items() >= UNKNOWN.items()


@pytest.mark.parametrize(("client", "provider"), MIXED)
def test_field_without_a_counterpart_is_refused_by_its_name_and_the_providers(client: str, provider: str) -> None:
    with pytest.raises(RequestError) as refused:
        translated(client, provider, UNKNOWN)
    assert refused.value.code == "unsupported_field"
    assert refused.value.param == "a_field_of_tomorrow"
    for word in ("'a_field_of_tomorrow'", "'p'", provider):
        assert word in refused.value.message


@pytest.mark.parametrize(("client", "provider"), MIXED)
def test_field_without_a_counterpart_is_dropped_by_name_where_the_route_says_so(client: str, provider: str) -> None:
    sent = translated(client, provider, UNKNOWN, may_drop=True)
    assert sent.dropped == ("a_field_of_tomorrow",)
    assert "tomorrow" not in sent.body.decode()
    assert sent.body == translated(client, provider).body


def test_thousands_of_fields_make_neither_a_long_error_nor_a_long_event() -> None:
    fields = {f"field_{number}": 1 for number in range(1000)}
    with pytest.raises(RequestError) as refused:
        translated("openai-chat", "gemini", fields)
    assert "and 980 more" in refused.value.message
    assert len(refused.value.message) < 2000
    dropped = translated("openai-chat", "gemini", fields, may_drop=True).dropped
    assert len(dropped) == NAMED_MAX + 1
    assert dropped[-1] == "... and 980 more"


THOUGHT: Final[dict[str, tuple[dict[str, Any], tuple[str, ...]]]] = {
    "gemini": (
        {
            "contents": [
                {"role": "user", "parts": [{"text": "Hello"}]},
                {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"a": 1}}}]},
            ],
            "generationConfig": {"thinkingConfig": {"thinkingBudget": 2048, "includeThoughts": True}},
        },
        ("generationConfig.thinkingConfig.thinkingBudget", "generationConfig.thinkingConfig.includeThoughts"),
    ),
    "anthropic-messages": (
        {
            "messages": [
                USER,
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "hm", "signature": ""},
                        {"type": "tool_use", "id": "a", "name": "f", "input": {}},
                    ],
                },
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "1"}]},
            ],
            "thinking": {"type": "enabled", "budget_tokens": 2048},
        },
        ("thinking",),
    ),
}


@pytest.mark.parametrize("may_drop", [False, True])
@pytest.mark.parametrize("client", THOUGHT)
def test_thinking_that_anthropic_would_refuse_is_left_out_by_name_and_never_refused(
    client: str, may_drop: bool
) -> None:
    fields, named = THOUGHT[client]
    sent = translated(client, "anthropic-messages", fields, may_drop=may_drop)
    assert "thinking" not in body_of(sent)
    assert sent.dropped == named


SILENT: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "openai-responses": (
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file_1"}]}]},
        "input[0].content[0]",
    ),
    "gemini": (
        {"contents": [{"role": "user", "parts": [{"fileData": {"fileUri": "files/1", "mimeType": "video/mp4"}}]}]},
        "contents[0].parts[0]",
    ),
    "openai-chat": (
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file_1"}}]}]},
        "messages[0].content[0]",
    ),
}


@pytest.mark.parametrize("client", SILENT)
def test_message_of_nothing_but_what_has_no_counterpart_is_refused_by_that_name(client: str) -> None:
    fields, named = SILENT[client]
    with pytest.raises(RequestError) as refused:
        translated(client, "anthropic-messages", fields)
    assert refused.value.code == "unsupported_field"
    assert (refused.value.param or "").startswith(named)
    for word in (f"'{named}", "'p'", "anthropic-messages"):
        assert word in refused.value.message


def test_message_that_says_nothing_once_its_fields_are_dropped_says_which_those_were() -> None:
    fields, named = SILENT["openai-responses"]
    with pytest.raises(RequestError, match="white space") as refused:
        translated("openai-responses", "anthropic-messages", fields, may_drop=True)
    assert refused.value.code == "invalid_request"
    assert f"'{named}" in refused.value.message


@pytest.mark.parametrize(
    ("client", "format", "field"),
    [
        ("openai-responses", {"type": "json_schema"}, "text.format.schema"),
        ("openai-responses", {"type": "json_schema", "name": "n"}, "text.format.schema"),
        ("openai-responses", {"type": "json_schema", "schema": {}}, "text.format.name"),
        ("openai-chat", {"type": "json_schema", "json_schema": {}}, "response_format.json_schema.schema"),
        ("openai-chat", {"type": "json_schema", "json_schema": {"name": "n"}}, "response_format.json_schema.schema"),
        ("openai-chat", {"type": "json_schema", "json_schema": {"schema": {}}}, "response_format.json_schema.name"),
    ],
)
@pytest.mark.parametrize("provider", LEAST)
def test_schema_that_is_not_there_is_refused_and_not_made_any_json(
    client: str, provider: str, format: dict[str, Any], field: str
) -> None:
    fields = {"response_format": format} if client == "openai-chat" else {"text": {"format": format}}
    if provider == client:  # it refuses that itself
        assert body_of(translated(client, provider, fields)).items() >= fields.items()
        return
    with pytest.raises(RequestError) as refused:
        translated(client, provider, fields, may_drop=True)
    assert (refused.value.code, refused.value.param) == ("invalid_request", field)
