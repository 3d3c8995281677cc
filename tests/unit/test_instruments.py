"""The histogram: it counts where `bisect` would."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

import pytest

from headgate.telemetry.instruments import Histogram
from headgate.telemetry.metrics import METRICS

BOUNDS = {spec.buckets: spec.name for spec in METRICS if spec.buckets}


def around(bounds: Sequence[float]) -> list[float]:
    """Every bound with its next neighbours, a value in every bucket, and what lies beyond all of them."""
    near = [value for b in bounds for value in (math.nextafter(b, -math.inf), b, math.nextafter(b, math.inf))]
    between = [(low + high) / 2 for low, high in pairwise(bounds)]
    return [*near, *between, -math.inf, -1.0, -0.0, 0.0, 1, 10**15, math.inf]


def expected(bounds: Sequence[float], values: Sequence[float]) -> list[int]:
    counts = [0] * (len(bounds) + 1)
    for value in values:
        counts[bisect_left(bounds, value)] += 1
    return counts


@pytest.mark.parametrize("bounds", [*BOUNDS, (), (1.0,), (-2.5, 0.0, 2.5)], ids=str)
def test_value_is_counted_where_bisect_puts_it_whatever_came_before(bounds: tuple[float, ...]) -> None:
    values = around(bounds)
    for first in values:
        for second in values:
            histogram = Histogram(bounds)
            histogram.observe(first)
            histogram.observe(second)
            assert histogram.counts == expected(bounds, [first, second]), (first, second)


@pytest.mark.parametrize("bounds", BOUNDS, ids=BOUNDS.values())
def test_random_values_are_counted_where_bisect_puts_them(bounds: tuple[float, ...]) -> None:
    chance = random.Random(7)
    top = math.log(bounds[-1] * 4)
    values = [math.exp(chance.uniform(math.log(bounds[0] / 4), top)) for _ in range(5_000)]
    histogram = Histogram(bounds)
    for value in values:
        histogram.observe(value)
    assert histogram.counts == expected(bounds, values)
    total = 0.0
    for value in values:
        total += value
    assert histogram.sum == total
