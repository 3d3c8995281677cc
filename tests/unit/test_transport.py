"""Frames as lines of JSON, and streams that go on after a number of frames."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from headgate.dialects import Dialect, StreamEncoder, dialects
from headgate.dialects.transport import Lines, Skip, payloads
from tests.unit.goldens import frames, log_of

CASES = ("text", "parallel-tool-calls", "upstream-cut", "refusal")


def stream(encoder: StreamEncoder, case: str) -> bytes:
    return b"".join(frames(encoder, log_of(case), knows=0))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dialect", dialects().values(), ids=lambda dialect: dialect.name)
def test_lines_hold_the_json_of_the_frames_and_nothing_else(dialect: Dialect, case: str) -> None:
    lines = stream(Lines(dialect.encoder()), case).split(b"\n")
    assert lines.pop() == b""
    assert lines == list(payloads(stream(dialect.encoder(), case)))
    for line in lines:
        msgspec.json.decode(line)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dialect", dialects().values(), ids=lambda dialect: dialect.name)
def test_what_is_skipped_and_what_follows_make_the_whole_stream(dialect: Dialect, case: str) -> None:
    whole = stream(dialect.encoder(), case)
    ends = [0, *(at + 2 for at in range(len(whole)) if whole[at : at + 2] == b"\n\n")]
    for count, (_, end) in enumerate(pairwise(ends), 1):
        assert whole[:end] + stream(Skip(dialect.encoder(), count), case) == whole
    assert stream(Skip(dialect.encoder(), 10_000), case) == b""


def test_end_marker_that_is_no_json_becomes_a_string_of_it() -> None:
    assert list(payloads(b'id: 3\ndata: {"a":1}\n\nid: 4\ndata: [DONE]\n\n')) == [b'{"a":1}', b'"[DONE]"']
