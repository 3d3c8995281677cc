"""What is asked of every gateway, as data, and which numbers are read off it.

`SCENARIOS` are Chat Completions through every gateway. `PAIRS` are the same loads in every dialect, and across some,
through Headgate alone: there what is compared is the dialects. `GOVERNED` are the same loads of English prose under
one policy after another, through Headgate alone as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.load import Load, Outcome
from benchmarks.report import percentile
from benchmarks.targets import TENFOLD
from benchmarks.wire import CHAT
from benchmarks.wires import WIRES
from headgate.policies import NONE


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one scenario through one gateway."""

    outcome: Outcome
    cpu_s: float | None
    """Of the gateway's processes; None where it cannot be read, or there is no gateway."""
    bytes_per_stream: float | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """One number of a scenario. `compared` ones are shown as a multiple of nginx's."""

    name: str
    unit: str
    read: Callable[[Sample], float | None]
    digits: int = 1
    compared: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """`load`, or `quick` where a look is enough. `fresh` ones get a gateway that has done nothing yet."""

    name: str
    says: str
    load: Load
    quick: Load
    numbers: Sequence[Number]
    fresh: bool = False

    base: str = ""
    """The scenario whose load it is in another dialect; empty for one of its own."""

    def sized(self, *, quick: bool) -> Load:
        return self.quick if quick else self.load


def _cpu(per: Callable[[Outcome], int]) -> Callable[[Sample], float | None]:
    def read(sample: Sample) -> float | None:
        count = per(sample.outcome)
        return None if sample.cpu_s is None or not count else sample.cpu_s * 1e6 / count

    return read


def _quantile(times: Callable[[Outcome], Sequence[int]], q: float) -> Callable[[Sample], float | None]:
    def read(sample: Sample) -> float | None:
        found = times(sample.outcome)
        return percentile(found, q) / 1e6 if found else None

    return read


PER_TOKEN: Final = Number("cpu", "us/token", _cpu(lambda o: o.tokens), compared=True)
PER_REQUEST: Final = Number("cpu", "us/answer", _cpu(lambda o: o.right), digits=0, compared=True)
DELAY: Final = (
    Number("delay p50", "ms", _quantile(lambda o: o.delays, 0.50), digits=2),
    Number("delay p99", "ms", _quantile(lambda o: o.delays, 0.99), digits=2),
)
FIRST: Final = (
    Number("first token p50", "ms", _quantile(lambda o: o.first, 0.50), digits=2),
    Number("first token p99", "ms", _quantile(lambda o: o.first, 0.99), digits=2),
)
TOTAL: Final = (
    Number("answer p50", "ms", _quantile(lambda o: o.total, 0.50), digits=2),
    Number("answer p99", "ms", _quantile(lambda o: o.total, 0.99), digits=2),
)
TOKENS: Final = Number("tokens", "1/s", lambda s: s.outcome.tokens / s.outcome.seconds, digits=0)
ANSWERS: Final = Number("answers", "1/s", lambda s: s.outcome.right / s.outcome.seconds, digits=0)
MEMORY: Final = Number(
    "memory", "kB/stream", lambda s: None if s.bytes_per_stream is None else s.bytes_per_stream / 1000
)

_PACED: Final = Load("bench-t200-r50-stamped", clients=100, requests=200, ramp_s=0.5)
_FLOOD: Final = Load("bench-t2000-r0", clients=32, requests=192)
_WHOLE: Final = Load("bench-t50-r0", clients=32, requests=8000, stream=False)
_ALONE: Final = Load("bench-t2-r0", clients=1, requests=400)
_OPEN: Final = Load("bench-t40-r5-stamped", clients=1000, requests=1000, ramp_s=2.0)

SCENARIOS: Final = (
    Scenario(
        "paced",
        "100 streams of 50 tokens/s: one token per wake-up, as in production",
        _PACED,
        replace(_PACED, model="bench-t60-r50-stamped", requests=100),
        (PER_TOKEN, *DELAY, *FIRST),
    ),
    Scenario(
        "flood",
        "32 streams of 2,000 tokens, each written by itself, as fast as they go",
        _FLOOD,
        replace(_FLOOD, requests=32),
        (PER_TOKEN, TOKENS),
    ),
    Scenario(
        "whole",
        "answers of 50 tokens at once, over 32 connections",
        _WHOLE,
        replace(_WHOLE, requests=1000),
        (PER_REQUEST, ANSWERS, *TOTAL),
    ),
    Scenario("alone", "one stream at a time: time to its first token", _ALONE, replace(_ALONE, requests=100), FIRST),
    Scenario(
        "open",
        "1,000 open streams of 5 tokens/s",
        _OPEN,
        replace(_OPEN, model="bench-t10-r5-stamped", clients=300, requests=300, ramp_s=0.6),
        (PER_TOKEN, MEMORY, *DELAY),
        fresh=True,
    ),
)
NAMES: Final = tuple(scenario.name for scenario in SCENARIOS)

CROSSINGS: Final = (("anthropic-messages", CHAT), (CHAT, "anthropic-messages"))
"""Client and provider that do not speak the same."""


def _pairs() -> tuple[Scenario, ...]:
    spoken = [(name, name) for name in WIRES]
    paced = (SCENARIOS[0], replace(_PACED, requests=100), replace(_PACED, model="bench-t20-r50-stamped", requests=100))
    flood = (SCENARIOS[1], replace(_FLOOD, requests=64), replace(_FLOOD, model="bench-t500-r0", requests=32))
    return tuple(
        Scenario(
            f"{base.name}/{client}/{provider}",
            f"{base.says}; client {client}, provider {provider}",
            replace(load, wire=client, provider=provider),
            replace(quick, wire=client, provider=provider),
            base.numbers[:3],
            base=base.name,
        )
        for base, load, quick in (paced, flood)
        for client, provider in (*spoken, *CROSSINGS)
    )


PAIRS: Final = _pairs()


POLICIES: Final = (NONE, "default", TENFOLD)
"""What prose is sent under; the first is what the others are compared with."""


def _governed() -> tuple[Scenario, ...]:
    paced = (SCENARIOS[0], replace(_PACED, model="bench-t200-r50-prose"), replace(_PACED, model="bench-t60-r50-prose"))
    flood = (SCENARIOS[1], replace(_FLOOD, model="bench-t2000-r0-prose"), replace(_FLOOD, model="bench-t500-r0-prose"))
    whole = (SCENARIOS[2], replace(_WHOLE, model="bench-t50-r0-prose"), replace(_WHOLE, model="bench-t50-r0-prose"))
    quick = {"paced": 100, "flood": 32, "whole": 500}
    return tuple(
        Scenario(
            f"{base.name}/{policy}",
            f"{base.says}; prose under the policy {policy}",
            replace(load, policy=policy),
            replace(small, policy=policy, requests=quick[base.name]),
            base.numbers[:1],
            base=base.name,
        )
        for base, load, small in (paced, flood, whole)
        for policy in POLICIES
    )


GOVERNED: Final = _governed()
