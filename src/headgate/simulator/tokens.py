"""Cut text into the simulator's tokens: word pieces such that ``"".join(tokenize(text)) == text``.

No real model's vocabulary, but its manners: words carry the blank before them, long words come in pieces, and runs
of white space are tokens of their own. Emoji sequences and accents fall apart at any code point, as they do in life.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_PIECE: Final = re.compile(r" ?[^\W\d_]+| ?\d{1,3}| ?[^\w\s]{1,3}|\s+|.", re.DOTALL)
_WORD_CHARS: Final = 6
"""Words of more than this and one are cut into equal pieces of at most this."""
_WIDE_CHARS: Final = 2
_WIDE_FROM: Final = "\u2e80"
"""First of the scripts (CJK and what follows) whose words are not set apart by blanks."""


def tokenize(text: str) -> Iterator[str]:
    """The tokens of `text`, in order."""
    for found in _PIECE.finditer(text):
        piece = found[0]
        if len(piece) <= _WIDE_CHARS or (len(piece) <= _WORD_CHARS + 1 and piece < _WIDE_FROM):
            yield piece
        else:
            yield from _split(piece)


def count(text: str) -> int:
    """How many tokens `text` has."""
    return sum(1 for _ in tokenize(text))


def _split(word: str) -> Iterator[str]:
    size = _WIDE_CHARS if word.lstrip()[:1] >= _WIDE_FROM else _WORD_CHARS
    pieces = -(-len(word) // size)
    size = -(-len(word) // pieces)
    for start in range(0, len(word), size):
        yield word[start : start + size]
