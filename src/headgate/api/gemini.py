"""The Gemini dialect's way of saying in the path what the others say in the body."""

from __future__ import annotations

from headgate.api.counting import count_tokens
from headgate.api.creation import create
from headgate.api.exchange import Exchange
from headgate.dialects.gemini import GEMINI
from headgate.dialects.gemini.array import ARRAY
from headgate.dialects.transport import NDJSON
from headgate.errors import RequestError
from headgate.gateway import Gateway


async def act(gateway: Gateway, exchange: Exchange, owner: str, model_and_action: str) -> None:
    """``POST /v1beta/models/{model}:{action}``. Model names may hold colons and slashes."""
    model, _, action = model_and_action.rpartition(":")
    if action == "generateContent":
        await create(gateway, exchange, GEMINI, owner, model=model)
    elif action == "streamGenerateContent":
        lines = NDJSON.media_type in (exchange.header(b"accept") or "")
        shape = None if lines or exchange.query().get("alt") == "sse" else ARRAY
        await create(gateway, exchange, GEMINI, owner, model=model, stream=True, shape=shape)
    elif action == "countTokens":
        await count_tokens(gateway, exchange, GEMINI, owner, model=model)
    else:
        known = "generateContent, streamGenerateContent, countTokens"
        raise RequestError("not_found", f"Models have no action {action!r}. There are: {known}.")
