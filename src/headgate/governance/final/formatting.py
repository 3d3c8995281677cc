"""What a policy's ``formatting`` makes of the final text: rules that mend how an answer looks, never what it says.

Pure and linear. What was streamed is not touched here; that it differs is drift, and readers are told by a retraction
(`gate`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final, assert_never

from headgate.policies import Formatting

_LINE_END: Final = re.compile(r"\r\n?")
_BLANK_LINES: Final = re.compile(r"\n(?:[ \t]*\n){3,}")
"""More than two blank lines in a row. Every line belongs to one match at most, or to a try that looks at four lines."""
_FENCE: Final = re.compile(r"(`{3,}|~{3,})[^`]*\Z")
"""The line that opens a fenced block (CommonMark 0.31, section 4.5)."""


def formatted(texts: Sequence[str], rules: Sequence[Formatting]) -> list[str]:
    """The text parts of one choice, after these rules in this order.

    Parts follow each other without a gap, so what is about the ends of a text is about the first and the last of
    them; a fence around several is left where it is.
    """
    found = list(texts)
    if not found:
        return found
    for rule in rules:
        match rule:
            case "trim":
                found[0] = found[0].lstrip()
                found[-1] = found[-1].rstrip()
            case "newlines":
                found = _each(found, lambda text: _BLANK_LINES.sub("\n\n\n", _LINE_END.sub("\n", text)))
            case "code_fence":
                found = [_without_fence(found[0])] if len(found) == 1 else found
            case "nfc":
                found = _each(found, lambda text: unicodedata.normalize("NFC", text))
            case _:
                assert_never(rule)
    return found


def _each(texts: Sequence[str], change: Callable[[str], str]) -> list[str]:
    return [change(text) for text in texts]


def _without_fence(text: str) -> str:
    """What stands inside, where the whole text is one fenced block; else the text."""
    opening, *lines = text.strip().split("\n")
    fence = _FENCE.match(opening)
    if fence is None:
        return text
    end = next((number for number, line in enumerate(lines) if _closes(line, fence.group(1))), None)
    if end is None or end + 1 < len(lines):
        return text
    return "\n".join(lines[:end]).removesuffix("\r")


def _closes(line: str, fence: str) -> bool:
    bare = line.strip(" \t\r")
    return len(bare) >= len(fence) and not bare.strip(fence[0])
