"""Where jobs are handed in: every client of both languages, side by side on one event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Coroutine, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import msgspec

from tests import needs
from tests.e2e.matrix.python_openai import OpenAIClient
from tests.e2e.matrix.python_others import AnthropicClient, GeminiClient
from tests.e2e.matrix.seen import Job, Seen, Trouble

NPM: Final = Path(__file__).parents[1] / "npm"
SCRIPTS: Final = {
    "openai-chat": "openai.mjs",
    "openai-responses": "openai.mjs",
    "anthropic-messages": "anthropic.mjs",
    "gemini": "gemini.mjs",
}
SIDE_BY_SIDE: Final = 32
LINE_BYTES_MAX: Final = 64 * 1024 * 1024
DONE_S: Final = 240.0
"""Far beyond what a batch takes."""

T = TypeVar("T")


class Client(Protocol):
    """A Python SDK; each act is a method of its name."""

    def __init__(self, url: str, key: str) -> None: ...

    async def close(self) -> None: ...


PYTHON: Final[dict[str, type[Client]]] = {
    "openai-chat": OpenAIClient,
    "openai-responses": OpenAIClient,
    "anthropic-messages": AnthropicClient,
    "gemini": GeminiClient,
}


class Desk:
    """Takes jobs from tests, which know nothing of event loops."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self._clients: dict[tuple[str, str, str], Client] = {}
        self._nodes: dict[str, Node] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something on the loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(DONE_S)

    def ask(self, url: str, jobs: Iterable[Job]) -> list[Seen]:
        """Do all of them at once; what came, in their order."""
        return self.begin(url, jobs).result(DONE_S)

    def begin(self, url: str, jobs: Iterable[Job]) -> Future[list[Seen]]:
        """The same, without waiting for it."""
        return asyncio.run_coroutine_threadsafe(self._all(url, list(jobs)), self.loop)

    def close(self) -> None:
        self.run(self._close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _all(self, url: str, jobs: list[Job]) -> list[Seen]:
        limit = asyncio.Semaphore(SIDE_BY_SIDE)

        async def one(job: Job) -> Seen:
            async with limit:
                return await (self._in_node(url, job) if job.language == "node" else self._in_python(url, job))

        return await asyncio.gather(*(one(job) for job in jobs))

    async def _in_python(self, url: str, job: Job) -> Seen:
        kind = PYTHON[job.dialect]
        client = self._clients.get((url, job.key, kind.__name__))
        if client is None:
            client = self._clients[url, job.key, kind.__name__] = kind(url, job.key)
        seen = Seen()
        try:
            await getattr(client, job.act)(job, seen)
        except Exception as error:
            seen.error = told(error)
            response = getattr(error, "response", None)
            seen.id = seen.id or (response.headers.get("headgate-response-id", "") if response is not None else "")
        return seen

    async def _in_node(self, url: str, job: Job) -> Seen:
        script = SCRIPTS[job.dialect]
        if script not in self._nodes:
            self._nodes[script] = Node(script)
        return await self._nodes[script].ask(url, job)

    async def _close(self) -> None:
        for client in self._clients.values():
            await client.close()
        for node in self._nodes.values():
            await node.close()


class Node:
    """One Node process that serves jobs over its standard input and output; see ``jobs.mjs``."""

    def __init__(self, script: str) -> None:
        self._script = script
        self._starting = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[Seen]] = {}
        self._jobs = 0

    async def ask(self, url: str, job: Job) -> Seen:
        async with self._starting:
            if self._process is None:
                self._process = await asyncio.create_subprocess_exec(
                    needs.path_of("node"),
                    self._script,
                    cwd=NPM,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    limit=LINE_BYTES_MAX,
                )
                self._reading = asyncio.get_running_loop().create_task(self._read(self._process))
        self._jobs += 1
        number = self._jobs
        answer: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        line = {"number": number, "url": url, "dialect": job.dialect, **msgspec.structs.asdict(job)}
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(line) + b"\n")
        return await answer

    async def close(self) -> None:
        if self._process is None or self._reading is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.kill()
        await self._process.wait()
        await self._reading

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            number = msgspec.json.decode(line)["number"]
            self._waiting.pop(number).set_result(msgspec.json.decode(line, type=Seen))
        for answer in self._waiting.values():
            answer.set_exception(RuntimeError(f"{self._script} died"))


def told(error: Exception) -> Trouble:
    """What an exception tells, under the names the SDKs have for it."""
    code: Any = getattr(error, "code", None)
    status: Any = getattr(error, "status_code", None)
    if isinstance(code, int):  # google-genai: the number is the code, the word is the status
        status, code = code, getattr(error, "status", None)
    body = getattr(error, "body", None)
    if code is None and isinstance(body, dict):
        inner = body.get("error", body)
        code = inner.get("code") or inner.get("type") if isinstance(inner, dict) else None
    response = getattr(error, "response", None)
    after = response.headers.get("retry-after", "") if response is not None else ""
    return Trouble(type(error).__name__, status or 0, str(code or ""), str(error), after)
