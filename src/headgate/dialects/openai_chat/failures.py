"""OpenAI Chat Completions: errors, read from providers and written to clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from headgate.dialects.compact import compact_json
from headgate.errors import Failure

MESSAGE_CHARS_MAX: Final = 2000
"""Of a provider's message; longer ones are error pages."""
WORD_CHARS_MAX: Final = 256
"""Of a provider's error code, type or param."""
INTEGER_MAX: Final = 2**53 - 1
RETRY_AFTER_S_MAX: Final = 86_400.0
"""A provider asking for more than a day is not believed."""

_REJECTED: Final = frozenset({400, 404, 405, 413, 415, 422})
_AUTH: Final = frozenset({401, 403})
_PASSED_ON: Final = frozenset({503, 504})
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


def failure_of_status(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """The failure that an HTTP error answer stands for (PROTOCOL.md section 3)."""
    try:
        message, detail = _error_of(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        message, detail = "", None
    message = message or f"The provider answered with status {status}."
    retry_after_s = _retry_after(headers.get("retry-after"))
    if status in _REJECTED:
        return Failure("upstream_rejected", message, http_status=status, detail=detail)
    if status in _AUTH:  # its message may name our key
        return Failure("upstream_auth", f"The provider refused the gateway's credentials ({status}).")
    if status == 429:
        return Failure("upstream_rate_limited", message, retry_after_s=retry_after_s, detail=detail)
    http_status = status if status in _PASSED_ON else 0
    return Failure("upstream_error", message, http_status=http_status, retry_after_s=retry_after_s, detail=detail)


def _object_of(value: dict[str, Any]) -> dict[str, Any]:
    error = value.get("error")
    return error if isinstance(error, dict) else value


def _words(value: Any) -> list[str | int]:
    """Whatever in an error object says what kind of error it is."""
    error = _object_of(value) if isinstance(value, dict) else {}
    return [word for key in ("code", "type", "status") if isinstance(word := error.get(key), str | int)]


def _error_of(value: Any) -> tuple[str, dict[str, Any] | None]:
    """Message and error object of ``{"error": {...}}``, ``{"error": "..."}`` or ``{"object": "error", ...}``."""
    if not isinstance(value, dict):
        return (value[:MESSAGE_CHARS_MAX], None) if isinstance(value, str) else ("", None)
    if isinstance(value.get("error"), str):
        return value["error"][:MESSAGE_CHARS_MAX], None
    error = _object_of(value)
    detail = {key: error[key] for key in ("type", "param", "code") if _is_word(error.get(key))}
    message = error.get("message")
    return (message[:MESSAGE_CHARS_MAX] if isinstance(message, str) else ""), detail or None


def _is_word(value: Any) -> bool:
    """Whether a value of an error object is passed on: longer ones are no words, and the journal has 64 bits."""
    if isinstance(value, str):
        return len(value) <= WORD_CHARS_MAX
    return type(value) is int and abs(value) <= INTEGER_MAX


def _retry_after(value: str | None) -> float | None:
    """``Retry-After`` in seconds; the date form is not used by providers and is ignored."""
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds <= RETRY_AFTER_S_MAX else None
