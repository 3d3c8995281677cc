"""Whatever a peer sends: no exception, no end without a reason, no log that could not be kept and shown."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.dialects import Decoder
from headgate.dialects.headgate import NATIVE
from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.dialects.response_object import response_object
from headgate.errors import CODES, RequestError
from headgate.sse import SseDecoder
from tests.properties.answers import cut, fold, log, read
from tests.soak import share
from tests.unit.goldens import ROOT

GOLDEN_STREAMS: Final = sorted(path.read_bytes() for path in ROOT.glob("openai-chat/*/upstream.sse"))
GOLDEN_BODIES: Final = sorted(path.read_bytes() for path in ROOT.glob("openai-chat/*/upstream.json"))
CUTS: Final = st.lists(st.integers(0, 100_000), max_size=6)
DAMAGE: Final = rb"""{ } [ " \ null -1 1e999 999999999999999999999999999999 {"error":1} "content" "\ud800" data:"""
BITS: Final = st.sampled_from([b"", b"\x00", b"\xff", b"\r", b"\n", b"\n\n", b"\xef\xbb\xbf", *DAMAGE.split()]) | (
    st.sampled_from([b"data: ", b"event: error\n", b"data: [DONE]\n\n"])
)
MUTATIONS: Final = st.lists(
    st.tuples(st.integers(0, 100_000), st.integers(0, 40), BITS | st.binary(max_size=4)), max_size=4
)

KEYS: Final = st.sampled_from(
    [
        "id",
        "model",
        "choices",
        "index",
        "delta",
        "message",
        "role",
        "content",
        "refusal",
        "reasoning",
        "reasoning_content",
        "tool_calls",
        "function",
        "custom",
        "name",
        "arguments",
        "type",
        "finish_reason",
        "usage",
        "prompt_tokens",
        "completion_tokens_details",
        "reasoning_tokens",
        "x_groq",
        "error",
        "object",
        "code",
        "system_fingerprint",
        "service_tier",
        "logprobs",
        "obfuscation",
        "extra",
    ]
)
SCALARS: Final = (
    st.none()
    | st.booleans()
    | st.integers(-1, 3)
    | st.sampled_from(
        [2**63, 2**64, -(2**63) - 1, 10**30, 1.5, "", "a", "stop", "error", "custom", "function", "\u2028"]
    )
)
VALUES: Final = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=12
)


def call_of(index: Any, call_id: Any, name: Any, arguments: Any, extra: dict[str, Any]) -> dict[str, Any]:
    return extra | {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}


RARELY_WRONG: Final = st.sampled_from(["", "a", "b", None, None, 0, 1, 7])
TOOL_CALLS: Final = st.builds(
    call_of, RARELY_WRONG, RARELY_WRONG, RARELY_WRONG, RARELY_WRONG, st.dictionaries(KEYS, VALUES, max_size=1)
)
DELTAS: Final = st.dictionaries(KEYS, VALUES, max_size=2) | st.fixed_dictionaries(
    {},
    optional={
        "content": RARELY_WRONG,
        "refusal": RARELY_WRONG,
        "reasoning": RARELY_WRONG,
        "tool_calls": st.lists(TOOL_CALLS, max_size=2),
        "extra": VALUES,
    },
)
CHOICES: Final = st.fixed_dictionaries(
    {"index": st.sampled_from([0, 0, 1, 1, 2, None])},
    optional={"delta": DELTAS, "message": DELTAS, "finish_reason": st.sampled_from([None, "stop", "length", "", 7])},
)
CHUNKS: Final = st.builds(
    lambda top, choices: top | {"choices": choices},
    st.dictionaries(KEYS.filter(lambda key: key != "error"), VALUES, max_size=2),
    st.lists(CHOICES, max_size=2),
)


def mutated(data: bytes, mutations: list[tuple[int, int, bytes]]) -> bytes:
    for at, length, put in mutations:
        start = at % (len(data) + 1)
        data = data[:start] + put + data[start + length :]
    return data


def check(decoder: Decoder, pieces: list[bytes]) -> None:
    """Decode to the end, and do with the events everything that is ever done with events."""
    events = read(decoder, pieces)
    failed = decoder.failure is not None
    assert decoder.finished != failed
    if decoder.failure is not None:
        assert decoder.failure.code in CODES
        msgspec.msgpack.encode((decoder.failure.message, decoder.failure.detail))
    complete = log(events, choices=2, failed=failed)
    journal = msgspec.msgpack.encode(complete)
    assert len(journal) < 8 * sum(map(len, pieces)) + 2_000
    for dialect in (NATIVE, OPENAI_CHAT):
        encoder = dialect.encoder()
        for seq, event in enumerate(complete, 1):
            encoder.feed(seq, event)
    json.dumps(response_object(fold(complete), first_output_ms=None, duration_ms=None))
    if not failed:
        OPENAI_CHAT.whole(fold(complete))


@settings(max_examples=share(50_000))
@given(st.binary(max_size=200) | st.lists(BITS, max_size=12).map(b"".join), CUTS)
def test_arbitrary_bytes_never_raise(data: bytes, at: list[int]) -> None:
    check(OPENAI_CHAT.stream_decoder(attempt=1, choices=2), cut(data, at))
    check(OPENAI_CHAT.whole_decoder(attempt=1, choices=2), cut(data, at))


@settings(max_examples=share(50_000))
@given(st.sampled_from(GOLDEN_STREAMS), MUTATIONS, CUTS)
def test_damaged_streams_never_raise(data: bytes, mutations: list[tuple[int, int, bytes]], at: list[int]) -> None:
    check(OPENAI_CHAT.stream_decoder(attempt=1, choices=2), cut(mutated(data, mutations), at))


@settings(max_examples=share(20_000))
@given(st.sampled_from(GOLDEN_BODIES), MUTATIONS, CUTS)
def test_damaged_whole_answers_never_raise(data: bytes, mutations: list[tuple[int, int, bytes]], at: list[int]) -> None:
    check(OPENAI_CHAT.whole_decoder(attempt=1, choices=2), cut(mutated(data, mutations), at))


@settings(max_examples=share(40_000))
@given(st.lists(CHUNKS | st.dictionaries(KEYS, VALUES, max_size=5), max_size=6))
def test_chunks_with_any_value_anywhere_never_raise(chunks: list[Any]) -> None:
    frames = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]
    check(OPENAI_CHAT.stream_decoder(attempt=1, choices=2), frames)
    if chunks:
        check(OPENAI_CHAT.whole_decoder(attempt=1, choices=2), [json.dumps(chunks[0]).encode()])


@settings(max_examples=share(50_000))
@given(
    st.integers(100, 999),
    st.dictionaries(st.just("retry-after"), st.text(max_size=8)),
    st.binary(max_size=60) | VALUES.map(lambda value: json.dumps({"error": value}).encode()),
)
def test_error_answers_never_raise(status: int, headers: dict[str, str], body: bytes) -> None:
    failure = OPENAI_CHAT.read_failure(status, headers, body)
    assert failure.code in CODES
    assert 400 <= failure.status <= 599
    msgspec.msgpack.encode((failure.message, failure.detail, failure.retry_after_s))


@settings(max_examples=share(50_000))
@given(st.binary(max_size=60) | VALUES.map(lambda value: json.dumps({"model": "m", "messages": value}).encode()))
def test_requests_are_read_or_refused(body: bytes) -> None:
    try:
        request = OPENAI_CHAT.read_request(body)
    except RequestError as error:
        status = error.status
    else:
        OPENAI_CHAT.write_request(request, model="m", stream=True)
        status = 400
    assert status == 400


@settings(max_examples=share(20_000))
@given(st.lists(st.binary(max_size=40) | BITS, max_size=30), st.integers(1, 50))
def test_what_is_pending_is_bounded(pieces: list[bytes], limit: int) -> None:
    decoder = SseDecoder(pending_bytes_max=limit)
    for piece in pieces:
        decoder.feed(piece)
        pending = sum(map(len, decoder._rest)) + sum(map(len, decoder._data)) + len(decoder._event)
        assert pending <= 2 * limit
