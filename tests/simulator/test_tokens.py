"""Tokens join to the text they were cut from, and cut words as models do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headgate.simulator import corpus
from headgate.simulator.tokens import count, tokenize


@given(st.text())
def test_tokens_join_to_the_text_and_none_is_empty(text: str) -> None:
    tokens = list(tokenize(text))
    assert "".join(tokens) == text
    assert all(tokens)
    assert count(text) == len(tokens)


def test_short_words_are_one_token_with_their_blank_and_long_ones_are_cut() -> None:
    assert list(tokenize("A river, irresponsibly")) == ["A", " river", ",", " irre", "spons", "ibly"]


def test_wide_scripts_and_joined_emoji_come_in_small_pieces() -> None:
    assert max(len(token) for token in tokenize("水門は川への最初の言葉です")) == 2
    assert len(list(tokenize("👨\u200d👩\u200d👧\u200d👦"))) > 1


def test_corpus_is_large_and_its_special_pieces_hold_what_they_promise() -> None:
    prose = (*corpus.PROSE, *corpus.REASONING)
    assert sum(len(piece.split()) for piece in prose) >= 2500
    assert all(piece.isascii() for piece in prose)
    assert not any("  " in piece for piece in prose)
    (unicode,) = corpus.UNICODE
    for character in "é水강\u200d\u2028\u0085\u0301א\U0001d401":
        assert character in unicode
    for mark in ("\n- ", "\n  - ", "\n1. ", "|--------", "```python\n", "\n> "):
        assert mark in corpus.MARKDOWN
