"""The suite's own machinery: optional parts, soak, share."""

from __future__ import annotations

import pytest

from tests import needs
from tests.soak import share

ABSENT = """
    from tests.needs import needs

    @needs("no-such-program", how="apt-get install no-such-program")
    def test_needs_it():
        raise AssertionError("must not run")

    @needs("no-such-program", how="apt-get install no-such-program")
    def test_needs_it_too(started): ...

    @needs("sh", how="it is always there")
    def test_needs_a_shell(): ...
"""

SOAK = """
    import pytest
    from tests.soak import share

    @pytest.mark.soak
    def test_long(): ...

    def test_short(): ...
"""

CONFTEST = """
    import pytest
    from tests.conftest import *

    @pytest.fixture
    def started():
        raise AssertionError("a fixture must not start for a test that is skipped")
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A suite of its own that uses our machinery, outside CI and without soak."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("HEADGATE_SOAK", raising=False)
    pytester.makeconftest(CONFTEST)
    pytester.makeini("[pytest]\nmarkers = soak: long\naddopts = --strict-markers -p no:cacheprovider")
    return pytester


def test_missing_part_skips_its_tests_and_the_end_says_how_to_get_it(suite: pytest.Pytester) -> None:
    suite.makepyfile(ABSENT)
    result = suite.runpytest()
    result.assert_outcomes(skipped=2, passed=1)
    result.stdout.fnmatch_lines(
        ["*Skipped because not installed*", "no-such-program (2 tests): apt-get install no-such-program"]
    )


def test_missing_part_fails_its_tests_in_ci(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    suite.makepyfile(ABSENT)
    result = suite.runpytest()
    result.assert_outcomes(errors=2, passed=1)
    result.stdout.fnmatch_lines(["*not installed: no-such-program (apt-get install no-such-program)*"])
    result.stdout.no_fnmatch_line("*Skipped because not installed*")


def test_run_with_everything_installed_says_nothing(suite: pytest.Pytester) -> None:
    suite.makepyfile("def test_plain(): ...")
    suite.runpytest().stdout.no_fnmatch_line("*Skipped because not installed*")


def test_need_of_several_programs_names_those_that_are_missing() -> None:
    mark = needs.needs("sh", "no-such-program", how="apt-get install no-such-program")
    (need,) = mark.args
    assert need.missing == ("no-such-program",)


def test_soak_tests_are_left_out_of_an_ordinary_run(suite: pytest.Pytester) -> None:
    suite.makepyfile(SOAK)
    suite.runpytest().assert_outcomes(passed=1, deselected=1)


def test_soak_tests_run_under_soak(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_SOAK", "1")
    suite.makepyfile(SOAK)
    suite.runpytest().assert_outcomes(passed=2)


@pytest.mark.parametrize(("full", "ordinary"), [(100_000, 1_000), (1_000, 10), (500, 10), (5, 5), (0, 0)])
def test_share_is_a_hundredth_but_not_too_few(monkeypatch: pytest.MonkeyPatch, full: int, ordinary: int) -> None:
    monkeypatch.delenv("HEADGATE_SOAK", raising=False)
    assert share(full) == ordinary
    monkeypatch.setenv("HEADGATE_SOAK", "1")
    assert share(full) == full
