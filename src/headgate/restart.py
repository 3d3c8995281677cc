"""What a crash, or a store that failed, left behind: logs without a terminal. They are ended honestly.

The rule (PROTOCOL.md section 9): nobody had been shown a success, so none is made up, even if the last choice was
done; the answer so far stays, is marked as failed, and may be asked for again. A log that waits for a person goes on
waiting; one whose reviewer has decided is ended as decided.
"""

from __future__ import annotations

from typing import NamedTuple

from headgate.clock import Clock
from headgate.endings import Ending, closing
from headgate.errors import CODES, Failure
from headgate.events import AnyEvent, AttemptEnded, Held, ResponseStarted, Status, Usage
from headgate.journal import Journal
from headgate.lifecycle import LifecycleError
from headgate.log import Log, Observer
from headgate.reviews import Reviews
from headgate.stores import Store
from headgate.telemetry.logs import fields, logger
from headgate.tokens import estimate

INTERRUPTED = Failure("interrupted", CODES["interrupted"].meaning)
FAULT = Ending(Status.FAILED, Failure("internal", "A fault in the gateway ended the response."))

_logger = logger("restart")


class Recovered(NamedTuple):
    """What became of the unfinished logs."""

    ended: int
    waiting: list[Log]
    """Those that wait for a person."""


async def end_interrupted(
    store: Store, journal: Journal, observer: Observer, clock: Clock, reviews: Reviews
) -> Recovered:
    """Give every unfinished log of the store its terminal, but for those that wait for a person."""
    unfinished = await store.unfinished()
    waiting: list[Log] = []
    for record, rows in unfinished:
        log = Log(record, journal, observer)
        input_tokens, usage, review_id = 0, None, ""
        for row, (_, entries) in zip(rows, await store.read(record.number, rows), strict=True):
            log.replay(row, entries)
            for event in (event for entry in entries for event in entry.events):
                if isinstance(event, ResponseStarted):
                    input_tokens = event.input_tokens_estimate
                elif isinstance(event, Usage):
                    usage = event
                elif isinstance(event, Held):
                    review_id = event.review or review_id
        fate = await reviews.fate(log.id, review_id) if review_id else None
        if fate is None:
            log.append(_ending(log, usage, input_tokens, ended_at=int(clock.wall())), clock.monotonic_ns())
        elif fate.outcome is None:
            waiting.append(log)
        else:
            finish(log, fate.outcome.events, fate.outcome.ending, clock)
    if unfinished:
        await journal.flush()
    return Recovered(len(unfinished) - len(waiting), waiting)


def finish(log: Log, events: list[AnyEvent], ending: Ending, clock: Clock) -> None:
    """Append these events and the terminal, whose digest counts them; both go into one commit."""
    now = clock.monotonic_ns()
    try:
        if events:
            log.append(events, now)
    except LifecycleError as error:
        _logger.error("illegal event after a review", extra=fields(response=log.id, error=str(error)))
        ending = FAULT
    if log.open_attempt:
        log.append([AttemptEnded(log.open_attempt, "ok" if ending is not FAULT else "internal")], now)
    log.append([closing(ending, sha256=log.digest(), ended_at=int(clock.wall()))], now)


def _ending(log: Log, usage: Usage | None, input_tokens: int, *, ended_at: int) -> list[AnyEvent]:
    events: list[AnyEvent] = []
    if log.open_attempt:
        events.append(AttemptEnded(log.open_attempt, INTERRUPTED.code))
    if usage is None and log.released_bytes:
        events.append(Usage(input_tokens, estimate(log.released_bytes), estimated=True))
    events.append(closing(Ending(Status.FAILED, INTERRUPTED), sha256=log.digest(), ended_at=ended_at))
    return events
