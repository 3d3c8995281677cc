"""How a log is ended: what is still to be said, and the terminal, whose digest counts it, in one commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from headgate.clock import Clock
from headgate.endings import GUARD_FAILED, INTERNAL, UNVERIFIED, Ending, closing
from headgate.errors import LifecycleError
from headgate.events import AnyEvent, AttemptEnded, Delta, PartStarted, Retracted, Status
from headgate.log import Log
from headgate.telemetry.logs import fields, logger

_TEXT: Final = frozenset({PartStarted, Delta, Retracted})
"""What the digest of a log is made of."""

_logger = logger("finish")


def finish(log: Log, events: Sequence[AnyEvent], ending: Ending, clock: Clock, *, guarded: bool = False) -> None:
    """Append these events and the terminal; an attempt that is open then was ``ok``.

    Should something of that not be legal, a fault of ours, the log ends as failed; as blocked if that is what it was to
    be, or if what is said in it is judged.
    """
    now, ended_at = clock.monotonic_ns(), int(clock.wall())
    try:
        if not _TEXT.isdisjoint([type(event) for event in events]):
            log.append(events, now)  # the digest counts them
            events = ()
        if log.open_attempt and not any(type(event) is AttemptEnded for event in events):
            events = [*events, AttemptEnded(log.open_attempt, "ok")]
        log.append([*events, closing(ending, sha256=log.digest(), ended_at=ended_at)], now)
    except LifecycleError as error:
        _logger.error("illegal end", extra=fields(response=log.id, error=str(error)))
        if log.ended:
            return
        if log.open_attempt:
            log.append([AttemptEnded(log.open_attempt, INTERNAL.code)], now)
        if ending.status is not Status.BLOCKED:
            ending = Ending(Status.BLOCKED, GUARD_FAILED) if guarded else Ending(Status.FAILED, INTERNAL)
        log.append([closing(ending, sha256=log.digest(), ended_at=ended_at)], now)


def taken_back(log: Log) -> list[AnyEvent]:
    """In a log that may retract: what takes back the text that the log does not say to be verified."""
    return [] if log.positions is None else [*log.positions.retractions(log.positions.unverified, UNVERIFIED)]
