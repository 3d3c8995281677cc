"""The check notices every way in which an answer can be wrong, and passes right ones however they were cut."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.answers import STAMP_AT, Model, parse
from benchmarks.checks import check_whole
from benchmarks.wire import CHAT
from benchmarks.wires import WIRES

SEVEN = parse("bench-t7-r0")
STAMPED = parse("bench-t3-r50-stamped")
Frames = list[bytes]


def frames(name: str = CHAT, model: Model = SEVEN) -> Frames:
    """A right answer, frame by frame: an opening, the tokens, what closes it."""
    wire = WIRES[name]
    tokens = [wire.token(model, index) for index in range(model.tokens)]
    return [wire.opening(model), *tokens, *split(wire.closing(model, usage=True))]


def split(data: bytes) -> Frames:
    end = b"\r\n\r\n" if b"\r" in data else b"\n\n"
    return [block + end for block in data.split(end)[:-1]]


def stamped(*stamps: int, name: str = CHAT) -> bytes:
    """An answer with these stamps in its tokens, and what was meant to be there in the text that is repeated."""
    wire, at = WIRES[name], STAMP_AT.encode()
    tokens = [wire.token(STAMPED, index).replace(at, b"%016d" % stamp) for index, stamp in enumerate(stamps)]
    closing = wire.closing(STAMPED, usage=False).replace(at * 3, b"".join(b"%016d" % stamp for stamp in stamps))
    return b"".join([wire.opening(STAMPED), *tokens, closing])


def problems(body: bytes, name: str = CHAT, model: Model = SEVEN) -> str:
    check = WIRES[name].check(model)
    check.feed(body)
    return "; ".join(check.finish())


@pytest.mark.parametrize("name", WIRES)
def test_right_answer_has_no_problems(name: str) -> None:
    assert problems(b"".join(frames(name)), name) == ""


@pytest.mark.parametrize("name", WIRES)
def test_right_answer_with_ids_and_heartbeats_has_no_problems(name: str) -> None:
    numbered = [b"id: %d\n%b" % (seq, frame) for seq, frame in enumerate(frames(name)[1:], 4)]
    body = b"".join([frames(name)[0], numbered[0], b": ping\n", *numbered[1:4], b": ping\n\n", b"\n\n", *numbered[4:]])
    assert problems(body, name) == ""


@given(st.sampled_from(list(WIRES)), st.lists(st.floats(0, 1), max_size=12))
def test_reads_may_end_anywhere(name: str, cuts: list[float]) -> None:
    body = b"".join(frames(name))
    check = WIRES[name].check(SEVEN)
    ends = [0, *sorted(int(cut * len(body)) for cut in cuts), len(body)]
    for start, end in pairwise(ends):
        check.feed(body[start:end])
    assert check.finish() == []
    assert check.seen == 7


@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda f: f[:3] + f[4:], "token 2 is"),
        (lambda f: [*f[:3], f[3], f[3], *f[4:]], "token 3 is"),
        (lambda f: [f[0], f[2], f[1], *f[3:]], "token 0 is"),
        (lambda f: f[:7] + f[8:], "6 tokens instead of 7"),
        (lambda f: [*f, f[1]], "text after the end"),
        (lambda f: [*f[:-1], f[-1][:-1]], "inside a frame"),
        (lambda f: [*f[:4], b"data: {\n\n", *f[4:]], "not a frame of this dialect"),
        (lambda f: [*f[:4], b"event: odd\n\n", *f[4:]], "a frame without data"),
        (lambda f: [x.replace(b" headgate", b" Headgate") for x in f], "token 1 is"),
        (lambda f: [], "0 tokens instead of 7"),
        (lambda f: [x.replace(b"fr\xc3\xa6me", b"frame").replace(b'\\"say\\"', b"say") for x in f] + f[2:3], "after"),
    ],
)
def test_wrong_answer_is_noticed(name: str, change: Callable[[Frames], Frames], problem: str) -> None:
    assert problem in problems(b"".join(change(frames(name))), name)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        (CHAT, b'"stop"', b'"length"'),
        ("openai-responses", b'"status":"completed","background"', b'"status":"length","background"'),
        ("anthropic-messages", b'"end_turn"', b'"length"'),
        ("gemini", b'"STOP"', b'"length"'),
    ],
)
def test_finish_reason_that_is_another_one_is_noticed(name: str, right: bytes, wrong: bytes) -> None:
    changed = b"".join(frames(name)).replace(right, wrong)
    assert "the finish reason is 'length'" in problems(changed, name)


@pytest.mark.parametrize("name", WIRES)
def test_end_that_is_missing_or_there_twice_is_noticed(name: str) -> None:
    end = WIRES[name].check.END
    found = frames(name)
    assert f"no {end}" in problems(b"".join(found[:-1]), name)
    assert f"{end} twice" in problems(b"".join([*found, found[-1]]), name)


def test_responses_numbers_and_last_text_are_checked() -> None:
    found = frames("openai-responses")
    without_done = found[:8] + found[9:]
    assert "has the number" in problems(b"".join(without_done), "openai-responses")
    other = [*found[:-1], found[-1].replace(b" headgate", b" Headgate")]
    assert "is not what was streamed" in problems(b"".join(other), "openai-responses")
    failed = b'event: error\ndata: {"type":"error","sequence_number":12}\n\n'
    assert "ended with error" in problems(b"".join([*found, failed]), "openai-responses")


def test_responses_may_end_with_done_but_not_before_their_end() -> None:
    found, done = frames("openai-responses"), b"data: [DONE]\n\n"
    assert problems(b"".join([*found, done]), "openai-responses") == ""
    assert "[DONE] before" in problems(b"".join([*found[:-1], done, found[-1]]), "openai-responses")


def test_blocks_of_messages_are_checked() -> None:
    start, stop = (b'data: {"type":"content_block_%b","index":0}\n\n' % word for word in (b"start", b"stop"))
    found = frames("anthropic-messages")
    assert "text outside a block" in problems(b"".join([found[0], stop, *found[1:]]), "anthropic-messages")
    assert "inside a block" in problems(b"".join([*found[:-2], start, *found[-2:]]), "anthropic-messages")
    odd = b'event: error\ndata: {"type":"error"}\n\n'
    assert "an event 'error'" in problems(b"".join([*found, odd]), "anthropic-messages")


@pytest.mark.parametrize("name", WIRES)
def test_stamped_answer_gives_its_times(name: str) -> None:
    check = WIRES[name].check(STAMPED)
    check.feed(stamped(100, 200, 200, name=name))
    assert check.finish() == []
    assert check.stamps == [100, 200, 200]


def test_stamps_that_went_back_or_are_none_are_noticed() -> None:
    assert "was written before" in problems(stamped(100, 300, 200), model=STAMPED)
    assert "2 tokens instead of 3" in problems(stamped(100, 200), model=STAMPED)
    broken = stamped(100, 200, 300).replace(b"0000000000000200", b"000000000000020x")
    assert "is no stamp" in problems(broken, model=STAMPED)


@pytest.mark.parametrize("name", WIRES)
def test_whole_answer_is_checked(name: str) -> None:
    wire = WIRES[name]
    finish, body = wire.check.FINISH, wire.whole(SEVEN)

    def found(data: bytes) -> list[str]:
        return check_whole(data, SEVEN, wire.told, finish)

    assert found(body) == []
    assert found(wire.whole(parse("bench-t6-r0"))) == ["the text is another one"]
    assert found(body.replace(f'"{finish}"'.encode(), b'"length"')) == ["the finish reason is 'length'"]
    assert "not an answer" in found(body[:-1])[0]
    assert "not an answer" in found(b'{"choices":[],"candidates":[]}')[0]


def test_model_names() -> None:
    assert parse("bench-t200-r50-stamped") == Model("bench-t200-r50-stamped", 200, 50, True)
    assert parse("gemini/bench-t2-r0") == Model("bench-t2-r0", 2, 0)
    with pytest.raises(ValueError, match="bench-t"):
        parse("gpt-5")


def test_prose_may_be_cut_anywhere_but_is_to_be_the_same() -> None:
    model = parse("bench-t7-r0-prose")
    assert (model.prose, model.stamped) == (True, False)
    wire = WIRES[CHAT]
    tokens = [wire.token(model, index) for index in range(model.tokens)]
    ends = [wire.opening(model), wire.closing(model, usage=True)]
    assert problems(b"".join([ends[0], *tokens, ends[1]]), model=model) == ""
    merged = tokens[2].replace(_content(model.token(2)), _content(model.token(2) + model.token(3)))
    assert problems(b"".join([ends[0], *tokens[:2], merged, *tokens[4:], ends[1]]), model=model) == ""
    assert "another one" in problems(b"".join([ends[0], *tokens[:3], *tokens[4:], ends[1]]), model=model)


def _content(text: str) -> bytes:
    return b'"content":%b' % msgspec.json.encode(text)
