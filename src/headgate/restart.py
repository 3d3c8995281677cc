"""What a crash, or a store that failed, left behind: logs without a terminal. They are ended honestly.

The rule (PROTOCOL.md section 9): nobody had been shown a success, so none is made up, even if the last choice was
done; the answer so far stays, but for text of which the log does not say that it is verified where it may be taken
back; it is marked as failed, and may be asked for again. A log that waits for a person goes on waiting; one whose
reviewer has decided is ended as decided.
"""

from __future__ import annotations

from typing import NamedTuple

from headgate.clock import Clock
from headgate.endings import Ending
from headgate.errors import CODES, Failure
from headgate.events import AnyEvent, AttemptEnded, Held, ResponseStarted, Status, Usage
from headgate.finish import finish, taken_back
from headgate.journal import Journal
from headgate.log import Log, Observer
from headgate.reviews import Reviews
from headgate.stores import Store
from headgate.telemetry.logs import fields, logger
from headgate.tokens import estimate

INTERRUPTED = Failure("interrupted", CODES["interrupted"].meaning)

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
            finish(log, _last_events(log, usage, input_tokens), Ending(Status.FAILED, INTERRUPTED), clock)
        elif fate.outcome is None:
            waiting.append(log)
        else:
            finish(log, fate.outcome.events, fate.outcome.ending, clock)
    if unfinished:
        await journal.flush()
    return Recovered(len(unfinished) - len(waiting), waiting)


def _last_events(log: Log, usage: Usage | None, input_tokens: int) -> list[AnyEvent]:
    events = taken_back(log)
    if log.open_attempt:
        events.append(AttemptEnded(log.open_attempt, INTERRUPTED.code))
    if usage is None and log.released_bytes:
        events.append(Usage(input_tokens, estimate(log.released_bytes), estimated=True))
    return events


async def take_over(
    store: Store, journal: Journal, observer: Observer, clock: Clock, *, reviews: Reviews, live: dict[str, Log]
) -> None:
    """End what was left unfinished; what waits for a person goes on waiting, in `live`."""
    recovered = await end_interrupted(store, journal, observer, clock, reviews)
    live.update({log.id: log for log in recovered.waiting})
    await reviews.recover()
    if recovered.ended or recovered.waiting:
        counts = fields(ended=recovered.ended, waiting=len(recovered.waiting))
        _logger.warning("took over unfinished responses", extra=counts)
