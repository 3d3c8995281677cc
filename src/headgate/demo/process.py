"""The gateway of the demo: a process of its own, and the folder that is all it keeps."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from headgate.demo.client import HOST, DemoError

START_S: Final = 20.0
"""How long the gateway may take to be ready."""


class Gateway:
    """The process under demonstration, and the folder that is all it keeps."""

    def __init__(self, folder: Path, config: str | None) -> None:
        self.port = _free_port()
        self.pid = 0
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._command = [sys.executable, "-m", "headgate", "serve"]
        if config is not None:
            (folder / "headgate.toml").write_text(config, encoding="utf-8")
            self._command.append("headgate.toml")
        self._command += ["--port", str(self.port)]

    def start(self) -> float:
        """Run until it is ready; how many seconds that took."""
        started = time.monotonic()
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter, no shell
                self._command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.pid = self._process.pid
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() - started > START_S:
                said = (self._folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
                raise DemoError(f"the gateway did not start:\n{said}")
            time.sleep(0.02)
        return time.monotonic() - started

    def kill(self) -> None:
        """SIGKILL: it gets no chance to write anything down."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _ready(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])
