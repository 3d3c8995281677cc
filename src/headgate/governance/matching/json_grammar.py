"""What punctuation JSON allows where: enough to know whether a text is still JSON, and nothing of what it says."""

from __future__ import annotations

from enum import Enum
from typing import Final

DEPTH_MAX: Final = 512
"""Nesting beyond which a text counts as no JSON: far more than any reader takes, and what we keep stays small."""


class _Expects(Enum):
    VALUE = 1
    VALUE_OR_END = 2
    KEY = 3
    KEY_OR_END = 4
    COLON = 5
    NEXT = 6
    """A comma or an end; outside of everything: nothing."""


_VALUE: Final = frozenset({_Expects.VALUE, _Expects.VALUE_OR_END})
_KEY: Final = frozenset({_Expects.KEY, _Expects.KEY_OR_END})
_END_OF: Final = {
    "}": ("{", frozenset({_Expects.KEY_OR_END, _Expects.NEXT})),
    "]": ("[", frozenset({_Expects.VALUE_OR_END, _Expects.NEXT})),
}


class Grammar:
    """Every method says whether JSON allows this here; after the first no, nothing that is said means anything."""

    __slots__ = ("_expects", "_open")

    def __init__(self) -> None:
        self._open: list[str] = []
        self._expects = _Expects.VALUE

    def value(self) -> bool:
        """A number or a literal."""
        if self._expects not in _VALUE:
            return False
        self._expects = _Expects.NEXT
        return True

    def value_then(self, mark: str) -> bool:
        return self.value() and self.mark(mark)

    def string(self) -> bool:
        """A string: a value, or a key."""
        if self._expects in _KEY:
            self._expects = _Expects.COLON
            return True
        return self.value()

    def mark(self, mark: str) -> bool:
        """One of ``{}[],:``."""
        if mark in "{[":
            allowed = self._expects in _VALUE and len(self._open) < DEPTH_MAX
            self._open.append(mark)
            self._expects = _Expects.KEY_OR_END if mark == "{" else _Expects.VALUE_OR_END
            return allowed
        if mark == ":":
            allowed = self._expects is _Expects.COLON
            self._expects = _Expects.VALUE
            return allowed
        if not self._open:
            return False
        if mark == ",":
            allowed = self._expects is _Expects.NEXT
            self._expects = _Expects.KEY if self._open[-1] == "{" else _Expects.VALUE
            return allowed
        opened, when = _END_OF[mark]
        allowed = self._expects in when and self._open.pop() == opened
        self._expects = _Expects.NEXT
        return allowed
