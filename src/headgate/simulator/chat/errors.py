"""Errors in OpenAI's shape, which Chat Completions and Responses share."""

from __future__ import annotations

from typing import Final

import msgspec

from headgate.simulator.writer import Problem

_TYPES: Final = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def error(problem: Problem) -> bytes:
    """An error body."""
    status = problem.status
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    shown = {"message": problem.message, "type": kind, "param": problem.param, "code": problem.code}
    return msgspec.json.encode({"error": shown})


def error_object(message: str) -> bytes:
    """An error as older OpenAI-compatible servers put it."""
    shown = {"object": "error", "message": message, "type": "server_error", "param": None, "code": 500}
    return msgspec.json.encode(shown)
