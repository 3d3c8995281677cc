"""What goes wrong before a response exists, as exception classes of the SDK and as plain HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.e2e.conftest import KINDS, ORIGIN, configured
from tests.e2e.harness import GatewayProcess
from tests.e2e.sdk.asking import MESSAGES, TEXT, body, key_hash, post, response_id

KEY_A, KEY_B = "hg-key-of-a", "hg-key-of-b"
KEYS = "".join(f'[[keys]]\nname = "{name}"\nhash = "{key_hash(key)}"\n' for name, key in (("a", KEY_A), ("b", KEY_B)))


@pytest.fixture(scope="module", params=list(KINDS))
def locked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway with two keys."""
    text = configured(keys=KEYS, server=f'cors_origins = ["{ORIGIN}"]')
    with KINDS[request.param].start(text, directory=tmp_path_factory.mktemp("locked")) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def stranger(locked: GatewayProcess) -> Iterator[OpenAI]:
    """The SDK; `as_owner` gives it a key."""
    with OpenAI(base_url=locked.url + "/v1", api_key="none", max_retries=0, timeout=30) as sdk:
        yield sdk


@pytest.fixture(scope="module")
def door(locked: GatewayProcess) -> Iterator[httpx.Client]:
    """Plain HTTP without a key."""
    with httpx.Client(base_url=locked.url, timeout=30) as plain:
        yield plain


def as_owner(stranger: OpenAI, key: str) -> OpenAI:
    return stranger.with_options(api_key=key)


# keys


@pytest.mark.parametrize("key", ["wrong", KEY_A + "x", KEY_A[:-1], key_hash(KEY_A), "x" * 10_000])
def test_wrong_key_is_unauthorized_everywhere(stranger: OpenAI, key: str) -> None:
    sdk = as_owner(stranger, key)
    for ask in (
        lambda: sdk.models.list(),
        lambda: sdk.models.retrieve("sim"),
        lambda: sdk.chat.completions.create(model="sim", messages=MESSAGES),
        lambda: sdk.chat.completions.create(model="sim", messages=MESSAGES, stream=True),
        lambda: sdk.responses.retrieve("resp_" + "0" * 32),
        lambda: sdk.responses.cancel("resp_" + "0" * 32),
    ):
        with pytest.raises(openai.AuthenticationError) as refused:
            ask()
        assert refused.value.code == "unauthorized"
        assert refused.value.response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer  x", KEY_A, f"Basic {KEY_A}", f"Bearer{KEY_A}", "Bearer \xe9", f"Bearer {KEY_A} x"],
)
def test_no_readable_key_is_unauthorized(door: httpx.Client, authorization: str | None) -> None:
    headers = [] if authorization is None else [(b"authorization", authorization.encode("latin-1"))]
    for method, path in (
        ("GET", "/v1/models"),
        ("GET", "/metrics"),
        ("GET", "/v1/responses/resp_" + "0" * 32 + "/events"),
        ("POST", "/v1/chat/completions"),
    ):
        answer = door.request(method, path, headers=headers)
        assert answer.status_code == 401, path
        assert KEY_A not in answer.text


def test_health_needs_no_key(door: httpx.Client) -> None:
    assert door.get("/healthz").status_code == 200
    assert door.get("/readyz").status_code == 200


def test_right_key_is_served_and_the_scheme_is_spelt_as_one_likes(stranger: OpenAI, door: httpx.Client) -> None:
    sdk = as_owner(stranger, KEY_A)
    assert sdk.chat.completions.create(model="sim-fast-t3", messages=MESSAGES).choices[0].message.content
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert door.get("/v1/models", headers={"authorization": f"{scheme} {KEY_A}"}).status_code == 200


def test_response_of_another_key_is_answered_like_one_that_never_was(door: httpx.Client) -> None:
    """The same status, headers and bytes on every endpoint, for a response that runs and one that has ended."""
    as_a, as_b = ({"authorization": f"Bearer {key}"} for key in (KEY_A, KEY_B))
    ended = response_id(door.post("/v1/chat/completions", json=body("sim-fast-t3"), headers=as_a))
    with door.stream(
        "POST", "/v1/chat/completions", json=body("sim-t5000-r50-f0", stream=True), headers=as_a
    ) as answer:
        running = response_id(answer)
        for id_ in (ended, running):
            for method, path in (("GET", ""), ("GET", "/events"), ("GET", "/events?after=1"), ("POST", "/cancel")):
                theirs = door.request(method, f"/v1/responses/{id_}{path}", headers=as_b)
                nobodys = door.request(method, f"/v1/responses/resp_{'0' * 32}{path}", headers=as_b)
                assert theirs.status_code == 404
                assert theirs.content == nobodys.content
                assert {**theirs.headers, "date": ""} == {**nobodys.headers, "date": ""}
        assert door.get(f"/v1/responses/{running}", headers=as_a).json()["status"] == "in_progress"
        assert door.get(f"/v1/responses/{ended}/events", headers=as_a).status_code == 200
        door.post(f"/v1/responses/{running}/cancel", headers=as_a).raise_for_status()


def test_sdk_of_another_key_finds_nothing(stranger: OpenAI) -> None:
    mine, theirs = as_owner(stranger, KEY_A), as_owner(stranger, KEY_B)
    id_ = mine.chat.completions.with_raw_response.create(model="sim-fast-t3", messages=MESSAGES).headers[
        "headgate-response-id"
    ]
    for ask in (theirs.responses.retrieve, theirs.responses.cancel):
        with pytest.raises(openai.NotFoundError) as refused:
            ask(id_)
        assert refused.value.code == "not_found"
    assert mine.responses.retrieve(id_).status == "completed"


# requests that cannot be served


def test_unknown_model_names_the_known_ones(client: OpenAI) -> None:
    for stream in (True, False):
        with pytest.raises(openai.NotFoundError) as refused:
            client.chat.completions.create(model="gpt-nonsense", messages=MESSAGES, stream=stream)
        assert refused.value.code == "model_not_found"
        assert refused.value.param == "model"
        assert "sim*" in refused.value.message
        assert "streamed/*" in refused.value.message
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-nonsense")


def test_model_that_only_the_provider_does_not_know_is_its_404(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model="sim-nonsense", messages=MESSAGES)
    assert "sim-reasoning" in refused.value.message


@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        ("model", 5, "model"),
        ("model", None, "model"),
        ("model", "", "model"),
        ("model", "x" * 257, "model"),
        ("model", "line\nbreak", "model"),
        ("messages", "hello", "messages"),
        ("messages", [], "messages"),
        ("messages", ["hello"], "messages"),
        ("messages", None, "messages"),
        ("stream", "yes", "stream"),
        ("stream", 1, "stream"),
        ("stream_options", [], "stream_options"),
        ("stream_options", {"include_usage": "yes"}, "stream_options.include_usage"),
        ("n", "two", "n"),
        ("n", 0, "n"),
        ("n", -1, "n"),
        ("n", 10**6, "n"),
        ("n", 1.5, "n"),
        ("n", True, "n"),
        ("tools", {}, "tools"),
        ("temperature", "hot", "temperature"),
        ("max_tokens", "many", "max_tokens"),
    ],
)
def test_wrong_type_is_a_bad_request_that_names_the_field(client: OpenAI, field: str, value: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.post("/chat/completions", cast_to=object, body={**body(TEXT), field: value})
    assert refused.value.code == "invalid_request"
    assert refused.value.param == param


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"nonsense",
        b"{'model': 'sim'}",
        b'{"model": "sim", "messages": [],}',
        b"\xff\xfe",
        b'{"model": "\xff"}',
        b'{"model": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"model": NaN}',
        b"null",
        b"[]",
        b'"text"',
        b"1" * 100_000,
    ],
    ids=lambda data: data[:12].decode("latin-1"),
)
def test_body_that_is_no_json_object_is_a_bad_request(http: httpx.Client, data: bytes) -> None:
    answer = http.post("/v1/chat/completions", content=data, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text[:200]
    error = answer.json()["error"]
    assert error["code"] in ("invalid_json", "invalid_request")
    assert error["type"] == "invalid_request_error"
    assert set(error) == {"message", "type", "param", "code"}


def test_unpaired_surrogates_and_control_characters_in_text_do_no_harm(http: httpx.Client) -> None:
    text = json.dumps("\x00\x1b\u2028\U0001f600 ")
    data = f'{{"model": "sim-fast-t3", "messages": [{{"role": "user", "content": {text}}}]}}'
    answer = http.post("/v1/chat/completions", content=data, headers={"content-type": "application/json"})
    assert answer.status_code == 200


def test_oversized_body_is_413_whether_it_is_declared_or_not(http: httpx.Client) -> None:
    huge = json.dumps(body("sim", padding="x" * 1_100_000)).encode()
    declared = http.post("/v1/chat/completions", content=huge, headers={"content-type": "application/json"})
    chunked = http.post(
        "/v1/chat/completions",
        content=(huge[start : start + 50_000] for start in range(0, len(huge), 50_000)),
        headers={"content-type": "application/json"},
    )
    for answer in (declared, chunked):
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "body_too_large"


def test_sdk_shows_an_oversized_body_as_a_status_error(client: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        client.chat.completions.create(model="sim", messages=[{"role": "user", "content": "x" * 1_100_000}])
    assert refused.value.status_code == 413
    assert refused.value.code == "body_too_large"


def test_body_just_under_the_limit_is_served(http: httpx.Client) -> None:
    assert post(http, "sim-fast-t3", padding="x" * 1_040_000).status_code == 200


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
    ],
)
def test_other_media_types_are_415(http: httpx.Client, content_type: str | None) -> None:
    """What a page of a foreign origin may send without asking first is among them."""
    headers = {} if content_type is None else {"content-type": content_type}
    answer = http.post("/v1/chat/completions", content=json.dumps(body("sim-fast-t3")), headers=headers)
    assert answer.status_code == 415
    assert answer.json()["error"]["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json ;x=y"]
)
def test_json_media_type_may_have_parameters(http: httpx.Client, content_type: str) -> None:
    answer = http.post(
        "/v1/chat/completions", content=json.dumps(body("sim-fast-t3")), headers={"content-type": content_type}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("PUT", "/v1/chat/completions", "POST"),
        ("DELETE", "/v1/chat/completions", "POST"),
        ("HEAD", "/v1/chat/completions", "POST"),
        ("OPTIONS", "/v1/chat/completions", "POST"),
        ("BREW", "/v1/chat/completions", "POST"),
        ("POST", "/v1/models", "GET"),
        ("PUT", "/v1/models/sim", "GET"),
        ("PATCH", "/v1/responses/resp_" + "0" * 32, "GET"),
        ("GET", "/v1/responses/resp_" + "0" * 32 + "/cancel", "POST"),
        ("POST", "/v1/responses/resp_" + "0" * 32 + "/events", "GET"),
        ("POST", "/healthz", "GET"),
    ],
)
def test_other_methods_are_405_and_the_answer_says_which_there_are(
    http: httpx.Client, method: str, path: str, allow: str
) -> None:
    answer = http.request(method, path)
    if method == "BREW" and answer.status_code == 400:
        return  # the HTTP parser knows its methods
    assert answer.status_code == 405
    assert allow in answer.headers["allow"]
    if method == "HEAD":
        assert answer.content == b""


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/", "/v1/chat/completions/", "/v1//models", "/V1/models", "/v1/responses/", "/v1/responses/a/b/c",
     "/v1/responses/a/b", "/..%2f..%2fetc/passwd", "/v1/models/../../healthz%00", "/%ff%fe", "/v1/embeddings"],
)  # fmt: skip
def test_unknown_paths_are_404(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 404, answer.text
    assert "etc/passwd" not in answer.headers.get("location", "")


def test_errors_have_the_shape_of_the_endpoint_they_are_of(http: httpx.Client) -> None:
    missing = "resp_" + "0" * 32
    for path in ("/v1/models/gpt-nonsense", f"/v1/responses/{missing}"):
        answer = http.get(path)
        assert answer.headers["content-type"] == "application/json"
        assert set(answer.json()) == {"error"}
    answer = http.get(f"/v1/responses/{missing}/events")
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail", "code"}


def test_health_answers_head_requests(http: httpx.Client) -> None:
    """Load balancers and uptime checks ask with HEAD."""
    for path in ("/healthz", "/readyz"):
        answer = http.head(path)
        assert answer.status_code == 200
        assert answer.content == b""


def test_sdk_waits_as_long_as_a_rate_limit_says_and_asks_again(gateway: GatewayProcess) -> None:
    asked = 0

    def count(_: Any) -> None:
        nonlocal asked
        asked += 1

    with OpenAI(base_url=gateway.url + "/v1", api_key="none", max_retries=1) as sdk:
        sdk._client.event_hooks["request"].append(count)
        with pytest.raises(openai.RateLimitError) as refused:
            sdk.chat.completions.create(model="sim-fast+429@0.01", messages=MESSAGES)
    assert asked == 2
    assert refused.value.response.headers["retry-after"] == "0.01"
