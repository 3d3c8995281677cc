"""Everything Chat Completions can answer, as the official SDK reads it: streamed and whole say the same."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from openai import AsyncOpenAI, ContentFilterFinishReasonError, LengthFinishReasonError, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

from tests.e2e.harness import GatewayProcess
from tests.e2e.sdk.asking import MESSAGES, TEXT, TOOLS, text_of

USAGE: Any = {"include_usage": True}
ROUTES = ("", "streamed/", "whole/", "unstreamable/")
"""How the provider is asked: as the client asked, always streamed, always whole, and a provider that cannot stream."""


class Gate(BaseModel):
    """A structured answer."""

    name: str
    inches: int
    open: bool


def whole(client: OpenAI, model: str, **fields: Any) -> ChatCompletion:
    answer = client.chat.completions.create(model=model, messages=MESSAGES, **fields)
    assert isinstance(answer, ChatCompletion)
    return answer


def streamed(client: OpenAI, model: str, **fields: Any) -> list[ChatCompletionChunk]:
    return list(client.chat.completions.create(model=model, messages=MESSAGES, stream=True, **fields))


def accumulated(client: OpenAI, model: str, **fields: Any) -> ChatCompletion:
    """What the SDK's own accumulator makes of a stream."""
    with client.chat.completions.stream(model=model, messages=MESSAGES, **fields) as stream:
        return stream.get_final_completion()


def functions(answer: ChatCompletion) -> list[tuple[str, str, str]]:
    """Id, name and arguments of every call of the first choice."""
    calls = answer.choices[0].message.tool_calls or []
    return [(one.id, one.function.name, one.function.arguments) for one in calls if one.type == "function"]


def without_ids(answer: ChatCompletion) -> dict[str, Any]:
    """The answer without what belongs to one response alone: its id, its time, the digest of its request."""
    shown = answer.model_dump(exclude={"id", "created", "system_fingerprint"}, exclude_none=True)
    for choice in shown["choices"]:
        choice["message"].pop("annotations", None)  # whole answers of the provider have an empty list, streams nothing
        choice["message"].pop("parsed", None)
    return shown


@pytest.mark.parametrize("route", ROUTES)
def test_text_is_the_same_streamed_accumulated_and_whole_however_the_provider_is_asked(
    client: OpenAI, route: str
) -> None:
    expected = whole(client, TEXT).choices[0].message.content
    assert expected
    assert not expected.isascii()
    chunks = streamed(client, route + TEXT)
    assert text_of(chunks) == expected
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert all(chunk.usage is None for chunk in chunks)
    answer = whole(client, route + TEXT)
    assert answer.choices[0].message.content == expected
    assert accumulated(client, route + TEXT, stream_options=USAGE).choices[0].message.content == expected


@pytest.mark.parametrize("route", ROUTES)
def test_usage_comes_where_it_was_asked_for_and_counts_the_same(client: OpenAI, route: str) -> None:
    answer = whole(client, route + "sim-fast-t30")
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 30
    chunks = streamed(client, route + "sim-fast-t30", stream_options=USAGE)
    assert chunks[-1].choices == []
    assert chunks[-1].usage == answer.usage
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)


def test_tokens_arrive_one_by_one_and_not_at_the_end(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="sim-t500-r20-f0", messages=MESSAGES, stream=True)
    stream = raw.parse()
    assert text_of([next(stream) for _ in range(3)])
    assert client.responses.retrieve(raw.headers["headgate-response-id"]).status == "in_progress"
    stream.close()


@pytest.mark.parametrize("route", ROUTES)
def test_several_choices_keep_apart(client: OpenAI, route: str) -> None:
    answer = whole(client, route + "sim-fast-t20", n=2)
    texts = [choice.message.content for choice in answer.choices]
    assert len(set(texts)) == 2
    chunks = streamed(client, route + "sim-fast-t20", n=2)
    assert [text_of(chunks, 0), text_of(chunks, 1)] == texts
    assert without_ids(accumulated(client, route + "sim-fast-t20", n=2, stream_options=USAGE)) == without_ids(answer)


@pytest.mark.parametrize("route", ROUTES)
def test_tool_calls_are_the_same_in_deltas_accumulated_and_whole(client: OpenAI, route: str) -> None:
    fields: dict[str, Any] = {"tools": TOOLS, "parallel_tool_calls": True}
    answer = whole(client, route + "sim-fast-tools", **fields)
    calls = answer.choices[0].message.tool_calls or []
    assert answer.choices[0].finish_reason == "tool_calls"
    assert [name for _, name, _ in functions(answer)] == ["open_gate", "close_gate"]

    deltas = [
        call
        for chunk in streamed(client, route + "sim-fast-tools", **fields)
        for choice in chunk.choices
        for call in choice.delta.tool_calls or ()
    ]
    for index, call in enumerate(calls):
        assert call.type == "function"
        mine = [delta for delta in deltas if delta.index == index]
        assert "".join(delta.function.arguments or "" for delta in mine if delta.function) == call.function.arguments
        assert [delta.id for delta in mine if delta.id] == [call.id]
        assert set(json.loads(call.function.arguments)) == {"gate", "inches"}

    assert functions(accumulated(client, route + "sim-fast-tools", **fields)) == functions(answer)


def test_the_accumulator_sees_every_kind_of_event(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model="sim-fast-tools", messages=MESSAGES, tools=TOOLS, parallel_tool_calls=True
    ) as stream:
        kinds = [event.type for event in stream]
    assert kinds.count("tool_calls.function.arguments.done") == 2
    with client.chat.completions.stream(model=TEXT, messages=MESSAGES) as stream:
        events = list(stream)
    assert sum(event.type == "content.delta" and bool(event.delta) for event in events) == 40
    assert sum(event.type == "content.done" for event in events) == 1


def test_parse_helper_gets_the_structure_it_asked_for(client: OpenAI) -> None:
    answer = client.chat.completions.parse(model="sim-fast", messages=MESSAGES, response_format=Gate)
    assert isinstance(answer.choices[0].message.parsed, Gate)
    with client.chat.completions.stream(model="sim-fast", messages=MESSAGES, response_format=Gate) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == answer.choices[0].message.parsed


def test_parse_helper_refuses_an_answer_that_ran_into_its_limit(client: OpenAI) -> None:
    with pytest.raises(LengthFinishReasonError):
        client.chat.completions.parse(model="sim-fast", messages=MESSAGES, response_format=Gate, max_tokens=3)
    with (
        pytest.raises(LengthFinishReasonError),
        client.chat.completions.stream(
            model="sim-fast", messages=MESSAGES, response_format=Gate, max_tokens=3
        ) as stream,
    ):
        stream.until_done()
    with pytest.raises(ContentFilterFinishReasonError):
        client.chat.completions.parse(model="sim-fast+content-filter", messages=MESSAGES, response_format=Gate)


@pytest.mark.parametrize("route", ROUTES)
def test_refusal_is_no_content(client: OpenAI, route: str) -> None:
    answer = whole(client, route + "sim-fast-refusal").choices[0]
    assert answer.message.refusal
    assert answer.message.content is None
    assert answer.finish_reason == "stop"
    chunks = streamed(client, route + "sim-fast-refusal")
    refusal = "".join(choice.delta.refusal or "" for chunk in chunks for choice in chunk.choices)
    assert refusal == answer.message.refusal
    assert text_of(chunks) == ""
    assert accumulated(client, route + "sim-fast-refusal").choices[0].message.refusal == refusal


@pytest.mark.parametrize("route", ROUTES)
def test_log_probabilities_belong_to_their_tokens(client: OpenAI, route: str) -> None:
    fields: dict[str, Any] = {"logprobs": True, "top_logprobs": 2}
    choice = whole(client, route + "sim-fast-t12", **fields).choices[0]
    assert choice.logprobs is not None
    assert choice.logprobs.content is not None
    assert "".join(entry.token for entry in choice.logprobs.content) == choice.message.content
    entries = [
        entry
        for chunk in streamed(client, route + "sim-fast-t12", **fields)
        for one in chunk.choices
        if one.logprobs is not None
        for entry in one.logprobs.content or ()
    ]
    assert entries == choice.logprobs.content
    final = accumulated(client, route + "sim-fast-t12", **fields).choices[0]
    assert final.logprobs is not None
    assert final.logprobs.content == choice.logprobs.content


@pytest.mark.parametrize("route", ROUTES)
def test_reasoning_is_no_text(client: OpenAI, route: str) -> None:
    message = whole(client, route + "sim-fast-reasoning-t10").choices[0].message
    reasoning = message.model_dump()["reasoning_content"]
    assert reasoning
    chunks = streamed(client, route + "sim-fast-reasoning-t10")
    deltas = [choice.delta.model_dump() for chunk in chunks for choice in chunk.choices]
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == reasoning
    assert text_of(chunks) == message.content


def test_answer_that_runs_into_its_limit_says_so(client: OpenAI) -> None:
    assert whole(client, "sim-fast-t30", max_completion_tokens=7).choices[0].finish_reason == "length"
    assert streamed(client, "sim-fast-t30", max_completion_tokens=7)[-1].choices[0].finish_reason == "length"


def test_fields_nobody_here_knows_reach_the_provider(client: OpenAI) -> None:
    """The provider's fingerprint is a digest of the request it got, its text depends on the seed."""

    def fingerprint(**extra: Any) -> str | None:
        return whole(client, "sim-fast-t5", extra_body=extra).system_fingerprint

    assert fingerprint(x_vendor={"deep": [1, None, "ü"]}) == fingerprint(x_vendor={"deep": [1, None, "ü"]})
    assert len({fingerprint(), fingerprint(x_vendor=1), fingerprint(x_vendor=2), fingerprint(other=1)}) == 4
    texts = {whole(client, "sim-fast-t20", seed=seed).choices[0].message.content for seed in range(5)}
    assert len(texts) > 1


def test_fields_of_the_provider_reach_the_client(client: OpenAI) -> None:
    assert whole(client, "sim-fast-t5").service_tier == "default"
    assert {chunk.service_tier for chunk in streamed(client, "sim-fast-t5")} == {"default"}


def test_ids_are_ours_and_the_same_in_every_chunk(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="sim-fast-t5", messages=MESSAGES, stream=True)
    ours = raw.headers["headgate-response-id"]
    assert {chunk.id for chunk in raw.parse()} == {ours.replace("resp_", "chatcmpl-")}
    answer = client.chat.completions.with_raw_response.create(model="sim-fast-t5", messages=MESSAGES)
    assert answer.parse().id == answer.headers["headgate-response-id"].replace("resp_", "chatcmpl-")


def test_heartbeats_of_a_slow_stream_harm_nobody(client: OpenAI) -> None:
    """The gateway looks twice a second and sends a comment if nothing came since; this answer pauses for longer."""
    assert (
        text_of(streamed(client, "streamed/sim-t2-r0.7-f0")) == whole(client, "sim-fast-t2").choices[0].message.content
    )


def test_asynchronous_client_gets_the_same(gateway: GatewayProcess, client: OpenAI) -> None:
    expected = whole(client, TEXT).choices[0].message.content
    calls = whole(client, "sim-fast-tools", tools=TOOLS).choices[0].message.tool_calls

    async def ask() -> None:
        async with AsyncOpenAI(base_url=gateway.url + "/v1", api_key="none", max_retries=0) as sdk:
            answer = await sdk.chat.completions.create(model=TEXT, messages=MESSAGES)
            assert answer.choices[0].message.content == expected
            stream = await sdk.chat.completions.create(model=TEXT, messages=MESSAGES, stream=True)
            assert text_of([chunk async for chunk in stream]) == expected
            async with sdk.chat.completions.stream(model="sim-fast-tools", messages=MESSAGES, tools=TOOLS) as events:
                final = await events.get_final_completion()
            assert [call.id for call in final.choices[0].message.tool_calls or ()] == [call.id for call in calls or ()]
            parsed = await sdk.chat.completions.parse(model="sim-fast", messages=MESSAGES, response_format=Gate)
            assert parsed.choices[0].message.parsed is not None

    asyncio.run(ask())


def test_many_streams_at_once_do_not_mix(gateway: GatewayProcess, client: OpenAI) -> None:
    expected = {tokens: whole(client, f"sim-fast-t{tokens}").choices[0].message.content for tokens in range(10, 60)}

    async def ask() -> None:
        async with AsyncOpenAI(base_url=gateway.url + "/v1", api_key="none", max_retries=0) as sdk:

            async def one(tokens: int) -> None:
                stream = await sdk.chat.completions.create(
                    model=f"sim-t{tokens}-r200-f0", messages=MESSAGES, stream=True
                )
                assert text_of([chunk async for chunk in stream]) == expected[tokens]

            async with asyncio.TaskGroup() as group:
                for tokens in expected:
                    group.create_task(one(tokens))

    asyncio.run(ask())


def test_models_that_routes_and_providers_know_are_listed(client: OpenAI) -> None:
    names = {model.id for model in client.models.list()}
    assert {"sim", "sim-fast", "streamed/sim-tools"} <= names
    assert client.models.retrieve("sim-fast").id == "sim-fast"
    assert client.models.retrieve("sim-t5+cut@2").owned_by == "sim"
    assert client.models.retrieve("streamed/sim").id == "streamed/sim"
