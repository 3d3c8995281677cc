"""What a provider's errors mean (the table in PROTOCOL.md section 3), and what clients are shown of them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from headgate.dialects.openai_chat.failures import error_object, failure_in_band, read_failure
from headgate.errors import CODES
from headgate.events import Blame, Status, Terminal


def body(**fields: Any) -> bytes:
    return json.dumps({"error": fields}).encode()


@pytest.mark.parametrize(
    ("status", "code", "shown"),
    [
        *((status, "upstream_rejected", status) for status in (400, 404, 405, 413, 415, 422)),
        *((status, "upstream_auth", 502) for status in (401, 403)),
        (429, "upstream_rate_limited", 429),
        *((status, "upstream_error", 502) for status in (402, 408, 409, 418, 500, 501, 502, 599)),
        (529, "upstream_error", 503),
        *((status, "upstream_error", 502) for status in (301, 304, 199, 600)),
        (503, "upstream_error", 503),
        (504, "upstream_error", 504),
    ],
)
def test_http_status_means_what_the_protocol_says(status: int, code: str, shown: int) -> None:
    failure = read_failure(status, {}, body(message="no", type="t", code="c", param="p"))
    assert (failure.code, failure.status) == (code, shown)
    assert failure.code in CODES


def test_rejection_passes_the_providers_words_on_and_a_refused_key_does_not() -> None:
    given = body(message="Unknown model sk-1234", type="t", code="c", param="model", secret="x")
    rejected = read_failure(404, {}, given)
    assert (rejected.message, rejected.detail) == (
        "Unknown model sk-1234",
        {"type": "t", "param": "model", "code": "c"},
    )
    refused = read_failure(401, {}, given)
    assert "sk-1234" not in refused.message
    assert refused.detail is None


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize(
    ("header", "seconds"),
    [("3", 3.0), ("0.5", 0.5), ("-1", None), ("nan", None), ("inf", None), ("1e9", None), ("soon", None), ("", None)],
)
def test_retry_after_is_passed_on_where_it_is_believable(status: int, header: str, seconds: float | None) -> None:
    assert read_failure(status, {"retry-after": header}, b"").retry_after_s == seconds


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"<html>",
        b"\xff",
        b"[1]",
        b"null",
        b'"text"',
        b'{"error":null}',
        b'{"error":[]}',
        b'{"error":{"message":7}}',
    ],
)
def test_error_page_that_is_no_error_object_is_still_a_failure(given: bytes) -> None:
    failure = read_failure(500, {}, given)
    assert failure.code == "upstream_error"
    assert failure.message


@pytest.mark.parametrize(
    ("chunk", "code"),
    [
        ({"error": {"message": "m", "code": "rate_limit_exceeded"}}, "upstream_rate_limited"),
        ({"error": {"message": "m", "type": "insufficient_quota"}}, "upstream_rate_limited"),
        ({"error": {"message": "m", "code": 429}}, "upstream_rate_limited"),
        ({"error": {"message": "m", "status": 429}}, "upstream_rate_limited"),
        ({"object": "error", "message": "m", "code": 429}, "upstream_rate_limited"),
        ({"error": {"message": "m", "code": None, "type": "server_error"}}, "upstream_error"),
        ({"error": "m"}, "upstream_error"),
        ({"message": "m", "status": 503}, "upstream_error"),
        ("m", "upstream_error"),
    ],
)
def test_error_in_a_200_is_found_in_every_spelling(chunk: Any, code: str) -> None:
    failure = failure_in_band(chunk)
    assert (failure.code, failure.message) == (code, "m")


def test_error_object_of_any_size_fits_into_the_journal() -> None:
    words = {"type": "t" * 10_000, "code": 10**30, "param": -(2**60)}
    failure = failure_in_band({"error": {"message": "m" * 10_000, **words}})
    terminal = Terminal(Status.FAILED, failure.code, Blame.UPSTREAM, message=failure.message, detail=failure.detail)
    assert len(msgspec.msgpack.encode(terminal)) < 3000


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (409, "invalid_request_error"),
        (429, "rate_limit_error"),
        (499, "cancelled"),
        (500, "server_error"),
        (504, "server_error"),
    ],
)
def test_type_of_an_error_object_follows_its_status(status: int, kind: str) -> None:
    shown = json.loads(error_object("m", status=status, code="c"))
    assert shown == {"error": {"message": "m", "type": kind, "param": None, "code": "c"}}


def test_providers_own_error_object_keeps_its_fields() -> None:
    shown = json.loads(error_object("m", status=404, code="c", detail={"type": "t", "code": "d", "param": None}))
    assert shown == {"error": {"message": "m", "type": "t", "param": None, "code": "d"}}


MISSING = {"type": "missing", "loc": ["body", "messages", 0], "msg": "Field required"}
EXTRA = {"type": "extra_forbidden", "loc": ["body", "user"], "msg": "Extra inputs are not permitted", "input": "u"}
BOTH = "body.messages.0: Field required; body.user: Extra inputs are not permitted"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"detail": [MISSING, EXTRA]}, BOTH),
        ({"object": "error", "message": {"detail": [MISSING, EXTRA]}, "type": "invalid_request_error"}, BOTH),
        ({"object": "Error", "message": [MISSING, EXTRA], "detail": [MISSING], "code": 3001}, BOTH),
        ({"object": "error", "message": json.dumps({"detail": [MISSING, EXTRA]}, separators=(",", ":"))}, BOTH),
        ({"message": None, "detail": [EXTRA]}, "body.user: Extra inputs are not permitted"),
        ({"detail": "Not found"}, "Not found"),
        ({"detail": [{"msg": "No place"}, 3, {"msg": 4, "loc": []}]}, "No place"),
        ({"message": {"detail": "Unauthorized model"}}, "Unauthorized model"),
        ({"message": '{"detail": 3}'}, '{"detail": 3}'),
        ({"message": '{"detail": [broken'}, '{"detail": [broken'),
        ({"message": '{"detail": "\\ud800"}'}, '{"detail": "\\ud800"}'),
        ({"message": {"detail": [3]}, "detail": {}}, "The provider answered with status 422."),
    ],
)
def test_error_of_a_server_that_says_it_in_pieces_is_a_sentence(given: Any, said: str) -> None:
    assert read_failure(422, {}, json.dumps(given).encode()).message == said


def test_error_with_a_piece_for_each_field_of_each_message_is_not_endless() -> None:
    message = read_failure(422, {}, json.dumps({"detail": [EXTRA] * 1000}).encode()).message
    assert message.count("Extra inputs") == 20
