"""The faults that every provider can have, as data: one row per fault.

The names are the wire values of model names (``sim+cut@20``) and of the header ``X-Simulate``; the rows are what the
documentation prints and what tests walk through. How a fault is played is in `script`, not here. The rows say it in
the terms of Chat Completions; `registry` has what is different in other dialects, `quirks` what only some can do.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Final, NamedTuple

from headgate.simulator.dialect import Dialect


class Argument(Enum):
    """What the number after ``@`` counts."""

    NONE = "none"
    TOKENS = "tokens"
    SECONDS = "seconds"


class FaultName(StrEnum):
    """The closed vocabulary of faults."""

    RATE_LIMITED = "429"
    SERVER_ERROR = "500"
    UNAVAILABLE = "503"
    UNAUTHORIZED = "401"
    BAD_REQUEST = "400"
    NOT_FOUND = "404"
    HANG = "hang"
    SLOW_HEADERS = "slow-headers"
    HUGE_HEADERS = "huge-headers"
    HTML = "html"
    EMPTY = "empty"
    NO_STREAM = "no-stream"
    CUT = "cut"
    RESET = "reset"
    EOF = "eof"
    CLOSE = "close"
    STALL = "stall"
    STALL_COMMENTS = "stall-comments"
    BAD_LENGTH = "bad-length"
    TRUNCATED_JSON = "truncated-json"
    GARBAGE = "garbage"
    NOISE = "noise"
    HUGE_LINE = "huge-line"
    ERROR = "error"
    ERROR_OBJECT = "error-object"
    ERROR_EVENT = "error-event"
    NO_DONE = "no-done"
    NO_DONE_OPEN = "no-done-open"
    NO_FINISH = "no-finish"
    NO_USAGE = "no-usage"
    LENGTH = "length"
    CONTENT_FILTER = "content-filter"
    SPLIT_UTF8 = "split-utf8"
    DRIP = "drip"
    CRLF = "crlf"
    BOM = "bom"


class FaultSpec(NamedTuple):
    """One row of the table."""

    argument: Argument
    default: float
    stream: str
    """What it does to a streamed answer."""
    whole: str
    """What it does to a whole answer."""
    client: str
    """What a correct client must make of it."""
    dialects: tuple[Dialect, ...] = tuple(Dialect)
    """Where there is such a fault."""


_T, _S, _N = Argument.TOKENS, Argument.SECONDS, Argument.NONE
_AT: Final = 5.0
"""Tokens before a fault that counts tokens, where the request gives no number."""
_SAME: Final = "the same"
_NOTHING: Final = "no effect"
_HARMLESS: Final = "the complete answer, unchanged"
_FAILURE: Final = "a failure, never a complete answer"

FAULTS: Final[dict[FaultName, FaultSpec]] = {
    FaultName.RATE_LIMITED: FaultSpec(_S, 1, "429 with Retry-After: @", _SAME, "a retry after the given seconds"),
    FaultName.SERVER_ERROR: FaultSpec(_N, 0, "500 with an error object", _SAME, "a failure that may be retried"),
    FaultName.UNAVAILABLE: FaultSpec(_N, 0, "503 with an error object", _SAME, "a failure that may be retried"),
    FaultName.UNAUTHORIZED: FaultSpec(_N, 0, "401 with an error object", _SAME, "a failure, not retried"),
    FaultName.BAD_REQUEST: FaultSpec(_N, 0, "400 with an error object", _SAME, "a failure, not retried"),
    FaultName.NOT_FOUND: FaultSpec(_N, 0, "404 with an error object", _SAME, "a failure, not retried"),
    FaultName.HANG: FaultSpec(_N, 0, "takes the request and never answers", _SAME, "its own timeout"),
    FaultName.SLOW_HEADERS: FaultSpec(_S, 5, "sends the headers after @ seconds", _SAME, _HARMLESS + ", late"),
    FaultName.HUGE_HEADERS: FaultSpec(
        _N, 0, "256 KiB of response headers", _SAME, "the complete answer, or a failure that names the limit"
    ),
    FaultName.HTML: FaultSpec(_N, 0, "200 text/html, as proxies answer", _SAME, _FAILURE),
    FaultName.EMPTY: FaultSpec(
        _N, 0, "200 text/event-stream, no body", "200 application/json, no body", "a failure, never an empty answer"
    ),
    FaultName.NO_STREAM: FaultSpec(
        _N, 0, "ignores stream=true: whole JSON", _NOTHING, "the complete answer, or a failure; never an empty answer"
    ),
    FaultName.CUT: FaultSpec(
        _T, _AT, "closes after @ tokens, inside the chunked body", "closes halfway through the body", _FAILURE
    ),
    FaultName.RESET: FaultSpec(
        _T, _AT, "resets the connection (TCP RST) after @ tokens", "resets halfway through the body", _FAILURE
    ),
    FaultName.EOF: FaultSpec(
        _T, _AT, "ends the body cleanly after @ tokens: no finish reason, no [DONE]", "as truncated-json", _FAILURE
    ),
    FaultName.CLOSE: FaultSpec(
        _T,
        _AT,
        "body delimited by the end of the connection, which comes after @ tokens",
        "so delimited, and closed halfway",
        _FAILURE,
    ),
    FaultName.STALL: FaultSpec(
        _T,
        _AT,
        "falls silent after @ tokens, connection open for an hour",
        "halfway through the body",
        "its own timeout",
    ),
    FaultName.STALL_COMMENTS: FaultSpec(
        _T,
        _AT,
        "as stall, with a comment line every second",
        "headers, then a blank every second and never the body",
        "its own timeout: comments are no progress",
    ),
    FaultName.BAD_LENGTH: FaultSpec(
        _N, 0, "declares a content-length, sends less, closes", _SAME, "a failure, unless all choices had finished"
    ),
    FaultName.TRUNCATED_JSON: FaultSpec(
        _N, 0, "the last data line is half a chunk; clean end", "half the JSON, its content-length right", _FAILURE
    ),
    FaultName.GARBAGE: FaultSpec(
        _T, _AT, "a data line of broken JSON after @ tokens, then goes on", "a broken JSON body", _FAILURE
    ),
    FaultName.NOISE: FaultSpec(
        _T,
        _AT,
        "a comment, an unknown event and a data line that is no JSON after @ tokens, then goes on",
        "white space around the body",
        _HARMLESS,
    ),
    FaultName.HUGE_LINE: FaultSpec(
        _T,
        _AT,
        "a chunk of 8 MiB (an unknown field) after @ tokens, then goes on",
        "an unknown field of 8 MiB",
        "the complete answer, or a failure that names the limit",
    ),
    FaultName.ERROR: FaultSpec(
        _T, _AT, 'data: {"error": {...}} after @ tokens, clean end', "200 with an error object", _FAILURE
    ),
    FaultName.ERROR_OBJECT: FaultSpec(
        _T, _AT, 'data: {"object": "error", ...} after @ tokens, clean end', "200 with such an object", _FAILURE
    ),
    FaultName.ERROR_EVENT: FaultSpec(
        _T, _AT, "event: error after @ tokens, clean end", "200 with an error object", _FAILURE
    ),
    FaultName.NO_DONE: FaultSpec(_N, 0, "finish reason and usage, no [DONE], clean end", _NOTHING, _HARMLESS),
    FaultName.NO_DONE_OPEN: FaultSpec(
        _N,
        0,
        "finish reason and usage, no [DONE], connection stays open",
        _NOTHING,
        _HARMLESS + ", without a long wait",
    ),
    FaultName.NO_FINISH: FaultSpec(_N, 0, "[DONE] without any finish reason", "finish_reason is null", _FAILURE),
    FaultName.NO_USAGE: FaultSpec(_N, 0, "no usage chunk though it was asked for", "no usage", _HARMLESS),
    FaultName.LENGTH: FaultSpec(_N, 0, "finish reason length", _SAME, "an answer marked as truncated"),
    FaultName.CONTENT_FILTER: FaultSpec(_N, 0, "finish reason content_filter", _SAME, "an answer marked as filtered"),
    FaultName.SPLIT_UTF8: FaultSpec(
        _N, 0, "every multi-byte character is split over two writes and two HTTP chunks", "over two writes", _HARMLESS
    ),
    FaultName.DRIP: FaultSpec(_N, 0, "one byte per write and per HTTP chunk", "one byte per write", _HARMLESS),
    FaultName.CRLF: FaultSpec(_N, 0, "lines end CR LF", _NOTHING, _HARMLESS),
    FaultName.BOM: FaultSpec(_N, 0, "the body begins with a byte order mark", _SAME, _HARMLESS),
}
