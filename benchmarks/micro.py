"""``python -m benchmarks.micro``: what the stages of the token path cost by themselves, without sockets.

The best of a few runs is shown: disturbances only ever add. The stages that differ between dialects are in
`benchmarks.dialects`, those that do not are here.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks import dialects, machine
from benchmarks.dialects import RUNS, TOKENS, best_us
from headgate.assemble import Fold
from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.events import AnyEvent, Delta, Entry
from headgate.stores import Batch, JournalEntry, Store, open_store

STREAMS: Final = 100
"""Responses that share a commit."""
COMMITS: Final = 50

Micro = Mapping[str, Any]
"""What is kept: ``stages`` and ``dialects``, us/token."""


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


async def _commits(url: str, runs: int) -> float:
    store = open_store(url, durability="commit")
    try:
        return best_us(partial(commit, store, COMMITS), per=COMMITS, runs=runs)
    finally:
        await store.close()


def measure(*, runs: int = RUNS) -> Micro:
    """Everything, on the core that gateways are measured on."""
    with machine.pinned(machine.cores().gateway), tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder:
        events = dialects.log(OPENAI_CHAT.name)
        commit_us = asyncio.run(_commits(f"sqlite:///{Path(folder) / 'bench.db'}", runs))
        return {
            "stages": {
                "journal": commit_us / STREAMS,
                "whole": best_us(partial(encode_whole, events), per=TOKENS, runs=runs),
            },
            "dialects": dialects.measure(runs),
        }


def show(out: Console, micro: Micro) -> None:
    dialects.show(out, micro["dialects"])
    stages = micro["stages"]
    table = Table("stage", "us/token", "with")
    shared = f"{stages['journal'] * STREAMS:.0f} us a commit, shared by {STREAMS} tokens"
    table.add_row("journal: commit (SQLite)", f"{stages['journal']:.2f}", shared)
    once = f"{stages['whole'] * TOKENS:.0f} us for {TOKENS:,} tokens"
    table.add_row("whole: chat, events to one answer", f"{stages['whole']:.2f}", once)
    out.print(table)
    out.print()


def main() -> None:
    out = Console(highlight=False)
    show(out, measure())
    out.print(", ".join(machine.describe().values()), style="dim")


if __name__ == "__main__":
    main()
