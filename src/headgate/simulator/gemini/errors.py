"""Errors in Google's shape."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.simulator.writer import Problem

_STATUSES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_RETRY: Final = "type.googleapis.com/google.rpc.RetryInfo"
_FIELD: Final = "type.googleapis.com/google.rpc.BadRequest"


def error(problem: Problem) -> bytes:
    """An error body, with details where Google gives them; in an array where the answer would have been one."""
    status = _STATUSES.get(problem.status, "INVALID_ARGUMENT" if problem.status < 500 else "UNKNOWN")
    shown: dict[str, Any] = {"code": problem.status, "message": problem.message, "status": status}
    if problem.retry_s is not None:
        shown["details"] = [{"@type": _RETRY, "retryDelay": f"{problem.retry_s:g}s"}]
    elif problem.param is not None and problem.status == 400:
        violation = {"field": problem.param, "description": problem.message}
        shown["details"] = [{"@type": _FIELD, "fieldViolations": [violation]}]
    body = msgspec.json.encode({"error": shown})
    return b"[%b]" % body if problem.array else body
