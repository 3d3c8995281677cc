"""``python -m benchmarks.micro``: what each stage of the token path costs by itself, without sockets.

Each stage is given the same answer of 1,000 tokens, cut the way reads cut it: a token a read, as one paced stream
brings it, and 64 tokens a read, as a flood does. The best of a few runs is shown: disturbances only ever add.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks import answers, machine
from headgate.assemble import Fold
from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.events import AnyEvent, AttemptStarted, Delta, Entry, ResponseStarted, Status, Terminal
from headgate.sse import SseDecoder
from headgate.stores import Batch, JournalEntry, Store, open_store

MODEL: Final = "bench-t1000-r0"
TOKENS: Final = 1000
READ_TOKENS: Final = (1, 64)
RUNS: Final = 9
STREAMS: Final = 100
"""Responses that share a commit."""
COMMITS: Final = 50
RESPONSE_ID: Final = "resp_344e36b0c530fd9cda734301c14f7193"


def best_us(work: Callable[[], object], *, per: int) -> float:
    """Microseconds of CPU per item, the best of `RUNS`."""
    best = float("inf")
    for _ in range(RUNS):
        gc.collect()
        gc.disable()
        started = time.process_time_ns()
        work()
        best = min(best, (time.process_time_ns() - started) / 1000 / per)
        gc.enable()
    return best


def reads(tokens: int) -> list[bytes]:
    """The body of the answer as `tokens` frames a read, its first and last frames in reads of their own."""
    frames = [answers.frame(MODEL, {"content": answers.word(index)}) for index in range(TOKENS)]
    middle = [b"".join(frames[start : start + tokens]) for start in range(0, TOKENS, tokens)]
    return [answers.opening(MODEL), *middle, answers.closing(MODEL, TOKENS, usage=True)]


def decode_sse(data: Sequence[bytes]) -> int:
    """Bytes -> frames."""
    decoder = SseDecoder()
    return sum(len(decoder.feed(read)) for read in data)


def decode_chat(data: Sequence[bytes]) -> list[list[AnyEvent]]:
    """Bytes -> frames -> events, a list for each read."""
    decoder = OPENAI_CHAT.stream_decoder(attempt=1, choices=1)
    return [*(decoder.feed(read) for read in data), decoder.finish()]


def log(batches: Sequence[Sequence[AnyEvent]]) -> list[AnyEvent]:
    """A whole log around what was decoded."""
    started = ResponseStarted(RESPONSE_ID, "bench", "openai-chat", MODEL, 1_780_000_000, stream=True)
    attempt = AttemptStarted(1, "bench", "openai-chat", MODEL)
    return [started, attempt, *(event for batch in batches for event in batch), Terminal(Status.COMPLETED)]


def encode_chat(events: Sequence[AnyEvent]) -> int:
    """Events -> frames for a client."""
    encoder = OPENAI_CHAT.encoder()
    return sum(len(encoder.feed(seq, event)) for seq, event in enumerate(events, 1))


def encode_whole(events: Sequence[AnyEvent]) -> int:
    """Events -> fold -> one JSON answer."""
    fold = Fold()
    for seq, event in enumerate(events, 1):
        fold.feed(seq, event)
    return len(OPENAI_CHAT.whole(fold))


def commit(store: Store, count: int) -> None:
    """`count` group commits of a token for each of `STREAMS` responses."""
    for _ in range(count):
        entries = [JournalEntry(number, Entry(9, 123_456_789, (Delta(0, 0, " river"),))) for number in range(STREAMS)]
        batch = Batch(store.next_row, entries)
        store.next_row += 1
        store.commit(batch, _raise)


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error


async def _commits(url: str) -> float:
    store = open_store(url, durability="commit")
    try:
        return best_us(partial(commit, store, COMMITS), per=COMMITS)
    finally:
        await store.close()


def main() -> None:
    out = Console(highlight=False)
    table = Table("stage", "us/token", "with", title_justify="left")
    with machine.pinned(machine.cores().gateway), tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder:
        for size in READ_TOKENS:
            data = reads(size)
            said = f"{size} token{'s' * (size > 1)} a read"
            table.add_row("SSE: bytes to frames", f"{best_us(partial(decode_sse, data), per=TOKENS):.2f}", said)
            table.add_row("chat: bytes to events", f"{best_us(partial(decode_chat, data), per=TOKENS):.2f}", said)
        events = log(decode_chat(reads(1)))
        table.add_row("chat: events to frames", f"{best_us(partial(encode_chat, events), per=TOKENS):.2f}", "")
        commit_us = asyncio.run(_commits(f"sqlite:///{Path(folder) / 'bench.db'}"))
        said = f"{commit_us:.0f} us a commit, shared by {STREAMS} tokens"
        table.add_row("journal: commit (SQLite)", f"{commit_us / STREAMS:.2f}", said)
        whole_us = best_us(partial(encode_whole, events), per=1)
        table.add_row(
            "whole: events to one answer", f"{whole_us / TOKENS:.2f}", f"{whole_us:.0f} us for {TOKENS:,} tokens"
        )
    out.print(table)
    out.print(", ".join(machine.describe().values()), style="dim")


if __name__ == "__main__":
    main()
