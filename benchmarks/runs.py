"""One load after another through one gateway after another, and what was measured of each."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Final

import uvloop

from benchmarks import answers, machine, report, targets
from benchmarks.load import Load, Outcome, Run
from benchmarks.machine import Cores
from benchmarks.report import Numbers
from benchmarks.scenarios import Sample, Scenario
from benchmarks.targets import Running, Target

WARM_UP: Final = (
    Load("bench-t50-r0", clients=16, requests=160),
    Load("bench-t50-r0", clients=16, requests=160, stream=False),
)
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(slots=True)
class Cell:
    """Everything measured of one scenario through one gateway."""

    repeats: list[Numbers] = field(default_factory=list)
    foreign: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def disturbed(self) -> float | None:
        return max(self.foreign, default=None)

    def of(self, number: str) -> list[float | None]:
        """One number of every repeat."""
        return [numbers.get(number) for numbers in self.repeats]


Cells = dict[tuple[str, str], Cell]
"""By scenario and target."""


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
    outcome = play(load, running.port, key(target, load), lambda: memory.append(machine.resident_bytes(running.pid)))
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


def key(target: Target, load: Load) -> str:
    return targets.key_of(load.policy) if load.policy else target.key


def problems(outcome: Outcome) -> list[str]:
    """What was wrong with the answers of a run, if anything."""
    if not outcome.wrong and not outcome.unfinished:
        return []
    return [f"{outcome.wrong} wrong and {outcome.unfinished} unfinished answers", *outcome.problems]


def warm_ups(group: Sequence[Scenario]) -> list[Load]:
    """A little of everything that a group is about to ask for."""
    if group[0].fresh:
        return []
    loads = [scenario.load for scenario in group]
    spoken = dict.fromkeys((load.wire, load.provider, load.policy, answers.parse(load.model).prose) for load in loads)
    return [
        replace(load, model=load.model + "-prose" * prose, wire=wire, provider=provider, policy=policy)
        for wire, provider, policy, prose in spoken
        for load in WARM_UP
    ]


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
            for load in warm_ups(group):
                play(load, running.port, key(target, load))
            for scenario in group:
                sample, foreign = measure(scenario, target, running, quick=quick)
                cell = cells.setdefault((scenario.name, target.name), Cell())
                cell.repeats.append(report.numbers(scenario, sample))
                cell.problems += problems(sample.outcome)
                if foreign is not None:
                    cell.foreign.append(foreign)
