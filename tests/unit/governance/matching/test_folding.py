"""Folding: one character at a time, and only what a reader takes for the same."""

# ruff: noqa: RUF001  (ambiguous characters are the point)

from __future__ import annotations

import pytest

from headgate.governance.matching.folding import LOOKS_LIKE, ZERO_WIDTH, fold, literal, readings, small


@pytest.mark.parametrize(
    ("char", "folded"),
    [
        *(("a", "a"), ("A", "A"), ("é", "é"), ("ａ", "a"), ("＠", "@"), ("．", "."), ("１", "1"), ("\u00a0", " ")),
        *(("о", "o"), ("А", "A"), ("Ρ", "P"), ("ж", "ж"), ("в", "в"), ("В", "B"), ("\U0001d5ee", "a")),
    ],
)
def test_character_folds_to_what_it_is_read_as(char: str, folded: str) -> None:
    assert fold(char) == folded


def test_character_that_stands_for_several_stays_as_it_is() -> None:
    assert [fold(char) for char in "ﬁ…½"] == ["ﬁ", "…", "½"]
    assert [small(char) for char in "ßẞA"] == ["ß", "ß", "a"]


def test_capital_i_with_its_dot_is_an_i() -> None:
    assert readings("İ", ignore_case=True) == readings("i", ignore_case=True) == readings("ı", ignore_case=True)


@pytest.mark.parametrize("digits", ["٤١", "۴۱", "४१", "๔๑", "４１", "𝟒𝟏", "④①"])
def test_digits_of_every_script_are_digits(digits: str) -> None:
    assert [fold(digit) for digit in digits] == ["4", "1"]


@pytest.mark.parametrize("code", [0x34F, 0x61C, 0x180E, 0x200E, 0x200F, 0x202E, 0x2066, 0xFE0F, 0x20E3, 0x332, 0xE0041])
def test_character_that_nobody_reads_is_looked_through(code: int) -> None:
    assert chr(code) in ZERO_WIDTH


def test_every_folding_is_one_character_and_folds_to_itself() -> None:
    for code in range(0x11000):
        folded = fold(chr(code))
        assert len(folded) == 1
        assert fold(folded) == folded


def test_look_alikes_look_like_ascii_and_cannot_be_unseen() -> None:
    assert all(looks.isascii() and looks.isalpha() and not char.isascii() for char, looks in LOOKS_LIKE.items())
    assert not ZERO_WIDTH & LOOKS_LIKE.keys()


def test_capital_whose_look_and_case_lead_apart_is_read_both_ways() -> None:
    assert readings("В", ignore_case=True) == ("в", "b")
    assert readings("О", ignore_case=True) == ("o",)
    assert readings("В", ignore_case=False) == ("B",)


def test_letter_of_a_term_is_met_by_itself_in_either_case() -> None:
    for char in "aAзЗвВσςΣéÉо1@":
        for other in {char, char.lower(), char.upper()}:
            assert literal(char, ignore_case=True) in readings(other, ignore_case=True), (char, other)
        assert literal(char, ignore_case=False) in readings(char, ignore_case=False)
