"""Threads for judges that block. They are daemons: one that hangs must not keep the process from ending.

(The threads of `concurrent.futures` are waited for at the end of the interpreter, for ever if need be.)
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final

THREADS_MAX: Final = 64
"""Of one rule, whatever its `concurrency` says: Python runs one of them at a time."""


class _Job:
    """A call, and the future that waits for it."""

    def __init__(self, call: Callable[[], Any], outcome: asyncio.Future[Any]) -> None:
        self.call = call
        self.outcome = outcome


class Workers:
    """Up to so many threads, begun when they are needed."""

    def __init__(self, name: str) -> None:
        self._name = f"headgate-{name}"
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads = 0
        self._open: set[_Job] = set()

    async def run(self, call: Callable[[], Any]) -> Any:
        """What `call` returns or raises. Cancelled, it still waits for the thread, which nothing can stop."""
        job = _Job(call, self._loop.create_future())
        if len(self._open) >= self._threads:
            threading.Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
            self._threads += 1
        self._open.add(job)
        self._jobs.put(job)
        try:
            return await asyncio.shield(job.outcome)
        except asyncio.CancelledError:
            await asyncio.wait([job.outcome])
            raise

    def close(self) -> None:
        """Wait for nobody: threads end when their calls do."""
        for job in tuple(self._open):
            self._settle(job, None, RuntimeError("closed"))
        for _ in range(self._threads):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            value, fault = None, None
            try:
                value = job.call()
            except BaseException as raised:  # noqa: BLE001  it belongs to whoever waits; the thread goes on
                fault = raised
            try:
                self._loop.call_soon_threadsafe(self._settle, job, value, fault)
            except RuntimeError:  # the loop is closed: nobody waits any more
                return

    def _settle(self, job: _Job, value: Any, fault: BaseException | None) -> None:
        self._open.discard(job)
        if job.outcome.done():
            return
        if fault is None:
            job.outcome.set_result(value)
        else:
            job.outcome.set_exception(fault)
            job.outcome.exception()  # taken note of, should nobody wait any more
