"""A client's request read, a provider's written."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from headgate.dialects.openai_chat.request import CHOICES_MAX, MODEL_CHARS_MAX, read_request, write_request
from headgate.errors import RequestError
from headgate.request import CreateRequest

LEAST: Final[dict[str, Any]] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def read(**fields: Any) -> CreateRequest:
    return read_request(json.dumps(LEAST | fields).encode())


def refusal(body: bytes) -> RequestError:
    with pytest.raises(RequestError) as refused:
        read_request(body)
    assert refused.value.status == 400
    return refused.value


def test_request_says_what_the_gateway_has_to_know_of_it() -> None:
    request = read(stream=True, stream_options={"include_usage": True}, n=3, unknown={"a": 1})
    assert (request.dialect, request.model) == ("openai-chat", "m")
    assert (request.stream, request.include_usage, request.choices) == (True, True, 3)
    assert request.body["unknown"] == {"a": 1}


@pytest.mark.parametrize("field", ["stream", "stream_options", "n", "tools", "response_format", "temperature"])
def test_null_is_the_same_as_absent(field: str) -> None:
    request = read(**{field: None})
    assert (request.stream, request.include_usage, request.choices) == (False, False, 1)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("model", [1, True, [], {}, "", "x" * (MODEL_CHARS_MAX + 1), "a\nb", "a\x00", None]),
        ("messages", [1, "text", {}, [], ["text"], [None], None]),
        ("stream", [1, "true", [], {}]),
        ("stream_options", [1, True, "x", []]),
        ("n", [0, -1, CHOICES_MAX + 1, 10**30, 1.5, "1", True, []]),
        ("tools", [1, {}, "x"]),
        ("response_format", [1, [], "json"]),
        ("max_tokens", [1.5, "1", True]),
        ("max_completion_tokens", [1.5, "1", True]),
        ("temperature", ["1", True, []]),
        ("top_p", ["1", True, []]),
    ],
)
def test_wrong_value_is_refused_and_the_field_named(field: str, wrong: list[Any]) -> None:
    for value in wrong:
        refused = refusal(json.dumps(LEAST | {field: value}).encode())
        assert (refused.code, refused.param) == ("invalid_request", field), value
        assert field in refused.message


@pytest.mark.parametrize("value", [1, "true", []])
def test_wrong_include_usage_is_refused(value: Any) -> None:
    refused = refusal(json.dumps(LEAST | {"stream_options": {"include_usage": value}}).encode())
    assert refused.param == "stream_options.include_usage"


@pytest.mark.parametrize("field", ["model", "messages"])
def test_missing_field_is_named(field: str) -> None:
    body = {key: value for key, value in LEAST.items() if key != field}
    assert refusal(json.dumps(body).encode()).param == field


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"model":"\xff"}', b"NaN", b"[" * 100_000])
def test_body_that_is_no_json_is_refused(body: bytes) -> None:
    assert refusal(body).code == "invalid_json"


@pytest.mark.parametrize("body", [b"[]", b"1", b'"a"', b"null"])
def test_body_that_is_no_object_is_refused(body: bytes) -> None:
    assert refusal(body).code == "invalid_request"


def test_stream_is_asked_for_with_usage_and_keeps_the_other_options() -> None:
    request = read(stream=False, stream_options={"include_obfuscation": False})
    sent = write_request(request, model="upstream", stream=True)
    assert json.loads(sent.body) == LEAST | {
        "model": "upstream",
        "stream": True,
        "stream_options": {"include_obfuscation": False, "include_usage": True},
    }
    assert (sent.path, sent.stream) == ("/chat/completions", True)
    assert request.body["model"] == "m", "the client's request must stay as it was"


def test_whole_answer_is_asked_for_without_any_option_of_streams() -> None:
    sent = write_request(read(stream=True, stream_options={"include_usage": True}), model="m", stream=False)
    assert json.loads(sent.body) == LEAST
    assert not sent.stream
