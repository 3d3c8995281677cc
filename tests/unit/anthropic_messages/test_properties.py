"""However an answer is given, cut, damaged and passed on: it amounts to the same, or fails with one reason."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.dialects import Decoder
from headgate.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from headgate.dialects.anthropic_messages.objects import REASONS
from headgate.errors import CODES, RequestError
from headgate.events import (
    AnyEvent,
    ChoiceDone,
    Delta,
    PartDone,
    PartKind,
    PartStarted,
    Reason,
    Usage,
)
from tests.soak import share
from tests.unit.anthropic_messages.test_sdk import as_given, created, streamed
from tests.unit.anthropic_messages.wire import CASES, decode, frames, log, stream, upstream, whole
from tests.unit.goldens import fold_of

TEXTS: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["", "a", "\n", "\u2028", '"}', "\\", "data: x\n\n", "😀", "\x85", "\x00"]
)
PIECES: Final = st.lists(TEXTS, max_size=4)
CUTS: Final = st.lists(st.integers(0, 100_000), max_size=5)
CITATION: Final = st.integers(0, 99).map(
    lambda at: {
        "type": "char_location",
        "cited_text": "x",
        "document_index": 0,
        "document_title": None,
        "start_char_index": at,
        "end_char_index": at + 1,
        "file_id": None,
    }
)
INPUTS: Final = st.dictionaries(
    st.text("ab", max_size=2), st.integers(-(2**63), 2**64 - 1) | TEXTS | st.lists(st.none()), max_size=3
)
RESULT: Final[dict[str, Any]] = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}


@dataclass(frozen=True)
class Block:
    """A block as it is whole, and the deltas that a stream brings instead."""

    whole: dict[str, Any]
    start: dict[str, Any]
    deltas: list[dict[str, Any]]


def text_block(pieces: list[str], citations: list[Any]) -> Block:
    deltas: list[dict[str, Any]] = [{"type": "text_delta", "text": piece} for piece in pieces]
    deltas += [{"type": "citations_delta", "citation": citation} for citation in citations]
    cited = {"citations": citations} if citations else {}
    return Block({"type": "text", "text": "".join(pieces)} | cited, {"type": "text", "text": ""}, deltas)


def thinking_block(pieces: list[str], signature: str) -> Block:
    deltas: list[dict[str, Any]] = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
    deltas.append({"type": "signature_delta", "signature": signature})
    start = {"type": "thinking", "thinking": "", "signature": ""}
    return Block(start | {"thinking": "".join(pieces), "signature": signature}, start, deltas)


def call_block(kind: str, given: dict[str, Any], cut: int) -> Block:
    start = {"type": kind, "id": "toolu_1", "name": "web_search", "input": {}}
    data = json.dumps(given) if given else ""
    pieces = [data[: cut % (len(data) + 1)], data[cut % (len(data) + 1) :]]
    return Block(start | {"input": given}, start, [{"type": "input_json_delta", "partial_json": p} for p in pieces])


BLOCKS: Final = (
    st.builds(text_block, PIECES, st.lists(CITATION, max_size=2))
    | st.builds(thinking_block, PIECES, st.text("EqQB=", min_size=1, max_size=4))
    | st.builds(call_block, st.sampled_from(["tool_use", "server_tool_use"]), INPUTS, st.integers(0, 99))
    | st.sampled_from([RESULT, {"type": "redacted_thinking", "data": "Em"}]).map(lambda block: Block(block, block, []))
)
ENDS: Final = st.sampled_from(
    [{"stop_reason": word} for word in REASONS]
    + [{"stop_reason": "stop_sequence", "stop_sequence": "END"}]
    + [{"stop_reason": "refusal", "stop_details": {"type": "refusal", "category": "bio"}}]
    + [{"stop_reason": "end_turn", "container": {"id": "c", "expires_at": "2026-03-01T10:00:00Z"}}]
)


@dataclass(frozen=True)
class Answer:
    blocks: list[Block]
    end: dict[str, Any]
    usage: dict[str, Any]


ANSWERS: Final = st.builds(
    Answer,
    st.lists(BLOCKS, max_size=4),
    ENDS,
    st.fixed_dictionaries(
        {"input_tokens": st.integers(0, 99), "output_tokens": st.integers(0, 99)},
        optional={"cache_read_input_tokens": st.integers(0, 99), "service_tier": st.just("standard")},
    ),
)


def message_of(answer: Answer) -> dict[str, Any]:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "usage": answer.usage}
    return message | {"content": [block.whole for block in answer.blocks]} | answer.end


def stream_of(answer: Answer, draw: Any) -> bytes:
    """The answer as a stream whose blocks interleave at random, though they start in order."""
    begin = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": []}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": begin | {"usage": answer.usage | {"output_tokens": 1}}}
    ]
    waiting: list[list[dict[str, Any]]] = []
    for index, block in enumerate(answer.blocks):
        if waiting and draw(st.booleans()):
            events += [event for rest in waiting for event in rest]
            waiting = []
        events.append({"type": "content_block_start", "index": index, "content_block": block.start})
        rest = [{"type": "content_block_delta", "index": index, "delta": delta} for delta in block.deltas]
        waiting.append([*rest, {"type": "content_block_stop", "index": index}])
    while any(waiting):
        turn = draw(st.sampled_from([index for index, rest in enumerate(waiting) if rest]))
        events.append(waiting[turn].pop(0))
    events.append({"type": "message_delta", "delta": answer.end, "usage": answer.usage})
    return stream(*events, {"type": "message_stop"})


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(position % (len(data) + 1) for position in at)})
    return [data[start:end] for start, end in pairwise(edges)]


def read(data: bytes, at: list[int]) -> list[AnyEvent]:
    decoder = ANTHROPIC_MESSAGES.stream_decoder(attempt=1, choices=1)
    events, failure, ended = decode(decoder, cut(data, at))
    assert (failure, ended) == (None, True)
    return events


@settings(max_examples=share(8_000), deadline=None)
@given(ANSWERS, st.data(), CUTS)
def test_stream_whole_answer_and_our_own_stream_amount_to_the_same(
    answer: Answer, data: st.DataObject, at: list[int]
) -> None:
    body = stream_of(answer, data.draw)
    events = read(body, at)
    assert read(body, []) == events
    decoder = ANTHROPIC_MESSAGES.whole_decoder(attempt=1, choices=1)
    at_once, failure, _ = decode(decoder, [json.dumps(message_of(answer)).encode()])
    assert failure is None
    wanted = whole(log(at_once))
    assert whole(log(events)) == wanted
    assert whole(log(read(frames(log(events)), at))) == wanted
    sent = message_of(answer)
    assert {key: wanted[key] for key in sent if key != "id"} == {key: sent[key] for key in sent if key != "id"}


@settings(max_examples=share(3_000), deadline=None)
@given(ANSWERS, st.data())
def test_official_sdk_accumulates_our_stream_to_our_whole_message(answer: Answer, data: st.DataObject) -> None:
    numbered = log(read(stream_of(answer, data.draw), []))
    assert as_given(streamed(frames(numbered))) == as_given(created(ANTHROPIC_MESSAGES.whole(fold_of(numbered))))


# Logs of any dialect, as far as this one can say them.

KINDS: Final = st.sampled_from([PartKind.TEXT, PartKind.REASONING, PartKind.TOOL_CALL])
PARTS: Final = st.lists(st.tuples(KINDS, st.lists(TEXTS.filter(bool), max_size=3)), max_size=4)


@settings(max_examples=share(8_000), deadline=None)
@given(PARTS, st.sampled_from([Reason.STOP, Reason.TOOL_CALLS, Reason.LENGTH, Reason.REFUSAL]), CUTS)
def test_what_is_encoded_decodes_to_the_same_events(
    parts: list[tuple[PartKind, list[str]]], reason: Reason, at: list[int]
) -> None:
    word = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "refusal": "refusal"}[reason]
    events: list[AnyEvent] = []
    for number, (kind, texts) in enumerate(parts):
        named = ("call", "f") if kind is PartKind.TOOL_CALL else ("", "")
        events.append(PartStarted(0, number, kind, *named))
        events += [Delta(0, number, text) for text in texts]
        events.append(PartDone(0, number))
    events += [ChoiceDone(0, reason, word), Usage(9, 4, cached_tokens=2)]
    _, *again, usage = read(frames(log(events, provider="openai-chat")), at)
    assert again == events[:-1]
    assert isinstance(usage, Usage)
    assert (usage.input_tokens, usage.output_tokens, usage.cached_tokens) == (9, 4, 2)


# Whatever a peer sends.

BITS: Final = st.sampled_from(
    [
        b"",
        b"\x00",
        b"\xff",
        b"\r",
        b"\n",
        b"\n\n",
        b"{",
        b"}",
        b'"',
        b"null",
        b"-1",
        b"1e999",
        b"9" * 30,
        b'"\\ud800"',
        b"event: error\n",
        b'data: {"type":"message_stop"}\n\n',
        b"data: ",
        b"content_block_stop",
        b"thinking",
    ]
)
MUTATIONS: Final = st.lists(
    st.tuples(st.integers(0, 100_000), st.integers(0, 40), BITS | st.binary(max_size=4)), max_size=4
)
KEYS: Final = st.sampled_from(
    [
        "type",
        "index",
        "id",
        "name",
        "text",
        "thinking",
        "signature",
        "input",
        "partial_json",
        "citations",
        "citation",
        "delta",
        "content_block",
        "message",
        "usage",
        "model",
        "content",
        "stop_reason",
        "stop_sequence",
        "container",
        "error",
        "input_tokens",
        "output_tokens",
        "to",
        "new",
    ]
)
SCALARS: Final = st.none() | st.booleans() | st.integers(-1, 2)
SCALARS_OR_WORDS: Final = SCALARS | st.sampled_from(
    [
        "text",
        "thinking",
        "tool_use",
        "server_tool_use",
        "fallback",
        "text_delta",
        "thinking_delta",
        "input_json_delta",
        "signature_delta",
        "end_turn",
        2**63,
        2**64,
        -(2**63) - 1,
        10**30,
        1.5,
        "",
        "{",
        "\u2028",
    ]
)
VALUES: Final[st.SearchStrategy[Any]] = st.recursive(
    SCALARS_OR_WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=6,
)
TYPES: Final = st.sampled_from(
    [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "error",
    ]
)


def typed(kind: str, fields: dict[str, Any], index: int) -> dict[str, Any]:
    return {"index": index} | fields | {"type": kind}


FRAMES: Final = st.lists(
    st.builds(
        typed,
        TYPES.filter(lambda kind: kind not in ("error", "message_stop")),
        st.dictionaries(KEYS, VALUES, max_size=3),
        st.integers(0, 1),
    )
    | st.builds(typed, TYPES, st.dictionaries(KEYS, VALUES, max_size=4), st.integers(0, 1)),
    max_size=8,
)


def check(decoder: Decoder, pieces: list[bytes]) -> None:
    """Decode to the end, and do with the events everything that is ever done with events."""
    events, failure, _ = decode(decoder, pieces)
    assert decoder.finished != (failure is not None)
    if failure is not None:
        assert failure.code in CODES
        msgspec.msgpack.encode((failure.message, failure.detail))
        events = [event for event in events if not isinstance(event, ChoiceDone)]
    numbered = log(events)
    journal = msgspec.msgpack.encode([event for _, event in numbered])
    assert len(journal) < 8 * sum(map(len, pieces)) + 2_000
    shown = frames(numbered)
    assert (b"message_stop" in shown.split(b"event: ")[-1]) == (failure is None)
    if failure is None:
        whole(numbered)
    for provider in ("openai-chat", "anthropic-messages"):
        frames(log(events, provider=provider))


def decoders() -> tuple[Decoder, Decoder]:
    return (
        ANTHROPIC_MESSAGES.stream_decoder(attempt=1, choices=1),
        ANTHROPIC_MESSAGES.whole_decoder(attempt=1, choices=1),
    )


@settings(max_examples=share(30_000), deadline=None)
@given(st.binary(max_size=200) | st.lists(BITS, max_size=12).map(b"".join), CUTS)
def test_arbitrary_bytes_never_raise(data: bytes, at: list[int]) -> None:
    for decoder in decoders():
        check(decoder, cut(data, at))


@settings(max_examples=share(40_000), deadline=None)
@given(st.sampled_from(CASES), MUTATIONS, CUTS)
def test_damaged_answers_never_raise(case: str, mutations: list[tuple[int, int, bytes]], at: list[int]) -> None:
    data, decoder = upstream(case)
    for position, length, put in mutations:
        start = position % (len(data) + 1)
        data = data[:start] + put + data[start + length :]
    check(decoder, cut(data, at))


@settings(max_examples=share(15_000), deadline=None)
@given(FRAMES)
def test_events_with_any_value_anywhere_never_raise(events: list[dict[str, Any]]) -> None:
    check(decoders()[0], [stream(*events)])
    if events:
        check(decoders()[1], [json.dumps(events[0]).encode()])


@settings(max_examples=share(30_000), deadline=None)
@given(st.integers(100, 999), VALUES)
def test_error_answers_never_raise(status: int, body: Any) -> None:
    failure = ANTHROPIC_MESSAGES.read_failure(status, {}, json.dumps({"error": body}).encode())
    assert failure.code in CODES
    assert 400 <= failure.status <= 599
    msgspec.msgpack.encode((failure.message, failure.detail))


REQUEST_KEYS: Final = st.sampled_from(
    [
        "system",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "metadata",
        "stop_sequences",
        "temperature",
        "output_format",
        "new",
    ]
)
BLOCK_TYPES: Final = st.sampled_from(["text", "image", "document", "thinking", "tool_use", "tool_result", "new"])
BLOCKS_OF_A_CLIENT: Final = st.builds(
    lambda fields, kind: fields | {"type": kind},
    st.dictionaries(KEYS | st.sampled_from(["source", "tool_use_id", "content"]), VALUES, max_size=4),
    BLOCK_TYPES,
)


@settings(max_examples=share(15_000), deadline=None)
@given(st.dictionaries(REQUEST_KEYS, VALUES, max_size=3), st.lists(BLOCKS_OF_A_CLIENT, max_size=3) | VALUES)
def test_requests_are_read_and_written_or_refused(fields: dict[str, Any], content: Any) -> None:
    least = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": content}]}
    try:
        request = ANTHROPIC_MESSAGES.read_request(json.dumps(least | fields).encode())
        ANTHROPIC_MESSAGES.write_request(request, model="m", stream=True)
        ANTHROPIC_MESSAGES.write_prompt(ANTHROPIC_MESSAGES.read_prompt(request), model="m", stream=True)
    except RequestError as error:
        status = error.status
    else:
        status = 400
    assert status == 400
