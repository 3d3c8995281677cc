"""A list of literal terms as a part of the automaton: sorted, and searched by halving.

A thread is an interval of the list: the terms that begin with what was read so far. A character narrows it. So a list
costs its own memory and a sort, whether it has ten terms or a hundred thousand, and no tree is built.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final, NamedTuple

from headgate.governance.matching.folding import ZERO_WIDTH, literal
from headgate.governance.matching.pattern import PatternError

LAST_CHAR: Final = "\U0010ffff"


class Span(NamedTuple):
    """The terms `first` to `last` (exclusive) of a list agree in `depth` characters, and those were read."""

    list_index: int
    first: int
    last: int
    depth: int


class _Literals(dict[int, str]):
    """What `str.translate` makes of each character; filled as characters come, because there are a million."""

    def __init__(self, *, ignore_case: bool) -> None:
        super().__init__()
        self._ignore_case = ignore_case

    def __missing__(self, code: int) -> str:
        char = chr(code)
        self[code] = made = "" if char in ZERO_WIDTH else literal(char, ignore_case=self._ignore_case)
        return made


class TermList:
    """The terms of one source."""

    def __init__(self, index: int, terms: Iterable[str], *, ignore_case: bool) -> None:
        self._index = index
        self.ignore_case = ignore_case
        table = _Literals(ignore_case=ignore_case)
        self._terms = sorted({form.translate(table) for term in terms for form in _forms(term)})
        if self._terms[:1] == [""]:
            raise PatternError("a term is empty", 0)
        self.alphabet = frozenset().union(*self._terms)
        self.root = Span(index, 0, len(self._terms), 0)

    def narrow(self, span: Span, char: str) -> Span | None:
        """The terms that go on with this character (a `literal`)."""
        terms, depth = self._terms, span.depth
        prefix = terms[span.first][:depth] + char
        first = bisect_left(terms, prefix, span.first, span.last)
        if first == span.last or not terms[first].startswith(prefix):
            return None
        last = span.last
        if char < LAST_CHAR:
            last = bisect_left(terms, prefix[:depth] + chr(ord(char) + 1), first, last)
        return Span(self._index, first, last, depth + 1)

    def complete(self, span: Span) -> bool:
        """Whether what was read is a term itself; in the order of the list it is the first that begins so."""
        return len(self._terms[span.first]) == span.depth

    def goes_on(self, span: Span) -> bool:
        """Whether a longer term begins with what was read."""
        return span.last - span.first > self.complete(span)


def _forms(term: str) -> tuple[str, ...]:
    """How a term may be written: an accent is part of its letter, or a character behind it."""
    if term.isascii():
        return (term,)
    return term, unicodedata.normalize("NFC", term), unicodedata.normalize("NFD", term)
