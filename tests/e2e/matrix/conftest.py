"""A gateway with a provider of every dialect, and the clients that ask it. Every module of the matrix shares them."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.harness import TIMEOUTS, GatewayProcess, MountedProcess, config
from tests.e2e.matrix.seen import DIALECTS

ROUTES = {
    # requests for `<kind><dialect>/<model>` lead to a provider of that dialect
    "": "",
    "streamed-": 'upstream = "stream"',
    "whole-": 'upstream = "whole"',
    "dropping-": 'on_unsupported = "drop"',
    "hasty-": f"timeouts = {TIMEOUTS}",
}


def configured(*, server: str = "heartbeat_s = 0.2", keys: str = "") -> str:
    """A configuration with a provider of every dialect behind every kind of route."""
    providers, routes = "", ""
    for dialect in DIALECTS:
        for kind, lines in ROUTES.items():
            name = kind + dialect
            providers += f'[[providers]]\nname = "{name}"\ndialect = "{dialect}"\nbase_url = "simulator:"\n'
            routes += f'[[routes]]\nmodel = "{name}/*"\nto = ["{name}/*"]\n{lines}\n'
    return config(server=server, providers=providers, routes=routes, keys=keys)


@pytest.fixture(scope="session")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """The gateway between all dialects, as a server of its own."""
    with GatewayProcess.start(configured(), directory=tmp_path_factory.mktemp("crossing")) as gateway:
        yield gateway
        assert gateway.running, f"it died:\n{gateway.logs()[-4000:]}"


@pytest.fixture(scope="session")
def crossing_mounted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """The same gateway inside somebody else's application."""
    with MountedProcess.start(configured(), directory=tmp_path_factory.mktemp("crossing-mounted")) as gateway:
        yield gateway
        assert gateway.running, f"it died:\n{gateway.logs()[-4000:]}"


@pytest.fixture(scope="session")
def plain(crossing: GatewayProcess) -> Iterator[httpx.Client]:
    """Plain HTTP to it, for what no SDK shows."""
    with httpx.Client(base_url=crossing.url, timeout=60) as http:
        yield http
