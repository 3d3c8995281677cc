"""A small answer from an HTTP endpoint, whole: a list of models, a verdict.

Over the same connections and proxies as everything that goes to a provider (`upstream`). No redirects, no retries.
Whatever goes wrong is a `Failure`, and within the deadline there is always an answer: nothing a peer does raises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from headgate.connection import Handler
from headgate.errors import Failure
from headgate.request import UpstreamRequest
from headgate.upstream import Call, Pool


class Fetched(NamedTuple):
    """An answer, whatever its status."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


async def get(pool: Pool, path: str, *, timeout_s: float, bytes_max: int) -> Fetched | Failure:
    """``GET`` of a path below the pool's endpoint."""
    return await _Fetch(bytes_max).run(lambda handler: pool.get(path, handler=handler, connect_s=timeout_s), timeout_s)


async def post(
    pool: Pool,
    request: UpstreamRequest,
    *,
    timeout_s: float,
    bytes_max: int,
    model: str = "",
    connect_s: float | None = None,
) -> Fetched | Failure:
    """``POST`` of JSON. `model` is for endpoints whose path has it; `connect_s` where it is not all of `timeout_s`."""
    patience_s = timeout_s if connect_s is None else connect_s
    return await _Fetch(bytes_max).run(
        lambda handler: pool.post(request, model=model, handler=handler, connect_s=patience_s), timeout_s
    )


class _Fetch:
    """Collects one answer."""

    def __init__(self, bytes_max: int) -> None:
        self._outcome: asyncio.Future[Fetched | Failure] = asyncio.get_running_loop().create_future()
        self._bytes_max = bytes_max
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    async def run(self, send: Callable[[Handler], Call], timeout_s: float) -> Fetched | Failure:
        call = send(self)
        try:
            async with asyncio.timeout(timeout_s):
                outcome = await self._outcome
        except TimeoutError:
            call.abort()
            return Failure("upstream_stalled", f"No answer within {timeout_s:g} s.")
        except asyncio.CancelledError:
            call.abort()
            raise
        if isinstance(outcome, Failure):
            call.abort()
        return outcome

    # connection.Handler

    def on_sent(self) -> None:
        pass

    def on_head(self, status: int, headers: dict[str, str]) -> None:
        self._status, self._headers = status, headers

    def on_body(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > self._bytes_max:
            self._settle(Failure("upstream_too_large", f"The answer has more than {self._bytes_max} bytes."))
            self._body.clear()

    def on_end(self) -> None:
        self._settle(Fetched(self._status, self._headers, bytes(self._body)))

    def on_failed(self, failure: Failure) -> None:
        self._settle(failure)

    def _settle(self, outcome: Fetched | Failure) -> None:
        if not self._outcome.done():
            self._outcome.set_result(outcome)
