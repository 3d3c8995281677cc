"""Counting tokens: by rule of thumb, by script, by bound, and with a vocabulary."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate import tokens
from headgate.tokens import ENCODINGS, counter, estimate, estimate_text, text_bytes, tokens_at_least, without_runs


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


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("привет", 3), ("日本語", 2), ("😀", 2), ("ab日😀", 3)],
)
def test_estimate_goes_by_script(text: str, wanted: int) -> None:
    assert estimate_text(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", 0),
        ("a", 1),
        ("one two  three\nfour", 4),
        (" " * 1000, 0),
        ("-" * 1000, 1),
        ("ab" * 24, 2),
        ("日本語の文章" * 3, 3),
    ],
)
def test_bound_is_words_and_very_long_tokens(text: str, wanted: int) -> None:
    assert tokens_at_least(text) == wanted


def test_no_character_stays_more_than_eight_times_in_a_row() -> None:
    assert without_runs("a" * 7 + "b" * 8 + "c" * 9 + "\n" * 99) == "a" * 7 + "b" * 8 + "c" * 8 + "\n" * 8


@given(st.text())
def test_bound_is_below_the_bytes_and_estimates_never_raise(text: str) -> None:
    assert 0 <= tokens_at_least(text) <= tokens.utf8_length(text)
    assert estimate_text(text) >= (text != "")


def test_unknown_vocabulary_counts_nothing() -> None:
    assert counter("") is None
    assert counter("p50k_base") is None


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The optional package is not installed."""
    monkeypatch.setitem(sys.modules, "rs_bpe", None)
    monkeypatch.setitem(sys.modules, "rs_bpe.bpe", None)
    tokens._counter.cache_clear()
    yield
    tokens._counter.cache_clear()


@pytest.mark.usefixtures("no_package")
def test_without_the_package_there_is_no_vocabulary() -> None:
    assert [counter(encoding) for encoding in ENCODINGS] == [None, None]


class TestWithThePackage:
    @pytest.fixture(autouse=True)
    def _needs_it(self) -> None:
        pytest.importorskip("rs_bpe", reason="pip install 'headgate[tokens]'")

    @pytest.mark.parametrize(
        ("encoding", "text", "wanted"),
        [
            # from OpenAI's cookbook, "How to count tokens with tiktoken"
            ("cl100k_base", "antidisestablishmentarianism", 6),
            ("o200k_base", "antidisestablishmentarianism", 6),
            ("cl100k_base", "2 + 2 = 4", 7),
            ("o200k_base", "お誕生日おめでとう", 8),
            ("cl100k_base", "お誕生日おめでとう", 9),
            ("o200k_base", "", 0),
        ],
    )
    def test_tokens_are_those_of_openai(self, encoding: str, text: str, wanted: int) -> None:
        count = counter(encoding)
        assert count is not None
        assert count(text) == wanted

    @given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
    def test_bound_holds_and_no_token_is_less_than_a_byte(self, text: str) -> None:
        for encoding in ENCODINGS:
            count = counter(encoding)
            assert count is not None
            assert count(text) <= tokens.utf8_length(text)

    @pytest.mark.parametrize(
        "text",
        [
            "All human beings are born free and equal in dignity and rights. ",
            "responsibilities characteristics telecommunications representatives ",
            "Все люди рождаются свободными и равными в своем достоинстве и правах. ",  # noqa: RUF001
            "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
            "人人生而自由，在尊严和权利上一律平等。",  # noqa: RUF001
            "সমস্ত মানুষ স্বাধীনভাবে সমান মর্যাদা এবং অধিকার নিয়ে জন্মগ্রহণ করে। ",
            "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ",
            "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. ",
            '{"id":"0b5cbf3e","values":[1,2.5,true,null]}',
            "    return [value for value in values if value]\n",
            "-" * 80 + "\n",
            " " * 80,
            "🙂🎉👩‍👩‍👧‍👦",
        ],
    )
    def test_bound_is_below_what_the_vocabularies_say(self, text: str) -> None:
        for encoding in ENCODINGS:
            count = counter(encoding)
            assert count is not None
            assert tokens_at_least(text * 20) <= count(text * 20)
