"""Real gateway processes on real sockets, for tests that must not believe anything else.

    gateway = GatewayProcess.start(config(), directory=tmp_path)     # `headgate serve`
    gateway = MountedProcess.start(config(), directory=tmp_path)     # inside a FastAPI app, under plain uvicorn
    OpenAI(base_url=gateway.url + "/v1", api_key="none")
    gateway.kill(); gateway.restart()                                # same store, same port

Both stop with the test if used as context managers. Ports lie below the range from which the kernel takes ports for
outgoing connections, so a port stays free between a kill and a restart.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self

READY_S: Final = 30.0
"""What a start may take on a machine that is busy with other tests."""
STOP_S: Final = 30.0
POLL_S: Final = 0.01
HOST: Final = "127.0.0.1"
PORTS: Final = range(20_000, 32_000)
EXAMPLES: Final = Path(__file__).parents[2] / "examples"

PROVIDERS: Final = """
[[providers]]
name = "sim"
base_url = "simulator:"
"""
TIMEOUTS: Final = "{ connect_s = 2, first_token_s = 1.0, stall_s = 1.0, whole_s = 1.0, linger_s = 0.2 }"
"""Fast enough for tests that run into each of them."""
ROUTES: Final = f"""
[[routes]]
model = "sim*"
to = ["sim/*"]
timeouts = {TIMEOUTS}
"""


def config(
    *,
    server: str = "",
    store: str = 'url = "sqlite:///headgate.db"',
    providers: str = PROVIDERS,
    routes: str = ROUTES,
    keys: str = "",
    level: str = "info",
) -> str:
    """A configuration: lines of ``[server]`` and ``[store]``, whole tables for the rest. The store is in the process's directory."""
    return (
        f"[server]\n{server}\n[store]\n{store}\n"
        f'[logging]\nformat = "json"\nlevel = "{level}"\n{providers}\n{routes}\n{keys}\n'
    )


def until(condition: Callable[[], bool], *, within_s: float = 10.0, what: str = "") -> None:
    """Return as soon as the condition holds; fail if it does not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what or condition}"
        time.sleep(POLL_S)


class GatewayProcess:
    """``headgate serve`` in a process of its own."""

    mount: ClassVar[str] = ""
    """Path below which the gateway's own paths begin."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = 0
        self._config = directory / "headgate.toml"
        self._log = directory / "process.log"
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls, config_toml: str, *, directory: Path) -> Self:
        """Write the configuration to `directory`, start there, and return once it is ready for work."""
        directory.mkdir(parents=True, exist_ok=True)
        gateway = cls(directory)
        gateway._config.write_text(config_toml, "utf-8")
        gateway._start_somewhere()
        return gateway

    @property
    def url(self) -> str:
        """Without a slash at the end; the SDKs' ``base_url`` is this and ``/v1``."""
        return f"http://{HOST}:{self.port}{self.mount}"

    @property
    def address(self) -> tuple[str, int]:
        return HOST, self.port

    @property
    def pid(self) -> int:
        assert self._process is not None, "it was never started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def terminate(self) -> None:
        """SIGTERM: drain and stop. Does not wait."""
        if self.running:
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.running:
            os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self, timeout_s: float = STOP_S) -> int:
        """Until the process is gone; its exit status, negative for a signal."""
        assert self._process is not None, "it was never started"
        return self._process.wait(timeout_s)

    def stop(self) -> None:
        """SIGTERM, and wait; SIGKILL if that does not help."""
        self.terminate()
        try:
            self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def restart(self, config_toml: str | None = None) -> None:
        """Start again on the same store and port, after a stop of the one that may still run."""
        if self.running:
            self.stop()
        if config_toml is not None:
            self._config.write_text(config_toml, "utf-8")
        self._launch()
        self._until_ready()

    def logs(self) -> str:
        """Everything it and its predecessors in this directory wrote to standard output and error."""
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    def resident_bytes(self) -> int:
        """Memory the process holds now (RSS)."""
        for line in Path(f"/proc/{self.pid}/status").read_text("utf-8").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.running:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()

    # inside

    def _command(self) -> list[str]:
        headgate = Path(sys.executable).with_name("headgate")
        return [str(headgate), "serve", str(self._config), "--host", HOST, "--port", str(self.port)]

    def _environment(self) -> dict[str, str]:
        """Ours, without provider keys: a test never reaches for the internet. Modules are found in its directory, too."""
        kept = {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_BASE_URL"))}
        path = os.pathsep.join(filter(None, (str(self.directory), os.environ.get("PYTHONPATH"))))
        return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONPATH": path}

    def _start_somewhere(self) -> None:
        for port in _free_ports():
            self.port = port
            self._launch()
            try:
                self._until_ready()
            except AssertionError:
                if "address already in use" not in self.logs():
                    raise
                self.kill()
            else:
                return

    def _launch(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                cwd=self.directory,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _until_ready(self) -> None:
        deadline = time.monotonic() + READY_S
        while not self._is_ready():
            if not self.running:
                raise AssertionError(f"it stopped with {self.wait()}:\n{self.logs()[-4000:]}")
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"it was not ready within {READY_S:g} s:\n{self.logs()[-4000:]}")
            time.sleep(POLL_S)

    def _is_ready(self) -> bool:
        request = f"GET {self.mount}/readyz HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
        try:
            with socket.create_connection(self.address, timeout=5) as connection:
                connection.sendall(request.encode())
                answer = connection.makefile("rb").read()
        except OSError:
            return False
        return answer.startswith(b"HTTP/1.1 200")


class MountedProcess(GatewayProcess):
    """``examples/mounted.py``: a FastAPI application with Headgate under ``/llm``, served by plain uvicorn."""

    mount = "/llm"
    graceful_s: ClassVar[int] = 10
    """What uvicorn gives requests that are open when it is told to stop; then it cancels them."""

    def _command(self) -> list[str]:
        uvicorn = [sys.executable, "-m", "uvicorn", "mounted:app", "--app-dir", str(EXAMPLES), "--no-access-log"]
        uvicorn += ["--timeout-graceful-shutdown", str(self.graceful_s), "--log-level", "warning"]
        return [*uvicorn, "--host", HOST, "--port", str(self.port)]

    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), "HEADGATE_CONFIG": str(self._config)}


class CuttingProxy:
    """A TCP proxy that can cut every connection through it, as the world between client and gateway does.

    With `cut_after` the first connections that are answered are cut by themselves once so many bytes of the answer went
    through: one figure per connection, those beyond the list live.
    """

    def __init__(self, target: tuple[str, int], *, cut_after: tuple[int, ...] = ()) -> None:
        self.connections = 0
        """Accepted so far."""
        self._target = target
        self._cut_after = list(cut_after)
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server((HOST, 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    def cut(self) -> None:
        """Cut every connection there is now."""
        with self._lock:
            cut, self._open = self._open, []
        for connection in cut:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                upstream = socket.create_connection(self._target)
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open += [client, upstream]
            threading.Thread(target=self._pump, args=(client, upstream), daemon=True).start()
            threading.Thread(target=self._answer, args=(upstream, client), daemon=True).start()

    def _answer(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            first = source.recv(65_536)
            with self._lock:
                left = self._cut_after.pop(0) if first and self._cut_after else None
            if left is not None:
                while len(first) < left and (more := source.recv(65_536)):
                    first += more
                first = first[:left]
            sink.sendall(first)
            if left is None:
                self._pump(source, sink)
        self._close(source, sink)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        self._close(source, sink)

    def _close(self, source: socket.socket, sink: socket.socket) -> None:
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            source.close()


def _free_ports() -> Iterator[int]:
    """Ports nobody listens on; a neighbour may still be faster, so ask for another then."""
    for port in random.sample(PORTS, 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        yield port
    raise AssertionError("no free port")
