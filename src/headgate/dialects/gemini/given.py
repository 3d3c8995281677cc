"""An object of a client's body, whose fields Google takes in camelCase and in snake_case alike.

Fields are asked for in camelCase; errors and ``unplaced`` name them as the client spelt them. A field that is there in
both spellings counts in the first. Numbers that must be whole may be written as ``40.0``, as the official SDK does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from headgate.dialects import given
from headgate.dialects.given import invalid

_WORD: Final = re.compile(r"_+([a-zA-Z0-9])")


def camel(name: str) -> str:
    """``max_output_tokens`` -> ``maxOutputTokens``; what is camelCase stays."""
    return _WORD.sub(lambda found: found[1].upper(), name) if "_" in name else name


class Given(given.Given):
    """See `headgate.dialects.given.Given`."""

    __slots__ = ("_spelt",)

    def __init__(self, fields: Any, at: str, unplaced: list[str]) -> None:
        super().__init__(fields, at, unplaced)
        self._spelt: dict[str, str] = {}
        renamed: dict[str, Any] = {}
        for name, value in self._fields.items():
            known = camel(name)
            if known in renamed and value is not None:
                unplaced.append(self.path(name))
                continue
            renamed[known] = value
            self._spelt[known] = name
        self._fields = renamed

    def path(self, field: str) -> str:
        return super().path(self._spelt.get(field, field))

    def word(self, field: str) -> str:
        """An enum's value, in upper case; empty for none and for the unspecified one."""
        value = self.text(field).upper()
        return "" if value.endswith("_UNSPECIFIED") else value

    def integer(self, field: str) -> int | None:
        value = self._fields.get(field)
        if type(value) is float and value.is_integer():
            self._fields[field] = int(value)
        return super().integer(field)

    def strings(self, field: str) -> tuple[str, ...]:
        """An array of strings; empty for none."""
        values = self._fields.pop(field, None) or []
        if type(values) is not list or not all(type(value) is str for value in values):
            raise invalid(self.path(field), "an array of strings")
        return tuple(values)

    def object(self, field: str) -> Given:
        return Given(self._fields.pop(field, None), self.path(field), self.unplaced)

    def end_in_full(self) -> None:
        """Name whatever was not taken, also what is empty: a tool without settings is one."""
        self.unplaced += [self.path(field) for field, value in self._fields.items() if value is not None]

    def maybe(self, field: str) -> Given | None:
        """An object that is read on; None for none."""
        return self.object(field) if self.has(field) else None

    def objects(self, field: str) -> Iterator[tuple[str, Given]]:
        at = self.path(field)
        values = self._fields.pop(field, None)
        if values is not None and type(values) is not list:
            raise invalid(at, "an array")
        for index, value in enumerate(values or ()):
            yield f"{at}[{index}]", Given(value, f"{at}[{index}]", self.unplaced)
