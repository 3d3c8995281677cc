"""What is kept of a run: JSON in `benchmarks/results`, with every repeat, the machine and the versions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks import machine, report
from benchmarks.governance import Governance
from benchmarks.micro import Micro
from benchmarks.runs import Cells
from benchmarks.scenarios import Scenario
from benchmarks.targets import Target

RESULTS: Final = Path(__file__).parent / "results"


def save(
    chosen: Sequence[Scenario],
    found: Sequence[Target],
    cells: Cells,
    micro: Micro | None,
    governance: Governance | None,
) -> Path:
    """Write everything; the path."""
    now = datetime.now(UTC)
    kept = {
        "at": now.isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "versions": {target.name: target.version for target in found if target.version},
        "scenarios": {scenario.name: _scenario(scenario, found, cells) for scenario in chosen},
        "micro": micro,
        "governance": governance,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{now:%Y%m%d-%H%M%S}.json"
    path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return path


def _scenario(scenario: Scenario, found: Sequence[Target], cells: Cells) -> dict[str, Any]:
    return {
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
