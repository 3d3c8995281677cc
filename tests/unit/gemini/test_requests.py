"""A client's request read, a provider's written, and the small answers beside them."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from google.genai import types

from headgate.dialects.gemini import GEMINI
from headgate.dialects.gemini.request import (
    CHOICES_MAX,
    FOREIGN_SIGNATURE,
    MODEL_CHARS_MAX,
    model_object,
)
from headgate.errors import RequestError
from headgate.request import CreateRequest

LEAST: Final[dict[str, Any]] = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def read(body: Any = None, *, model: str = "m", stream: bool = False, **fields: Any) -> CreateRequest:
    return GEMINI.read_request(json.dumps(body or LEAST | fields).encode(), model=model, stream=stream)


def refusal(body: bytes, model: str = "m") -> RequestError:
    with pytest.raises(RequestError) as refused:
        GEMINI.read_request(body, model=model, stream=False)
    assert refused.value.status == 400
    return refused.value


def test_request_says_what_the_gateway_has_to_know_of_it() -> None:
    request = read(model="models/gemini-x", stream=True, generationConfig={"candidateCount": 3}, unknown={"a": 1})
    assert (request.dialect, request.model) == ("gemini", "gemini-x")
    assert (request.stream, request.include_usage, request.choices) == (True, True, 3)
    assert request.body["unknown"] == {"a": 1}


def test_names_may_be_spelt_both_ways() -> None:
    request = read(generation_config={"candidate_count": 2}, system_instruction={"parts": []})
    assert request.choices == 2
    assert request.text == [LEAST["contents"], {"parts": []}]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"contents": None}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": "Hi"}, "contents"),
        ({"contents": ["Hi"]}, "contents"),
        ({"contents": [{"parts": {}}]}, "contents[0].parts"),
        ({"contents": [{}, {"parts": ["Hi"]}]}, "contents[1].parts"),
        ({"systemInstruction": "Be brief."}, "systemInstruction"),
        ({"tools": {}}, "tools"),
        ({"tools": [1]}, "tools[0]"),
        ({"tool_config": []}, "tool_config"),
        ({"generationConfig": []}, "generationConfig"),
        ({"generationConfig": {"candidateCount": 0}}, "generationConfig.candidateCount"),
        ({"generation_config": {"candidate_count": CHOICES_MAX + 1}}, "generation_config.candidate_count"),
        ({"generationConfig": {"candidateCount": "2"}}, "generationConfig.candidateCount"),
        ({"generationConfig": {"candidateCount": True}}, "generationConfig.candidateCount"),
    ],
)
def test_field_of_the_wrong_type_is_named(fields: dict[str, Any], param: str) -> None:
    refused = refusal(json.dumps(LEAST | fields).encode())
    assert (refused.code, refused.param) == ("invalid_request", param)
    assert json.loads(GEMINI.error_body(refused))["error"]["status"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    assert refusal(body).code == "invalid_json"


@pytest.mark.parametrize("model", ["", "models/", "x" * (MODEL_CHARS_MAX + 1), "a\nb"])
def test_model_names_are_checked(model: str) -> None:
    assert refusal(json.dumps(LEAST).encode(), model).param == "model"


def test_request_for_a_provider_of_the_same_dialect_is_the_body_as_it_came() -> None:
    request = read(
        LEAST | {"model": "models/x", "stream": True, "generation_config": {"top_k": 4}, "labels": {"a": "b"}}
    )
    upstream = GEMINI.write_request(request, model="gemini-y", stream=True)
    assert json.loads(upstream.body) == LEAST | {"generation_config": {"top_k": 4}, "labels": {"a": "b"}}
    assert upstream.path == "/v1beta/models/gemini-y:streamGenerateContent?alt=sse"
    assert upstream.stream


@pytest.mark.parametrize(
    ("part", "signed"),
    [
        ({"functionCall": {"name": "f"}}, True),
        ({"function_call": {"name": "f"}, "thought_signature": None}, True),
        ({"functionCall": {"name": "f"}, "thoughtSignature": "theirs"}, False),
        ({"function_call": {"name": "f"}, "thought_signature": "theirs"}, False),
        ({"functionCall": None, "text": "x"}, False),
    ],
)
def test_first_call_of_a_turn_that_nobody_signed_gets_googles_placeholder(part: dict[str, Any], signed: bool) -> None:
    turn = {"role": "model", "parts": [{"text": "Let me see."}, part, {"functionCall": {"name": "g"}}]}
    if part.get("functionCall", ...) is None:
        turn["parts"] = [part]
    request = read({"contents": [*LEAST["contents"], turn]})
    sent = json.loads(GEMINI.write_request(request, model="gemini-3.1-pro", stream=False).body)["contents"]
    wanted = part | {"thoughtSignature": FOREIGN_SIGNATURE} if signed else part
    assert sent == [*LEAST["contents"], turn | {"parts": [wanted if one is part else one for one in turn["parts"]]}]
    older = json.loads(GEMINI.write_request(request, model="gemini-2.5-pro", stream=False).body)
    assert older == request.body


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-3.1-pro", "/v1beta/models/gemini-3.1-pro:generateContent"),
        ("models/gemini-3.1-pro", "/v1beta/models/gemini-3.1-pro:generateContent"),
        ("tunedModels/mine-1", "/v1beta/tunedModels/mine-1:generateContent"),
        ("a b/../c?d", "/v1beta/models/a%20b%2F..%2Fc%3Fd:generateContent"),
        ("größe", "/v1beta/models/gr%C3%B6%C3%9Fe:generateContent"),
    ],
)
def test_model_stands_in_the_path(model: str, path: str) -> None:
    assert GEMINI.write_request(read(), model=model, stream=False).path == path


def test_credential_is_a_header() -> None:
    assert GEMINI.headers("k") == {"x-goog-api-key": "k"}
    assert GEMINI.headers(None) == {}


def test_models_are_listed_as_the_sdk_reads_them() -> None:
    shown = {"models": [model_object(name) for name in ("gemini-x", "gpt-5")]}
    assert [model["name"] for model in shown["models"]] == ["models/gemini-x", "models/gpt-5"]
    assert GEMINI.read_models(json.dumps(shown).encode()) == ["gemini-x", "gpt-5"]
    assert types.Model(name=model_object("m")["name"], display_name=model_object("m")["displayName"])


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"models": [{"name": "models/a"}, {"name": "tunedModels/b"}, {"name": 7}, 8]}, ["a", "tunedModels/b"]),
        ({"models": [{"name": "models/e", "supportedGenerationMethods": ["embedContent"]}]}, []),
        ({"models": {}}, []),
        ([], []),
        ({}, []),
    ],
)
def test_models_of_a_provider_are_those_that_generate(body: Any, names: list[str]) -> None:
    assert GEMINI.read_models(json.dumps(body).encode()) == names
    assert GEMINI.read_models(b"<html>") == []


def test_tokens_are_counted_of_contents_or_of_a_whole_request() -> None:
    bare = GEMINI.read_count(json.dumps(LEAST).encode(), model="models/m")
    inside = {"generateContentRequest": LEAST | {"model": "models/m", "systemInstruction": {"parts": [{"text": "x"}]}}}
    whole = GEMINI.read_count(json.dumps(inside).encode(), model="m")
    assert (bare.model, bare.text) == ("m", [LEAST["contents"]])
    assert whole.text == [LEAST["contents"], {"parts": [{"text": "x"}]}]
    assert json.loads(GEMINI.count_answer(17)) == {"totalTokens": 17}
    with pytest.raises(RequestError):
        GEMINI.read_count(b'{"generateContentRequest": 3}', model="m")
