"""The events of a response's log: a closed union of small, immutable records.

Everything Headgate knows about an answer is one of these, in order. They are what decoders make of a provider's
bytes, what the journal stores, and what encoders make frames of. They name no wire format: whatever only one dialect
can say travels in ``extra`` (see `Extra`).

Encoded as MessagePack arrays whose first element is the tag, so **fields are only ever added at the end, with a
default, and tags are never reused**: the journals of older versions stay readable.

An event carries no time and no ``seq``. Both belong to its place in the log (`Entry`): all events made of one read
share the time of that read, and ``seq`` follows from the first one's.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import msgspec


class PartKind(StrEnum):
    """What a part of the output is."""

    __hash__ = str.__hash__  # that of `Enum` is a function in Python

    TEXT = "text"
    REASONING = "reasoning"
    REFUSAL = "refusal"
    TOOL_CALL = "tool_call"
    OTHER = "other"
    """Something only one dialect has a word for, such as a search the provider ran itself: `PartStarted.extra` holds
    the provider's object, the text (if any) is the provider's own. Readers of other dialects do not see it."""


class Reason(StrEnum):
    """Why a choice ended, in our words; the provider's own word stands beside it in `ChoiceDone`."""

    __hash__ = str.__hash__

    STOP = "stop"
    TOOL_CALLS = "tool_calls"
    LENGTH = "length"
    REFUSAL = "refusal"
    CONTENT_FILTER = "content_filter"


class Status(StrEnum):
    """How a log ended. The order is the order of badness: the worst choice decides (`lifecycle.terminal_status`)."""

    __hash__ = str.__hash__

    COMPLETED = "completed"
    TRUNCATED = "truncated"
    REFUSED = "refused"
    FILTERED = "filtered"
    BLOCKED = "blocked"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def successful(self) -> bool:
        """Whether the dialects show this end with a success marker (``finish_reason``, ``[DONE]``, 200)."""
        return self not in UNSUCCESSFUL


UNSUCCESSFUL: Final = frozenset({Status.FAILED, Status.CANCELLED, Status.EXPIRED})


class Blame(StrEnum):
    """Who has to change something for a failure not to happen again."""

    CALLER = "caller"
    UPSTREAM = "upstream"
    POLICY = "policy"
    GATEWAY = "gateway"


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False, omit_defaults=True):
    """Root of the union; never instantiated itself."""

    @property
    def name(self) -> str:
        """What the event is called on the wire, such as ``part.started``."""
        return NAMES[type(self)]


class Extra(msgspec.Struct, frozen=True, array_like=True, gc=False, omit_defaults=True):
    """Fields of a provider that have no canonical place, by where they stood. Only readers of the same dialect see them.

    `response` stood at the top of the chunk or answer, `choice` beside the delta or message, `delta` inside it.
    """

    response: dict[str, Any] | None = None
    choice: dict[str, Any] | None = None
    delta: dict[str, Any] | None = None


class ResponseStarted(Event, frozen=True, tag=1):
    """The request was admitted. Always ``seq`` 1."""

    id: str
    owner: str
    dialect: str
    """Dialect of the client that asked."""
    model: str
    """The model name the client asked for."""
    created_at: int
    """Unix time, seconds."""
    stream: bool = False
    include_usage: bool = False
    """Stream option of the creation: whether its stream ends with a usage frame. Replays keep it."""
    choices: int = 1
    """How many answers were asked for (``n``)."""
    route: str = "*"
    policy: str = "none"
    policy_version: str = ""
    config_version: str = ""
    may_retract: bool = False
    """Whether `Retracted` may follow; fixed here because it decides how far some readers may follow."""
    input_tokens_estimate: int = 0
    echo: dict[str, Any] | None = None
    """Parameters of the request as the Responses dialect shows them in every response object; None: its defaults."""
    input: list[Any] | None = None
    """Input items of a response that was created in the Responses dialect. Shown only where they are asked for."""
    request_sha256: str = ""
    """Of the body of the request as the client sent it."""
    sources: list[Any] | None = None
    """Data sources of the request, as the caller declares them in ``metadata.sources``."""
    risk: str = ""
    """Risk level of the request, as the caller declares it."""


class AttemptStarted(Event, frozen=True, tag=2):
    """One upstream call begins."""

    attempt: int
    provider: str
    dialect: str
    model: str
    """The model name sent upstream."""
    dropped: tuple[str, ...] = ()
    """Paths in the client's request that were left out: this provider has no word for them, and the route allows that, or
    it would refuse them."""


class AttemptDescribed(Event, frozen=True, tag=3):
    """What the provider says of its answer as a whole; again when a value changes on the way."""

    attempt: int
    provider_id: str = ""
    model: str = ""
    envelope: dict[str, Any] | None = None
    """Fields every frame of the same dialect repeats, such as ``system_fingerprint``."""
    extra: Extra | None = None
    """`Extra.response`: what stood beside the description, and is shown there once."""


class AttemptEnded(Event, frozen=True, tag=4):
    """An upstream call is over. ``code`` is ``ok``, ``cancelled`` or an error code."""

    attempt: int
    code: str
    http_status: int = 0
    message: str = ""


class PartStarted(Event, frozen=True, tag=5):
    """A part of the output begins. Parts of a choice are numbered from 0 in order of their start."""

    choice: int
    part: int
    kind: PartKind
    tool_id: str = ""
    tool_name: str = ""
    extra: Extra | None = None


class Delta(Event, frozen=True, tag=6):
    """Text for a part: prose, reasoning, a refusal, or a piece of a tool call's arguments."""

    choice: int
    part: int
    text: str
    extra: Extra | None = None


class PartDone(Event, frozen=True, tag=7):
    """A part is complete; no delta for it follows."""

    choice: int
    part: int
    extra: Extra | None = None


class ChoiceDone(Event, frozen=True, tag=8):
    """The provider finished a choice. No reader shows this as success: only the terminal is (law 3)."""

    choice: int
    reason: Reason
    provider_reason: str = ""
    extra: Extra | None = None


class Opaque(Event, frozen=True, tag=9):
    """Provider fields that came without any text."""

    choice: int
    extra: Extra
    idle: bool = False
    """Nothing in it is known to be of the answer, so it may only say that the provider lives: it is no progress, and no
    answer has begun with it."""


class Usage(Event, frozen=True, tag=10):
    """Tokens used, cumulative; the last one counts."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    """The provider gave none: counted from the text (`tokens.estimate`)."""
    provider: dict[str, Any] | None = None
    """The provider's own usage object."""
    cache_write_tokens: int = 0
    """Of the input: tokens that were put into a cache, which some providers charge more for."""


class Governance(Event, frozen=True, tag=11):
    """A rule acted. The range is in code points of the ungoverned text; the raw value is never here.

    Choice and part are -1 where it acted on the request, or on the answer as a whole.
    """

    choice: int
    part: int
    rule: str
    action: str
    """One of `policies.Action`, or ``drop`` for provider fields that no rule can judge."""
    start: int
    end: int
    gate: str = "stream"
    """``request``, ``stream``, ``lane`` or ``final``."""
    dry: bool = False
    """The policy only watches: nothing was changed."""
    detail: str = ""
    released: int = 0
    """Code points that were released in place of the range: those of its mask."""


class Held(Event, frozen=True, tag=12):
    """The release mark of a part stands still at this offset until somebody decides."""

    choice: int
    part: int
    offset: int
    reason: str
    """The rule that asks for it."""
    review: str = ""
    """Id of the review; it is open once the provider has finished."""


class Released(Event, frozen=True, tag=13):
    """Everything in the log up to and including ``seq`` is verified: it can no longer be retracted."""

    seq: int


class Retracted(Event, frozen=True, tag=14):
    """Text of a part is taken back: everything from code point `from_char`, which the deltas from `from_seq` on carried."""

    choice: int
    part: int
    from_char: int
    from_seq: int
    reason: str
    replacement: str = ""


class Seam(Event, frozen=True, tag=15):
    """One attempt gave way to another inside the answer."""

    from_attempt: int
    to_attempt: int
    mode: str


class Terminal(Event, frozen=True, tag=16):
    """The last event of every log, exactly once."""

    status: Status
    code: str = ""
    """Error code for `failed`, `cancelled` and `expired`; see `errors.CODES`."""
    blame: Blame | None = None
    retryable: bool = False
    message: str = ""
    http_status: int = 0
    """Status for a whole answer that failed; 0 takes the code's own."""
    retry_after_s: float | None = None
    detail: dict[str, Any] | None = None
    """The provider's own error object, where the failure was the provider's answer to the caller."""
    sha256: str = ""
    """Hash of what was released; see `assemble.digest`."""
    ended_at: int = 0
    """Unix time, seconds; 0 in logs of older versions."""


class Verdict(Event, frozen=True, tag=17):
    """What a check said of the request, of a piece of the text, or of the final payload."""

    gate: str
    rule: str
    outcome: str
    """``pass``, ``fail``, or ``error``: it could not be asked, and that counts as failing (law 5)."""
    choice: int = -1
    part: int = -1
    detail: str = ""
    """Why, in words of ours; never a text that was judged."""


class Drift(Event, frozen=True, tag=18):
    """How the final text of a choice differs from what was streamed of it."""

    choice: int
    streamed_sha256: str
    final_sha256: str
    distance: int
    """Edit distance in code points, exact up to `governance.final.drift.EXACT_CHARS_MAX`, beyond that an upper bound."""
    retracted: int
    """Code points that were shown and taken back."""


class Reviewed(Event, frozen=True, tag=19):
    """A person decided about what was held, or nobody did in time."""

    review: str
    decision: str
    """``approve``, ``edit``, ``reject`` or ``timeout``."""
    reviewer: str
    at: int
    """Unix time, seconds."""
    comment: str = ""


class Marks(Event, frozen=True, tag=20):
    """The watermarks of a part, in code points of its ungoverned text; each only ever grows."""

    choice: int
    part: int
    generated: int
    released: int
    verified: int


class Asked(Event, frozen=True, tag=21):
    """What of a request may be kept, where the request gate took its time: `ResponseStarted` then has none of it."""

    echo: dict[str, Any] | None = None
    input: list[Any] | None = None


AnyEvent = (
    ResponseStarted
    | AttemptStarted
    | AttemptDescribed
    | AttemptEnded
    | PartStarted
    | Delta
    | PartDone
    | ChoiceDone
    | Opaque
    | Usage
    | Governance
    | Held
    | Released
    | Retracted
    | Seam
    | Terminal
    | Verdict
    | Drift
    | Reviewed
    | Marks
    | Asked
)

NAMES: Final[dict[type[Event], str]] = {
    ResponseStarted: "response.started",
    AttemptStarted: "attempt.started",
    AttemptDescribed: "attempt.described",
    AttemptEnded: "attempt.ended",
    PartStarted: "part.started",
    Delta: "delta",
    PartDone: "part.done",
    ChoiceDone: "choice.done",
    Opaque: "opaque",
    Usage: "usage",
    Governance: "governance",
    Held: "held",
    Released: "released",
    Retracted: "retracted",
    Seam: "seam",
    Terminal: "terminal",
    Verdict: "verdict",
    Drift: "drift",
    Reviewed: "reviewed",
    Marks: "marks",
    Asked: "asked",
}


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Consecutive events of one log that were made of one read."""

    first_seq: int
    read_at: int
    """Monotonic time of the read, ns."""
    events: tuple[AnyEvent, ...]
