"""Anthropic Messages, both sides.

    request        a client's request read, a provider's written in the same dialect
    prompt_read    a client's request -> `Prompt`; its messages in `message_read`
    prompt_write   `Prompt` -> a provider's request; its messages in `message_write`
    answer         an answer's events -> ours; its content blocks in `blocks`
    encode         events -> frames
    whole          the fold -> a whole message
    objects        what frames and whole messages share
    tool_input     text of arguments -> the object that this dialect wants
    failures       error objects in both directions

Source: the types of the official `anthropic` SDK and what its accumulator does with a stream; deviations of proxies
are named where they are handled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from headgate.assemble import Fold
from headgate.dialects import Written, decode
from headgate.dialects.anthropic_messages import encode, failures, objects, whole
from headgate.dialects.anthropic_messages.answer import MessageAnswer
from headgate.dialects.anthropic_messages.prompt_read import read_prompt
from headgate.dialects.anthropic_messages.prompt_write import write_prompt
from headgate.dialects.anthropic_messages.request import count_answer, read_count, read_request, write_request
from headgate.errors import Failure, RequestError
from headgate.events import ResponseStarted, Terminal
from headgate.prompt import Prompt
from headgate.request import CreateRequest, UpstreamRequest

VERSION: Final = "2023-06-01"
"""Of the API, as its ``anthropic-version`` header names it."""


class AnthropicMessages:
    """The dialect ``anthropic-messages``; see `headgate.dialects.Dialect`."""

    name = objects.NAME
    media_type = "text/event-stream; charset=utf-8"
    error_media_type = "application/json"
    heartbeat = b'event: ping\ndata: {"type": "ping"}\n\n'
    expresses_retraction = False
    choices_max = 1
    forwarded_headers: tuple[bytes, ...] = (b"anthropic-beta", b"anthropic-version")
    base_path = ""
    models_path = "/v1/models?limit=1000"

    def encoder(self, *, include_usage: bool | None = None) -> encode.StreamEncoder:
        """Usage is in every stream of this dialect, so there is nothing to include or leave out."""
        return encode.StreamEncoder()

    def error_body(self, error: RequestError) -> bytes:
        return failures.error_object(error.message, status=error.status)

    def read_request(self, body: bytes, *, model: str = "", stream: bool = False) -> CreateRequest:
        return read_request(body)

    def read_prompt(self, request: CreateRequest) -> Prompt:
        return read_prompt(request)

    def read_count(self, body: bytes, *, model: str = "") -> CreateRequest:
        return read_count(body)

    def count_answer(self, tokens: int) -> bytes:
        return count_answer(tokens)

    def whole(self, fold: Fold) -> bytes:
        return whole.whole(fold)

    def pending(self, started: ResponseStarted) -> bytes:
        return whole.pending(started)

    def failure_status(self, terminal: Terminal, *, same_dialect: bool) -> int:
        return failures.failure_status(terminal, same_dialect=same_dialect)

    def terminal_error(self, terminal: Terminal, *, same_dialect: bool) -> bytes:
        return failures.terminal_error(terminal, same_dialect=same_dialect)

    def headers(self, api_key: str | None) -> dict[str, str]:
        version = {"anthropic-version": VERSION}
        return version if api_key is None else version | {"x-api-key": api_key}

    def read_models(self, body: bytes) -> list[str]:
        return objects.read_models(body)

    def write_request(self, request: CreateRequest, *, model: str, stream: bool) -> UpstreamRequest:
        return write_request(request, model=model, stream=stream)

    def write_prompt(self, prompt: Prompt, *, model: str, stream: bool) -> Written:
        return write_prompt(prompt, model=model, stream=stream)

    def stream_decoder(self, *, attempt: int, choices: int) -> decode.StreamDecoder:
        return decode.StreamDecoder(MessageAnswer(attempt=attempt))

    def whole_decoder(self, *, attempt: int, choices: int) -> decode.WholeDecoder:
        return decode.WholeDecoder(MessageAnswer(attempt=attempt))

    def read_failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        return failures.read_failure(status, headers, body)


ANTHROPIC_MESSAGES: Final = AnthropicMessages()
