"""What the tests ask, and how they read what comes back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any, NamedTuple

import httpx
from openai.types.chat import ChatCompletionChunk

PROMPT = "How is the third gate of the lower canal opened?"
MESSAGES: Any = [{"role": "user", "content": PROMPT}]
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": name,
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {"gate": {"type": "string"}, "inches": {"type": "integer"}},
                "required": ["gate", "inches"],
                "additionalProperties": False,
            },
        },
    }
    for name in ("open_gate", "close_gate")
]
TEXT = "sim-fast-unicode-t40"
"""Forty tokens at once, many of them of several bytes."""


class Frame(NamedTuple):
    """One server-sent event."""

    id: str
    event: str
    data: str

    @property
    def json(self) -> Any:
        return json.loads(self.data)


def frames(body: bytes) -> list[Frame]:
    """The events of a stream, by the standard: comments go, an event that a blank line does not end is none."""
    found, fields = [], dict[str, str]()
    for line in body.decode().split("\n"):
        if not line:
            if "data" in fields:
                found.append(Frame(fields.get("id", ""), fields.get("event", ""), fields["data"]))
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
    return found


def without_comments(body: bytes) -> bytes:
    """The stream without heartbeats, which are the only bytes a replay may not repeat."""
    return body.replace(b": ping\n\n", b"").replace(b": ping\n", b"")


def text_of(chunks: Iterable[ChatCompletionChunk], choice: int = 0) -> str:
    """The text of one choice of a stream."""
    return "".join(one.delta.content or "" for chunk in chunks for one in chunk.choices if one.index == choice)


def body(model: str, **fields: Any) -> dict[str, Any]:
    """A request as plain HTTP sends it."""
    return {"model": model, "messages": MESSAGES, **fields}


def post(http: httpx.Client, model: str, *, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    return http.post("/v1/chat/completions", json=body(model, **fields), headers=headers)


def response_id(answer: Any) -> str:
    """The id every creation answers with."""
    value = answer.headers["headgate-response-id"]
    assert isinstance(value, str)
    return value


def key_hash(key: str) -> str:
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()
