"""Wire formats, hub and spoke: each dialect decodes into the canonical events and encodes out of them.

    Decoder        upstream bytes  -> events        one per attempt
    StreamEncoder  events          -> client bytes  one per reader; rebuilt by feeding it events 1..N
    Dialect        everything the shell needs of one wire format

Adding a dialect means adding a `Dialect` here; nothing else in Headgate names one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from headgate.assemble import Fold
from headgate.errors import Failure, RequestError
from headgate.events import AnyEvent, Terminal
from headgate.request import CreateRequest, UpstreamRequest
from headgate.stage import Stage


class Decoder(Stage[bytes, AnyEvent], Protocol):
    """Stage bytes -> events. Never raises on what a peer sent; what is wrong with it stands in `failure`.

    `finish` says that the input ended, and sets `failure` if it ended too early.
    """

    settled: bool
    """One of the three below holds: a plain attribute, so that a token costs one look."""

    @property
    def failure(self) -> Failure | None:
        """What is wrong with the answer; nothing of what follows is decoded."""
        ...

    @property
    def finished(self) -> bool:
        """Every choice has its finish reason: the answer is whole, only usage or an end marker may follow."""
        ...

    @property
    def ended(self) -> bool:
        """The end marker was seen; nothing further is read."""
        ...


class StreamEncoder(Protocol):
    """Stage (seq, event) -> bytes of frames; empty for events the dialect does not show."""

    def feed(self, seq: int, event: AnyEvent, /) -> bytes: ...


class Dialect(Protocol):
    """One wire format. The attributes are what readers and sinks have to know of it."""

    name: str
    media_type: str
    heartbeat: bytes
    expresses_retraction: bool

    def encoder(self, *, include_usage: bool | None = None) -> StreamEncoder:
        """`include_usage` None takes the creation's option from the log."""
        ...

    def error_body(self, error: RequestError) -> bytes: ...

    error_media_type: str


class ClientDialect(Dialect, Protocol):
    """A dialect in which responses are created."""

    def read_request(self, body: bytes) -> CreateRequest:
        """Raises `RequestError` (``invalid_json``, ``invalid_request``)."""
        ...

    def whole(self, fold: Fold) -> bytes:
        """The whole answer of a log whose terminal is a successful one."""
        ...

    def terminal_error(self, terminal: Terminal) -> bytes:
        """The body of an answer that failed before anything of it was sent."""
        ...


class ProviderDialect(Protocol):
    """A dialect that providers speak."""

    name: str

    def write_request(self, request: CreateRequest, *, model: str, stream: bool) -> UpstreamRequest: ...

    def stream_decoder(self, *, attempt: int, choices: int) -> Decoder: ...

    def whole_decoder(self, *, attempt: int, choices: int) -> Decoder: ...

    def read_failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        """What an HTTP error answer means."""
        ...


def client_dialects() -> dict[str, Any]:
    """Every dialect a log can be read in, by name."""
    from headgate.dialects.headgate import NDJSON, SSE
    from headgate.dialects.openai_chat import OPENAI_CHAT

    return {SSE.name: SSE, NDJSON.name: NDJSON, OPENAI_CHAT.name: OPENAI_CHAT}


def provider_dialects() -> dict[str, ProviderDialect]:
    """Every dialect a provider may be configured with, by name."""
    from headgate.dialects.openai_chat import OPENAI_CHAT

    return {OPENAI_CHAT.name: OPENAI_CHAT}
