"""Term lists: narrowed by halving, whatever their size."""

# ruff: noqa: RUF001  (ambiguous characters are the point of some tests)

from __future__ import annotations

import pytest

from headgate.governance.matching.automaton import Automaton, Source
from headgate.governance.matching.pattern import PatternError
from headgate.governance.matching.scanner import Found, scan
from headgate.governance.matching.terms import Span, TermList


def found(source: Source, text: str) -> list[str]:
    return [piece.text for piece in scan(Automaton([source]), text) if isinstance(piece, Found)]


def test_span_is_narrowed_to_the_terms_that_go_on() -> None:
    terms = TermList(0, ["beta", "alpha", "alp", "alps", "alpha"], ignore_case=False)
    span: Span | None = terms.root
    for char in "alp":
        assert span is not None
        span = terms.narrow(span, char)
    assert span == Span(0, 0, 3, 3)
    assert terms.complete(span)
    assert terms.goes_on(span)
    longer = terms.narrow(span, "s")
    assert longer is not None
    assert terms.complete(longer)
    assert not terms.goes_on(longer)
    assert terms.narrow(span, "x") is None
    assert terms.narrow(longer, "x") is None


def test_last_character_of_all_is_one_like_others() -> None:
    assert found(Source(terms=["\U0010ffffa", "\U0010ffff"], words=False), "x\U0010ffffa \U0010ffff") == [
        "\U0010ffffa",
        "\U0010ffff",
    ]


def test_whole_words_are_neither_part_of_letters_nor_of_digits_nor_of_underscores() -> None:
    source = Source(terms=["river"])
    assert found(source, "river, rivers _river river2 (river) driver") == ["river", "river"]
    assert found(Source(terms=["river"], words=False), "rivers driver") == ["river", "river"]


def test_script_without_spaces_is_matched_anywhere_if_words_are_not_asked_for() -> None:
    assert found(Source(terms=["機密"], words=False), "これは機密です") == ["機密"]
    assert found(Source(terms=["機密"]), "これは機密です") == []


def test_longest_term_wins_and_matching_goes_on_at_its_end() -> None:
    assert found(Source(terms=["new", "new york", "york city"]), "new york city, new yorker") == ["new york", "new"]


def test_case_is_ignored_where_the_source_says_so_in_any_script() -> None:
    source = Source(terms=["Straße", "СЕКРЕТ", "ΣΟΦΟΣ"], ignore_case=True)
    assert found(source, "STRAßE секрет Секрет σοφοσ σοφος") == ["STRAßE", "секрет", "Секрет", "σοφοσ", "σοφος"]
    assert found(Source(terms=["Oslo"]), "OSLO oslo Oslo") == ["Oslo"]


def test_terms_fold_like_the_text() -> None:
    source = Source(terms=["pa\u200bypal", "ｏｓｌｏ"])
    assert found(source, "\u0440aypal oslo pay\u00adpal") == ["\u0440aypal", "oslo", "pay\u00adpal"]


def test_accent_may_be_part_of_its_letter_or_stand_behind_it_in_terms_and_in_texts() -> None:
    for term in ("caf\u00e9", "cafe\u0301"):
        texts = ["caf\u00e9", "CAFE\u0301", "cafe"]
        assert [found(Source(terms=[term], ignore_case=True), text) for text in texts] == [[texts[0]], [texts[1]], []]


def test_empty_term_is_refused() -> None:
    for term in ("", "\u200b"):
        with pytest.raises(PatternError, match="empty"):
            Automaton([Source(terms=["a", term])])


def test_hundred_thousand_terms_are_matched_like_three() -> None:
    terms = [f"project {number:x} zulu" for number in range(100_000)]
    source = Source(terms=terms, ignore_case=True)
    assert found(source, "Project 1869f Zulu; project 186a0 zulu; project zulu") == ["Project 1869f Zulu"]
