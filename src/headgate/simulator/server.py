"""The simulator as a server on the caller's event loop: listening, counting, closing. What it says is in `routes`."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

from headgate.errors import ConfigError, RequestError
from headgate.simulator.config import SimulatorConfig
from headgate.simulator.connection import Connection
from headgate.simulator.dialect import Dialect
from headgate.simulator.grammar import parse
from headgate.simulator.routes import Stats

CLOSE_S: Final = 5.0
"""How long closing waits for dropped connections to be gone."""
BACKLOG: Final = 1024
DEFAULT: Final = SimulatorConfig()


class Simulator:
    """A provider that speaks every dialect, for newcomers without a key and for tests of clients.

        async with await Simulator.start() as simulator:
            client = AsyncOpenAI(base_url=simulator.url, api_key="any")
            client = AsyncAnthropic(base_url=simulator.root, api_key="any")

    Which dialect a request is answered in its path says.
    Works on asyncio and uvloop. All methods belong to the loop it was started on.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        self.stats = Stats()
        self.host = ""
        self.port = 0
        self._connections: set[Connection] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._server: asyncio.Server | None = None

    @classmethod
    async def start(
        cls,
        host: str = "127.0.0.1",
        port: int = 0,
        config: SimulatorConfig = DEFAULT,
    ) -> Self:
        """Listen on `host` and `port` (0 picks a free one).

        Raises `ConfigError` if a configured model name cannot be parsed, `OSError` if the address cannot be had.
        """
        check(config)
        self = cls(config)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), host, port, backlog=BACKLOG)
        self.host = host
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    @property
    def url(self) -> str:
        """What OpenAI's SDKs take as ``base_url``."""
        return f"{self.root}/v1"

    def base_url(self, dialect: str) -> str:
        """What the official SDK of a dialect takes as its base URL."""
        return self.url if dialect in (Dialect.CHAT, Dialect.RESPONSES) else self.root

    @property
    def root(self) -> str:
        """What Anthropic's and Google's SDKs take as ``base_url``: without any path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def close(self) -> None:
        """Stop listening and drop every connection; answers in progress are cut. Safe to call twice."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        for connection in tuple(self._connections):
            connection.abort()
        async with asyncio.timeout(CLOSE_S):
            await self._empty.wait()
            await server.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def joined(self, connection: Connection) -> None:
        """A connection opened. Called by `Connection`."""
        self._connections.add(connection)
        self._empty.clear()

    def left(self, connection: Connection) -> None:
        """A connection is gone. Called by `Connection`."""
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()


def check(config: SimulatorConfig) -> None:
    """Raise `ConfigError` with every problem of `config`."""
    problems: list[str] = []
    for name in (config.default_model, *config.models):
        try:
            parse(name, "", config)
        except RequestError as error:
            problems.append(f"simulator model {name!r}: {error}")
    if config.rate < 0 or config.ttft_ms < 0:
        problems.append("simulator rate and ttft_ms must not be negative")
    if problems:
        raise ConfigError(problems)
