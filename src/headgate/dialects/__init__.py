"""Wire formats, hub and spoke: each dialect decodes into the canonical events and encodes out of them.

    Decoder        upstream bytes  -> events        one per attempt
    StreamEncoder  events          -> client bytes  one per reader; rebuilt by feeding it events 1..N
    Dialect        everything the shell needs of one wire format

Adding a dialect means adding it here, and its endpoints to the routes of `headgate.app`; the core names none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from headgate.assemble import Fold
from headgate.errors import Failure, RequestError
from headgate.events import AnyEvent, ResponseStarted, Terminal
from headgate.prompt import Prompt
from headgate.request import CreateRequest, UpstreamRequest
from headgate.stage import Stage
from headgate.traits import PLAIN, Traits

if TYPE_CHECKING:
    from headgate.dialects.anthropic_messages import AnthropicMessages
    from headgate.dialects.decode import AnswerDecoder
    from headgate.dialects.gemini import Gemini
    from headgate.dialects.openai_chat import OpenAIChat
    from headgate.dialects.openai_responses import OpenAIResponses


class Written(NamedTuple):
    """A prompt in a provider's words, and what of it the provider's dialect has no words for: paths in the client's body.

    What the dialect has a word for and would refuse in this very request is in the request's `dropped`: named, never refused.
    """

    request: UpstreamRequest
    unsupported: tuple[str, ...] = ()


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

    choices_max: int
    """Answers of one response that it can show; a log with more is ``not_expressible``."""


class ClientDialect(Dialect, Protocol):
    """A dialect in which responses are created."""

    forwarded_headers: tuple[bytes, ...]
    """Request headers (lower case) that a provider of the same dialect is sent as well."""

    def read_request(self, body: bytes, *, model: str = "", stream: bool = False) -> CreateRequest:
        """The checked request. `model` and `stream` are what the path says, for dialects whose body does not.

        Raises `RequestError` (``invalid_json``, ``invalid_request``) that names the field.
        """
        ...

    def read_prompt(self, request: CreateRequest) -> Prompt:
        """What the request asks for, in no dialect's words. Raises `RequestError` (``invalid_request``).

        Everything in the body is either placed in the `Prompt` or named in its ``unplaced``.
        """
        ...

    def whole(self, fold: Fold) -> bytes:
        """The whole answer of a log whose terminal is a successful one."""
        ...

    def pending(self, started: ResponseStarted) -> bytes:
        """The body of a whole answer that is not there yet (202): of the answer's shape, with nothing in it.

        Whoever takes it for an answer finds no choice, no content and no reason for its end.
        """
        ...

    def failure_status(self, terminal: Terminal, *, same_dialect: bool) -> int:
        """The HTTP status of an answer that failed before anything of it was sent. `same_dialect` as below."""
        ...

    def terminal_error(self, terminal: Terminal, *, same_dialect: bool) -> bytes:
        """The body of an answer that failed before anything of it was sent.

        `same_dialect` says that the provider spoke this dialect, so that its own error object may be shown.
        """
        ...


class CountingDialect(Protocol):
    """A client dialect that has an endpoint for counting tokens."""

    def read_count(self, body: bytes, *, model: str = "") -> CreateRequest:
        """The request whose tokens are to be counted; `model` is what the path says. Raises `RequestError`."""
        ...

    def count_answer(self, tokens: int) -> bytes: ...


class ProviderDialect(Protocol):
    """A dialect that providers speak."""

    name: str
    choices_max: int
    """Answers to one request that its providers can give; more are refused, or dropped where the route allows that."""
    base_path: str
    """What comes after the host in the base URL that the official SDK takes, such as ``/v1``."""
    models_path: str
    """Where a provider lists its models, under its base URL."""

    def headers(self, api_key: str | None) -> dict[str, str]:
        """What every request to a provider of this dialect carries: its credential, its version."""
        ...

    def read_models(self, body: bytes) -> list[str]:
        """Names of a provider's list of models; empty for what is no such list."""
        ...

    def write_request(self, request: CreateRequest, *, model: str, stream: bool) -> UpstreamRequest:
        """The request of a client of the same dialect, as it came but for the model and the way of answering."""
        ...

    def write_prompt(self, prompt: Prompt, *, model: str, stream: bool) -> Written:
        """The request of a client of another dialect. Raises `RequestError` ``invalid_request`` for one that cannot be said."""
        ...

    def stream_decoder(self, *, attempt: int, choices: int) -> AnswerDecoder: ...

    def whole_decoder(self, *, attempt: int, choices: int) -> AnswerDecoder: ...

    def read_failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        """What an HTTP error answer means."""
        ...


def dialects() -> dict[str, Dialect]:
    """Every dialect a log can be read in, by name."""
    from headgate.dialects.headgate import NATIVE

    return {NATIVE.name: NATIVE, **client_dialects()}


def client_dialects() -> dict[str, ClientDialect]:
    """Every dialect a response can be created in, by name."""
    return {dialect.name: dialect for dialect in _spoken()}


def provider_dialects(traits: Traits = PLAIN) -> dict[str, ProviderDialect]:
    """Every dialect a provider may be configured with, by name, as a provider of these `traits` speaks it."""
    return {dialect.name: dialect for dialect in _spoken(traits)}


def _spoken(traits: Traits = PLAIN) -> tuple[OpenAIChat, OpenAIResponses, AnthropicMessages, Gemini]:
    from headgate.dialects.anthropic_messages import ANTHROPIC_MESSAGES
    from headgate.dialects.gemini import GEMINI
    from headgate.dialects.openai_chat import OPENAI_CHAT, OpenAIChat
    from headgate.dialects.openai_responses import OPENAI_RESPONSES

    chat = OPENAI_CHAT if traits is PLAIN else OpenAIChat(traits)
    return chat, OPENAI_RESPONSES, ANTHROPIC_MESSAGES, GEMINI
