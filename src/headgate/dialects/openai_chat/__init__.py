"""OpenAI Chat Completions, both sides.

    request    a client's request read, a provider's written
    decode     provider bytes -> chunks, in streams and whole answers
    template   the short cut for chunks that differ in their text alone
    chunks     chunks -> events
    parts      the parts of one choice
    fields     types of a provider's JSON, and fields that are kept as they came
    encode     events -> frames
    whole      the fold -> a whole answer
    objects    what frames and whole answers share
    failures   error objects in both directions

Source: the types of the official `openai` SDK; deviations of compatible servers are named where they are handled.
"""

from __future__ import annotations

from collections.abc import Mapping

from headgate.assemble import Fold
from headgate.dialects.openai_chat import decode, encode, failures, objects, whole
from headgate.dialects.openai_chat.request import read_request, write_request
from headgate.errors import Failure, RequestError
from headgate.events import Terminal
from headgate.request import CreateRequest, UpstreamRequest


class OpenAIChat:
    """The dialect ``openai-chat``; see `headgate.dialects.Dialect`."""

    name = objects.NAME
    media_type = "text/event-stream; charset=utf-8"
    error_media_type = "application/json"
    # A blank line after the comment would dispatch a data-less frame once an id was seen, and the SDK breaks on it.
    heartbeat = b": ping\n"
    expresses_retraction = False

    def encoder(self, *, include_usage: bool | None = None) -> encode.StreamEncoder:
        return encode.StreamEncoder(include_usage=include_usage)

    def error_body(self, error: RequestError) -> bytes:
        return failures.error_object(error.message, status=error.status, code=error.code, param=error.param)

    def read_request(self, body: bytes) -> CreateRequest:
        return read_request(body)

    def whole(self, fold: Fold) -> bytes:
        return whole.whole(fold)

    def terminal_error(self, terminal: Terminal) -> bytes:
        return objects.terminal_error(terminal)

    def write_request(self, request: CreateRequest, *, model: str, stream: bool) -> UpstreamRequest:
        return write_request(request, model=model, stream=stream)

    def stream_decoder(self, *, attempt: int, choices: int) -> decode.StreamDecoder:
        return decode.StreamDecoder(attempt=attempt, choices=choices)

    def whole_decoder(self, *, attempt: int, choices: int) -> decode.WholeDecoder:
        return decode.WholeDecoder(attempt=attempt, choices=choices)

    def read_failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        return failures.failure_of_status(status, headers, body)


OPENAI_CHAT = OpenAIChat()
