"""A headless Chromium, driven over the WebDriver protocol, which is a few JSON requests."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from tests import needs
from tests.e2e.harness import HOST, POLL_S

START_S: Final = 30.0
FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Browser:
    """One window."""

    def __init__(self, driver: httpx.Client, path: str) -> None:
        self._driver = driver
        self._path = path

    def open(self, url: str) -> None:
        self._post("/url", {"url": url})

    def run(self, script: str) -> Any:
        """The value of a script's ``return``."""
        return self._post("/execute/sync", {"script": script, "args": []})

    def wait_for(self, script: str, *, within_s: float) -> Any:
        """The first value of the script that is not null."""
        deadline = time.monotonic() + within_s
        while (value := self.run(script)) is None:
            assert time.monotonic() < deadline, (
                f"not within {within_s:g} s: {script}; {self.run('return document.title')}"
            )
            time.sleep(5 * POLL_S)
        return value

    def _post(self, path: str, value: dict[str, Any]) -> Any:
        answer = self._driver.post(self._path + path, json=value).json()["value"]
        assert not (isinstance(answer, dict) and "error" in answer and "stacktrace" in answer), answer
        return answer


@contextmanager
def chromium(directory: Path) -> Iterator[Browser]:
    """A browser with a profile of its own in `directory`; mark what uses it with ``needs.chromium``."""
    log = directory / "chromedriver.log"
    with log.open("wb") as output:
        driver = subprocess.Popen([needs.path_of("chromedriver"), "--port=0"], stdout=output, stderr=subprocess.STDOUT)
    try:
        with httpx.Client(base_url=_url_of(driver, log), timeout=60) as http:
            options = {
                "binary": needs.path_of("chromium"),
                "args": [*FLAGS, f"--user-data-dir={directory / 'profile'}"],
            }
            capabilities = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
            answer = http.post("/session", json=capabilities).json()["value"]
            assert "sessionId" in answer, answer
            path = f"/session/{answer['sessionId']}"
            try:
                yield Browser(http, path)
            finally:
                http.delete(path)  # ends the browser, which would outlive its driver
    finally:
        driver.terminate()
        driver.wait(START_S)


def _url_of(driver: subprocess.Popen[bytes], log: Path) -> str:
    """chromedriver takes a free port and says which."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and driver.poll() is None:
        for line in log.read_text("utf-8", "replace").splitlines():
            if line.startswith("ChromeDriver was started successfully on port "):
                return f"http://{HOST}:{line.rstrip('.').rpartition(' ')[2]}"
        time.sleep(POLL_S)
    raise AssertionError(f"chromedriver did not start:\n{log.read_text('utf-8', 'replace')}")
