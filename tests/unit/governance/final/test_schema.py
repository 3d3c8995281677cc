"""Structured output against its schema: what passes, what does not, and what neither side can make of a check."""

from __future__ import annotations

import json
import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.governance.final.ecma import Pattern, PatternError
from headgate.governance.final.schema import PATTERNS_MAX, Schema, SchemaError, Schemas
from tests.soak import share

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": r"^\w+$"},
        "age": {"type": "integer", "minimum": 0},
        "friends": {"type": "array", "items": {"$ref": "#"}},
    },
    "required": ["name"],
    "additionalProperties": False,
}
SECRET = "hunter2"


def check(schema: dict[str, Any] | None, value: object) -> tuple[str, str] | None:
    unmet = Schema(schema).check(json.dumps(value))
    return None if unmet is None else (unmet.path, unmet.message)


def test_text_of_the_schema_passes() -> None:
    assert check(PERSON, {"name": "Ann", "age": 7, "friends": [{"name": "Bob"}]}) is None


@pytest.mark.parametrize(
    ("value", "path", "keyword"),
    [
        ({"name": "Ann", "age": -1}, "$.age", "minimum"),
        ({"name": SECRET + "!"}, "$.name", "pattern"),
        ({"age": 1}, "$", "required"),
        ({"name": "Ann", "friends": [{"name": "Bob"}, {"name": 3}]}, "$.friends[1].name", "type"),
        ({"name": "Ann", SECRET: 1}, "$.*", "additionalProperties"),
        ([SECRET], "$", "type"),
    ],
)
def test_place_and_keyword_are_named_and_never_a_value(value: object, path: str, keyword: str) -> None:
    assert check(PERSON, value) == (path, f"does not satisfy '{keyword}'")


def test_text_that_is_no_json_fails() -> None:
    for text in ("", "{", "Sure! {}", '{"name": NaN}', "[1,]"):
        unmet = Schema(PERSON).check(text)
        assert unmet is not None
        assert (unmet.message, unmet.checked) == ("is not JSON", True)


def test_without_a_schema_any_object_or_array_will_do() -> None:
    assert check(None, {}) is None
    assert check(None, [1]) is None
    assert check(None, "text") == ("$", "is neither an object nor an array")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strin"},
        {"minimum": "one"},
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"properties": {"a": {"$ref": "file:///etc/passwd"}}},
        {"$dynamicRef": "other.json#node"},
        {"pattern": "(?=look)ahead"},
        {"pattern": "("},
        {"properties": {"a": {"patternProperties": {r"(a)\1": {}}}}},
        {"anyOf": [{"pattern": str(n)} for n in range(PATTERNS_MAX + 1)]},
        {"unevaluatedProperties": False},
        {"const": {"$schema": "http://json-schema.org/draft-07/schema#"}},
        {"enum": list(range(20_000))},
        {"properties": 3},
    ],
)
def test_schema_that_cannot_be_checked_against_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(SchemaError):
        Schema(schema)


def test_schema_that_is_nested_too_deeply_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(5_000):
        schema = {"items": schema}
    with pytest.raises(SchemaError):
        Schema(schema)


def test_word_of_another_draft_changes_nothing() -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-03/schema#",
        "properties": {"a": {"$schema": "x", "pattern": "b"}},
    }
    assert check(schema, {"a": "c"}) == ("$.a", "does not satisfy 'pattern'")


def test_property_may_be_called_like_a_keyword() -> None:
    schema = {"properties": {"$ref": {"type": "string"}, "pattern": {"type": "string"}, "enum": {"pattern": "x"}}}
    assert check(schema, {"$ref": "http://x", "pattern": "(", "enum": "x"}) is None
    assert check(schema, {"enum": "y"}) == ("$.enum", "does not satisfy 'pattern'")


@pytest.mark.parametrize(
    ("value", "passes"),
    [([1, 2], True), ([1, 1.0], False), ([1, True], True), ([0, False], True), ([{"a": []}, {"a": []}], False)],
)
def test_items_are_unique_as_json_means_it(value: list[object], passes: bool) -> None:
    assert (check({"uniqueItems": True}, value) is None) is passes


def test_names_are_matched_by_patterns_too() -> None:
    schema = {"patternProperties": {"^x_": {"type": "integer"}}, "additionalProperties": {"type": "string"}}
    assert check(schema, {"x_a": 1, "b": "c"}) is None
    assert check(schema, {"x_a": "1"}) == ("$.*", "does not satisfy 'type'")
    assert check(schema, {"b": 1}) == ("$.*", "does not satisfy 'type'")


def branching(levels: int) -> dict[str, Any]:
    """Small to write, 2 to the power of `levels` to follow."""
    named: dict[str, Any] = {"a0": {"type": "integer"}}
    for n in range(1, levels):
        named[f"a{n}"] = {"allOf": [{"$ref": f"#/$defs/a{n - 1}"}] * 2}
    return {"$ref": f"#/$defs/a{levels - 1}", "$defs": named}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (branching(40), "1"),
        ({"$ref": "#"}, "1"),
        ({"items": {"$ref": "#"}}, "[" * 500 + "]" * 500),
        ({}, "[" * 100_000),
        ({"items": {"type": "integer"}}, "[" + "1," * 200_000 + "1]"),
        ({"anyOf": [{"const": 1}] * 2_000}, json.dumps("x" * 1_000_000)),
        ({"$ref": "#/nowhere"}, "1"),
    ],
)
def test_check_that_would_never_end_is_given_up(schema: dict[str, Any], text: str) -> None:
    ready = Schema(schema)
    begun = time.process_time()
    unmet = ready.check(text)
    assert time.process_time() - begun < 3
    assert unmet is not None
    assert not unmet.checked


def test_pattern_that_would_backtrack_for_ever_is_linear() -> None:
    begun = time.process_time()
    assert Schema({"pattern": "(a+)+$"}).check(json.dumps("a" * 1_000_000 + "b")) is not None
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("b", "abc", True),
        ("^b$", "b\n", False),
        (r"^\d+$", "\u0663", False),
        (r"^[\w-]+$", "a-b", True),
        (r"^[[&&~]+$", "[&~", True),
        (r"\bword\b", "a word.", True),
        (r"^\u0041\/$", "A/", True),
        ("^[^a]$", "b", True),
        ("^.$", "\U0001f600", True),
        ("a", "\ud800a", False),
    ],
)
def test_patterns_mean_what_ecma_262_says(pattern: str, text: str, found: bool) -> None:
    assert Pattern(pattern).found_in(text) is found


def test_pattern_that_is_too_long_is_refused() -> None:
    with pytest.raises(PatternError):
        Pattern("a" * 2_000)


def test_schema_that_comes_again_is_not_made_again() -> None:
    schemas = Schemas(kept_max=2)
    first = schemas.get(PERSON)
    assert schemas.get(dict(PERSON)) is first
    assert schemas.get(None) is schemas.get(None)
    schemas.get({"type": "object"})
    assert schemas.get(PERSON) is not first


NAMES = st.sampled_from(["a", "b", "xa", ""])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([0.0, 1.0, 1.5])
    | st.sampled_from(["a", "ab", "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


def schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas with the keywords that are ours and some that are the library's, over smaller schemas."""
    keywords: dict[str, st.SearchStrategy[Any]] = {
        "type": st.sampled_from(["object", "array", "string", "integer", "number", "boolean", "null"]),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "pattern": st.sampled_from(["^a", "b$", "[0-9]", r"\w\w"]),
        "properties": st.dictionaries(NAMES, inner, max_size=2),
        "patternProperties": st.dictionaries(st.sampled_from(["^x", "a"]), inner, max_size=2),
        "additionalProperties": inner,
        "required": st.lists(NAMES, max_size=2, unique=True),
        "items": inner,
        "prefixItems": st.lists(inner, min_size=1, max_size=2),
        "contains": inner,
        "uniqueItems": st.booleans(),
        "propertyNames": inner,
        "not": inner,
        "anyOf": st.lists(inner, min_size=1, max_size=2),
        "oneOf": st.lists(inner, min_size=1, max_size=2),
        "if": inner,
        "then": inner,
        "$ref": st.just("#/$defs/d"),
    }
    return st.fixed_dictionaries({}, optional=keywords).map(
        lambda found: dict(sorted(found.items(), key=lambda item: item[0])[:4])
    )


@given(schemas(st.booleans() | st.builds(dict) | schemas(st.booleans())), schemas(st.booleans()), VALUES)
@settings(max_examples=share(10_000))
def test_verdict_is_the_librarys(schema: dict[str, Any], named: dict[str, Any], value: object) -> None:
    named.pop("$ref", None)  # it would lead to itself
    schema = schema | {"$defs": {"d": named}}
    expected = jsonschema.Draft202012Validator(schema).is_valid(value)
    unmet = Schema(schema).check(json.dumps(value))
    assert (unmet is None) is expected
    assert unmet is None or unmet.checked
