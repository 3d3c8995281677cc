"""Make a JSON value that satisfies a JSON schema, the same one every time.

It covers what structured outputs and tool definitions use: object, array, string, number, integer, boolean, null,
enum, const, local ``$ref``, ``anyOf``/``oneOf`` (the first), ``allOf`` (merged), bounds, and common formats. What it
does not know (``pattern``, conditions) it ignores. A schema is a peer's: depth and size are bounded, nothing raises.
"""

from __future__ import annotations

import math
from typing import Any, Final
from zlib import crc32

JSON = Any
Schema = dict[str, Any]

DEPTH_MAX: Final = 12
"""Below this, optional members are left out and arrays are empty: recursive schemas come to an end."""
NODES_MAX: Final = 2000
"""Values made for one schema; all others are null."""
ITEMS_MAX: Final = 50
LENGTH_MAX: Final = 4000
REFS_MAX: Final = 8

_WORDS: Final = [
    "river",
    "sluice",
    "gate",
    "weir",
    "channel",
    "lock",
    "basin",
    "water",
    "meadow",
    "stone",
    "timber",
    "willow",
    "heron",
    "ferry",
    "mill",
    "bridge",
    "summit",
    "silt",
    "lantern",
    "ledger",
    "keeper",
    "barge",
    "anchor",
    "current",
]
_FORMATS: Final = {
    "date-time": "2026-03-14T09:26:53Z",
    "date": "2026-03-14",
    "time": "09:26:53Z",
    "duration": "PT90M",
    "email": "keeper@example.org",
    "hostname": "lock.example.org",
    "ipv4": "192.0.2.7",
    "ipv6": "2001:db8::7",
    "uri": "https://example.org/locks/7",
    "uuid": "7d444840-9dc0-41d1-b245-5ffdce74fad2",
}


def generate(schema: object, *, seed: int) -> JSON:
    """A value for `schema`; anything that is no schema is taken for one that allows everything."""
    return _Generator(schema if isinstance(schema, dict) else {}, seed).value(schema, "$", 0)


class _Generator:
    """One run over one schema; `path` makes values differ from place to place."""

    def __init__(self, root: Schema, seed: int) -> None:
        self._root = root
        self._seed = seed
        self._nodes = 0

    def value(self, schema: object, path: str, depth: int) -> JSON:
        self._nodes += 1
        if self._nodes > NODES_MAX or depth > 2 * DEPTH_MAX:
            return None
        schema = self._flatten(schema)
        if "const" in schema:
            return schema["const"]
        if isinstance(options := schema.get("enum"), list) and options:
            return options[self._draw(path) % len(options)]
        match _type(schema):
            case "object":
                return self._object(schema, path, depth)
            case "array":
                return self._array(schema, path, depth)
            case "integer":
                return int(self._number(schema, path, whole=True))
            case "number":
                return self._number(schema, path, whole=False)
            case "boolean":
                return self._draw(path) % 2 == 0
            case "null":
                return None
            case _:
                return self._string(schema, path)

    def _flatten(self, schema: object) -> Schema:
        """Follow references and unions until only keywords of the value itself are left."""
        flat: Schema = schema if isinstance(schema, dict) else {}
        for _ in range(REFS_MAX):
            if isinstance(ref := flat.get("$ref"), str):
                flat = self._resolve(ref)
                continue
            branch = next((flat[key] for key in ("anyOf", "oneOf") if flat.get(key)), None)
            parts = [branch[0]] if isinstance(branch, list) else flat.get("allOf")
            if not isinstance(parts, list) or not parts:
                break
            rest = {key: value for key, value in flat.items() if key not in ("anyOf", "oneOf", "allOf")}
            for part in parts:
                rest = _merge(rest, self._flatten_ref(part))
            flat = rest
        return flat

    def _flatten_ref(self, part: object) -> Schema:
        if not isinstance(part, dict):
            return {}
        return self._resolve(part["$ref"]) if isinstance(part.get("$ref"), str) else part

    def _resolve(self, ref: str) -> Schema:
        node: Any = self._root
        for step in ref.removeprefix("#").strip("/").split("/") if ref != "#" else []:
            key = step.replace("~1", "/").replace("~0", "~")
            node = node.get(key) if isinstance(node, dict) else None
        return node if isinstance(node, dict) else {}

    def _object(self, schema: Schema, path: str, depth: int) -> JSON:
        properties = schema.get("properties")
        members: Schema = properties if isinstance(properties, dict) else {}
        required = [name for name in _list(schema.get("required")) if isinstance(name, str)]
        names = required if depth >= DEPTH_MAX else [*members, *(name for name in required if name not in members)]
        return {name: self.value(members.get(name), f"{path}.{name}", depth + 1) for name in names[:NODES_MAX]}

    def _array(self, schema: Schema, path: str, depth: int) -> JSON:
        least = int(min(_bound(schema, "minItems", 0), ITEMS_MAX))
        wanted = least if depth >= DEPTH_MAX else max(least, 2)
        size = int(min(wanted, _bound(schema, "maxItems", wanted)))
        prefix = _list(schema.get("prefixItems"))
        schemas = [prefix[i] if i < len(prefix) else schema.get("items") for i in range(size)]
        return [self.value(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(schemas)]

    def _number(self, schema: Schema, path: str, *, whole: bool) -> float:
        step = _bound(schema, "multipleOf", 1.0 if whole else 0.5) or 1.0
        low = _bound(schema, "minimum", -math.inf)
        high = _bound(schema, "maximum", math.inf)
        above = _bound(schema, "exclusiveMinimum", -math.inf)
        below = _bound(schema, "exclusiveMaximum", math.inf)
        if low == above == -math.inf:
            low = 0.0 if max(high, 0.0) and below > 0 and high >= 0 else min(high, below) - 10 * step
        first = math.ceil(max(low, above) / step)
        first += first * step <= above
        last = math.floor(min(high, below) / step) if min(high, below) < math.inf else first + 100
        last -= last * step >= below
        if last < first:  # a range narrower than the step
            return max(low, above) + (min(high, below) - max(low, above)) / 2
        value = (first + self._draw(path) % (min(last - first, 100) + 1)) * step
        return round(value) if whole and float(step).is_integer() else value

    def _string(self, schema: Schema, path: str) -> str:
        if isinstance(form := schema.get("format"), str) and form in _FORMATS:
            return _FORMATS[form]
        start = self._draw(path)
        text = " ".join(_WORDS[(start + i * 7) % len(_WORDS)] for i in range(3))
        least = int(min(_bound(schema, "minLength", 0), LENGTH_MAX))
        while len(text) < least:
            text += " " + _WORDS[(start + len(text)) % len(_WORDS)]
        return text[: int(max(0, min(_bound(schema, "maxLength", LENGTH_MAX), LENGTH_MAX)))]

    def _draw(self, path: str) -> int:
        return crc32(path.encode("utf-8", "replace"), self._seed & 0xFFFFFFFF)


def _merge(left: Schema, right: Schema) -> Schema:
    """Both schemas at once; of keywords that cannot be joined the right one counts."""
    merged = left | right
    if isinstance(left.get("properties"), dict) and isinstance(right.get("properties"), dict):
        merged["properties"] = left["properties"] | right["properties"]
    if required := [*_list(left.get("required")), *_list(right.get("required"))]:
        merged["required"] = required
    return merged


def _type(schema: Schema) -> str:
    """The type asked for; of several the first that is not null; guessed from other keywords where there is none."""
    match schema.get("type"):
        case str(name):
            return name
        case [_, *_] as names:
            return next((name for name in names if isinstance(name, str) and name != "null"), "null")
    if "properties" in schema or "required" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    return "number" if "minimum" in schema or "maximum" in schema else "string"


def _bound(schema: Schema, key: str, default: float) -> float:
    value = schema.get(key)
    usable = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15
    return float(value) if usable and value is not None else default


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
