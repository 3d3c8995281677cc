"""What counts: a number and a histogram, without locks, since everything runs on one event loop."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


class Counter:
    """A number that only grows (`inc`), or is set (`set`, for gauges)."""

    __slots__ = ("value",)

    def __init__(self, buckets: Sequence[float] = ()) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1) -> None:
        self.value += amount


class Histogram:
    """Counts per bucket and a sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, buckets: Sequence[float] = ()) -> None:
        self.bounds = buckets
        self.counts = [0] * (len(buckets) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value
