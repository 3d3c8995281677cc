"""Characters as rules compare them: compatibility forms, look-alikes and case folded away, one character at a time.

A folding never makes two characters of one or one of two, so offsets stay those of the text as it was written, and
what is released is never the folded text. It is no judgement either: what looks like ASCII is only compared as such.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_UNSEEN: Final = (
    "00ad 034f 061c 115f-1160 17b4-17b5 180b-180f 200b-200f 202a-202e 2060-206f 3164 fe00-fe0f feff ffa0 fff0-fff8 "
    "1bca0-1bca3 1d173-1d17a e0000-e0fff"
)
"""Default_Ignorable_Code_Point of Unicode 16: joiners, marks of direction, variation selectors, fillers, tags."""
_DRAWN_OVER: Final = "0305 0332-0338 20d0-20ff"
"""Combining lines, strokes and frames, such as that of a keycap: the character beneath is read as it is."""


def _chars(ranges: str) -> frozenset[str]:
    bounds = [(first, last or first) for first, _, last in (each.partition("-") for each in ranges.split())]
    return frozenset(chr(code) for first, last in bounds for code in range(int(first, 16), int(last, 16) + 1))


ZERO_WIDTH: Final = _chars(f"{_UNSEEN} {_DRAWN_OVER}")
"""Characters that no reader reads. Rules look through them: they neither match, nor part what stands around them."""

_LETTERS: Final = "аеіјкоԛрѕсԁԝхуһӏАВЕІЈКМНОРЅСТХУԚԜӀ" + "αικνορτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ" + "\u0131\u0251\u0261"
_LOOKS: Final = "aeijkoqpscdwxyhlABEIJKMHOPSCTXYQWI" + "aikvoptuxABEZHIKMNOPTYX" + "iag"
LOOKS_LIKE: Final = dict(zip(_LETTERS, _LOOKS, strict=True))
"""Letters, Cyrillic, Greek and others, that a reader takes for ASCII ones."""


def fold(char: str) -> str:
    """The character that this one is compared as: its compatibility form, if that is one character, its value if it is
    a digit of any script, and its look."""
    if char < "\x80":
        return char
    form = unicodedata.normalize("NFKC", char)
    if len(form) != 1:
        form = char
    if form.isdecimal():
        return str(unicodedata.decimal(form))
    return LOOKS_LIKE.get(form, form)


def small(char: str) -> str:
    """The character without case, if that is one character; else as it stands."""
    folded, lower = char.casefold(), char.lower()
    if len(folded) == 1:
        return folded
    return lower if len(lower) == 1 else _SMALL.get(char, char)


_SMALL: Final = {"İ": "i"}
"""The one capital whose small form is written as two characters: an i, and the dot that it has anyway."""


def literal(char: str, *, ignore_case: bool) -> str:
    """What a character of a term or pattern has to meet among the `readings` of a character of the text."""
    return fold(small(char)) if ignore_case else fold(char)


def readings(char: str, *, ignore_case: bool) -> tuple[str, ...]:
    """What a character of the text may stand for: one character, or two where case and look lead apart.

    A Cyrillic capital that looks like ``B`` may be meant as the letter it is, whose small form looks like nothing in
    ASCII, and as the ``b`` it looks like.
    """
    if not ignore_case:
        return (fold(char),)
    plain, seen = fold(small(char)), fold(small(fold(char)))
    return (plain,) if plain == seen else (plain, seen)
