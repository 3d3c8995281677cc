"""The answers that travel, in no dialect's words: which model names ask for which text. Pure.

The text of an answer is made of a fixed list of words, some of which need JSON escapes or are not ASCII, so that a
gateway which writes JSON anew is checked as well. In a *stamped* answer every token is instead the time it was
written at, 16 digits of monotonic nanoseconds: the client reads the delay off each token. In one of *prose* they are
the words of some thousand different ones of English, for gateways that read along.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final, NamedTuple

from headgate.simulator.corpus import MARKDOWN, PROSE

MODEL: Final = re.compile(r"(?:.*/)?(bench-t(\d{1,6})-r(\d{1,5})(-stamped|-prose)?)", re.ASCII)
STAMP_DIGITS: Final = 16
STAMP_AT: Final = "#" * STAMP_DIGITS
"""Where a stamp goes in a frame that is otherwise ready."""
PROMPT: Final = "Tell me how water gets from a river to a field, in a few paragraphs. " * 6
PROMPT_TOKENS: Final = 96

WORDS: Final = (
    *("A", " headgate", " is", " the", " first", " thing", " a", " canal", ' has to "say"', " to", " a", " river", "."),
    *("\n\n", "It", " stands", " at", " the", " mouth", " of", " the", " ditch", ",", " in", " a", " fr\u00e6me"),
    *(" of", " stone", " (\u77f3", "),", " and\tit", " decides", " how", " much", " is", " invited", " in", " C:\\in"),
)
_TOKEN: Final = re.compile(r"\s?[^\W\d_]{1,7}|\s?[\W\d_]")
ENGLISH: Final[tuple[str, ...]] = (*_TOKEN.findall("\n\n".join((*PROSE, MARKDOWN))), "\n\n")
"""What the simulator talks about, cut into words as tokens are: about four characters each, a space in front of most."""


class Model(NamedTuple):
    """What a model name asks for: ``bench-t200-r50-stamped`` is 200 tokens, 50 a second; ``r0`` is all at once."""

    name: str
    tokens: int
    rate: int
    stamped: bool = False
    prose: bool = False
    """Only the text is checked, not how it is cut: who governs it may hold some of it back."""

    def token(self, index: int) -> str:
        """Text of a token; where there will be a stamp, its place."""
        return STAMP_AT if self.stamped else word(index, prose=self.prose)

    def text(self) -> str:
        """All of the text; where there will be stamps, their places."""
        return STAMP_AT * self.tokens if self.stamped else text(self.tokens, prose=self.prose)


def parse(name: str) -> Model:
    """Read a model name, with or without ``provider/`` before it. Raises `ValueError` for one that is none of ours."""
    found = MODEL.fullmatch(name)
    if found is None:
        raise ValueError(f"{name!r} is not bench-t<tokens>-r<rate>[-stamped|-prose]")
    return Model(found[1], int(found[2]), int(found[3]), found[4] == "-stamped", found[4] == "-prose")


def word(index: int, *, prose: bool = False) -> str:
    words = ENGLISH if prose else WORDS
    return words[index % len(words)]


@cache
def text(tokens: int, *, prose: bool = False) -> str:
    return "".join(word(index, prose=prose) for index in range(tokens))
