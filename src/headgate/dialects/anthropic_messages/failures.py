"""Anthropic Messages: errors, read from providers and written to clients.

In both directions an error is ``{"type": "error", "error": {"type", "message"}}``: as the body of an HTTP error, and
inside a stream as the data of ``event: error``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from headgate.dialects.compact import compact_json
from headgate.dialects.failures import MESSAGE_CHARS_MAX, PASSED_ON, error_body, failure_of_status, status_of, words
from headgate.errors import Failure
from headgate.events import Terminal

_TYPE_OF_STATUS: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    499: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
}
"""Other 4xx are ``invalid_request_error``, other 5xx ``api_error``."""
_STATUS_OF_TYPE: Final = {"overloaded_error": 503, "timeout_error": 504}
_OVERLOADED: Final = {"type": "overloaded_error"}
_OVERLOADED_STATUS: Final = 529
"""Anthropic's own; to clients of other dialects it is 503."""
_AUTH: Final = frozenset({"authentication_error", "permission_error", "billing_error"})


def error_object(message: str, *, status: int, detail: dict[str, Any] | None = None) -> bytes:
    """The body of an error as the official SDKs parse it. A provider's own object (`detail`) keeps its type."""
    kind = _TYPE_OF_STATUS.get(status) or ("invalid_request_error" if 400 <= status < 500 else "api_error")
    return compact_json({"type": "error", "error": {"type": kind, "message": message} | (detail or {})})


def terminal_error(terminal: Terminal, *, same_dialect: bool) -> bytes:
    """The error object of a log that failed, was cancelled or expired."""
    detail = terminal.detail if same_dialect and terminal.code in PASSED_ON else None
    return error_object(terminal.message, status=status_of(terminal), detail=detail)


def failure_status(terminal: Terminal, *, same_dialect: bool) -> int:
    """Its HTTP status. That a provider of this dialect is overloaded is said as the provider says it: SDKs know the word."""
    overloaded = terminal.code == "upstream_error" and terminal.detail == _OVERLOADED
    return _OVERLOADED_STATUS if same_dialect and overloaded else status_of(terminal)


def failure_in_band(value: Any) -> Failure:
    """The failure that an error object inside a 200 stands for: what would have been a status, had it come earlier."""
    message, detail = _error_of(value)
    kind = detail["type"] if detail else ""
    if kind in _AUTH:  # its message may name our key
        return Failure("upstream_auth", "The provider refused the gateway's credentials.")
    code = "upstream_rate_limited" if kind == "rate_limit_error" else "upstream_error"
    http_status = _STATUS_OF_TYPE.get(kind, 0)
    return Failure(code, message or "The provider reported an error.", http_status=http_status, detail=detail)


def read_failure(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """The failure that an HTTP error answer stands for (PROTOCOL.md section 3)."""
    message, detail = _error_of(error_body(body))
    if status == _OVERLOADED_STATUS:
        detail = _OVERLOADED
    return failure_of_status(status, headers, message=message, detail=detail)


def _error_of(value: Any) -> tuple[str, dict[str, Any] | None]:
    """Message and ``{"type"}`` of an error object, or of the bare string that some proxies put in its place."""
    error = value.get("error", value) if isinstance(value, dict) else value
    if isinstance(error, str):
        return error[:MESSAGE_CHARS_MAX], None
    if not isinstance(error, dict):
        return "", None
    message = error.get("message")
    detail = words(error, ("type",)) if isinstance(error.get("type"), str) and error["type"] != "error" else None
    return (message[:MESSAGE_CHARS_MAX] if isinstance(message, str) else ""), detail
