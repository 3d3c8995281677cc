"""Anthropic Messages: reading a client's request, and writing one for a provider of the same dialect.

Fields we do not know are passed on as they came; the types of those we act on are checked here, so that nothing
further in needs to.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.dialects.anthropic_messages.objects import NAME
from headgate.dialects.compact import compact_json
from headgate.dialects.fields import JSON_ERRORS, read_json
from headgate.errors import RequestError
from headgate.request import CreateRequest, UpstreamRequest

PATH: Final = "/v1/messages"
MODEL_CHARS_MAX: Final = 256
"""Model names become metric labels and log fields."""

_TYPES: Final[dict[str, tuple[tuple[type, ...], str]]] = {
    "model": ((str,), "a string"),
    "messages": ((list,), "an array"),
    "max_tokens": ((int,), "an integer"),
    "system": ((str, list), "a string or an array"),
    "stream": ((bool,), "a boolean"),
    "tools": ((list,), "an array"),
    "tool_choice": ((dict,), "an object"),
    "temperature": ((int, float), "a number"),
    "top_p": ((int, float), "a number"),
    "top_k": ((int,), "an integer"),
    "stop_sequences": ((list,), "an array"),
    "metadata": ((dict,), "an object"),
    "thinking": ((dict,), "an object"),
    "output_config": ((dict,), "an object"),
    "service_tier": ((str,), "a string"),
}
_ITEMS: Final[dict[str, tuple[type, str]]] = {
    "system": (dict, "an object"),
    "tools": (dict, "an object"),
    "stop_sequences": (str, "a string"),
}
_ROLES: Final = frozenset({"user", "assistant", "system"})
_THINKING: Final = frozenset({"thinking", "redacted_thinking"})
_PICTURED: Final = frozenset({"image", "document"})


def read_request(body: bytes) -> CreateRequest:
    """A checked request. Raises `RequestError` (``invalid_json``, ``invalid_request``) that names the field."""
    return _read(body, ("model", "max_tokens", "messages"))


def read_count(body: bytes) -> CreateRequest:
    """A request whose tokens are to be counted: the same without ``max_tokens``."""
    return _read(body, ("model", "messages"))


def count_answer(tokens: int) -> bytes:
    """The answer to a request for a count."""
    return compact_json({"input_tokens": tokens})


def _read(body: bytes, required: tuple[str, ...]) -> CreateRequest:
    try:
        value = read_json(body)
    except JSON_ERRORS as error:
        raise RequestError("invalid_json", f"The request body is not JSON: {error}") from None
    if type(value) is not dict:
        raise RequestError("invalid_request", "The request body must be a JSON object.")
    for field in required:
        if value.get(field) is None:
            raise RequestError("invalid_request", f"You must provide '{field}'.", param=field)
    _check(value)
    for index, message in enumerate(value["messages"]):
        _check_message(message, f"messages[{index}]")
    return CreateRequest(
        dialect=NAME,
        model=value["model"],
        body=value,
        stream=bool(value.get("stream")),
        text=[value.get("system"), value.get("tools"), [_words(message["content"]) for message in value["messages"]]],
        raw=body,
    )


def _check(value: dict[str, Any]) -> None:
    for field, (kinds, words) in _TYPES.items():
        given = value.get(field)
        if given is not None and type(given) not in kinds:
            raise _invalid(field, words)
    for field, (kind, words) in _ITEMS.items():
        items = value.get(field)
        for index, item in enumerate(items if type(items) is list else ()):
            if type(item) is not kind:
                raise _invalid(f"{field}[{index}]", words)
    if not value["model"] or len(value["model"]) > MODEL_CHARS_MAX or not value["model"].isprintable():
        raise _invalid("model", f"1 to {MODEL_CHARS_MAX} printable characters")
    if not value["messages"]:
        raise _invalid("messages", "a non-empty array")
    if value.get("max_tokens") is not None and value["max_tokens"] < 0:  # 0 fills the prompt cache and answers nothing
        raise _invalid("max_tokens", "at least 0")


def _check_message(message: Any, at: str) -> None:
    if type(message) is not dict:
        raise _invalid(at, "an object")
    role = message.get("role")
    if type(role) is not str or role not in _ROLES:
        raise _invalid(f"{at}.role", "'user', 'assistant' or 'system'")
    content = message.get("content")
    if type(content) is not str and type(content) is not list:
        raise _invalid(f"{at}.content", "a string or an array")
    for index, block in enumerate(content if type(content) is list else ()):
        if type(block) is not dict or type(block.get("type")) is not str:
            raise _invalid(f"{at}.content[{index}]", "an object with a 'type'")


def _words(content: Any) -> Any:
    """Content without what stands in base64 in it: no token is made of its letters."""
    if type(content) is str:
        return content
    return [_block_words(block) for block in content if type(block) is dict]


def _block_words(block: dict[str, Any]) -> Any:
    source = block.get("source")
    if block.get("type") in _PICTURED and type(source) is dict and source.get("type") == "base64":
        return [block.get("title"), block.get("context")]
    if block.get("type") == "tool_result":
        inner = block.get("content")
        return _words(inner) if type(inner) is list else inner
    return block


def _invalid(field: str, words: str) -> RequestError:
    return RequestError("invalid_request", f"'{field}' must be {words}.", param=field)


def write_request(request: CreateRequest, *, model: str, stream: bool) -> UpstreamRequest:
    """The same request for a provider of the same dialect."""
    body = dict(request.body)
    body["model"] = model
    given = [(message, _without_foreign_thinking(message)) for message in body["messages"]]
    body["messages"] = [message for before, message in given if message is before or message["content"]]
    changed = any(message is not before for before, message in given[-2:])
    dropped: tuple[str, ...] = ()
    if changed and wants_thinking_back(body["messages"], body.get("thinking")):
        del body["thinking"]
        dropped = ("thinking",)
    if stream:
        body["stream"] = True
    else:
        body.pop("stream", None)
    return UpstreamRequest(path=PATH, body=msgspec.json.encode(body), stream=stream, dropped=dropped)


def wants_thinking_back(messages: list[dict[str, Any]], thinking: Any) -> bool:
    """Whether Anthropic would refuse to think with a budget: the turn that called for these results has no thinking."""
    if type(thinking) is not dict or thinking.get("type") != "enabled" or len(messages) < 2:
        return False
    called, results = messages[-2:]
    blocks = called["content"] if called["role"] == "assistant" else []
    kinds = [block["type"] for block in blocks] if type(blocks) is list else []
    only_results = type(results["content"]) is list and all(
        block["type"] == "tool_result" for block in results["content"]
    )
    return "tool_use" in kinds and only_results and not _THINKING.intersection(kinds)


def _without_foreign_thinking(message: dict[str, Any]) -> dict[str, Any]:
    """A turn without thinking that nobody signed: a provider of another dialect made it, and this one would refuse it."""
    content = message.get("content")
    if message.get("role") != "assistant" or type(content) is not list:
        return message
    kept = [block for block in content if block.get("type") != "thinking" or block.get("signature") != ""]
    return message if len(kept) == len(content) else {**message, "content": kept}
