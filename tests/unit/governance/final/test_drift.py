"""How far the final text is from the streamed one: exact where that is cheap, never too small, never slow."""

from __future__ import annotations

import hashlib
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.governance.final.drift import EXACT_CHARS_MAX, FEW_EDITS, distance, drift
from tests.soak import share

SHORT = st.text(alphabet="abc\u00e9\U0001f600", max_size=20)


def plainly(a: str, b: str) -> int:
    """The textbook's matrix, row by row."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            above, row[j] = row[j], min(above + (x != y), row[j] + 1, row[j - 1] + 1)
    return row[-1]


@given(SHORT, SHORT)
@settings(max_examples=share(50_000))
def test_distance_is_that_of_the_textbook(a: str, b: str) -> None:
    assert distance(a, b) == plainly(a, b) == distance(b, a)


@given(st.dictionaries(st.integers(0, 5_999), st.sampled_from(["-", "+", "x"]), max_size=12), st.booleans())
@settings(max_examples=share(2_000))
def test_few_edits_of_a_long_text_are_no_more_than_were_made(edits: dict[int, str], wraps: bool) -> None:
    text = "".join(random.Random(1).choices("abcdefgh ", k=6_000))
    changed = list(text)
    for at, edit in edits.items():
        changed[at] = {"-": "", "+": changed[at] + "#", "x": "#"}[edit]
    other = "".join(changed)
    if wraps:  # neither the beginning nor the end is the same
        other = f"#{other}#"
    assert len(text) > EXACT_CHARS_MAX
    assert abs(len(text) - len(other)) <= distance(text, other) <= 2 * wraps + len(edits)
    assert distance(text, other) == distance(other, text)


def test_one_edit_in_the_middle_of_a_long_text_and_one_at_each_end_is_three() -> None:
    text = "".join(random.Random(2).choices("abcdefgh ", k=100_000))
    assert distance(text, f"#{text[:50_000]}#{text[50_001:-1]}") == 3


def test_long_texts_with_nothing_in_common_have_a_bound_that_is_not_too_small() -> None:
    a, b = "a" * (EXACT_CHARS_MAX + 1), "b" * (EXACT_CHARS_MAX + FEW_EDITS)
    assert distance(a, b) == len(b)


@pytest.mark.parametrize("pair", [("ab", "ba"), ("a", "b"), ("aaab", "aaac"), ("", "x")])
def test_no_pair_of_long_texts_is_slow(pair: tuple[str, str]) -> None:
    a, b = ((text * 500_000)[:500_000] for text in pair)
    begun = time.process_time()
    distance(f"<{a}", f"{b}>")
    assert time.process_time() - begun < 0.5


def test_event_sums_up_the_parts_of_a_choice_and_says_what_was_taken_back() -> None:
    event = drift(1, [("Hello ", "Hello "), ("world", "word")], 7)
    assert (event.choice, event.distance, event.retracted) == (1, 1, 7)
    assert event.streamed_sha256 == hashlib.sha256(b"Hello world").hexdigest()
    assert event.final_sha256 == hashlib.sha256(b"Hello word").hexdigest()


def test_half_a_surrogate_pair_can_be_measured() -> None:
    assert drift(0, [("\ud83d", "x")], 0).distance == 1
