"""The machine: which core does what, CPU time and memory of a process tree, and who else was working.

All read from Linux' ``/proc``. Elsewhere nothing is pinned and CPU and memory are unknown (None); times still count.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Cores:
    """The gateway's core, and that of everything else; the same where there is only one, None where nobody can say."""

    gateway: int | None
    rig: int | None

    @property
    def apart(self) -> bool:
        return self.gateway != self.rig


def cores() -> Cores:
    """The last core this process may use is the gateway's, the first one ours."""
    if sys.platform != "linux":
        return Cores(None, None)
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[-1], usable[0])


@contextlib.contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Run on `core` only; processes started inside stay there."""
    if core is None or sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def tree(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for parent in found:
        for path in PROC.glob(f"{parent}/task/*/children"):
            with contextlib.suppress(OSError):
                found += [int(child) for child in path.read_text().split()]
    return found


def cpu_s(pid: int) -> float | None:
    """CPU time of a process tree so far. Of every thread that still runs, to the nanosecond where the kernel keeps it."""
    total = 0
    for member in tree(pid):
        for path in PROC.glob(f"{member}/task/*/schedstat"):
            with contextlib.suppress(OSError, IndexError):
                total += int(path.read_text().split()[0])
    return total / 1e9 if total else None


def resident_bytes(pid: int) -> int | None:
    """Resident memory of a process tree."""
    pages = 0
    for member in tree(pid):
        with contextlib.suppress(OSError, IndexError):
            pages += int((PROC / str(member) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") if pages else None


def busy_s() -> float | None:
    """CPU time that all processes of the machine have used so far."""
    try:
        fields = [int(field) for field in (PROC / "stat").read_text().splitlines()[0].split()[1:]]
    except (OSError, IndexError, ValueError):
        return None
    idle = fields[3] + fields[4]  # idle, and waiting for a disk
    stolen_twice = sum(fields[8:])  # guests are in user time already
    return (sum(fields) - idle - stolen_twice) / os.sysconf("SC_CLK_TCK")


def describe() -> dict[str, str]:
    """What a reader of the numbers has to know of the machine."""
    model = ""
    with contextlib.suppress(OSError):
        lines = (PROC / "cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "system": f"{platform.system()} {platform.release()}",
        "cpu": model or platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
    }
