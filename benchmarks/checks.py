"""The checks of what arrived, for every dialect; what its frames look like is its wire's. Pure.

One token lost, changed, repeated or out of place and the answer is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

import msgspec

from benchmarks.answers import STAMP_DIGITS, Model, word

PROBLEMS_MAX: Final = 3
"""Of one answer; more of them say nothing new."""


class StreamCheck:
    """Fed with the bytes of a streamed answer's body; afterwards `finish` says what was wrong with it.

    A wire's own check reads frames (`read`), and says `token`, `finished` and `end`.
    """

    FINISH: ClassVar = "stop"
    """What a right answer gives as the reason of its end."""
    END: ClassVar = "[DONE]"
    """What a right answer ends with."""

    def __init__(self, model: Model) -> None:
        self.seen = 0
        """Tokens so far."""
        self.stamps: list[int] = []
        """Times the tokens of a stamped answer were written at, ns."""
        self.problems: list[str] = []
        self._model = model
        self._said: list[str] = []
        self._rest = b""
        self._finish: str | None = None
        self._ended = False

    def read(self, data: bytes) -> None:
        """One frame's data. May raise `msgspec.DecodeError`."""
        raise NotImplementedError

    def feed(self, data: bytes) -> None:
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        for block in blocks:
            start = 6 if block.startswith(b"data: ") else block.find(b"\ndata: ") + 7
            if start == 6 and not block.startswith(b"data: "):
                if block and not block.startswith(b":"):
                    self.note(f"a frame without data: {block[:60]!r}")
                continue
            try:
                self.read(block[start:])
            except msgspec.DecodeError as error:
                self.note(f"not a frame of this dialect ({error}): {block[start : start + 120]!r}")

    def finish(self) -> list[str]:
        """The body has ended: everything that was wrong, nothing if the answer was right."""
        if self._rest.strip(b"\n"):
            self.note(f"the body ends inside a frame: {self._rest[:60]!r}")
        if self._model.prose:
            if "".join(self._said) != self._model.text():
                self.note("the text is another one")
            self.seen = self._model.tokens
        elif self.seen != self._model.tokens:
            self.note(f"{self.seen} tokens instead of {self._model.tokens}")
        if self._finish != self.FINISH:
            self.note(f"the finish reason is {self._finish!r}")
        if not self._ended:
            self.note(f"no {self.END}")
        return self.problems

    def token(self, content: str) -> None:
        if self._finish is not None or self._ended:
            self.note("text after the end")
        if self._model.prose:
            self._said.append(content)
        elif not self._model.stamped:
            if content != word(self.seen):
                self.note(f"token {self.seen} is {content!r} instead of {word(self.seen)!r}")
        elif len(content) == STAMP_DIGITS and content.isdecimal():
            stamp = int(content)
            if self.stamps and stamp < self.stamps[-1]:
                self.note(f"token {self.seen} was written before the one in front of it")
            self.stamps.append(stamp)
        else:
            self.note(f"token {self.seen} is no stamp: {content!r}")
        self.seen += 1

    def finished(self, reason: str) -> None:
        self._finish = reason

    def end(self) -> None:
        if self._ended:
            self.note(f"{self.END} twice")
        self._ended = True

    def note(self, problem: str) -> None:
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)


def check_whole(body: bytes, model: Model, read: Callable[[bytes], tuple[str, str]], finish: str) -> list[str]:
    """What is wrong with a whole answer. `read` finds its text and the reason of its end."""
    try:
        said, reason = read(body)
    except (msgspec.DecodeError, ValueError) as error:
        return [f"not an answer ({error}): {body[:120]!r}"]
    problems = []
    if said != model.text():
        problems.append("the text is another one")
    if reason != finish:
        problems.append(f"the finish reason is {reason!r}")
    return problems
