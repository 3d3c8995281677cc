"""Text of a part in pieces that can be judged for their meaning: whole sentences, or windows of a fixed size.

A stage. The pieces joined are the text, and where it is cut depends on the text alone, never on how it came (law 4).
A piece is not a grammarian's sentence: `e.g. this` is two. What matters is that none is longer than its limit, and
that each is given out as soon as nothing that follows could change it.
"""

from __future__ import annotations

import re
from typing import Final, Literal

_SPACE: Final = re.compile(r"\s*")
_STOP: Final = re.compile("[.!?\u3002\uff01\uff1f\n]")
_CLOSING: Final = re.compile("[\"'\u201d\u2019\u00bb\u203a)\\]}\u300d\u300f\u3011\uff09]*")
"""Quotes and brackets that close, those of East Asian scripts among them."""
_WIDE: Final = "\u3002\uff01\uff1f"
"""The stops of East Asian scripts, which write no spaces: white space is not asked for after them."""

_Unit = Literal["sentence", "window"]


class Segmenter:
    """Cuts one text.

    A sentence ends with the white space after a stop (and the quotes and brackets that close with it), with a line
    that is not blank, or before what follows a wide stop. White space before a sentence belongs to it, so that no
    piece but the last is blank unless white space alone fills a window. After `window_chars` code points without an
    end it is cut behind its last white space, or there.

    Every character is looked at a bounded number of times: the state below says how far, and in the middle of what.
    """

    def __init__(self, unit: _Unit, window_chars: int) -> None:
        self._limit = window_chars
        self._sentences = unit == "sentence"
        self._text = ""
        self._restart()

    def _restart(self) -> None:
        self._at = 0
        """Everything of `_text` before it has been looked at."""
        self._blank = True
        """All of it is white space so far."""
        self._stop = ""
        """The last stop, while only what may stand between it and the end of its sentence has followed."""

    def feed(self, text: str) -> list[str]:
        """The pieces that `text` completes."""
        self._text += text
        found = []
        start = 0
        while True:
            end = self._end(start)
            if not end:
                break
            found.append(self._text[start:end])
            start = end
            self._restart()
            self._at = start
        if start:
            self._text = self._text[start:]
            self._at -= start
        return found

    def finish(self) -> list[str]:
        """What is left."""
        rest, self._text = self._text, ""
        self._restart()
        return [rest] if rest else []

    def _end(self, start: int) -> int:
        """Where the piece that begins at `start` ends; 0 while that is not known."""
        text, most = self._text, start + self._limit
        last = min(len(text), most)
        if self._blank:
            self._at = _after(_SPACE, text, self._at, last)
            self._blank = self._at == last
        if self._sentences and not self._blank:
            end = self._sentence(text, last)
            if end:
                return end
        if last < most:
            return 0
        return _cut(text, start, last)

    def _sentence(self, text: str, last: int) -> int:
        """Where the sentence ends, if that is before `last`; else 0, and everything up to there has been looked at."""
        while True:
            if self._stop:
                self._at = _after(_CLOSING, text, self._at, last)
                if self._at == last:
                    return 0
                following = text[self._at]
                if self._stop in _WIDE and following not in _WIDE:
                    return self._at
                if self._stop not in _WIDE and following.isspace():
                    return self._at + 1
                self._stop = ""
            stop = _STOP.search(text, self._at, last)
            if stop is None:
                self._at = last
                return 0
            self._at = stop.end()
            if stop.group() == "\n":
                return self._at
            self._stop = stop.group()


def _cut(text: str, start: int, last: int) -> int:
    """Behind the last white space that is not at the beginning; else `last`."""
    words = _after(_SPACE, text, start, last)
    return next((at + 1 for at in range(last - 1, words, -1) if text[at].isspace()), last)


def _after(run: re.Pattern[str], text: str, at: int, last: int) -> int:
    """The end of a run of characters, possibly none."""
    match = run.match(text, at, last)
    return match.end() if match is not None else at
