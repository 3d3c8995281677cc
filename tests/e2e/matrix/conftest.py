"""A gateway with a provider of every dialect, and the clients that ask it. Every module of the matrix shares them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import httpx
import pytest

from tests import needs
from tests.e2e.harness import TIMEOUTS, GatewayProcess, MountedProcess, config
from tests.e2e.matrix.desk import NPM, Desk
from tests.e2e.matrix.seen import DIALECTS

ROUTES = {
    # requests for `<kind><dialect>/<model>` lead to a provider of that dialect
    "": "",
    "streamed-": 'upstream = "stream"',
    "whole-": 'upstream = "whole"',
    "dropping-": 'on_unsupported = "drop"',
    "hasty-": f"timeouts = {TIMEOUTS}",
}
INSTALL_S = 300.0


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


@pytest.fixture(scope="session")
def desk() -> Iterator[Desk]:
    """Where jobs are handed in."""
    opened = Desk()
    yield opened
    opened.close()


@pytest.fixture(scope="session", params=["python", pytest.param("node", marks=needs.npm)])
def language(request: pytest.FixtureRequest) -> str:
    """In which SDKs are written; those of npm are installed on first use."""
    if request.param == "node":
        request.getfixturevalue("npm_packages")
    return str(request.param)


@pytest.fixture(scope="session", params=[pytest.param("npm", marks=needs.npm)])
def npm(request: pytest.FixtureRequest) -> None:
    """For tests of nothing but JavaScript."""
    request.getfixturevalue("npm_packages")


@pytest.fixture(scope="session")
def npm_packages() -> None:
    """The packages that ``package-lock.json`` names, installed beside it."""
    lock, installed = NPM / "package-lock.json", NPM / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    done = subprocess.run(
        [needs.path_of("npm"), "ci"], cwd=NPM, capture_output=True, text=True, timeout=INSTALL_S, check=False
    )
    if done.returncode and not needs.in_ci():
        pytest.skip(f"`npm ci` in {NPM} failed: {done.stderr[-500:]}")
    assert done.returncode == 0, done.stderr[-4000:]
