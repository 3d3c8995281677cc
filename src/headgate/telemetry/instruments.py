"""What counts: a number and a histogram, without locks, since everything runs on one event loop."""

from __future__ import annotations

from collections.abc import Sequence


class Counter:
    """A number that only grows (`inc`), or is set (`set`, for gauges)."""

    __slots__ = ("value",)

    def __init__(self, buckets: Sequence[float] = ()) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1) -> None:
        self.value += amount


class Histogram:
    """Counts per bucket and a sum. A bucket holds what is above the bound before it, up to its own and including it."""

    __slots__ = ("_latest", "bounds", "counts", "sum")

    def __init__(self, buckets: Sequence[float] = ()) -> None:
        self.bounds = tuple(buckets)
        self.counts = [0] * (len(buckets) + 1)
        self.sum = 0.0
        self._latest = 0  # bucket of the last value: mostly the next one's as well, or near to it

    def observe(self, value: float) -> None:
        bounds, at = self.bounds, self._latest
        while at < len(bounds) and value > bounds[at]:
            at += 1
        while at > 0 and value <= bounds[at - 1]:
            at -= 1
        self._latest = at
        self.counts[at] = self.counts[at] + 1  # with `+=` compiled code adds objects, not integers
        self.sum += value
