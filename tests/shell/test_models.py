"""The list of models, turned page by page with the official SDKs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import httpx2
import pytest
from anthropic import AsyncAnthropic
from google import genai
from google.genai import types
from openai import AsyncOpenAI

from headgate.app import create_app
from headgate.configfile import parse
from headgate.gateway import Gateway
from tests.shell.scene import run

NAMES: Final = [f"model-{number:02}" for number in range(63)]
ROUTES: Final = "".join(f'[[routes]]\nmodel = "{name}"\nto = ["p/x"]\n' for name in reversed(NAMES))
CONFIG: Final = f"""\
[store]
url = "memory:"
[[providers]]
name = "p"
base_url = "http://127.0.0.1:1/v1"
{ROUTES}"""
ANTHROPIC: Final = {"anthropic-version": "2023-06-01"}


@asynccontextmanager
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with Gateway(parse(CONFIG, environ={})) as gateway:
        transport = httpx.ASGITransport(app=create_app(gateway))
        async with httpx.AsyncClient(transport=transport, base_url="http://gate.example") as opened:
            yield opened


@asynccontextmanager
async def sdk_http() -> AsyncIterator[httpx2.AsyncClient]:
    gateway = Gateway(parse(CONFIG, environ={}))
    async with gateway, httpx2.AsyncClient(transport=httpx2.ASGITransport(app=create_app(gateway))) as opened:
        yield opened


async def get(path: str, **headers: str) -> httpx.Response:
    async with http() as client:
        return await client.get(path, headers=headers)


@pytest.mark.parametrize("limit", [1, 7, 20, 63, 1000])
def test_anthropics_sdk_turns_every_page_forwards(limit: int) -> None:
    async def scene() -> None:
        async with sdk_http() as client:
            sdk = AsyncAnthropic(api_key="x", base_url="http://gate.example", http_client=client)
            assert [model.id async for model in sdk.models.list(limit=limit)] == NAMES

    run(scene)


def test_anthropics_sdk_turns_pages_backwards() -> None:
    async def scene() -> None:
        async with sdk_http() as client:
            sdk = AsyncAnthropic(api_key="x", base_url="http://gate.example", http_client=client)
            first = await sdk.models.list(limit=10, before_id=NAMES[25])
            assert [model.id for model in first.data] == NAMES[15:25]
            assert (first.first_id, first.last_id, first.has_more) == (NAMES[15], NAMES[24], True)
            found = [model.id async for model in first]
            assert found == NAMES[15:25] + NAMES[5:15] + NAMES[:5]

    run(scene)


@pytest.mark.parametrize("size", [1, 8, 50, 63, 5000, None])
def test_googles_sdk_turns_every_page(size: int | None) -> None:
    async def scene() -> None:
        async with http() as client:
            options = types.HttpOptions(base_url="http://gate.example", httpx_async_client=client)
            sdk = genai.Client(api_key="x", http_options=options)
            pager = await sdk.aio.models.list(config={"page_size": size} if size else None)
            assert [model.name async for model in pager] == [f"models/{name}" for name in NAMES]

    run(scene)


def test_openais_list_is_one_page() -> None:
    async def scene() -> None:
        async with sdk_http() as client:
            sdk = AsyncOpenAI(api_key="x", base_url="http://gate.example/v1", http_client=client)
            assert [model.id async for model in sdk.models.list()] == NAMES

    run(scene)


def test_pages_are_as_long_as_the_apis_make_them_unasked() -> None:
    async def scene() -> None:
        page = (await get("/v1/models", **ANTHROPIC)).json()
        assert [model["id"] for model in page["data"]] == NAMES[:20]
        assert page["has_more"] is True
        gemini = (await get("/v1beta/models")).json()
        assert len(gemini["models"]) == 50
        rest = (await get(f"/v1beta/models?pageToken={gemini['nextPageToken']}")).json()
        assert (len(rest["models"]), "nextPageToken" in rest) == (13, False)

    run(scene)


def test_name_that_is_gone_is_a_place_in_the_list_all_the_same() -> None:
    async def scene() -> None:
        page = (await get("/v1/models?after_id=model-09x&limit=1", **ANTHROPIC)).json()
        assert page["data"][0]["id"] == "model-10"
        empty = (await get("/v1/models?after_id=zzz", **ANTHROPIC)).json()
        assert empty == {"data": [], "has_more": False, "first_id": None, "last_id": None}

    run(scene)


@pytest.mark.parametrize(
    ("path", "headers", "param"),
    [
        ("/v1/models?limit=0", ANTHROPIC, "limit"),
        ("/v1/models?limit=1001", ANTHROPIC, "limit"),
        ("/v1/models?limit=ten", ANTHROPIC, "limit"),
        ("/v1/models?limit=%C2%B2", ANTHROPIC, "limit"),
        ("/v1/models?limit=" + "9" * 5000, ANTHROPIC, "limit"),
        ("/v1/models?after_id=a&before_id=b", ANTHROPIC, "before_id"),
        ("/v1beta/models?pageSize=-1", {}, "pageSize"),
        ("/v1beta/models?pageToken=%40%40%40%40", {}, "pageToken"),
        ("/v1beta/models?pageToken=_____w==", {}, "pageToken"),
    ],
)
def test_page_that_is_none_is_refused_by_name(path: str, headers: dict[str, str], param: str) -> None:
    async def scene() -> None:
        refused = await get(path, **headers)
        assert refused.status_code == 400
        body: dict[str, Any] = refused.json()
        assert param in body["error"]["message"]

    run(scene)
