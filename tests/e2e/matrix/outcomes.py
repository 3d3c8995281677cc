"""The oracle: what each fault of the simulator must come to, by the dialect the provider speaks, and how SDKs show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from headgate.errors import CODES
from headgate.simulator.registry import TABLE, Name, named
from tests.e2e.matrix.seen import Job, Seen


class Outcome(NamedTuple):
    """How an answer ends."""

    terminal: str
    code: str = ""
    """Of the log's terminal."""
    status: int = 0
    """Of the HTTP answer, where the failure came before anything was sent; 0 for one inside the stream."""


FULL: Final = Outcome("completed")
CANCELLED: Final = Outcome("cancelled", "cancelled")
TRUNCATED: Final = Outcome("truncated")
FILTERED: Final = Outcome("filtered")
REFUSED: Final = Outcome("refused")


def early(code: str, status: int = 0) -> Outcome:
    """Nothing had been sent."""
    return Outcome("failed", code, status or CODES[code].status)


def late(code: str) -> Outcome:
    """The stream had begun."""
    return Outcome("failed", code)


CUT: Final = (late("upstream_cut"), early("upstream_cut"))
BROKEN: Final = (late("upstream_cut"), early("upstream_malformed"))
MALFORMED: Final = (late("upstream_malformed"), early("upstream_malformed"))
SILENT: Final = (late("upstream_stalled"), early("upstream_timeout"))
IN_BAND: Final = (late("upstream_error"), early("upstream_error"))

EVERYWHERE: Final[Mapping[str, tuple[Outcome, Outcome]]] = {
    # fault: (streamed, whole)
    "429": (early("upstream_rate_limited"),) * 2,
    "500": (early("upstream_error"),) * 2,
    "503": (early("upstream_error", 503),) * 2,
    "401": (early("upstream_auth"),) * 2,
    "400": (early("upstream_rejected"),) * 2,
    "404": (early("upstream_rejected", 404),) * 2,
    "hang": (early("upstream_first_token_timeout"), early("upstream_timeout")),
    "slow-headers@0.3": (FULL,) * 2,
    "huge-headers": (early("upstream_too_large"),) * 2,
    "html": (early("upstream_malformed"),) * 2,
    "empty": (early("upstream_cut"), early("upstream_malformed")),
    "no-stream": (FULL,) * 2,
    "cut": CUT,
    "reset": CUT,
    "eof": BROKEN,
    "close": BROKEN,
    "stall": SILENT,
    "stall-comments": SILENT,
    "bad-length": (FULL, early("upstream_cut")),
    "truncated-json": MALFORMED,
    "garbage": MALFORMED,
    "noise": (FULL,) * 2,
    "huge-line": (late("upstream_too_large"), FULL),
    "error": IN_BAND,
    "error-object": IN_BAND,
    "error-event": IN_BAND,
    "no-done": (FULL,) * 2,
    "no-done-open": (FULL,) * 2,
    "no-finish": (late("upstream_cut"), early("upstream_cut")),
    "no-usage": (FULL,) * 2,
    "length": (TRUNCATED,) * 2,
    "content-filter": (FILTERED,) * 2,
    "split-utf8": (FULL,) * 2,
    "drip": (FULL,) * 2,
    "crlf": (FULL,) * 2,
    "bom": (FULL,) * 2,
}
QUIRKS: Final[Mapping[str, tuple[Outcome, Outcome]]] = {
    "529": (early("upstream_error", 503),) * 2,
    "omitted-thinking": (FULL,) * 2,
    "overloaded": (late("upstream_error"), early("upstream_error", 503)),
    "failed": IN_BAND,
    "refused": (REFUSED,) * 2,
    "pause": (FULL,) * 2,
    "context-window": (TRUNCATED,) * 2,
    "blocked": (FILTERED,) * 2,
    "malformed-call": MALFORMED,
    "recitation": (FILTERED,) * 2,
    "bare-finish": (FULL,) * 2,
    "interleaved": (FULL,) * 2,
    "pings": (FULL,) * 2,
    "unknown": (FULL,) * 2,
    "foreign": (FULL,) * 2,
    "extra-fields": (FULL,) * 2,
    "double-start": (FULL,) * 2,
    "double-end": (FULL,) * 2,
    "early-finish": (FULL,) * 2,
    "done-only": (FULL,) * 2,
    "no-stops": (FULL,) * 2,
    "no-event-names": (FULL,) * 2,
    "with-done": (FULL,) * 2,
    "disagree": (FULL,) * 2,
    "raw-reasoning": (FULL,) * 2,
    "thinking-in-text": (FULL,) * 2,
}
"""What only some dialects have."""

DIFFERENT: Final[Mapping[str, Mapping[str, tuple[Outcome, Outcome]]]] = {
    "openai-chat": {},
    "openai-responses": {
        "no-done": (late("upstream_cut"), FULL),
        "no-done-open": (late("upstream_stalled"), FULL),
        "overloaded": IN_BAND,
    },
    "anthropic-messages": {"content-filter": (REFUSED,) * 2},
    "gemini": {"refused": (FILTERED,) * 2},
}
"""Where a dialect has another end for the same fault."""

OVERLOADED: Final = ("529", "overloaded")
"""Clients of Anthropic's dialect have a status of their own for these."""

SILENCES: Final = ("hang", "stall", "stall-comments", "no-done-open")
"""Only a timeout ends these. They are asked on a route with short ones, when the machine has nothing else to do."""


def faults(provider: str) -> list[str]:
    """Every fault and quirk of a provider's dialect."""
    return [fault for fault in (*EVERYWHERE, *QUIRKS) if provider in TABLE[name_of(fault)].dialects]


def name_of(fault: str) -> Name:
    """Which row of the simulator's table it is."""
    name = named(fault.partition("@")[0])
    assert name is not None
    return name


def outcome(provider: str, fault: str, *, stream: bool, client: str) -> Outcome:
    found = {**EVERYWHERE, **QUIRKS, **DIFFERENT[provider]}[fault]
    expected = found[0 if stream else 1]
    if expected.status == 503 and fault in OVERLOADED and client == provider == "anthropic-messages":
        return expected._replace(status=529)
    return expected


FINISHES: Final[Mapping[str, Mapping[str, set[str]]]] = {
    "openai-chat": {
        "completed": {"stop", "tool_calls"},
        "truncated": {"length"},
        "refused": {"stop"},
        "filtered": {"content_filter"},
    },
    "openai-responses": {
        "completed": {"completed"},
        "truncated": {"incomplete:max_output_tokens"},
        "refused": {"completed"},
        "filtered": {"incomplete:content_filter"},
    },
    "anthropic-messages": {
        "completed": {"end_turn", "tool_use", "stop_sequence", "pause_turn"},
        "truncated": {"max_tokens", "model_context_window_exceeded"},
        "refused": {"refusal"},
        "filtered": {"refusal"},
    },
    "gemini": {
        "completed": {"STOP"},
        "truncated": {"MAX_TOKENS"},
        "refused": {"SAFETY"},
        "filtered": {"SAFETY", "RECITATION", "PROHIBITED_CONTENT"},
    },
}
"""What a client dialect shows for a terminal."""

_OPENAI: Final = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    429: "RateLimitError",
    502: "InternalServerError",
    503: "InternalServerError",
    504: "InternalServerError",
}
KINDS: Final[Mapping[str, Mapping[int, str]]] = {
    "python openai-chat": {**_OPENAI, 0: "APIError"},
    "python openai-responses": _OPENAI,
    "python anthropic-messages": {
        **_OPENAI,
        503: "ServiceUnavailableError",
        504: "GatewayTimeoutError",
        529: "OverloadedError",
        0: "APIStatusError",
    },
    "python gemini": {
        **dict.fromkeys((400, 401, 403, 404, 409, 429), "ClientError"),
        **dict.fromkeys((502, 503, 504), "ServerError"),
        0: "ServerError",
    },
    "node openai-chat": {**_OPENAI, 0: "APIError"},
    "node openai-responses": _OPENAI,
    "node anthropic-messages": {
        **_OPENAI,
        503: "ServiceUnavailableError",
        504: "GatewayTimeoutError",
        529: "OverloadedError",
        0: "APIError",
    },
    "node gemini": dict.fromkeys((0, 400, 401, 403, 404, 409, 429, 502, 503, 504), "ApiError"),
}
"""The class of exception for a status, 0 for an error inside a stream; of Responses a stream has none, it says ``failed``."""


def complaint(job: Job, seen: Seen, expected: Outcome) -> str:
    """What is wrong with what an SDK made of it; empty for nothing."""
    if expected.terminal not in ("failed", "cancelled"):
        if seen.error is not None:
            return f"{seen.error}, not {expected.terminal}"
        allowed = FINISHES[job.dialect][expected.terminal]
        return "" if seen.finish in allowed else f"finish {seen.finish!r}, not {expected.terminal}"
    if not expected.status and job.dialect == "openai-responses":
        wanted = "failed:" + ("rate_limit_exceeded" if expected.code == "upstream_rate_limited" else "server_error")
        return "" if seen.finish == wanted and seen.error is None else f"{seen.finish!r} {seen.error}, not {wanted}"
    if seen.error is None:
        return f"a success: {seen.finish!r} {seen.text!r}, not {expected}"
    kind = KINDS[job.client][expected.status]
    if job.client == "python gemini" and CODES[expected.code].status < 500:
        kind = "ClientError"
    if seen.error.kind != kind:
        return f"{seen.error}, not {kind}"
    return "" if expected.status in (0, seen.error.status) else f"status {seen.error.status}, not {expected.status}"
