"""An audit log to look at: responses that ended, one after the other, in a store, without a gateway around it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from headgate import receipts
from headgate.assemble import Digester
from headgate.audit import Audit
from headgate.clock import Clock
from headgate.events import (
    AnyEvent,
    AttemptDescribed,
    AttemptEnded,
    AttemptStarted,
    ChoiceDone,
    Delta,
    Entry,
    PartDone,
    PartKind,
    PartStarted,
    Reason,
    ResponseStarted,
    Status,
    Terminal,
    Usage,
)
from headgate.receipt import Receipt
from headgate.stores import Batch, JournalEntry, Record, Store, open_store

NOW = 1_780_000_000


def response_id(number: int) -> str:
    return f"resp_{number:032x}"


def events_of(number: int, text: str, *, owner: str = "app") -> list[AnyEvent]:
    """The whole log of a response that says `text`, word by word."""
    words = text.split(" ")
    deltas = [Delta(0, 0, word if at == 0 else " " + word) for at, word in enumerate(words)]
    return [
        ResponseStarted(response_id(number), owner, "openai-chat", "m", NOW + number, request_sha256="ab" * 32),
        AttemptStarted(1, "p", "openai-chat", "m"),
        AttemptDescribed(1, "x", "m-2026"),
        PartStarted(0, 0, PartKind.TEXT),
        *deltas,
        PartDone(0, 0),
        ChoiceDone(0, Reason.STOP),
        Usage(5, len(words)),
        AttemptEnded(1, "ok", 200),
        Terminal(Status.COMPLETED, ended_at=NOW + number),
    ]


def receipt_of(events: list[AnyEvent]) -> Receipt:
    """What a log hands over at its end."""
    fold, digester = receipts.ReceiptFold(), Digester()
    for at, event in enumerate(events):
        fold.feed(at * 1_000_000, event)
        digester.feed(event)
    started = events[0]
    assert isinstance(started, ResponseStarted)
    return fold.fields(owner=started.owner, sha256=digester.result(), event_count=len(events))


@dataclass
class Writer:
    """Stands in for the journal: one commit a call."""

    store: Store
    audit: Audit
    ended: int = 0
    events: dict[str, list[AnyEvent]] = field(default_factory=dict)

    async def end(self, count: int = 1, *, text: str = "Hello there", owner: str = "app") -> str:
        """Commit the end of this many responses; the id of the last."""
        batch = self.batch()
        for _ in range(count):
            self.ended += 1
            events = events_of(self.ended, text, owner=owner)
            name = response_id(self.ended)
            self.events[name] = events
            self.audit.add(batch, receipts.RESPONSE, name, receipt_of(events))
            batch.entries.append(JournalEntry(self.ended, Entry(1, 1, tuple(events))))
            batch.records.append(
                Record(
                    self.ended,
                    name,
                    owner,
                    NOW + self.ended,
                    batch.row,
                    len(events),
                    "completed",
                    NOW + 1e9,
                    (batch.row,),
                )
            )
        await self.commit(batch)
        return response_id(self.ended)

    def batch(self) -> Batch:
        batch = Batch(self.store.next_row, [])
        self.store.next_row += 1
        self.audit.begin(batch)
        return batch

    async def commit(self, batch: Batch) -> None:
        done: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self.store.commit(batch, done.set_result)
        error = await done
        if error is not None:
            raise error
        self.audit.committed()


def a_clock(at: float = NOW) -> Clock:
    return Clock(monotonic_ns=lambda: 0, wall=lambda: at)


async def opened(path: Path | None, *, key_file: Path | None = None, at: float = NOW) -> Writer:
    """A log in a file, or in memory; the key is beside it."""
    store = open_store(f"sqlite:///{path}" if path else "memory:", durability="commit")
    if path is not None and key_file is None:
        key_file = path.with_name("key.pem")
    audit = await Audit.open(store, key_file, a_clock(at))
    found = await store.audit_rows(1, 1_000_000)
    return Writer(store, audit, ended=sum(row.kind == receipts.RESPONSE for row in found))


async def closed(writer: Writer) -> None:
    await writer.audit.close()
    await writer.store.close()
