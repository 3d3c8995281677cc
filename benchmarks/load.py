"""Clients: each a connection of its own, asking again as soon as its answer is there; every answer is checked.

At `asyncio.Protocol` level, without a task per client, so that the load costs little beside what it measures.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import httptools
import msgspec

from benchmarks import answers
from benchmarks.answers import Model
from benchmarks.checks import StreamCheck, check_whole
from benchmarks.wire import CHAT
from benchmarks.wires import WIRES

PROBLEMS_MAX: Final = 10
"""Examples that are kept; all are counted."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of a gateway: `requests` answers over `clients` connections that open within `ramp_s`.

    `wire` is the dialect of the clients, `provider` that of the provider which the model's name leads to.
    """

    model: str
    clients: int
    requests: int
    stream: bool = True
    ramp_s: float = 0.0
    deadline_s: float = 60.0
    wire: str = CHAT
    provider: str = CHAT
    policy: str = ""
    """The policy of the key that is used; empty for the target's own key."""


@dataclass(slots=True)
class Outcome:
    """What came of it. Times in ns unless their name says otherwise."""

    right: int = 0
    wrong: int = 0
    unfinished: int = 0
    tokens: int = 0
    seconds: float = 0.0
    first: list[int] = field(default_factory=list)
    """From a request to its first token."""
    total: list[int] = field(default_factory=list)
    """From a request to the end of its answer."""
    delays: list[int] = field(default_factory=list)
    """From the writing of a stamped token at the provider to its reading here."""
    problems: list[str] = field(default_factory=list)

    def refuse(self, problem: str) -> None:
        self.wrong += 1
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)


class Client(asyncio.Protocol):
    """One connection of a run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._check: StreamCheck | None = None
        self._body = b""
        self._asked_at = 0
        self._first_at = 0
        self._now = 0
        self._busy = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._run.joined()
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._busy:
            self._busy = False
            self._run.answered(["the connection was lost inside an answer"])
        self._run.left()

    def data_received(self, data: bytes) -> None:
        self._now = time.monotonic_ns()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._give_up(f"not HTTP: {error}")

    def on_headers_complete(self) -> None:
        if self._parser.get_status_code() != 200:
            self._check = None  # the body says why

    def on_body(self, data: bytes) -> None:
        check = self._check
        if check is None:
            self._body += data
            return
        stamped = len(check.stamps)
        check.feed(data)
        if not self._first_at and check.seen:
            self._first_at = self._now
        if stamped != len(check.stamps):
            now = self._now
            self._run.outcome.delays += [now - stamp for stamp in check.stamps[stamped:]]

    def on_message_complete(self) -> None:
        outcome, model = self._run.outcome, self._run.model
        status = self._parser.get_status_code()
        if status != 200:
            self._give_up(f"status {status}: {self._body[:200]!r}")
            return
        if self._check:
            problems = self._check.finish()
        else:
            wire = self._run.wire
            problems = check_whole(self._body, model, wire.told, wire.check.FINISH)
        outcome.tokens += self._check.seen if self._check else model.tokens
        outcome.total.append(self._now - self._asked_at)
        if self._first_at:
            outcome.first.append(self._first_at - self._asked_at)
        self._busy = False
        self._run.answered(problems)
        self._ask()

    def _ask(self) -> None:
        assert self._transport is not None
        request = self._run.next_request()
        if request is None:
            self._transport.close()
            return
        self._parser = httptools.HttpResponseParser(self)
        self._check = self._run.wire.check(self._run.model) if self._run.load.stream else None
        self._body, self._first_at, self._busy = b"", 0, True
        self._asked_at = time.monotonic_ns()
        self._transport.write(request)

    def _give_up(self, problem: str) -> None:
        if self._busy:
            self._busy = False
            self._run.answered([problem])
        if self._transport is not None:
            self._transport.abort()


class Run:
    """One load on one address."""

    def __init__(self, load: Load, port: int, key: str = "") -> None:
        self.load = load
        self.model: Model = answers.parse(load.model)
        self.wire = WIRES[load.wire]
        self.outcome = Outcome()
        self._port = port
        self._request = _request(load, port, key)
        self._asked = 0
        self._answered = 0
        self._connected = 0
        self._over = False
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def next_request(self) -> bytes | None:
        if self._asked == self.load.requests:
            return None
        self._asked += 1
        return self._request

    def answered(self, problems: list[str]) -> None:
        if self._over:
            return
        self._answered += 1
        if problems:
            self.outcome.refuse("; ".join(problems))
        else:
            self.outcome.right += 1
        if self._answered == self.load.requests and not self._done.done():
            self._done.set_result(None)

    def joined(self) -> None:
        self._connected += 1

    def left(self) -> None:
        """A connection is gone; without any there is nothing to wait for."""
        self._connected -= 1
        if not self._connected and not self._done.done():
            self._done.set_result(None)

    async def run(self, *, halfway: Callable[[], None] | None = None) -> Outcome:
        """Ask, until every answer is there or the deadline has passed. `halfway` is called while all are streaming."""
        loop = asyncio.get_running_loop()
        gc.collect()
        gc.disable()
        started = time.monotonic()
        transports: list[asyncio.BaseTransport] = []
        try:
            async with asyncio.timeout(self.load.deadline_s):
                for number in range(self.load.clients):
                    wait_s = started + number * self.load.ramp_s / self.load.clients - time.monotonic()
                    if wait_s > 0:
                        await asyncio.sleep(wait_s)
                    transport, _ = await loop.create_connection(lambda: Client(self), "127.0.0.1", self._port)
                    transports.append(transport)
                if halfway is not None:
                    halfway()
                await self._done
        except TimeoutError:
            pass  # what is missing is counted below
        except OSError as error:
            self.outcome.refuse(f"no connection: {error}")
        finally:
            self.outcome.seconds = time.monotonic() - started
            self.outcome.unfinished = self.load.requests - self._answered
            self._over = True
            for opened in transports:
                opened.close()
            gc.enable()
        return self.outcome


def _request(load: Load, port: int, key: str) -> bytes:
    wire = WIRES[load.wire]
    model = f"{load.provider}/{load.model}"
    data = msgspec.json.encode(wire.body(model, stream=load.stream))
    lines = [
        f"POST {wire.path(model, stream=load.stream)} HTTP/1.1",
        f"host: 127.0.0.1:{port}",
        "content-type: application/json",
        *wire.headers(key or "none"),
        f"content-length: {len(data)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + data
