"""Compactions go to a provider that speaks the Responses dialect and come back as they were; nobody else can make them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx2
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.responses import ResponseCompactionItem

from headgate.api import compaction
from headgate.app import create_app
from headgate.configfile import parse
from headgate.errors import CODES
from headgate.gateway import Gateway
from tests.shell.provider import Play, ScriptedProvider, provider, reply, says, says_and_waits
from tests.shell.scene import run, until

PATH: Final = "/v1/responses/compact"
COMPACTION: Final = {
    "id": "resp_p",
    "object": "response.compaction",
    "created_at": 1,
    "output": [
        {"id": "msg_p", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {"id": "cmp_p", "type": "compaction", "encrypted_content": "c2VhbGVk", "x_unknown": 1},
    ],
    "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7, "x_unknown": {"u": 1}},
    "x_unknown": True,
}
CONVERSATION: Final[Any] = [
    {"role": "user", "content": "How is the third gate opened?"},
    {"role": "assistant", "content": "Slowly."},
    {"role": "user", "content": "And the fourth?"},
]


def config(url: str = "simulator:") -> str:
    """The same model names lead to providers of every dialect, and to a policy that judges, or only watches."""
    dialects = ("openai-responses", "openai-chat", "anthropic-messages", "gemini")
    text = '[store]\nurl = "memory:"\n'
    for name in dialects:
        text += f'[[providers]]\nname = "{name}"\nbase_url = "{url}"\ndialect = "{name}"\n'
        text += f'[[routes]]\nmodel = "{name}/*"\nto = ["{name}/*"]\n'
    for policy in ("judged", "watched"):
        text += f'[[routes]]\nmodel = "{policy}/*"\nto = ["openai-responses/*"]\npolicy = "{policy}"\n'
        text += f'[policies.{policy}]\nrequest = ["secrets"]\ndry_run = {str(policy == "watched").lower()}\n'
        text += f'[[policies.{policy}.rules]]\nname = "zebra"\ndetector = "terms"\nterms = ["zebra"]\n'
    return text.replace('request = ["secrets"]', 'request = ["zebra"]\nstream = ["zebra"]')


@asynccontextmanager
async def http(url: str = "simulator:") -> AsyncIterator[httpx2.AsyncClient]:
    async with Gateway(parse(config(url), environ={})) as gateway:
        transport = httpx2.ASGITransport(app=create_app(gateway))
        async with httpx2.AsyncClient(transport=transport, base_url="http://gate.example") as client:
            yield client


@asynccontextmanager
async def sdk() -> AsyncIterator[AsyncOpenAI]:
    async with http() as client:
        yield AsyncOpenAI(api_key="x", base_url="http://gate.example/v1", http_client=client, max_retries=0)


@asynccontextmanager
async def scripted(*plays: Play) -> AsyncIterator[tuple[httpx2.AsyncClient, ScriptedProvider]]:
    async with provider(*plays) as upstream, http(upstream.url) as client:
        yield client, upstream


def body(model: str = "openai-responses/m", **fields: Any) -> dict[str, Any]:
    return {"model": model, "input": CONVERSATION, **fields}


# with the official SDK


def test_sdk_compacts_a_conversation_and_goes_on_with_what_it_got() -> None:
    async def scene() -> None:
        async with sdk() as client:
            compacted = await client.responses.compact(model="openai-responses/sim-fast", input=CONVERSATION)
            assert compacted.object == "response.compaction"
            assert compacted.usage.input_tokens > 0
            item = compacted.output[-1]
            assert isinstance(item, ResponseCompactionItem)
            assert item.encrypted_content
            items: Any = [one.model_dump(exclude_none=True, warnings=False) for one in compacted.output]
            answer = await client.responses.create(
                model="openai-responses/sim-fast", input=[*items, {"role": "user", "content": "And the fifth?"}]
            )
            assert answer.status == "completed"
            assert answer.output_text
            again = await client.responses.compact(
                model="openai-responses/sim-fast", previous_response_id=answer.id, instructions="Be brief."
            )
            assert [one.type for one in again.output].count("compaction") == 1

    run(scene)


@pytest.mark.parametrize("dialect", ["openai-chat", "anthropic-messages", "gemini"])
def test_sdk_is_told_which_provider_cannot_compact_and_what_to_do(dialect: str) -> None:
    async def scene() -> None:
        async with sdk() as client:
            with pytest.raises(openai.BadRequestError) as refused:
                await client.responses.compact(model=f"{dialect}/sim-fast", input="Hi")
            assert refused.value.code == "unsupported_operation"
            assert f"'{dialect}'" in refused.value.message
            assert "openai-responses" in refused.value.message

    run(scene)


@pytest.mark.parametrize("dialect", ["openai-chat", "anthropic-messages", "gemini"])
def test_compaction_item_is_refused_by_name_where_nobody_could_read_it(dialect: str) -> None:
    async def scene() -> None:
        async with sdk() as client:
            item: Any = {"type": "compaction", "id": "cmp_1", "encrypted_content": "c2VhbGVk"}
            with pytest.raises(openai.BadRequestError) as refused:
                await client.responses.create(model=f"{dialect}/sim-fast", input=[*CONVERSATION, item])
            assert refused.value.code == "unsupported_field"
            assert refused.value.param == "input[3]"
            assert f"'{dialect}'" in refused.value.message

    run(scene)


def test_errors_of_the_provider_are_those_of_any_answer() -> None:
    async def scene() -> None:
        async with sdk() as client:
            with pytest.raises(openai.RateLimitError) as limited:
                await client.responses.compact(model="openai-responses/sim-fast+429@3", input="Hi")
            assert limited.value.response.headers["retry-after"] == "3"
            with pytest.raises(openai.BadRequestError):
                await client.responses.compact(model="openai-responses/sim-fast+400", input="Hi")
            for fault in ("500", "401", "garbage", "truncated-json", "cut"):
                with pytest.raises(openai.InternalServerError):
                    await client.responses.compact(model=f"openai-responses/sim-fast+{fault}", input="Hi")

    run(scene)


# byte for byte


def test_request_and_answer_travel_as_they_came() -> None:
    said = json.dumps(COMPACTION, indent=1).encode()

    async def scene() -> None:
        async with scripted(says(reply(200, said))) as (client, upstream):
            ours = "msg_" + "0" * 32 + "_0_0"
            sent = body(x_unknown={"u": 1}, prompt_cache_key="k", input=[{"id": ours, **CONVERSATION[0]}])
            answer = await client.post(PATH, json=sent, headers={"openai-beta": "b=1"})
            assert (answer.status_code, answer.content) == (200, said)
            (request,) = upstream.requests
            assert request.line == "POST /v1/responses/compact HTTP/1.1"
            assert "openai-beta: b=1" in request.head
            assert request.body == sent | {"model": "m", "input": CONVERSATION[:1]}

    run(scene)


@pytest.mark.parametrize(
    ("told", "status", "code"),
    [
        (reply(404, b'{"detail":"Not Found"}'), 400, "unsupported_operation"),
        (reply(405, b"", kind="text/html"), 400, "unsupported_operation"),
        (reply(404, b'{"error":{"message":"No such model","code":"model_not_found"}}'), 404, "model_not_found"),
        (reply(200, b'{"object":"response","output":[]}'), 502, "upstream_malformed"),
        (reply(200, b'{"object":"response.compaction"}'), 502, "upstream_malformed"),
        (reply(200, b"<html>"), 502, "upstream_malformed"),
        (reply(503, b'{"error":{"message":"Busy"}}'), 503, "upstream_error"),
    ],
)
def test_what_is_no_compaction_is_an_error(told: bytes, status: int, code: str) -> None:
    async def scene() -> None:
        async with scripted(says(told)) as (client, _):
            answer = await client.post(PATH, json=body())
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)

    run(scene)


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ({"input": "Hi"}, "model"),
        ({"model": "openai-responses/m"}, "input"),
        ({"model": "openai-responses/m", "input": 7}, "input"),
        ({"model": "openai-responses/m", "input": "Hi", "stream": True}, "stream"),
        ({"model": "openai-responses/m", "input": "Hi", "background": True}, "background"),
        ({"model": "nothing/m", "input": "Hi"}, "model"),
    ],
)
def test_request_that_is_none_is_refused_by_name(sent: dict[str, Any], param: str) -> None:
    async def scene() -> None:
        async with http() as client:
            answer = await client.post(PATH, json=sent)
            assert answer.status_code in (400, 404)
            assert answer.json()["error"]["param"] == param

    run(scene)


# governance, limits, and who goes away


def test_policy_lets_through_nothing_that_it_could_not_judge() -> None:
    async def scene() -> None:
        async with scripted(says(reply(200, json.dumps(COMPACTION).encode()))) as (client, upstream):
            refused = await client.post(PATH, json=body("judged/m"))
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unsupported_operation")
            assert "'judged'" in refused.json()["error"]["message"]
            assert upstream.requests == []
            watched = await client.post(PATH, json=body("watched/m"))
            assert watched.status_code == 200, "a policy that only watches changes nothing"

    run(scene)


def test_compactions_under_way_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "OPEN_MAX", 1)

    async def scene() -> None:
        async with scripted(says_and_waits()) as (client, upstream):
            first = asyncio.create_task(client.post(PATH, json=body()))
            await until(lambda: len(upstream.requests) == 1)
            second = await client.post(PATH, json=body())
            assert (second.status_code, second.json()["error"]["code"]) == (503, "overloaded")
            assert second.headers["retry-after"]
            assert len(upstream.requests) == 1
            first.cancel()

    run(scene)


def test_client_that_goes_away_takes_the_providers_work_with_it() -> None:
    async def scene() -> None:
        async with provider(says_and_waits()) as upstream, Gateway(parse(config(upstream.url), environ={})) as gateway:
            leaves, said = asyncio.Event(), list[MutableMapping[str, Any]]()
            data = json.dumps(body()).encode()
            messages = [{"type": "http.request", "body": data, "more_body": False}]

            async def receive() -> MutableMapping[str, Any]:
                if messages:
                    return messages.pop()
                await leaves.wait()
                return {"type": "http.disconnect"}

            async def send(message: MutableMapping[str, Any]) -> None:
                said.append(message)

            headers = [(b"content-type", b"application/json"), (b"host", b"gate.example")]
            scope = {"type": "http", "method": "POST", "path": PATH, "query_string": b"", "headers": headers}
            asked = asyncio.ensure_future(create_app(gateway)(scope, receive, send))
            await until(lambda: len(upstream.requests) == 1)
            leaves.set()
            await asked
            await until(lambda: upstream.open == 0)
            assert said == []

    run(scene)


def test_drain_waits_for_a_compaction_and_answers_one_that_it_ends() -> None:
    async def scene() -> None:
        async with provider(says_and_waits()) as upstream, Gateway(parse(config(upstream.url), environ={})) as gateway:
            transport = httpx2.ASGITransport(app=create_app(gateway))
            async with httpx2.AsyncClient(transport=transport, base_url="http://gate.example") as client:
                asked = asyncio.create_task(client.post(PATH, json=body()))
                await until(lambda: len(upstream.requests) == 1)
                idle = asyncio.ensure_future(gateway.idle())
                done, _ = await asyncio.wait([idle], timeout=0.3)
                assert not done
                await gateway.interrupt_all()
                answer = await asked
                assert (answer.status_code, answer.json()["error"]["code"]) == (
                    CODES["interrupted"].status,
                    "interrupted",
                )
                await idle

    run(scene)


def test_code_for_what_a_provider_cannot_do_is_the_callers() -> None:
    assert (CODES["unsupported_operation"].status, CODES["unsupported_operation"].retryable) == (400, False)
