"""Readers of a log: one that follows it as a stream, one that waits for its end.

A `StreamReader` is in one of two states. At the tail it is called with what was just committed, encodes it and writes
it, all inside the committing loop iteration. Behind (a resume, or a client that does not keep up) it reads pages from
the store until it has caught up. Nothing is queued for a reader: what it has not written is in the log.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from headgate.assemble import Fold
from headgate.delivery import follow_limit, is_taken_back
from headgate.dialects import StreamEncoder
from headgate.errors import StoreError
from headgate.events import Entry
from headgate.log import Log
from headgate.sinks import Sink

PAGE_ROWS: Final = 16
"""Journal rows a reader that is behind takes at once: some tens of kilobytes, about what a sink takes before it pauses."""

ReadRows = Callable[[int, Sequence[int]], Awaitable[list[tuple[int, list[Entry]]]]]


class Broken(Exception):
    """The store failed: the stream must be cut without any end marker (law 1)."""


class _Wakeable:
    """Something that is told when there is something new: a coroutine that parks, or a callback while there is none."""

    __slots__ = ("_waiter", "_woken", "cancelled", "on_wake")

    def __init__(self) -> None:
        self.cancelled = False
        """The request was cancelled, and it is not known whether because of its client."""
        self.on_wake: Callable[[], None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._woken = False

    def wake(self) -> None:
        if self.on_wake is not None:
            self.on_wake()
            return
        self._woken = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _park(self, timeout_s: float | None = None) -> None:
        """Until `wake` (also one that came before), or the timeout."""
        if not self._woken:
            self._waiter = asyncio.get_running_loop().create_future()
            timer = None
            if timeout_s is not None:
                timer = asyncio.get_running_loop().call_later(timeout_s, self.wake)
            try:
                await self._waiter
            finally:
                self._waiter = None
                if timer is not None:
                    timer.cancel()
        self._woken = False


class StreamReader(_Wakeable):
    """Follows `log` from `cursor` and writes frames to a sink. Create, `attach`, then `run`."""

    __slots__ = (
        "_at_tail",
        "_broken",
        "_encoder",
        "_expresses_retraction",
        "_folded",
        "_from",
        "_heartbeat",
        "_held",
        "_position",
        "_quiet_since",
        "_read_rows",
        "_sink",
        "cursor",
        "log",
        "lost",
    )

    def __init__(
        self,
        log: Log,
        encoder: StreamEncoder,
        *,
        cursor: int = 0,
        expresses_retraction: bool = True,
        heartbeat: bytes,
        read_rows: ReadRows,
    ) -> None:
        super().__init__()
        self.cursor = cursor
        """`seq` of the last event that was written, or skipped because it has no frame."""
        self.lost = False
        """The client is gone."""
        self._quiet_since: float | None = None  # nothing was written since; None: something was, since the last beat
        self.log = log
        self._encoder = encoder
        self._from = cursor
        self._position = 0  # journal rows that were folded into the encoder
        self._folded = 0  # seq of the last event that was
        self._at_tail = False
        self._held: list[bytes] = []  # frames made before the sink was there
        self._sink: Sink | None = None
        self._broken = False
        self._expresses_retraction = expresses_retraction
        self._heartbeat = heartbeat
        self._read_rows = read_rows

    @property
    def broken(self) -> bool:
        """The store failed."""
        return self._broken

    @property
    def at_tail(self) -> bool:
        """Nothing is left to read or to wait for but the next commit."""
        return self._at_tail and (self._sink is None or not self._sink.paused)

    @property
    def done(self) -> bool:
        """Everything up to the terminal was written."""
        return self.log.terminal is not None and self._folded == self.log.committed_seq

    def attach(self) -> None:
        """Begin to follow. A log that is still empty is followed from the tail at once."""
        self.log.readers.append(self)
        self._at_tail = not self.log.rows and not self._needs_limit()
        if self._at_tail:
            self.log.impatient = True

    def detach(self) -> None:
        if self in self.log.readers:
            self.log.readers.remove(self)

    def disconnect(self) -> None:
        """The client went away."""
        self.lost = True
        self.wake()

    def on_commit(self, log: Log, entries: list[Entry]) -> None:
        sink = self._sink
        if not self._at_tail or (sink is not None and sink.paused):
            self._at_tail = False
            self.wake()
            return
        self._position = len(log.rows)
        data = self._encode(entries, log.committed_seq)
        if sink is None:
            self._held.append(data)
            self.wake()
        else:
            if data:  # an empty chunk would end a chunked body
                sink.write(data)
                self._quiet_since = None
            if log.terminal is not None:
                self.wake()

    def on_broken(self) -> None:
        self._broken = True
        self.wake()

    async def opened(self, timeout_s: float) -> bool:
        """Wait until headers may leave: something semantic is visible, or time is up. True if something is."""
        deadline = time.monotonic() + timeout_s
        while not (self.log.opened or self.log.terminal or self.lost or self._broken):
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            await self._park(left)
        if self._broken:
            raise Broken
        return True

    def follow_into(self, sink: Sink) -> bytes:
        """What is committed from here on is written to `sink`. Returns what was held back until now, for the caller to write first."""
        self._sink = sink
        data = b"".join(self._held)
        self._held.clear()
        return data

    async def run(self, sink: Sink) -> None:
        """Write until the terminal is out or the client is gone. Raises `Broken`."""
        data = self.follow_into(sink)
        if data:
            sink.write(data)
        while not self.lost:
            await sink.flush()
            if self._broken:
                raise Broken
            if self.done:
                return
            if self._at_tail:
                await self._park()
            else:
                await self._catch_up(sink)

    def beat(self, now: float, every_s: float) -> None:
        """Called twice a second: write a heartbeat if nothing was written for `every_s`. It is no event and moves nothing."""
        sink = self._sink
        if self._quiet_since is None:
            self._quiet_since = now
        elif sink is not None and not sink.paused and not self.lost and now - self._quiet_since >= every_s:
            sink.write(self._heartbeat)
            self._quiet_since = now

    async def _catch_up(self, sink: Sink) -> None:
        """Write one page, or go to the tail if there is none."""
        rows = self.log.rows[self._position : self._position + PAGE_ROWS]
        limit = self._limit()
        if not rows and self.log.terminal is not None and self._folded < limit:
            raise Broken  # the response was deleted while it was read
        if not rows or self._folded >= limit:
            self._at_tail = not self._needs_limit()
            if not self._at_tail and not self.done:
                await self._park()
            return
        try:
            pages = await self._read_rows(self.log.number, rows)
        except StoreError as error:
            raise Broken from error
        for _, entries in pages:
            if sink.paused or not self._write_page(sink, entries, limit):
                return

    def _write_page(self, sink: Sink, entries: list[Entry], limit: int) -> bool:
        """Write one journal row's events; False if the limit cut it short, so that the row is read again later."""
        data = self._encode(entries, limit)
        if data:
            sink.write(data)
            self._quiet_since = None
        if entries and entries[-1].first_seq + len(entries[-1].events) - 1 > limit:
            return False
        self._position += 1
        return True

    def _encode(self, entries: list[Entry], limit: int) -> bytes:
        """Fold what was not folded yet into the encoder; the frames of what lies after the cursor."""
        start = self._from
        retractions = self.log.retractions
        folded = self._folded
        if self._at_tail and not retractions and folded >= start and folded == entries[0].first_seq - 1:
            # nearly always: everything is new and is shown
            data = self._encode_all(entries, folded + 1)
            self._folded = self.cursor = limit
            return data
        feed = self._encoder.feed
        frames: list[bytes] = []
        for entry in entries:
            for seq, event in enumerate(entry.events, entry.first_seq):
                if seq <= self._folded or seq > limit:
                    continue
                self._folded = seq
                if retractions and seq > start and is_taken_back(seq, event, retractions):
                    continue
                frame = feed(seq, event)
                if seq > start:
                    frames.append(frame)
        self.cursor = max(self._folded, start)
        return b"".join(frames)

    def _encode_all(self, entries: list[Entry], seq: int) -> bytes:
        """The frames of all these events, of which the first one has this `seq`. Nearly always there is one."""
        events = entries[0].events
        if len(entries) == 1 and len(events) == 1:
            return self._encoder.feed(seq, events[0])
        feed = self._encoder.feed
        frames: list[bytes] = []
        for entry in entries:
            for event in entry.events:
                frames.append(feed(seq, event))
                seq += 1
        return b"".join(frames)

    def _needs_limit(self) -> bool:
        return self.log.may_retract and not self._expresses_retraction

    def _limit(self) -> int:
        return follow_limit(
            committed_seq=self.log.committed_seq,
            verified_seq=self.log.verified_seq,
            ended=self.log.terminal is not None,
            may_retract=self.log.may_retract,
            expresses_retraction=self._expresses_retraction,
        )


class WholeReader(_Wakeable):
    """Folds `log` as it is committed and waits for its terminal."""

    __slots__ = (
        "_log",
        "broken",
        "fold",
        "lost",
    )

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.fold = Fold()
        self.lost = False
        self.broken = False
        """The store failed."""
        self._log = log

    def attach(self) -> None:
        self._log.readers.append(self)

    def detach(self) -> None:
        if self in self._log.readers:
            self._log.readers.remove(self)

    def disconnect(self) -> None:
        self.lost = True
        self.wake()

    def on_commit(self, log: Log, entries: list[Entry]) -> None:
        for entry in entries:
            self.fold.feed_entry(entry)
        if log.terminal is not None or log.held is not None:
            self.wake()

    def on_broken(self) -> None:
        self.broken = True
        self.wake()

    async def ended(self) -> None:
        """Until the terminal is visible, the client is gone, or a held answer was waited for long enough. Raises `Broken`."""
        log, wait_until = self._log, 0.0
        while log.terminal is None and not self.lost:
            if self.broken:
                raise Broken
            if log.held is None:
                await self._park()
                continue
            now = time.monotonic()
            wait_until = wait_until or now + log.hold_wait_s
            if now >= wait_until:
                return
            await self._park(wait_until - now)
