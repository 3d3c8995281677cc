"""Anthropic Messages: errors in both directions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headgate.dialects import client_dialects
from headgate.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from headgate.endings import Ending, closing
from headgate.errors import CODES, Failure, RequestError
from headgate.events import Status, Terminal
from tests.unit.anthropic_messages.wire import read_stream


def of_status(status: int, body: Any, **headers: str) -> Failure:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ANTHROPIC_MESSAGES.read_failure(status, headers, data)


def error(kind: Any, message: Any = "Why.") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


@pytest.mark.parametrize(
    ("status", "kind", "code", "shown"),
    [
        (400, "invalid_request_error", "upstream_rejected", 400),
        (404, "not_found_error", "upstream_rejected", 404),
        (413, "request_too_large", "upstream_rejected", 413),
        (429, "rate_limit_error", "upstream_rate_limited", 429),
        (500, "api_error", "upstream_error", 502),
        (504, "timeout_error", "upstream_error", 504),
        (529, "overloaded_error", "upstream_error", 503),
    ],
)
def test_error_answers_mean_what_their_status_says(status: int, kind: str, code: str, shown: int) -> None:
    failure = of_status(status, error(kind))
    assert (failure.code, failure.status, failure.message) == (code, shown, "Why.")
    assert failure.detail == {"type": kind}


@pytest.mark.parametrize("status", [401, 403])
def test_error_about_our_key_says_nothing_of_it(status: int) -> None:
    failure = of_status(status, error("authentication_error", "invalid x-api-key sk-ant-123"))
    assert failure.code == "upstream_auth"
    assert "sk-ant" not in failure.message
    assert failure.detail is None


def test_retry_after_is_kept() -> None:
    assert of_status(429, error("rate_limit_error"), **{"retry-after": "7"}).retry_after_s == 7.0


@pytest.mark.parametrize(
    "body", [b"", b"<html>", {}, [], 1, {"error": None}, {"error": []}, error(1, 2), error([], {})]
)
def test_error_page_leaves_the_status(body: Any) -> None:
    failure = of_status(500, body)
    assert failure.message == "The provider answered with status 500."
    assert failure.detail is None


@pytest.mark.parametrize("body", ["text", {"error": "text"}, {"type": "error", "error": {"message": "text"}}])
def test_message_is_found_in_other_shapes(body: Any) -> None:
    assert of_status(500, body).message == "text"


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        ("rate_limit_error", "upstream_rate_limited", 429),
        ("overloaded_error", "upstream_error", 503),
        ("timeout_error", "upstream_error", 504),
        ("api_error", "upstream_error", 502),
        ("invalid_request_error", "upstream_error", 502),
        ("authentication_error", "upstream_auth", 502),
        ("novel_error", "upstream_error", 502),
        (None, "upstream_error", 502),
    ],
)
def test_error_inside_a_stream_means_what_its_type_says(kind: Any, code: str, status: int) -> None:
    _, failure = read_stream(error(kind))
    assert failure is not None
    assert (failure.code, failure.status) == (code, status)


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("invalid_request", 400, "invalid_request_error"),
        ("unauthorized", 401, "authentication_error"),
        ("forbidden_host", 403, "permission_error"),
        ("model_not_found", 404, "not_found_error"),
        ("body_too_large", 413, "request_too_large"),
        ("unsupported_media_type", 415, "invalid_request_error"),
        ("upstream_rate_limited", 429, "rate_limit_error"),
        ("cancelled", 499, "api_error"),
        ("internal", 500, "api_error"),
        ("upstream_cut", 502, "api_error"),
        ("overloaded", 503, "overloaded_error"),
        ("deadline_exceeded", 504, "timeout_error"),
    ],
)
def test_errors_of_ours_have_the_type_of_their_status(code: str, status: int, kind: str) -> None:
    body = json.loads(ANTHROPIC_MESSAGES.error_body(RequestError(code, "Why.")))
    assert body == {"type": "error", "error": {"type": kind, "message": "Why."}}
    assert CODES[code].status == status
    terminal = Terminal(Status.FAILED, code=code, message="Why.")
    assert json.loads(ANTHROPIC_MESSAGES.terminal_error(terminal, same_dialect=True)) == body


def test_type_of_a_provider_of_the_same_dialect_is_passed_on_where_the_error_is_the_callers() -> None:
    detail = {"type": "request_too_large"}
    rejected = Terminal(Status.FAILED, code="upstream_rejected", http_status=400, message="Why.", detail=detail)
    shown = json.loads(ANTHROPIC_MESSAGES.terminal_error(rejected, same_dialect=True))
    assert shown["error"] == {"type": "request_too_large", "message": "Why."}
    for terminal, same in (
        (rejected, False),
        (Terminal(Status.FAILED, code="upstream_cut", message="Why.", detail=detail), True),
    ):
        shown = json.loads(ANTHROPIC_MESSAGES.terminal_error(terminal, same_dialect=same))
        assert shown["error"]["type"] != "request_too_large"


@pytest.mark.parametrize("body", [error("overloaded_error"), b"<html>"])
def test_overload_keeps_its_status_for_clients_of_the_dialect_alone(body: Any) -> None:
    terminal = closing(Ending(Status.FAILED, of_status(529, body)), sha256="", ended_at=1)
    assert ANTHROPIC_MESSAGES.failure_status(terminal, same_dialect=True) == 529
    assert ANTHROPIC_MESSAGES.failure_status(terminal, same_dialect=False) == 503
    shown = json.loads(ANTHROPIC_MESSAGES.terminal_error(terminal, same_dialect=True))
    assert shown["error"]["type"] == "overloaded_error"
    others = [dialect for dialect in client_dialects().values() if dialect is not ANTHROPIC_MESSAGES]
    assert {dialect.failure_status(terminal, same_dialect=False) for dialect in others} == {503}


def test_gateway_that_is_busy_itself_is_not_taken_for_the_provider() -> None:
    for failure in (of_status(503, b""), of_status(429, error("rate_limit_error")), of_status(500, error("api_error"))):
        terminal = closing(Ending(Status.FAILED, failure), sha256="", ended_at=1)
        assert ANTHROPIC_MESSAGES.failure_status(terminal, same_dialect=True) == failure.status
