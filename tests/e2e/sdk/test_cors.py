"""What browsers of other origins may do: those that are configured everything, all others nothing."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e.conftest import ORIGIN
from tests.e2e.sdk.asking import post, response_id

FOREIGN = (
    "https://evil.example",
    "https://app.example.evil.example",
    "http://app.example",
    "https://APP.example",
    "null",
)


def preflight(http: httpx.Client, origin: str, path: str, method: str, headers: str) -> httpx.Response:
    asked = {"origin": origin, "access-control-request-method": method, "access-control-request-headers": headers}
    return http.options(path, headers=asked)


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [
        ("/v1/chat/completions", "POST", "authorization, content-type, headgate-resume, x-stainless-lang"),
        ("/v1/responses/resp_00000000000000000000000000000000/events", "GET", "last-event-id, authorization"),
        ("/v1/responses/resp_00000000000000000000000000000000/cancel", "POST", "authorization"),
        ("/v1/models", "GET", "authorization"),
    ],
)
def test_preflight_of_a_configured_origin_is_granted(http: httpx.Client, path: str, method: str, headers: str) -> None:
    answer = preflight(http, ORIGIN, path, method, headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert method in answer.headers["access-control-allow-methods"]
    allowed = {name.strip() for name in answer.headers["access-control-allow-headers"].lower().split(",")}
    assert {name.strip() for name in headers.split(",")} <= allowed
    assert int(answer.headers["access-control-max-age"]) > 0
    assert "origin" in answer.headers["vary"].lower()


@pytest.mark.parametrize("origin", FOREIGN)
def test_preflight_of_a_foreign_origin_is_refused(http: httpx.Client, origin: str) -> None:
    answer = preflight(http, origin, "/v1/chat/completions", "POST", "content-type")
    assert answer.status_code == 400
    assert "access-control-allow-origin" not in answer.headers


def test_answers_to_a_configured_origin_show_their_id_also_streams_and_errors(http: httpx.Client) -> None:
    as_page = {"origin": ORIGIN}
    id_ = response_id(post(http, "sim-fast-t3"))
    answers = [
        post(http, "sim-fast-t3", headers=as_page),
        post(http, "sim-fast-t3", headers=as_page, stream=True),
        post(http, "sim-fast+429", headers=as_page),
        post(http, "nonsense", headers=as_page),
        http.get(f"/v1/responses/{id_}", headers=as_page),
        http.get(f"/v1/responses/{id_}/events", headers=as_page),
        http.get("/v1/nothing", headers=as_page),
    ]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].lower().split(",")}
        assert {"headgate-response-id", "retry-after", "x-should-retry"} <= exposed
    assert answers[2].headers["retry-after"] == "1"


@pytest.mark.parametrize("origin", FOREIGN)
def test_answers_to_a_foreign_origin_cannot_be_read_by_its_page(http: httpx.Client, origin: str) -> None:
    for answer in (
        post(http, "sim-fast-t3", headers={"origin": origin}),
        http.get("/v1/models", headers={"origin": origin}),
    ):
        assert answer.headers.get("access-control-allow-origin") is None


def test_request_that_needs_no_preflight_starts_nothing(http: httpx.Client) -> None:
    """A form of any page may send these media types to us; none of them begins a response."""
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = http.post(
            "/v1/chat/completions",
            content='{"model":"sim-fast","messages":[{"role":"user","content":"x"}]}',
            headers={"origin": "https://evil.example", "content-type": media_type},
        )
        assert answer.status_code == 415
        assert "headgate-response-id" not in answer.headers


def test_without_an_origin_nothing_is_said_about_origins(http: httpx.Client) -> None:
    assert "access-control-allow-origin" not in post(http, "sim-fast-t3").headers
