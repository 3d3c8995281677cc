"""The four dialects over plain HTTP: what no SDK shows of a stream is its bytes."""

from __future__ import annotations

from typing import Any, Final

import httpx

from tests.e2e.matrix.words import Ask, said
from tests.e2e.sdk.asking import without_comments

PATHS: Final = {
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic-messages": "/v1/messages",
}


def create(plain: httpx.Client, client: str, model: str, ask: Ask, **headers: str) -> httpx.Response:
    """The dialect's own request for a stream, without its SDK."""
    path, body = request(client, model, ask)
    return plain.post(path, json=body, headers=headers)


def request(client: str, model: str, ask: Ask) -> tuple[str, dict[str, Any]]:
    """Path and body of the dialect's own request for a stream."""
    params = said(client, ask, stream=True)
    if client != "gemini":
        return PATHS[client], {**params, "model": model, "stream": True}
    config: dict[str, Any] = params.pop("config")
    body = {**params, **({"tools": config.pop("tools")} if "tools" in config else {}), "generationConfig": config}
    return f"/v1beta/models/{model}:streamGenerateContent?alt=sse", body


def events(plain: httpx.Client, id_: str, dialect: str, **query: str | int) -> bytes:
    answer = plain.get(f"/v1/responses/{id_}/events", params={"dialect": dialect, **query})
    return without_comments(answer.raise_for_status().content)


def lines_of(body: bytes) -> list[str]:
    """The lines of a body; empty ones are heartbeats."""
    assert body.endswith(b"\n")
    return [line for line in body.decode().split("\n") if line]


def messages_of(body: bytes, dialect: str) -> list[str]:
    """The same lines as a WebSocket has them: an end marker that is no event does not travel there in Responses."""
    lines = lines_of(body)
    return [line for line in lines if line != '"[DONE]"'] if dialect == "openai-responses" else lines
