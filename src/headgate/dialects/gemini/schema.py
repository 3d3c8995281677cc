"""Schemas of parameters: the OpenAPI subset that Gemini has words for -> JSON Schema.

The other way needs nothing: Gemini takes JSON Schema as it is (``parametersJsonSchema``, ``responseJsonSchema``).
"""

from __future__ import annotations

from typing import Any, Final

from headgate.dialects.gemini.given import camel

_NESTED: Final = frozenset({"items", "additionalProperties"})
_LISTS: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_MAPS: Final = {"properties": "properties", "defs": "$defs", "$defs": "$defs"}
_COUNTS: Final = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
"""64-bit integers, which proto JSON writes as strings."""


def json_schema(schema: Any) -> Any:
    """The same schema with lower-case types, null as a type, and names of JSON Schema. What is no object stays."""
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    nullable = False
    for spelt, value in schema.items():
        name = camel(spelt)
        if name == "nullable":
            nullable = value is True
        elif name == "type" and isinstance(value, str):
            if value.upper() != "TYPE_UNSPECIFIED":
                found["type"] = value.lower()
        elif name in _NESTED:
            found[name] = json_schema(value)
        elif name in _LISTS and isinstance(value, list):
            found[name] = [json_schema(item) for item in value]
        elif name in _MAPS and isinstance(value, dict):
            found[_MAPS[name]] = {key: json_schema(item) for key, item in value.items()}
        elif name in _COUNTS and isinstance(value, str) and value.isdecimal():
            found[name] = int(value)
        elif name == "ref" and isinstance(value, str):
            found["$ref"] = value.replace("#/defs/", "#/$defs/", 1)
        elif name == "example":
            found["examples"] = [value]
        else:
            found[name] = value
    return _nullable(found) if nullable else found


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    kind = schema.get("type")
    if isinstance(kind, str) and kind != "null":
        enum = schema.get("enum")
        listed = {"enum": [*enum, None]} if isinstance(enum, list) and None not in enum else {}
        return schema | {"type": [kind, "null"]} | listed
    if isinstance(schema.get("anyOf"), list):
        return schema | {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    return schema
