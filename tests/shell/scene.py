"""What the pieces of the shell stand in during a test: a journal over a store whose commits the test may hold back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from headgate.errors import StoreError
from headgate.events import (
    AnyEvent,
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
)
from headgate.ids import new_response_id
from headgate.journal import Journal
from headgate.log import Log
from headgate.stores import Batch, Done, Record, Store
from headgate.stores.memory import MemoryStore

DEADLINE_S: Final = 20.0
"""Of a whole test: nothing in them waits for more than some tens of milliseconds."""

ENDING: Final[tuple[AnyEvent, ...]] = (
    PartDone(0, 0),
    ChoiceDone(0, Reason.STOP, "stop"),
    AttemptEnded(1, "ok", 200),
    Terminal(Status.COMPLETED),
)


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test on a loop of its own, within the deadline."""

    async def within() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await test()

    asyncio.run(within())


async def turns(count: int = 5) -> None:
    """Let whatever is due run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    """Turn the loop until something has become true."""
    while not condition():
        await asyncio.sleep(0.001)


class HeldStore(MemoryStore):
    """A store whose commits are done when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.in_flight: list[tuple[Batch, Done]] = []
        self.batches: list[Batch] = []
        self.reads = 0

    def commit(self, batch: Batch, done: Done) -> None:
        self.batches.append(batch)
        self.in_flight.append((batch, done))

    def finish(self, error: BaseException | None = None) -> None:
        """The oldest commit is done, or has failed."""
        batch, done = self.in_flight.pop(0)
        if error is None:
            super().commit(batch, lambda _: None)
        done(error)

    async def read(self, number: int, rows: Sequence[int]) -> list[tuple[int, list[Entry]]]:
        self.reads += 1
        return await super().read(number, rows)


class Watcher:
    """A reader and an observer that write down what they are told."""

    def __init__(self) -> None:
        self.seen: list[AnyEvent] = []
        self.commits = 0
        self.broken = 0

    def on_commit(self, log: Log, entries: Sequence[Entry]) -> None:
        self.commits += 1
        for entry in entries:
            assert entry.first_seq + len(entry.events) - 1 <= log.committed_seq, "told of what is not visible"
            self.seen += entry.events

    def on_broken(self) -> None:
        self.broken += 1

    def log_committed(self, log: Log, entries: Sequence[Entry]) -> None:
        self.on_commit(log, entries)

    def expires_at(self) -> float:
        return 2_000_000_000.0

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.seen if isinstance(event, Delta))


class Scene:
    """A journal and its logs. Make it inside the running loop."""

    def __init__(self, store: Store | None = None, *, rest: Callable[[float], None] | None = None) -> None:
        self.store: Store = store or MemoryStore()
        self.observer = Watcher()
        self.failures: list[StoreError] = []
        self.commit_seconds: list[float] = []
        self.logs: list[Log] = []
        self.journal = Journal(
            self.store, on_commit_seconds=self.commit_seconds.append, on_failure=self._fail, rest=rest
        )

    def log(self, *, owner: str = "") -> Log:
        """A new log, still empty."""
        record = Record(
            number=self.store.next_number,
            id=new_response_id(1_780_000_000_000 + self.store.next_number),
            owner=owner,
            created_at=0.0,
            first_row=0,
            last_seq=0,
            terminal="",
            expires_at=1e12,
        )
        self.store.next_number += 1
        log = Log(record, self.journal, self.observer)
        self.logs.append(log)
        return log

    def _fail(self, error: StoreError) -> None:
        self.failures.append(error)
        for log in self.logs:
            log.broken()


def beginning(log: Log, *, may_retract: bool = False) -> tuple[AnyEvent, ...]:
    """Everything before the first delta of part 0."""
    started = ResponseStarted(log.id, log.record.owner, "openai-chat", "m", 0, may_retract=may_retract)
    attempt = AttemptStarted(1, "p", "openai-chat", "m")
    return (started, attempt, PartStarted(0, 0, PartKind.TEXT))


def begin(log: Log, *, may_retract: bool = False, lazy: bool = False) -> None:
    log.append(beginning(log, may_retract=may_retract), 1, lazy=lazy)


def say(log: Log, *words: str) -> None:
    """One append with a delta for each word."""
    log.append([Delta(0, 0, word) for word in words], 2)


def end(log: Log) -> None:
    log.append(ENDING, 3)
