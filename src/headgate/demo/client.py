"""A chat client with nothing but the standard library, and what it compares.

It knows PROTOCOL.md and nothing of the gateway's inside. The comparisons are pure: a test shows that they can fail.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

HOST: Final = "127.0.0.1"
REQUEST_S: Final = 30.0
"""How long the client waits for the next bytes."""


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One server-sent event, as bytes and as what a chat client takes from it."""

    raw: bytes
    id: int | None
    data: bytes

    @property
    def text(self) -> str:
        if not self.data.startswith(b"{"):
            return ""
        choices = json.loads(self.data).get("choices") or [{}]
        return choices[0].get("delta", {}).get("content") or ""

    @property
    def error(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = json.loads(self.data).get("error") if self.data.startswith(b"{") else None
        return found


@dataclass(slots=True)
class Received:
    """What a client has of a stream: whole frames only, since half a frame was not received."""

    frames: list[Frame] = field(default_factory=list)
    complete: bool = False
    """The body came to its end. False after a cut: no client can take what it has for the whole."""

    @property
    def raw(self) -> bytes:
        return b"".join(frame.raw for frame in self.frames)

    @property
    def text(self) -> str:
        return "".join(frame.text for frame in self.frames)

    @property
    def ids(self) -> list[int]:
        return [frame.id for frame in self.frames if frame.id is not None]

    @property
    def cursor(self) -> int:
        """The id of the last event received."""
        return self.ids[-1] if self.ids else 0

    @property
    def done(self) -> bool:
        return bool(self.frames) and self.frames[-1].data == b"[DONE]"


Frames = Generator[Frame, None, None]
"""A stream being read. Closing it cuts the connection."""


class Client:
    """A chat client with nothing but the standard library."""

    def __init__(self, port: int) -> None:
        self.response_id = ""
        self.first_token_ms = 0.0
        self._port = port

    def create(self, model: str, asked: str) -> Frames:
        """Ask for a streamed answer, and say that we will come back if the connection breaks."""
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": asked}]}
        headers = {"content-type": "application/json", "headgate-resume": "1"}
        return self._stream("POST", "/v1/chat/completions", headers, json.dumps(body))

    def events(self, *, after: int = 0) -> Frames:
        """The same stream from the event after `after` on, or from its beginning."""
        cursor = {"last-event-id": str(after)} if after else {}
        return self._stream("GET", f"/v1/responses/{self.response_id}/events?dialect=openai-chat", cursor)

    def replay(self) -> Received:
        """The whole stream once more."""
        received = Received()
        receive(self.events(), received)
        return received

    def show(self) -> dict[str, Any]:
        """The response object of what is there now."""
        with self._request("GET", f"/v1/responses/{self.response_id}", {}) as answer:
            shown: dict[str, Any] = json.loads(answer.read())
            return shown

    def _stream(self, method: str, path: str, headers: dict[str, str], body: str | None = None) -> Frames:
        started = time.monotonic()
        self.first_token_ms = 0.0
        with self._request(method, path, headers, body) as answer:
            self.response_id = answer.getheader("headgate-response-id") or self.response_id
            pending = b""
            while data := answer.read1(65536):
                *blocks, pending = (pending + data).split(b"\n\n")
                for block in blocks:
                    frame = _frame(block)
                    if frame.text and not self.first_token_ms:
                        self.first_token_ms = (time.monotonic() - started) * 1000
                    yield frame

    @contextlib.contextmanager
    def _request(
        self, method: str, path: str, headers: dict[str, str], body: str | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        with contextlib.closing(http.client.HTTPConnection(HOST, self._port, timeout=REQUEST_S)) as connection:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            with contextlib.closing(answer):
                if answer.status != 200:
                    said = answer.read(500).decode(errors="replace")
                    raise DemoError(f"{method} {path} was answered with {answer.status}: {said}")
                yield answer


def _frame(block: bytes) -> Frame:
    fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line)
    return Frame(block + b"\n\n", int(fields[b"id"]) if b"id" in fields else None, fields.get(b"data", b""))


def receive(frames: Frames, received: Received, *, write: Callable[[str], None] | None = None, upto: int = 0) -> None:
    """Take frames until the body ends, the connection breaks, or `received` has `upto` of them."""
    try:
        for frame in frames:
            received.frames.append(frame)
            if write is not None:
                write(frame.text)
            if len(received.frames) == upto:
                return
    except (http.client.HTTPException, ConnectionError):
        return
    received.complete = True


# --- what is compared


def difference(expected: bytes, got: bytes) -> str | None:
    """None if the bytes are the same, else where they part."""
    if expected == got:
        return None
    at = next((i for i, (a, b) in enumerate(zip(expected, got, strict=False)) if a != b), min(len(expected), len(got)))
    return f"{len(got)} bytes instead of {len(expected)}, different from byte {at} on"


def out_of_order(ids: Sequence[int], *, after: int = 0) -> str | None:
    """None if the ids go on right after `after`, each larger than the last; else what is wrong."""
    if not ids:
        return "no event came"
    if ids[0] != after + 1 and after:
        return f"the first event is {ids[0]} instead of {after + 1}"
    wrong = next((b for a, b in pairwise(ids) if b <= a), None)
    return None if wrong is None else f"event {wrong} came out of order"


def answer_digest(text: str) -> str:
    """Hash of an answer of one text part, as PROTOCOL.md section 8 defines it; not the gateway's own code on purpose."""
    inner = hashlib.sha256(text.encode()).hexdigest()
    return hashlib.sha256(f"0:0:text:{inner}\n".encode()).hexdigest()


def short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def output_text(shown: dict[str, Any]) -> str:
    """The text of a response object."""
    return "".join(part.get("text", "") for item in shown["output"] for part in item.get("content", []))
