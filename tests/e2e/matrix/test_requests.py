"""Requests that cannot be served, as the exceptions of every SDK, and those that are served only in part."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.harness import GatewayProcess
from tests.e2e.matrix.conftest import configured
from tests.e2e.matrix.desk import Desk
from tests.e2e.matrix.outcomes import KINDS
from tests.e2e.matrix.seen import DIALECTS, Job, Seen
from tests.e2e.matrix.words import Ask, said
from tests.e2e.sdk.asking import key_hash

each_client = pytest.mark.parametrize("client", DIALECTS)
each_mode = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
KEY = "hg-key-of-a"
MODEL = "sim-fast-t5"

MALFORMED: dict[str, tuple[dict[str, Any], str]] = {
    # client dialect: (fields of the wrong type, the field that the error names)
    "openai-chat": ({"messages": [{"role": "user", "content": 7}]}, "messages"),
    "openai-responses": ({"input": [{"role": "user", "content": 7}]}, "input"),
    "anthropic-messages": ({"messages": [{"role": "user", "content": 7}]}, "messages"),
    "gemini": ({"candidateCount": 1000}, "candidateCount"),
}
UNSUPPORTED: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    # client dialect: (fields, the first of them, dialects of providers that have no word for it)
    "openai-chat": (
        {"logit_bias": {"50256": -100}},
        "logit_bias",
        ("openai-responses", "anthropic-messages", "gemini"),
    ),
    "openai-responses": ({"max_tool_calls": 3}, "max_tool_calls", ("openai-chat", "anthropic-messages", "gemini")),
    "anthropic-messages": (
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        "thinking.budget_tokens",
        ("openai-chat", "openai-responses"),
    ),
    "gemini": (
        {"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]},
        "safetySettings",
        ("openai-chat", "openai-responses", "anthropic-messages"),
    ),
}


def refused(desk: Desk, gateway: GatewayProcess, job: Job, status: int) -> Seen:
    """What comes of a job that must fail with this status."""
    (seen,) = desk.ask(gateway.url, [job])
    assert seen.error is not None, seen
    assert (seen.error.kind, seen.error.status) == (KINDS[job.client][status], status), seen.error
    return seen


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway with a key."""
    keys = f'[[keys]]\nname = "a"\nhash = "{key_hash(KEY)}"\n'
    with GatewayProcess.start(configured(keys=keys), directory=tmp_path_factory.mktemp("locked")) as gateway:
        yield gateway


@each_mode
@each_client
def test_unknown_model_is_not_found(
    desk: Desk, crossing: GatewayProcess, language: str, client: str, stream: bool
) -> None:
    params = said(client, Ask(), stream=stream)
    for model in ("nobody-has-this", "gemini/nobody-has-this"):
        seen = refused(desk, crossing, Job(f"{language} {client}", model, params, stream=stream), 404)
        assert seen.error is not None
        assert "nobody-has-this" in seen.error.message


@each_mode
@each_client
def test_malformed_request_is_refused_and_the_field_named(
    desk: Desk, crossing: GatewayProcess, language: str, client: str, stream: bool
) -> None:
    fields, name = MALFORMED[client]
    for provider in DIALECTS:
        params = said(client, Ask(extra=fields), stream=stream)
        seen = refused(desk, crossing, Job(f"{language} {client}", f"{provider}/{MODEL}", params, stream=stream), 400)
        assert seen.error is not None
        assert name in seen.error.message


@each_mode
@each_client
def test_wrong_key_is_an_authentication_error_and_the_right_one_is_served(
    desk: Desk, locked: GatewayProcess, language: str, client: str, stream: bool
) -> None:
    params = said(client, Ask(), stream=stream)
    name = f"{language} {client}"
    refused(desk, locked, Job(name, f"gemini/{MODEL}", params, stream=stream, key="wrong"), 401)
    (seen,) = desk.ask(locked.url, [Job(name, f"gemini/{MODEL}", params, stream=stream, key=KEY)])
    assert seen.error is None
    assert seen.text


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v1/chat/completions", ("error", "code")),
        ("/v1/responses", ("error", "code")),
        ("/v1/messages", ("error", "type")),
        ("/v1beta/models/gemini/sim:generateContent", ("error", "status")),
        ("/v1alpha/models/gemini/sim:generateContent", ("error", "status")),
    ],
)
def test_no_key_at_all_is_refused_in_the_words_of_the_path(
    locked: GatewayProcess, path: str, shape: tuple[str, str]
) -> None:
    answer = httpx.post(locked.url + path, json={})
    assert answer.status_code == 401
    error, field = shape
    assert answer.json()[error][field]


@pytest.mark.parametrize("provider", DIALECTS)
@each_client
def test_field_that_the_provider_has_no_word_for_is_refused_and_both_are_named(
    desk: Desk, crossing: GatewayProcess, language: str, client: str, provider: str
) -> None:
    fields, name, providers = UNSUPPORTED[client]
    params = said(client, Ask(extra=fields))
    job = Job(f"{language} {client}", f"{provider}/{MODEL}", params)
    if provider not in providers:
        (seen,) = desk.ask(crossing.url, [job])
        assert seen.error is None
        return
    error = refused(desk, crossing, job, 400).error
    assert error is not None
    assert name in error.message
    assert provider in error.message


@pytest.mark.parametrize("provider", DIALECTS)
@each_client
def test_field_is_dropped_and_recorded_where_the_route_allows_it(
    desk: Desk, crossing: GatewayProcess, plain: httpx.Client, language: str, client: str, provider: str
) -> None:
    fields, name, providers = UNSUPPORTED[client]
    params = said(client, Ask(extra=fields))
    (seen,) = desk.ask(crossing.url, [Job(f"{language} {client}", f"dropping-{provider}/{MODEL}", params)])
    assert seen.error is None
    assert seen.text
    lines = plain.get(f"/v1/responses/{seen.response_id}/events?format=ndjson").text.splitlines()
    attempts = [event for event in map(json.loads, lines) if event["type"] == "attempt.started"]
    dropped = [path for event in attempts for path in event.get("dropped", ())]
    assert all(name in path for path in dropped)
    assert bool(dropped) == (provider in providers)


@each_mode
@pytest.mark.parametrize("provider", DIALECTS)
@pytest.mark.parametrize(("client", "field"), [("openai-chat", "n"), ("gemini", "candidateCount")])
def test_answers_beyond_the_first_are_dropped_like_any_field_where_the_route_allows_it(
    desk: Desk, crossing: GatewayProcess, plain: httpx.Client, client: str, field: str, provider: str, stream: bool
) -> None:
    params = said(client, Ask(extra={field: 2}), stream=stream)
    job = Job(f"python {client}", f"dropping-{provider}/{MODEL}", params, stream=stream)
    (seen,) = desk.ask(crossing.url, [job])
    assert seen.error is None, seen.error
    choices = plain.get(f"/v1/responses/{seen.response_id}").json()["headgate"]["choices"]
    assert len(choices) == (2 if provider in ("openai-chat", "gemini") else 1)
