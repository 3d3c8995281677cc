"""The strings of a whole JSON text as one text to be judged, and the JSON with some of them replaced.

For the gated lane, whose rules judge meaning: they see keys, values and long numbers one per line, decoded, and what
they object to is replaced string by string, so that arguments stay JSON and keep their structure. What is no JSON, or
nested beyond all measure, is one string.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, Final

DEPTH_MAX: Final = 200
"""Nesting of a text that is gone into: far more than calls have. Reading and writing recurse."""
DIGITS_FREE: Final = 6
"""Numbers with no more characters than this are not judged: too short for a secret, as in `fields`."""


class _Pairs:
    """An object, with names that occur twice as often as they do: readers differ in which they take."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


class JsonValues:
    """The strings of a text that is complete."""

    def __init__(self, text: str) -> None:
        self._strings: list[str] = []
        try:
            self._tree = json.loads(
                text, object_pairs_hook=_Pairs, parse_int=_Number, parse_float=_Number, parse_constant=_Number
            )
            self._collect(self._tree, DEPTH_MAX)
            self._is_json = True
        except (ValueError, RecursionError):
            self._strings = [text]
            self._is_json = False
        self._starts = [0]
        for string in self._strings:
            self._starts.append(self._starts[-1] + len(string) + 1)

    @property
    def text(self) -> str:
        """What is judged."""
        return "\n".join(self._strings)

    def string(self, number: int) -> str:
        return self._strings[number]

    def hit(self, start: int, end: int) -> range:
        """Numbers of the strings that a range of `text` touches."""
        return range(
            bisect_right(self._starts, start) - 1, min(bisect_right(self._starts, end - 1), len(self._strings))
        )

    def replaced(self, masks: Mapping[int, str]) -> str:
        """The JSON with a mask in place of each of these strings."""
        if not self._is_json:
            return masks.get(0, self._strings[0])
        text = _Writing(masks, ascii=False).written(self._tree)
        return text if text.isprintable() or _is_storable(text) else _Writing(masks, ascii=True).written(self._tree)

    def _collect(self, value: Any, depth: int) -> None:
        if depth < 0:
            raise ValueError("nested too deeply")
        if isinstance(value, str):
            if _is_judged(value):
                self._strings.append(str(value))
        elif isinstance(value, _Pairs):
            for key, item in value.pairs:
                self._strings.append(key)
                self._collect(item, depth - 1)
        elif isinstance(value, list):
            for item in value:
                self._collect(item, depth - 1)


class _Writing:
    """Writes a tree again, with masks in it; strings are counted in the order in which they were found."""

    def __init__(self, masks: Mapping[int, str], *, ascii: bool) -> None:
        self._masks = masks
        self._ascii = ascii
        self._number = -1

    def written(self, value: Any) -> str:
        if isinstance(value, str):
            return self._string(value)
        if isinstance(value, _Pairs):
            pairs = {self._string(key): self.written(item) for key, item in value.pairs}
            return "{" + ",".join([f"{key}:{item}" for key, item in pairs.items()]) + "}"
        if isinstance(value, list):
            return "[" + ",".join([self.written(item) for item in value]) + "]"
        return json.dumps(value)

    def _string(self, value: str) -> str:
        mask = None
        if _is_judged(value):
            self._number += 1
            mask = self._masks.get(self._number)
        if mask is None and type(value) is _Number:
            return value
        return json.dumps(str(value) if mask is None else mask, ensure_ascii=self._ascii)


def _is_judged(value: str) -> bool:
    return type(value) is not _Number or len(value) > DIGITS_FREE


def _is_storable(text: str) -> bool:
    """Whether it can be written as UTF-8: half of a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
