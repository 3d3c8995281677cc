"""Crash after every commit, and torn files: what a reader saw is there, and nothing that broke looks finished."""

from __future__ import annotations

import asyncio
import random
import shutil
from pathlib import Path

import pytest

from headgate.dialects.headgate import NATIVE, event_object
from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.events import Blame, Status, Terminal
from headgate.gateway import Gateway
from tests.faults.snapshots import FILES, Snapshot, frame, photographed, reopened, resumed
from tests.shell.asking import Answer, ask
from tests.shell.provider import (
    CHUNKED,
    DONE,
    LAST_CHUNK,
    Line,
    Play,
    Request,
    chunk,
    finish,
    provider,
    usage,
    word,
)
from tests.shell.provider import (
    frame as wire_frame,
)
from tests.shell.scene import run
from tests.soak import share

WORDS = [f"wörd{n} " for n in range(20)]
SUCCESS_MARKS = (b"[DONE]", b'"finish_reason":"', b'"completed"')


def slowly(*pieces: bytes) -> Play:
    """One piece for each commit of the journal."""

    async def play(line: Line, request: Request) -> None:
        await line.send(CHUNKED)
        for piece in pieces:
            await asyncio.sleep(0.004)
            await line.send(chunk(piece))
        await line.send(LAST_CHUNK)

    return play


def call(index: int, **fields: object) -> bytes:
    delta = {"tool_calls": [{"index": index, **fields}]}
    return wire_frame(choices=[{"index": 0, "delta": delta, "finish_reason": None}])


STORY = slowly(*(word(text) for text in WORDS), finish(), usage(), DONE)
TOOLS = slowly(
    word("Looking. "),
    call(0, id="call_a", type="function", function={"name": "look", "arguments": ""}),
    call(0, function={"arguments": '{"at": '}),
    call(0, function={"arguments": '"Oslo"}'}),
    finish("tool_calls"),
    DONE,
)


async def record(directory: Path, *plays: Play) -> list[Snapshot]:
    """Run a response for each play, all at once, and take a snapshot after every commit."""
    async with provider(*plays) as upstream, photographed(upstream.url, directory) as (opened, camera):
        answers: list[Answer] = []
        for _ in plays:
            got = ask(opened)
            got.log.readers.append(camera)
            answers.append(got)
        for got in answers:
            assert (await got.ended()).status is Status.COMPLETED
    assert len(camera.snapshots) > 5
    return camera.snapshots


async def check(snapshot: Snapshot, *, lost: int = 0) -> None:
    """Open the snapshot and compare. `lost` frames at the end of a log may be missing (a torn file)."""
    async with reopened(snapshot.directory) as opened:
        assert opened.not_ready is None
        for response_id, seen in snapshot.seen.items():
            await check_log(opened, response_id, seen, ended=response_id in snapshot.ended, lost=lost)


async def check_log(opened: Gateway, response_id: str, seen: list[bytes], *, ended: bool, lost: int) -> None:
    log = await opened.hub.find(response_id, "")
    kept: list[bytes] = []
    terminals: list[Terminal] = []
    async for entry in opened.hub.entries(log):
        for seq, event in enumerate(entry.events, entry.first_seq):
            assert seq == len(kept) + 1, "without gaps"
            kept.append(frame(seq, event_object(seq, event)))
            if isinstance(event, Terminal):
                terminals.append(event)
    common = min(len(seen), len(kept))
    same = next((n for n in range(common) if seen[n] != kept[n]), common)
    assert len(seen) - same <= lost, f"{len(seen) - same} of {len(seen)} events that were seen are gone or changed"
    assert len(terminals) == 1
    whole = await resumed(opened, log, OPENAI_CHAT)
    if ended and same == len(seen):
        assert kept == seen
        assert terminals[0].status is Status.COMPLETED
        assert whole.endswith(b"data: [DONE]\n\n")
        return
    terminal = terminals[0]
    assert (terminal.status, terminal.code, terminal.blame) == (Status.FAILED, "interrupted", Blame.GATEWAY)
    assert terminal.retryable
    assert not any(mark in whole for mark in SUCCESS_MARKS), "nothing looks finished"
    assert b'"code":"interrupted"' in whole
    for cursor in {0, same // 2, same, log.committed_seq}:
        for dialect in (NATIVE, OPENAI_CHAT):
            complete = await resumed(opened, log, dialect)
            rest = await resumed(opened, log, dialect, cursor=cursor)
            assert complete.endswith(rest)


@pytest.mark.parametrize("play", [STORY, TOOLS], ids=["text", "tool-call"])
def test_crash_after_any_commit_loses_nothing_that_was_seen(play: Play, tmp_path: Path) -> None:
    async def test() -> None:
        for snapshot in await record(tmp_path, play):
            await check(snapshot)

    run(test)


def test_crash_with_many_responses_in_flight_loses_nothing_that_was_seen(tmp_path: Path) -> None:
    async def test() -> None:
        snapshots = await record(tmp_path, *[STORY, TOOLS] * 5)
        for snapshot in random.Random(7).sample(snapshots, min(len(snapshots), 12)):
            await check(snapshot)

    run(test)


def test_crash_between_the_finish_reason_and_the_terminal_is_no_success(tmp_path: Path) -> None:
    async def test() -> None:
        snapshots = await record(tmp_path, STORY)
        after = [s for s in snapshots for frames in s.seen.values() if b"choice.done" in frames[-1] and not s.ended]
        assert after, "there was such a moment"
        for snapshot in after:
            await check(snapshot)

    run(test)


def test_second_crash_during_the_recovery_of_the_first_changes_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        snapshot = (await record(tmp_path, STORY))[6]
        await check(snapshot)
        async with reopened(snapshot.directory) as opened:
            first = {rid: await resumed(opened, await opened.hub.find(rid, ""), NATIVE) for rid in snapshot.seen}
        async with reopened(snapshot.directory) as opened:
            for response_id, data in first.items():
                assert await resumed(opened, await opened.hub.find(response_id, ""), NATIVE) == data

    run(test)


def test_torn_tail_costs_only_what_was_torn_off(tmp_path: Path) -> None:
    """The -wal ends anywhere, as after a power cut: everything before that is whole, and nothing looks finished."""
    seed = 1234
    dice = random.Random(seed)

    async def test() -> None:
        snapshots = await record(tmp_path, STORY)
        lengths = [snapshot.wal.stat().st_size for snapshot in snapshots]
        last = snapshots[-1]
        for n in range(share(2_000)):
            length = dice.randint(lengths[0], lengths[-1])
            torn = tmp_path / "torn"
            shutil.rmtree(torn, ignore_errors=True)
            shutil.copytree(last.directory, torn)
            with (torn / FILES[1]).open("r+b") as wal:
                wal.truncate(length)
            whole = max(i for i, size in enumerate(lengths) if size <= length)
            expected = snapshots[whole]
            lost = sum(map(len, last.seen.values())) - sum(map(len, expected.seen.values()))
            try:
                await check(Snapshot(torn, last.seen, last.ended), lost=lost)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}, try {n}: truncated to {length} bytes") from error

    run(test)


def test_scribbled_tail_costs_only_what_it_hit(tmp_path: Path) -> None:
    """The last pages of the -wal hold noise, as some file systems leave them."""
    seed = 99
    dice = random.Random(seed)

    async def test() -> None:
        snapshots = await record(tmp_path, STORY)
        lengths = [snapshot.wal.stat().st_size for snapshot in snapshots]
        last = snapshots[-1]
        for n in range(share(500)):
            start = dice.randint(lengths[0], lengths[-1] - 1)
            torn = tmp_path / "torn"
            shutil.rmtree(torn, ignore_errors=True)
            shutil.copytree(last.directory, torn)
            with (torn / FILES[1]).open("r+b") as wal:
                wal.seek(start)
                wal.write(dice.randbytes(lengths[-1] - start))
            whole = max(i for i, size in enumerate(lengths) if size <= start)
            lost = sum(map(len, last.seen.values())) - sum(map(len, snapshots[whole].seen.values()))
            try:
                await check(Snapshot(torn, last.seen, last.ended), lost=lost)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}, try {n}: noise from byte {start}") from error

    run(test)
