"""Where a read ended never shows."""

from __future__ import annotations

from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.events import AnyEvent
from headgate.sse import Frame, SseDecoder
from tests.properties.answers import ANSWERS, Answer, cut, read, sse, stream_chunks, whole_body
from tests.soak import share

CUTS: Final = st.lists(st.integers(0, 100_000), max_size=12)
LINES: Final = st.lists(
    st.sampled_from(
        [
            b"data: a",
            b"data:",
            b"data",
            b"data:  b",
            b"event: e",
            b": c",
            b"id: 1",
            b"x",
            b"",
            b"",
            "data: \u2028".encode(),
            b"\xef\xbb\xbf",
            b"data: 012345678901234567890123456789",
        ]
    ),
    max_size=12,
)
ENDS: Final = st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"])


def frames_of(pieces: list[bytes], limit: int) -> tuple[list[Frame], bool]:
    decoder = SseDecoder(pending_bytes_max=limit)
    frames = [frame for piece in pieces for frame in decoder.feed(piece)]
    return frames + decoder.finish(), decoder.overflowed


def reference(stream: bytes) -> list[Frame]:
    """Server-Sent Events once more, as slowly and plainly as they can be written."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    frames: list[Frame] = []
    data: list[bytes] = []
    event = b""
    for line in text.split(b"\n")[:-1]:
        name, _, value = line.partition(b":")
        value = value[1:] if value[:1] == b" " else value
        if line == b"":
            if data:
                frames.append((event, b"\n".join(data)))
            data, event = [], b""
        elif name == b"data":
            data.append(value)
        elif name == b"event":
            event = value
    return frames


@settings(max_examples=share(100_000))
@given(LINES, st.lists(ENDS, min_size=12, max_size=12), CUTS)
def test_frames_are_those_of_the_specification_however_the_bytes_are_cut(
    lines: list[bytes], ends: list[bytes], at: list[int]
) -> None:
    stream = b"".join(line + end for line, end in zip(lines, ends, strict=False))
    assert frames_of(cut(stream, at), 10_000) == (reference(stream), False)


@settings(max_examples=share(50_000))
@given(LINES, st.lists(ENDS, min_size=12, max_size=12), CUTS, st.integers(1, 60))
def test_overflow_does_not_depend_on_the_cuts_either(
    lines: list[bytes], ends: list[bytes], at: list[int], limit: int
) -> None:
    stream = b"".join(line + end for line, end in zip(lines, ends, strict=False))
    assert frames_of(cut(stream, at), limit) == frames_of([stream], limit)


@settings(max_examples=share(20_000))
@given(ANSWERS, st.data(), CUTS, st.sampled_from(["\n", "\r\n", "\r"]))
def test_log_of_a_stream_does_not_depend_on_the_cuts(
    answer: Answer, data: st.DataObject, at: list[int], end: str
) -> None:
    body = sse(data.draw(st.composite(lambda draw: stream_chunks(answer, draw))()), end=end)

    def events(pieces: list[bytes]) -> list[AnyEvent]:
        return read(OPENAI_CHAT.stream_decoder(attempt=1, choices=len(answer.choices)), pieces)

    whole = events([body])
    assert events(cut(body, at)) == whole
    assert events([body[i : i + 1] for i in range(len(body))]) == whole


@settings(max_examples=share(5_000))
@given(ANSWERS, CUTS)
def test_log_of_a_whole_answer_does_not_depend_on_the_cuts(answer: Answer, at: list[int]) -> None:
    body = whole_body(answer)

    def events(pieces: list[bytes]) -> list[AnyEvent]:
        return read(OPENAI_CHAT.whole_decoder(attempt=1, choices=len(answer.choices)), pieces)

    assert events(cut(body, at)) == events([body])
