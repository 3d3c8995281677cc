"""Gemini: reading a client's request, writing one for a provider of the same dialect, and the small answers beside it.

Model and way of answering stand in the path: ``/v1beta/models/{model}:generateContent`` or ``:streamGenerateContent``.
The body travels as it came; the types of what we act on are checked here, in either spelling of its names.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote

import msgspec

from headgate.dialects.compact import compact_json
from headgate.dialects.fields import JSON_ERRORS, read_json
from headgate.dialects.gemini.given import Given, camel
from headgate.dialects.gemini.objects import NAME
from headgate.dialects.given import invalid
from headgate.errors import RequestError
from headgate.request import CreateRequest, UpstreamRequest

FOREIGN_SIGNATURE: Final = "skip_thought_signature_validator"
"""Google's word for a call that no model of theirs has signed. Since Gemini 3 the first call of a turn must have one."""
_WITH_BUDGETS: Final = re.compile(r"gemini-[12](?:\.|-|$)")
CHOICES_MAX: Final = 128
"""Google's own limit for ``candidateCount`` is 8; a log may hold what other dialects ask for."""
MODEL_CHARS_MAX: Final = 256
"""Model names become metric labels and log fields."""
MODELS_PATH: Final = "/v1beta/models?pageSize=1000"
METHODS: Final = ("generateContent", "streamGenerateContent", "countTokens")
"""What can be done with a model of ours."""

_COLLECTIONS: Final = ("models/", "tunedModels/")
_TEXT_FIELDS: Final = ("systemInstruction", "contents", "tools")
_CALLS: Final = ("functionCall", "function_call")
_SIGNATURES: Final = ("thoughtSignature", "thought_signature")
_OURS: Final = frozenset({"model", "stream"})
"""What the path says; Google's own clients send ``model`` in the body as well at times."""


def read_request(body: bytes, *, model: str, stream: bool) -> CreateRequest:
    """A checked request. Raises `RequestError` (``invalid_json``, ``invalid_request``) that names the field."""
    value = _object(body)
    _check_contents(value)
    given = Given(value, "", [])
    for field in ("tools", "safetySettings"):
        list(given.objects(field))
    for field in ("systemInstruction", "toolConfig"):
        given.maybe(field)
    config = given.maybe("generationConfig")
    choices = _choices(config) if config is not None else 1
    return _request(value, model, body, stream=stream, choices=choices)


def read_count(body: bytes, *, model: str) -> CreateRequest:
    """A request for ``:countTokens``: ``contents``, or a whole ``generateContentRequest``."""
    value = _object(body)
    whole = value.get("generateContentRequest", value.get("generate_content_request"))
    if whole is not None:
        if type(whole) is not dict:
            raise invalid("generateContentRequest", "an object")
        value = whole
    _check_contents(value)
    return _request(value, model, body, stream=False, choices=1)


def count_answer(tokens: int) -> bytes:
    """The answer of ``:countTokens``."""
    return compact_json({"totalTokens": tokens})


def model_object(name: str) -> dict[str, Any]:
    """A model as ``GET /v1beta/models/{model}`` shows it."""
    return {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": list(METHODS)}


def read_models(body: bytes) -> list[str]:
    """Names of a provider's models that generate content; empty for what is no such list."""
    try:
        value = read_json(body)
    except JSON_ERRORS:
        return []
    models = value.get("models") if isinstance(value, dict) else None
    names = [_model_name(item) for item in models if isinstance(item, dict)] if isinstance(models, list) else []
    return [name for name in names if name]


def _model_name(item: dict[str, Any]) -> str:
    name, methods = item.get("name"), item.get("supportedGenerationMethods")
    if not isinstance(name, str) or (isinstance(methods, list) and "generateContent" not in methods):
        return ""
    return bare_model(name)


def bare_model(name: str) -> str:
    """A model's name without ``models/``; other collections are part of the name."""
    return name.removeprefix("models/")


def has_budgets(model: str) -> bool:
    """Whether a model is older than Gemini 3: it thinks by budget, not by level, and signs no calls."""
    return _WITH_BUDGETS.match(bare_model(model)) is not None


def upstream_path(model: str, *, stream: bool) -> str:
    """Where a provider is asked, under its base URL."""
    name = bare_model(model)
    collection = next((prefix for prefix in _COLLECTIONS if name.startswith(prefix)), "")
    where = f"/v1beta/{collection or 'models/'}{quote(name.removeprefix(collection), safe='')}"
    return f"{where}:streamGenerateContent?alt=sse" if stream else f"{where}:generateContent"


def write_request(request: CreateRequest, *, model: str, stream: bool) -> UpstreamRequest:
    """The same request for a provider of the same dialect. Gemini 3 wants calls signed, also those of other models."""
    body = {field: value for field, value in request.body.items() if field not in _OURS}
    if not has_budgets(model) and "contents" in body:
        body["contents"] = [_signed(content) for content in body["contents"]]
    return UpstreamRequest(path=upstream_path(model, stream=stream), body=msgspec.json.encode(body), stream=stream)


def _signed(content: dict[str, Any]) -> dict[str, Any]:
    """A model's turn whose first call is signed: a provider of another dialect made the one that is not."""
    parts = content.get("parts") or []
    at = next((at for at, part in enumerate(parts) if any(map(part.get, _CALLS))), None)
    if content.get("role") != "model" or at is None or any(map(parts[at].get, _SIGNATURES)):
        return content
    return {**content, "parts": [*parts[:at], parts[at] | {"thoughtSignature": FOREIGN_SIGNATURE}, *parts[at + 1 :]]}


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = read_json(body)
    except JSON_ERRORS as error:
        raise RequestError("invalid_json", f"The request body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise RequestError("invalid_request", "The request body must be a JSON object.")
    return value


def _check_contents(value: dict[str, Any]) -> None:
    contents = value.get("contents")
    if contents is None:
        raise RequestError("invalid_request", "You must provide 'contents'.", param="contents")
    if not isinstance(contents, list) or not contents or not all(isinstance(item, dict) for item in contents):
        raise invalid("contents", "a non-empty array of objects")
    for index, content in enumerate(contents):
        parts = content.get("parts")
        if parts is not None and not (isinstance(parts, list) and all(isinstance(part, dict) for part in parts)):
            raise invalid(f"contents[{index}].parts", "an array of objects")


def _choices(config: Given) -> int:
    path = config.path("candidateCount")
    count = config.integer("candidateCount")
    if count is not None and not 1 <= count <= CHOICES_MAX:
        raise invalid(path, f"between 1 and {CHOICES_MAX}")
    return count or 1


def _request(value: dict[str, Any], model: str, raw: bytes, *, stream: bool, choices: int) -> CreateRequest:
    name = bare_model(model)
    if not name or len(name) > MODEL_CHARS_MAX or not name.isprintable():
        raise RequestError(
            "invalid_request", f"'model' must be 1 to {MODEL_CHARS_MAX} printable characters.", param="model"
        )
    return CreateRequest(
        dialect=NAME,
        model=name,
        body=value,
        stream=stream,
        include_usage=True,  # every stream of this dialect ends with its usage
        choices=choices,
        text=[item for field, item in value.items() if camel(field) in _TEXT_FIELDS],
        raw=raw,
    )
