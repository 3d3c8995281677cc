"""The answers that travel, and the check that they arrived. Pure.

The text of an answer is made of a fixed list of words, some of which need JSON escapes or are not ASCII, so that a
gateway which writes JSON anew is checked as well. In a *stamped* answer every token is instead the time it was
written at, 16 digits of monotonic nanoseconds: the client reads the delay off each token.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

import msgspec

MODEL: Final = re.compile(r"(?:.*/)?bench-t(\d{1,6})-r(\d{1,5})(-stamped)?", re.ASCII)
STAMP_DIGITS: Final = 16
STAMP_AT: Final = b"#" * STAMP_DIGITS
"""Where a stamp goes in a frame that is otherwise ready."""
PROMPT: Final = "Tell me how water gets from a river to a field, in a few paragraphs. " * 6
PROBLEMS_MAX: Final = 3
"""Of one answer; more of them say nothing new."""

WORDS: Final = (
    *("A", " headgate", " is", " the", " first", " thing", " a", " canal", ' has to "say"', " to", " a", " river", "."),
    *("\n\n", "It", " stands", " at", " the", " mouth", " of", " the", " ditch", ",", " in", " a", " fr\u00e6me"),
    *(" of", " stone", " (\u77f3", "),", " and\tit", " decides", " how", " much", " is", " invited", " in", " C:\\in"),
)


class Model(msgspec.Struct, frozen=True):
    """What a model name asks for: ``bench-t200-r50-stamped`` is 200 tokens, 50 a second; ``r0`` is all at once."""

    name: str
    tokens: int
    rate: int
    stamped: bool = False


def parse(name: str) -> Model:
    """Read a model name. Raises `ValueError` for one that is none of ours."""
    found = MODEL.fullmatch(name)
    if found is None:
        raise ValueError(f"{name!r} is not bench-t<tokens>-r<rate>[-stamped]")
    return Model(name, int(found[1]), int(found[2]), found[3] is not None)


def word(index: int) -> str:
    return WORDS[index % len(WORDS)]


@cache
def text(tokens: int) -> str:
    return "".join(word(index) for index in range(tokens))


# --- what the provider sends


def chunk(data: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def frame(model: str, delta: dict[str, str], finish: str | None = None) -> bytes:
    """One server-sent event of a Chat Completions stream, of a usual size."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return b"data: %b\n\n" % msgspec.json.encode({**_envelope("chatcmpl-bench", model), "choices": [choice]})


def opening(model: str) -> bytes:
    return frame(model, {"role": "assistant", "content": ""})


def closing(model: str, tokens: int, *, usage: bool) -> bytes:
    """Finish reason, usage if it was asked for, end marker."""
    counted = {**_envelope("chatcmpl-bench", model), "choices": [], "usage": _usage(tokens)}
    return b"".join(
        [
            frame(model, {}, "stop"),
            b"data: %b\n\n" % msgspec.json.encode(counted) if usage else b"",
            b"data: [DONE]\n\n",
        ]
    )


def whole(model: str, tokens: int) -> bytes:
    """The same answer, not streamed."""
    message = {"role": "assistant", "content": text(tokens), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    answer = {**_envelope("chatcmpl-bench", model), "choices": [choice], "usage": _usage(tokens)}
    return msgspec.json.encode({**answer, "object": "chat.completion"})


def _envelope(answer_id: str, model: str) -> dict[str, Any]:
    return {
        "id": answer_id,
        "object": "chat.completion.chunk",
        "created": 1_780_000_000,
        "model": model,
        "system_fingerprint": "fp_bench",
    }


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 96, "completion_tokens": tokens, "total_tokens": 96 + tokens}


# --- what the client checks


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice]


class _Message(msgspec.Struct):
    content: str


class _WholeChoice(msgspec.Struct):
    message: _Message
    finish_reason: str


class _Whole(msgspec.Struct):
    choices: list[_WholeChoice]


_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_decode_whole = msgspec.json.Decoder(_Whole).decode


class StreamCheck:
    """Fed with the bytes of a streamed answer's body; afterwards `finish` says what was wrong with it."""

    __slots__ = ("_done", "_finish", "_model", "_rest", "problems", "seen", "stamps")

    def __init__(self, model: Model) -> None:
        self.seen = 0
        """Tokens so far."""
        self.stamps: list[int] = []
        """Times the tokens of a stamped answer were written at, ns."""
        self.problems: list[str] = []
        self._model = model
        self._rest = b""
        self._finish: str | None = None
        self._done = False

    def feed(self, data: bytes) -> None:
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        for block in blocks:
            start = 6 if block.startswith(b"data: ") else block.find(b"\ndata: ") + 7
            if start == 6 and not block.startswith(b"data: "):
                if not block.startswith(b":"):
                    self._note(f"a frame without data: {block[:60]!r}")
            elif block.endswith(b"[DONE]"):
                self._end()
            else:
                self._frame(block[start:])

    def finish(self) -> list[str]:
        """The body has ended: everything that was wrong, nothing if the answer was right."""
        if self._rest.strip(b"\n"):
            self._note(f"the body ends inside a frame: {self._rest[:60]!r}")
        if self.seen != self._model.tokens:
            self._note(f"{self.seen} tokens instead of {self._model.tokens}")
        if self._finish != "stop":
            self._note(f"the finish reason is {self._finish!r}")
        if not self._done:
            self._note("no [DONE]")
        return self.problems

    def _frame(self, data: bytes) -> None:
        try:
            choices = _decode_chunk(data).choices
        except msgspec.DecodeError as error:
            self._note(f"not a chunk ({error}): {data[:120]!r}")
            return
        for choice in choices:
            content = choice.delta.content
            if content:
                self._token(content)
            if choice.finish_reason is not None:
                self._finish = choice.finish_reason

    def _token(self, content: str) -> None:
        if self._finish is not None or self._done:
            self._note("text after the end")
        if not self._model.stamped:
            if content != word(self.seen):
                self._note(f"token {self.seen} is {content!r} instead of {word(self.seen)!r}")
        elif len(content) == STAMP_DIGITS and content.isdecimal():
            stamp = int(content)
            if self.stamps and stamp < self.stamps[-1]:
                self._note(f"token {self.seen} was written before the one in front of it")
            self.stamps.append(stamp)
        else:
            self._note(f"token {self.seen} is no stamp: {content!r}")
        self.seen += 1

    def _end(self) -> None:
        if self._done:
            self._note("[DONE] twice")
        self._done = True

    def _note(self, problem: str) -> None:
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)


def check_whole(body: bytes, model: Model) -> list[str]:
    """What is wrong with a whole answer."""
    try:
        choices = _decode_whole(body).choices
    except msgspec.DecodeError as error:
        return [f"not an answer ({error}): {body[:120]!r}"]
    if len(choices) != 1:
        return [f"{len(choices)} choices instead of 1"]
    problems = []
    if choices[0].message.content != text(model.tokens):
        problems.append("the text is another one")
    if choices[0].finish_reason != "stop":
        problems.append(f"the finish reason is {choices[0].finish_reason!r}")
    return problems
