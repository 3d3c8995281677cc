"""Estimates, for providers that give no usage."""

from __future__ import annotations

from typing import Any

import pytest

from headgate.tokens import estimate, text_bytes


@pytest.mark.parametrize(("utf8_bytes", "tokens"), [(0, 0), (1, 1), (4, 1), (5, 2), (8, 2)])
def test_token_is_four_bytes_rounded_up(utf8_bytes: int, tokens: int) -> None:
    assert estimate(utf8_bytes) == tokens


@pytest.mark.parametrize(
    ("value", "wanted"),
    [("abc", 3), ("ü", 2), ("😀", 4), ([1, "ab", ["c"], {"key": "d", "k": None}], 4), (None, 0), (7, 0)],
)
def test_all_strings_of_a_value_count_and_its_keys_do_not(value: Any, wanted: int) -> None:
    assert text_bytes(value) == wanted


def test_depth_of_a_value_does_not_matter() -> None:
    value: Any = "a"
    for _ in range(100_000):
        value = [value]
    assert text_bytes(value) == 1
