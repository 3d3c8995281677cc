"""OpenAI Chat Completions: reading a client's request, and writing one for a provider.

Fields we do not know are passed on as they came; the types of those we act on are checked here, so that nothing
further in needs to.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.dialects.fields import JSON_ERRORS, read_json
from headgate.dialects.openai_chat.parts import REASONING_FIELD
from headgate.errors import RequestError
from headgate.request import CreateRequest, UpstreamRequest
from headgate.traits import PLAIN, Traits

PATH: Final = "/chat/completions"
CHOICES_MAX: Final = 128
"""OpenAI's own limit for ``n``."""
MODEL_CHARS_MAX: Final = 256
"""Model names become metric labels and log fields."""

_TYPES: Final[dict[str, tuple[type | tuple[type, ...], str]]] = {
    "model": (str, "a string"),
    "messages": (list, "an array"),
    "stream": (bool, "a boolean"),
    "stream_options": (dict, "an object"),
    "n": (int, "an integer"),
    "tools": (list, "an array"),
    "response_format": (dict, "an object"),
    "max_tokens": (int, "an integer"),
    "max_completion_tokens": (int, "an integer"),
    "temperature": ((int, float), "a number"),
    "top_p": ((int, float), "a number"),
}
_REQUIRED: Final = ("model", "messages")


def read_request(body: bytes) -> CreateRequest:
    """A checked request. Raises `RequestError` (``invalid_json``, ``invalid_request``) that names the field."""
    try:
        value = read_json(body)
    except JSON_ERRORS as error:
        raise RequestError("invalid_json", f"The request body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise RequestError("invalid_request", "The request body must be a JSON object.")
    _check(value)
    options = value.get("stream_options") or {}
    include_usage = options.get("include_usage", False)
    if include_usage is not None and type(include_usage) is not bool:
        raise _invalid("stream_options.include_usage", "a boolean")
    return CreateRequest(
        dialect="openai-chat",
        model=value["model"],
        body=value,
        stream=bool(value.get("stream")),
        include_usage=bool(include_usage),
        choices=value.get("n") or 1,
        text=[value["messages"], value.get("tools"), value.get("functions")],
        raw=body,
    )


def _without_reasoning(message: dict[str, Any]) -> dict[str, Any]:
    """A message without the field that our own answers say reasoning in."""
    return {name: value for name, value in message.items() if name != REASONING_FIELD}


def _check(value: dict[str, Any]) -> None:
    for field in _REQUIRED:
        if value.get(field) is None:
            raise RequestError("invalid_request", f"You must provide '{field}'.", param=field)
    for field, given in value.items():
        known = _TYPES.get(field)
        if known is not None and given is not None:
            kinds, words = known
            if not isinstance(given, kinds) or (isinstance(given, bool) and kinds is not bool):
                raise _invalid(field, words)
    model: str = value["model"]
    if not model or len(model) > MODEL_CHARS_MAX or not model.isprintable():
        raise RequestError(
            "invalid_request", f"'model' must be 1 to {MODEL_CHARS_MAX} printable characters.", param="model"
        )
    messages: list[Any] = value["messages"]
    if not messages or not all(isinstance(message, dict) for message in messages):
        raise RequestError("invalid_request", "'messages' must be a non-empty array of objects.", param="messages")
    if not 1 <= (1 if value.get("n") is None else value["n"]) <= CHOICES_MAX:
        raise RequestError("invalid_request", f"'n' must be between 1 and {CHOICES_MAX}.", param="n")


def _invalid(field: str, words: str) -> RequestError:
    return RequestError("invalid_request", f"'{field}' must be {words}.", param=field)


def write_request(request: CreateRequest, *, model: str, stream: bool, traits: Traits = PLAIN) -> UpstreamRequest:
    """The same request for a provider of the same dialect. A stream always asks for usage: the log wants it.

    What the client wrote is between it and the provider; what it was given, or is promised, by us is left out where the
    provider refuses it.
    """
    body = dict(request.body)
    body["model"] = model
    options: dict[str, Any] = {}
    if stream:
        body["stream"] = True
        options = {**(body.get("stream_options") or {}), "include_usage": True}
        if not traits.stream_options:
            del options["include_usage"]
    else:
        body.pop("stream", None)
    if options:
        body["stream_options"] = options
    else:
        body.pop("stream_options", None)
    if traits.reasoning == "strip":
        body["messages"] = [_without_reasoning(message) for message in body["messages"]]
    return UpstreamRequest(path=PATH, body=msgspec.json.encode(body), stream=stream)
