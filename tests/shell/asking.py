"""A gateway in this process, and one response of it: what tests of the upstream side ask with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from headgate.config import Config, OnDisconnect, Provider, Route, Server, StoreSection, Timeouts
from headgate.events import AttemptEnded, ChoiceDone, Entry, Terminal, Usage
from headgate.gateway import Gateway
from headgate.log import Log
from headgate.policies import Policy
from headgate.request import CreateRequest
from tests.shell.scene import Watcher, until

GOVERNED: Final = "governed"
"""Name of the policy that a test gives."""


def settings(
    url: str,
    *,
    store: str = "memory:",
    on_disconnect: OnDisconnect = OnDisconnect.CANCEL,
    grace_s: float | None = None,
    retention_s: float = 86_400.0,
    commit_after_s: float = 10.0,
    streaming: bool = True,
    policy: Policy | None = None,
    dialect: str = "openai-chat",
    **timeouts: float,
) -> Config:
    """One provider, one route, timeouts of tens of milliseconds where a test waits for them."""
    known = {"name": "p", "base_url": url, "streaming": streaming, "dialect": dialect}
    route = Route(
        model="*",
        to=["p/*"],
        on_disconnect=on_disconnect,
        grace_s=grace_s,
        policy="none" if policy is None else GOVERNED,
        timeouts=Timeouts(**timeouts),
    )
    return Config(
        server=Server(commit_after_s=commit_after_s),
        store=StoreSection(url=store, retention_s=retention_s),
        providers=[Provider.model_validate(known)],
        routes=[route],
        policies={} if policy is None else {GOVERNED: policy},
    )


@asynccontextmanager
async def gateway(url: str, **options: Any) -> AsyncIterator[Gateway]:
    async with Gateway(settings(url, **options)) as opened:
        yield opened


class Answer(Watcher):
    """A reader of one log, with the questions tests have."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log
        log.readers.append(self)

    def on_commit(self, log: Log, entries: Sequence[Entry]) -> None:
        super().on_commit(log, entries)

    async def ended(self) -> Terminal:
        await until(lambda: self.log.terminal is not None)
        assert isinstance(self.seen[-1], Terminal)
        assert sum(isinstance(event, Terminal) for event in self.seen) == 1
        return self.seen[-1]

    @property
    def attempts(self) -> list[AttemptEnded]:
        return [event for event in self.seen if isinstance(event, AttemptEnded)]

    @property
    def usage(self) -> Usage | None:
        return next((event for event in reversed(self.seen) if isinstance(event, Usage)), None)

    @property
    def finished_choices(self) -> int:
        return sum(isinstance(event, ChoiceDone) for event in self.seen)


def request(*, stream: bool = True, choices: int = 1, content: str = "Hello there") -> CreateRequest:
    body = {"model": "m", "messages": [{"role": "user", "content": content}], "stream": stream}
    return CreateRequest("openai-chat", "m", body, stream=stream, choices=choices, text=body["messages"])


def ask(opened: Gateway, **options: Any) -> Answer:
    """Create a response and read it from its beginning."""
    return Answer(opened.create(request(**options), ""))
