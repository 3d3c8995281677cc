"""Gateways and clients that tests of one session share. Whoever stops, kills or starves a gateway starts one of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import httpx
import pytest
from openai import OpenAI

from tests import needs
from tests.e2e.harness import TIMEOUTS, GatewayProcess, MountedProcess, config
from tests.e2e.matrix.desk import NPM, Desk

KINDS = {"served": GatewayProcess, "mounted": MountedProcess}
"""Our own server, and somebody else's app: the two ways out of the process, so the two sinks."""

INSTALL_S = 300.0
ORIGIN = "https://app.example"
"""The one origin whose scripts may call."""

PROVIDERS_AND_ROUTES = (
    # requests for `<name>/<model>` lead to the provider of that name; "sim*" is `sim`
    ("sim", "", ""),
    ("streamed", "", 'upstream = "stream"'),
    ("whole", "", 'upstream = "whole"'),
    ("unstreamable", "streaming = false", ""),
    ("hasty", "", f"timeouts = {TIMEOUTS}"),
)
"""Only `hasty` has short timeouts: tests that do not wait for one must not run into one on a busy machine."""


def configured(
    *, server: str = "", keys: str = "", store: str = 'url = "sqlite:///headgate.db"', level: str = "info"
) -> str:
    """A configuration with every kind of provider and route."""
    providers, routes = "", ""
    for name, provider, route in PROVIDERS_AND_ROUTES:
        model = "sim*" if name == "sim" else f"{name}/*"
        providers += f'[[providers]]\nname = "{name}"\nbase_url = "simulator:"\n{provider}\n'
        routes += f'[[routes]]\nmodel = "{model}"\nto = ["{name}/*"]\n{route}\n'
    providers += '[[providers]]\nname = "dead"\nbase_url = "http://127.0.0.1:1/v1"\n'
    routes += '[[routes]]\nmodel = "dead/*"\nto = ["dead/*"]\n'
    return config(server=server, store=store, providers=providers, routes=routes, keys=keys, level=level)


SHARED = configured(
    server=f'heartbeat_s = 0.2\ncors_origins = ["{ORIGIN}"]\nbody_bytes_max = 1048576\nbody_timeout_s = 1.0\n'
)
"""Heartbeats are far too frequent, so that every slow answer shows whether a client survives them."""


@pytest.fixture(scope="session", params=list(KINDS))
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway without keys, in each of the two kinds."""
    with KINDS[request.param].start(SHARED, directory=tmp_path_factory.mktemp(request.param)) as started:
        yield started
        assert started.running, f"it died:\n{started.logs()[-4000:]}"


@pytest.fixture(scope="session")
def client(gateway: GatewayProcess) -> Iterator[OpenAI]:
    """The official SDK, told not to retry: a test wants to see the first answer."""
    with OpenAI(base_url=gateway.url + "/v1", api_key="none", max_retries=0, timeout=30) as sdk:
        yield sdk


@pytest.fixture(scope="session")
def http(gateway: GatewayProcess) -> Iterator[httpx.Client]:
    """Plain HTTP, for what the SDK does not show."""
    with httpx.Client(base_url=gateway.url, timeout=30) as plain:
        yield plain


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
