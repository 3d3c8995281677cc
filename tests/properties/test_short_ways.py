"""Short cuts on the token path make what the long way makes, whatever comes along."""

from __future__ import annotations

import copy
import json
import random
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.dialects import Decoder, decode
from headgate.dialects.gemini.answer import Answer
from headgate.dialects.gemini.decode import StreamDecoder
from headgate.events import AnyEvent
from headgate.sse import Frame, SseDecoder
from tests.soak import share

PIECES: Final = st.sampled_from(
    [
        b"data: ",
        b"event: ",
        b"a",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"data: x\n\n",
        b"event: e\ndata: y\n\n",
        b"event: e\r\ndata: y\r\n\r\n",
        b"data: z\r\n\r\n",
        b"id: 1\n",
        b": c\n",
        b"\xef\xbb\xbf",
    ]
)
VALUES: Final[list[Any]] = [
    None,
    "",
    0,
    1,
    -1,
    True,
    [],
    {},
    "x",
    "STOP",
    [{}],
    {"text": "y"},
    [{"text": "z"}],
    2**70,
    1.5,
]
FIELDS: Final = [
    "finishReason",
    "thought",
    "extra",
    "safetyRatings",
    "thoughtSignature",
    "error",
    "index",
    "createTime",
]


def line_by_line(decoder: SseDecoder, data: bytes) -> list[Frame]:
    """The long way."""
    return [] if decoder.overflowed or not data else decoder._feed_lines(data)


@settings(max_examples=share(3000))
@given(st.lists(st.lists(PIECES, min_size=1, max_size=6), max_size=5), st.sampled_from([12, 1 << 20]))
def test_frames_are_those_of_reading_line_by_line(reads: list[list[bytes]], limit: int) -> None:
    short, long = SseDecoder(limit), SseDecoder(limit)
    for pieces in reads:
        data = b"".join(pieces)
        assert short.feed(data) == line_by_line(long, data)
        assert short.overflowed == long.overflowed


def chunk(number: int, dice: random.Random) -> Any:
    """A chunk as Google sends them, most of the time."""
    candidate = {"content": {"parts": [{"text": f"w{number}"}], "role": "model"}, "index": dice.choice([0, 0, 1])}
    usage = {"promptTokenCount": 4, "candidatesTokenCount": number}
    made: dict[str, Any] = {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": "gemini",
        "responseId": "r",
    }
    for _ in range(dice.choice([0, 0, 0, 1, 2])):
        spoil(made, dice)
    return made


def spoil(value: Any, dice: random.Random) -> None:
    """Change, take away or add something somewhere inside."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = dice.choice(keys)
        if isinstance(value[key], dict | list) and dice.random() < 0.7:
            value = value[key]
            continue
        if dice.random() < 0.3:
            del value[key]
        elif isinstance(value, dict) and dice.random() < 0.4:
            value[dice.choice(FIELDS)] = copy.deepcopy(dice.choice(VALUES))
        else:
            value[key] = copy.deepcopy(dice.choice(VALUES))
        return


@settings(max_examples=share(2000))
@given(st.randoms(use_true_random=False), st.sampled_from([1, 2]), st.sampled_from(["\n\n", "\r\n\r\n"]))
def test_plain_chunks_of_gemini_are_read_as_all_others_are(dice: random.Random, choices: int, end: str) -> None:
    chunks = [chunk(number, dice) for number in range(dice.randint(1, 7))]
    if dice.random() < 0.7:
        chunks.append({"candidates": [{"content": {"parts": [{"text": ""}]}, "finishReason": "STOP", "index": 0}]})
    short = StreamDecoder(attempt=1, choices=choices)
    long = decode.StreamDecoder(Answer(attempt=1, choices=choices))
    for value in chunks:
        data = f"data: {json.dumps(value)}{end}".encode()
        assert state(short, short.feed(data)) == state(long, long.feed(data))
    assert state(short, short.finish()) == state(long, long.finish())


def state(decoder: Decoder, events: list[AnyEvent]) -> tuple[Any, ...]:
    return events, decoder.failure, decoder.finished, decoder.ended
