"""How far the final text of an answer is from what was streamed of it.

Pure and bounded: a distance is exact wherever that is cheap, and an upper bound elsewhere, so that no pair of texts
can make the end of a response slow. Whether a distance is acceptable is for the policy to say (`gate`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from headgate.events import Drift

EXACT_CHARS_MAX: Final = 4_096
"""Up to here a distance is always exact: code points of the longer text, without what both begin and end with.
Two texts that have nothing in common cost about 10 ms then."""
FEW_EDITS: Final = 48
"""Longer texts are compared up to so many edits, for about as much."""


def drift(choice: int, parts: Sequence[tuple[str, str]], retracted: int) -> Drift:
    """The event for one choice. `parts` holds the streamed and the final text of each of its parts, in order;
    `retracted` is how many code points were shown and taken back."""
    streamed, final = (hashlib.sha256() for _ in range(2))
    for shown, kept in parts:
        streamed.update(shown.encode("utf-8", "surrogatepass"))
        final.update(kept.encode("utf-8", "surrogatepass"))
    total = sum(distance(shown, kept) for shown, kept in parts)
    return Drift(choice, streamed.hexdigest(), final.hexdigest(), total, retracted)


def distance(a: str, b: str) -> int:
    """Edit distance (Levenshtein) in code points. Beyond `EXACT_CHARS_MAX` and `FEW_EDITS` an upper bound."""
    if a == b:
        return 0
    begin = _alike(a, b, 0, 0)
    a, b = a[begin:], b[begin:]
    end = _alike(a[::-1], b[::-1], 0, 0)
    a, b = a[: len(a) - end], b[: len(b) - end]
    if len(a) < len(b):
        a, b = b, a
    if not b:
        return len(a)
    if len(a) <= EXACT_CHARS_MAX:
        return _bit_parallel(a, b)
    few = _few_edits(a, b)
    return len(a) if few is None else few


def _bit_parallel(a: str, b: str) -> int:
    """Exact, one row of the matrix at a time as two integers.

    H. Hyyrö, "A bit-vector algorithm for computing Levenshtein and Damerau edit distances", Nordic Journal of
    Computing 10 (2003), after G. Myers, Journal of the ACM 46(3) (1999): bit i of `up` says that the value in
    row i+1 is one more than that above it, of `down` one less.
    """
    where: dict[str, int] = {}
    for index, char in enumerate(b):
        where[char] = where.get(char, 0) | 1 << index
    ones = (1 << len(b)) - 1
    last = 1 << len(b) - 1
    up, down, score = ones, 0, len(b)
    for char in a:
        same = where.get(char, 0)
        equal = (((same & up) + up) ^ up) | same | down
        right, left = down | ~(equal | up), equal & up
        if right & last:
            score += 1
        elif left & last:
            score -= 1
        right = right << 1 | 1
        up = (left << 1 | ~(equal | right)) & ones
        down = right & equal & ones
    return score


def _few_edits(a: str, b: str) -> int | None:
    """Exact, if there are at most `FEW_EDITS`.

    E. Ukkonen, "Algorithms for approximate string matching", Information and Control 64 (1985): how far along each
    diagonal one comes with 0, 1, 2, ... edits. Its cost does not depend on how long the texts are, but for comparing.
    """
    goal = len(a) - len(b)
    if goal > FEW_EDITS:
        return None
    reach = {0: _alike(a, b, 0, 0)}  # diagonal (place in a - place in b) -> place in a
    for edits in range(1, FEW_EDITS + 1):
        further = {}
        for diagonal in range(-edits, edits + 1):
            at = max(
                reach.get(diagonal, -2) + 1,  # one character for another
                reach.get(diagonal - 1, -2) + 1,  # one of a is left out
                reach.get(diagonal + 1, -1),  # one of b is put in
            )
            at = min(at, len(a), len(b) + diagonal)
            if at >= max(0, diagonal):
                further[diagonal] = at + _alike(a, b, at, at - diagonal)
        reach = further
        if reach.get(goal) == len(a):
            return edits
    return None


def _alike(a: str, b: str, at_a: int, at_b: int) -> int:
    """How many characters are the same from here on: steps of doubling size, so that long runs cost comparisons in C."""
    found, step = 0, 16
    most = min(len(a) - at_a, len(b) - at_b)
    while found < most:
        if a[at_a + found : at_a + found + step] == b[at_b + found : at_b + found + step]:
            found += step
            step *= 2
        elif step == 1:
            break
        else:
            step = max(1, step // 4)
    return min(found, most)
