"""Whatever a peer sends: no exception, no end without a reason, no log that could not be kept and shown."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any, Final

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.dialects import Decoder
from headgate.dialects.decode import StreamDecoder
from headgate.dialects.openai_responses import OPENAI_RESPONSES
from headgate.dialects.openai_responses.answer import Answer
from headgate.dialects.response_object import response_object
from headgate.errors import CODES, RequestError
from headgate.events import AnyEvent, Usage
from tests.soak import share
from tests.unit.goldens import ROOT
from tests.unit.openai_responses.test_golden_wire import check_sums
from tests.unit.openai_responses.wire import EVENT, NAME, fold, frames, log, read, stream, streamed, whole

STREAMS: Final = sorted(path.read_bytes() for path in ROOT.glob(f"{NAME}/*/upstream.sse"))
BODIES: Final = sorted(path.read_bytes() for path in ROOT.glob(f"{NAME}/*/upstream.json"))
EVENTS: Final = [
    json.loads(line[6:])
    for data in STREAMS
    for line in data.split(b"\n")
    if line.startswith(b"data: {") and line.rstrip().endswith(b"}") and b'"delta":"lost"' not in line
]
CUTS: Final = st.lists(st.integers(0, 100_000), max_size=6)
DAMAGE: Final = rb"""{ } [ " \ null -1 1e999 999999999999999999999999999999 {"error":1} "delta" "\ud800" data:"""
BITS: Final = st.sampled_from([b"", b"\x00", b"\xff", b"\r", b"\n", b"\n\n", b"\xef\xbb\xbf", *DAMAGE.split()])
MUTATIONS: Final = st.lists(
    st.tuples(st.integers(0, 100_000), st.integers(0, 40), BITS | st.binary(max_size=4)), max_size=4
)
PATHS: Final = st.lists(st.integers(0, 6), max_size=4)
VALUES: Final[st.SearchStrategy[Any]] = st.sampled_from(
    [
        *(None, True, 0, 1, -1, 7, 2**31, 2**63, 2**64, 10**30, 1.5, "", "a", [], {}, [1], {"a": 1}, {"error": {}}),
        *("message", "reasoning", "function_call", "refusal", "response.completed"),
        {"type": "refusal", "refusal": "no"},
    ]
)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    marks = [0, *sorted(mark % (len(data) + 1) for mark in at), len(data)]
    return [data[start:end] for start, end in pairwise(marks)]


def mutated(data: bytes, mutations: list[tuple[int, int, bytes]]) -> bytes:
    for at, length, put in mutations:
        start = at % (len(data) + 1)
        data = data[:start] + put + data[start + length :]
    return data


def changed(value: Any, path: list[int], put: Any) -> Any:
    """`value` with another value somewhere inside."""
    if not path or not isinstance(value, dict | list) or not value:
        return put
    if isinstance(value, list):
        at = path[0] % len(value)
        return [changed(item, path[1:], put) if index == at else item for index, item in enumerate(value)]
    name = sorted(value)[path[0] % len(value)]
    return value | {name: changed(value[name], path[1:], put)}


def check(decoder: Decoder, pieces: list[bytes]) -> None:
    """Decode to the end, and do with the events everything that is ever done with events."""
    events, failure, _ = read(decoder, pieces)
    assert decoder.finished != (failure is not None)
    if failure is not None:
        assert failure.code in CODES
        msgspec.msgpack.encode((failure.message, failure.detail))
    for provider in (NAME, "openai-chat"):
        complete = log(events, failure, provider=provider)
        assert len(msgspec.msgpack.encode(complete)) < 12 * sum(map(len, pieces)) + 2_000
        shown = frames(stream(complete))
        assert [frame["sequence_number"] for frame in shown] == list(range(len(shown)))
        check_sums(shown)
        if provider != NAME:
            for frame in shown:
                EVENT.validate_python(frame, strict=True)
        json.dumps(response_object(fold(complete), first_output_ms=None, duration_ms=None))
        if failure is None:
            assert shown[-1]["response"] == whole(complete)


@settings(max_examples=share(20_000), deadline=None)
@given(st.binary(max_size=200) | st.lists(BITS, max_size=12).map(b"".join), CUTS)
def test_arbitrary_bytes_never_raise(data: bytes, at: list[int]) -> None:
    check(OPENAI_RESPONSES.stream_decoder(attempt=1, choices=1), cut(data, at))
    check(OPENAI_RESPONSES.whole_decoder(attempt=1, choices=1), cut(data, at))


@settings(max_examples=share(10_000), deadline=None)
@given(st.sampled_from(STREAMS), MUTATIONS, CUTS)
def test_damaged_streams_never_raise(data: bytes, mutations: list[tuple[int, int, bytes]], at: list[int]) -> None:
    check(OPENAI_RESPONSES.stream_decoder(attempt=1, choices=1), cut(mutated(data, mutations), at))


@settings(max_examples=share(10_000), deadline=None)
@given(st.sampled_from(BODIES), MUTATIONS, CUTS)
def test_damaged_whole_answers_never_raise(data: bytes, mutations: list[tuple[int, int, bytes]], at: list[int]) -> None:
    check(OPENAI_RESPONSES.whole_decoder(attempt=1, choices=1), cut(mutated(data, mutations), at))


@settings(max_examples=share(15_000), deadline=None)
@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.none() | st.tuples(PATHS, VALUES)), max_size=12))
def test_events_in_any_order_with_any_value_anywhere_never_raise(rows: list[Any]) -> None:
    events = [event if change is None else changed(event, *change) for event, change in rows]
    data = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    check(OPENAI_RESPONSES.stream_decoder(attempt=1, choices=1), [data])
    responses = [event["response"] for event in events if isinstance(event, dict) and "response" in event]
    for response in responses:
        check(OPENAI_RESPONSES.whole_decoder(attempt=1, choices=1), [json.dumps(response).encode()])


DELTA: Final = {
    "type": "response.output_text.delta",
    "item_id": "m",
    "output_index": 0,
    "content_index": 0,
    "delta": "a",
    "logprobs": [],
    "obfuscation": "x",
}
ROWS: Final[st.SearchStrategy[list[Any]]] = st.lists(
    st.tuples(st.sampled_from(["", "event: response.output_text.delta\n", "event: x\n"]), PATHS, VALUES)
    | st.sampled_from(EVENTS).map(lambda event: ("", [], event))
    | st.just(("", [0, 0, 0, 0], None))
    | st.text(max_size=3).map(lambda text: ("", [], DELTA | {"delta": text})),
    max_size=8,
)


@settings(max_examples=share(10_000), deadline=None)
@given(ROWS)
def test_plain_deltas_are_decoded_as_without_the_short_cut(rows: list[Any]) -> None:
    bodies = [(event, put if not path else changed(DELTA, path, put)) for event, path, put in rows]
    bodies = [row for body in bodies for row in (body, ("", DELTA))]
    data = "".join(f"{event}data: {json.dumps(body)}\n\n" for event, body in bodies).encode()
    assert read(OPENAI_RESPONSES.stream_decoder(attempt=1, choices=1), [data]) == read(
        StreamDecoder(Answer(attempt=1)), [data]
    )


WORDS: Final = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
PIECES: Final = st.lists(WORDS, max_size=3)
PARTS: Final = st.lists(st.tuples(st.sampled_from(["output_text", "refusal"]), PIECES), max_size=3)


def message(index: int, parts: list[tuple[str, list[str]]], phase: str | None) -> tuple[list[Any], dict[str, Any]]:
    """A message as a stream has it, and as the final response has it."""
    item: dict[str, Any] = {"id": f"msg_{index}", "type": "message", "role": "assistant", "content": []}
    if phase:
        item["phase"] = phase
    events: list[Any] = [{"type": "response.output_item.added", "output_index": index, "item": dict(item)}]
    for at, (kind, pieces) in enumerate(parts):
        place = {"item_id": item["id"], "output_index": index, "content_index": at}
        field = "refusal" if kind == "refusal" else "text"
        own: dict[str, Any] = {} if kind == "refusal" else {"annotations": []}
        stem = f"response.{kind}"
        text = "".join(pieces)
        events.append({"type": "response.content_part.added", **place, "part": {"type": kind, field: "", **own}})
        events += [{"type": f"{stem}.delta", **place, "delta": piece} for piece in pieces]
        events.append({"type": f"{stem}.done", **place, field: text})
        part = {"type": kind, field: text, **own}
        events.append({"type": "response.content_part.done", **place, "part": part})
        item = item | {"content": [*item["content"], part]}
    item["status"] = "completed"
    events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    return events, item


def thought(index: int, summaries: list[list[str]], contents: list[list[str]], secret: str) -> tuple[list[Any], Any]:
    item: dict[str, Any] = {"id": f"rs_{index}", "type": "reasoning", "summary": []}
    events: list[Any] = [{"type": "response.output_item.added", "output_index": index, "item": dict(item)}]
    held: dict[str, list[Any]] = {"summary": [], "content": []}
    for field, at, texts, kind, stem, begin in (
        ("summary", "summary_index", summaries, "summary_text", "reasoning_summary_text", "reasoning_summary_part"),
        ("content", "content_index", contents, "reasoning_text", "reasoning_text", "content_part"),
    ):
        for number, pieces in enumerate(texts):
            place = {"item_id": item["id"], "output_index": index, at: number}
            part = {"type": kind, "text": "".join(pieces)}
            events.append({"type": f"response.{begin}.added", **place, "part": {"type": kind, "text": ""}})
            events += [{"type": f"response.{stem}.delta", **place, "delta": piece} for piece in pieces]
            events.append({"type": f"response.{stem}.done", **place, "text": part["text"]})
            events.append({"type": f"response.{begin}.done", **place, "part": part})
            held[field].append(part)
    item = item | {name: value for name, value in held.items() if value or name == "summary"}
    if secret:
        item["encrypted_content"] = secret
    events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    return events, item


def call(index: int, name: str, pieces: list[str], custom: bool) -> tuple[list[Any], Any]:
    kind, field = ("custom_tool_call", "input") if custom else ("function_call", "arguments")
    stem = f"response.{kind}_input" if custom else "response.function_call_arguments"
    item = {"id": f"fc_{index}", "type": kind, "call_id": f"call_{index}", "name": name, field: ""}
    place = {"item_id": item["id"], "output_index": index}
    text = "".join(pieces)
    done = item | {field: text, "status": "completed"}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": item},
        *[{"type": f"{stem}.delta", **place, "delta": piece} for piece in pieces],
        {"type": f"{stem}.done", **place, field: text},
        {"type": "response.output_item.done", "output_index": index, "item": done},
    ], done


def search(index: int, query: str) -> tuple[list[Any], Any]:
    item: dict[str, Any] = {"id": f"ws_{index}", "type": "web_search_call", "status": "in_progress"}
    item |= {"action": {"type": "search", "query": query}}
    done = item | {"status": "completed"}
    place = {"item_id": item["id"], "output_index": index}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": item},
        {"type": "response.web_search_call.searching", **place},
        {"type": "response.output_item.done", "output_index": index, "item": done},
    ], done


MAKERS: Final = st.one_of(
    st.tuples(st.just(message), PARTS, st.sampled_from([None, "commentary"])),
    st.tuples(st.just(thought), st.lists(PIECES, max_size=2), st.lists(PIECES, max_size=2), st.sampled_from(["", "x"])),
    st.tuples(st.just(call), WORDS, PIECES, st.booleans()),
    st.tuples(st.just(search), WORDS),
)


def answer(makers: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    events: list[Any] = []
    output = []
    for index, (make, *arguments) in enumerate(makers):
        made, item = make(index, *arguments)
        events += made
        output.append(item)
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    response = {
        "id": "r",
        "object": "response",
        "status": "completed",
        "model": "m-1",
        "output": output,
        "usage": usage,
    }
    return [{"type": "response.created", "response": response | {"output": []}}, *events], response


def shown_events(events: list[AnyEvent]) -> list[AnyEvent]:
    return [event for event in events if type(event).__name__ != "AttemptDescribed" and not isinstance(event, Usage)]


@settings(max_examples=share(8_000), deadline=None)
@given(st.lists(MAKERS, max_size=4), CUTS)
def test_answer_is_the_same_however_it_is_given_and_passed_on(makers: list[Any], at: list[int]) -> None:
    events, response = answer(makers)
    data = streamed([*events, {"type": "response.completed", "response": response}])
    found, failure, ended = read(OPENAI_RESPONSES.stream_decoder(attempt=1, choices=1), cut(data, at))
    assert (failure, ended) == (None, True)
    complete = log(found)
    shown = frames(stream(complete))
    for frame in shown:
        EVENT.validate_python(frame, strict=True)
    check_sums(shown)
    given, _, _ = read(OPENAI_RESPONSES.whole_decoder(attempt=1, choices=1), [json.dumps(response).encode()])
    assert whole(log(given)) == whole(complete) == shown[-1]["response"]
    again, failure, _ = read(OPENAI_RESPONSES.stream_decoder(attempt=1, choices=1), [stream(complete)])
    assert failure is None
    assert whole(log(again)) == whole(complete)
    assert len(shown_events(again)) == len(shown_events(found))
    twice, _, _ = read(OPENAI_RESPONSES.stream_decoder(attempt=1, choices=1), [stream(log(again))])
    assert shown_events(twice) == shown_events(again)


@settings(max_examples=share(20_000), deadline=None)
@given(
    st.binary(max_size=60)
    | st.tuples(PATHS, VALUES).map(
        lambda change: json.dumps(
            changed(
                {
                    "model": "m",
                    "input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}],
                    "tools": [{"type": "function", "name": "f"}],
                    "tool_choice": {"type": "function", "name": "f"},
                    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}},
                    "reasoning": {"effort": "low"},
                },
                *change,
            )
        ).encode()
    )
)
def test_requests_are_read_or_refused(body: bytes) -> None:
    status = 400
    try:
        request = OPENAI_RESPONSES.read_request(body)
        OPENAI_RESPONSES.write_request(request, model="m", stream=True)
        msgspec.msgpack.encode((request.echo, request.input))
        prompt = OPENAI_RESPONSES.read_prompt(request)
        OPENAI_RESPONSES.write_prompt(prompt, model="m", stream=True)
    except RequestError as error:
        status = error.status
    assert status == 400
