"""Group commit: the one place where events become durable, and so visible.

At most one commit is in flight; whatever arrives meanwhile forms the next batch. A commit starts at once when the
last one is `GAP_NS` old; under load there is one every `GAP_NS`, so its cost is shared. The first output of a stream
never waits (`Urgency.NOW`); appends that no reader waits for wait for the log's next one (`Urgency.LAZY`): an answer
that comes at once is one commit from its request to its end.

Where many streams run and the loop is ours, it rests between two commits: what arrives meanwhile is read in one turn
and is in the next commit, instead of waking the loop once for each token. Decision 0014 has the figures.

Law 1 lives here: a log hears of its events only from `Log.committed`, after the store said they are safe. If the
store fails, nothing of the batch is shown and every live log is told (`on_failure`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from headgate import receipts
from headgate.audit import Audit
from headgate.errors import StoreError
from headgate.stores import Batch, Store
from headgate.telemetry.logs import fields, logger

if TYPE_CHECKING:
    from headgate.log import Log

_logger = logger("journal")

GAP_NS: Final = 2_000_000
"""At most one commit in 2 ms under load: what fewer would save, and what they would cost, is in docs/performance.md."""
REST_LOGS_MIN: Final = 4
"""Logs in a commit from which on the loop rests until the next: with fewer there is little to gather."""
BEGINNING_NS: Final = 5_000_000
"""The loop does not rest while a request is on its way to its provider: each of its steps would wait for its turn."""
LAZY_S: Final = 0.02
"""An admitted request is on disk after 20 ms at the latest, even if its provider stays silent."""
CONGESTED_ENTRIES: Final = 20_000
"""Entries waiting behind a slow commit before producers stop reading from their providers."""


class Urgency(Enum):
    """How long an append may wait for its commit."""

    NOW = "now"
    """A client waits for the first output of its stream."""
    SOON = "soon"
    """At once if nothing was committed for `GAP_NS`, else then."""
    LAZY = "lazy"
    """No reader waits: with what the log appends next, or after `LAZY_S`."""


_NOW: Final = Urgency.NOW  # a member of an enum costs more to look up than to use
_LAZY: Final = Urgency.LAZY


class Journal:
    """Collects what logs append and commits it in batches."""

    def __init__(
        self,
        store: Store,
        *,
        on_commit_seconds: Callable[[float], None],
        on_failure: Callable[[StoreError], None],
        audit: Audit | None = None,
        rest: Callable[[float], None] | None = None,
    ) -> None:
        """`rest` blocks the loop's thread for so many seconds; None where the loop is also somebody else's."""
        self.failed: StoreError | None = None
        """Why the store stopped accepting writes; None while it works."""
        self.congested = False
        """More is waiting than `CONGESTED_ENTRIES`: producers stop reading from their providers."""
        self._store = store
        self._audit = audit
        self._on_commit_seconds = on_commit_seconds
        self._on_failure = on_failure
        self._rest = rest
        self._loop = asyncio.get_running_loop()
        self._dirty: list[Log] = []
        self._lazy: dict[Log, None] = {}  # logs that have nothing pending but what may wait, in order
        self._entries = 0
        self._in_flight = False
        self._held = False
        self._soon = False  # `_timer` fires at the end of this iteration
        self._timer: asyncio.TimerHandle | asyncio.Handle | None = None
        self._lazy_timer: asyncio.TimerHandle | None = None
        self._last_ns = 0
        self._begun_ns = 0  # when a request was last admitted
        self._idle: list[asyncio.Future[None]] = []

    def add(self, log: Log, *, urgency: Urgency) -> None:
        """`log` has something pending. Called once per append."""
        if self.failed is not None:  # what came before it is lost: recovery alone may go on with this log
            return
        self._entries += 1
        if not log.dirty:
            if urgency is _LAZY:
                self._lazy[log] = None
                self._begun_ns = time.monotonic_ns()
                if self._lazy_timer is None:
                    self._lazy_timer = self._loop.call_later(LAZY_S, self._commit_lazily)
                return
            if self._lazy:
                self._lazy.pop(log, None)
            log.dirty = True
            self._dirty.append(log)
        if self._in_flight or self._held:
            self.congested = self._entries > CONGESTED_ENTRIES
            return
        if urgency is _NOW:
            self._commit_soon()
        elif self._timer is None:
            self._schedule()

    async def record(self, kind: str, ref: str, fields: dict[str, Any]) -> None:
        """Write a row of the audit log that is no response's end. Raises `StoreError`; then it is written later."""
        if self._audit is not None:
            self._audit.note(kind, ref, fields)
            await self.flush()
            if self.failed is not None:
                raise self.failed

    @property
    def _due(self) -> bool:
        """There is something to commit."""
        return bool(self._dirty) or (self._audit is not None and self._audit.pending)

    def hold(self, held: bool) -> None:
        """Let no commit start (a checkpoint's last pass is running), or go on."""
        self._held = held
        if not held and self._due and not self._in_flight and self._timer is None:
            self._schedule()

    async def flush(self) -> None:
        """Wait until everything appended so far is committed or the store has failed."""
        self._wait_no_longer()
        for _ in range(2 if self._in_flight else 1):  # the batch on its way, and the next: never what comes after that
            if not (self._due or self._in_flight) or self.failed is not None:
                return
            future = self._loop.create_future()
            self._idle.append(future)
            if self._timer is None and not self._in_flight:
                self._schedule()
            await future

    def _commit_soon(self) -> None:
        """At the end of this loop iteration, so that everything that arrived with it is in the batch."""
        if not self._soon:
            if self._timer is not None:
                self._timer.cancel()
            self._soon = True
            self._timer = self._loop.call_soon(self._commit)

    def _schedule(self) -> None:
        wait_ns = self._last_ns + GAP_NS - time.monotonic_ns()
        if wait_ns <= 0:
            self._commit_soon()
        else:
            self._timer = self._loop.call_later(wait_ns / 1e9, self._commit)

    def _wait_no_longer(self) -> None:
        for log in self._lazy:
            log.dirty = True
            self._dirty.append(log)
        self._lazy.clear()

    def _commit_lazily(self) -> None:
        self._lazy_timer = None
        self._wait_no_longer()
        if self._due and self._timer is None and not self._in_flight and not self._held:
            self._commit()

    def _commit(self) -> None:
        self._timer = None
        self._soon = False
        if self._in_flight or self._held or not self._due or self.failed is not None:
            return
        logs, self._dirty, self._entries = self._dirty, [], 0
        self.congested = False
        row = self._store.next_row
        self._store.next_row += 1
        batch = Batch(row, [])
        self._in_flight = True
        started_ns = time.monotonic_ns()
        try:
            self._fill(batch, logs, row)
        except Exception as fault:
            _logger.error("a fault in making a batch", exc_info=fault)
            self._done(StoreError("a batch could not be made"), logs, started_ns)
            return
        streaming = not batch.records  # no response begins or ends with it
        self._store.commit(batch, lambda error: self._done(error, logs, started_ns, streaming=streaming))

    def _fill(self, batch: Batch, logs: list[Log], row: int) -> None:
        """What the logs have to say, the records of those that begin or end with it, and the receipts."""
        if self._audit is not None:
            self._audit.begin(batch)
        entries = batch.entries
        for log in logs:
            record = log.flush_into(entries, row)
            if record is not None:
                batch.records.append(record)
                if record.terminal and self._audit is not None:
                    self._audit.add(batch, receipts.RESPONSE, log.id, log.receipt())

    def _done(self, error: BaseException | None, logs: list[Log], started_ns: int, *, streaming: bool = False) -> None:
        self._in_flight = False
        self._last_ns = now_ns = time.monotonic_ns()
        if error is not None:
            self.fail(error if isinstance(error, StoreError) else StoreError(str(error)))
            return
        if self._audit is not None:
            self._audit.committed()
        self._on_commit_seconds((now_ns - started_ns) / 1e9)
        for log in logs:
            try:
                log.committed()
            except Exception as fault:
                _logger.error("a fault after a commit", exc_info=fault, extra=fields(response=log.id))
        if self._timer is None and not self._held:
            if streaming and len(logs) >= REST_LOGS_MIN and self._rest and now_ns - self._begun_ns > BEGINNING_NS:
                self._timer = self._loop.call_soon(self._gather)  # when what the readers wrote has left
            elif self._due:
                self._schedule()
        self._wake()

    def _gather(self) -> None:
        """Rest until the next commit is due; it comes after one look at every connection."""
        left_ns = self._last_ns + GAP_NS - time.monotonic_ns()
        if left_ns > 0 and self._rest is not None:
            self._rest(left_ns / 1e9)
        self._timer = self._loop.call_soon(self._commit)

    def fail(self, error: StoreError) -> None:
        """Stop committing. What is pending stays unseen; whoever repairs the store calls `recovered`."""
        if self.failed is None:
            self.failed = error
            self._dirty.clear()
            self._lazy.clear()
            self._entries = 0
            self._wake()
            self._on_failure(error)

    def recovered(self) -> None:
        self.failed = None

    def _wake(self) -> None:
        waiting, self._idle = self._idle, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
