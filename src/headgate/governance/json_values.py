"""The strings of a whole JSON text as one text to be judged, and the JSON with some of them replaced.

For the gated lane, whose rules judge meaning: they see keys and values one per line, decoded, and what they object to
is replaced string by string, so that arguments stay JSON and keep their structure. What is no JSON is one string.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any


class _Pairs:
    """An object, with names that occur twice as often as they do: readers differ in which they take."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self.pairs = pairs


class JsonValues:
    """The strings of a text that is complete."""

    def __init__(self, text: str) -> None:
        self._strings: list[str] = []
        try:
            self._tree = json.loads(text, object_pairs_hook=_Pairs)
            self._collect(self._tree)
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
        self._number = -1
        tree = self._with(self._tree, masks)
        text = json.dumps(tree, ensure_ascii=False, separators=(",", ":"))
        return text if text.isprintable() or _is_storable(text) else json.dumps(tree, separators=(",", ":"))

    def _collect(self, value: Any) -> None:
        if isinstance(value, str):
            self._strings.append(value)
        elif isinstance(value, _Pairs):
            for key, item in value.pairs:
                self._strings.append(key)
                self._collect(item)
        elif isinstance(value, list):
            for item in value:
                self._collect(item)

    def _with(self, value: Any, masks: Mapping[int, str]) -> Any:
        """`value` with masks in it; strings are counted in the order in which `_collect` found them."""
        if isinstance(value, str):
            self._number += 1
            return masks.get(self._number, value)
        if isinstance(value, _Pairs):
            return {self._with(key, masks): self._with(item, masks) for key, item in value.pairs}
        if isinstance(value, list):
            return [self._with(item, masks) for item in value]
        return value


def _is_storable(text: str) -> bool:
    """Whether it can be written as UTF-8: half of a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
