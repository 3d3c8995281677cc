"""What an HTTP error answer of a provider means, whatever its dialect (PROTOCOL.md section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from headgate.dialects.fields import JSON_ERRORS, read_json
from headgate.errors import CODES, Failure
from headgate.events import Terminal

MESSAGE_CHARS_MAX: Final = 2000
"""Of a provider's message; longer ones are error pages."""
WORD_CHARS_MAX: Final = 256
"""Of a provider's error code, type or param."""
INTEGER_MAX: Final = 2**53 - 1
RETRY_AFTER_S_MAX: Final = 86_400.0
"""A provider asking for more than a day is not believed."""

_REJECTED: Final = frozenset({400, 404, 405, 413, 415, 422})
_AUTH: Final = frozenset({401, 403})
_KEPT: Final = frozenset({503, 504})

PASSED_ON: Final = frozenset({"upstream_rejected", "upstream_rate_limited"})
"""Failures that are the provider's answer to the caller: readers of its dialect see its own error object."""


def failure_of_status(
    status: int, headers: Mapping[str, str], *, message: str, detail: dict[str, Any] | None
) -> Failure:
    """The failure of an answer with this status. `message` and `detail` are what the dialect found in its body."""
    message = message[:MESSAGE_CHARS_MAX] or f"The provider answered with status {status}."
    retry_after_s = _retry_after(headers.get("retry-after"))
    if status in _REJECTED:
        return Failure("upstream_rejected", message, http_status=status, detail=detail)
    if status in _AUTH:  # its message may name our key
        return Failure("upstream_auth", f"The provider refused the gateway's credentials ({status}).")
    if status == 429:
        return Failure("upstream_rate_limited", message, retry_after_s=retry_after_s, detail=detail)
    http_status = 503 if status == 529 else status if status in _KEPT else 0  # 529: Anthropic is overloaded
    return Failure("upstream_error", message, http_status=http_status, retry_after_s=retry_after_s, detail=detail)


def status_of(terminal: Terminal) -> int:
    """The HTTP status of a failure, in so far as all dialects see it alike."""
    return terminal.http_status or CODES.get(terminal.code, CODES["internal"]).status


def error_body(body: bytes) -> Any:
    """The JSON of an error answer; None for an error page."""
    try:
        return read_json(body)
    except JSON_ERRORS:
        return None


def words(error: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any] | None:
    """Those of `names` that are words or small numbers: longer ones are no words, and the journal has 64 bits."""
    return {name: error[name] for name in names if _is_word(error.get(name))} or None


def _is_word(value: Any) -> bool:
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
