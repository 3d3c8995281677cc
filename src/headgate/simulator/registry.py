"""The one table of everything that can be asked for: the faults of all dialects, and the quirks of some.

What a row says holds for every dialect it names, except where `DIFFERS` says how that dialect plays it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Final, NamedTuple

from headgate.simulator.dialect import Dialect
from headgate.simulator.faults import FAULTS, Argument, FaultName, FaultSpec
from headgate.simulator.quirks import QUIRKS, Quirk

Name = FaultName | Quirk
"""Whatever can stand behind a ``+``."""


class Fault(NamedTuple):
    """One fault of one request; `at` is its number, or the default of its row."""

    name: Name
    at: float


class Effect(NamedTuple):
    """What a fault comes to in one dialect."""

    stream: str
    whole: str
    client: str


TABLE: Final[Mapping[Name, FaultSpec]] = dict(chain[tuple[Name, FaultSpec]](FAULTS.items(), QUIRKS.items()))

_RESPONSES, _MESSAGES, _GEMINI = Dialect.RESPONSES, Dialect.MESSAGES, Dialect.GEMINI
_NOTHING: Final = "no effect"
_HARMLESS: Final = "the complete answer, unchanged"
_FAILURE: Final = "a failure, never a complete answer"
_EITHER: Final = "the complete answer, whose stop_reason has come; or a failure"

DIFFERS: Final[Mapping[tuple[Name, Dialect], Effect]] = {
    (FaultName.EOF, _RESPONSES): Effect(
        "ends the body cleanly after @ tokens: no response.completed", "as truncated-json", _FAILURE
    ),
    (FaultName.EOF, _MESSAGES): Effect(
        "ends the body cleanly after @ tokens: no message_delta, no message_stop", "as truncated-json", _FAILURE
    ),
    (FaultName.EOF, _GEMINI): Effect(
        "ends the body cleanly after @ tokens: no finishReason", "as truncated-json", _FAILURE
    ),
    (FaultName.ERROR, _RESPONSES): Effect(
        "event: error with a nested error object, as OpenAI sends it, after @ tokens",
        "200 with an error object",
        _FAILURE,
    ),
    (FaultName.ERROR, _MESSAGES): Effect(
        "event: error (api_error) after @ tokens", "200 with such an object", _FAILURE
    ),
    (FaultName.ERROR, _GEMINI): Effect(
        'data: {"error": {"code": 500, ...}} after @ tokens', "200 with such an object", _FAILURE
    ),
    (FaultName.ERROR_OBJECT, _RESPONSES): Effect(
        'data: {"error": {...}} without event: after @ tokens', "200 with an error object", _FAILURE
    ),
    (FaultName.ERROR_OBJECT, _MESSAGES): Effect(
        'data: {"type": "error", ...} without event: after @ tokens', "200 with such an object", _FAILURE
    ),
    (FaultName.ERROR_OBJECT, _GEMINI): Effect(
        'data: [{"error": {...}}] after @ tokens', "200 with an array of such an object", _FAILURE
    ),
    (FaultName.ERROR_EVENT, _RESPONSES): Effect(
        "event: error, flat as OpenAI documents it, after @ tokens", "200 with an error object", _FAILURE
    ),
    (FaultName.ERROR_EVENT, _MESSAGES): Effect("as error", "as error", _FAILURE),
    (FaultName.NO_DONE, _RESPONSES): Effect(
        "everything but response.completed, clean end", _NOTHING, "a failure: nothing said that it was complete"
    ),
    (FaultName.NO_DONE, _MESSAGES): Effect("message_delta, no message_stop, clean end", _NOTHING, _EITHER),
    (FaultName.NO_DONE, _GEMINI): Effect("no effect: there is no end marker", _NOTHING, _HARMLESS),
    (FaultName.NO_DONE_OPEN, _RESPONSES): Effect(
        "everything but response.completed, connection stays open", _NOTHING, "its own timeout"
    ),
    (FaultName.NO_DONE_OPEN, _MESSAGES): Effect(
        "message_delta, no message_stop, connection stays open", _NOTHING, _EITHER
    ),
    (FaultName.NO_DONE_OPEN, _GEMINI): Effect(
        "finishReason, then the connection stays open", _NOTHING, _HARMLESS + ", without a long wait"
    ),
    (FaultName.NO_FINISH, _RESPONSES): Effect(
        "[DONE] in place of response.completed", "status is in_progress", _FAILURE
    ),
    (FaultName.NO_FINISH, _MESSAGES): Effect("message_stop without message_delta", "stop_reason is null", _FAILURE),
    (FaultName.NO_FINISH, _GEMINI): Effect("no finishReason", "no finishReason", _FAILURE),
    (FaultName.NO_USAGE, _RESPONSES): Effect("usage is null", "usage is null", _HARMLESS),
    (FaultName.NO_USAGE, _MESSAGES): Effect("no usage anywhere", "no usage", _HARMLESS),
    (FaultName.NO_USAGE, _GEMINI): Effect("no usageMetadata", "no usageMetadata", _HARMLESS),
    (FaultName.LENGTH, _RESPONSES): Effect(
        "response.incomplete, max_output_tokens", "status incomplete", "an answer marked as truncated"
    ),
    (FaultName.LENGTH, _MESSAGES): Effect("stop_reason max_tokens", "the same", "an answer marked as truncated"),
    (FaultName.LENGTH, _GEMINI): Effect("finishReason MAX_TOKENS", "the same", "an answer marked as truncated"),
    (FaultName.CONTENT_FILTER, _RESPONSES): Effect(
        "response.incomplete, content_filter", "status incomplete", "an answer marked as filtered"
    ),
    (FaultName.CONTENT_FILTER, _MESSAGES): Effect(
        "stop_reason refusal with stop_details", "the same", "an answer marked as refused"
    ),
    (FaultName.CONTENT_FILTER, _GEMINI): Effect("finishReason SAFETY", "the same", "an answer marked as filtered"),
    (FaultName.CRLF, _GEMINI): Effect("lines end LF, where Google's end CR LF", _NOTHING, _HARMLESS),
}


def effect(name: Name, dialect: Dialect) -> Effect | None:
    """What a fault comes to in a dialect; None where that dialect has no such fault."""
    spec = TABLE[name]
    if dialect not in spec.dialects:
        return None
    return DIFFERS.get((name, dialect), Effect(spec.stream, spec.whole, spec.client))


class Row(NamedTuple):
    """One line of the documentation: a fault in the dialects where it comes to the same."""

    name: str
    """With ``@N`` where it takes a number."""
    dialects: tuple[Dialect, ...]
    effect: Effect


def rows() -> Iterator[Row]:
    """The whole table, as it is shown to people."""
    for name, spec in TABLE.items():
        alike: dict[Effect, list[Dialect]] = {}
        for dialect in spec.dialects:
            if (found := effect(name, dialect)) is not None:
                alike.setdefault(found, []).append(dialect)
        shown = str(name) if spec.argument is Argument.NONE else f"{name}@N"
        yield from (Row(shown, tuple(dialects), found) for found, dialects in alike.items())


def named(text: str) -> Name | None:
    """The fault or quirk of that name."""
    return _NAMES.get(text)


_NAMES: Final[Mapping[str, Name]] = {str(name): name for name in TABLE}
