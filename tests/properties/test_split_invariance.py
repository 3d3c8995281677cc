"""What a policy leaves of a text depends on the text, never on how it was cut; and no more is held than must be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, product
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.governance.matching.automaton import Automaton, Source
from headgate.governance.matching.scanner import Found, Scanner, joined, scan
from tests.soak import share
from tests.unit.governance.oracle import Piece, redact

ALPHABET: Final = "aaab1-.@ \nA_\u200b\u00ad\u0430\uff41\uff20\u0410\uff11"
"""Few characters, so that random texts come near to random patterns; some fold to others, some cannot be seen."""
TEXTS: Final = st.text(ALPHABET, max_size=12)
PLAIN_TEXTS: Final = st.text("aab1 ", max_size=10)

ATOMS: Final = st.sampled_from(
    ["a", "b", "1", "-", "@", r"\.", " ", "[ab]", "[^a]", "[a-c1]", r"\d", r"\w", r"\s", ".", r"[^\w]", r"[\d_-]", "A"]
)
QUANTIFIERS: Final = st.sampled_from(["", "", "", "?", "*", "+", "{2}", "{1,3}", "{0,2}", "{2,}"])
BEFORE: Final = st.sampled_from(["", "", "", r"\b", "(?<!a)", "(?<![a1])", r"(?<!\w)", "(?<![^ ])"])
AFTER: Final = st.sampled_from(["", "", "", r"\b", "(?!a)", "(?![b-])", r"(?!\w)", r"(?!\.)(?!\d)"])


def _sequences(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(st.tuples(inner, QUANTIFIERS).map("".join), min_size=1, max_size=3).map("".join)


BODIES: Final = st.recursive(
    _sequences(ATOMS),
    lambda inner: _sequences(st.lists(inner, min_size=1, max_size=2).map(lambda ways: f"(?:{'|'.join(ways)})")),
    max_leaves=4,
)
BRANCHES: Final = st.tuples(BEFORE, BODIES, AFTER).filter(lambda branch: not re.fullmatch(branch[1], "")).map("".join)
PATTERNS: Final = st.lists(BRANCHES, min_size=1, max_size=2).map("|".join)
TERMS: Final = st.text("aab1-. A\u0430\u200b", min_size=1, max_size=4).filter(lambda term: term.strip("\u200b") != "")


def even(text: str) -> bool:
    return len(text) % 2 == 0


def mixed(text: str) -> bool:
    return len(set(text)) > 1


def summed(text: str) -> bool:
    return sum(map(ord, text)) % 3 != 0


CHECKS: Final[list[Callable[[str], bool] | None]] = [None, None, even, mixed, summed]
SOURCES: Final = st.builds(
    Source,
    patterns=st.lists(PATTERNS, max_size=2).map(tuple),
    terms=st.lists(TERMS, max_size=4),
    words=st.booleans(),
    ignore_case=st.booleans(),
    check=st.sampled_from(CHECKS),
)
POLICIES: Final = st.lists(SOURCES, min_size=1, max_size=3)


def pieces(parts: Iterable[str | list[str | Found]]) -> list[Piece]:
    return [piece[:3] if isinstance(piece, Found) else piece for piece in joined(parts)]


def stream(automaton: Automaton, cuts: Iterable[str]) -> list[Piece]:
    scanner = Scanner(automaton)
    given = [scanner.feed(text) for text in cuts]
    given.append(scanner.finish())
    assert scanner.decided == scanner.position
    return pieces(given)


def splits(text: str) -> list[list[str]]:
    """Every way to cut a text that is short, of a longer one those with up to two cuts; and every character alone."""
    inner = range(1, len(text))
    most = len(text) - 1 if len(text) <= 6 else 2
    every = [where for count in range(most + 1) for where in combinations(inner, count)]
    return [[text[a:b] for a, b in zip((0, *at), (*at, len(text)), strict=True)] for at in [*every, tuple(inner)]]


@settings(max_examples=share(20_000))
@given(POLICIES, st.lists(TEXTS, min_size=1, max_size=4))
def test_every_split_of_a_text_gives_what_the_reference_gives(sources: list[Source], texts: list[str]) -> None:
    automaton = Automaton(sources)
    for text in texts:
        expected = redact(sources, text)
        for split in splits(text):
            assert stream(automaton, split) == expected, split


@settings(max_examples=share(10_000))
@given(POLICIES, st.lists(PLAIN_TEXTS, min_size=1, max_size=6), st.integers(0, 200))
def test_automaton_that_forgets_all_the_time_gives_the_same(
    sources: list[Source], texts: list[str], kept_max: int
) -> None:
    automaton = Automaton(sources, work_kept_max=kept_max)
    for text in texts:
        expected = redact(sources, text)
        for split in splits(text):
            assert stream(automaton, split) == expected, split


@settings(max_examples=share(10_000))
@given(POLICIES, TEXTS)
def test_pieces_are_the_text_and_say_where_they_stood(sources: list[Source], text: str) -> None:
    at = 0
    for piece in scan(Automaton(sources), text):
        if isinstance(piece, Found):
            assert (piece.start, piece.end) == (at, at + len(piece.text))
            at = piece.end
        else:
            at += len(piece)
        assert text[:at].endswith(piece.text if isinstance(piece, Found) else piece)
    assert at == len(text)


SMALL: Final = "ab-"
SMALL_BODIES: Final = st.lists(
    st.sampled_from(["a", "b", "-", "[ab]", "a?", "b?", "(?:a|b-)", "a{1,2}", "[^a]"]), min_size=1, max_size=3
).map("".join)
SMALL_BEFORE: Final = st.sampled_from(["", "", r"\b", "(?<!a)"])
SMALL_AFTER: Final = st.sampled_from(["", "", r"\b", "(?!b)"])
SMALL_PATTERNS: Final = (
    st.tuples(SMALL_BEFORE, SMALL_BODIES, SMALL_AFTER).filter(lambda parts: not re.fullmatch(parts[1], "")).map("".join)
)
CONTINUATIONS: Final = ["".join(chars) for count in range(7) for chars in product(SMALL, repeat=count)]


def begins(sources: Sequence[Source], text: str, at: int) -> Piece | None:
    """What the reference makes of the character at `at`: the match that begins there, or no match."""
    for piece in redact(sources, text):
        if not isinstance(piece, str) and piece[0] == at:
            return piece
    return None


@settings(max_examples=share(3_000))
@given(SMALL_PATTERNS, st.text(SMALL, min_size=1, max_size=4))
def test_what_is_held_may_yet_become_one_thing_or_another(pattern: str, text: str) -> None:
    sources = [Source(patterns=(pattern,))]
    scanner = Scanner(Automaton(sources))
    for char in text:
        scanner.feed(char)
    if scanner.decided == scanner.position:
        return
    at = scanner.decided
    now = begins(sources, text, at)
    assert any(begins(sources, text + more, at) != now for more in CONTINUATIONS)


@pytest.mark.soak
@settings(max_examples=2_000)
@given(POLICIES, st.lists(st.text(ALPHABET, min_size=20, max_size=40), min_size=1, max_size=2), st.data())
def test_longer_texts_in_random_cuts(sources: list[Source], texts: list[str], data: st.DataObject) -> None:
    automaton = Automaton(sources)
    for text in texts:
        expected = redact(sources, text)
        for _ in range(50):
            at = sorted(data.draw(st.sets(st.integers(1, len(text) - 1), max_size=12)))
            cut = [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]
            assert stream(automaton, cut) == expected


@settings(max_examples=share(10_000))
@given(POLICIES, st.lists(st.text("aab1-_", max_size=12), min_size=1, max_size=4))
def test_automaton_within_an_alphabet_gives_the_same_for_texts_of_it(sources: list[Source], texts: list[str]) -> None:
    automaton = Automaton(sources)
    for text in texts:
        assert scan(automaton.within("ab1-_"), text) == scan(automaton, text)


@settings(max_examples=share(5_000))
@given(POLICIES, st.lists(TEXTS, min_size=2, max_size=4), st.integers(0, 200), st.randoms(use_true_random=False))
def test_texts_that_are_read_by_turns_do_not_disturb_each_other(
    sources: list[Source], texts: list[str], kept_max: int, random: Random
) -> None:
    automaton = Automaton(sources, work_kept_max=kept_max)
    scanners = [Scanner(automaton) for _ in texts]
    given_back: list[list[str | list[str | Found]]] = [[] for _ in texts]
    at = [0] * len(texts)
    while any(at[one] < len(text) for one, text in enumerate(texts)):
        one = random.randrange(len(texts))
        size = random.randint(1, 4)
        given_back[one].append(scanners[one].feed(texts[one][at[one] : at[one] + size]))
        at[one] += size
    for text, scanner, given_ in zip(texts, scanners, given_back, strict=True):
        assert pieces([*given_, scanner.finish()]) == redact(sources, text)


ESCAPED: Final = [
    Source(patterns=("(?<![0-9A-Za-z])1{2,4}(?![0-9])",), escapes=True, check=even),
    Source(patterns=("(?<![ab])b{1,3}@b", "[ab]@"), escapes=True),
    Source(patterns=(r"nb+1?", r"\\\\"), terms=["1n", "\\a"]),
]


@settings(max_examples=share(10_000))
@given(st.lists(st.sampled_from(ESCAPED), min_size=1, max_size=3), st.text("\\\\nnb11@ a\u200b", max_size=12))
def test_every_split_of_a_text_with_escapes_gives_the_same(sources: list[Source], text: str) -> None:
    automaton = Automaton(sources)
    expected = pieces([scan(automaton, text)])
    for split in splits(text):
        assert stream(automaton, split) == expected, split
