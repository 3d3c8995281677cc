"""What the audit log says: the receipt of a response, and the other kinds of rows, as canonical JSON.

    response    a response ended: who asked what of whom, what was decided on the way, and the hash of what was released
    deletion    its owner deleted a response; the receipt stays
    change      a configuration or a set of policies came into force
    key         the public key that signs from here on

A receipt is folded from the few events of a log that are no text, so it costs a token nothing. **No text of a prompt or
of an answer is ever in a row**: of these it has hashes, counts and the names of rules. What the caller declares as the
request's data sources is in it as it was declared.

Bodies are JSON as RFC 8785 writes it, with integers for all numbers, so that anybody can make the same bytes again.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from headgate.events import (
    AnyEvent,
    AttemptDescribed,
    AttemptEnded,
    AttemptStarted,
    Drift,
    Governance,
    PartStarted,
    ResponseStarted,
    Retracted,
    Reviewed,
    Terminal,
    Usage,
    Verdict,
)
from headgate.receipt import Attempt, Counts, End, Receipt

RESPONSE: Final = "response"
DELETION: Final = "deletion"
CHANGE: Final = "change"
KEY: Final = "key"
SIGNING: Final = "signing"
"""What rows of the kind `KEY` are about."""

SOURCES_BYTES_MAX: Final = 8 * 1024
"""Of what a caller declares; of more than that a receipt has the hash."""
DECISIONS_MAX: Final = 1_000
"""Kinds of decisions a receipt tells apart, as many as a policy has rules; what is beyond counts under `BEYOND`."""
LEVELS_MAX: Final = 100
"""Of lists and objects in each other, in what a caller declares: deeper than anybody reads. Writing recurses."""
BEYOND: Final = "*"
LISTED_MAX: Final = 100
"""Attempts, parts and reviews that a receipt lists; of attempts and reviews it has the number of all of them."""
SAFE_INTEGER: Final = 2**53 - 1
"""Larger ones are not exact in JavaScript, so RFC 8785 has none."""
ANOTHER_CLOCK: Final = -1
"""When an event was read that another process read: its monotonic time says nothing here, perhaps not even of this boot."""

UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""What a JSON decoder raises for what is no JSON, or not of the wanted form."""

_encode: Final = msgspec.json.Encoder(order="sorted").encode
_encode_in_order: Final = msgspec.json.Encoder().encode


def canonical(value: Any) -> bytes:
    """A JSON value as RFC 8785 writes it. Raises `ValueError` for what a row has no place for, such as 0.5."""
    match value:
        case str() | bool() | None:
            return _encode(value)
        case int() if abs(value) <= SAFE_INTEGER:
            return _encode(value)
        case list():
            return b"[" + b",".join([canonical(item) for item in value]) + b"]"
        case dict():
            keys = sorted(value, key=lambda key: str(key).encode("utf-16-be"))
            return b"{" + b",".join([_encode(key) + b":" + canonical(value[key]) for key in keys]) + b"}"
        case _:
            raise ValueError(f"{value!r:.100} has no canonical form")


def body(kind: str, ref: str, seq: int, fields: Receipt | dict[str, Any]) -> bytes:
    """A row's body; the place is written into `fields`.

    Their keys are ASCII, for which the encoder's own order is that of RFC 8785, and there are no fractions in them.
    """
    if isinstance(fields, Receipt):
        fields.id, fields.kind, fields.seq = ref, kind, seq
        return _encode_in_order(fields)
    fields["id"], fields["kind"], fields["seq"] = ref, kind, seq
    return _encode(fields)


class ReceiptFold:
    """What a receipt needs to know of a log. Feed it every event in order; only those whose type is in `FOLDED` count."""

    __slots__ = (
        "_attempts",
        "_drift",
        "_ended",
        "_first_at",
        "_governance",
        "_model",
        "_output_at",
        "_retractions",
        "_reviews",
        "_started",
        "_terminal",
        "_terminal_at",
        "_usage",
        "_verdicts",
    )

    def __init__(self) -> None:
        self._started: ResponseStarted | None = None
        self._terminal: Terminal | None = None
        self._usage: Usage | None = None
        self._model = ""
        self._attempts: list[AttemptStarted] = []
        self._ended: dict[int, AttemptEnded] = {}
        self._governance: Counter[tuple[str, str, str, bool]] | None = None  # what most logs have none of
        self._verdicts: Counter[tuple[str, str, str]] | None = None
        self._drift: list[Drift] = []
        self._reviews: list[Reviewed] = []
        self._retractions = 0
        self._first_at = self._output_at = self._terminal_at = -1

    def feed(self, read_at: int, event: AnyEvent) -> None:
        """An event, and when its input was read (monotonic, ns), or `ANOTHER_CLOCK`."""
        fold = _FOLDS.get(type(event))
        if fold is not None:
            fold(self, read_at, event)

    @property
    def decided(self) -> bool:
        """A rule acted, a check was made, or text was taken back."""
        return bool(self._governance or self._verdicts or self._retractions)

    @property
    def governance(self) -> Mapping[tuple[str, str, str, bool], int]:
        """How often, by gate, rule, action, and whether the policy only watches."""
        return self._governance or {}

    @property
    def verdicts(self) -> Mapping[tuple[str, str, str], int]:
        """How often, by gate, rule and outcome."""
        return self._verdicts or {}

    @property
    def retractions(self) -> int:
        return self._retractions

    def fields(
        self,
        *,
        owner: str,
        sha256: str,
        event_count: int,
        retracted_chars: int = 0,
        parts: Sequence[tuple[int, int, str, str]] = (),
    ) -> Receipt:
        """The receipt, once the terminal was fed: everything but its place.

        `sha256` is the hash of what was released, `parts` what it was made of: choice, part, kind, SHA-256 of the text.
        """
        started, terminal = self._started, self._terminal
        assert started is not None
        assert terminal is not None
        answering = self._attempts[-1] if self._attempts else None
        receipt = Receipt(
            attempts=[self._attempt(attempt) for attempt in self._attempts[-LISTED_MAX:]],
            attempts_count=len(self._attempts),
            config_version=started.config_version,
            created_at=started.created_at,
            dialect=started.dialect,
            ended_at=terminal.ended_at,
            event_count=event_count,
            model=self._model,
            owner=owner,
            policy=started.policy,
            policy_version=started.policy_version,
            provider=answering.provider if answering else "",
            request_sha256=started.request_sha256,
            requested_model=started.model,
            risk=started.risk,
            route=started.route,
            sha256=sha256,
            terminal=End(terminal.code, terminal.status),
        )
        if self._first_at >= 0:
            receipt.duration_ms = (self._terminal_at - self._first_at) // 1_000_000
            if self._output_at >= 0:
                receipt.first_output_ms = (self._output_at - self._first_at) // 1_000_000
        if 1 < len(parts) <= LISTED_MAX:  # of one, its hash follows from the whole
            receipt.parts = [
                {"choice": choice, "kind": kind, "part": part, "sha256": text} for choice, part, kind, text in parts
            ]
        if self._usage is not None:
            receipt.usage = _counts(self._usage)
        sources = started.sources
        if sources:
            _declare(receipt, sources)
        if self._governance or self._verdicts or self._retractions or self._reviews or self._drift:
            self._decide(receipt, retracted_chars)
        return receipt

    def _attempt(self, attempt: AttemptStarted) -> Attempt:
        number = attempt.attempt
        ended = self._ended.get(number)
        return Attempt(
            number,
            ended.code if ended else "",
            ended.http_status if ended else 0,
            attempt.model,
            attempt.provider,
        )

    def _decide(self, receipt: Receipt, retracted_chars: int) -> None:
        """What was decided on the way. Keys are in their order, as everything in a receipt."""
        receipt.drift = [
            {"choice": d.choice, "distance": d.distance, "retracted": d.retracted, "streamed_sha256": d.streamed_sha256}
            for d in self._drift[-LISTED_MAX:]
        ]
        receipt.governance = [
            {"action": action, "count": count, "dry": dry, "gate": gate, "rule": rule}
            for (gate, rule, action, dry), count in sorted((self._governance or {}).items())
        ]
        receipt.retractions = {"chars": retracted_chars, "count": self._retractions}
        receipt.reviews = [
            {"at": review.at, "decision": review.decision, "review": review.review, "reviewer": review.reviewer}
            for review in self._reviews[-LISTED_MAX:]
        ]
        receipt.reviews_count = len(self._reviews)
        receipt.verdicts = [
            {"count": count, "gate": gate, "outcome": outcome, "rule": rule}
            for (gate, rule, outcome), count in sorted((self._verdicts or {}).items())
        ]

    def _on_started(self, read_at: int, event: ResponseStarted) -> None:
        self._started = event
        self._first_at = read_at

    def _on_attempt(self, _: int, event: AttemptStarted) -> None:
        self._attempts.append(event)
        self._model = ""  # what another attempt said is not this one's

    def _on_described(self, _: int, event: AttemptDescribed) -> None:
        self._model = event.model or self._model

    def _on_attempt_ended(self, _: int, event: AttemptEnded) -> None:
        self._ended[event.attempt] = event

    def _on_part(self, read_at: int, _: PartStarted) -> None:
        if self._output_at < 0:
            self._output_at = read_at

    def _on_usage(self, _: int, event: Usage) -> None:
        self._usage = event

    def _on_governance(self, _: int, event: Governance) -> None:
        if self._governance is None:
            self._governance = Counter()
        kind = (event.gate, event.rule, event.action, event.dry)
        if kind not in self._governance and len(self._governance) >= DECISIONS_MAX:
            kind = (event.gate, BEYOND, event.action, event.dry)
        self._governance[kind] += 1

    def _on_verdict(self, _: int, event: Verdict) -> None:
        if self._verdicts is None:
            self._verdicts = Counter()
        kind = (event.gate, event.rule, event.outcome)
        if kind not in self._verdicts and len(self._verdicts) >= DECISIONS_MAX:
            kind = (event.gate, BEYOND, event.outcome)
        self._verdicts[kind] += 1

    def _on_drift(self, _: int, event: Drift) -> None:
        self._drift.append(event)

    def _on_retracted(self, _: int, __: Retracted) -> None:
        self._retractions += 1

    def _on_reviewed(self, _: int, event: Reviewed) -> None:
        self._reviews.append(event)

    def _on_terminal(self, read_at: int, event: Terminal) -> None:
        self._terminal = event
        self._terminal_at = read_at


_FOLDS: Final[dict[type[Any], Callable[[ReceiptFold, int, Any], None]]] = {
    ResponseStarted: ReceiptFold._on_started,
    AttemptStarted: ReceiptFold._on_attempt,
    AttemptDescribed: ReceiptFold._on_described,
    AttemptEnded: ReceiptFold._on_attempt_ended,
    PartStarted: ReceiptFold._on_part,
    Usage: ReceiptFold._on_usage,
    Governance: ReceiptFold._on_governance,
    Verdict: ReceiptFold._on_verdict,
    Drift: ReceiptFold._on_drift,
    Retracted: ReceiptFold._on_retracted,
    Reviewed: ReceiptFold._on_reviewed,
    Terminal: ReceiptFold._on_terminal,
}
FOLDED: Final = frozenset(_FOLDS)
"""Types of events a receipt is made of: a few per log, never a delta."""


def deletion(*, owner: str, at: int) -> dict[str, Any]:
    """Fields of the row that says that a response was deleted, and by whom."""
    return {"at": at, "owner": owner}


def key(*, key_id: str, public_key: str, at: int) -> dict[str, Any]:
    """Fields of the row that names the key that signs from here on."""
    return {"algorithm": "ed25519", "at": at, "key": key_id, "public_key": public_key}


def _counts(usage: Usage) -> Counts:
    """Counts are the provider's, who may send any number there is."""
    return Counts(
        cache_write_tokens=_safe(usage.cache_write_tokens),
        cached_tokens=_safe(usage.cached_tokens),
        estimated=usage.estimated,
        input_tokens=_safe(usage.input_tokens),
        output_tokens=_safe(usage.output_tokens),
        reasoning_tokens=_safe(usage.reasoning_tokens),
    )


def _safe(count: int) -> int:
    return count if count <= SAFE_INTEGER else SAFE_INTEGER


def _declare(receipt: Receipt, sources: list[Any]) -> None:
    """What the caller declares, or, where that is too much, its hash."""
    try:
        data = canonical(exact(sources))
    except ValueError:  # nested deeper than anybody reads: that they were declared is on record
        receipt.sources_count, receipt.sources_sha256 = len(sources), ""
        return
    if len(data) <= SOURCES_BYTES_MAX:
        receipt.sources = msgspec.Raw(data)
    else:
        receipt.sources_count, receipt.sources_sha256 = len(sources), hashlib.sha256(data).hexdigest()


def exact(value: Any, levels: int = LEVELS_MAX) -> Any:
    """`value` with every number that is no safe integer as a string: the spelling of those differs between languages.

    Raises `ValueError` for what is nested deeper than `LEVELS_MAX`.
    """
    if not levels:
        raise ValueError(f"nested deeper than {LEVELS_MAX} levels")
    match value:
        case float():
            return repr(value)
        case int() if not isinstance(value, bool) and abs(value) > SAFE_INTEGER:
            return str(value)
        case list():
            return [exact(item, levels - 1) for item in value]
        case dict():
            return {str(key): exact(item, levels - 1) for key, item in value.items()}
        case _:
            return value
