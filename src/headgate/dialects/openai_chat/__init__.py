"""OpenAI Chat Completions, both sides.

    request        a client's request read, and written for a provider of the same dialect
    prompt_read    a client's request in no dialect's words; its messages in `message_read`
    prompt_write   a request of another dialect in this one's; its messages in `message_write`
    decode         provider bytes -> chunks, in streams and whole answers
    template       the short cut for chunks that differ in their text alone
    chunks         chunks -> events
    parts          the parts of one choice
    reasons, usage the words and counts of compatible servers
    encode         events -> frames
    whole          the fold -> a whole answer
    objects        what frames and whole answers share
    failures       error objects in both directions

Source: the types of the official `openai` SDK. In what compatible servers answer otherwise is named where it is read; in
what they want to be asked otherwise is data (`headgate.traits`).
"""

from __future__ import annotations

from collections.abc import Mapping

from headgate.assemble import Fold
from headgate.dialects import Written
from headgate.dialects.failures import status_of
from headgate.dialects.openai_chat import decode, encode, failures, objects, whole
from headgate.dialects.openai_chat.prompt_read import read_prompt
from headgate.dialects.openai_chat.prompt_write import write_prompt
from headgate.dialects.openai_chat.request import CHOICES_MAX, read_request, write_request
from headgate.errors import Failure, RequestError
from headgate.events import ResponseStarted, Terminal
from headgate.prompt import Prompt
from headgate.request import CreateRequest, UpstreamRequest
from headgate.traits import PLAIN, Traits


class OpenAIChat:
    """The dialect ``openai-chat``; see `headgate.dialects.Dialect`. As a provider's, it is written as `traits` say."""

    name = objects.NAME
    media_type = "text/event-stream; charset=utf-8"
    error_media_type = "application/json"
    # A blank line after the comment would dispatch a data-less frame once an id was seen, and the SDK breaks on it.
    heartbeat = b": ping\n"
    expresses_retraction = False
    choices_max = CHOICES_MAX
    forwarded_headers: tuple[bytes, ...] = ()
    base_path = "/v1"
    models_path = "/models"

    def __init__(self, traits: Traits = PLAIN) -> None:
        self._traits = traits

    def encoder(self, *, include_usage: bool | None = None) -> encode.StreamEncoder:
        return encode.StreamEncoder(include_usage=include_usage)

    def error_body(self, error: RequestError) -> bytes:
        return failures.error_object(error.message, status=error.status, code=error.code, param=error.param)

    def read_request(self, body: bytes, *, model: str = "", stream: bool = False) -> CreateRequest:
        return read_request(body)

    def read_prompt(self, request: CreateRequest) -> Prompt:
        return read_prompt(request)

    def whole(self, fold: Fold) -> bytes:
        return whole.whole(fold)

    def pending(self, started: ResponseStarted) -> bytes:
        return whole.pending(started)

    def failure_status(self, terminal: Terminal, *, same_dialect: bool) -> int:
        return status_of(terminal)

    def terminal_error(self, terminal: Terminal, *, same_dialect: bool) -> bytes:
        return objects.terminal_error(terminal, same_dialect=same_dialect)

    def headers(self, api_key: str | None) -> dict[str, str]:
        return {} if api_key is None else {"authorization": f"Bearer {api_key}"}

    def read_models(self, body: bytes) -> list[str]:
        return objects.read_models(body)

    def write_request(self, request: CreateRequest, *, model: str, stream: bool) -> UpstreamRequest:
        return write_request(request, model=model, stream=stream, traits=self._traits)

    def write_prompt(self, prompt: Prompt, *, model: str, stream: bool) -> Written:
        return write_prompt(prompt, model=model, stream=stream, traits=self._traits)

    def stream_decoder(self, *, attempt: int, choices: int) -> decode.StreamDecoder:
        return decode.StreamDecoder(attempt=attempt, choices=choices)

    def whole_decoder(self, *, attempt: int, choices: int) -> decode.WholeDecoder:
        return decode.WholeDecoder(attempt=attempt, choices=choices)

    def read_failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Failure:
        return failures.read_failure(status, headers, body)


OPENAI_CHAT = OpenAIChat()
