"""Anthropic Messages: a client's request read, and written for a provider of the same dialect."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from headgate.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from headgate.dialects.anthropic_messages.request import MODEL_CHARS_MAX
from headgate.errors import RequestError
from headgate.request import CreateRequest
from headgate.tokens import text_bytes

LEAST: Final[dict[str, Any]] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}


def read(**fields: Any) -> CreateRequest:
    return ANTHROPIC_MESSAGES.read_request(json.dumps(LEAST | fields).encode())


def refusal(body: bytes) -> RequestError:
    with pytest.raises(RequestError) as refused:
        ANTHROPIC_MESSAGES.read_request(body)
    assert refused.value.status == 400
    return refused.value


def said(content: Any, role: Any = "user") -> list[dict[str, Any]]:
    return [{"role": role, "content": content}]


def test_request_says_what_the_gateway_has_to_know_of_it() -> None:
    request = read(stream=True, unknown={"a": 1})
    assert (request.dialect, request.model, request.stream) == ("anthropic-messages", "m", True)
    assert (request.choices, request.include_usage) == (1, False)
    assert request.body["unknown"] == {"a": 1}


@pytest.mark.parametrize("field", ["stream", "system", "tools", "temperature", "stop_sequences", "thinking"])
def test_null_is_the_same_as_absent(field: str) -> None:
    assert not read(**{field: None}).stream


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("model", [1, True, [], "", "x" * (MODEL_CHARS_MAX + 1), "a\nb", None]),
        ("max_tokens", [-1, 1.5, "1", True, None]),
        ("messages", [1, "text", {}, [], None]),
        ("messages[0]", [["text"], [None], [1]]),
        ("messages[0].role", [said("x", None), said("x", "tool"), said("x", 1), said("x", ["user"])]),
        ("messages[0].content", [said(None), said(1), said({})]),
        ("messages[0].content[0]", [said(["x"]), said([{}]), said([{"type": 1}]), said([None])]),
        ("stream", [1, "true", []]),
        ("system", [1, {}, True]),
        ("system[0]", [["x"], [1]]),
        ("tools", [1, {}, "x"]),
        ("tools[0]", [["x"], [None]]),
        ("tool_choice", ["auto", 1, []]),
        ("temperature", ["1", True, []]),
        ("top_p", ["1", True]),
        ("top_k", [1.5, "1", True]),
        ("stop_sequences", ["x", {}, 1]),
        ("stop_sequences[1]", [["x", 1], ["x", None]]),
        ("metadata", ["x", []]),
        ("thinking", ["x", True]),
        ("output_config", ["x", []]),
        ("service_tier", [1, []]),
    ],
)
def test_wrong_value_is_refused_and_the_field_named(field: str, wrong: list[Any]) -> None:
    top = field.partition("[")[0]
    for value in wrong:
        refused = refusal(json.dumps(LEAST | {top: value}).encode())
        assert (refused.code, refused.param) == ("invalid_request", field), value
        assert field in refused.message


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"NaN", b"[" * 100_000])
def test_body_that_is_no_json_is_refused(body: bytes) -> None:
    assert refusal(body).code == "invalid_json"


@pytest.mark.parametrize("body", [b"[]", b"1", b'"a"', b"null"])
def test_body_that_is_no_object_is_refused(body: bytes) -> None:
    assert refusal(body).code == "invalid_request"


def test_tokens_are_estimated_from_words_and_not_from_pictures() -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 10_000}}
    paper = {"type": "document", "title": "t", "source": {"type": "base64", "data": "A" * 10_000}}
    result = {"type": "tool_result", "tool_use_id": "x", "content": [picture, {"type": "text", "text": "seen"}]}
    tools = [{"name": "look", "input_schema": {"type": "object"}}]
    request = read(
        system="Be brief.", tools=tools, messages=said([picture, paper, result, {"type": "text", "text": "?"}])
    )
    assert 20 < text_bytes(request.text) < 100


def test_request_goes_to_the_same_dialect_as_it_came() -> None:
    fields = {"thinking": {"type": "adaptive"}, "mcp_servers": [{"x": 1}], "stream": True}
    request = read(**fields)
    sent = ANTHROPIC_MESSAGES.write_request(request, model="upstream", stream=True)
    assert json.loads(sent.body) == LEAST | fields | {"model": "upstream"}
    assert (sent.path, sent.stream) == ("/v1/messages", True)
    assert request.body["model"] == "m", "the client's request must stay as it was"


def test_turn_of_nothing_but_another_providers_thinking_is_left_out() -> None:
    foreign = {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": ""}]}
    request = read(messages=[*LEAST["messages"], foreign, *LEAST["messages"], {"role": "user", "content": []}])
    sent = json.loads(ANTHROPIC_MESSAGES.write_request(request, model="m", stream=False).body)
    assert sent["messages"] == [*LEAST["messages"], *LEAST["messages"], {"role": "user", "content": []}]


@pytest.mark.parametrize(
    ("signatures", "said", "thinks"),
    [
        ([""], "", False),
        (["theirs"], "", True),
        (["", "theirs"], "", True),
        ([""], "Go on.", True),
        ([], "", True),  # nothing was taken out, so it goes as it came
    ],
)
def test_budget_for_thinking_goes_with_the_thinking_that_is_taken_out(
    signatures: list[str], said: str, thinks: bool
) -> None:
    thoughts = [{"type": "thinking", "thinking": "hm", "signature": signature} for signature in signatures]
    call = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
    results = [{"type": "tool_result", "tool_use_id": "c"}, *([{"type": "text", "text": said}] if said else [])]
    request = read(
        thinking={"type": "enabled", "budget_tokens": 1024},
        messages=[
            *LEAST["messages"],
            {"role": "assistant", "content": [*thoughts, call]},
            {"role": "user", "content": results},
        ],
    )
    upstream = ANTHROPIC_MESSAGES.write_request(request, model="m", stream=False)
    assert ("thinking" in json.loads(upstream.body)) is thinks
    assert upstream.dropped == (() if thinks else ("thinking",))
    assert "thinking" in request.body, "the client's request must stay as it was"


def test_whole_answer_is_asked_for_without_stream() -> None:
    sent = ANTHROPIC_MESSAGES.write_request(read(stream=True), model="m", stream=False)
    assert json.loads(sent.body) == LEAST


def test_count_needs_no_limit() -> None:
    body = {key: value for key, value in LEAST.items() if key != "max_tokens"}
    assert ANTHROPIC_MESSAGES.read_count(json.dumps(body).encode()).model == "m"
    with pytest.raises(RequestError):
        ANTHROPIC_MESSAGES.read_count(b'{"model":"m"}')


def test_provider_is_sent_its_version_and_the_key_in_its_own_header() -> None:
    assert ANTHROPIC_MESSAGES.headers(None) == {"anthropic-version": "2023-06-01"}
    assert ANTHROPIC_MESSAGES.headers("k") == {"anthropic-version": "2023-06-01", "x-api-key": "k"}


def test_models_of_a_provider_are_read() -> None:
    body = b'{"data":[{"type":"model","id":"claude-a","display_name":"A"},{"id":"claude-b"}],"has_more":false}'
    assert ANTHROPIC_MESSAGES.read_models(body) == ["claude-a", "claude-b"]
    for other in (b"", b"{}", b"[]", b'{"data":[1]}', b'{"data":{"id":"x"}}'):
        assert ANTHROPIC_MESSAGES.read_models(other) == []
