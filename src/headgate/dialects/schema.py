"""JSON schemas of answers and of tools' parameters, as far as writers have to change them."""

from __future__ import annotations

from typing import Any, Final

from headgate.dialects.fields import LEVELS_MAX

_LISTS: Final = ("anyOf", "allOf", "oneOf", "prefixItems")
_MAPS: Final = ("properties", "$defs", "definitions")
"""Keywords whose values hold schemas; ``items`` is one."""


def described(schema: dict[str, Any], description: str) -> dict[str, Any]:
    """The schema with a description that stood beside it; one of its own follows."""
    own = schema.get("description")
    if not description or own == description:
        return schema
    return schema | {"description": f"{description}\n\n{own}" if own else description}


def closed(schema: Any, levels: int = LEVELS_MAX) -> Any:
    """The schema with ``additionalProperties`` false on every object that does not say: Anthropic wants it said.

    What is nested deeper than `levels` stays as it is.
    """
    if type(schema) is not dict or not levels:
        return schema
    found = dict(schema)
    for name in _MAPS:
        if type(found.get(name)) is dict:
            found[name] = {key: closed(value, levels - 1) for key, value in found[name].items()}
    for name in _LISTS:
        if type(found.get(name)) is list:
            found[name] = [closed(value, levels - 1) for value in found[name]]
    if "items" in found:
        found["items"] = closed(found["items"], levels - 1)
    kind = found.get("type")
    if kind == "object" or (type(kind) is list and "object" in kind):
        found.setdefault("additionalProperties", False)
    return found
