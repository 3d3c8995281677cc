"""``python -m benchmarks.detection``: how much the built-in detectors find, and how much they take for what it is not.

Every detector reads every document by itself, with the engine that reads streams. A match counts if it is the value to
the character (a label in front may be taken along, where the detector says so), and is wrong if it reaches into text
that is harmless. A match inside a value of another kind (the ``password@host`` of a URL is an email address to one who
looks for nothing else) is neither, and listed. Then all detectors together, as one policy would have them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final

import typer

from benchmarks.documents import Document, Truth, documents
from headgate.governance.detectors import DETECTORS, Detector
from headgate.governance.matching.automaton import Automaton, Source
from headgate.governance.matching.scanner import Found, scan

HARMLESS: Final = "harmless"
EXAMPLES_MAX: Final = 12
"""Of what was missed and of what was wrong, per detector."""


@dataclass
class Score:
    """What one detector did."""

    values: int = 0
    found: int = 0
    matches: int = 0
    gaps: int = 0
    gaps_found: int = 0
    elsewhere: Counter[str] = field(default_factory=Counter)
    """Other matches by where they lie: wholly in values of which kind, or in what is harmless. Those are wrong."""
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def recall(self) -> float:
        return self.found / self.values if self.values else 1.0

    @property
    def precision(self) -> float:
        return 1 - self.elsewhere[HARMLESS] / self.matches if self.matches else 1.0


def source(detector: Detector) -> Source:
    return Source(detector.patterns, check=detector.check, ignore_case=detector.ignore_case, escapes=True)


def matches(automaton: Automaton, text: str) -> list[Found]:
    return [piece for piece in scan(automaton, text) if isinstance(piece, Found)]


def hits(truth: Truth, match: Found) -> bool:
    return match.end == truth.end and truth.lead <= match.start <= truth.start


def judge(score: Score, kind: str, document: Document, found: Iterable[Found]) -> None:
    """Count one document."""
    own = [truth for truth in document.truths if truth.kind == kind]
    found = list(found)
    for truth in own:
        is_found = any(hits(truth, match) for match in found)
        if truth.claimed:
            score.values += 1
            score.found += is_found
            if not is_found:
                score.missed.append(document.text[truth.lead : truth.end + 8])
        else:
            score.gaps += 1
            score.gaps_found += any(match.start < truth.end and truth.start < match.end for match in found)
    for match in found:
        if any(not truth.claimed and match.start < truth.end and truth.start < match.end for truth in own):
            continue
        score.matches += 1
        if not any(hits(truth, match) for truth in own):
            where = _lies(document, match, kind)
            score.elsewhere[where] += 1
            if where == HARMLESS:
                score.wrong.append(f"{match.text!r} in {document.text[max(match.start - 12, 0) : match.end + 12]!r}")


def _lies(document: Document, match: Found, kind: str) -> str:
    """In the value of which other kind a match lies; HARMLESS if it reaches into what is none."""
    inside = [truth.kind for truth in document.truths if truth.lead <= match.start and match.end <= truth.end]
    return inside[0] if inside and inside[0] != kind else HARMLESS


def measure(corpus: Sequence[Document]) -> dict[str, Score]:
    """Every detector by itself."""
    scores = {}
    for name, detector in DETECTORS.items():
        score = scores[name] = Score()
        automaton = Automaton([source(detector)])
        for document in corpus:
            judge(score, name, document, matches(automaton, document.text))
    return scores


class Together:
    """All detectors as one policy: whether values are covered, and how much harmless text is."""

    def __init__(self, corpus: Sequence[Document]) -> None:
        automaton = Automaton([source(detector) for detector in DETECTORS.values()])
        self.values = self.covered = self.harmless = self.masked = 0
        for document in corpus:
            spans = {at for match in matches(automaton, document.text) for at in range(match.start, match.end)}
            claimed = [truth for truth in document.truths if truth.claimed]
            self.values += len(claimed)
            self.covered += sum(spans.issuperset(range(truth.start, truth.end)) for truth in claimed)
            inside = {at for truth in document.truths for at in range(truth.lead, truth.end)}
            self.harmless += len(document.text) - len(inside)
            self.masked += len(spans - inside)


def table(scores: dict[str, Score]) -> str:
    """As Markdown."""
    lines = [
        "| detector | values | recall | matches | precision | inside other values | not claimed: found |",
        "|---|---:|---:|---:|---:|---|---:|",
    ]
    for name, score in scores.items():
        where = ", ".join(f"{kind} {count}" for kind, count in score.elsewhere.most_common() if kind != HARMLESS)
        gaps = f"{score.gaps_found} of {score.gaps}" if score.gaps else ""
        lines.append(
            f"| `{name}` | {score.values:,} | {score.recall:.2%} | {score.matches:,} | {score.precision:.2%} "
            f"| {where} | {gaps} |"
        )
    return "\n".join(lines)


def main(
    count: Annotated[int, typer.Option("--documents", min=1, help="How many documents.")] = 4_500,
    seed: Annotated[int, typer.Option(help="Another one makes other documents.")] = 1,
    examples: Annotated[bool, typer.Option("--examples", help="Show some of what went wrong.")] = False,
) -> None:
    """Measure how well the built-in detectors tell what they look for."""
    corpus = list(documents(count, seed))
    scores = measure(corpus)
    together = Together(corpus)
    print(f"{len(corpus):,} documents, {sum(len(document.text) for document in corpus):,} characters, seed {seed}\n")
    print(table(scores))
    print(f"\nAll together: {together.covered:,} of {together.values:,} values masked whole ", end="")
    print(
        f"({together.covered / together.values:.2%}); of {together.harmless:,} characters outside of values, ", end=""
    )
    print(f"{together.masked:,} were masked ({together.masked / together.harmless:.3%}).")
    for name, score in scores.items() if examples else ():
        for title, lines in (("missed", score.missed), ("wrong", score.wrong)):
            for line in lines[:EXAMPLES_MAX]:
                print(f"{name}: {title}: {line[:160]!r}")


if __name__ == "__main__":
    typer.run(main)
