"""What only some dialects can do: oddities in a provider's own terms, as data, beside the `faults` every one can have.

A quirk is asked for as a fault is (``sim-tools+done-only``). One that the request's dialect does not have is refused,
so a test cannot pass by having tested nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from headgate.simulator.dialect import Dialect
from headgate.simulator.faults import Argument, FaultSpec


class Quirk(StrEnum):
    """The closed vocabulary of quirks."""

    OVERLOADED_STATUS = "529"
    OVERLOADED = "overloaded"
    FAILED = "failed"
    REFUSED = "refused"
    PAUSED = "pause"
    CONTEXT_WINDOW = "context-window"
    BLOCKED = "blocked"
    MALFORMED_CALL = "malformed-call"
    RECITATION = "recitation"
    BARE_FINISH = "bare-finish"
    EARLY_FINISH = "early-finish"
    INTERLEAVED = "interleaved"
    PINGS = "pings"
    UNKNOWN = "unknown"
    FOREIGN = "foreign"
    EXTRA_FIELDS = "extra-fields"
    DOUBLE_START = "double-start"
    DOUBLE_END = "double-end"
    DONE_ONLY = "done-only"
    NO_STOPS = "no-stops"
    NO_EVENT_NAMES = "no-event-names"
    WITH_DONE = "with-done"
    DISAGREE = "disagree"
    RAW_REASONING = "raw-reasoning"
    OMITTED_THINKING = "omitted-thinking"
    THINKING_IN_TEXT = "thinking-in-text"


_CHAT, _RESPONSES, _MESSAGES, _GEMINI = Dialect
_EVENTS: Final = (_RESPONSES, _MESSAGES)
_YOUNGER: Final = (_RESPONSES, _MESSAGES, _GEMINI)
_T, _N = Argument.TOKENS, Argument.NONE
_AT: Final = 5.0
_SAME: Final = "the same"
_NOTHING: Final = "no effect"
_HARMLESS: Final = "the complete answer, unchanged"
_FAILURE: Final = "a failure, never a complete answer"

QUIRKS: Final[dict[Quirk, FaultSpec]] = {
    Quirk.OVERLOADED_STATUS: FaultSpec(
        _N, 0, "529 with overloaded_error", _SAME, "a failure that may be retried", (_MESSAGES,)
    ),
    Quirk.OVERLOADED: FaultSpec(
        _T,
        _AT,
        "says after @ tokens, inside the 200, that it is overloaded: event: error (messages), response.failed "
        "(responses), an error chunk of code 503 (gemini)",
        "200 with such an object",
        "a failure that may be retried",
        _YOUNGER,
    ),
    Quirk.FAILED: FaultSpec(
        _T, _AT, "response.failed after @ tokens", "200 with status failed", _FAILURE, (_RESPONSES,)
    ),
    Quirk.REFUSED: FaultSpec(
        _T,
        _AT,
        "after @ tokens of text the model refuses: stop_reason refusal with stop_details (messages), a refusal part "
        "(responses, chat), finishReason SAFETY (gemini)",
        _SAME,
        "an answer marked as refused or filtered",
    ),
    Quirk.PAUSED: FaultSpec(_N, 0, "stop_reason pause_turn", _SAME, "an answer that is not final", (_MESSAGES,)),
    Quirk.CONTEXT_WINDOW: FaultSpec(
        _N,
        0,
        "stop_reason model_context_window_exceeded",
        _SAME,
        "an answer marked as truncated",
        (_MESSAGES,),
    ),
    Quirk.BLOCKED: FaultSpec(
        _N,
        0,
        "promptFeedback.blockReason and no candidate",
        _SAME,
        "an empty answer marked as filtered, or a failure",
        (_GEMINI,),
    ),
    Quirk.MALFORMED_CALL: FaultSpec(
        _N, 0, "finishReason MALFORMED_FUNCTION_CALL in place of a call", _SAME, _FAILURE, (_GEMINI,)
    ),
    Quirk.RECITATION: FaultSpec(_N, 0, "finishReason RECITATION", _SAME, "an answer marked as filtered", (_GEMINI,)),
    Quirk.BARE_FINISH: FaultSpec(
        _N, 0, "the last chunk has a finishReason and no parts", _NOTHING, _HARMLESS, (_GEMINI,)
    ),
    Quirk.EARLY_FINISH: FaultSpec(
        _N, 0, "finishReason STOP in every chunk, as older models send it", _NOTHING, _HARMLESS, (_GEMINI,)
    ),
    Quirk.INTERLEAVED: FaultSpec(
        _N,
        0,
        "tokens of all parts in turn, so that blocks, items or tool calls overlap",
        _NOTHING,
        _HARMLESS,
        (_CHAT, _RESPONSES, _MESSAGES),
    ),
    Quirk.PINGS: FaultSpec(
        _N,
        0,
        "something empty before every event: ping (messages), keepalive (responses), a comment (chat, gemini)",
        _NOTHING,
        _HARMLESS,
    ),
    Quirk.UNKNOWN: FaultSpec(
        _T,
        _AT,
        "after @ tokens an event, a delta or a member of a kind that no client knows, then goes on",
        _NOTHING,
        _HARMLESS,
    ),
    Quirk.FOREIGN: FaultSpec(
        _N,
        0,
        "before the answer a whole block, item or part of a type that no client knows",
        _SAME,
        _HARMLESS,
        _YOUNGER,
    ),
    Quirk.EXTRA_FIELDS: FaultSpec(_N, 0, "a member x_provider in every event", "in the answer", _HARMLESS),
    Quirk.DOUBLE_START: FaultSpec(
        _N,
        0,
        "begins twice: message_start (messages), response.created (responses), the role (chat)",
        _NOTHING,
        _HARMLESS,
        (_CHAT, _RESPONSES, _MESSAGES),
    ),
    Quirk.DOUBLE_END: FaultSpec(
        _N,
        0,
        "ends twice: message_stop (messages), response.completed (responses), [DONE] (chat); behind the last chunk one "
        "of token counts alone (gemini)",
        _NOTHING,
        _HARMLESS,
    ),
    Quirk.DONE_ONLY: FaultSpec(
        _N,
        0,
        "no deltas of tool arguments: they stand in the .done events (responses), in content_block_start (messages)",
        _NOTHING,
        _HARMLESS,
        _EVENTS,
    ),
    Quirk.NO_STOPS: FaultSpec(
        _N,
        0,
        "no event says that a part is complete: no content_block_stop, no .done",
        _NOTHING,
        _HARMLESS,
        _EVENTS,
    ),
    Quirk.NO_EVENT_NAMES: FaultSpec(_N, 0, "data lines without event: lines", _NOTHING, _HARMLESS, _EVENTS),
    Quirk.WITH_DONE: FaultSpec(_N, 0, "data: [DONE] behind the end", _NOTHING, _HARMLESS, _YOUNGER),
    Quirk.DISAGREE: FaultSpec(
        _N,
        0,
        "the output of response.completed is not what the deltas said",
        _NOTHING,
        "the text of the deltas, which were shown; or a failure",
        (_RESPONSES,),
    ),
    Quirk.RAW_REASONING: FaultSpec(
        _N,
        0,
        "reasoning as reasoning_text in place of a summary",
        _SAME,
        _HARMLESS,
        (_RESPONSES,),
    ),
    Quirk.OMITTED_THINKING: FaultSpec(
        _N,
        0,
        "thinking is empty: its block has a signature and no thinking_delta",
        "a thinking block without text",
        "the complete answer, its signature kept",
        (_MESSAGES,),
    ),
    Quirk.THINKING_IN_TEXT: FaultSpec(
        _T,
        _AT,
        "a thinking_delta inside the open block after @ tokens, then goes on",
        _NOTHING,
        "the complete text, without the thinking in it; or a failure",
        (_MESSAGES,),
    ),
}
