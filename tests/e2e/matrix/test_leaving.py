"""Streams that are not read to their end: left by their client, or cancelled by somebody else."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from headgate.simulator import Simulator
from tests.e2e.harness import GatewayProcess, config, until
from tests.e2e.matrix.desk import Desk
from tests.e2e.matrix.outcomes import CANCELLED, complaint
from tests.e2e.matrix.seen import DIALECTS, Job
from tests.e2e.matrix.words import Ask, said

ENDLESS = "sim-t20000-r100-f0"
each_client = pytest.mark.parametrize("client", DIALECTS)


@pytest.fixture(scope="module")
def simulator(desk: Desk) -> Iterator[Simulator]:
    """A provider of every dialect whose counters we can see."""
    started = desk.run(Simulator.start())
    yield started
    desk.run(started.close())


@pytest.fixture(scope="module")
def watched(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway in front of that provider."""
    root = simulator.url.removesuffix("/v1")
    providers = routes = ""
    for dialect in DIALECTS:
        base_url = simulator.url if dialect.startswith("openai") else root
        providers += f'[[providers]]\nname = "{dialect}"\ndialect = "{dialect}"\nbase_url = "{base_url}"\n'
        routes += f'[[routes]]\nmodel = "{dialect}/*"\nto = ["{dialect}/*"]\n'
    text = config(providers=providers, routes=routes)
    with GatewayProcess.start(text, directory=tmp_path_factory.mktemp("watched")) as gateway:
        yield gateway


def streams(language: str, client: str, *, leave: int = 0, cancel: int = 0) -> list[Job]:
    """A stream from a provider of each dialect."""
    params = said(client, Ask(), stream=True)
    name = f"{language} {client}"
    return [Job(name, f"{p}/{ENDLESS}", params, stream=True, leave=leave, cancel=cancel) for p in DIALECTS]


@each_client
def test_provider_is_hung_up_on_when_the_client_leaves(
    desk: Desk, watched: GatewayProcess, simulator: Simulator, language: str, client: str
) -> None:
    aborts = simulator.stats.aborts
    seen = desk.ask(watched.url, streams(language, client, leave=8))
    assert [one.error for one in seen] == [None] * len(DIALECTS)
    until(lambda: simulator.stats.open == 0, what="the provider is hung up on")
    assert simulator.stats.aborts - aborts == len(DIALECTS)
    for one in seen:
        shown = httpx.get(f"{watched.url}/v1/responses/{one.response_id}").json()
        assert shown["headgate"]["terminal"]["code"] == "disconnected"
        if client != "openai-responses":  # whose first events are about the response, before there is text
            assert one.text


@each_client
def test_cancelled_stream_is_no_success(
    desk: Desk, watched: GatewayProcess, simulator: Simulator, language: str, client: str
) -> None:
    jobs = streams(language, client, cancel=8)
    seen = desk.ask(watched.url, jobs)
    assert [complaint(job, one, CANCELLED) for job, one in zip(jobs, seen, strict=True)] == [""] * len(jobs)
    until(lambda: simulator.stats.open == 0, what="the provider is hung up on")
    for one in seen:
        assert httpx.get(f"{watched.url}/v1/responses/{one.response_id}").json()["status"] == "cancelled"
