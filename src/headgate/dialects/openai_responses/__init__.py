"""OpenAI Responses, both sides; on the client's, as Open Responses (2026-04-24) specifies it.

    request      a client's request read, and written for a provider of the same dialect
    prompt_read  a client's request in no dialect's words; its items in `item_read`
    prompt_write a request of another dialect in this one's; its items in `item_write`
    items        input items: of a request, after a response, listed
    compaction   what goes to a provider and back as it came
    decode       provider bytes -> JSON values
    answer       the events of a stream, or a whole response -> events
    parts        the items of an answer, and the parts in them
    failures     failed responses and error events
    encode       events -> frames
    output       the parts of a log as output items
    objects      the response object

Sources: the types of the official `openai` SDK, which knows 59 stream events, and the schema of Open Responses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headgate.assemble import Fold
from headgate.dialects import Written
from headgate.dialects.compact import compact_json
from headgate.dialects.failures import status_of
from headgate.dialects.openai_chat import failures as openai_failures
from headgate.dialects.openai_chat import objects as openai_objects
from headgate.dialects.openai_responses import decode, encode, items, objects, output
from headgate.dialects.openai_responses.prompt_read import read_prompt
from headgate.dialects.openai_responses.prompt_write import write_prompt
from headgate.dialects.openai_responses.request import read_count, read_request, write_request
from headgate.errors import Failure, RequestError
from headgate.events import ResponseStarted, Terminal
from headgate.prompt import Prompt
from headgate.request import CreateRequest, UpstreamRequest


class OpenAIResponses:
    """The dialect ``openai-responses``; see `headgate.dialects.ClientDialect` and `headgate.dialects.ProviderDialect`."""

    name = output.NAME
    media_type = "text/event-stream; charset=utf-8"
    error_media_type = "application/json"
    # A blank line after the comment would dispatch a data-less frame once an id was seen, and the SDK breaks on it.
    heartbeat = b": ping\n"
    expresses_retraction = False
    choices_max = 1
    forwarded_headers: tuple[bytes, ...] = (b"openai-beta",)
    base_path = "/v1"
    models_path = "/models"

    def encoder(
        self,
        *,
        include_usage: bool | None = None,
        starting_after: int | None = None,
        extensions: bool = False,
        end_marker: bool = True,
    ) -> encode.StreamEncoder:
        """Usage is part of every response here. `starting_after` is the last sequence number the client has."""
        return encode.StreamEncoder(starting_after=starting_after, extensions=extensions, end_marker=end_marker)

    def error_body(self, error: RequestError) -> bytes:
        return openai_failures.error_object(error.message, status=error.status, code=error.code, param=error.param)

    def read_request(self, body: bytes, *, model: str = "", stream: bool = False) -> CreateRequest:
        return read_request(body)

    def read_prompt(self, request: CreateRequest) -> Prompt:
        return read_prompt(request)

    def input_of(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """The input items of a request's body."""
        return items.input_of(body)

    def whole(self, fold: Fold) -> bytes:
        return compact_json(objects.response_fields(fold, cancelled="cancelled"))

    def pending(self, started: ResponseStarted) -> bytes:
        """The response object in progress, with nothing in it."""
        fold = Fold()
        fold.feed(1, started)
        return compact_json(objects.response_fields(fold, cancelled="cancelled"))

    def failure_status(self, terminal: Terminal, *, same_dialect: bool) -> int:
        return status_of(terminal)

    def terminal_error(self, terminal: Terminal, *, same_dialect: bool) -> bytes:
        return openai_objects.terminal_error(terminal, same_dialect=same_dialect)

    def read_count(self, body: bytes, *, model: str = "") -> CreateRequest:
        return read_count(body)

    def count_answer(self, tokens: int) -> bytes:
        return compact_json({"object": "response.input_tokens", "input_tokens": tokens})

    def headers(self, api_key: str | None) -> dict[str, str]:
        return {} if api_key is None else {"authorization": f"Bearer {api_key}"}

    def read_models(self, body: bytes) -> list[str]:
        return openai_objects.read_models(body)

    def write_request(self, request: CreateRequest, *, model: str, stream: bool) -> UpstreamRequest:
        return write_request(request, model=model, stream=stream)

    def write_prompt(self, prompt: Prompt, *, model: str, stream: bool) -> Written:
        return write_prompt(prompt, model=model, stream=stream)

    def stream_decoder(self, *, attempt: int, choices: int) -> decode.StreamDecoder:
        return decode.StreamDecoder(attempt=attempt)

    def whole_decoder(self, *, attempt: int, choices: int) -> decode.WholeDecoder:
        return decode.WholeDecoder(attempt=attempt)

    def read_failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        return openai_failures.read_failure(status, headers, body)


OPENAI_RESPONSES = OpenAIResponses()
