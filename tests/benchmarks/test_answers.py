"""The check notices every way in which an answer can be wrong, and passes right ones however they were cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import answers
from benchmarks.answers import StreamCheck, check_whole, parse

NAME = "bench-t7-r0"
STAMPED = "bench-t3-r50-stamped"


def frames(name: str = NAME) -> list[bytes]:
    """A right answer, frame by frame: an opening, the tokens, what closes it."""
    tokens = range(parse(name).tokens)
    middle = [answers.frame(name, {"content": answers.word(index)}) for index in tokens]
    *closing, _ = answers.closing(name, len(tokens), usage=True).split(b"\n\n")
    return [answers.opening(name), *middle, *(block + b"\n\n" for block in closing)]


def stamped(*stamps: int) -> list[bytes]:
    tokens = [answers.frame(STAMPED, {"content": f"{stamp:016d}"}) for stamp in stamps]
    return [answers.opening(STAMPED), *tokens, answers.closing(STAMPED, 3, usage=False)]


def problems(body: bytes, name: str = NAME) -> str:
    check = StreamCheck(parse(name))
    check.feed(body)
    return "; ".join(check.finish())


def test_right_answer_has_no_problems() -> None:
    assert problems(b"".join(frames())) == ""


def test_right_answer_with_ids_and_heartbeats_has_no_problems() -> None:
    numbered = [b"id: %d\n%b" % (seq, frame) for seq, frame in enumerate(frames(), 4)]
    assert problems(b"".join([numbered[0], b": ping\n", *numbered[1:]])) == ""
    assert problems(b"".join([numbered[0], b": ping\n\n", *numbered[1:]])) == ""


@given(st.lists(st.integers(0, len(b"".join(frames()))), max_size=12))
def test_reads_may_end_anywhere(cuts: list[int]) -> None:
    body = b"".join(frames())
    check = StreamCheck(parse(NAME))
    ends = [0, *sorted(cuts), len(body)]
    for start, end in pairwise(ends):
        check.feed(body[start:end])
    assert check.finish() == []
    assert check.seen == 7


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda f: f[:3] + f[4:], "token 2 is"),
        (lambda f: [*f[:3], f[3], f[3], *f[4:]], "token 3 is"),
        (lambda f: [f[0], f[2], f[1], *f[3:]], "token 0 is"),
        (lambda f: f[:7] + f[8:], "6 tokens instead of 7"),
        (lambda f: f[:8] + f[9:], "the finish reason is None"),
        (lambda f: f[:-1], "no [DONE]"),
        (lambda f: [*f, f[-1]], "[DONE] twice"),
        (lambda f: [*f, f[1]], "text after the end"),
        (lambda f: [*f[:-1], f[-1][:-1]], "inside a frame"),
        (lambda f: [*f[:4], b"data: {\n\n", *f[4:]], "not a chunk"),
        (lambda f: [*f[:4], b"event: odd\n\n", *f[4:]], "a frame without data"),
        (lambda f: [x.replace(b" headgate", b" Headgate") for x in f], "token 1 is"),
        (lambda f: [x.replace(b'"stop"', b'"length"') for x in f], "the finish reason is 'length'"),
        (lambda f: [], "0 tokens instead of 7"),
    ],
)
def test_wrong_answer_is_noticed(change: object, problem: str) -> None:
    assert callable(change)
    assert problem in problems(b"".join(change(frames())))


def test_stamped_answer_gives_its_times() -> None:
    check = StreamCheck(parse(STAMPED))
    check.feed(b"".join(stamped(100, 200, 200)))
    assert check.finish() == []
    assert check.stamps == [100, 200, 200]


def test_stamps_that_went_back_or_are_none_are_noticed() -> None:
    assert "was written before" in problems(b"".join(stamped(100, 300, 200)), STAMPED)
    assert "2 tokens instead of 3" in problems(b"".join(stamped(100, 200)), STAMPED)
    broken = [frame.replace(b"0000000000000200", b"000000000000020x") for frame in stamped(100, 200, 300)]
    assert "is no stamp" in problems(b"".join(broken), STAMPED)


def test_whole_answer_is_checked() -> None:
    model, body = parse(NAME), answers.whole(NAME, 7)
    assert check_whole(body, model) == []
    assert check_whole(answers.whole(NAME, 6), model) == ["the text is another one"]
    assert check_whole(body.replace(b'"stop"', b'"length"'), model) == ["the finish reason is 'length'"]
    assert "not an answer" in check_whole(body[:-1], model)[0]
    assert check_whole(b'{"choices":[]}', model) == ["0 choices instead of 1"]


def test_model_names() -> None:
    assert parse("bench-t200-r50-stamped") == answers.Model("bench-t200-r50-stamped", 200, 50, True)
    assert parse("bench/bench-t2-r0").tokens == 2
    with pytest.raises(ValueError, match="bench-t"):
        parse("gpt-5")
