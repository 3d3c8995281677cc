"""The automaton: what it remembers is bounded, and what it is made of does not show."""

from __future__ import annotations

import pytest

from headgate.governance.matching.automaton import Automaton, PatternError, Source
from headgate.governance.matching.scanner import Found, Scanner, scan


def walk(automaton: Automaton, text: str) -> int:
    """States met on the way through a text."""
    state = automaton.start
    met = {state}
    for char in text:
        state = automaton.step(state, char)[0]
        met.add(state)
    return len(met)


def test_pattern_error_of_a_source_is_the_callers() -> None:
    with pytest.raises(PatternError):
        Automaton([Source(patterns=("a", "(b")), Source()])


def test_automaton_without_rules_clears_everything_at_once() -> None:
    for sources in ([], [Source()]):
        automaton = Automaton(sources)
        assert automaton.empty
        scanner = Scanner(automaton)
        assert scanner.feed("any\u200b text") == "any\u200b text"
        assert scanner.finish() == ""
        assert scanner.decided == scanner.position == 9


def test_long_tail_stays_in_one_state() -> None:
    automaton = Automaton([Source(patterns=(r"eyJ[\w-]{1,}\.[\w-]+\.[\w-]*", "-----BEGIN[^-]*"))])
    assert walk(automaton, "eyJ" + "a-" * 4_000 + "." + "b_" * 4_000 + ".cccc" * 2) < 20
    assert walk(automaton, "-----BEGIN" + "MIIE\n" * 2_000) < 20


def test_texts_decide_about_time_and_not_about_memory() -> None:
    automaton = Automaton([Source(patterns=(r"[a-z]{1,30}@[a-z]{1,30}\.[a-z]{2,5}",))], work_kept_max=2_000)
    scanner = Scanner(automaton)
    for number in range(2_000):
        scanner.feed(f"{number * 7919 % 10007:x}".translate(dict(zip(b"0123456789", "ghijklmnop", strict=True))) + " ")
        weight = sum(state.weight() for state in automaton._states.values())
        assert weight <= 2_000 + 200


def test_texts_with_digits_or_an_at_sign_are_not_remembered() -> None:
    automaton = Automaton([Source(patterns=(r"\w+@\w+",))])
    for text in ("my ", "pin ", "is ", "1234 ", "a@", " b@c ", "river " * 5, " safe"):
        Scanner(automaton).feed(text)
    remembered = {text for state in automaton._states.values() for text in state.memo}
    assert remembered == {"my ", "pin ", "is ", " safe"}


def test_text_in_which_something_was_found_is_not_remembered() -> None:
    automaton = Automaton([Source(terms=["secret"])])
    for _ in range(2):
        scanner = Scanner(automaton)
        assert scanner.feed("a secret is") == ["a ", Found(2, 8, 0, "secret"), " is"]
    assert not [text for state in automaton._states.values() for text in state.memo]


def test_scanners_share_what_was_worked_out_and_nothing_else() -> None:
    automaton = Automaton([Source(patterns=("ab+c",))])
    one, other = Scanner(automaton), Scanner(automaton)
    assert (one.feed("ab"), other.feed("xab")) == ("", "x")
    assert (one.feed("c"), other.feed("b")) == ([Found(0, 3, 0, "abc")], "")
    assert (one.finish(), other.finish()) == ("", "abb")


def test_order_of_rules_decides_between_equals_only() -> None:
    sources = [Source(patterns=("ab",)), Source(terms=["abc"], words=False), Source(patterns=("[a-c]{3}",))]
    assert scan(Automaton(sources), "abcab") == [Found(0, 3, 1, "abc"), Found(3, 5, 0, "ab")]
