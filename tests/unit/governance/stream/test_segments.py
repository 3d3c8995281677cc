"""Text in pieces that can be judged: complete, in order, and cut at the same places however it came."""

from __future__ import annotations

import time
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.governance.stream.segments import Segmenter
from tests.soak import share

WIDE = "\u3002"
TEXTS = st.text(alphabet=st.sampled_from("ab.!?\"') \n\t\u3002\uff01\u300d"), max_size=120)


def pieces(text: str, *, unit: Literal["sentence", "window"] = "sentence", window: int = 60) -> list[str]:
    segmenter = Segmenter(unit, window)
    return [*segmenter.feed(text), *segmenter.finish()]


def cut(text: str, at: list[int]) -> list[str]:
    places = sorted({place % (len(text) + 1) for place in at})
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


def test_sentence_ends_with_the_white_space_behind_its_stop() -> None:
    assert pieces('He left. "Really?" Yes! No') == ["He left. ", '"Really?" ', "Yes! ", "No"]


def test_number_or_name_with_a_stop_inside_is_not_cut() -> None:
    assert pieces("Version 3.11 of example.com is out. Good.") == ["Version 3.11 of example.com is out. ", "Good."]


def test_line_ends_a_sentence_and_blank_lines_belong_to_the_next() -> None:
    assert pieces("A title\n\n\nText. \nMore") == ["A title\n", "\n\nText. ", "\nMore"]


def test_wide_stop_needs_no_white_space_but_waits_for_what_closes_with_it() -> None:
    text = f"one{WIDE}two{WIDE}\u300dthree"
    assert pieces(text) == [f"one{WIDE}", f"two{WIDE}\u300d", "three"]
    segmenter = Segmenter("sentence", 60)
    assert segmenter.feed(f"one{WIDE}") == []
    assert segmenter.feed("\u300d") == []
    assert segmenter.feed("x") == [f"one{WIDE}\u300d"]


def test_sentence_is_given_out_with_the_character_that_ends_it() -> None:
    segmenter = Segmenter("sentence", 60)
    assert segmenter.feed("Done.") == []
    assert segmenter.feed(" ") == ["Done. "]
    assert segmenter.feed("Line\n") == ["Line\n"]


def test_sentence_that_is_too_long_is_cut_behind_white_space_and_else_hard() -> None:
    assert pieces("aaaa bbbb cccc", window=8) == ["aaaa ", "bbbb ", "cccc"]
    assert pieces("aaaabbbbcccc", window=8) == ["aaaabbbb", "cccc"]
    assert pieces(" " * 20, window=8) == [" " * 8, " " * 8, " " * 4]


def test_window_knows_no_sentences() -> None:
    assert pieces("A. B. C. D. E.", unit="window", window=8) == ["A. B. ", "C. D. ", "E."]


@pytest.mark.parametrize("unit", ["sentence", "window"])
def test_nothing_is_made_of_nothing(unit: Literal["sentence", "window"]) -> None:
    assert pieces("", unit=unit) == []


@given(TEXTS, st.lists(st.integers(0, 1_000), max_size=20), st.integers(3, 40), st.sampled_from(["sentence", "window"]))
@settings(max_examples=share(50_000))
def test_pieces_are_the_text_and_do_not_depend_on_how_it_came(
    text: str, at: list[int], window: int, unit: Literal["sentence", "window"]
) -> None:
    whole = pieces(text, unit=unit, window=window)
    segmenter = Segmenter(unit, window)
    split = [piece for part in cut(text, at) for piece in segmenter.feed(part)] + segmenter.finish()
    assert split == whole
    assert "".join(whole) == text
    assert all(0 < len(piece) <= window for piece in whole)


@given(TEXTS)
@settings(max_examples=share(10_000))
def test_no_piece_is_blank_unless_it_is_the_last_or_fills_a_window(text: str) -> None:
    assert all(piece.strip() or len(piece) == 60 for piece in pieces(text)[:-1])


@pytest.mark.parametrize("text", ["x", ".", ")", '."', "\u3002\u300d", "\n", " ", ". "])
def test_time_is_linear_in_the_text(text: str) -> None:
    def cost(chars: int) -> float:
        segmenter = Segmenter("sentence", 20_000)
        begun = time.process_time()
        for _ in range(chars // len(text)):
            segmenter.feed(text)
        return time.process_time() - begun

    small = min(cost(40_000) for _ in range(2))
    assert min(cost(160_000) for _ in range(2)) < 12 * small + 0.05
