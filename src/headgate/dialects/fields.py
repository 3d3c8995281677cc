"""What a provider's JSON may hold: types that must be right, and fields that are kept without being understood."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

LEVELS_MAX: Final = 64
"""Nesting of a field that is kept as it came. Real ones have less than ten; the journal's encoder recurses."""
INTEGER_MIN: Final = -(2**63)
INTEGER_MAX: Final = 2**64 - 1
"""What MessagePack holds, and with it the journal."""
JSON_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

HEARTBEATS: Final = frozenset({"ping", "keepalive", "heartbeat"})
"""Types of events that only say that the connection lives. They are nobody's loss, whatever stands in them."""

read_json: Final = msgspec.json.Decoder().decode


class MalformedError(ValueError):
    """A chunk holds what it must not. Never leaves the decoder: it becomes a `Failure`."""


_T = TypeVar("_T")


def typed(value: Any, kind: type[_T], what: str) -> _T:
    """`value`, which must be exactly of this type (a bool is no int)."""
    if type(value) is not kind:
        raise MalformedError(f"{what} is not of type {kind.__name__}")
    return value


def kept(fields: dict[str, Any], known: frozenset[str]) -> dict[str, Any] | None:
    """The fields that have no canonical place, or None if there are none. Null is nothing."""
    unknown = [key for key in fields if key not in known]
    if not unknown:
        return None
    found = {key: fields[key] for key in unknown if fields[key] is not None}
    return storable(found) if found else None


def count_of(value: Any, most: int = INTEGER_MAX) -> int:
    """`value`, if it is a count; else 0."""
    return value if type(value) is int and 0 <= value <= most else 0


def are_counts(values: list[Any], most: int = INTEGER_MAX) -> bool:
    """Whether these, of which any may be missing, say how much was used: one at least, and each that is there is a count."""
    given = [value for value in values if value is not None]
    return bool(given) and all(type(value) is int and 0 <= value <= most for value in given)


def storable(fields: dict[str, Any]) -> dict[str, Any]:
    """`fields`, if the journal can hold them: no integer beyond 64 bits, no nesting beyond `LEVELS_MAX`."""
    layer: list[Any] = [fields]
    for _ in range(LEVELS_MAX):
        below: list[Any] = []
        for item in layer:
            for value in item.values() if type(item) is dict else item:
                kind = type(value)
                if kind is dict or kind is list:
                    below.append(value)
                elif kind is int and not INTEGER_MIN <= value <= INTEGER_MAX:
                    raise MalformedError("an integer has more than 64 bits")
        if not below:
            return fields
        layer = below
    raise MalformedError(f"a field is nested more than {LEVELS_MAX} levels deep")


def is_heartbeat(fields: dict[str, Any]) -> bool:
    """Whether an object says by its ``type`` that it only tells that the connection lives."""
    kind = fields.get("type")
    return type(kind) is str and kind in HEARTBEATS
