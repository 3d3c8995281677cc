"""A request that cannot fit is refused before anything is sent, and the endpoints that count say the same of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import pytest

from headgate.app import create_app
from headgate.configfile import parse
from headgate.gateway import Gateway
from tests.shell.scene import run

WORDS: Final = 3000
BIG: Final = "hello world " * (WORDS // 2)
CONFIG: Final = """\
[store]
url = "memory:"
[[providers]]
name = "messages"
dialect = "anthropic-messages"
base_url = "simulator:"
[[providers]]
name = "chat"
base_url = "simulator:"
[[routes]]
model = "messages/*"
to = ["messages/*"]
[[routes]]
model = "chat/*"
to = ["chat/*"]
[[routes]]
model = "dropping"
to = ["chat/sim"]
on_unsupported = "drop"
[[models]]
match = "sim"
context_tokens = 2000
"""
TURN: Final = [{"role": "user", "content": [{"type": "search_result", "source": "s", "title": "t", "content": BIG}]}]


@asynccontextmanager
async def opened() -> AsyncIterator[httpx.AsyncClient]:
    async with Gateway(parse(CONFIG, environ={})) as gateway:
        transport = httpx.ASGITransport(app=create_app(gateway))
        async with httpx.AsyncClient(transport=transport, base_url="http://gate.example") as client:
            yield client


async def made(client: httpx.AsyncClient, body: dict[str, Any]) -> tuple[int, str]:
    answer = await client.post("/v1/messages", json={"max_tokens": 9, **body})
    return answer.status_code, answer.json().get("error", {}).get("message", "")


async def counted(client: httpx.AsyncClient, body: dict[str, Any]) -> int:
    answer = await client.post("/v1/messages/count_tokens", json=body)
    assert answer.status_code == 200
    tokens: int = answer.json()["input_tokens"]
    return tokens


@pytest.mark.parametrize("model", ["messages/sim", "chat/sim"])
def test_what_has_no_place_in_a_prompt_is_counted_and_refused(model: str) -> None:
    async def scene() -> None:
        async with opened() as client:
            body = {"model": model, "messages": TURN}
            assert await counted(client, body) > WORDS * 0.75
            status, message = await made(client, body)
            assert status == 400
            assert message.endswith("the model takes 2000.")

    run(scene)


def test_what_the_route_drops_is_neither_counted_nor_refused() -> None:
    async def scene() -> None:
        async with opened() as client:
            said = {"role": "user", "content": "Hi"}
            body = {"model": "dropping", "messages": [*TURN, said]}
            assert await counted(client, body) < 40
            assert (await made(client, body))[0] == 200

    run(scene)


def test_tools_that_are_all_names_of_parameters_are_refused() -> None:
    async def scene() -> None:
        async with opened() as client:
            schema = {"type": "object", "properties": {f"some parameter {number}": {} for number in range(1000)}}
            body = {
                "model": "messages/sim",
                "messages": [{"role": "user", "content": "Hi"}],
                "tools": [{"name": "f", "input_schema": schema}],
            }
            assert (await made(client, body))[0] == 400
            body["tools"] = [{"name": "f", "input_schema": {"type": "object"}}]
            assert (await made(client, body))[0] == 200

    run(scene)


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
def test_every_version_of_googles_api_is_served_and_refuses_in_its_shape(version: str) -> None:
    async def scene() -> None:
        async with opened() as client:
            headers = {"x-goog-api-client": "google-genai-sdk"} if version == "v1" else {}
            path = f"/{version}/models/chat/sim"
            body = {"contents": [{"parts": [{"text": "Hi"}]}]}
            answer = await client.post(f"{path}:generateContent", json=body, headers=headers)
            assert answer.json()["candidates"][0]["finishReason"] == "STOP"
            assert (await client.get(path, headers=headers)).json()["name"] == "models/chat/sim"
            assert "models" in (await client.get(f"/{version}/models", headers=headers)).json()
            count = await client.post(f"{path}:countTokens", json=body, headers=headers)
            assert count.json()["totalTokens"] > 0
            body["contents"][0]["parts"][0]["text"] = BIG
            refused = await client.post(f"{path}:generateContent", json=body, headers=headers)
            assert (refused.status_code, refused.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")

    run(scene)
