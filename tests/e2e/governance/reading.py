"""Streams that stand still: read as far as they are, left, and taken up again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx

from tests.e2e.governance.house import House
from tests.e2e.matrix import raw
from tests.e2e.matrix.words import Ask

BEATS: Final = {
    "headgate": b": ping\n\n",
    "openai-chat": b": ping\n",
    "openai-responses": b": ping\n",
    "anthropic-messages": b"event: ping\n",
    "gemini": b"\n\n\n",
}
"""What each dialect says while nothing is to be said. Gemini's is an empty line, here behind the end of a frame."""
PING: Final = b'event: ping\ndata: {"type": "ping"}\n\n'


class Stream:
    """An answer that is read bit by bit."""

    def __init__(self, answer: httpx.Response) -> None:
        self.id = answer.headers["headgate-response-id"]
        self.body = b""
        self._pieces = answer.iter_raw()

    def until(self, mark: bytes) -> None:
        """Read on until this was said."""
        while mark not in self.body:
            self.body += next(self._pieces)

    def rest(self) -> None:
        self.body += b"".join(self._pieces)


@contextmanager
def streaming(house: House, policy: str, client: str, model: str, ask: Ask) -> Iterator[Stream]:
    """A stream in a dialect without its SDK; leaving the block leaves the stream."""
    path, body = raw.request(client, model, ask)
    with house.http(policy) as http, http.stream("POST", path, json=body) as answer:
        yield Stream(answer)


@contextmanager
def following(house: House, policy: str, id_: str, **query: str | int) -> Iterator[Stream]:
    """A reader of a log."""
    with house.http(policy) as http, http.stream("GET", f"/v1/responses/{id_}/events", params=query) as answer:
        yield Stream(answer)


def quiet(body: bytes, client: str) -> bytes:
    """Without heartbeats, which are the only bytes that need not be repeated."""
    if client == "gemini":
        return b"".join(line + b"\n\n" for line in body.split(b"\n") if line)
    return body.replace(PING, b"").replace(b": ping\n\n", b"").replace(b": ping\n", b"")
