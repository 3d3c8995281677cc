"""Cancel, disconnect and stop are three things: what a request whose task is cancelled by its server comes to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import pytest

from headgate.app import create_app
from headgate.config import OnDisconnect
from headgate.delivery import CANCELLED_GRACE_S
from headgate.gateway import Gateway
from headgate.log import Log
from tests.shell.asking import settings
from tests.shell.provider import CHUNKED, DONE, LAST_CHUNK, Line, Request, chunk, finish, provider, says_and_waits, word
from tests.shell.scene import run, turns, until

DIALECTS = {
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic-messages": "/v1/messages",
    "gemini": "/v1beta/models/m:",
}
HELLO = CHUNKED + chunk(word("Hello"))
Message = MutableMapping[str, Any]


class Asked:
    """One request, as an application that the gateway is mounted in passes it on."""

    def __init__(self, gateway: Gateway, path: str, body: dict[str, Any] | None = None, *, kind: str = "http") -> None:
        self.sent: list[Message] = []
        self.blocked: asyncio.Future[None] | None = None
        """What a send waits for."""
        self.waits = False
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._app = create_app(gateway)
        self._scope = {
            "type": kind,
            "method": "GET" if body is None else "POST",
            "path": path.partition("?")[0],
            "query_string": path.partition("?")[2].encode(),
            "headers": [(b"content-type", b"application/json")],
        }
        if kind == "http":
            self.say("http.request", body=json.dumps(body).encode() if body else b"", more_body=False)
        else:
            self.say("websocket.connect")
            self.say("websocket.receive", text=json.dumps(body))
        self.task = asyncio.create_task(self.call())

    async def call(self) -> None:
        await self._app(self._scope, self._incoming.get, self._send)

    def say(self, kind: str, **fields: Any) -> None:
        self._incoming.put_nowait({"type": kind, **fields})

    async def over(self) -> None:
        """Until the task is done; its cancellation is no error here."""
        with suppress(asyncio.CancelledError):
            await self.task

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def complete(self) -> bool:
        return bool(self.sent) and self.sent[-1].get("more_body") is False

    async def _send(self, message: Message) -> None:
        if self.blocked is not None:
            self.waits = True
            await self.blocked
        self.sent.append(message)


@asynccontextmanager
async def opened(on_disconnect: OnDisconnect = OnDisconnect.CANCEL, **options: Any) -> AsyncIterator[Gateway]:
    """A gateway whose provider says a word and no more."""
    async with (
        provider(says_and_waits(HELLO)) as upstream,
        Gateway(settings(upstream.url, on_disconnect=on_disconnect, **options)) as gateway,
    ):
        yield gateway


async def asked(gateway: Gateway, *, stream: bool = True, dialect: str = "openai-chat") -> tuple[Asked, Log]:
    """A request whose response has begun."""
    path, body = DIALECTS[dialect], {"model": "m", "stream": stream, "max_tokens": 9}
    if dialect == "gemini":
        path += "streamGenerateContent" if stream else "generateContent"
        body = {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}
    elif dialect == "openai-responses":
        body = {"model": "m", "stream": stream, "input": "x"}
    else:
        body["messages"] = [{"role": "user", "content": "x"}]
    request = Asked(gateway, path, body)
    await until(lambda: b"Hello" in request.body if stream else any(one.opened for one in gateway.hub.live.values()))
    [log] = gateway.hub.live.values()
    return request, log


def ending(log: Log) -> tuple[str, str, str]:
    assert log.terminal is not None, "it goes on"
    return log.terminal.status, log.terminal.code, str(log.terminal.blame)


INTERRUPTED = ("failed", "interrupted", "gateway")
DISCONNECTED = ("cancelled", "disconnected", "caller")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_server_that_stops_interrupts_a_stream_and_its_client_is_told(dialect: str) -> None:
    async def test() -> None:
        async with opened() as gateway:
            request, log = await asked(gateway, dialect=dialect)
            request.task.cancel()
            await turns()
            await gateway.close()
            await request.task
            assert ending(log) == INTERRUPTED
            assert log.terminal is not None
            assert log.terminal.retryable
            assert request.complete
            assert b"The gateway stopped" in request.body

    run(test)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_server_that_stops_interrupts_a_whole_answer_and_its_caller_is_told(dialect: str) -> None:
    async def test() -> None:
        async with opened() as gateway:
            request, log = await asked(gateway, dialect=dialect, stream=False)
            request.task.cancel()
            await turns()
            await gateway.close()
            await request.task
            assert ending(log) == INTERRUPTED
            assert request.status == 502
            assert b"The gateway stopped" in request.body

    run(test)


def test_server_that_stops_before_the_first_token_interrupts_too() -> None:
    async def test() -> None:
        async with provider(says_and_waits()) as upstream, Gateway(settings(upstream.url)) as gateway:
            body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}]}
            request = Asked(gateway, "/v1/chat/completions", body)
            await until(lambda: upstream.open == 1)
            [log] = gateway.hub.live.values()
            request.task.cancel()
            await turns()
            await gateway.close()
            await request.task
            assert ending(log) == INTERRUPTED
            assert request.status == 502

    run(test)


def test_reader_of_a_resumed_stream_is_told_as_well() -> None:
    async def test() -> None:
        async with opened() as gateway:
            first, log = await asked(gateway)
            second = Asked(gateway, f"/v1/responses/{log.id}/events")
            await until(lambda: b"Hello" in second.body)
            for request in (first, second):
                request.task.cancel()
            await turns()
            await gateway.close()
            for request in (first, second):
                await request.task
                assert request.complete
                assert b"interrupted" in request.body
            assert ending(log) == INTERRUPTED

    run(test)


@pytest.mark.parametrize("stream", [True, False])
def test_cancelled_request_of_a_gateway_that_goes_on_was_a_disconnect(stream: bool) -> None:
    async def test() -> None:
        async with opened() as gateway:
            request, log = await asked(gateway, stream=stream)
            started = asyncio.get_running_loop().time()
            request.task.cancel()
            await request.over()
            assert request.task.cancelled(), "it was told to go, and goes"
            await until(lambda: log.ended)
            assert asyncio.get_running_loop().time() - started < 3 * CANCELLED_GRACE_S
            await until(lambda: log.terminal)
            assert ending(log) == DISCONNECTED

    run(test)


def test_route_that_continues_goes_on_after_the_cancel_until_the_gateway_closes() -> None:
    async def test() -> None:
        async with opened(OnDisconnect.CONTINUE) as gateway:
            request, log = await asked(gateway)
            request.task.cancel()
            await request.over()
            assert not log.ended
            await gateway.close()
            assert ending(log) == INTERRUPTED

    run(test)


@pytest.mark.parametrize("first", ["disconnect", "cancel"])
@pytest.mark.parametrize("stream", [True, False])
def test_client_that_is_known_to_have_left_is_not_waited_for(stream: bool, first: str) -> None:
    """Frameworks cancel a request because its client left: whichever of the two is heard of first."""

    async def test() -> None:
        async with opened() as gateway:
            request, log = await asked(gateway, stream=stream)
            started = asyncio.get_running_loop().time()
            if first == "disconnect":
                request.say("http.disconnect")
                await turns(1)
                request.task.cancel()
            else:
                request.task.cancel()
                await turns(1)
                request.say("http.disconnect")
            await request.over()
            await until(lambda: log.terminal)
            assert ending(log) == DISCONNECTED
            assert asyncio.get_running_loop().time() - started < CANCELLED_GRACE_S / 2

    run(test)


@pytest.mark.parametrize("stops", [True, False])
def test_scope_that_cancels_again_and_again_is_obeyed_and_the_response_decided_later(stops: bool) -> None:
    """anyio's scopes, which Starlette's middleware stands in, cancel until the task is gone."""

    async def test() -> None:
        async with opened() as gateway:
            request, log = await asked(gateway)
            request.task.cancel()
            await turns(2)
            request.task.cancel()
            await request.over()
            assert not log.ended
            if stops:
                await gateway.close()
            await until(lambda: log.terminal)
            assert ending(log) == (INTERRUPTED if stops else DISCONNECTED)

    run(test)


def test_deadline_of_somebody_elses_middleware_passes_in_time() -> None:
    async def test() -> None:
        async with opened() as gateway:
            request, log = await asked(gateway)
            again = Asked(gateway, f"/v1/responses/{log.id}/events")
            again.task.cancel()  # this test makes the call
            started = asyncio.get_running_loop().time()
            with anyio.move_on_after(0.05) as scope:
                await again.call()
            assert scope.cancelled_caught
            assert asyncio.get_running_loop().time() - started < CANCELLED_GRACE_S / 2
            assert not log.ended, "the other reader is there"
            request.say("http.disconnect")
            await request.over()

    run(test)


def test_nothing_follows_a_send_that_was_cancelled_in_the_middle() -> None:
    async def test() -> None:
        more = asyncio.Event()

        async def play(line: Line, request: Request) -> None:
            await line.send(HELLO)
            await more.wait()
            await line.send(chunk(word(" world")))
            await line.gone()

        async with provider(play) as upstream, Gateway(settings(upstream.url)) as gateway:
            request, log = await asked(gateway)
            request.blocked = asyncio.get_running_loop().create_future()
            sent = len(request.sent)
            more.set()
            await until(lambda: request.waits)
            request.task.cancel()
            await request.over()
            request.blocked = None
            assert request.task.cancelled()
            assert len(request.sent) == sent
            await gateway.close()
            assert ending(log) == INTERRUPTED

    run(test)


def test_answer_that_ends_within_the_moment_is_given_whole() -> None:
    async def test() -> None:
        more = asyncio.Event()

        async def play(line: Line, request: Request) -> None:
            await line.send(HELLO)
            await more.wait()
            await line.send(chunk(finish() + DONE), LAST_CHUNK)

        async with provider(play) as upstream, Gateway(settings(upstream.url)) as gateway:
            request, log = await asked(gateway)
            request.task.cancel()
            await turns()
            more.set()
            await request.task
            assert request.complete
            assert request.body.endswith(b"data: [DONE]\n\n")
            assert request.body.count(b"Hello") == 1
            assert ending(log)[0] == "completed"

    run(test)


def test_compaction_that_is_cancelled_is_let_go_of_and_its_caller_is_told() -> None:
    async def test() -> None:
        async with (
            provider(says_and_waits()) as upstream,
            Gateway(settings(upstream.url, dialect="openai-responses")) as gateway,
        ):
            request = Asked(gateway, "/v1/responses/compact", {"model": "m", "input": "x"})
            await until(lambda: upstream.open == 1)
            request.task.cancel()
            await request.task
            assert request.status == 502
            assert b"interrupted" in request.body
            await until(lambda: upstream.open == 0)

    run(test)


@pytest.mark.parametrize(("code", "expected"), [(1012, INTERRUPTED), (1001, DISCONNECTED), (1006, DISCONNECTED)])
def test_socket_that_the_server_closes_because_it_stops_is_no_disconnect(
    code: int, expected: tuple[str, str, str]
) -> None:
    async def test() -> None:
        async with opened() as gateway:
            body = {"type": "response.create", "model": "m", "input": "x"}
            request = Asked(gateway, "/v1/responses", body, kind="websocket")
            await until(lambda: any("Hello" in one.get("text", "") for one in request.sent))
            [log] = gateway.hub.live.values()
            request.say("websocket.disconnect", code=code)
            await request.over()
            await until(lambda: log.terminal)
            assert ending(log) == expected

    run(test)


def test_cancelled_socket_is_decided_like_any_other_request() -> None:
    async def test() -> None:
        async with opened() as gateway:
            body = {"type": "response.create", "model": "m", "input": "x"}
            request = Asked(gateway, "/v1/responses", body, kind="websocket")
            await until(lambda: any("Hello" in one.get("text", "") for one in request.sent))
            [log] = gateway.hub.live.values()
            request.task.cancel()
            await request.over()
            assert not log.ended
            await gateway.close()
            assert ending(log) == INTERRUPTED

    run(test)
