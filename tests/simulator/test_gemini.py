"""Google's Gemini API, with Google's own SDK for a judge."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest
from google import genai
from google.genai import errors, types

from headgate.simulator import Simulator
from headgate.simulator.dialect import Dialect
from tests.simulator.sockets import serve
from tests.simulator.speaking import ASKED, FUNCTIONS, objects, played, read

DECLARED: Final = [{"name": one["name"], "parameters_json_schema": one["parameters"]} for one in FUNCTIONS]
TOOLS: Final[dict[str, Any]] = {"tools": [{"function_declarations": DECLARED}]}
MANUAL: Final = {"automatic_function_calling": {"disable": True}}

Models = Any
"""`client.aio.models`."""


def with_sdk(test: Callable[[Models], Awaitable[None]], *, version: str = "v1beta") -> None:
    async def run(simulator: Simulator) -> None:
        options = types.HttpOptions(
            base_url=simulator.root, api_version=version, retry_options=types.HttpRetryOptions(attempts=1)
        )
        client = genai.Client(api_key="any", http_options=options)
        try:
            await test(client.aio.models)
        finally:
            await client.aio.aclose()
            client.close()

    serve(run)


async def drain(models: Models, model: str, **config: Any) -> list[types.GenerateContentResponse]:
    stream = await models.generate_content_stream(model=model, contents=ASKED, config={**MANUAL, **config})
    return [chunk async for chunk in stream]


async def whole(models: Models, model: str, **config: Any) -> types.GenerateContentResponse:
    answer = await models.generate_content(model=model, contents=ASKED, config={**MANUAL, **config})
    assert isinstance(answer, types.GenerateContentResponse)
    return answer


def test_stream_word_for_word() -> None:
    transcript = played(Dialect.GEMINI, "sim-fast-t20", stream=True)
    assert transcript.headers["content-type"] == "text/event-stream"
    *lines, tail, end = transcript.body.decode().split("\r\n")
    assert (tail, end) == ("", "")
    assert all(line.startswith("data: {") for line in lines[::2])
    assert set(lines[1::2]) == {""}
    chunks = objects(transcript.body)
    text = [chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in chunks]
    prompt = {"promptTokenCount": 6, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 6}]}
    rest = {"modelVersion": "sim-fast-t20", "responseId": chunks[0]["responseId"]}
    assert chunks == [
        {
            "candidates": [
                {
                    "content": {"parts": [{"text": said}], "role": "model"},
                    **({"finishReason": "STOP"} if spent == 20 else {}),
                    "index": 0,
                }
            ],
            "usageMetadata": {**prompt, "candidatesTokenCount": spent, "totalTokenCount": 6 + spent},
            **rest,
        }
        for said, spent in zip(text, (1, 17, 20), strict=True)
    ]


MODELS: Final = [
    "sim-fast",
    "sim-fast-t0",
    "sim-fast-t1",
    "sim-fast-t17",
    "sim-fast-long",
    "sim-fast-reasoning",
    "sim-fast-redacted",
    "sim-fast-parallel-reasoning",
    "sim-fast-refusal",
    "sim-fast-cached",
    "sim-fast+bare-finish",
]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("version", ["v1beta", "v1"])
def test_sdk_reads_the_stream_as_the_whole_answer(model: str, version: str) -> None:
    async def test(models: Models) -> None:
        chunks = await drain(models, model, **TOOLS)
        answer = await whole(models, model, **TOOLS)
        parts = [part for chunk in chunks for part in chunk.parts or ()]
        assert "".join(part.text or "" for part in parts if not part.thought) == (answer.text or "")
        thoughts = ["".join(part.text or "" for part in some if part.thought) for some in (parts, answer.parts or [])]
        assert thoughts[0] == thoughts[1]
        calls = [part.function_call for part in parts if part.function_call]
        assert calls == (answer.function_calls or [])
        assert [part.thought_signature for part in parts if part.thought_signature] == [
            part.thought_signature for part in answer.parts or () if part.thought_signature
        ]
        assert chunks[-1].usage_metadata == answer.usage_metadata
        reasons = [candidate.finish_reason for chunk in chunks for candidate in chunk.candidates or ()]
        assert reasons == [
            *[None] * (len(chunks) - 1),
            *(candidate.finish_reason for candidate in answer.candidates or ()),
        ]
        assert {chunk.response_id for chunk in chunks} != {None}

    with_sdk(test, version=version)


@pytest.mark.parametrize("model", ["sim-fast-t40", "sim-fast-parallel-reasoning", "sim-fast+blocked"])
def test_stream_without_sse_is_one_array_of_the_same_chunks(model: str) -> None:
    array = played(Dialect.GEMINI, model, array=True, tools=True)
    events = played(Dialect.GEMINI, model, stream=True, tools=True)
    assert array.headers["content-type"] == "application/json"
    chunks = json.loads(array.body)
    assert chunks == objects(events.body)
    assert len(array.writes) >= len(chunks)
    assert read(Dialect.GEMINI, array).text == read(Dialect.GEMINI, events).text


def test_candidates_are_interleaved_and_each_finishes() -> None:
    chunks = objects(played(Dialect.GEMINI, "sim-fast-t40", stream=True, n=3).body)
    order = [candidate["index"] for chunk in chunks for candidate in chunk["candidates"]]
    assert set(order) == {0, 1, 2}
    assert order != sorted(order)
    ends = [one["index"] for chunk in chunks for one in chunk["candidates"] if "finishReason" in one]
    assert ends == [0, 1, 2]
    whole = played(Dialect.GEMINI, "sim-fast-t40", n=3).whole
    assert len({one["content"]["parts"][0]["text"] for one in whole["candidates"]}) == 3


def test_usage_grows_from_chunk_to_chunk() -> None:
    chunks = objects(played(Dialect.GEMINI, "sim-fast-reasoning-t50", stream=True).body)
    totals = [chunk["usageMetadata"]["totalTokenCount"] for chunk in chunks]
    assert totals == sorted(set(totals))
    assert "candidatesTokenCount" not in chunks[0]["usageMetadata"]
    last = chunks[-1]["usageMetadata"]
    assert last["thoughtsTokenCount"] + last["candidatesTokenCount"] + 6 == last["totalTokenCount"]


def test_functions_are_called_whole_and_the_first_is_signed() -> None:
    chunks = objects(played(Dialect.GEMINI, "sim-fast-parallel-reasoning", stream=True, tools=True).body)
    parts = [part for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]
    calls = [part for part in parts if "functionCall" in part]
    assert [part["functionCall"]["name"] for part in calls] == ["open_gate", "close_gate"]
    assert ["thoughtSignature" in part for part in calls] == [True, False]


def test_schema_of_googles_own_kind() -> None:
    schema = {
        "type": "OBJECT",
        "properties": {"type": {"type": "STRING", "enum": ["up", "down"]}},
        "required": ["type"],
    }

    async def test(models: Models) -> None:
        config = {"response_mime_type": "application/json", "response_schema": schema}
        answer = await models.generate_content(model="sim-fast", contents=ASKED, config=config)
        assert json.loads(answer.text)["type"] in ("up", "down")

    with_sdk(test)


@pytest.mark.parametrize("version", ["v1beta", "v1"])
def test_tokens_are_counted_and_models_listed(version: str) -> None:
    async def test(models: Models) -> None:
        assert (await models.count_tokens(model="sim", contents=ASKED)).total_tokens == 6
        listed = [model.name async for model in await models.list(config={"query_base": True})]
        assert "models/sim-reasoning" in listed
        assert (await models.get(model="sim-t5+cut@3")).name == "models/sim-t5+cut@3"
        with pytest.raises(errors.ClientError) as refused:
            await models.get(model="gemini-9")
        assert refused.value.status == "NOT_FOUND"

    with_sdk(test, version=version)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"contents": []}, "contents"),
        ({"contents": [{}], "generationConfig": {"candidateCount": 9}}, "generationConfig.candidateCount"),
        ({"contents": [{}], "generationConfig": {"candidateCount": "x"}}, "generationConfig.candidateCount"),
        ({"contents": [{}], "generationConfig": {"maxOutputTokens": 0}}, "generationConfig.maxOutputTokens"),
        ({"contents": [{}], "generationConfig": {"stopSequences": ["a"] * 6}}, "generationConfig.stopSequences"),
        (
            {"contents": [{}], "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
            "toolConfig.functionCallingConfig.mode",
        ),
        (
            {"contents": [{}], "toolConfig": {"functionCallingConfig": {"mode": "OFTEN"}}},
            "toolConfig.functionCallingConfig.mode",
        ),
    ],
)
def test_bad_field_is_refused_by_name(body: dict[str, Any], field: str) -> None:
    async def test(models: Models) -> None:
        with pytest.raises(errors.ClientError) as refused:
            await models._api_client.async_request("post", "models/sim:generateContent", body)
        assert refused.value.status == "INVALID_ARGUMENT"
        (details,) = refused.value.details["error"]["details"]
        assert details["fieldViolations"][0]["field"] == field

    with_sdk(test)


@pytest.mark.parametrize(
    ("fault", "error", "status"),
    [
        ("429@7", errors.ClientError, "RESOURCE_EXHAUSTED"),
        ("500", errors.ServerError, "INTERNAL"),
        ("503", errors.ServerError, "UNAVAILABLE"),
        ("401", errors.ClientError, "UNAUTHENTICATED"),
        ("400", errors.ClientError, "INVALID_ARGUMENT"),
        ("404", errors.ClientError, "NOT_FOUND"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_statuses_as_the_sdk_shows_them(fault: str, error: type[errors.APIError], status: str, stream: bool) -> None:
    async def test(models: Models) -> None:
        ask = drain if stream else whole
        with pytest.raises(error) as refused:
            await ask(models, f"sim-fast+{fault}")
        assert (refused.value.code, refused.value.status) == (int(fault.partition("@")[0]), status)
        if fault == "429@7":
            assert refused.value.details["error"]["details"][0]["retryDelay"] == "7s"

    with_sdk(test)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("sim-fast+length", "MAX_TOKENS"),
        ("sim-fast+content-filter", "SAFETY"),
        ("sim-fast+recitation", "RECITATION"),
        ("sim-fast-refusal", "SAFETY"),
        ("sim-fast-t30+refused@5", "SAFETY"),
        ("sim-fast-tools+malformed-call", "MALFORMED_FUNCTION_CALL"),
    ],
)
def test_reasons_for_the_end(model: str, reason: str) -> None:
    async def test(models: Models) -> None:
        last = (await drain(models, model, **TOOLS))[-1]
        answer = await whole(models, model, **TOOLS)
        for one in (last, answer):
            assert [candidate.finish_reason for candidate in one.candidates or ()] == [types.FinishReason(reason)]
        assert not answer.function_calls

    with_sdk(test)


def test_blocked_prompt_has_no_candidates() -> None:
    async def test(models: Models) -> None:
        (chunk,) = await drain(models, "sim-fast+blocked")
        for answer in (chunk, await whole(models, "sim-fast+blocked")):
            assert answer.candidates is None
            assert answer.prompt_feedback is not None
            assert answer.prompt_feedback.block_reason is types.BlockedReason.PROHIBITED_CONTENT

    with_sdk(test)
