"""Rules that mend how a final text looks."""

from __future__ import annotations

import time

import pytest

from headgate.governance.final.formatting import formatted
from headgate.policies import Formatting


def one(text: str, *rules: Formatting) -> str:
    (made,) = formatted([text], rules)
    return made


def test_trim_takes_white_space_from_the_ends() -> None:
    assert one(" \n a b \t\n", "trim") == "a b"


def test_newlines_are_one_kind_and_at_most_two_lines_are_blank() -> None:
    assert one("a\r\nb\rc\n\n\n\n\n\nd", "newlines") == "a\nb\nc\n\n\nd"
    assert one("a\n\n\nb", "newlines") == "a\n\n\nb"
    assert one("a\n \n\t\n  \n \nb", "newlines") == "a\n\n\nb"


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ("\n```\nx\ny\n```  \n", "x\ny"),
        ("~~~~\n```\nx\n```\n~~~~", "```\nx\n```"),
        ("```\r\nx\r\n```", "x"),
        ("```\n```", ""),
    ],
)
def test_text_that_is_one_fenced_block_loses_the_fence(text: str, bare: str) -> None:
    assert one(text, "code_fence") == bare


@pytest.mark.parametrize(
    "text",
    ["Here:\n```\nx\n```", "```\nx\n```\nThere.", "```\na\n```\n```\nb\n```", "```\nopen", "`x`", "```x```", "```", ""],
)
def test_other_text_keeps_its_fences(text: str) -> None:
    assert one(text, "code_fence") == text


def test_nfc_composes_characters() -> None:
    assert one("e\u0301", "nfc") == "\u00e9"


def test_rules_apply_in_their_order() -> None:
    assert one("```\n x \n```", "code_fence", "trim") == "x"
    assert one("```\n x \n```", "trim", "code_fence") == " x "


def test_parts_of_one_answer_are_trimmed_at_its_ends_alone() -> None:
    assert formatted([" a ", " b "], ["trim"]) == ["a ", " b"]
    assert formatted(["```\n", "x\n```"], ["code_fence"]) == ["```\n", "x\n```"]
    assert formatted([], ["trim"]) == []


@pytest.mark.parametrize("unit", ["\n", "\r", " \n", "\n ", "`", "```\n", "\n  x"])
def test_time_is_linear_in_the_text(unit: str) -> None:
    begun = time.process_time()
    one(unit * (1_000_000 // len(unit)), "newlines", "code_fence", "trim", "nfc")
    assert time.process_time() - begun < 1
