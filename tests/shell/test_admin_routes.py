"""Administration on the application: its own keys, no CORS, and its place in the metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from headgate.api.callers import hash_key
from headgate.app import create_app
from headgate.configfile import parse
from headgate.gateway import Gateway
from tests.shell.scene import run

CALLER, ADMIN = "hg-caller", "hg-admin"
CONFIG = f"""\
[server]
cors_origins = ["*"]
[store]
url = "memory:"
[[providers]]
name = "p"
base_url = "http://127.0.0.1:1/v1"
[[routes]]
model = "*"
to = ["p/*"]
[[keys]]
name = "app"
hash = "{hash_key(CALLER)}"
[[admin.keys]]
name = "ada"
hash = "{hash_key(ADMIN)}"
"""
POLICIES = "/admin/v1/policies"
CHAT = {"model": "m", "messages": [{"role": "user", "content": "x"}]}


@asynccontextmanager
async def client(key: str, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    async with Gateway(parse(CONFIG, environ={})) as gateway:
        transport = httpx.ASGITransport(app=create_app(gateway))
        given = {"authorization": f"Bearer {key}", **headers}
        async with httpx.AsyncClient(transport=transport, base_url="http://gate.example", headers=given) as opened:
            yield opened


def test_admin_key_opens_administration_and_nothing_else() -> None:
    async def scene() -> None:
        async with client(ADMIN) as admin:
            assert (await admin.get(POLICIES)).status_code == 200
            assert (await admin.get("/admin/v1/reviews")).status_code == 200
            assert (await admin.get("/v1/models")).status_code == 401
            assert (await admin.post("/v1/chat/completions", json=CHAT)).status_code == 401

    run(scene)


def test_key_of_a_caller_opens_no_administration() -> None:
    async def scene() -> None:
        async with client(CALLER) as caller:
            for path in (POLICIES, "/admin/v1/policies/history", "/admin/v1/reviews", "/admin/v1/reviews/rev_1"):
                answer = await caller.get(path)
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")

    run(scene)


def test_cors_opens_no_administration() -> None:
    async def scene() -> None:
        async with client(ADMIN, origin="https://evil.example") as page:
            asked = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
            allowed = await page.options("/v1/chat/completions", headers=asked)
            refused = await page.options(POLICIES, headers=asked)
            answer = await page.get(POLICIES)
            assert "access-control-allow-origin" in allowed.headers
            assert "access-control-allow-origin" not in refused.headers
            assert "access-control-allow-origin" not in answer.headers
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_origin")

    run(scene)


def test_unknown_path_and_method_are_problems_of_administration() -> None:
    async def scene() -> None:
        async with client(ADMIN) as admin:
            unknown, method = await admin.get("/admin/v1/nothing"), await admin.delete(POLICIES)
            assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")
            assert (method.status_code, method.headers["allow"]) == (405, "GET, POST")

    run(scene)


def test_requests_are_counted_by_pattern() -> None:
    async def scene() -> None:
        async with client(ADMIN) as admin:
            await admin.get("/admin/v1/reviews/rev_0123")
            metrics = await admin.get("/metrics", headers={"authorization": f"Bearer {CALLER}"})
            assert 'endpoint="/admin/v1/reviews/{id}"' in metrics.text

    run(scene)
