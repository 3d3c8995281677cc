"""What a client asks for, once its dialect has been read, and what is sent to a provider."""

from __future__ import annotations

import hashlib
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
    text: Any = None
    """The values of the body that hold the prompt's text: input tokens are estimated from their strings."""
    echo: dict[str, Any] | None = None
    """What readers of the Responses dialect are shown of the request; see `events.ResponseStarted.echo`."""
    input: list[Any] | None = None
    """Input items to be kept with the response; see `events.ResponseStarted.input`."""
    background: bool = False
    """Nobody waits: the response is made whether or not it is read."""
    headers: tuple[tuple[str, str], ...] = ()
    """Headers of the client's that a provider of the same dialect is sent as well (``anthropic-beta``)."""
    raw: bytes = b""
    """The body as it came."""
    risk: str = ""
    """Risk level the caller declares: ``low``, ``medium``, ``high``, or empty."""
    sources: list[Any] | None = None
    """Data sources the caller declares; see `events.ResponseStarted.sources`."""

    @property
    def sha256(self) -> str:
        """Of the body as it came, in hex; empty where nothing came. Made when it is asked for: a log wants it, no provider does."""
        return hashlib.sha256(self.raw).hexdigest() if self.raw else ""


class UpstreamRequest(msgspec.Struct, frozen=True):
    """What is sent to a provider: the path under its base URL, the JSON body, and headers of this request alone."""

    path: str
    body: bytes
    stream: bool
    """What the provider was asked for."""
    headers: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()
    """Paths in the client's body that were left out, as the route allows (``on_unsupported = "drop"``), or because the
    provider would refuse them in this request."""
