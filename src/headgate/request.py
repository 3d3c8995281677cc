"""What a client asks for, once its dialect has been read."""

from __future__ import annotations

from typing import Any

import msgspec


class CreateRequest(msgspec.Struct, frozen=True):
    """A request for one response. `body` is the JSON object as the client sent it, in the client's dialect."""

    dialect: str
    model: str
    body: dict[str, Any]
    stream: bool = False
    include_usage: bool = False
    choices: int = 1


class UpstreamRequest(msgspec.Struct, frozen=True):
    """What is sent to a provider: the path under its base URL and the JSON body. `stream` is what it was asked for."""

    path: str
    body: bytes
    stream: bool
