"""The Responses dialect: reading a client's request, and writing it for a provider of the same dialect.

Fields we do not know are passed on as they came; the types of those we act on or show again are checked here. What
the response object says of the request (`echo`) is worked out here too, in the form that Open Responses has for it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.dialects.fields import JSON_ERRORS, MalformedError, read_json, storable
from headgate.dialects.given import invalid
from headgate.dialects.openai_responses.items import as_sent_upstream, input_of
from headgate.dialects.openai_responses.objects import DEFAULTS
from headgate.dialects.openai_responses.output import NAME
from headgate.errors import RequestError
from headgate.request import CreateRequest, UpstreamRequest

PATH: Final = "/responses"
MODEL_CHARS_MAX: Final = 256
"""Model names become metric labels and log fields."""

_NUMBER: Final = ((int, float), "a number")
_STRING: Final = (str, "a string")
_BOOLEAN: Final = (bool, "a boolean")
_INTEGER: Final = (int, "an integer")
_OBJECT: Final = (dict, "an object")
_TYPES: Final[dict[str, tuple[type | tuple[type, ...], str]]] = {
    "model": _STRING,
    "input": ((str, list), "a string or an array"),
    "instructions": _STRING,
    "stream": _BOOLEAN,
    "stream_options": _OBJECT,
    "store": _BOOLEAN,
    "background": _BOOLEAN,
    "previous_response_id": _STRING,
    "tools": (list, "an array"),
    "tool_choice": ((str, dict), "a string or an object"),
    "parallel_tool_calls": _BOOLEAN,
    "max_output_tokens": _INTEGER,
    "max_tool_calls": _INTEGER,
    "top_logprobs": _INTEGER,
    "temperature": _NUMBER,
    "top_p": _NUMBER,
    "presence_penalty": _NUMBER,
    "frequency_penalty": _NUMBER,
    "metadata": _OBJECT,
    "reasoning": _OBJECT,
    "text": _OBJECT,
    "prompt": _OBJECT,
    "conversation": ((str, dict), "a string or an object"),
    "prompt_cache_key": _STRING,
    "prompt_cache_retention": _STRING,
    "safety_identifier": _STRING,
    "service_tier": _STRING,
    "truncation": _STRING,
    "user": _STRING,
}
_INPUTS: Final = ("input", "previous_response_id", "prompt", "conversation")
_ECHOED: Final = frozenset({*DEFAULTS, "prompt", "prompt_cache_retention", "conversation"})


def read_request(body: bytes) -> CreateRequest:
    """A checked request. Raises `RequestError` (``invalid_json``, ``invalid_request``) that names the field."""
    value = _read(body)
    _check_model(value)
    if all(value.get(field) is None for field in _INPUTS):
        raise RequestError("invalid_request", "You must provide 'input'.", param="input")
    echo, input = kept(value)
    return CreateRequest(
        dialect=NAME,
        model=value["model"],
        body=value,
        stream=bool(value.get("stream")),
        include_usage=True,
        text=[value.get("input"), value.get("instructions"), value.get("tools")],
        echo=echo,
        input=input,
        background=bool(value.get("background")),
        raw=body,
    )


def kept(body: dict[str, Any]) -> tuple[dict[str, Any] | None, list[Any] | None]:
    """What of a request's body is kept with the response: what its object shows of it, and its input items.

    Raises `RequestError` ``invalid_request`` for what no log could hold.
    """
    echo = {field: _shown(field, given) for field, given in body.items() if field in _ECHOED and given is not None}
    input = None if body.get("store") is False else input_of(body)
    for field, given in [*echo.items(), ("input", input)]:
        _check_storable(field, given)
    return echo or None, input


def read_count(body: bytes) -> CreateRequest:
    """The request of ``POST /v1/responses/input_tokens``: that of a creation, where even the model may be missing."""
    value = _read(body)
    if value.get("model") is not None:
        _check_model(value)
    text = [value.get("input"), value.get("instructions"), value.get("tools")]
    return CreateRequest(dialect=NAME, model=value.get("model") or "", body=value, text=text)


def write_request(request: CreateRequest, *, model: str, stream: bool) -> UpstreamRequest:
    """The same request for a provider of the same dialect, as it came.

    But for the model and the stream; for ids of items that we made up and the provider cannot know; and for
    ``background``, which is between the client and us: nobody has to poll a provider.
    """
    body = sent_upstream(request.body)
    body["model"] = model
    if stream:
        body["stream"] = True
    else:
        body.pop("stream", None)
        body.pop("stream_options", None)
    return UpstreamRequest(path=PATH, body=msgspec.json.encode(body), stream=stream)


def sent_upstream(body: dict[str, Any]) -> dict[str, Any]:
    """A body without what is between the client and us, and without ids of ours."""
    sent = {name: value for name, value in body.items() if name not in ("background", "background_options")}
    if type(sent.get("input")) is list:
        sent["input"] = as_sent_upstream(sent["input"])
    return sent


def _read(body: bytes) -> dict[str, Any]:
    try:
        value = read_json(body)
    except JSON_ERRORS as error:
        raise RequestError("invalid_json", f"The request body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise RequestError("invalid_request", "The request body must be a JSON object.")
    for field, (kinds, words) in _TYPES.items():
        given = value.get(field)
        if given is not None and (not isinstance(given, kinds) or (isinstance(given, bool) and kinds is not bool)):
            raise invalid(field, words)
    for field in ("input", "tools"):
        items = value.get(field)
        if isinstance(items, list):
            for index, item in enumerate(items):
                if not isinstance(item, dict):
                    raise invalid(f"{field}[{index}]", "an object")
    return value


def _check_model(value: dict[str, Any]) -> None:
    model = value.get("model")
    if model is None:
        raise RequestError("invalid_request", "You must provide 'model'.", param="model")
    if not model or len(model) > MODEL_CHARS_MAX or not model.isprintable():
        raise invalid("model", f"1 to {MODEL_CHARS_MAX} printable characters")


def _check_storable(field: str, value: Any) -> None:
    """The log keeps these values, so they must fit into it."""
    try:
        storable({field: value})
    except MalformedError as error:
        raise RequestError("invalid_request", f"'{field}' cannot be kept: {error}.", param=field) from None


def _shown(field: str, value: Any) -> Any:
    """A field of the request as the response object has it: with everything that Open Responses wants to be said."""
    if field == "tools":
        return [_tool(tool) for tool in value]
    if field == "reasoning":
        return {"effort": None, "summary": None, **value}
    if field == "text":
        form = value.get("format") or {"type": "text"}
        if isinstance(form, dict) and form.get("type") == "json_schema":
            form = {"description": None, "strict": None, **form}
        return {**value, "format": form}
    if field == "tool_choice" and isinstance(value, dict) and value.get("type") == "allowed_tools":
        return {"mode": "auto", **value}
    if field == "conversation" and isinstance(value, str):
        return {"id": value}
    return value


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function":
        return tool
    return {"description": None, "parameters": None, "strict": None, **tool}
