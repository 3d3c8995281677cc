"""``python -m benchmarks.governance``: what judging an answer costs while it streams, by itself. No sockets.

Prose is what the simulator talks about, cut into words as tokens are. The best of a few runs is shown: disturbances
only ever add. *Cold* is the first text of an automaton, which works out its states; all others find them worked out.

The stage is what a producer calls: the guard, its stream gate with the default policy, and the final gate at the end.
Texts that are made to be slow go the same way, at one, two and four times a length: what is linear costs the same for
each character.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks import answers, dialects, machine, report
from benchmarks.dialects import best_us, once_us
from benchmarks.report import percentile
from benchmarks.targets import TIMES
from benchmarks.wires import WIRES
from headgate.dialects import provider_dialects
from headgate.endings import Ending
from headgate.errors import Failure
from headgate.events import (
    AnyEvent,
    AttemptStarted,
    ChoiceDone,
    Delta,
    PartDone,
    PartKind,
    PartStarted,
    Reason,
    Status,
)
from headgate.governance.detectors import DETECTORS
from headgate.governance.final.schema import Schemas
from headgate.governance.judgement import Judgement
from headgate.governance.matching.automaton import Automaton, Source
from headgate.governance.matching.scanner import Scanner
from headgate.governance.ruleset import ActiveRule, Ruleset, compile_policy
from headgate.guard import Guard, Holding, Wards
from headgate.policies import DEFAULT, DEFAULT_RULES
from headgate.positions import Place

RUNS: Final = 7
TOKENS: Final = 3_000
"""Of prose, in a dialect's frames."""
TOKENS_WHOLE: Final = 50
TERMS: Final = 100_000
STAGE_US_MAX: Final = 3.0
"""What a token of prose may cost in the stage."""
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
GROWTH_CHARS: Final = 250_000
GROWTH_QUICK_CHARS: Final = 10_000
GROWTH: Final = (1, 2, 4)
GROWTH_RATIO_MAX: Final = 2.0
"""What a character of the longest text may cost, as a multiple of one of the shortest: 4 would be quadratic."""
CHUNK_CHARS: Final = 4

Governance = Mapping[str, Any]
"""What is kept: ``rules``, ``stage``, ``held`` and ``growth``."""


class Held(NamedTuple):
    """Characters held back, after each token."""

    mean: float
    p99: float
    most: float


def sources(names: Collection[str] = DEFAULT_RULES) -> list[Source]:
    """Some of the built-in detectors."""
    return [
        Source(detector.patterns, ignore_case=detector.ignore_case, check=detector.check, escapes=True)
        for detector in [DETECTORS[name] for name in names]
    ]


def prose() -> list[str]:
    """About four characters each, a space in front of most."""
    return list(answers.ENGLISH)


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
        f"default, {len(DEFAULT_RULES)} rules": lambda: Automaton(sources()),
        f"{TIMES} times as many": lambda: Automaton(sources() * TIMES),
        f"all {len(DETECTORS)} detectors": lambda: Automaton(sources(DETECTORS)),
        f"default, {TERMS:,} terms": lambda: Automaton([*sources(), Source(terms=listed, ignore_case=True)]),
    }


class Course:
    """A response that is only there to be judged (`guard.Course`)."""

    def __init__(self) -> None:
        self.chars = 0
        """Of the text that was let out."""
        self.ended = ""

    def append(self, events: Sequence[AnyEvent], /) -> None:
        for event in events:
            if type(event) is Delta:
                self.chars += len(event.text)

    def throttle(self, slower: bool, /) -> None:
        pass

    def stop(self, failure: Failure, /) -> None:
        self.ended = failure.code

    def settle(self, ending: Ending, /) -> None:
        self.ended = ending.status

    def hold(self, holding: Holding, /) -> None:
        raise AssertionError("nothing of the default policy holds")

    def vouch(self, unverified: Sequence[Place], /) -> None:
        raise AssertionError("nothing of the default policy is asked")

    def retracted(self) -> Mapping[int, int]:
        return {}


def _nobody(rule: ActiveRule, text: str, done: Callable[[Judgement], None], /) -> None:
    raise AssertionError("nothing of the default policy is asked")


def judged(ruleset: Ruleset, batches: Sequence[Sequence[AnyEvent]], dialect: str = "openai-chat") -> Course:
    """One answer on its way through the stage, as its producer sends it."""
    course = Course()
    wards = Wards(_nobody, lambda *_: None, str, Schemas())
    guard = Guard(ruleset, course, wards, response_id="bench", dialect=dialect, format=None)
    for events in batches:
        free = guard.feed(events)
        if free:
            course.append(free)
        guard.attend()
    guard.conclude(Ending(Status.COMPLETED))
    return course


def decoded(name: str, tokens: int) -> list[list[AnyEvent]]:
    """What a dialect's decoder makes of an answer of prose, a token a read."""
    wire, model = WIRES[name], answers.parse(f"bench-t{tokens}-r0-prose")
    frames = [wire.token(model, index) for index in range(tokens)]
    batches = dialects.decode(name, [wire.opening(model), *frames, wire.closing(model, usage=True)])
    return [[AttemptStarted(1, "bench", name, model.name)], *[events for events in batches if events]]


def decoded_whole(name: str, tokens: int) -> list[list[AnyEvent]]:
    """The same answer, not streamed."""
    model = answers.parse(f"bench-t{tokens}-r0-prose")
    decoder = provider_dialects()[name].whole_decoder(attempt=1, choices=1)
    return [[*decoder.feed(WIRES[name].whole(model)), *decoder.finish()]]


def stage(ruleset: Ruleset, name: str, runs: int) -> Mapping[str, float]:
    """Of a dialect: us/token of a stream, and us of a whole answer, in the stage alone."""
    stream, whole = decoded(name, TOKENS), decoded_whole(name, TOKENS_WHOLE)
    for batches in (stream, whole):
        if judged(ruleset, batches, name).ended != Status.COMPLETED:
            raise AssertionError(f"prose in {name} does not pass the default policy")
    return {
        "stream": best_us(partial(judged, ruleset, stream, name), per=TOKENS, runs=runs),
        "whole": best_us(partial(judged, ruleset, whole, name), per=1, runs=10 * runs),
    }


def growth(ruleset: Ruleset, chars: int) -> Mapping[str, list[float]]:
    """us/char of pathological texts of one, two and four times the length, a few characters at a time."""
    found: dict[str, list[float]] = {}
    for name, unit in PATHOLOGICAL.items():
        text = unit * (GROWTH[-1] * chars // len(unit) + 1)
        cut: list[list[AnyEvent]] = [
            [Delta(0, 0, text[at : at + CHUNK_CHARS])] for at in range(0, GROWTH[-1] * chars, CHUNK_CHARS)
        ]
        opening: list[AnyEvent] = [PartStarted(0, 0, PartKind.TEXT)]
        closing: list[AnyEvent] = [PartDone(0, 0), ChoiceDone(0, Reason.STOP, "stop")]
        found[name] = []
        judged(ruleset, cut[: chars // CHUNK_CHARS])
        for times in GROWTH:
            batches = [opening, *cut[: times * chars // CHUNK_CHARS], closing]
            found[name].append(best_us(partial(judged, ruleset, batches), per=times * chars, runs=2))
    return found


def measure(*, quick: bool = False) -> Governance:
    """Everything, on the core that gateways are measured on."""
    tokens = prose()
    ruleset = compile_policy("default", DEFAULT)
    with machine.pinned(machine.cores().gateway):
        made = rules()
        if quick:
            made = dict(list(made.items())[:3])
        return {
            "rules": {name: cost(make, tokens) for name, make in made.items()},
            "stage": {name: stage(ruleset, name, 1 if quick else RUNS) for name in WIRES},
            "held": held(ruleset.stream.acting, tokens)._asdict(),
            "growth": growth(ruleset, GROWTH_QUICK_CHARS if quick else GROWTH_CHARS),
            "growth chars": GROWTH_QUICK_CHARS if quick else GROWTH_CHARS,
        }


def growing(found: Governance) -> list[str]:
    """Texts that cost more for each character the longer they are."""
    return [name for name, costs in found["growth"].items() if costs[-1] > GROWTH_RATIO_MAX * costs[0]]


def show(out: Console, found: Governance) -> None:
    """Tables, and what is over a limit in red."""
    costs = found["rules"]
    columns = list(next(iter(costs.values())))
    out.print("[bold]rules[/] by themselves: the scanner alone, a token of prose at a time")
    table = Table("rules", *columns)
    for name, numbers in costs.items():
        table.add_row(name, *(f"{numbers[column]:,.2f}" for column in columns))
    out.print(table)
    of_default, of_tenfold = [numbers["us"] for numbers in costs.values()][1:3]
    times = report.shown_ratio(report.ratio(of_tenfold, of_default), report.TENFOLD_RATIO_MAX)
    out.print(f"{TIMES} times as many rules cost {times}.")
    kept = found["held"]
    out.print(
        f"held back after a token: {kept['mean']:.1f} characters in the mean, p99 {kept['p99']:.0f}, "
        f"{kept['most']:.0f} at most"
    )
    out.print()
    out.print("[bold]stage[/] by itself: the guard with the default policy, stream gate and final gate")
    table = Table("dialect", "stream, us/token", f"whole answer of {TOKENS_WHOLE} tokens, us")
    for name, numbers in found["stage"].items():
        shown = f"{numbers['stream']:.2f}"
        table.add_row(
            name, f"[bold red]{shown}[/]" if numbers["stream"] > STAGE_US_MAX else shown, f"{numbers['whole']:.0f}"
        )
    out.print(table)
    out.print()
    out.print("[bold]growth[/]: texts made to be slow, through the same stage, us/char by their length")
    table = Table("text", *(f"{times * found['growth chars']:,}" for times in GROWTH), "ratio")
    for name, numbers_by_length in found["growth"].items():
        grown = report.ratio(numbers_by_length[-1], numbers_by_length[0])
        cells = [f"{number:.2f}" for number in numbers_by_length]
        table.add_row(name, *cells, report.shown_ratio(grown, GROWTH_RATIO_MAX))
    out.print(table)
    for name in growing(found):
        out.print(f"[bold red]{name!r} is not linear.[/]")
    out.print()


def main() -> None:
    out = Console(highlight=False)
    show(out, measure())
    out.print(", ".join(machine.describe().values()), style="dim")


if __name__ == "__main__":
    main()
