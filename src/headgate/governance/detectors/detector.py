"""What a detector is, and the pieces that patterns are made of. Not the detectors themselves.

Patterns are in the regex subset that can be matched while text streams. A check is a pure function of the matched
text as it stood: it may hold zero-width characters, full-width digits and look-alike letters, so it folds first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple


class Detector(NamedTuple):
    """One kind of value that can be told by its form."""

    name: str
    about: str
    """One sentence for the documentation."""
    patterns: tuple[str, ...]
    """Alternatives; the longest match wins."""
    check: Callable[[str], bool | None] | None = None
    """Checksum or plausibility of one match, pure. None: nothing begins here, a shorter match neither."""
    ignore_case: bool = False


START: Final = "(?<![0-9A-Za-z])"
END: Final = "(?![0-9A-Za-z])"
"""Ends of a value that is a word: it must not be cut out of a longer one. `_` may stand there, as Markdown's emphasis."""

DASH: Final = r"\-\u2010\u2011\u2012\u2013\u2014\u2212"
"""For classes: the hyphens and dashes that numbers are written with."""


QUOTE: Final = "[\"']?"


def anycase(text: str) -> str:
    """A pattern for `text` in upper and lower case: `ignore_case` would be for the whole detector."""
    return "".join(f"[{char.lower()}{char.upper()}]" if char.isalpha() else char for char in text)


def label(*names: str) -> str:
    """A pattern for one of these names in any case, and what may stand between it and its value: `SSN: `, `nhs no. `."""
    words = "|".join(anycase(name).replace(" ", "[ _-]?") for name in names)
    return (
        f"{START}(?:{words})(?: ?(?:#|{anycase('no')}\\.?|{anycase('number')}|{anycase('is')}))?{QUOTE} ?[:=]? ?{QUOTE}"
    )


def field(*names: str) -> str:
    """A pattern for one of these names in any case and a colon or an equals sign."""
    return f"{START}(?:{'|'.join(map(anycase, names))}){QUOTE} ?[:=] ?{QUOTE}"
