"""Numbers of output items, once some of them did not pass.

Readers of the Responses dialect take ``output_index`` and ``content_index`` for places in a list: a gap would break
them. Every other dialect numbers parts by the log, and needs nothing of this.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Any, Final

from headgate.events import Extra

_ITEM: Final = "output_index"
_INSIDE: Final = ("content_index", "summary_index")


class Grouping:
    """The items and content parts of one answer that did not pass."""

    __slots__ = ("_items", "_pieces")

    def __init__(self) -> None:
        self._items: list[int] = []
        self._pieces: dict[tuple[int, str], list[int]] = {}

    def leave_out(self, extra: Extra | None) -> None:
        """A part that does not pass: a whole item, or one part of an item."""
        place = (extra.choice if extra is not None else None) or {}
        item = place.get(_ITEM)
        if type(item) is not int:
            return
        for name in _INSIDE:
            if type(place.get(name)) is int:
                insort(self._pieces.setdefault((item, name), []), place[name])
                return
        insort(self._items, item)

    def closed_up(self, extra: Extra | None) -> Extra | None:
        """The same extra with the numbers that its item and its part have now."""
        if extra is None or not (self._items or self._pieces):
            return extra
        return Extra(self._renumbered(extra.response), self._renumbered(extra.choice), extra.delta)

    def _renumbered(self, fields: dict[str, Any] | None) -> dict[str, Any] | None:
        item = fields.get(_ITEM) if fields is not None else None
        if fields is None or type(item) is not int:
            return fields
        found = fields | {_ITEM: item - bisect_left(self._items, item)}
        for name in _INSIDE:
            if type(fields.get(name)) is int:
                found[name] = fields[name] - bisect_left(self._pieces.get((item, name), []), fields[name])
        return found
