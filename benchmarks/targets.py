"""The gateways: how each is configured, started on its core, and stopped by its id.

Each is configured as a user would: Headgate with keys, the default durability, metrics and log lines; its policy is
none, but for keys that have one of their own;
nginx as its documentation has it for event streams, with kept connections to the provider.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import headgate
from benchmarks.machine import pinned
from headgate.dialects import provider_dialects
from headgate.policies import DEFAULT_RULES, NONE

HOST: Final = "127.0.0.1"
START_S: Final = 20.0
STOP_S: Final = 10.0
KEY: Final = "bench-key"
TIMES: Final = 10
TENFOLD: Final = "tenfold"
"""A policy of `TIMES` as many rules as the default one has."""
SYSTEM_DIRS: Final = "/usr/local/sbin:/usr/sbin:/sbin:/opt/homebrew/bin"
"""Where nginx lives, which the PATH of a user who is not root leaves out."""


class TargetError(Exception):
    """A gateway did not start; the message says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """A gateway. `command` writes its configuration into the folder and says how to start it."""

    name: str
    command: Callable[[Path, int, int], Sequence[str]] | None
    """``(folder, port, provider port)``; None for no gateway at all."""
    version: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """Where to ask, and whose CPU time counts (0: nobody's)."""

    port: int
    pid: int


NGINX_CONF: Final = """
worker_processes 1;
worker_rlimit_nofile 16384;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    upstream provider {{
        server 127.0.0.1:{provider};
        keepalive 1024;
        keepalive_requests 1000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_read_timeout 300s;
        }}
    }}
}}
"""

PROVIDER_TOML: Final = """
[[providers]]
name = "{name}"
dialect = "{name}"
base_url = "http://127.0.0.1:{provider}{path}"
api_key = "sk-bench"

[[routes]]
model = "{name}/*"
to = ["{name}/*"]
"""

HEADGATE_TOML: Final = """
[server]
port = {port}

[store]
url = "sqlite:///{folder}/headgate.db"

{providers}{keys}{tenfold}"""

KEY_TOML: Final = """
[[keys]]
name = "bench-{policy}"
hash = "sha256:{hash}"
policy = "{policy}"
"""

TENFOLD_RULE_TOML: Final = """
[[policies.{tenfold}.rules]]
name = "{name}"
detector = "{detector}"
"""


def _nginx(program: str) -> Callable[[Path, int, int], Sequence[str]]:
    def command(folder: Path, port: int, provider: int) -> Sequence[str]:
        (folder / "nginx.conf").write_text(NGINX_CONF.format(port=port, provider=provider), encoding="utf-8")
        return [program, "-p", str(folder), "-c", "nginx.conf", "-e", "error.log", "-g", "daemon off;"]

    return command


def key_of(policy: str) -> str:
    """The key whose responses are judged by a policy."""
    return KEY if policy == NONE else f"{KEY}-{policy}"


def tenfold() -> str:
    """The settings of the policy `TENFOLD`: the rules of the default one, `TIMES` each, under names of their own."""
    named = {f"{rule}-{number}": rule for number in range(TIMES) for rule in DEFAULT_RULES}
    rules = "".join(TENFOLD_RULE_TOML.format(tenfold=TENFOLD, name=name, detector=it) for name, it in named.items())
    return f"\n[policies.{TENFOLD}]\nstream = {list(named)}\nfinal = ['rescan', 'json_schema']\n{rules}"


def _headgate(folder: Path, port: int, provider: int) -> Sequence[str]:
    providers = "".join(
        PROVIDER_TOML.format(name=name, provider=provider, path=dialect.base_path)
        for name, dialect in provider_dialects().items()
    )
    keys = "".join(
        KEY_TOML.format(policy=policy, hash=hashlib.sha256(key_of(policy).encode()).hexdigest())
        for policy in (NONE, "default", TENFOLD)
    )
    settings = HEADGATE_TOML.format(port=port, providers=providers, folder=folder, keys=keys, tenfold=tenfold())
    path = folder / "headgate.toml"
    path.write_text(settings, encoding="utf-8")
    return [sys.executable, "-m", "headgate", "serve", str(path)]


def available() -> tuple[list[Target], list[str]]:
    """Targets of this machine, and what to do about those that are missing."""
    targets, missing = [Target("direct", None)], []
    nginx = shutil.which("nginx") or shutil.which("nginx", path=SYSTEM_DIRS)
    if nginx is None:
        missing.append("nginx is not installed, so there is nothing to compare with: apt-get install nginx")
    else:
        said = subprocess.run([nginx, "-v"], capture_output=True, text=True, timeout=10, check=False).stderr
        targets.append(Target("nginx", _nginx(nginx), version=said.strip().rpartition("/")[2]))
    modules = f"interpreted: {headgate.INTERPRETED}" if headgate.INTERPRETED else "compiled"
    targets.append(Target("headgate", _headgate, version=f"{headgate.__version__}, {modules}", key=KEY))
    return targets, missing


@contextlib.contextmanager
def running(target: Target, folder: Path, provider_port: int, core: int | None) -> Iterator[Running]:
    """Start a target on its core, wait until it answers, and stop it at the end. Raises `TargetError`."""
    if target.command is None:
        yield Running(provider_port, 0)
        return
    folder.mkdir(parents=True)
    port = free_port()
    with process(target.command(folder, port, provider_port), folder / "log", core) as started:
        _wait(port, started, target.name, folder / "log")
        yield Running(port, started.pid)


@contextlib.contextmanager
def provider(folder: Path, core: int | None) -> Iterator[int]:
    """The mock provider; its port."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.provider", str(port)]
    with process(command, folder / "provider-log", core) as started:
        _wait(port, started, "the mock provider", folder / "provider-log")
        yield port


@contextlib.contextmanager
def process(command: Sequence[str], log: Path, core: int | None) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is asked to stop at the end, and killed if it does not."""
    with log.open("ab") as output, pinned(core):
        started = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(STOP_S)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def _wait(port: int, started: subprocess.Popen[bytes], name: str, log: Path) -> None:
    """Until something answers HTTP there."""
    deadline = time.monotonic() + START_S
    while True:
        connection = http.client.HTTPConnection(HOST, port, timeout=2)
        try:
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            return
        except OSError:
            if started.poll() is not None or time.monotonic() > deadline:
                said = log.read_text(encoding="utf-8", errors="replace")[-1500:]
                raise TargetError(f"{name} did not start:\n{said}") from None
            time.sleep(0.05)
        finally:
            connection.close()
