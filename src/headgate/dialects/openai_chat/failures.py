"""OpenAI Chat Completions: errors, read from providers and written to clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from headgate.dialects.compact import compact_json
from headgate.dialects.failures import MESSAGE_CHARS_MAX, WORD_CHARS_MAX, error_body, failure_of_status, words
from headgate.dialects.openai_chat.reasons import FAILED, normal
from headgate.errors import Failure

_RATE_LIMITED: Final = frozenset(
    {"rate_limit_exceeded", "rate_limit_error", "insufficient_quota", "too_many_requests", "429"}
)

_TYPE_OF_STATUS: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    499: "cancelled",
}

_IN_JSON: Final = '{"detail"'
_SENTENCES_MAX: Final = 20
"""Of a FastAPI error: it has one for each field of each message."""


def error_object(
    message: str, *, status: int, code: str, param: str | None = None, detail: dict[str, Any] | None = None
) -> bytes:
    """``{"error": {...}}`` as the official SDKs parse it. A provider's own object (`detail`) keeps its fields."""
    kind = _TYPE_OF_STATUS.get(status) or ("server_error" if status >= 500 else "invalid_request_error")
    error: dict[str, Any] = {"message": message, "type": kind, "param": param, "code": code}
    if detail:
        error.update({key: value for key, value in detail.items() if value is not None})
    return compact_json({"error": error})


def failure_in_band(chunk: Any) -> Failure:
    """The failure that an error object inside a 200 stands for."""
    message, detail = _error_of(chunk)
    limited = _RATE_LIMITED & {str(value) for value in _words(chunk)}
    code = "upstream_rate_limited" if limited else "upstream_error"
    return Failure(code, message or "The provider reported an error.", detail=detail)


def failure_of_word(word: str, choice: dict[str, Any]) -> Failure | None:
    """The failure that a finish reason stands for; OpenRouter puts an error object beside it."""
    code = FAILED.get(normal(word))
    if code is None:
        return None
    if isinstance(choice.get("error"), dict):
        return failure_in_band(choice)
    return Failure(code, f"The provider ended its answer with the finish reason '{word[:WORD_CHARS_MAX]}'.")


def read_failure(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """The failure that an HTTP error answer stands for (PROTOCOL.md section 3)."""
    message, detail = _error_of(error_body(body))
    return failure_of_status(status, headers, message=message, detail=detail)


def _object_of(value: dict[str, Any]) -> dict[str, Any]:
    error = value.get("error")
    return error if isinstance(error, dict) else value


def _words(value: Any) -> list[str | int]:
    """Whatever in an error object says what kind of error it is."""
    error = _object_of(value) if isinstance(value, dict) else {}
    return [word for key in ("code", "type", "status") if isinstance(word := error.get(key), str | int)]


def _error_of(value: Any) -> tuple[str, dict[str, Any] | None]:
    """Message and error object of ``{"error": {...}}``, ``{"error": "..."}`` or ``{"object": "error", ...}``.

    Gemini's endpoint has an array of one around them; FastAPI (vLLM, Mistral) has a ``detail``, instead of the message or
    in it, as it is or in JSON.
    """
    if type(value) is list and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        return (value[:MESSAGE_CHARS_MAX], None) if isinstance(value, str) else ("", None)
    if isinstance(value.get("error"), str):
        return value["error"][:MESSAGE_CHARS_MAX], None
    error = _object_of(value)
    detail = words(error, ("type", "param", "code"))
    message = error.get("message")
    said = _fastapi(message) or _fastapi(error.get("detail"))
    return said[:MESSAGE_CHARS_MAX], detail


def _fastapi(detail: Any) -> str:
    """A string, FastAPI's ``[{"loc": ["body", "messages", 0], "msg": "..."}, ...]``, or either in a ``detail``."""
    if isinstance(detail, dict):
        detail = detail.get("detail")
    if isinstance(detail, str):
        inner = error_body(detail.encode(errors="replace")) if detail.startswith(_IN_JSON) else None
        return _sentences(inner["detail"]) or detail if isinstance(inner, dict) else detail
    return _sentences(detail)


def _sentences(detail: Any) -> str:
    """What each object of a ``detail`` says, and of what."""
    if not isinstance(detail, list):
        return ""
    said = []
    for item in detail[:_SENTENCES_MAX]:
        match item:
            case {"msg": str(message), "loc": [*places]}:
                said.append(f"{'.'.join(map(str, places))}: {message}")
            case {"msg": str(message)}:
                said.append(message)
    return "; ".join(said)
