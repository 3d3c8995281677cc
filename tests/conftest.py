"""What is true of every test: optional parts, soak, and examples that do not depend on the clock."""

from __future__ import annotations

import pytest
from _pytest.terminal import TerminalReporter
from hypothesis import HealthCheck, settings

from tests import needs, soak

pytest_plugins = ["pytester"]

UNMET = pytest.StashKey[dict[needs.Need, int]]()
"""How many tests each missing part kept from running."""

# Ordinary runs try the same examples every time (a test that flakes is broken); soak looks for new ones.
settings.register_profile("share", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "soak", deadline=None, max_examples=10_000, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("soak" if soak.soaking() else "share")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(part): a program the test cannot do without; see tests/needs.py")
    config.stash[UNMET] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose parts are missing, before any fixture starts; in CI, fail it."""
    for need in needs.unmet(item):
        reason = f"not installed: {', '.join(need.missing)} ({need.how})"
        if needs.in_ci():
            pytest.fail(f"{reason}; CI must test everything", pytrace=False)
        unmet = item.config.stash[UNMET]
        unmet[need] = unmet.get(need, 0) + 1
        pytest.skip(reason)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that only soak runs."""
    if soak.soaking():
        return
    left_out = [item for item in items if item.get_closest_marker("soak")]
    if left_out:
        items[:] = [item for item in items if not item.get_closest_marker("soak")]
        config.hook.pytest_deselected(items=left_out)


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Say what this machine could not test, and how it could."""
    unmet = config.stash[UNMET]
    if not unmet:
        return
    terminalreporter.section("Skipped because not installed")
    for need, count in unmet.items():
        tests = "1 test" if count == 1 else f"{count} tests"
        terminalreporter.line(f"{', '.join(need.missing)} ({tests}): {need.how}")
