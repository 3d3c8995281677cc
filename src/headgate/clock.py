"""Time, handed in: the only clock the shell asks, so that tests can hand in another."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """`monotonic_ns` measures, `wall` dates."""

    monotonic_ns: Callable[[], int] = time.monotonic_ns
    wall: Callable[[], float] = time.time
