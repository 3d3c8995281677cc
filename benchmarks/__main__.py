"""``python -m benchmarks``: every scenario through every gateway of this machine, medians of a few repeats."""

from __future__ import annotations

import contextlib
import resource
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from benchmarks import governance, kept, machine, micro, report, targets
from benchmarks.dialects import RUNS
from benchmarks.runs import Cells, heed_signals, run_target
from benchmarks.scenarios import GOVERNED, NAMES, PAIRS, POLICIES, SCENARIOS, Scenario
from benchmarks.targets import TargetError
from benchmarks.wire import CHAT

OURS: Final = "headgate"
"""The target that dialects are compared in."""


def show(out: Console, chosen: Sequence[Scenario], names: Sequence[str], cells: Cells) -> None:
    """A table for each scenario, a column for each target."""
    for scenario in chosen:
        row = {name: cells[scenario.name, name] for name in names if (scenario.name, name) in cells}
        results = {name: report.medians(cell.repeats) for name, cell in row.items()}
        report.show(out, scenario, results, {name: cell.disturbed for name, cell in row.items()})
        out.print()


def show_pairs(out: Console, pairs: Sequence[Scenario], cells: Cells) -> None:
    """A table for each load, a row for each pair of dialects."""
    for base in SCENARIOS:
        rows = {pair.name: cells[pair.name, OURS] for pair in pairs if pair.base == base.name}
        if not rows:
            continue
        chat = rows[f"{base.name}/{CHAT}/{CHAT}"].of("cpu")
        medians = {
            (client, provider): (report.medians(cell.repeats), report.paired(cell.of("cpu"), chat))
            for (_, client, provider), cell in ((name.split("/"), cell) for name, cell in rows.items())
        }
        disturbed = max((cell.disturbed or 0.0 for cell in rows.values()), default=0.0)
        report.show_pairs(out, base, medians, CHAT, disturbed)
        out.print()


def show_policies(out: Console, governed: Sequence[Scenario], cells: Cells) -> None:
    """A table for each load, a row for each policy."""
    none, default, *_ = POLICIES
    for base in SCENARIOS:
        rows = {item.load.policy: cells[item.name, OURS] for item in governed if item.base == base.name}
        if not rows:
            continue
        spent = {policy: cell.of("cpu") for policy, cell in rows.items()}
        medians = {
            policy: (
                report.medians(cell.repeats),
                report.paired(spent[policy], spent[none]) if policy != none else None,
                report.paired(spent[policy], spent[default]) if policy not in (none, default) else None,
            )
            for policy, cell in rows.items()
        }
        disturbed = max((cell.disturbed or 0.0 for cell in rows.values()), default=0.0)
        report.show_policies(out, base, medians, disturbed)
        out.print()


def say_wrong(out: Console, cells: Cells) -> bool:
    """Print what was wrong with answers; whether anything was."""
    wrong = {key: cell for key, cell in cells.items() if cell.problems}
    for (scenario, target), cell in wrong.items():
        out.print(f"[bold red]{target} gave wrong answers in {scenario}, so its numbers mean nothing:[/]")
        for problem in cell.problems[:5]:
            out.print(f"  {problem}", markup=False)
    return bool(wrong)


def choose(
    scenario: Sequence[str], *, dialects: bool, policies: bool
) -> tuple[list[Scenario], list[Scenario], list[Scenario]]:
    """Scenarios, pairs of dialects, policies: everything, or what was asked for."""
    both = not (dialects or policies)
    chosen = [item for item in SCENARIOS if both and (not scenario or item.name in scenario)]
    pairs = [item for item in PAIRS if (dialects and item.base in scenario) or (not scenario and (dialects or both))]
    governed = [
        item for item in GOVERNED if (policies and item.base in scenario) or (not scenario and (policies or both))
    ]
    return chosen, pairs, governed


def main(
    scenario: Annotated[
        list[str] | None, typer.Option(help=f"Only this one; may be given again. {', '.join(NAMES)}")
    ] = None,
    target: Annotated[list[str] | None, typer.Option(help="Only this one: direct, nginx, headgate.")] = None,
    repeat: Annotated[int, typer.Option(min=1, max=20, help="Repeats; the medians are shown.")] = 3,
    dialects: Annotated[
        bool, typer.Option("--dialects", help="Only the comparison of dialects: by themselves, in paced and in flood.")
    ] = False,
    policies: Annotated[
        bool, typer.Option("--policies", help="Only policies: by themselves, in paced, in flood and in whole.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small loads, one repeat, nothing kept: does it work?")
    ] = False,
) -> None:
    """Measure what a token costs on its way through a gateway."""
    out = Console(highlight=False)
    chosen, pairs, governed = choose(scenario or [], dialects=dialects, policies=policies)
    found, missing = targets.available()
    found = [item for item in found if not target or item.name in target]
    ours = [item for item in found if item.name == OURS]
    pairs, governed = (pairs, governed) if ours else ([], [])
    if not (chosen or pairs or governed) or not found:
        out.print(f"Nothing to do. Scenarios: {', '.join(NAMES)}. Targets: direct, nginx, headgate.")
        raise typer.Exit(2)
    for line in missing if chosen else ():
        out.print(f"[yellow]{line}[/]")
    cores = machine.cores()
    if not cores.apart:
        out.print("[yellow]One core for everything, or not Linux: CPU and ratios mean little here.[/]")
    with contextlib.suppress(ValueError, OSError):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    cells: Cells = {}
    repeats = 1 if quick else repeat
    costs = micro.measure(runs=1 if quick else RUNS) if pairs else None
    judged = governance.measure(quick=quick) if governed else None
    try:
        with (
            tempfile.TemporaryDirectory(prefix="headgate-bench-") as folder,
            machine.pinned(cores.rig),
            targets.provider(Path(folder), cores.rig) as provider_port,
        ):
            for number in range(repeats):
                todo = [(item, chosen, "") for item in found]
                todo += [(item, pairs, "dialects") for item in ours]
                todo += [(item, governed[:: -1 if number % 2 else 1], "policies") for item in ours]
                for item, loads, place in todo:
                    if loads:
                        out.print(f"repeat {number + 1} of {repeats}: {item.name} {item.version} {place}", style="dim")
                        at = Path(folder) / f"{number}{place}"
                        run_target(cells, loads, item, at, provider_port, cores=cores, quick=quick)
    except TargetError as error:
        out.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        out.print("Stopped; everything that was started is down.")
        raise typer.Exit(130) from None
    out.print()
    show(out, chosen, [item.name for item in found], cells)
    show_pairs(out, pairs, cells)
    show_policies(out, governed, cells)
    if costs is not None:
        micro.show(out, costs)
    if judged is not None:
        governance.show(out, judged)
    is_wrong = say_wrong(out, cells)
    if not quick:
        path = kept.save([*chosen, *pairs, *governed], found, cells, costs, judged)
        out.print(f"Kept in benchmarks/results/{path.name}")
    if is_wrong:
        raise typer.Exit(1)


if __name__ == "__main__":
    heed_signals()
    sys.argv[0] = "python -m benchmarks"
    typer.run(main)
