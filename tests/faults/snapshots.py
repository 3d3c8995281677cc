"""A gateway in this process whose SQLite files are copied after every commit, as a crash at that moment leaves them."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from headgate.dialects.headgate import event_object
from headgate.events import Entry, Terminal
from headgate.gateway import Gateway
from headgate.log import Log
from headgate.reader import StreamReader
from tests.shell.asking import settings

FILES: Final = ("store.db", "store.db-wal", "store.db-shm")
NOWHERE: Final = "http://127.0.0.1:1/v1"
"""Provider of a gateway that is opened on a snapshot: nothing may call it."""


@dataclass
class Snapshot:
    """The files at one moment, and what readers had been shown by then."""

    directory: Path
    seen: dict[str, list[bytes]]
    """By response, its frames in the native dialect."""
    ended: frozenset[str]
    """Responses whose terminal had been shown."""

    @property
    def wal(self) -> Path:
        return self.directory / FILES[1]


@dataclass
class Camera:
    """Follows every log of a gateway; after each commit it copies the files and what was visible."""

    source: Path
    target: Path
    snapshots: list[Snapshot] = field(default_factory=list)
    seen: dict[str, list[bytes]] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    def on_commit(self, log: Log, entries: Sequence[Entry]) -> None:
        frames = self.seen.setdefault(log.id, [])
        for entry in entries:
            for seq, event in enumerate(entry.events, entry.first_seq):
                frames.append(frame(seq, event_object(seq, event)))
                if isinstance(event, Terminal):
                    self.ended.add(log.id)

    def on_broken(self) -> None: ...

    def shoot(self, seconds: float) -> None:
        """Called by the journal with each commit, before anybody is told of it: copy the files first."""
        directory = self.target / f"{len(self.snapshots):04}"
        directory.mkdir(parents=True)
        for name in FILES:
            if (self.source / name).exists():
                shutil.copyfile(self.source / name, directory / name)
        self.snapshots.append(Snapshot(directory, {}, frozenset()))

    def develop(self) -> None:
        """What was visible after the last commit belongs to its snapshot."""
        if self.snapshots:
            last = self.snapshots[-1]
            last.seen = {response_id: list(frames) for response_id, frames in self.seen.items()}
            last.ended = frozenset(self.ended)


def frame(seq: int, shown: dict[str, object]) -> bytes:
    """Anything that is equal for equal events; the wire's own bytes are compared by `resumed`."""
    return repr((seq, shown)).encode()


@asynccontextmanager
async def photographed(url: str, directory: Path, **options: Any) -> AsyncIterator[tuple[Gateway, Camera]]:
    """A gateway on a SQLite file in `directory`, with a camera on it."""
    live = directory / "live"
    live.mkdir()
    opened = Gateway(settings(url, store=f"sqlite:///{live}/{FILES[0]}", **options))
    await opened.open()
    camera = Camera(live, directory / "snapshots")
    observe = opened.journal._on_commit_seconds

    def after_commit(seconds: float) -> None:
        camera.develop()
        camera.shoot(seconds)
        observe(seconds)

    opened.journal._on_commit_seconds = after_commit
    try:
        yield opened, camera
    finally:
        camera.develop()
        await opened.close()


@asynccontextmanager
async def reopened(directory: Path, **options: Any) -> AsyncIterator[Gateway]:
    """A fresh gateway on the files of a snapshot."""
    async with Gateway(settings(NOWHERE, store=f"sqlite:///{directory}/{FILES[0]}", **options)) as opened:
        yield opened


class Page:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.paused = False
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    async def flush(self) -> None: ...

    async def end(self) -> None: ...

    def abort(self) -> None: ...


async def resumed(opened: Gateway, log: Log, dialect: object, *, cursor: int = 0) -> bytes:
    """What a client gets of an ended log in a dialect, after a cursor."""
    reader = StreamReader(
        log,
        dialect.encoder(),  # type: ignore[attr-defined]
        cursor=cursor,
        heartbeat=b"",
        read_rows=opened.read_rows,
    )
    page = Page()
    reader.attach()
    await reader.run(page)
    reader.detach()
    return page.data
