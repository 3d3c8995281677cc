"""What a crash, or a store that failed, left behind: logs without a terminal. They are ended honestly.

The rule (PROTOCOL.md section 9): nobody had been shown a success, so none is made up, even if the last choice was
done; the answer so far stays, is marked as failed, and may be asked for again.
"""

from __future__ import annotations

from headgate.clock import Clock
from headgate.endings import closing
from headgate.errors import CODES, Failure
from headgate.events import AnyEvent, AttemptEnded, ResponseStarted, Status, Usage
from headgate.journal import Journal
from headgate.log import Log, Observer
from headgate.stores import Store
from headgate.tokens import estimate

INTERRUPTED = Failure("interrupted", CODES["interrupted"].meaning)


async def end_interrupted(store: Store, journal: Journal, observer: Observer, clock: Clock) -> int:
    """Give every unfinished log of the store its terminal. Returns how many there were."""
    unfinished = await store.unfinished()
    for record, rows in unfinished:
        log = Log(record, journal, observer)
        input_tokens, usage = 0, None
        for row, (_, entries) in zip(rows, await store.read(record.number, rows), strict=True):
            log.replay(row, entries)
            for event in (event for entry in entries for event in entry.events):
                if isinstance(event, ResponseStarted):
                    input_tokens = event.input_tokens_estimate
                elif isinstance(event, Usage):
                    usage = event
        log.append(_ending(log, usage, input_tokens, ended_at=int(clock.wall())), clock.monotonic_ns())
    if unfinished:
        await journal.flush()
    return len(unfinished)


def _ending(log: Log, usage: Usage | None, input_tokens: int, *, ended_at: int) -> list[AnyEvent]:
    events: list[AnyEvent] = []
    if log.open_attempt:
        events.append(AttemptEnded(log.open_attempt, INTERRUPTED.code))
    if usage is None and log.released_bytes:
        events.append(Usage(input_tokens, estimate(log.released_bytes), estimated=True))
    events.append(closing(Status.FAILED, INTERRUPTED, sha256=log.digest(), ended_at=ended_at))
    return events
