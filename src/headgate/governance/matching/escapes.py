"""The matches in a whole text, read twice: as it stands, and with JSON's escapes undone.

Results of tools are JSON in a string, as often as not. There the ``n`` in ``card:\\n4111...`` is no letter, and
``\\u0040`` is an at sign. Offsets are always those of the text as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Final, NamedTuple

from headgate.governance.matching.automaton import Automaton
from headgate.governance.matching.json_text import ESCAPE, decoded
from headgate.governance.matching.scanner import MEMO_CHARS_MAX, Found, Scanner

SLICE_CHARS: Final = 4_096
"""Read between two looks at how much that was."""
_WORDS: Final = re.compile(rf"\s*\S{{0,{MEMO_CHARS_MAX - 1}}}")


class Findings(NamedTuple):
    """What was found in a text."""

    matches: list[Found]
    """In order of their beginning. Those of the two readings may overlap."""
    end: int
    """Up to where the text was judged: a match that goes on and on, or is cut off, has no end."""


def found_in(automaton: Automaton, text: str, *, cut: bool = False) -> Generator[int, None, Findings]:
    """What both readings find, each match of a rule once. Yields after each slice how many characters that was.

    `cut`: the text went on, and what might have become a match is not judged.
    """
    read = yield from _read(automaton, text, cut=cut)
    if "\\" not in text:
        return read
    plain, places = _unescaped(text)
    again = yield from _read(automaton, plain, cut=cut)
    matches = [found._replace(start=places[found.start], end=places[found.end]) for found in again.matches]
    ends: dict[int, int] = {}
    kept: list[Found] = []
    for found in sorted((*read.matches, *matches), key=lambda found: (found.start, -found.end, found.rule)):
        if found.end > ends.get(found.rule, 0):
            ends[found.rule] = found.end
            kept.append(found)
    return Findings(kept, min(read.end, places[again.end]))


def find_in(automaton: Automaton, text: str, *, cut: bool = False) -> Findings:
    """As `found_in`, at once."""
    finding = found_in(automaton, text, cut=cut)
    while True:
        try:
            next(finding)
        except StopIteration as done:
            findings: Findings = done.value
            return findings


def _read(automaton: Automaton, text: str, *, cut: bool) -> Generator[int, None, Findings]:
    """The scanner is fed words, which it remembers: twice as fast as whole slices on prose."""
    scanner = Scanner(automaton)
    matches: list[Found] = []
    for at in range(0, len(text), SLICE_CHARS):
        for word in _WORDS.findall(text, at, at + SLICE_CHARS):
            out = scanner.feed(word)
            if type(out) is not str:
                matches += [piece for piece in out if isinstance(piece, Found)]
        yield min(SLICE_CHARS, len(text) - at)
    matches += [piece for piece in ("" if cut else scanner.finish()) if isinstance(piece, Found)]
    return Findings(matches, scanner.decided)


def _unescaped(text: str) -> tuple[str, list[int]]:
    """The text, and where each of its characters begins in the one that was given."""
    chars: list[str] = []
    places: list[int] = []
    at = 0
    for escape in ESCAPE.finditer(text):
        meant = decoded(escape[0])
        if len(meant) == 1:  # JSON knows it
            chars += [text[at : escape.start()], meant]
            places += range(at, escape.start() + 1)
            at = escape.end()
    return "".join([*chars, text[at:]]), [*places, *range(at, len(text) + 1)]
