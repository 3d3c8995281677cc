"""Gemini (``generateContent``), both sides.

    request        a client's request read, a provider's written, paths, models, counting
    given          an object of a body whose names come in two spellings
    prompt_read    a client's request -> a `Prompt`; content_read for its contents
    prompt_write   a `Prompt` -> a provider's request; content_write for its contents
    schema         Gemini's own schemas -> JSON Schema
    decode         provider bytes -> chunks, in streams and whole answers
    answer         chunks -> events
    parts          the parts of one candidate
    partial        arguments of calls that come in pieces
    encode         events -> frames
    array          frames -> the JSON array of a stream without ``alt=sse``
    whole          the fold -> a whole answer
    objects        what frames and whole answers share
    failures       error objects in both directions

Source: the types and parsers of the official `google-genai` SDKs (Python and JavaScript).
"""

from __future__ import annotations

from collections.abc import Mapping

from headgate.assemble import Fold
from headgate.dialects import Written
from headgate.dialects.failures import status_of
from headgate.dialects.gemini import decode, encode, failures, objects, prompt_read, prompt_write, whole
from headgate.dialects.gemini import request as requests
from headgate.errors import Failure, RequestError
from headgate.events import ResponseStarted, Terminal
from headgate.prompt import Prompt
from headgate.request import CreateRequest, UpstreamRequest


class Gemini:
    """The dialect ``gemini``; see `headgate.dialects.Dialect`."""

    name = objects.NAME
    media_type = "text/event-stream; charset=utf-8"
    error_media_type = "application/json"
    # Both official SDKs skip empty lines between frames; a comment makes the Python one raise.
    heartbeat = b"\n"
    expresses_retraction = False
    choices_max = requests.CHOICES_MAX
    forwarded_headers: tuple[bytes, ...] = ()
    base_path = ""
    models_path = requests.MODELS_PATH

    def encoder(self, *, include_usage: bool | None = None) -> encode.StreamEncoder:
        """Every stream of this dialect ends with its usage, so there is nothing to include or leave out."""
        return encode.StreamEncoder()

    def error_body(self, error: RequestError) -> bytes:
        return failures.error_object(error.message, status=error.status)

    def read_request(self, body: bytes, *, model: str = "", stream: bool = False) -> CreateRequest:
        return requests.read_request(body, model=model, stream=stream)

    def read_count(self, body: bytes, *, model: str = "") -> CreateRequest:
        return requests.read_count(body, model=model)

    def count_answer(self, tokens: int) -> bytes:
        return requests.count_answer(tokens)

    def read_prompt(self, request: CreateRequest) -> Prompt:
        return prompt_read.read_prompt(request)

    def whole(self, fold: Fold) -> bytes:
        return whole.whole(fold)

    def pending(self, started: ResponseStarted) -> bytes:
        return whole.pending(started)

    def failure_status(self, terminal: Terminal, *, same_dialect: bool) -> int:
        return status_of(terminal)

    def terminal_error(self, terminal: Terminal, *, same_dialect: bool) -> bytes:
        return failures.terminal_error(terminal, same_dialect=same_dialect)

    def headers(self, api_key: str | None) -> dict[str, str]:
        return {} if api_key is None else {"x-goog-api-key": api_key}

    def read_models(self, body: bytes) -> list[str]:
        return requests.read_models(body)

    def write_request(self, request: CreateRequest, *, model: str, stream: bool) -> UpstreamRequest:
        return requests.write_request(request, model=model, stream=stream)

    def write_prompt(self, prompt: Prompt, *, model: str, stream: bool) -> Written:
        return prompt_write.write_prompt(prompt, model=model, stream=stream)

    def stream_decoder(self, *, attempt: int, choices: int) -> decode.StreamDecoder:
        return decode.StreamDecoder(attempt=attempt, choices=choices)

    def whole_decoder(self, *, attempt: int, choices: int) -> decode.WholeDecoder:
        return decode.WholeDecoder(attempt=attempt, choices=choices)

    def read_failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        return failures.read_failure(status, headers, body)


GEMINI = Gemini()
