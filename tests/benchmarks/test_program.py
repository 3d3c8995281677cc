"""``python -m benchmarks`` runs: provider, gateway and load are real processes, and all of them are gone afterwards."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from benchmarks import machine

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_quick_run_measures_headgate_and_finds_every_answer_right() -> None:
    done = run("--quick", "--scenario", "alone", "--target", "direct", "--target", "headgate")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "first token p50, ms" in done.stdout
    assert "wrong answers" not in done.stdout


def test_quick_comparison_of_dialects_finds_every_answer_right() -> None:
    done = run("--quick", "--dialects", "--scenario", "flood")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "flood, in every dialect" in done.stdout
    assert "decode 20" in done.stdout
    assert "wrong answers" not in done.stdout


def test_quick_comparison_of_policies_finds_every_answer_right_and_every_text_linear() -> None:
    done = run("--quick", "--policies", "--scenario", "whole")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "whole, English prose" in done.stdout
    assert "held back after a token" in done.stdout
    assert "is not linear" not in done.stdout
    assert "wrong answers" not in done.stdout


def test_scenario_that_does_not_exist_is_refused_with_those_that_do() -> None:
    done = run("--scenario", "storm")
    assert done.returncode == 2
    assert "paced, flood, whole, alone, open" in done.stdout


def test_run_that_is_stopped_says_so_and_leaves_nothing_running() -> None:
    command = [sys.executable, "-m", "benchmarks", "--scenario", "paced", "--target", "direct"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as started:
        assert started.stdout is not None
        said = started.stdout.readline()
        assert "repeat 1" in said, "the mock provider answers by now"
        children = machine.tree(started.pid)[1:]
        started.send_signal(signal.SIGTERM)
        said += started.stdout.read()
        assert started.wait(timeout=30) == 130, said
    assert "Stopped" in said
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
