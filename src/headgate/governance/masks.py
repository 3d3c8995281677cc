"""What stands in place of a match: ``[email]``, or ``[email_1]``, the same number for the same value in one response.

Values are compared as a reader would: without regard to case, width, spaces and invisible characters, and without
punctuation where there are no letters (``4111-1111`` is ``4111 1111``).
"""

from __future__ import annotations

from typing import Final

from headgate.governance.matching.folding import ZERO_WIDTH, fold, small
from headgate.governance.ruleset import ActiveRule

VALUES_MAX: Final = 10_000
"""Values that are numbered in one response; the masks of others have no number, so that an answer cannot grow this."""


class Masks:
    """The masks of one response."""

    __slots__ = ("_is_numbered", "_numbers", "_seen")

    def __init__(self, *, numbered: bool) -> None:
        self._is_numbered = numbered
        self._numbers: dict[tuple[str, str], int] = {}
        self._seen: dict[str, int] = {}
        """Rule -> values so far."""

    def of(self, rule: ActiveRule, value: str) -> str:
        """What stands in place of a match of this rule. A mask of somebody's own is never numbered."""
        if not self._is_numbered or rule.mask != f"[{rule.name}]":
            return rule.mask
        key = (rule.name, _compared(value))
        number = self._numbers.get(key)
        if number is None:
            if len(self._numbers) >= VALUES_MAX:
                return rule.mask
            number = self._numbers[key] = self._seen[rule.name] = self._seen.get(rule.name, 0) + 1
        return f"[{rule.name}_{number}]"


def _compared(value: str) -> str:
    visible = [small(fold(char)) for char in value if not char.isspace() and char not in ZERO_WIDTH]
    if any(char.isalpha() for char in visible):
        return "".join(visible)
    return "".join([char for char in visible if char.isalnum()]) or value
