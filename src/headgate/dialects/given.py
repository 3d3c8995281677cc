"""An object of a client's body while it is read: what is taken out of it is placed, what is left is named.

Null, ``""``, ``[]`` and ``{}`` ask for nothing, so a field that holds one of them is never left over. False and 0 are
values like others. The few fields that an empty object switches on are taken and named by the dialect that has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from headgate.errors import RequestError

_NOTHING: Final[tuple[Any, ...]] = (None, "", [], {})


def invalid(at: str, words: str) -> RequestError:
    """The refusal of a value that is not what it must be."""
    return RequestError("invalid_request", f"'{at}' must be {words}.", param=at)


class Given:
    """The fields of the object that stands at `at` in the client's body; `unplaced` is shared by the whole reading.

    Every method that takes a field out raises `RequestError` ``invalid_request`` where its type is wrong; null is absent.
    """

    __slots__ = ("_at", "_fields", "unplaced")

    def __init__(self, fields: Any, at: str, unplaced: list[str]) -> None:
        if type(fields) is not dict:
            raise invalid(at, "an object")
        self._fields: dict[str, Any] = dict(fields)
        self._at = at
        self.unplaced = unplaced

    def path(self, field: str) -> str:
        """Where a field stands in the client's body."""
        return f"{self._at}.{field}" if self._at else field

    def has(self, field: str) -> bool:
        return self._fields.get(field) is not None

    def take(self, field: str) -> Any:
        """Any value."""
        return self._fields.pop(field, None)

    def text(self, field: str) -> str:
        """A string; empty for none."""
        value = self._fields.pop(field, None)
        if value is not None and type(value) is not str:
            raise invalid(self.path(field), "a string")
        return value or ""

    def required_text(self, field: str) -> str:
        value = self._fields.pop(field, None)
        if type(value) is not str:
            raise invalid(self.path(field), "a string")
        return value

    def flag(self, field: str) -> bool | None:
        value = self._fields.pop(field, None)
        if value is not None and type(value) is not bool:
            raise invalid(self.path(field), "a boolean")
        return value

    def integer(self, field: str) -> int | None:
        value = self._fields.pop(field, None)
        if value is not None and type(value) is not int:
            raise invalid(self.path(field), "an integer")
        return value

    def number(self, field: str) -> float | None:
        value = self._fields.pop(field, None)
        if value is None or type(value) is int or type(value) is float:
            return value
        raise invalid(self.path(field), "a number")

    def mapping(self, field: str) -> dict[str, Any] | None:
        """An object that is kept as it came."""
        value = self._fields.pop(field, None)
        if value is not None and type(value) is not dict:
            raise invalid(self.path(field), "an object")
        return value

    def object(self, field: str) -> Given:
        """An object that is read on; it must be there."""
        return Given(self._fields.pop(field, None), self.path(field), self.unplaced)

    def objects(self, field: str) -> Iterator[tuple[str, Given]]:
        """Path and fields of each object in an array; none for no array."""
        value = self._fields.pop(field, None)
        if value is not None and type(value) is not list:
            raise invalid(self.path(field), "an array")
        for index, item in enumerate(value or ()):
            at = f"{self.path(field)}[{index}]"
            yield at, Given(item, at, self.unplaced)

    def leave(self, at: str = "") -> None:
        """Name this whole object, or what stands at `at` inside it, as unplaced."""
        self.unplaced.append(at or self._at)

    def end(self) -> None:
        """Name whatever was not taken."""
        self.unplaced += [self.path(field) for field, value in self._fields.items() if value not in _NOTHING]
