"""Gemini: errors, read from providers and written to clients.

The shape is ``{"error": {"code": <HTTP status>, "message", "status": <gRPC word>, "details": [...]}}``. ``error`` is its
first key: the Python SDK looks for these bytes at the start of a chunk. ``code`` is always from 400 to 599: the
JavaScript SDK takes an error with another one for an empty answer. HTTP errors of streams come inside an array.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from headgate.dialects.compact import compact_json
from headgate.dialects.failures import MESSAGE_CHARS_MAX, PASSED_ON, RETRY_AFTER_S_MAX, failure_of_status, words
from headgate.dialects.failures import error_body as json_of
from headgate.dialects.fields import MalformedError, storable
from headgate.errors import CODES, Failure
from headgate.events import Terminal

DETAILS_BYTES_MAX: Final = 8192
"""Of a provider's ``details``; longer ones are not passed on."""

_WORD_OF_STATUS: Final = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    410: "NOT_FOUND",
    409: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_KEY_REASONS: Final = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED"})
"""Google answers a wrong key with status 400."""
_DELAY: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
"""A duration as proto JSON has it."""


def error_object(message: str, *, status: int, detail: dict[str, Any] | None = None) -> bytes:
    """An error as the official SDKs parse it. A provider's own word and ``details`` (`detail`) are kept."""
    word = _WORD_OF_STATUS.get(status) or ("INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
    return compact_json({"error": {"code": status, "message": message, "status": word} | (detail or {})})


def terminal_error(terminal: Terminal, *, same_dialect: bool) -> bytes:
    """The error object of a log that failed, was cancelled or expired."""
    code = CODES.get(terminal.code, CODES["internal"])
    detail = terminal.detail if same_dialect and terminal.code in PASSED_ON else None
    return error_object(terminal.message, status=terminal.http_status or code.status, detail=detail)


def failure_in_band(value: Any) -> Failure:
    """The failure that an error object inside a 200 stands for."""
    error = _error_of(value)
    message = _message(error) or "The provider reported an error."
    detail = _detail(error)
    if error.get("code") == 429 or error.get("status") == "RESOURCE_EXHAUSTED":
        return Failure("upstream_rate_limited", message, retry_after_s=_retry_delay(error), detail=detail)
    http_status = {503: 503, 504: 504, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504}
    known = next((http_status[word] for word in _words(error) if word in http_status), 0)
    return Failure("upstream_error", message, http_status=known, detail=detail)


def read_failure(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """The failure that an HTTP error answer stands for (PROTOCOL.md section 3)."""
    error = _error_of(json_of(body))
    if status == 400 and any(item.get("reason") in _KEY_REASONS for item in _details(error)):
        status = 401
    failure = failure_of_status(status, headers, message=_message(error), detail=_detail(error))
    if failure.retry_after_s is None and failure.code == "upstream_rate_limited":
        failure = Failure(failure.code, failure.message, retry_after_s=_retry_delay(error), detail=failure.detail)
    return failure


def _error_of(value: Any) -> dict[str, Any]:
    """The error object in an answer, a chunk, or an array of those; empty where there is none."""
    if type(value) is list:
        value = next((item for item in value if type(item) is dict), None)
    if type(value) is not dict:
        return {}
    error = value.get("error", value)
    return error if type(error) is dict else {"message": error}


def _message(error: dict[str, Any]) -> str:
    message = error.get("message")
    return message[:MESSAGE_CHARS_MAX] if type(message) is str else ""


def _words(error: dict[str, Any]) -> list[Any]:
    return [word for word in (error.get("code"), error.get("status")) if type(word) is int or type(word) is str]


def _detail(error: dict[str, Any]) -> dict[str, Any] | None:
    """What a caller of the same dialect is shown: the provider's word for the status, and its ``details``."""
    detail = words(error, ("status",)) or {}
    details = list(_details(error))
    try:
        if details and len(msgspec.json.encode(storable({"details": details}))) <= DETAILS_BYTES_MAX:
            detail["details"] = details
    except MalformedError:
        pass
    return detail or None


def _details(error: dict[str, Any]) -> Iterator[dict[str, Any]]:
    details = error.get("details")
    if type(details) is list:
        yield from (item for item in details if type(item) is dict)


def _retry_delay(error: dict[str, Any]) -> float | None:
    """``RetryInfo.retryDelay`` among the details: Google sends no ``Retry-After``."""
    for item in _details(error):
        found = _DELAY.fullmatch(delay) if type(delay := item.get("retryDelay")) is str else None
        if found and float(found[1]) <= RETRY_AFTER_S_MAX:
            return float(found[1])
    return None
