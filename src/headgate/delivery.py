"""What a reader may be shown, and what becomes of a response whose readers left: decisions, without any IO.

Invariants: a reader sees every event after its cursor once and in order; text that was taken back is never sent to
somebody who had not seen it; a reader that cannot be told of a retraction never gets near one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from headgate.config import OnDisconnect
from headgate.errors import RequestError
from headgate.events import AnyEvent, Delta, Retracted

CURSOR_DIGITS_MAX: Final = 15
"""A log of 10^15 events does not exist, and larger numbers are not exact in JavaScript."""
RESUMABLE_GRACE_S: Final = 10.0
"""Grace for callers that said they will come back (``Headgate-Resume: 1``)."""
CANCELLED_GRACE_S: Final = 1.0
"""How long a gateway that is closed may take to say so after its server cancelled the requests. Servers do one right
after the other; what nobody reads meanwhile costs no more than a moment."""


class Departure(Enum):
    """Why a reader is gone."""

    CLIENT = "client"
    """It left."""
    CANCELLED = "cancelled"
    """Its request was cancelled, by a server that stops or because the client left: not yet known."""
    SERVER = "server"
    """The server stops, and has closed the connection."""


@dataclass(frozen=True, slots=True)
class Farewell:
    """What to do `after_s` seconds after the last reader left."""

    action: OnDisconnect
    after_s: float
    why: Departure = Departure.CLIENT


def farewell(
    policy: OnDisconnect, *, grace_s: float | None, resumable: bool, why: Departure = Departure.CLIENT
) -> Farewell:
    """The route's policy with the grace that applies: the route's own, or 10 s for who asked to be resumable, or none."""
    if grace_s is None:
        grace_s = RESUMABLE_GRACE_S if resumable else 0.0
    if why is Departure.CANCELLED:
        grace_s = max(grace_s, CANCELLED_GRACE_S)
    return Farewell(policy, grace_s, why)


def parse_cursor(text: str, *, last_seq: int) -> int:
    """A cursor as clients send it. Raises `RequestError` ``invalid_cursor`` for what is no ``seq`` of the log."""
    if not (text.isascii() and text.isdecimal() and len(text) <= CURSOR_DIGITS_MAX):
        raise RequestError("invalid_cursor", "The cursor must be a decimal number: the seq of the last event received.")
    cursor = int(text)
    if cursor > last_seq:
        raise RequestError("invalid_cursor", f"The cursor {cursor} is beyond the log, whose last event is {last_seq}.")
    return cursor


def follow_limit(
    *, committed_seq: int, verified_seq: int, ended: bool, may_retract: bool, expresses_retraction: bool
) -> int:
    """How far a reader may follow: to the last commit, or only to what can no longer be taken back."""
    if not may_retract or expresses_retraction or ended:
        return committed_seq
    return verified_seq


def is_taken_back(seq: int, event: AnyEvent, retractions: Sequence[tuple[int, Retracted]]) -> bool:
    """Whether `event` brought text into a range that was retracted later on: a delta, or a retraction's replacement."""
    if not isinstance(event, Delta | Retracted):
        return False
    return any(
        r.choice == event.choice and r.part == event.part and r.from_seq <= seq < at_seq for at_seq, r in retractions
    )
