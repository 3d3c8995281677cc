"""JSON as it goes into frames."""

from __future__ import annotations

import json
import random

import pytest

from headgate.dialects.compact import compact_json, compact_text

LINE_ENDS = "\x85\u2028\u2029"


@pytest.mark.parametrize("text", ["", "plain", '"q" \\ \n\x00\x7f', "é", "\U0001f600", LINE_ENDS, f"a{LINE_ENDS}é"])
def test_text_is_the_same_json_by_itself_and_as_any_other_value(text: str) -> None:
    assert compact_text(text) == compact_json(text)
    assert json.loads(compact_text(text)) == text
    assert not set(compact_text(text).decode()) & set(LINE_ENDS)


def test_random_text_is_the_same_json_by_itself_and_as_any_other_value() -> None:
    chance = random.Random(3)
    for _ in range(2_000):
        text = "".join(chance.choices('ab"\\\n\té\u2028\u2029\x85\u4e2d\U0001f600', k=chance.randrange(6)))
        assert compact_text(text) == compact_json(text)
