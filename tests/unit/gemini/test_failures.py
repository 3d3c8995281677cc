"""Errors of Gemini, read from providers and written to clients."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headgate.dialects.gemini import GEMINI
from headgate.events import Status, Terminal


def error(code: int, status: str, *details: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": "Said so.", "status": status, "details": list(details)}}


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"}
BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}


@pytest.mark.parametrize(
    ("http", "body", "code", "status", "retry_after_s"),
    [
        (400, error(400, "INVALID_ARGUMENT"), "upstream_rejected", 400, None),
        (404, error(404, "NOT_FOUND"), "upstream_rejected", 404, None),
        (400, error(400, "INVALID_ARGUMENT", BAD_KEY), "upstream_auth", 502, None),
        (403, error(403, "PERMISSION_DENIED"), "upstream_auth", 502, None),
        (429, error(429, "RESOURCE_EXHAUSTED", RETRY), "upstream_rate_limited", 429, 37.0),
        (
            429,
            error(429, "RESOURCE_EXHAUSTED", RETRY | {"retryDelay": "9" * 9 + "s"}),
            "upstream_rate_limited",
            429,
            None,
        ),
        (500, error(500, "INTERNAL"), "upstream_error", 502, None),
        (503, error(503, "UNAVAILABLE"), "upstream_error", 503, None),
        (504, error(504, "DEADLINE_EXCEEDED"), "upstream_error", 504, None),
    ],
)
@pytest.mark.parametrize("in_array", [False, True])
def test_http_errors_are_read_bare_and_inside_an_array(
    http: int, body: Any, code: str, status: int, retry_after_s: float | None, in_array: bool
) -> None:
    failure = GEMINI.read_failure(http, {}, json.dumps([body] if in_array else body).encode())
    assert (failure.code, failure.status, failure.retry_after_s) == (code, status, retry_after_s)
    assert code == "upstream_auth" or failure.message == "Said so."


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        (error(429, "RESOURCE_EXHAUSTED"), "upstream_rate_limited", 429),
        (error(0, "RESOURCE_EXHAUSTED"), "upstream_rate_limited", 429),
        (error(503, "UNAVAILABLE"), "upstream_error", 503),
        (error(14, "UNAVAILABLE"), "upstream_error", 503),
        (error(500, "INTERNAL"), "upstream_error", 502),
        ({"error": "words"}, "upstream_error", 502),
    ],
)
@pytest.mark.parametrize("as_list", [False, True])
def test_errors_inside_a_stream_end_it(body: Any, code: str, status: int, as_list: bool) -> None:
    decoder = GEMINI.stream_decoder(attempt=1, choices=1)
    data = json.dumps([body] if as_list else body).encode()
    assert decoder.feed(b"data: " + data + b"\r\n\r\n") == []
    assert decoder.failure is not None
    assert (decoder.failure.code, decoder.failure.status) == (code, status)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"[1]", b"null", b'{"error":null}', b'{"error":[1]}', b'"x"'])
def test_error_pages_are_read_too(body: bytes) -> None:
    failure = GEMINI.read_failure(500, {}, body)
    assert (failure.code, failure.message) == ("upstream_error", "The provider answered with status 500.")


def test_word_and_details_of_the_provider_are_for_clients_of_its_dialect() -> None:
    failure = GEMINI.read_failure(400, {}, json.dumps(error(400, "FAILED_PRECONDITION", RETRY)).encode())
    terminal = Terminal(Status.FAILED, failure.code, message=failure.message, http_status=400, detail=failure.detail)
    same = json.loads(GEMINI.terminal_error(terminal, same_dialect=True))
    assert same == error(400, "FAILED_PRECONDITION", RETRY)
    other = json.loads(GEMINI.terminal_error(terminal, same_dialect=False))
    assert other == {"error": {"code": 400, "message": "Said so.", "status": "INVALID_ARGUMENT"}}


def test_details_beyond_the_limit_are_left_out() -> None:
    failure = GEMINI.read_failure(400, {}, json.dumps(error(400, "X", {"a": "x" * 10_000})).encode())
    assert failure.detail == {"status": "X"}
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    assert GEMINI.read_failure(400, {}, json.dumps(error(400, "X", {"a": deep})).encode()).detail == {"status": "X"}
