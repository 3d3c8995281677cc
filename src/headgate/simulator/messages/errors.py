"""Errors in Anthropic's shape."""

from __future__ import annotations

from typing import Final
from zlib import crc32

import msgspec

from headgate.simulator.writer import Problem

_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def error(problem: Problem) -> bytes:
    """An error body. Its ``request_id`` depends on what it says alone."""
    kind = _TYPES.get(problem.status, "invalid_request_error" if problem.status < 500 else "api_error")
    message = f"{problem.param}: {problem.message}" if problem.param else problem.message
    return error_of(kind, message, f"req_{crc32(message.encode('utf-8', 'replace')):08x}")


def error_of(kind: str, message: str, request_id: str) -> bytes:
    """An error of any type, as bodies and ``error`` events have it."""
    shown = {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}
    return msgspec.json.encode(shown)
