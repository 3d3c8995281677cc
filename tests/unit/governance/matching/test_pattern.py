"""The regex subset: what is in it, and where it says no."""

from __future__ import annotations

import re

import pytest

from headgate.governance.matching.pattern import POSITIONS_MAX, PatternError, check_bounded, parse
from headgate.governance.matching.positions import Net


@pytest.mark.parametrize(
    ("pattern", "at"),
    [
        ("", 0),
        ("a|", 2),
        ("a?", 0),
        ("(?:a?b*){0,3}", 0),
        ("(a)", 0),
        ("(?=a)b", 0),
        ("(?P<n>a)", 0),
        ("^a", 0),
        ("a$", 1),
        ("a)", 1),
        ("(?:a", 4),
        ("(?:a\\bc)", 4),
        ("a\\bc", 3),
        ("a(?!b)c", 6),
        ("a(?!bc)", 5),
        ("(?<!ab)c", 5),
        ("(?!a)b", 5),
        ("a(?<!a)", 1),
        ("\\b+a", 2),
        ("+a", 0),
        ("a{2", 3),
        ("a{,3}", 2),
        ("a{3,2}", 1),
        ("a{0}", 1),
        ("a{1,99999}", 1),
        ("a{1234567}", 2),
        ("{", 0),
        ("a+?", 2),
        ("a++", 2),
        ("a{2}{3}", 4),
        ("[", 0),
        ("[]", 0),
        ("[ab", 0),
        ("[b-a]", 1),
        (r"[a-\d]", 1),
        (r"\1", 0),
        (r"\B", 0),
        (r"\xg0", 0),
        (r"\u12", 0),
        ("\\", 1),
    ],
)
def test_what_is_outside_the_subset_is_refused_with_its_place(pattern: str, at: int) -> None:
    with pytest.raises(PatternError) as caught:
        parse(pattern)
    assert caught.value.at == at, caught.value
    assert str(caught.value)


@pytest.mark.parametrize(
    "pattern",
    [
        "a",
        "ab|cd",
        r"\.\d\w\s\D\W\S\x41\u00e9\n\t",
        "[a-z0-9_]",
        "[^a]",
        "[-a]",
        "[a-]",
        r"[\]\\\d-]",
        "(?:ab?c*d+){1,3}",
        "a{2,}",
        r"\ba\b",
        r"(?<![\w.])a(?![\w.])|(?<!x)b(?!x)",
        ".",
        "a}",
        "\u00e9",
    ],
)
def test_what_is_inside_is_read_and_means_what_it_means_to_re(pattern: str) -> None:
    assert parse(pattern)
    assert re.compile(pattern)


def test_repetition_without_end_is_found_where_it_is_written() -> None:
    for pattern, at in [("ab*", 2), ("(?:a{2,3}b){4,}", 11), ("a|b+", 3)]:
        with pytest.raises(PatternError) as caught:
            check_bounded(pattern)
        assert caught.value.at == at
    check_bounded(r"\b[a-z]{1,64}\b|x?y")


def test_repetitions_that_multiply_are_refused_before_they_are_written_out() -> None:
    with pytest.raises(PatternError, match=f"{POSITIONS_MAX:,}"):
        parse("(?:(?:a{1,60}){1,60}){1,60}")


def test_ways_that_multiply_are_refused_while_they_are_laid_out() -> None:
    with pytest.raises(PatternError, match="ways"):
        Net().add(0, f"(?:{'|'.join('ab' * 32)}){{2,60}}", ignore_case=False)
    with pytest.raises(PatternError, match="ways"):
        Net().add(0, "a?" * 1_000 + "b", ignore_case=False)


def test_groups_too_deep_to_read_are_refused() -> None:
    with pytest.raises(PatternError, match="nested"):
        parse("(?:" * 5_000 + "a" + ")" * 5_000)
