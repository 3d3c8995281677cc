"""Percentiles, medians, ratios, and what a scenario reads off a run."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from benchmarks import report
from benchmarks.load import Outcome
from benchmarks.report import Numbers, foreign, medians, paired, percentile, ratio
from benchmarks.scenarios import PAIRS, SCENARIOS, Sample
from benchmarks.wires import WIRES

PACED, FLOOD, WHOLE, ALONE, OPEN = SCENARIOS


@pytest.mark.parametrize(
    ("values", "q", "expected"),
    [
        ([5], 0.5, 5),
        ([3, 1, 2], 0.5, 2),
        ([4, 3, 2, 1], 0.5, 2),
        (range(1, 101), 0.99, 99),
        ([1, 2], 1.0, 2),
        ([1, 2], 0, 1),
    ],
)
def test_percentile_is_a_value_that_was_there(values: list[int], q: float, expected: float) -> None:
    assert percentile(values, q) == expected


def test_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_median_is_taken_over_the_repeats_that_have_the_number() -> None:
    repeats: list[Numbers] = [
        {"cpu": 3.0, "memory": None},
        {"cpu": 1.0, "memory": None},
        {"cpu": None, "memory": None},
        {"cpu": 2.0},
    ]
    assert medians(repeats) == {"cpu": 2.0, "memory": None}


def test_ratio_needs_both_numbers() -> None:
    assert ratio(30.0, 20.0) == 1.5
    assert ratio(None, 20.0) is None
    assert ratio(30.0, None) is None
    assert ratio(30.0, 0.0) is None


def test_foreign_share_is_what_others_used() -> None:
    assert foreign(busy_s=3.0, ours_s=2.0, elapsed_s=2.0) == 0.5
    assert foreign(busy_s=1.9, ours_s=2.0, elapsed_s=2.0) == 0.0, "clocks of different grain may cross"
    assert foreign(busy_s=None, ours_s=2.0, elapsed_s=2.0) is None


def test_scenario_reads_its_numbers_off_a_run() -> None:
    outcome = Outcome(
        right=2, tokens=1000, seconds=2.0, first=[2_000_000, 4_000_000], total=[9_000_000], delays=[100_000, 300_000]
    )
    assert report.numbers(PACED, Sample(outcome, cpu_s=0.02)) == {
        "cpu": 20.0,
        "delay p50": 0.1,
        "delay p99": 0.3,
        "first token p50": 2.0,
        "first token p99": 4.0,
    }
    assert report.numbers(FLOOD, Sample(outcome, cpu_s=None)) == {"cpu": None, "tokens": 500.0}
    assert report.numbers(WHOLE, Sample(outcome, cpu_s=0.02))["cpu"] == 10_000.0
    assert report.numbers(OPEN, Sample(outcome, cpu_s=0.02, bytes_per_stream=25_000.0))["memory"] == 25.0


def test_run_without_answers_has_no_numbers_instead_of_wrong_ones() -> None:
    found = report.numbers(PACED, Sample(Outcome(seconds=1.0), cpu_s=0.02))
    assert set(found.values()) == {None}


def test_table_shows_multiples_of_nginx_and_marks_what_was_disturbed() -> None:
    out = Console(file=io.StringIO(), width=120)
    results: dict[str, Numbers] = {
        "direct": {"cpu": None},
        "nginx": {"cpu": 20.0},
        "headgate": {"cpu": 30.0, "delay p50": 1.5},
    }
    report.show(out, PACED, results, {"direct": 0.0, "nginx": 0.2, "headgate": None})
    said = out.file.getvalue()  # type: ignore[attr-defined]
    assert "30.0 (1.50x)" in said
    assert "1.00x" not in said
    assert "while nginx was measured, other processes used 20% of a core" in said
    assert "while direct" not in said


def test_ratio_of_dialects_is_the_median_of_those_within_a_repeat() -> None:
    assert paired([20.0, 60.0, 30.0], [10.0, 20.0, 30.0]) == 2.0
    assert paired([20.0, None], [10.0, 20.0]) == 2.0
    assert paired([], [10.0]) is None


def test_dialects_that_cost_more_than_twice_as_much_stand_out() -> None:
    out = Console(file=io.StringIO(), width=120, force_terminal=True, highlight=False)
    rows: dict[tuple[str, str], tuple[Numbers, float | None]] = {
        ("openai-chat", "openai-chat"): ({"cpu": 20.0, "delay p50": 1.5}, 1.0),
        ("gemini", "gemini"): ({"cpu": 41.0}, 2.05),
        ("gemini", "openai-chat"): ({"cpu": None}, None),
    }
    report.show_pairs(out, PACED, rows, "openai-chat", 0.07)
    said = out.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[1;31m2.05x" in said
    assert "1.00x" in said
    assert "Other processes used up to 7% of a core" in said


def test_every_dialect_is_compared_in_paced_and_flood_and_across_some() -> None:
    for base in (PACED, FLOOD):
        found = [(pair.load.wire, pair.load.provider) for pair in PAIRS if pair.base == base.name]
        assert found[: len(WIRES)] == [(name, name) for name in WIRES]
        assert {("anthropic-messages", "openai-chat"), ("openai-chat", "anthropic-messages")} <= set(found)
