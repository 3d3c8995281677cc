"""Load and mock provider against each other, on one event loop: right answers count, wrong ones are noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from benchmarks.load import Load, Outcome, Run
from benchmarks.provider import Connection, find
from benchmarks.wires import WIRES


def outcome_of(load: Load, protocol: Callable[[], asyncio.Protocol] = Connection) -> Outcome:
    """What the load finds at a server of this protocol."""

    async def go() -> Outcome:
        server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
        async with server:
            return await Run(load, server.sockets[0].getsockname()[1]).run()

    return asyncio.run(go())


@pytest.mark.parametrize(
    "load",
    [
        Load("bench-t50-r0", clients=3, requests=9),
        Load("bench-t50-r0", clients=3, requests=9, stream=False),
        Load("bench-t5-r1000-stamped", clients=3, requests=9),
        Load("bench-t5-r0-stamped", clients=1, requests=2),
        *(Load("bench-t50-r0", clients=3, requests=9, wire=name) for name in WIRES),
        *(Load("bench-t50-r0", clients=3, requests=9, wire=name, stream=False) for name in WIRES),
        *(Load("bench-t5-r1000-stamped", clients=3, requests=9, wire=name) for name in WIRES),
    ],
    ids=lambda load: f"{load.wire}-{load.model}-{load.stream}",
)
def test_every_answer_of_the_mock_provider_is_right(load: Load) -> None:
    outcome = outcome_of(load)
    assert (outcome.right, outcome.wrong, outcome.unfinished, outcome.problems) == (load.requests, 0, 0, [])
    assert outcome.tokens == load.requests * (5 if "stamped" in load.model else 50)
    assert len(outcome.total) == load.requests
    assert len(outcome.first) == (load.requests if load.stream else 0)
    assert len(outcome.delays) == (outcome.tokens if "stamped" in load.model else 0)
    assert all(delay >= 0 for delay in outcome.delays)


class Says(asyncio.Protocol):
    """Answers every request with the same bytes, and hangs up."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(self._answer)
        self._transport.close()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\nno", "status 500: b'no'"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nno", "lost inside an answer"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "lost inside an answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "0 tokens instead of 50"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}", "status 404"),
        (b"what?", "not HTTP"),
    ],
)
def test_wrong_answer_is_counted_and_named(answer: bytes, problem: str) -> None:
    outcome = outcome_of(Load("bench-t50-r0", clients=1, requests=1), lambda: Says(answer))
    assert (outcome.right, outcome.wrong) == (0, 1)
    assert problem in outcome.problems[0]


def test_mock_provider_refuses_what_no_dialect_asks_for() -> None:
    assert find("/v1/chat/completions", b"{}") is None
    assert find("/v1/chat/completions", b'{"model":"gpt-5"}') is None
    assert find("/v1beta/models/gpt-5:generateContent", b"{}") is None
    assert find("/healthz", b"") is None


def test_answers_that_never_come_are_unfinished() -> None:
    load = Load("bench-t50-r0", clients=2, requests=4, deadline_s=0.05)
    outcome = outcome_of(load, asyncio.Protocol)
    assert (outcome.right, outcome.wrong, outcome.unfinished) == (0, 0, 4)


def test_address_where_nobody_listens_is_a_problem() -> None:
    async def go() -> Outcome:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        return await Run(Load("bench-t50-r0", clients=1, requests=1), port).run()

    outcome = asyncio.run(go())
    assert outcome.right == 0
    assert "no connection" in outcome.problems[0]
