"""Generated values satisfy their schemas; hostile schemas do no harm."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.simulator.schema import NODES_MAX, generate

Schema = dict[str, Any]


def satisfies(value: Any, schema: Schema) -> bool:
    """A validator for what the strategies below make; written apart from the generator."""
    if "const" in schema:
        return bool(value == schema["const"])
    if "enum" in schema:
        return value in schema["enum"]
    match schema["type"]:
        case "object":
            known = all(satisfies(item, schema["properties"][name]) for name, item in value.items())
            return isinstance(value, dict) and known and set(schema["required"]) <= set(value)
        case "array":
            fits = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 1000)
            return isinstance(value, list) and fits and all(satisfies(item, schema["items"]) for item in value)
        case "string":
            return isinstance(value, str) and schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 9999)
        case "integer":
            return type(value) is int and schema["minimum"] <= value <= schema["maximum"]
        case "number":
            return isinstance(value, float | int) and schema["minimum"] <= value <= schema["maximum"]
        case "boolean":
            return isinstance(value, bool)
        case _:
            return value is None


def bounded(low: str, high: str, kind: str, most: int) -> st.SearchStrategy[Schema]:
    pairs = st.tuples(st.integers(0, most), st.integers(0, most)).map(sorted)
    return pairs.map(lambda pair: {"type": kind, low: pair[0], high: pair[1]})


LEAVES: st.SearchStrategy[Schema] = st.one_of(
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": "string"}]),
    st.lists(st.one_of(st.text(max_size=5), st.integers(-9, 9)), min_size=1, max_size=4).map(lambda v: {"enum": v}),
    st.one_of(st.text(), st.booleans(), st.none()).map(lambda value: {"const": value}),
    bounded("minLength", "maxLength", "string", 60),
    bounded("minimum", "maximum", "integer", 1000),
    bounded("minimum", "maximum", "number", 3),
)


def containers(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    objects = st.dictionaries(st.text(max_size=6), inner, max_size=4).map(
        lambda properties: {"type": "object", "properties": properties, "required": list(properties)[:2]}
    )
    sizes = st.tuples(st.integers(0, 4), st.integers(0, 4)).map(sorted)
    arrays = st.tuples(inner, sizes).map(
        lambda pair: {"type": "array", "items": pair[0], "minItems": pair[1][0], "maxItems": pair[1][1]}
    )
    return st.one_of(objects, arrays)


@given(st.recursive(LEAVES, containers, max_leaves=8), st.integers(0, 2**64))
def test_value_satisfies_its_schema_and_is_the_same_again(schema: Schema, seed: int) -> None:
    value = generate(schema, seed=seed)
    assert satisfies(value, schema)
    assert value == generate(schema, seed=seed)


@pytest.mark.parametrize(
    ("schema", "holds"),
    [
        ({"type": "integer", "exclusiveMinimum": 4, "exclusiveMaximum": 6}, lambda v: v == 5),
        ({"type": "integer", "multipleOf": 7, "minimum": 1, "maximum": 13}, lambda v: v == 7),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 0.1}, lambda v: 0 < v <= 0.1),
        ({"type": "integer", "maximum": -3}, lambda v: v <= -3),
        ({"type": ["null", "string"]}, lambda v: isinstance(v, str)),
        ({"type": "number", "minimum": 2, "exclusiveMaximum": 3}, lambda v: 2 <= v < 3),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, lambda v: isinstance(v, bool)),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"const": 3}}}, lambda v: v == 3),
        ({"allOf": [{"required": ["a"]}, {"properties": {"b": {"const": 1}}}], "type": "object"},
         lambda v: set(v) == {"a", "b"}),
        ({"type": "string", "format": "date"}, lambda v: v == "2026-03-14"),
        ({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}]}, lambda v: v == [1, 2]),
    ],
)  # fmt: skip
def test_keywords_one_by_one(schema: Schema, holds: Any) -> None:
    assert all(holds(generate(schema, seed=seed)) for seed in range(40))


def test_recursive_schema_comes_to_an_end() -> None:
    node = {
        "type": "object",
        "properties": {"next": {"$ref": "#"}, "children": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["children"],
    }
    assert len(json.dumps(generate(node, seed=1))) < 100 * NODES_MAX
    forever = {"type": "object", "properties": {"self": {"$ref": "#"}}, "required": ["self"]}
    assert generate(forever, seed=1)
    assert generate({"$ref": "#/a", "a": {"$ref": "#/a"}}, seed=1) is not None


KEYWORDS = st.sampled_from(
    [
        *("type", "format", "enum", "const", "$ref", "anyOf", "oneOf", "allOf", "properties", "required", "items"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "prefixItems"),
        *("minItems", "maxItems", "minLength", "maxLength"),
    ]
)
ANY_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYWORDS, inner, max_size=4)),
    max_leaves=12,
)
TYPES = st.sampled_from(["object", "array", "string", "number", "integer", "nonsense"])


@given(st.dictionaries(KEYWORDS, st.one_of(ANY_JSON, TYPES), max_size=6))
def test_nonsense_never_raises(schema: Schema) -> None:
    json.dumps(generate(schema, seed=1))
