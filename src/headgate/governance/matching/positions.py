"""The trees of patterns as one net of positions (Glushkov): which character may follow which. Nothing is run here.

A position is one place in one pattern that takes one character; repetitions are written out, except those without
end, which loop. A pattern whose end looks at the next character has *waits* behind its last positions: they take no
character, and say whether the match stands once the next one is known.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

from headgate.governance.matching.pattern import (
    POSITIONS_MAX,
    WORD,
    Branch,
    CharSet,
    Choice,
    Node,
    PatternError,
    Repeat,
    Sequence,
    parse,
)

WORD_BIT: Final = 1
"""In what is known of a character: it belongs to a word. Bits above are those of the net's other sets."""

ESCAPE: Final = (CharSet(frozenset("\\")), CharSet(frozenset("nrtbf")))
"""White space as code and JSON write it: the letter belongs to no word."""

FOLLOW_MAX: Final = 32 * POSITIONS_MAX
"""Pairs of positions of which one may follow the other, of one pattern: choices inside repetitions multiply."""


class Wait(NamedTuple):
    """A match of `rule` is complete, if the next character has none of the bits `without` and all of `having`."""

    rule: int
    without: int
    having: int

    def satisfied(self, bits: int) -> bool:
        return not bits & self.without and bits & self.having == self.having


class Entry(NamedTuple):
    """Positions where matches begin, if the previous character has none of the bits `without`."""

    without: int
    edge: bool
    """And if exactly one of the previous and the first character belongs to a word."""
    firsts: tuple[int, ...]


class End(NamedTuple):
    """A match of `rule` may end behind this position: at once, or if a wait is satisfied."""

    rule: int
    waits: tuple[int, int] | None = None
    """By whether the last character belongs to a word."""


class _Piece(NamedTuple):
    """Part of a pattern, laid out."""

    firsts: tuple[int, ...]
    lasts: tuple[int, ...]
    optional: bool


class Net:
    """The positions of all patterns of a policy."""

    def __init__(self) -> None:
        self.bits: list[int] = []
        """By position: the bit of its set."""
        self.follow: list[list[int]] = []
        """By position: what may come next; nothing behind a wait."""
        self.ends: dict[int, End] = {}
        self.waits: dict[int, Wait] = {}
        self.entries: list[Entry] = []
        self.sets: dict[CharSet, int] = {WORD: WORD_BIT}
        """The bit of each set."""
        self._escape: int | None = None
        """The letter of an escape, in front of the patterns that may stand behind one."""
        self._pairs = 0

    def add(self, rule: int, pattern: str, *, ignore_case: bool, escapes: bool = False) -> None:
        """Lay out a pattern of a rule; with `escapes` it matches behind an escape whatever it excludes there, and the
        match begins with the escape. Raises `PatternError`."""
        self._pairs = 0
        for branch in parse(pattern, ignore_case=ignore_case):
            firsts = self._add(rule, branch)
            if escapes and branch.not_before:
                self._behind_escape(firsts)

    def wait(self, rule: int, without: int, having: int = 0) -> int:
        """A new wait; its position."""
        at = self._position(0)
        self.waits[at] = Wait(rule, without, having)
        return at

    def within(self, allowed: int) -> Net:
        """The same net without the positions from which characters of these sets alone complete nothing."""
        before: list[list[int]] = [[] for _ in self.bits]
        for at, following in enumerate(self.follow):
            for behind in following:
                before[behind].append(at)
        reached = [at for at in self.ends if self.bits[at] & allowed]
        alive = set(reached)
        while reached:
            found = {at for at in before[reached.pop()] if self.bits[at] & allowed} - alive
            alive |= found
            reached += found
        made = Net()
        made.bits, made.ends, made.waits, made.sets = self.bits, self.ends, self.waits, self.sets
        made.follow = [[behind for behind in following if behind in alive] for following in self.follow]
        firsts = [tuple(first for first in entry.firsts if first in alive) for entry in self.entries]
        made.entries = [entry._replace(firsts=kept) for entry, kept in zip(self.entries, firsts, strict=True) if kept]
        return made

    def _behind_escape(self, firsts: tuple[int, ...]) -> None:
        if self._escape is None:
            mark, self._escape = self._position(self._bit(ESCAPE[0])), self._position(self._bit(ESCAPE[1]))
            self.follow[mark].append(self._escape)
            self.entries.append(Entry(0, False, (mark,)))
        self.follow[self._escape].extend(firsts)

    def _add(self, rule: int, branch: Branch) -> tuple[int, ...]:
        piece = self._lay(branch.body)
        self.entries.append(Entry(self._bits_of(branch.not_before), branch.edge_before, piece.firsts))
        without = self._bits_of(branch.not_after)
        end = End(rule)
        if branch.edge_after:
            end = End(rule, (self.wait(rule, without, WORD_BIT), self.wait(rule, without | WORD_BIT)))
        elif without:
            wait = self.wait(rule, without)
            end = End(rule, (wait, wait))
        self.ends.update(dict.fromkeys(piece.lasts, end))
        return piece.firsts

    def _bits_of(self, sets: tuple[CharSet, ...]) -> int:
        bits = 0
        for chars in sets:
            bits |= self._bit(chars)
        return bits

    def _bit(self, chars: CharSet) -> int:
        return self.sets.setdefault(chars, 1 << len(self.sets))

    def _position(self, bit: int) -> int:
        self.bits.append(bit)
        self.follow.append([])
        return len(self.bits) - 1

    def _lay(self, node: Node) -> _Piece:
        match node:
            case CharSet():
                at = (self._position(self._bit(node)),)
                return _Piece(at, at, optional=False)
            case Sequence(parts):
                return self._lay_sequence([self._lay(part) for part in parts])
            case Choice(parts):
                pieces = [self._lay(part) for part in parts]
                firsts = tuple(first for piece in pieces for first in piece.firsts)
                lasts = tuple(last for piece in pieces for last in piece.lasts)
                return _Piece(firsts, lasts, any(piece.optional for piece in pieces))
            case Repeat():
                return self._lay_repeat(node)

    def _lay_sequence(self, pieces: list[_Piece]) -> _Piece:
        firsts: tuple[int, ...] = ()
        lasts: tuple[int, ...] = ()
        optional = True
        for piece in pieces:
            self._join(lasts, piece.firsts)
            firsts = firsts + piece.firsts if optional else firsts
            lasts = lasts + piece.lasts if piece.optional else piece.lasts
            optional = optional and piece.optional
        return _Piece(firsts, lasts, optional)

    def _lay_repeat(self, repeat: Repeat) -> _Piece:
        """Copies in a row; each of those that may be missing is reached only through the one in front of it."""
        copies = max(repeat.least, 1) if repeat.most is None else repeat.most
        pieces = [self._lay(repeat.part) for _ in range(copies)]
        # What may be empty is as well repeated fewer times: no copy of it has to be skipped.
        least = 0 if pieces[0].optional else repeat.least
        for before, piece in pairwise(pieces):
            self._join(before.lasts, piece.firsts)
        if repeat.most is None:
            self._join(pieces[-1].lasts, pieces[-1].firsts)
        lasts = tuple(last for piece in pieces[max(least - 1, 0) :] for last in piece.lasts)
        return _Piece(pieces[0].firsts, lasts, least == 0)

    def _join(self, lasts: tuple[int, ...], firsts: tuple[int, ...]) -> None:
        self._pairs += len(lasts) * len(firsts)
        if self._pairs > FOLLOW_MAX:
            raise PatternError("there are too many ways through this; repeat fewer alternatives", 0)
        for last in lasts:
            self.follow[last].extend(firsts)
