"""What a policy leaves of a text, said once more as slowly and plainly as it can be: every start, every end, stdlib `re`.

Nothing of the product is used here but the record that a rule is. Characters fold by a table of their own, which has
those that tests are made of.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from headgate.governance.matching.automaton import Source

INVISIBLE: Final = "\u200b\u200d\u00ad"
LOOKS: Final = {"\u0430": "a", "\uff41": "a", "\uff20": "@", "\u0410": "A", "\uff11": "1", "\u03bf": "o"}
"""Cyrillic small and capital a, full-width a, at and one, Greek omicron."""

Piece = str | tuple[int, int, int]
"""Clear text, or start, end and rule of a match."""


def redact(sources: Sequence[Source], text: str) -> list[Piece]:
    """Clear text and matches, in order."""
    seen = [index for index, char in enumerate(text) if char not in INVISIBLE]
    folded = "".join(LOOKS.get(text[index], text[index]) for index in seen)
    pieces: list[Piece] = []
    done = at = 0
    while at < len(folded):
        match = _longest(sources, text, folded, seen, at)
        if match is None:
            at += 1
            continue
        length, rule = match
        start, end = seen[at], seen[at + length - 1] + 1
        pieces += [text[done:start], (start, end, rule)]
        done, at = end, at + length
    return [piece for piece in (*pieces, text[done:]) if piece]


def _longest(sources: Sequence[Source], text: str, folded: str, seen: list[int], at: int) -> tuple[int, int] | None:
    for end in range(len(folded), at, -1):
        for rule, source in enumerate(sources):
            raw = text[seen[at] : seen[end - 1] + 1]
            if _matches(source, folded, at, end) and (source.check is None or source.check(raw)):
                return end - at, rule
    return None


def _matches(source: Source, folded: str, at: int, end: int) -> bool:
    expressions = list(source.patterns)
    for term in source.terms:
        literal = re.escape("".join(LOOKS.get(char, char) for char in term if char not in INVISIBLE))
        expressions.append(rf"(?<!\w){literal}(?!\w)" if source.words else literal)
    return any(
        _compiled(expression, len(folded) - end, source.ignore_case).match(folded, at) for expression in expressions
    )


@lru_cache(maxsize=100_000)
def _compiled(expression: str, behind: int, ignore_case: bool) -> re.Pattern[str]:
    """A match has to leave exactly so many characters behind it."""
    return re.compile(rf"(?:{expression})(?=[\s\S]{{{behind}}}\Z)", re.IGNORECASE if ignore_case else 0)
