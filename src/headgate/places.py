"""Where the settings of a TOML text stand: the parser keeps values, and forgets their lines.

It reads no values and checks nothing; it is for texts that the parser has taken. What it does not understand has the
line of what it stands in: a place is a help for people, and never the reason that something fails.
"""

from __future__ import annotations

import re
from typing import Final

Location = tuple[str | int, ...]
"""Keys and positions that lead to a setting."""
Problem = tuple[Location, str]
"""What is wrong, and where."""

_SPACE: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING: Final = re.compile(r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'', re.DOTALL)
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR: Final = re.compile(r"[^,\]}#\n]+")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))")
LEVELS_MAX: Final = 64
"""Arrays and tables inside each other that are looked into; the finder recurses."""
ELEMENTS_MAX: Final = 10_000
"""Of one array: those behind have the line of the array. A list of terms may have a million."""


def dotted(location: Location) -> str:
    """A place as people write it: ``routes[0].to``."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


class Places:
    """Finds the line of a setting."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines: dict[Location, int] = {}
        self._counts: dict[Location, int] = {}
        self._counted = (0, 1)  # an offset, and its line
        self._read()

    def of(self, location: Location) -> str:
        """``line 3: providers[0].base_url``, or without a line for what is nowhere in the text."""
        line = self.line(location)
        return f"line {line}: {dotted(location)}" if line else dotted(location)

    def line(self, location: Location) -> int:
        """The line of a setting, or of what it stands in; 0 for what is nowhere in the text."""
        ends = range(len(location), 0, -1)
        return next((line for end in ends if (line := self._lines.get(location[:end]))), 0)

    def _read(self) -> None:
        table: Location = ()
        while self._skip() < len(self._text):
            at = self._at
            if self._text[at] == "[":
                table = self._header()
            elif not self._pair(table, 0):
                self._at = max(self._at, at + 1)

    def _header(self) -> Location:
        """The table that a header opens: a name of an array of tables stands for its last element."""
        many = self._text.startswith("[[", self._at)
        line = self._line()
        self._at += 2 if many else 1
        keys = self._keys()
        end = self._text.find("\n", self._at)
        self._at = len(self._text) if end < 0 else end
        table: Location = ()
        for index, key in enumerate(keys):
            table = (*table, key)
            if index < len(keys) - 1 and table in self._counts:
                table = (*table, self._counts[table] - 1)
        if many:
            number = self._counts.get(table, 0)
            self._counts[table] = number + 1
            self._lines.setdefault(table, line)
            table = (*table, number)
        self._lines.setdefault(table, line)
        return table

    def _pair(self, table: Location, level: int) -> bool:
        line, keys = self._line(), self._keys()
        if not keys or self._skip() >= len(self._text) or self._text[self._at] != "=":
            return False
        for end in range(1, len(keys) + 1):
            self._lines.setdefault((*table, *keys[:end]), line)
        self._at += 1
        self._skip()
        self._value((*table, *keys), level)
        return True

    def _keys(self) -> list[str]:
        """A key, dotted or not."""
        keys: list[str] = []
        while self._skip() < len(self._text):
            found = _STRING.match(self._text, self._at) or _BARE.match(self._text, self._at)
            if found is None:
                break
            keys.append(_plain(found.group()))
            self._at = found.end()
            if self._skip() >= len(self._text) or self._text[self._at] != ".":
                break
            self._at += 1
        return keys

    def _value(self, location: Location, level: int) -> None:
        found = _STRING.match(self._text, self._at)
        opening = self._text[self._at : self._at + 1]
        if found is not None:
            self._at = found.end()
        elif opening in ("[", "{") and opening:
            self._inside(location, level + 1, closing="]" if opening == "[" else "}")
        elif (scalar := _SCALAR.match(self._text, self._at)) is not None:
            self._at = scalar.end()

    def _inside(self, location: Location, level: int, *, closing: str) -> None:
        """The elements of an array, or the pairs of a table on one line."""
        self._at += 1
        number = 0
        while self._skip() < len(self._text) and self._text[self._at] != closing and level < LEVELS_MAX:
            before = self._at
            if self._text[before] == ",":
                number += 1
                self._at += 1
            elif closing == "]":
                if number < ELEMENTS_MAX:
                    self._lines.setdefault((*location, number), self._line())
                self._value((*location, number), level)
            else:
                self._pair(location, level)
            self._at = max(self._at, before + 1)
        self._at += 1

    def _skip(self) -> int:
        """Past white space and comments; the offset there."""
        found = _SPACE.match(self._text, self._at)
        assert found is not None
        self._at = found.end()
        return self._at

    def _line(self) -> int:
        offset, line = self._counted
        line += self._text.count("\n", offset, self._at)
        self._counted = (self._at, line)
        return line


def _plain(key: str) -> str:
    """A key without its quotes."""
    if key.startswith("'"):
        return key.strip("'")
    if key.startswith('"'):
        return _ESCAPE.sub(lambda found: chr(int(found[1] or found[2], 16)) if not found[3] else found[3], key[1:-1])
    return key
