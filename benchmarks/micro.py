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
from headgate import receipts
from headgate.assemble import Fold
from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.events import AnyEvent, Delta, Entry
from headgate.merkle import Tree, leaf_hash
from headgate.receipts import ReceiptFold
from headgate.stores import AuditRow, Batch, JournalEntry, Record, Store, open_store

STREAMS: Final = 100
"""Responses that share a commit."""
COMMITS: Final = 50
ENDS: Final = 10
"""Responses whose ends share a commit."""
RECEIPTS: Final = 200
SHA256: Final = "0" * 64

Micro = Mapping[str, Any]
"""What is kept: ``stages`` and ``dialects``, us/token; ``responses``, us/response."""


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


def end(store: Store, count: int, row: AuditRow | None) -> None:
    """`count` group commits of the ends of `ENDS` responses, with their receipts or without."""
    for _ in range(count):
        batch = Batch(store.next_row, [])
        for _ in range(ENDS):
            number = store.next_number
            store.next_number += 1
            entry = Entry(1, 123_456_789, (Delta(0, 0, " river"),))
            batch.entries.append(JournalEntry(number, entry))
            batch.records.append(
                Record(number, f"resp_{number:032x}", "bench", 0.0, batch.row, 1, "completed", 9e9, (batch.row,))
            )
            if row is not None:
                seq = store.audit_size + len(batch.audit) + 1
                batch.audit.append(AuditRow(seq, row.kind, f"resp_{number:032x}", row.body, row.leaf))
        store.next_row += 1
        store.commit(batch, _raise)


def receipt(events: Sequence[AnyEvent], tree: Tree) -> AuditRow:
    """The events of a log that are no text -> a row of the audit log, its place in the tree."""
    fold = ReceiptFold()
    for event in events:
        fold.feed(123_456_789, event)
    fields = fold.fields(owner="bench", sha256=SHA256, event_count=len(events), parts=[(0, 0, "text", SHA256)])
    body = receipts.body(receipts.RESPONSE, dialects.RESPONSE_ID, tree.size + 1, fields)
    leaf = leaf_hash(body)
    tree.append(leaf)
    return AuditRow(tree.size, receipts.RESPONSE, dialects.RESPONSE_ID, body, leaf)


def receive(count: int, events: Sequence[AnyEvent]) -> None:
    """`count` receipts."""
    tree = Tree()
    for _ in range(count):
        receipt(events, tree)


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error


async def _commits(folder: Path, runs: int, row: AuditRow) -> Mapping[str, float]:
    """us of a commit of tokens; of the end of a response, and of its receipt."""
    stores = [open_store(f"sqlite:///{folder / name}.db", durability="commit") for name in ("tokens", "plain", "audit")]
    tokens, plain, audit = stores
    try:
        commit_us = best_us(partial(commit, tokens, COMMITS), per=COMMITS, runs=runs)
        plain_us = best_us(partial(end, plain, COMMITS, None), per=COMMITS * ENDS, runs=runs)
        audit_us = best_us(partial(end, audit, COMMITS, row), per=COMMITS * ENDS, runs=runs)
    finally:
        for store in stores:
            await store.close()
    return {"commit": commit_us, "end": plain_us, "kept": audit_us - plain_us}


def measure(*, runs: int = RUNS) -> Micro:
    """Everything, on the core that gateways are measured on."""
    with machine.pinned(machine.cores().gateway), tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder:
        events = dialects.log(OPENAI_CHAT.name)
        facts = [event for event in events if type(event) is not Delta]
        commits = asyncio.run(_commits(Path(folder), runs, receipt(facts, Tree())))
        return {
            "stages": {
                "journal": commits["commit"] / STREAMS,
                "whole": best_us(partial(encode_whole, events), per=TOKENS, runs=runs),
            },
            "responses": {
                "end": commits["end"],
                "receipt": best_us(partial(receive, RECEIPTS, facts), per=RECEIPTS, runs=runs),
                "receipt kept": commits["kept"],
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
    found = micro["responses"]
    table = Table("at the end of a response", "us/response", "with")
    table.add_row("record and journal row", f"{found['end']:.1f}", f"{ENDS} ends a commit (SQLite)")
    table.add_row("receipt: made", f"{found['receipt']:.1f}", "fold, canonical JSON, place in the Merkle tree")
    table.add_row("receipt: kept", f"{found['receipt kept']:.1f}", "its row in the same commit")
    out.print(table)
    out.print()


def main() -> None:
    out = Console(highlight=False)
    show(out, measure())
    out.print(", ".join(machine.describe().values()), style="dim")


if __name__ == "__main__":
    main()
