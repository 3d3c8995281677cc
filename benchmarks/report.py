"""From samples to what is printed and kept: percentiles, medians, ratios. Pure but for `show`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from benchmarks.scenarios import Sample, Scenario

BASELINE: Final = "nginx"
RATIO_MAX: Final = 2.0
"""What a token may cost in any dialect, as a multiple of what it costs in the one they are compared with."""
POLICY_RATIO_MAX: Final = 1.25
"""What a token may cost under the default policy, as a multiple of what it costs under none."""
TENFOLD_RATIO_MAX: Final = 2.0
"""What ten times as many rules may cost, as a multiple of the default ones."""
FOREIGN_MAX: Final = 0.05
"""Share of a core that other processes may use before a number is marked."""

Numbers = Mapping[str, float | None]
"""A scenario's numbers by name."""


def percentile(values: Sequence[int] | Sequence[float], q: float) -> float:
    """The smallest value that at least `q` of all values are not above (nearest rank)."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return float(ordered[max(math.ceil(q * len(ordered)) - 1, 0)])


def medians(repeats: Sequence[Numbers]) -> dict[str, float | None]:
    """Of every number, the median over the repeats that have it."""
    names = dict.fromkeys(name for numbers in repeats for name in numbers)
    found = {name: [value for numbers in repeats if (value := numbers.get(name)) is not None] for name in names}
    return {name: median(values) if values else None for name, values in found.items()}


def ratio(value: float | None, baseline: float | None) -> float | None:
    """How many times the baseline; None where either is unknown or the baseline is nothing."""
    return None if value is None or not baseline else value / baseline


def paired(values: Sequence[float | None], baselines: Sequence[float | None]) -> float | None:
    """The median of the ratios within each repeat: what slows a whole repeat down is in both."""
    found = [times for pair in zip(values, baselines, strict=False) if (times := ratio(*pair)) is not None]
    return median(found) if found else None


def numbers(scenario: Scenario, sample: Sample) -> dict[str, float | None]:
    """What a scenario reads off a sample."""
    return {number.name: number.read(sample) for number in scenario.numbers}


def foreign(*, busy_s: float | None, ours_s: float | None, elapsed_s: float) -> float | None:
    """Share of one core that processes other than ours used."""
    if busy_s is None or ours_s is None or elapsed_s <= 0:
        return None
    return max(busy_s - ours_s, 0.0) / elapsed_s


def show(
    out: Console, scenario: Scenario, results: Mapping[str, Numbers], disturbed: Mapping[str, float | None]
) -> None:
    """One scenario as a table, a column for each target."""
    out.print(f"[bold]{scenario.name}[/]: {scenario.says}")
    table = Table("")
    for target in results:
        share = disturbed.get(target)
        mark = " *" if share is not None and share > FOREIGN_MAX else ""
        table.add_column(target + mark, justify="right")
    for number in scenario.numbers:
        cells = []
        for target, found in results.items():
            value = found.get(number.name)
            times = ratio(value, results.get(BASELINE, {}).get(number.name)) if number.compared else None
            shown = "-" if value is None else f"{value:,.{number.digits}f}"
            cells.append(f"{shown} ({times:.2f}x)" if times is not None and target != BASELINE else shown)
        table.add_row(f"{number.name}, {number.unit}", *cells)
    out.print(table)
    for target, share in disturbed.items():
        if share is not None and share > FOREIGN_MAX:
            out.print(f"* while {target} was measured, other processes used {share:.0%} of a core")


def show_pairs(
    out: Console,
    base: Scenario,
    rows: Mapping[tuple[str, str], tuple[Numbers, float | None]],
    baseline: str,
    disturbed: float,
) -> None:
    """One scenario in every dialect as a table, a row for each client and provider: medians, and the ratio."""
    out.print(f"[bold]{base.name}[/], in every dialect through Headgate: {base.says}")
    shown = base.numbers[:3]
    table = Table()
    for heading in ("client", "provider"):
        table.add_column(heading, no_wrap=True)
    for number in shown:
        table.add_column(f"{number.name}, {number.unit}", justify="right")
    table.add_column("CPU, ratio", justify="right")
    for (client, provider), (found, times) in rows.items():
        values = [found.get(number.name) for number in shown]
        cells = ["-" if v is None else f"{v:,.{n.digits}f}" for n, v in zip(shown, values, strict=True)]
        table.add_row(client, provider, *cells, shown_ratio(times))
    out.print(table)
    out.print(f"The ratio is to {baseline} in the same repeat.")
    if disturbed > FOREIGN_MAX:
        out.print(f"Other processes used up to {disturbed:.0%} of a core meanwhile.")


def show_policies(
    out: Console, base: Scenario, rows: Mapping[str, tuple[Numbers, float | None, float | None]], disturbed: float
) -> None:
    """One scenario under one policy after another: medians, and ratios to none and to the one above."""
    number = base.numbers[0]
    out.print(f"[bold]{base.name}[/], English prose through Headgate under a policy: {base.says}")
    table = Table("policy", f"{number.name}, {number.unit}", "to none", "to default")
    for policy, (found, to_none, to_default) in rows.items():
        value = found.get(number.name)
        limit = POLICY_RATIO_MAX if policy == "default" and number.unit == "us/token" else float("inf")
        cells = [shown_ratio(to_none, limit), shown_ratio(to_default, TENFOLD_RATIO_MAX)]
        table.add_row(policy, "-" if value is None else f"{value:,.{number.digits}f}", *cells)
    out.print(table)
    if disturbed > FOREIGN_MAX:
        out.print(f"Other processes used up to {disturbed:.0%} of a core meanwhile.")


def shown_ratio(times: float | None, limit: float = RATIO_MAX) -> str:
    """A ratio as text, marked if it is over the limit."""
    if times is None:
        return "-"
    return f"[bold red]{times:.2f}x[/]" if times > limit else f"{times:.2f}x"
