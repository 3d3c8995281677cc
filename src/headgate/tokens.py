"""Counting tokens of text: exactly where the vocabulary is at hand, else by an estimate and a bound.

The vocabularies of OpenAI's models come with the optional package ``rs-bpe`` (``headgate[tokens]``); nothing is ever
downloaded. Everything else is estimated from the number of characters by script, and `tokens_at_least` says what no
vocabulary goes below. Both were measured against nine vocabularies: docs/decisions/0008-counting-tokens.md.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Callable
from typing import Any, Final

BYTES_PER_TOKEN: Final = 4
"""For `estimate`: the usual rule of thumb for English prose."""
ASCII_PER_TOKEN: Final = 4.0
TWO_BYTES_PER_TOKEN: Final = 2.5
"""Characters of two bytes of UTF-8 a token: Cyrillic, Greek, Arabic, Hebrew."""
THREE_BYTES_PER_TOKEN: Final = 1.6
"""Characters of three bytes: Chinese, Japanese, Korean, the scripts of India."""
FOUR_BYTES_PER_TOKEN: Final = 0.8
"""Characters of four bytes: mostly emoji, which take more than one token each."""
PROXY_MARGIN: Final = 0.45
"""Text counted with the vocabulary of another family has at least (1 - this) times as many; it was 40 % off at most."""
CHARS_PER_TOKEN_MAX: Final = 24
"""Characters of the longest words that are one token."""
THREE_BYTES_PER_TOKEN_MAX: Final = 6
"""Characters of three bytes a token at most: Bengali, with Gemma's vocabulary."""
ENCODINGS: Final = ("o200k_base", "cl100k_base")

_RUN: Final = re.compile(r"(.)\1{7,}", re.DOTALL)


def estimate(utf8_bytes: int) -> int:
    """Tokens in this many bytes of text, rounded up."""
    return -(-utf8_bytes // BYTES_PER_TOKEN)


def text_bytes(value: Any) -> int:
    """UTF-8 bytes of all strings in a JSON value (keys excluded)."""
    total = 0
    pending = [value]
    for item in pending:  # grows on the way
        kind = type(item)
        if kind is str:
            total += len(item) if item.isascii() else utf8_length(item)
        elif kind is dict:
            pending.extend(item.values())
        elif kind is list:
            pending.extend(item)
    return total


def utf8_length(text: str) -> int:
    """Bytes of UTF-8. No text has more tokens than bytes."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def estimate_text(text: str) -> int:
    """Tokens of a text by the scripts it is written in. Costs a few passes in C, about 1 ms a megabyte."""
    if text.isascii():
        return -int(-len(text) // ASCII_PER_TOKEN)
    ascii, two, three, four = _by_bytes(text)
    tokens = ascii / ASCII_PER_TOKEN + two / TWO_BYTES_PER_TOKEN + three / THREE_BYTES_PER_TOKEN
    return -int(-(tokens + four / FOUR_BYTES_PER_TOKEN) // 1)


def tokens_at_least(text: str) -> int:
    """Tokens that a text has in every public vocabulary: none has a token that holds two words.

    Vocabularies do have single tokens for long runs of one character (128 spaces): those count as eight characters.
    Costs 30 ms a megabyte: for who is about to refuse something.
    """
    short = without_runs(text)
    three = 0 if short.isascii() else _by_bytes(short)[2]
    return max(len(short.split()), len(short) // CHARS_PER_TOKEN_MAX, three // THREE_BYTES_PER_TOKEN_MAX)


def without_runs(text: str) -> str:
    """A text with no more than eight times the same character in a row."""
    return _RUN.sub(r"\1" * 8, text)


def _by_bytes(text: str) -> tuple[int, int, int, int]:
    """How many characters have one, two, three and four bytes of UTF-8."""
    utf8 = len(text.encode("utf-8", "surrogatepass"))
    one = len(text.encode("ascii", "ignore"))
    four = len(text.encode("utf-16-le", "surrogatepass")) // 2 - len(text)
    middle = len(text) - one - four
    three = utf8 - one - 4 * four - 2 * middle
    return one, middle - three, three, four


def counter(encoding: str) -> Callable[[str], int] | None:
    """Counts the tokens of a text in this encoding; None where it is not one of `ENCODINGS`, or not installed.

    About 30 MB of text a second; the interpreter does nothing else while it counts.
    """
    return _counter(encoding) if encoding in ENCODINGS else None


@functools.cache
def _counter(encoding: str) -> Callable[[str], int] | None:
    """Loads a vocabulary: 90 ms and 60 MB for the larger one, once in the life of the process."""
    try:
        package: Any = importlib.import_module("rs_bpe.bpe")
    except ImportError:
        return None
    exact: Callable[[str], int] = getattr(package.openai, encoding)().count

    def count(text: str) -> int:
        try:
            return exact(text)
        except UnicodeEncodeError:  # a lone surrogate is no text of any vocabulary
            return exact(text.encode("utf-8", "replace").decode())

    return count
