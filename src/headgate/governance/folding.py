"""Characters as rules compare them: compatibility forms, look-alikes and case folded away, one character at a time.

A folding never makes two characters of one or one of two, so offsets stay those of the text as it was written, and
what is released is never the folded text. It is no judgement either: what looks like ASCII is only compared as such.
"""

from __future__ import annotations

import unicodedata
from typing import Final

ZERO_WIDTH: Final = frozenset("\u200b\u200c\u200d\u2060\ufeff\u00ad")
"""Characters that cannot be seen. Rules look through them: they neither match, nor part what stands around them."""

_LETTERS: Final = "аеіјкоԛрѕсԁԝхуһАВЕІЈКМНОРЅСТХУԚԜ" + "αικνορτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ"
_LOOKS: Final = "aeijkoqpscdwxyhABEIJKMHOPSCTXYQW" + "aikvoptuxABEZHIKMNOPTYX"
LOOKS_LIKE: Final = dict(zip(_LETTERS, _LOOKS, strict=True))
"""Cyrillic and Greek letters that a reader takes for ASCII ones."""


def fold(char: str) -> str:
    """The character that this one is compared as: its compatibility form, if that is one character, and its look."""
    if char < "\x80":
        return char
    form = unicodedata.normalize("NFKC", char)
    if len(form) != 1:
        form = char
    return LOOKS_LIKE.get(form, form)


def small(char: str) -> str:
    """The character without case, if that is one character; else as it stands."""
    folded = char.casefold()
    return folded if len(folded) == 1 else char


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
