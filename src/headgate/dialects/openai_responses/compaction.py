"""Compaction: a conversation in, a shorter one with an encrypted item in it out (``POST /responses/compact``).

The item means something to the provider that made it alone, so a compaction is never translated: it is checked, sent
to a provider of this dialect as it came, and handed back as it came. It is no answer, and makes no events.
"""

from __future__ import annotations

from typing import Final

import msgspec

from headgate.dialects.fields import JSON_ERRORS, read_json
from headgate.dialects.openai_responses.request import read_count, sent_upstream
from headgate.errors import RequestError
from headgate.request import CreateRequest, UpstreamRequest

PATH: Final = "/responses/compact"
OBJECT: Final = "response.compaction"
_STREAMED: Final = ("stream", "background")


def read_compaction(body: bytes) -> CreateRequest:
    """A checked request. Raises `RequestError` (``invalid_json``, ``invalid_request``) that names the field."""
    request = read_count(body)
    if not request.model:
        raise RequestError("invalid_request", "You must provide 'model'.", param="model")
    if request.body.get("input") is None and request.body.get("previous_response_id") is None:
        raise RequestError("invalid_request", "You must provide 'input' or 'previous_response_id'.", param="input")
    for field in _STREAMED:
        if request.body.get(field):
            raise RequestError("invalid_request", f"A compaction knows no '{field}': leave it out.", param=field)
    return request


def write_compaction(request: CreateRequest, *, model: str) -> UpstreamRequest:
    """The same request for the provider: as it came, but for the model and for ids of items that we made up."""
    body = sent_upstream(request.body) | {"model": model}
    return UpstreamRequest(path=PATH, body=msgspec.json.encode(body), stream=False, headers=request.headers)


def is_compaction(body: bytes) -> bool:
    """Whether a provider's answer is one."""
    try:
        value = read_json(body)
    except JSON_ERRORS:
        return False
    return type(value) is dict and value.get("object") == OBJECT and type(value.get("output")) is list
