"""One response's fault stays its own; and which proxy a provider is reached through."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from headgate.errors import ConfigError
from headgate.events import Entry
from headgate.log import Log
from headgate.upstream import endpoint
from tests.shell.scene import Scene, Watcher, begin, run, say

VARIABLES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")


class FaultyObserver(Watcher):
    """Fails for one log of all."""

    victim: Log | None = None

    def log_committed(self, log: Log, entries: Sequence[Entry]) -> None:
        if log is self.victim:
            raise ZeroDivisionError("a fault of ours")


def test_fault_after_a_commit_keeps_nothing_from_the_other_logs_of_the_batch() -> None:
    async def test() -> None:
        scene = Scene()
        observer = scene.observer = FaultyObserver()
        faulty, sound = scene.log(), scene.log()
        observer.victim = faulty
        reader = Watcher()
        sound.readers.append(reader)
        for log in (faulty, sound):
            begin(log)
            say(log, "word")
        await scene.journal.flush()
        say(faulty, " more")
        say(sound, " more")
        await scene.journal.flush()
        assert reader.text == "word more"
        assert faulty.committed_seq == faulty.last_seq
        assert scene.journal.failed is None

    run(test)


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("named", ["proxy.test:3128", "http://proxy.test:3128", "https://proxy.test:3128"])
def test_proxy_of_the_environment_is_taken_with_or_without_its_scheme(proxies: pytest.MonkeyPatch, named: str) -> None:
    proxies.setenv("http_proxy", named)
    proxy = endpoint("http://provider.test/v1", {}).proxy
    assert proxy is not None
    assert (proxy.hostname, proxy.port) == ("proxy.test", 3128)


@pytest.mark.parametrize("named", ["socks5://proxy.test:1080", "http://"])
def test_proxy_that_cannot_be_used_is_refused_instead_of_guessed(proxies: pytest.MonkeyPatch, named: str) -> None:
    proxies.setenv("http_proxy", named)
    with pytest.raises(ConfigError):
        endpoint("http://provider.test/v1", {})


def test_built_in_simulator_is_never_reached_through_a_proxy(proxies: pytest.MonkeyPatch) -> None:
    proxies.setenv("http_proxy", "http://proxy.test:3128")
    assert endpoint("http://127.0.0.1:9100/v1", {}, through_proxy=False).proxy is None
