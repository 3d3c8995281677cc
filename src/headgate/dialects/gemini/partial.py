"""Arguments of a call that come piece by piece (``partialArgs``) -> the JSON text of the whole.

A piece names its place by a JSON path (RFC 9535) of names and indices alone, such as ``$.stops[0]['city name']``. A
string may come in several pieces, one after the other; they are joined once, at its end.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Final

import msgspec

from headgate.dialects.fields import MalformedError, storable, typed

STEPS_MAX: Final = 32
"""Depth of a place; real ones have less than ten."""

_STEP: Final = re.compile(
    r"""\.(?P<name>[^\s.\[\]'"$@*]+) | \[(?P<index>\d{1,9})\] | \[(?P<quote>['"])(?P<quoted>(?:[^\\]|\\.)*?)(?P=quote)\]""",
    re.VERBOSE,
)
_ESCAPED: Final = re.compile(r"\\(.)")


class PartialArguments:
    """The arguments of one call so far. Both methods raise `MalformedError` on what makes no object."""

    def __init__(self) -> None:
        self._root: dict[str, Any] = {}
        self._open = ""  # path of the string that goes on
        self._pieces: list[str] = []

    def merge(self, fields: dict[str, Any]) -> None:
        """Arguments that came whole."""
        self._close()
        self._root.update(fields)

    def feed(self, piece: dict[str, Any]) -> None:
        """One element of ``partialArgs``."""
        path = typed(piece.get("jsonPath"), str, "the path of a partial argument")
        text = piece.get("stringValue")
        if path != self._open:
            self._close()
        if text is not None:
            self._open = path
            self._pieces.append(typed(text, str, "a partial argument's string"))
            if piece.get("willContinue") is not True:
                self._close()
            return
        self._close()
        value = piece.get("boolValue")
        self._set(path, piece.get("numberValue") if value is None else value)

    def text(self) -> str:
        """The whole, as compact JSON."""
        self._close()
        return msgspec.json.encode(storable(self._root)).decode()

    def _close(self) -> None:
        if self._open:
            path, self._open = self._open, ""
            text = "".join(self._pieces)
            self._pieces.clear()
            self._set(path, text)

    def _set(self, path: str, value: Any) -> None:
        steps = _steps(path)
        place: Any = self._root
        for step, following in pairwise(steps):
            place = _enter(place, step, [] if type(following) is int else {})
        _enter(place, steps[-1], value, replaces=True)


def _enter(place: Any, step: str | int, value: Any, *, replaces: bool = False) -> Any:
    """What stands at `step` of a container: what is there, or else `value`."""
    if type(place) is list and type(step) is int and step <= len(place):
        if step == len(place):
            place.append(value)
        elif replaces:
            place[step] = value
        return place[step]
    if type(place) is dict and type(step) is str:
        if replaces:
            place[step] = value
        return place.setdefault(step, value)
    raise MalformedError("a partial argument does not fit the others")


def _steps(path: str) -> list[str | int]:
    """Names and indices of a path; at least one."""
    steps: list[str | int] = []
    position = 1
    while position < len(path) and path[0] == "$" and len(steps) < STEPS_MAX:
        step = _STEP.match(path, position)
        if step is None:
            break
        position = step.end()
        if step["index"] is not None:
            steps.append(int(step["index"]))
        else:
            steps.append(step["name"] or _ESCAPED.sub(r"\1", step["quoted"] or ""))
    if not steps or position < len(path):
        raise MalformedError("the path of a partial argument is none of names and indices")
    return steps
