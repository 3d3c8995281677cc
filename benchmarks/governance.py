"""``python -m benchmarks.governance``: what matching costs while text streams, by itself. No sockets.

Prose is what the simulator talks about, cut into words as tokens are. The best of a few runs is shown: disturbances
only ever add. *Cold* is the first text of an automaton, which works out its states; all others find them worked out.
"""

from __future__ import annotations

import re
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.dialects import best_us, once_us
from benchmarks.report import percentile
from headgate.governance.automaton import Automaton, Source
from headgate.governance.detectors import DETECTORS
from headgate.governance.scanner import Scanner
from headgate.simulator.corpus import MARKDOWN, PROSE

RUNS: Final = 7
TOKEN: Final = re.compile(r"\s?[^\W\d_]{1,7}|\s?[\W\d_]")
TERMS: Final = 100_000
RULES_TIMES: Final = 10
PATHOLOGICAL: Final = {
    "no space": "x",
    "@": "@",
    "digits": "1234567890",
    "-": "-",
    "a.": "a.",
    "cards that fail": "4111 1111 1111 1112 ",
    "addresses": "a@example.com ",
    "many starts": "k-e_y.a+b'",
}
"""What is repeated in texts that are made to be slow."""
GROWTH_CHARS: Final = 50_000
CHUNK_CHARS: Final = 4


class Held(NamedTuple):
    """Characters held back, after each token."""

    mean: float
    p99: float
    most: float


def sources() -> list[Source]:
    """All built-in detectors."""
    return [
        Source(patterns=detector.patterns, ignore_case=detector.ignore_case, check=detector.check)
        for detector in DETECTORS.values()
    ]


def prose() -> list[str]:
    """About four characters each, a space in front of most."""
    tokens: list[str] = TOKEN.findall("\n\n".join((*PROSE, MARKDOWN)))
    return tokens


def terms(count: int) -> list[str]:
    """Made up, and as long as names of projects and people are; some begin like words of the prose."""
    words = sorted({token.strip().lower() for token in prose() if token.strip().isalpha()})
    return [f"{words[number % len(words)]} {words[number // 7 % len(words)]} {number:x}" for number in range(count)]


def read(automaton: Automaton, tokens: Sequence[str]) -> int:
    scanner = Scanner(automaton)
    for token in tokens:
        scanner.feed(token)
    scanner.finish()
    return scanner.decided


def held(automaton: Automaton, tokens: Sequence[str]) -> Held:
    scanner = Scanner(automaton)
    after = []
    for token in tokens:
        scanner.feed(token)
        after.append(scanner.position - scanner.decided)
    return Held(sum(after) / len(after), percentile(after, 0.99), max(after))


def cost(make: Callable[[], Automaton], tokens: Sequence[str]) -> Mapping[str, float]:
    """Of a set of rules: compiling in ms, memory in MB before and after the prose, and us/token."""
    make()
    tracemalloc.start()
    automaton = make()
    compiled = tracemalloc.get_traced_memory()[0] / 1e6
    read(automaton, tokens)
    used = tracemalloc.get_traced_memory()[0] / 1e6 - compiled
    tracemalloc.stop()
    started = time.process_time()
    automaton = make()
    return {
        "compile ms": (time.process_time() - started) * 1e3,
        "compiled MB": compiled,
        "used MB": used,
        "cold us": once_us(partial(read, automaton, tokens), per=len(tokens)),
        "us": best_us(partial(read, automaton, tokens), per=len(tokens), runs=RUNS),
    }


def rules() -> Mapping[str, Callable[[], Automaton]]:
    """The sets of rules that are compared, by name."""
    listed = terms(TERMS)
    return {
        "no rules": lambda: Automaton([]),
        f"{len(DETECTORS)} detectors": lambda: Automaton(sources()),
        f"{RULES_TIMES} times as many": lambda: Automaton(sources() * RULES_TIMES),
        f"with {TERMS:,} terms": lambda: Automaton([*sources(), Source(terms=listed, ignore_case=True)]),
    }


def growth(automaton: Automaton) -> Mapping[str, list[float]]:
    """us/char of pathological texts of one, two and four times the length, a few characters at a time."""
    found: dict[str, list[float]] = {}
    for name, unit in PATHOLOGICAL.items():
        text = unit * (4 * GROWTH_CHARS // len(unit))
        cut = [text[at : at + CHUNK_CHARS] for at in range(0, len(text), CHUNK_CHARS)]
        read(automaton, cut[: GROWTH_CHARS // CHUNK_CHARS])
        found[name] = []
        for times in (1, 2, 4):
            some = cut[: times * GROWTH_CHARS // CHUNK_CHARS]
            found[name].append(best_us(partial(read, automaton, some), per=times * GROWTH_CHARS, runs=2))
    return found


def main() -> None:
    out = Console(highlight=False)
    tokens = prose()
    with machine.pinned(machine.cores().gateway):
        made = rules()
        costs = {name: cost(make, tokens) for name, make in made.items()}
        automaton = Automaton(sources())
        kept = held(automaton, tokens)
        grown = growth(automaton)
    columns = list(next(iter(costs.values())))
    table = Table("rules", *columns, title=f"{len(tokens):,} tokens of prose")
    for name, numbers in costs.items():
        table.add_row(name, *(f"{numbers[column]:,.2f}" for column in columns))
    out.print(table)
    out.print(
        f"held back after a token: {kept.mean:.1f} characters in the mean, p99 {kept.p99:.0f}, {kept.most:.0f} at most"
    )
    out.print()
    table = Table("text", *(f"{times * GROWTH_CHARS:,}" for times in (1, 2, 4)), title="us/char")
    for name, numbers_by_length in grown.items():
        table.add_row(name, *(f"{number:.2f}" for number in numbers_by_length))
    out.print(table)
    out.print(", ".join(machine.describe().values()), style="dim")


if __name__ == "__main__":
    main()
