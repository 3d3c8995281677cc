"""Heartbeats keep a silent stream open. They are no events: no cursor moves, no deadline is put off, no client breaks."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from openai import AsyncOpenAI

from tests.e2e.durability.wire import (
    CHAT,
    DONE,
    Kind,
    ask,
    cursor_of,
    each_kind,
    each_kind_in_soak,
    events,
    get,
    log_of,
    process,
    question,
    route,
    run,
    send,
    uncommented,
    upstream,
)
from tests.e2e.harness import config
from tests.shell.provider import CHUNKED, LAST_CHUNK, Line, Request, chunk, finish, provider, usage, word
from tests.shell.provider import DONE as PROVIDER_DONE

SERVER = "heartbeat_s = 0.3\ncommit_after_s = 0.3"
"""The gateway looks twice a second, so a silent stream gets one every half second or so."""
SILENCE_S = 1.3


async def slow(line: Line, request: Request) -> None:
    """Thinks, says a word, thinks again, ends."""
    await asyncio.sleep(SILENCE_S)
    await line.send(CHUNKED, chunk(word("Hello ")))
    await asyncio.sleep(SILENCE_S)
    await line.send(chunk(word("world") + finish() + usage() + PROVIDER_DONE), LAST_CHUNK)


def settings(url: str, more: str = "") -> str:
    return config(server=SERVER, providers=upstream("p", url), routes=route("*", "p", more))


@each_kind
def test_silent_chat_stream_gets_comments_without_a_blank_line(kind: Kind, tmp_path: Path) -> None:
    async def test() -> None:
        async with provider(slow) as scripted, process(settings(scripted.url), tmp_path, kind) as gateway:
            started = time.monotonic()
            exchange = await ask(gateway, "m")
            assert time.monotonic() - started < SILENCE_S, "the head did not wait for the first token"
            response_id = exchange.head.response_id
            native = await send(gateway, "GET", f"/v1/responses/{response_id}/events")
            await native.read_head()
            reading = asyncio.create_task(native.read())
            await exchange.read_until(b": ping\n")
            assert set(exchange.body.split(b"\n")) == {b": ping", b""}
            assert b"\n\n" not in exchange.body
            assert cursor_of(exchange.body) == 0
            await exchange.read()
            await reading
            assert exchange.complete
            assert exchange.body.endswith(DONE)
            assert exchange.body.count(b": ping\n") >= 3
            assert uncommented(exchange.body) == await events(gateway, response_id, dialect="openai-chat")
            assert native.body.count(b": ping\n\n") >= 3
            assert uncommented(native.body) == await events(gateway, response_id)
            log = await log_of(gateway, response_id)
            assert [event["seq"] for event in log] == list(range(1, len(log) + 1))
            assert not [event for event in log if "ping" in event["type"]]

    run(test)


@each_kind
def test_silent_ndjson_stream_gets_empty_lines(kind: Kind, tmp_path: Path) -> None:
    async def test() -> None:
        async with provider(slow) as scripted, process(settings(scripted.url), tmp_path, kind) as gateway:
            chat = await ask(gateway, "m", resume=True)
            path = f"/v1/responses/{chat.head.response_id}/events?format=ndjson"
            lines = await send(gateway, "GET", path)
            await lines.read_head()
            await lines.read()
            assert b"\n\n" in lines.body
            again = await get(gateway, path)
            assert lines.body.replace(b"\n\n", b"\n").replace(b"\n\n", b"\n") == again.body

    run(test)


@each_kind_in_soak
def test_openai_sdk_survives_heartbeats(kind: Kind, tmp_path: Path) -> None:
    async def test() -> None:
        async with provider(slow) as scripted, process(settings(scripted.url), tmp_path, kind) as gateway:
            async with AsyncOpenAI(base_url=gateway.url + "/v1", api_key="none", max_retries=0, timeout=20) as client:
                stream = await client.chat.completions.create(
                    model="m",
                    messages=[{"role": "user", "content": "x"}],
                    stream=True,
                    stream_options={"include_usage": True},
                )
                text, reasons, used = "", [], None
                async for piece in stream:
                    for choice in piece.choices:
                        text += choice.delta.content or ""
                        reasons.append(choice.finish_reason)
                    used = piece.usage or used
            assert text == "Hello world"
            assert [reason for reason in reasons if reason] == ["stop"]
            assert used is not None
            assert used.completion_tokens == 2

    run(test)


@each_kind_in_soak
def test_heartbeats_are_no_progress(kind: Kind, tmp_path: Path) -> None:
    """Neither ours towards the client nor the provider's towards us keep a stalled answer open."""

    async def comments(line: Line, request: Request) -> None:
        await line.send(CHUNKED, chunk(word("Hello")))
        gone = asyncio.create_task(line.gone())
        while not gone.done():
            await line.send(chunk(b": keep-alive\n\n"))
            await asyncio.sleep(0.05)

    async def test() -> None:
        more = "timeouts = { stall_s = 1.2 }"
        async with provider(comments) as scripted, process(settings(scripted.url, more), tmp_path, kind) as gateway:
            started = time.monotonic()
            exchange = await ask(gateway, "m")
            await exchange.read()
            assert 1.1 <= time.monotonic() - started < 3
            assert b": ping\n" in exchange.body
            assert b'"code":"upstream_stalled"' in exchange.body

    run(test)


@each_kind_in_soak
def test_whole_answers_and_heads_not_yet_sent_get_no_heartbeats(kind: Kind, tmp_path: Path) -> None:
    async def test() -> None:
        message = {"index": 0, "message": {"role": "assistant", "content": "late"}, "finish_reason": "stop"}

        async def play(line: Line, request: Request) -> None:
            await asyncio.sleep(1.2)
            body = json.dumps({"choices": [message]}).encode()
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            await line.send(head.encode() + body)

        async with provider(play) as scripted, process(settings(scripted.url), tmp_path, kind) as gateway:
            exchange = await send(gateway, "POST", CHAT, question("m", stream=False))
            await exchange.read_head()
            await exchange.read()
            assert exchange.json()["choices"][0]["message"]["content"] == "late"
            assert b"ping" not in exchange.body

    run(test)
