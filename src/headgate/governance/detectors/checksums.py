"""Checksums of numbers that people copy by hand. Pure arithmetic on digits and letters that are folded already."""

from __future__ import annotations

from typing import Final

from headgate.governance.detectors.folding import folded

MOD97_REST: Final = 1
"""ISO 7064 MOD 97-10: what a valid number leaves."""


def digits(text: str) -> str:
    """The ASCII digits of a match, folded."""
    return "".join(char for char in folded(text) if "0" <= char <= "9")


def luhn(number: str) -> bool:
    """ISO/IEC 7812-1, annex B: from the right, every second digit counts double."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def mod97(account: str) -> bool:
    """ISO 13616: the first four characters go to the end, letters count from A = 10."""
    moved = account[4:] + account[:4]
    return int("".join(str(int(char, 36)) for char in moved)) % 97 == MOD97_REST


def mod11(number: str) -> bool:
    """Ten digits with weights 10 to 2, the last one is the check digit; a check of 10 is never issued."""
    total = sum(int(digit) * (10 - place) for place, digit in enumerate(number[:9]))
    return (11 - total % 11) % 11 == int(number[9])
