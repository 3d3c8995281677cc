"""Providers that refuse what others take: clients of every dialect get through to them, in streams and in whole answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx2
import pytest

from headgate.app import create_app
from headgate.configfile import parse
from headgate.gateway import Gateway
from tests.shell.provider import Line, Play, Request, ScriptedProvider, frame, provider, reply
from tests.shell.scene import run

PARAMETERS: Final = {"type": "object", "properties": {"city": {"type": "string"}}}
THOUGHT: Final = "The weather is asked for."
PATHS: Final = {
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic-messages": "/v1/messages",
    "gemini": "/v1beta/models/m:generateContent",
}
CLIENTS: Final = pytest.mark.parametrize("client", PATHS)
ASKED: Final[dict[str, dict[str, Any]]] = {
    "openai-chat": {
        "model": "m",
        "messages": [{"role": "user", "content": "Weather?"}],
        "tools": [{"type": "function", "function": {"name": "w", "parameters": PARAMETERS}}],
    },
    "openai-responses": {
        "model": "m",
        "input": [{"role": "user", "content": "Weather?"}],
        "tools": [{"type": "function", "name": "w", "parameters": PARAMETERS, "strict": False}],
    },
    "anthropic-messages": {
        "model": "m",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": "Weather?"}],
        "tools": [{"name": "w", "input_schema": PARAMETERS}],
    },
    "gemini": {
        "contents": [{"role": "user", "parts": [{"text": "Weather?"}]}],
        "tools": [{"functionDeclarations": [{"name": "w", "parametersJsonSchema": PARAMETERS}]}],
    },
}
REFUSED: Final = b'{"error":{"message":"The `reasoning_content` must be passed back.","type":"invalid_request_error"}}'
_KNOWN: Final = (
    "model messages temperature top_p max_tokens stream stop random_seed metadata response_format tools tool_choice "
    "presence_penalty frequency_penalty n parallel_tool_calls reasoning_effort"
)
MISTRAL_KNOWS: Final = frozenset(_KNOWN.split())


async def answer(line: Line, request: Request, **message: Any) -> None:
    """A message, whole or streamed as it was asked for; usage comes in the last chunk, as Mistral sends it."""
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    reason = "tool_calls" if "tool_calls" in message else "stop"
    if request.body.get("stream"):
        last = frame(choices=[{"index": 0, "delta": {}, "finish_reason": reason}], usage=usage)
        body = frame(choices=[{"index": 0, "delta": message, "finish_reason": None}]) + last + b"data: [DONE]\n\n"
        await line.send(reply(200, body, kind="text/event-stream"))
        return
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": reason}
    whole = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    await line.send(reply(200, json.dumps(whole).encode()))


async def thinks(line: Line, request: Request) -> None:
    """Refuses calls without their reasoning, as DeepSeek and Moonshot do."""
    messages = request.body["messages"]
    calls = [message for message in messages if message.get("tool_calls")]
    if any(not message.get("reasoning_content") for message in calls):
        await line.send(reply(400, REFUSED))
    elif calls:
        await answer(line, request, content="Sunny")
    else:
        call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "w", "arguments": '{"city":"R"}'}}
        await answer(line, request, reasoning_content=THOUGHT, tool_calls=[call])


async def is_mistral(line: Line, request: Request) -> None:
    """Refuses every field that it does not know."""
    bad = [
        {"type": "extra_forbidden", "loc": ["body", field], "msg": "Extra inputs are not permitted"}
        for field in request.body
        if field not in MISTRAL_KNOWS
    ]
    if bad:
        error = {"object": "error", "message": {"detail": bad}, "type": "invalid_request_error", "code": None}
        await line.send(reply(422, json.dumps(error).encode()))
    else:
        await answer(line, request, content="Bonjour")


@asynccontextmanager
async def asking(play: Play, *settings: str) -> AsyncIterator[tuple[httpx2.AsyncClient, ScriptedProvider]]:
    """A client of a gateway before this provider; `settings` are lines of its table."""
    async with provider(play) as upstream:
        lines = ['[store]\nurl = "memory:"', '[[providers]]\nname = "p"', f'base_url = "{upstream.url}"', *settings]
        text = "\n".join([*lines, '[[routes]]\nmodel = "*"\nto = ["p/*"]\n'])
        async with Gateway(parse(text, environ={})) as gateway:
            transport = httpx2.ASGITransport(app=create_app(gateway))
            async with httpx2.AsyncClient(transport=transport, base_url="http://gate.example") as client:
                yield client, upstream


def next_turn(client: str, asked: dict[str, Any], answered: dict[str, Any]) -> dict[str, Any]:
    """The request after the call was answered, as the SDKs make it: what the model said, as it came, and the result."""
    if client == "openai-chat":
        result: Any = {"role": "tool", "tool_call_id": "c1", "content": "sun"}
        return {**asked, "messages": [*asked["messages"], answered["choices"][0]["message"], result]}
    if client == "openai-responses":
        result = {"type": "function_call_output", "call_id": "c1", "output": "sun"}
        return {**asked, "input": [*asked["input"], *answered["output"], result]}
    if client == "anthropic-messages":
        said = {"role": "assistant", "content": answered["content"]}
        result = [{"type": "tool_result", "tool_use_id": answered["content"][-1]["id"], "content": "sun"}]
        return {**asked, "messages": [*asked["messages"], said, {"role": "user", "content": result}]}
    part = {"functionResponse": {"name": "w", "response": {"result": "sun"}}}
    said = answered["candidates"][0]["content"]
    return {**asked, "contents": [*asked["contents"], said, {"role": "user", "parts": [part]}]}


@CLIENTS
@pytest.mark.parametrize("streaming", [True, False])
def test_tool_loop_goes_on_where_the_provider_wants_its_reasoning_back(client: str, streaming: bool) -> None:
    async def scene() -> None:
        async with asking(thinks, 'like = "deepseek"') as (http, upstream):
            upstream_mode = {} if client == "gemini" else {"stream": False}
            asked = ASKED[client] | upstream_mode
            first = await http.post(PATHS[client], json=asked)
            assert first.status_code == 200, first.text
            assert THOUGHT in first.text
            body = next_turn(client, asked, first.json())
            path = PATHS[client]
            if streaming and client == "gemini":
                path = path.replace("generate", "streamGenerate") + "?alt=sse"
            elif streaming:
                body["stream"] = True
            second = await http.post(path, json=body)
            assert "Sunny" in second.text, second.text
            [said] = [message for message in upstream.requests[1].body["messages"] if message.get("tool_calls")]
            assert said["reasoning_content"] == THOUGHT

    run(scene)


def test_tool_loop_goes_on_from_a_previous_response() -> None:
    async def scene() -> None:
        async with asking(thinks, 'takes = { reasoning = "send" }') as (http, upstream):
            asked = ASKED["openai-responses"]
            first = (await http.post("/v1/responses", json=asked)).json()
            result = {"type": "function_call_output", "call_id": "c1", "output": "sun"}
            body = {**asked, "previous_response_id": first["id"], "input": [result]}
            second = await http.post("/v1/responses", json=body)
            assert "Sunny" in second.text, second.text
            assert THOUGHT in json.dumps(upstream.requests[1].body)

    run(scene)


@pytest.mark.parametrize("client", ["openai-responses", "anthropic-messages", "gemini"])
def test_reasoning_stays_out_where_nobody_wants_it(client: str) -> None:
    async def scene() -> None:
        async with asking(thinks) as (http, upstream):
            first = await http.post(PATHS[client], json=ASKED[client])
            second = await http.post(PATHS[client], json=next_turn(client, ASKED[client], first.json()))
            assert second.status_code == 400
            assert THOUGHT not in json.dumps(upstream.requests[1].body)

    run(scene)


def test_what_a_provider_signed_or_encrypted_is_not_sent_to_another() -> None:
    async def scene() -> None:
        async with asking(thinks, 'like = "moonshot"') as (http, upstream):
            said = [
                {"type": "thinking", "thinking": "plainly", "signature": "c2lnbmF0dXJl"},
                {"type": "redacted_thinking", "data": "Y2lwaGVydGV4dA=="},
                {"type": "tool_use", "id": "c1", "name": "w", "input": {}},
            ]
            body = next_turn("anthropic-messages", ASKED["anthropic-messages"], {"content": said})
            assert (await http.post("/v1/messages", json=body)).status_code == 200
            item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "Y2lwaGVydGV4dA=="}
            call = {"type": "function_call", "call_id": "c1", "name": "w", "arguments": "{}"}
            body = next_turn("openai-responses", ASKED["openai-responses"], {"output": [item, call]})
            assert (await http.post("/v1/responses", json=body)).status_code == 200
            sent = [request.body["messages"] for request in upstream.requests]
            found = [message["reasoning_content"] for turn in sent for message in turn if message.get("tool_calls")]
            assert found == ["plainly", " "]
            assert "c2lnbmF0dXJl" not in json.dumps(sent)
            assert "Y2lwaGVydGV4dA" not in json.dumps(sent)

    run(scene)


@CLIENTS
@pytest.mark.parametrize("stream", [True, False])
def test_strict_provider_is_asked_for_nothing_it_does_not_know(client: str, stream: bool) -> None:
    async def scene() -> None:
        async with asking(is_mistral, 'like = "mistral"') as (http, _):
            path, body = PATHS[client], dict(ASKED[client])
            if client == "gemini":
                body["generationConfig"] = {"seed": 3, "maxOutputTokens": 5}
                path = path.replace("generate", "streamGenerate") + "?alt=sse" if stream else path
            else:
                body["stream"] = stream
            if client == "openai-chat" and stream:
                body["stream_options"] = {"include_usage": True}
            answered = await http.post(path, json=body)
            assert answered.status_code == 200, answered.text
            assert "Bonjour" in answered.text
            counts = ('"completion_tokens":2', '"output_tokens":2', '"candidatesTokenCount":2')
            assert any(count in answered.text.replace(" ", "") for count in counts)

    run(scene)


@pytest.mark.parametrize("drop", [False, True])
def test_end_users_id_is_refused_or_dropped_by_its_name_where_the_provider_has_none(drop: bool) -> None:
    async def scene() -> None:
        async with provider(is_mistral) as upstream:
            text = (
                f'[store]\nurl = "memory:"\n[[providers]]\nname = "p"\nbase_url = "{upstream.url}"\nlike = "mistral"\n'
            )
            text += f'[[routes]]\nmodel = "*"\nto = ["p/*"]\non_unsupported = "{"drop" if drop else "error"}"\n'
            async with Gateway(parse(text, environ={})) as gateway:
                transport = httpx2.ASGITransport(app=create_app(gateway))
                async with httpx2.AsyncClient(transport=transport, base_url="http://gate.example") as http:
                    body = {**ASKED["anthropic-messages"], "metadata": {"user_id": "u"}}
                    answered = await http.post("/v1/messages", json=body)
                    if not drop:
                        assert answered.status_code == 400
                        assert "'metadata.user_id'" in answered.text
                        assert "'p'" in answered.text
                        assert not upstream.requests
                        return
                    assert answered.status_code == 200
                    id = answered.headers["headgate-response-id"]
                    log = await http.get(f"/v1/responses/{id}/events")
                    assert '"dropped":["metadata.user_id"]' in log.text

    run(scene)


@CLIENTS
@pytest.mark.parametrize("stream", [True, False])
def test_what_a_strict_provider_refuses_is_said_in_its_words(client: str, stream: bool) -> None:
    async def scene() -> None:
        async with asking(is_mistral) as (http, _):
            path, body = PATHS[client], ASKED[client] | ({} if client == "gemini" else {"stream": stream})
            if client == "openai-chat":
                body = {**body, "user": "u"}
            elif client == "gemini":
                body["generationConfig"] = {"seed": 1}
            elif client == "openai-responses":
                body["text"] = {"verbosity": "low"}
            else:
                body["metadata"] = {"user_id": "u"}
            answered = await http.post(path, json=body)
            assert answered.status_code in (400, 422)
            field = {"gemini": "seed", "openai-responses": "verbosity"}.get(client, "user")
            assert f"body.{field}: Extra inputs are not permitted" in answered.text

    run(scene)
