"""Matches of deterministic rules in the whole parts of one choice: each part by itself, and all of them as one text.

What a gate in the stream cannot see is a secret that stands across two parts: each holds a half that is none. Parts
that are JSON are judged as the stream judges them, value by value.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from headgate.events import PartKind
from headgate.governance.matching.automaton import Automaton
from headgate.governance.matching.json_text import JsonFound, JsonScanner
from headgate.governance.matching.scanner import Found, Scanner, joined
from headgate.governance.ruleset import ActiveRule
from headgate.governance.texts import PartText

SHOWN: Final = frozenset({PartKind.TEXT, PartKind.REFUSAL})
"""Kinds that readers see as one answer; reasoning and calls may stand between their parts."""


class Match(NamedTuple):
    """One match. Offsets are code points of the text of `part`, where it begins; it may end beyond that part."""

    part: int
    start: int
    end: int
    rule: int
    text: str
    crossing: bool
    """It ends in another part than it begins in."""
    found: Found | JsonFound


class Findings(NamedTuple):
    """What was found in the parts of a choice."""

    matches: list[Match]
    complete: bool
    """False: a candidate outgrew the longest match there is, and what follows it is not judged."""


class Placeholders:
    """Finds what masks have left in a text. A rule may match there: one for the word ``project`` leaves ``[project]``."""

    def __init__(self, rules: Iterable[ActiveRule]) -> None:
        masks = {rule.mask for rule in rules if rule.mask}
        spelled = masks | {msgspec.json.encode(mask).decode()[1:-1] for mask in masks}
        numbered = {rf"\[{re.escape(mask[1:-1])}_\d{{1,5}}\]" for mask in masks if mask[0] + mask[-1] == "[]"}
        ways = [*numbered, *(re.escape(mask) for mask in sorted(spelled, key=len, reverse=True))]
        self._pattern = re.compile("|".join(ways)) if ways else None

    def ranges(self, text: str) -> list[tuple[int, int]]:
        return [found.span() for found in self._pattern.finditer(text)] if self._pattern is not None else []


def outside(matches: Sequence[Match], parts: Sequence[PartText], placeholders: Placeholders) -> list[Match]:
    """The matches that no placeholder explains."""
    ranges = {part.part: placeholders.ranges(part.text) for part in parts}
    return [match for match in matches if not _inside(match, ranges[match.part])]


def _inside(match: Match, ranges: Sequence[tuple[int, int]]) -> bool:
    before = bisect_right(ranges, match.start, key=lambda bounds: bounds[0]) - 1
    return before >= 0 and match.end <= ranges[before][1]


def is_json(part: PartText, *, json_text: bool) -> bool:
    """Whether a part's text is JSON: arguments of calls are, and answers where JSON was asked for."""
    return part.kind is PartKind.TOOL_CALL or (json_text and part.kind is PartKind.TEXT)


def find(automaton: Automaton, parts: Sequence[PartText], *, json_text: bool) -> Findings:
    """All matches in these parts of one choice."""
    findings = Findings([], True)
    if automaton.empty:
        return findings
    complete = True
    for part in parts:
        scanner = JsonScanner(automaton) if is_json(part, json_text=json_text) else Scanner(automaton)
        given = [scanner.feed(part.text), scanner.finish()]
        complete = complete and not scanner.overlong
        for pieces in given:
            for found in pieces if isinstance(pieces, list) else ():
                if not isinstance(found, str):
                    findings.matches.append(Match(part.part, *found[:4], False, found))
    crossing: dict[tuple[int, int, int, int], Match] = {}
    shown = [part for part in parts if part.kind in SHOWN]
    for texts in [parts] if len(shown) == len(parts) else [parts, shown]:
        across, whole = _across(automaton, texts)
        complete = complete and whole
        crossing.update({match[:4]: match for match in across})
    return Findings([*findings.matches, *crossing.values()], complete)


def _across(automaton: Automaton, parts: Sequence[PartText]) -> tuple[list[Match], bool]:
    """Matches in the texts joined that no part holds alone."""
    matches: list[Match] = []
    if len(parts) < 2:
        return matches, True
    scanner = Scanner(automaton)
    pieces = joined([*(scanner.feed(part.text) for part in parts), scanner.finish()])
    index, begin = 0, 0
    for found in pieces:
        if isinstance(found, str):
            continue
        while found.start >= begin + len(parts[index].text):
            begin += len(parts[index].text)
            index += 1
        start, end = found.start - begin, found.end - begin
        if end > len(parts[index].text):
            matches.append(Match(parts[index].part, start, end, found.rule, found.text, True, found))
    return matches, not scanner.overlong


def masked(text: str, ranges: Sequence[tuple[int, int, str]]) -> str:
    """`text` with these ranges replaced; of overlapping ones all is replaced, by what the first has."""
    pieces, at = [], 0
    for start, end, mask in sorted(ranges):
        if start >= at:
            pieces += [text[at:start], mask]
        at = max(at, end)
    return "".join([*pieces, text[at:]])
