"""The net of positions: small where patterns are small, and bounded."""

from __future__ import annotations

import pytest

from headgate.governance.matching.positions import Net, Wait


def size(pattern: str) -> tuple[int, int]:
    """Positions, and pairs of them that may follow each other."""
    net = Net()
    net.add(0, pattern, ignore_case=False)
    return len(net.bits), sum(map(len, net.follow))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("abc", (3, 2)),
        ("ab|cd", (4, 2)),
        ("a*b", (2, 2)),
        ("a+", (1, 1)),
        ("a{3}", (3, 2)),
        ("a{2,}", (2, 2)),
        ("a{1,64}", (64, 63)),
        ("(?:a?){1,64}b", (65, 63 + 64)),
        ("(?:ab){0,3}c", (7, 3 + 2 + 3)),
    ],
)
def test_repetition_is_a_chain_and_what_has_no_end_is_a_loop(pattern: str, expected: tuple[int, int]) -> None:
    assert size(pattern) == expected


def test_same_set_has_one_bit_in_all_patterns() -> None:
    net = Net()
    net.add(0, "[ab]x[ba]", ignore_case=False)
    net.add(1, r"x[ab]\b", ignore_case=False)
    assert len(net.sets) == 3, "the two, and what belongs to words"


def test_wait_is_satisfied_by_what_may_follow() -> None:
    assert Wait(0, without=0b10, having=0b1).satisfied(0b101)
    assert not Wait(0, without=0b10, having=0b1).satisfied(0b111)
    assert not Wait(0, without=0b10, having=0b1).satisfied(0)
    assert Wait(0, without=0b10, having=0).satisfied(0)


def test_end_that_looks_at_the_next_character_has_waits_that_take_none() -> None:
    net = Net()
    net.add(7, r"ab\b(?!-)", ignore_case=False)
    waits = net.ends[1].waits
    assert waits is not None
    assert [net.waits[wait].rule for wait in waits] == [7, 7]
    assert [net.follow[wait] for wait in waits] == [[], []]
