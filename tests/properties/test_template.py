"""The short cut for plain chunks gives what the long way gives."""

from __future__ import annotations

import json
from typing import Any, Final

from hypothesis import event, given, settings
from hypothesis import strategies as st

from headgate.dialects.fields import JSON_ERRORS, read_json
from headgate.dialects.openai_chat.chunks import ChunkDecoder
from headgate.dialects.openai_chat.decode import StreamDecoder
from headgate.events import AnyEvent
from headgate.sse import SseDecoder
from tests.soak import share

TEXT: Final = st.sampled_from(
    ["a", "b", " c", "", "\n", '"', "\\", "ü", "😀", "\u2028", "\x7f", "content", '"content":"a"', "}", "0123456789"]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
RAW: Final = st.sampled_from(
    [b"a", b"\xff", b"\\u00e9", b"\\ud800", b"\\n", b"\t", b'","content":"b', b'"}}]}', b"\xc3"]
)
OBFUSCATION: Final = st.sampled_from(["", "x", "9Qx", "aB7Tq0L", "é", "a b", "a\\b", 7, None])


def chunk(
    text: Any, *, created: int, model: str, obfuscation: Any, delta: dict[str, Any], beside: dict[str, Any], n: int
) -> dict[str, Any]:
    choice = {"index": n, "delta": delta | {"content": text}} | beside
    padding = {} if obfuscation is None else {"obfuscation": obfuscation}
    return {"id": "x", "created": created, "model": model, "choices": [choice]} | padding


CHUNKS: Final = st.builds(
    chunk,
    TEXT,
    created=st.sampled_from([1, 1, 1, 2]),
    model=st.sampled_from(["m", "m", "m", "n", ""]),
    obfuscation=OBFUSCATION,
    delta=st.sampled_from(
        [
            *({}, {}, {}),
            {"role": "assistant"},
            {"reasoning": "r"},
            {"note": 1},
            {"refusal": "n"},
            {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "a"}}]},
            {"tool_calls": [{}]},
        ]
    ),
    beside=st.sampled_from(
        [{"logprobs": None, "finish_reason": None}] * 4
        + [{"logprobs": {}}, {"finish_reason": "stop"}, {"content": "a"}]
    ),
    n=st.sampled_from([0, 0, 0, 0, 1]),
)
OTHERS: Final = st.sampled_from(
    [
        b'{"choices":[],"usage":{"prompt_tokens":1}}',
        b'{"choices":[],"extra":1}',
        b'{"choices":[{"index":0,"delta":{"content":"a","content":"b"}}]}',
        b'{"content":"a","choices":[{"index":0,"delta":{"content":"a"}}]}',
        b'{"choices":[{"index":0,"message":{"content":"a"}}]}',
        b'{"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":2}}',
        b'{"choices":[{"index":0,"delta":{"content":"a"}}],"obfuscation":"a","obfuscation":"b"}',
        b'{"obfuscation":"a","choices":[{"index":0,"delta":{"content":"a"}}]}',
        b"[DONE]",
        b"ping",
    ]
)
REPEATING: Final = [
    b'{"choices":[{"index":%d,"delta":{"%b":"%b"}}]}' % (index, name, text)
    for index in (0, 1)
    for name in (b"content", b"reasoning", b"refusal")
    for text in (b"a", b"b")
]
"""Chunks that only differ in what a template must tell apart: the same bytes mean another part after the part changed."""
SEPARATORS: Final = st.sampled_from([(",", ":"), (", ", ": ")])
ROW: Final = st.tuples(st.integers(1, 4), CHUNKS, st.lists(TEXT, min_size=1, max_size=4), SEPARATORS, st.booleans())


def rendered(rows: list[Any]) -> list[bytes]:
    """Every chunk, and the same chunk with other texts in it: what makes a template worth while."""
    bodies: list[bytes] = []
    for row in rows:
        if isinstance(row, bytes):
            bodies.append(row)
            continue
        _, base, texts, separators, ascii_only = row
        for text in [base["choices"][0]["delta"]["content"], *texts]:
            base["choices"][0]["delta"]["content"] = text
            bodies.append(json.dumps(base, separators=separators, ensure_ascii=ascii_only).encode())
    return bodies


def slowly(stream: bytes) -> tuple[list[AnyEvent], str | None]:
    """What `StreamDecoder` would do without any template."""
    decoder = ChunkDecoder(attempt=1, choices=2)
    events: list[AnyEvent] = []
    for _, data in SseDecoder().feed(stream):
        if data == b"[DONE]":
            break
        try:
            value = read_json(data)
        except JSON_ERRORS:
            if data.lstrip()[:1] == b"{":
                return events, "upstream_malformed"
            continue
        if isinstance(value, dict):
            events += decoder.frame(b"", value)
        if decoder.failure is not None:
            return events, decoder.failure.code
    events += decoder.end()
    return events, decoder.failure.code if decoder.failure else None


def quickly(stream: bytes) -> tuple[list[AnyEvent], str | None]:
    decoder = StreamDecoder(attempt=1, choices=2, learn_after=1)
    events = decoder.feed(stream)
    if decoder.failure is None:
        events += decoder.finish()
    return events, decoder.failure.code if decoder.failure else None


def stream_of(bodies: list[bytes]) -> bytes:
    return b"".join(b"data: " + body.replace(b"\n", b" ") + b"\n\n" for body in bodies)


@settings(max_examples=share(40_000))
@given(st.lists(ROW | ROW | OTHERS, max_size=6) | st.lists(st.sampled_from(REPEATING), max_size=8))
def test_chunks_are_decoded_as_without_the_short_cut(rows: list[Any]) -> None:
    stream = stream_of(rendered(rows))
    event(f"{len(rows)} rows")
    assert quickly(stream) == slowly(stream)


@settings(max_examples=share(40_000))
@given(ROW, RAW | st.binary(max_size=3), st.integers(0, 400), st.integers(0, 3))
def test_chunk_that_is_no_longer_like_the_last_one_is_decoded_the_long_way(
    row: Any, put: bytes, at: int, length: int
) -> None:
    first, *rest = rendered([row])
    start = at % (len(first) + 1)
    odd = first[:start] + put + first[start + length :]
    stream = stream_of([first, first, odd, first, *rest])
    assert quickly(stream) == slowly(stream)


@settings(max_examples=share(50_000))
@given(RAW | st.binary(max_size=6))
def test_string_with_any_bytes_in_it_is_decoded_as_json_has_it(raw: bytes) -> None:
    head, tail = b'{"choices":[{"index":0,"delta":{"content":"', b'"},"finish_reason":null}],"obfuscation":"%b"}'
    for padding in (b"abc", raw):
        bodies = [head + text + tail % padding for text in (b"a", b"b", raw, b"c")]
        assert quickly(stream_of(bodies)) == slowly(stream_of(bodies))
