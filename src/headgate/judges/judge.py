"""What every judge is, and what a rule's own words may become in a record."""

from __future__ import annotations

import re
from typing import Final, Protocol

from headgate.governance.judgement import Judgement, Outcome

SPANS_MAX: Final = 10_000
"""Ranges in one answer: more say no more than that the whole text fails."""
_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.:/-]{0,63}", re.ASCII)


class Judge(Protocol):
    """Answers questions of one rule."""

    at_once: int
    """How many it can work on at the same time."""

    async def judge(self, text: str, timeout_s: float) -> Judgement:
        """The verdict. It may raise anything, take any time, and is cancelled once nobody waits for it any more."""
        ...

    async def close(self) -> None: ...


class JudgeError(Exception):
    """A rule whose judge cannot be made: a mistake in the configuration. `key` is the setting that is wrong."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def error(detail: str) -> Judgement:
    return Judgement(Outcome.ERROR, detail=detail)


def code(word: object, text: str) -> str:
    """`word` if it may be recorded, else ``""``.

    Only a short code without spaces is (``off_topic``, ``hate/threatening``), and none that stands in the text itself:
    it might be a piece of what must not be kept.
    """
    if isinstance(word, str) and _CODE.fullmatch(word) and word.casefold() not in text.casefold():
        return word
    return ""
