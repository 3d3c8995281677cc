"""The strings of a JSON text, and the text with some of them replaced."""

from __future__ import annotations

import json

import pytest

from headgate.governance.stream.json_values import DEPTH_MAX, JsonValues


def test_long_numbers_are_judged_and_short_ones_are_not() -> None:
    values = JsonValues('{"card": 4111111111111111, "n": 1, "e": 1.5e-300}')
    assert values.text == "card\n4111111111111111\nn\ne\n1.5e-300"
    assert values.replaced({1: "[card]"}) == '{"card":"[card]","n":1,"e":1.5e-300}'


def test_what_is_not_replaced_is_written_as_it_was() -> None:
    numbers = "[1.0,1e3,-0.0,12345678901234567890123,1e999,null,true,false]"
    values = JsonValues(f'{{"a": {numbers}, "b": "x"}}')
    assert values.replaced({values.text.split("\n").index("x"): "m"}) == f'{{"a":{numbers},"b":"m"}}'


@pytest.mark.parametrize("text", ["{", '"a" b', "", "[" * 50_000, "1" * 10_000 + "x"])
def test_what_is_no_json_is_one_string(text: str) -> None:
    values = JsonValues(text)
    assert values.text == text
    assert values.replaced({0: "m"}) == "m"


@pytest.mark.parametrize("depth", [DEPTH_MAX, DEPTH_MAX + 1, 600, 900])
def test_nesting_never_raises(depth: int) -> None:
    values = JsonValues("[" * depth + '"bad"' + "]" * depth)
    masked = values.replaced({0: "m"})
    assert "bad" not in masked
    assert (masked != "m") is (depth <= DEPTH_MAX)


def test_name_that_occurs_twice_is_judged_twice_and_written_once() -> None:
    values = JsonValues('{"a": "bad", "a": "good"}')
    assert values.text == "a\nbad\na\ngood"
    assert json.loads(values.replaced({1: "m"})) == {"a": "good"}


def test_half_a_surrogate_pair_stays_an_escape() -> None:
    assert JsonValues('["\\ud800", "bad"]').replaced({1: "m"}) == '["\\ud800","m"]'
