"""A small answer, whole, within its deadline; or what went wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from headgate import fetch
from headgate.errors import Failure
from headgate.request import UpstreamRequest
from headgate.upstream import Pool, endpoint
from tests.shell.provider import Play, ScriptedProvider, provider, reply, says, says_and_closes, says_and_waits
from tests.shell.scene import run, until


@asynccontextmanager
async def pool(*plays: Play) -> AsyncIterator[tuple[Pool, ScriptedProvider]]:
    async with provider(*plays) as peer:
        made = Pool(endpoint(peer.url, {"x-a": "b"}, through_proxy=False))
        try:
            yield made, peer
        finally:
            await made.close()


async def get(made: Pool, *, timeout_s: float = 5, bytes_max: int = 100) -> fetch.Fetched | Failure:
    return await fetch.get(made, "/x", timeout_s=timeout_s, bytes_max=bytes_max)


def test_answer_comes_whole_whatever_its_status_and_the_connection_is_kept() -> None:
    async def test() -> None:
        async with pool(says(reply(404, b"no")), says(reply(200, b"x" * 100))) as (made, peer):
            first, second = await get(made), await get(made)
            assert isinstance(first, fetch.Fetched)
            assert isinstance(second, fetch.Fetched)
            assert (first.status, first.body, first.headers["content-type"]) == (404, b"no", "application/json")
            assert (second.status, len(second.body)) == (200, 100)
            assert [request.line for request in peer.requests] == ["GET /v1/x HTTP/1.1"] * 2
            assert peer.connections == 1

    run(test)


def test_post_carries_its_body() -> None:
    async def test() -> None:
        async with pool(says(reply(200, b"{}"))) as (made, peer):
            await fetch.post(made, UpstreamRequest("/y", b'{"a":1}', False), timeout_s=5, bytes_max=100)
            assert (peer.requests[0].line, peer.requests[0].body) == ("POST /v1/y HTTP/1.1", {"a": 1})

    run(test)


@pytest.mark.parametrize(
    ("play", "code"),
    [
        (says_and_waits(reply(200, b"x" * 1_000)[:-1]), "upstream_too_large"),
        (says_and_closes(reply(200, b"xx")[:-1]), "upstream_cut"),
        (says(b"nonsense\r\n\r\n"), "upstream_malformed"),
    ],
)
def test_what_goes_wrong_is_a_failure_and_costs_the_connection(play: Play, code: str) -> None:
    async def test() -> None:
        async with pool(play) as (made, peer):
            outcome = await get(made)
            assert isinstance(outcome, Failure)
            assert outcome.code == code
            await until(lambda: not peer.open)

    run(test)


def test_deadline_and_cancellation_close_the_connection() -> None:
    async def test() -> None:
        async with pool(says_and_waits(b"HTTP/1.1 200 OK\r\n")) as (made, peer):
            outcome = await get(made, timeout_s=0.05)
            assert isinstance(outcome, Failure)
            assert outcome.code == "upstream_stalled"
            await until(lambda: not peer.open)
            task = asyncio.create_task(get(made))
            await until(lambda: len(peer.requests) == 2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: not peer.open)

    run(test)
