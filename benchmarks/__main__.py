"""``python -m benchmarks``: every scenario through every gateway of this machine, medians of a few repeats."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Final

import typer
import uvloop
from rich.console import Console

from benchmarks import machine, report, targets
from benchmarks.load import Load, Outcome, Run
from benchmarks.machine import Cores
from benchmarks.report import Numbers
from benchmarks.scenarios import NAMES, SCENARIOS, Sample, Scenario
from benchmarks.targets import Running, Target, TargetError

RESULTS: Final = Path(__file__).parent / "results"
WARM_UP: Final = (
    Load("bench-t50-r0", clients=16, requests=160),
    Load("bench-t50-r0", clients=16, requests=160, stream=False),
)


@dataclass(slots=True)
class Cell:
    """Everything measured of one scenario through one gateway."""

    repeats: list[Numbers] = field(default_factory=list)
    foreign: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def disturbed(self) -> float | None:
        return max(self.foreign, default=None)


Cells = dict[tuple[str, str], Cell]
"""By scenario and target."""


STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def play(load: Load, port: int, key: str, halfway: Callable[[], None] | None = None) -> Outcome:
    """One load, on an event loop of its own. A signal to stop is `KeyboardInterrupt`, never a wrong answer."""

    async def go() -> Outcome:
        task = asyncio.current_task()
        assert task is not None
        for number in STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await Run(load, port, key).run(halfway=halfway)

    try:
        return uvloop.run(go())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        heed_signals()


def heed_signals() -> None:
    """Take SIGTERM as Ctrl-C, so that everything that was started is ended."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in STOP_SIGNALS:
        signal.signal(number, stop)


def measure(scenario: Scenario, target: Target, running: Running, *, quick: bool) -> tuple[Sample, float | None]:
    """One run; with it, the share of a core that others used meanwhile."""
    memory: list[int | None] = [machine.resident_bytes(running.pid) if running.pid else None]
    load = scenario.sized(quick=quick)
    started, busy = time.monotonic(), machine.busy_s()
    cpu, ours = machine.cpu_s(running.pid), machine.cpu_s(os.getpid())
    outcome = play(load, running.port, target.key, lambda: memory.append(machine.resident_bytes(running.pid)))
    cpu_after, ours_after = machine.cpu_s(running.pid), machine.cpu_s(os.getpid())
    busy_after, elapsed = machine.busy_s(), time.monotonic() - started
    used = None if cpu is None or cpu_after is None or not running.pid else cpu_after - cpu
    share = None
    if None not in (busy, busy_after, ours, ours_after):
        # The tree of this process holds the provider and the gateway.
        share = report.foreign(
            busy_s=(busy_after or 0) - (busy or 0), ours_s=(ours_after or 0) - (ours or 0), elapsed_s=elapsed
        )
    per_stream = None
    if scenario.fresh and len(memory) == 2 and memory[0] is not None and memory[1] is not None:
        per_stream = (memory[1] - memory[0]) / load.clients
    return Sample(outcome, used, per_stream), share


def problems(outcome: Outcome) -> list[str]:
    """What was wrong with the answers of a run, if anything."""
    if not outcome.wrong and not outcome.unfinished:
        return []
    return [f"{outcome.wrong} wrong and {outcome.unfinished} unfinished answers", *outcome.problems]


def run_target(
    cells: Cells,
    chosen: Sequence[Scenario],
    target: Target,
    folder: Path,
    provider_port: int,
    *,
    cores: Cores,
    quick: bool,
) -> None:
    """Every chosen scenario through one gateway, once."""
    usual = [scenario for scenario in chosen if not scenario.fresh]
    groups = [usual] * bool(usual) + [[scenario] for scenario in chosen if scenario.fresh]
    for number, group in enumerate(groups):
        with targets.running(target, folder / f"{target.name}-{number}", provider_port, cores.gateway) as running:
            for load in () if group[0].fresh else WARM_UP:
                play(load, running.port, target.key)
            for scenario in group:
                sample, foreign = measure(scenario, target, running, quick=quick)
                cell = cells.setdefault((scenario.name, target.name), Cell())
                cell.repeats.append(report.numbers(scenario, sample))
                cell.problems += problems(sample.outcome)
                if foreign is not None:
                    cell.foreign.append(foreign)


def show(out: Console, chosen: Sequence[Scenario], found: Sequence[Target], cells: Cells) -> bool:
    """Print every table; False if any answer was wrong."""
    right = True
    for scenario in chosen:
        row = {
            target.name: cells[scenario.name, target.name] for target in found if (scenario.name, target.name) in cells
        }
        results = {name: report.medians(cell.repeats) for name, cell in row.items()}
        report.show(out, scenario, results, {name: cell.disturbed for name, cell in row.items()})
        for name, cell in row.items():
            if cell.problems:
                right = False
                out.print(f"[bold red]{name} gave wrong answers, so its numbers mean nothing:[/]")
                for problem in cell.problems[:5]:
                    out.print(f"  {problem}", markup=False)
        out.print()
    return right


def save(chosen: Sequence[Scenario], found: Sequence[Target], cells: Cells, *, quick: bool) -> Path:
    """Keep the numbers as JSON, every repeat of them."""
    scenarios: dict[str, Any] = {}
    for scenario in chosen:
        scenarios[scenario.name] = {
            "says": scenario.says,
            "units": {number.name: number.unit for number in scenario.numbers},
            "targets": {
                target.name: {
                    "median": report.medians(cell.repeats),
                    "repeats": cell.repeats,
                    "foreign": cell.foreign,
                    "problems": cell.problems,
                }
                for target in found
                if (cell := cells.get((scenario.name, target.name)))
            },
        }
    now = datetime.now(UTC)
    kept = {
        "at": now.isoformat(timespec="seconds"),
        "quick": quick,
        "machine": machine.describe(),
        "versions": {target.name: target.version for target in found if target.version},
        "scenarios": scenarios,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{now:%Y%m%d-%H%M%S}.json"
    path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return path


def main(
    scenario: Annotated[
        list[str] | None, typer.Option(help=f"Only this one; may be given again. {', '.join(NAMES)}")
    ] = None,
    target: Annotated[list[str] | None, typer.Option(help="Only this one: direct, nginx, headgate.")] = None,
    repeat: Annotated[int, typer.Option(min=1, max=20, help="Repeats; the medians are shown.")] = 3,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small loads, one repeat, nothing kept: does it work?")
    ] = False,
) -> None:
    """Measure what a token costs on its way through a gateway."""
    out = Console(highlight=False)
    chosen = [item for item in SCENARIOS if not scenario or item.name in scenario]
    found, missing = targets.available()
    found = [item for item in found if not target or item.name in target]
    if not chosen or not found:
        out.print(f"Nothing to do. Scenarios: {', '.join(NAMES)}. Targets: direct, nginx, headgate.")
        raise typer.Exit(2)
    for line in missing:
        out.print(f"[yellow]{line}[/]")
    cores = machine.cores()
    if not cores.apart:
        out.print("[yellow]One core for everything, or not Linux: CPU and ratios mean little here.[/]")
    with contextlib.suppress(ValueError, OSError):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    cells: Cells = {}
    repeats = 1 if quick else repeat
    try:
        with (
            tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder,
            machine.pinned(cores.rig),
            targets.provider(Path(folder), cores.rig) as provider_port,
        ):
            for number in range(repeats):
                for item in found:
                    out.print(f"repeat {number + 1} of {repeats}: {item.name} {item.version}", style="dim")
                    place = Path(folder) / str(number)
                    run_target(cells, chosen, item, place, provider_port, cores=cores, quick=quick)
    except TargetError as error:
        out.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        out.print("Stopped; everything that was started is down.")
        raise typer.Exit(130) from None
    out.print()
    right = show(out, chosen, found, cells)
    if not quick:
        out.print(f"Kept in benchmarks/results/{save(chosen, found, cells, quick=quick).name}")
    if not right:
        raise typer.Exit(1)


if __name__ == "__main__":
    heed_signals()
    sys.argv[0] = "python -m benchmarks"
    typer.run(main)
