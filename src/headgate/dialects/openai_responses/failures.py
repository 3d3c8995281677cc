"""Failures inside an answer of a provider: ``error`` events, and responses that failed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from headgate.dialects.openai_chat.failures import failure_in_band
from headgate.dialects.openai_responses.objects import PROVIDERS_CODES
from headgate.errors import Failure

_PROVIDERS_FAULT: Final = frozenset({"server_error", "rate_limit_exceeded", "vector_store_timeout"})
REJECTED: Final = PROVIDERS_CODES - _PROVIDERS_FAULT
"""Codes that blame the request: asking again changes nothing."""
_WORDS: Final = ("code", "message", "param")


def failure_of_event(event: dict[str, Any]) -> Failure:
    """What an ``error`` event means: its error is flat, as OpenAI's types have it, or in a member of its own."""
    error = event.get("error")
    return failure_of_error(error if error else {word: event[word] for word in _WORDS if word in event})


def failure_of_error(error: Any) -> Failure:
    """What the ``error`` of a failed response means."""
    failure = failure_in_band({"error": error})
    code = error.get("code") if isinstance(error, dict) else None
    if type(code) is str and code in REJECTED:
        return replace(failure, code="upstream_rejected", http_status=400)
    return failure
