"""However an answer is given, cut and passed on, it amounts to the same; and nothing a peer sends raises."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.dialects import Decoder
from headgate.dialects.gemini import GEMINI
from headgate.dialects.gemini.parts import PARTS_MAX
from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.errors import CODES, RequestError
from headgate.events import AnyEvent, AttemptDescribed
from tests.soak import share
from tests.unit.gemini.answers import ANSWERS, Answer, sse, stream_chunks, whole_body
from tests.unit.gemini.logs import CASES, decode, fold, folder, log_of, sdk_stream, stream, upstream, whole

CUTS: Final = st.lists(st.integers(0, 100_000), max_size=6)
GOLDEN_STREAMS: Final = [upstream(case)[0] for case in CASES if (folder(case) / "upstream.sse").exists()]
GOLDEN_BODIES: Final = [upstream(case)[0] for case in CASES if (folder(case) / "upstream.json").exists()]
DAMAGE: Final = rb"""{ } [ ] " \ , : null true -1 1e999 999999999999999999999999 {"error":1} "text" "\ud800" data:"""
BITS: Final = st.sampled_from([b"", b"\x00", b"\xff", b"\r", b"\n", b"\n\n", b"\xef\xbb\xbf", *DAMAGE.split()])
MUTATIONS: Final = st.lists(
    st.tuples(st.integers(0, 100_000), st.integers(0, 40), BITS | st.binary(max_size=4)), max_size=4
)
ANSWER_WORDS: Final = """
candidates content parts text thought thoughtSignature functionCall name args id partialArgs willContinue jsonPath
stringValue numberValue boolValue finishReason index usageMetadata promptTokenCount promptFeedback blockReason error
code status details modelVersion responseId createTime inlineData role extra
"""
KEYS: Final = st.sampled_from(ANSWER_WORDS.split())
SCALARS: Final = (
    st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from([2**64, 10**30, 1.5, "", "a", "STOP", "$.a[0].b"])
)
VALUES: Final = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
PIECES: Final = st.fixed_dictionaries(
    {"jsonPath": st.sampled_from(["$.a", "$.a[0]", "$.b.c", "$['d']", "$", "a", 7])},
    optional={"stringValue": SCALARS, "numberValue": SCALARS, "boolValue": SCALARS, "willContinue": SCALARS},
)
PARTS: Final = st.fixed_dictionaries(
    {},
    optional={
        "text": st.sampled_from(["", "a", "b", None]),
        "thought": st.booleans(),
        "functionCall": st.fixed_dictionaries(
            {},
            optional={
                "name": st.sampled_from(["f", "", None]),
                "args": st.dictionaries(KEYS, VALUES, max_size=2),
                "partialArgs": st.lists(PIECES, max_size=2),
                "willContinue": st.booleans(),
            },
        ),
        "thoughtSignature": st.just("s"),
        "extra": VALUES,
    },
)
CANDIDATES: Final = st.fixed_dictionaries(
    {"index": st.sampled_from([0, 0, 1, None, 2])},
    optional={
        "content": st.fixed_dictionaries({"parts": st.lists(PARTS, max_size=3)}, optional={"extra": VALUES}),
        "finishReason": st.sampled_from([None, "STOP", "SAFETY", "MALFORMED_RESPONSE", "", 7]),
        "extra": VALUES,
    },
)
CHUNKS: Final = st.builds(
    lambda top, candidates: top | {"candidates": candidates},
    st.dictionaries(KEYS.filter(lambda key: key != "error"), VALUES, max_size=2),
    st.lists(CANDIDATES, max_size=2),
)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    marks = [0, *sorted(mark % (len(data) + 1) for mark in at), len(data)]
    return [data[start:end] for start, end in pairwise(marks)]


def mutated(data: bytes, mutations: list[tuple[int, int, bytes]]) -> bytes:
    for at, length, put in mutations:
        start = at % (len(data) + 1)
        data = data[:start] + put + data[start + length :]
    return data


def check(decoder: Decoder, pieces: list[bytes]) -> None:
    """Decode to the end, and do with the events everything that is ever done with events."""
    events, code = decode(decoder, pieces)
    assert decoder.finished == (code is None)
    assert code is None or code in CODES
    log = log_of(events, choices=2, failed=code is not None)
    assert len(msgspec.msgpack.encode(log)) < 12 * sum(map(len, pieces)) + 2_000
    for dialect in (GEMINI, OPENAI_CHAT):
        stream(log, dialect.encoder())
        if code is None:
            dialect.whole(fold(log))


def streamed(answer: Answer, data: st.DataObject) -> tuple[bytes, list[AnyEvent]]:
    end = data.draw(st.sampled_from(["\n", "\r\n", "\r"]))
    body = sse(data.draw(st.composite(lambda draw: stream_chunks(answer, draw))()), end)
    events, code = decode(GEMINI.stream_decoder(attempt=1, choices=len(answer.candidates)), [body])
    assert code is None
    return body, log_of(events, choices=len(answer.candidates))


@settings(max_examples=share(10_000), deadline=None)
@given(ANSWERS, st.data())
def test_stream_and_whole_answer_fold_to_the_same(answer: Answer, data: st.DataObject) -> None:
    decoder = GEMINI.whole_decoder(attempt=1, choices=len(answer.candidates))
    events, code = decode(decoder, [whole_body(answer)])
    assert code is None
    assert whole(streamed(answer, data)[1]) == whole(log_of(events, choices=len(answer.candidates)))


@settings(max_examples=share(10_000), deadline=None)
@given(ANSWERS)
def test_whole_answer_of_a_provider_is_passed_on_with_every_value(answer: Answer) -> None:
    sent = json.loads(whole_body(answer))
    events, _ = decode(GEMINI.whole_decoder(attempt=1, choices=len(answer.candidates)), [whole_body(answer)])
    shown = whole(log_of(events, choices=len(answer.candidates)))
    for candidate in sent["candidates"]:
        candidate["content"]["parts"] = joined(candidate["content"]["parts"]) or [{"text": ""}]
    assert shown == sent | {"responseId": "0" * 32}


def joined(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Parts as they go out: neighbouring unsigned text of one kind is one, and of none there is none."""
    found: list[dict[str, Any]] = []
    for part in parts:
        if part == {"text": ""} or part == {"text": "", "thought": True}:
            continue
        mergeable = "text" in part and "thoughtSignature" not in part
        last = found[-1] if found else {}
        if mergeable and "text" in last and "thoughtSignature" not in last and last.keys() == part.keys():
            found[-1] = last | {"text": last["text"] + part["text"]}
        else:
            found.append(part)
    return found


@settings(max_examples=share(10_000), deadline=None)
@given(ANSWERS, st.data())
def test_events_of_our_own_frames_are_the_events_they_were_made_of(answer: Answer, data: st.DataObject) -> None:
    log = streamed(answer, data)[1]
    decoder = GEMINI.stream_decoder(attempt=1, choices=len(answer.candidates))
    events, code = decode(decoder, [stream(log)])
    assert code is None
    assert whole(log_of(events, choices=len(answer.candidates))) == whole(log)
    if len(answer.candidates) == 1:  # of several, all are done at the end of ours
        assert events == [anonymous(event) for event in log[2:-2]]


def anonymous(event: AnyEvent) -> AnyEvent:
    """The provider's id of an answer is not ours."""
    if isinstance(event, AttemptDescribed):
        return AttemptDescribed(event.attempt, "0" * 32, event.model, event.envelope)
    return event


@settings(max_examples=share(10_000), deadline=None)
@given(ANSWERS, st.data(), CUTS)
def test_log_does_not_depend_on_the_cuts(answer: Answer, data: st.DataObject, at: list[int]) -> None:
    body, log = streamed(answer, data)
    for pieces in (cut(body, at), [body[i : i + 1] for i in range(len(body))]):
        events, code = decode(GEMINI.stream_decoder(attempt=1, choices=len(answer.candidates)), pieces)
        assert code is None
        assert log_of(events, choices=len(answer.candidates)) == log


@settings(max_examples=share(3_000), deadline=None)
@given(ANSWERS, st.data())
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_official_sdk_takes_every_frame_of_every_answer(answer: Answer, data: st.DataObject) -> None:
    answer = Answer(answer.described | {"createTime": "2026-01-01T00:00:00Z"}, answer.candidates, {}, answer.usage)
    log = streamed(answer, data)[1]
    assert len(sdk_stream(stream(log))) == stream(log).count(b"\n\n")


@settings(max_examples=share(20_000), deadline=None)
@given(st.binary(max_size=200) | st.lists(BITS, max_size=12).map(b"".join), CUTS)
def test_arbitrary_bytes_never_raise(data: bytes, at: list[int]) -> None:
    check(GEMINI.stream_decoder(attempt=1, choices=2), cut(data, at))
    check(GEMINI.whole_decoder(attempt=1, choices=2), cut(data, at))


@settings(max_examples=share(40_000), deadline=None)
@given(st.sampled_from(GOLDEN_STREAMS), MUTATIONS, CUTS)
def test_damaged_streams_never_raise(data: bytes, mutations: list[tuple[int, int, bytes]], at: list[int]) -> None:
    check(GEMINI.stream_decoder(attempt=1, choices=2), cut(mutated(data, mutations), at))


@settings(max_examples=share(20_000), deadline=None)
@given(st.sampled_from(GOLDEN_BODIES), MUTATIONS, CUTS)
def test_damaged_whole_answers_never_raise(data: bytes, mutations: list[tuple[int, int, bytes]], at: list[int]) -> None:
    check(GEMINI.whole_decoder(attempt=1, choices=2), cut(mutated(data, mutations), at))


@settings(max_examples=share(6_000), deadline=None)
@given(st.lists(CHUNKS | st.dictionaries(KEYS, VALUES, max_size=5), max_size=6))
def test_chunks_with_any_value_anywhere_never_raise(chunks: list[Any]) -> None:
    check(GEMINI.stream_decoder(attempt=1, choices=2), [b"data: " + json.dumps(c).encode() + b"\n\n" for c in chunks])
    check(GEMINI.whole_decoder(attempt=1, choices=2), [json.dumps(chunks).encode()])


def test_parts_of_a_candidate_are_bounded() -> None:
    part = {"functionCall": {"name": "f"}}
    body = {"candidates": [{"content": {"parts": [part] * (PARTS_MAX + 1)}, "finishReason": "STOP"}]}
    _, code = decode(GEMINI.whole_decoder(attempt=1, choices=1), [json.dumps(body).encode()])
    assert code == "upstream_malformed"


@settings(max_examples=share(20_000), deadline=None)
@given(
    st.integers(100, 999),
    st.dictionaries(st.just("retry-after"), st.text(max_size=8)),
    st.binary(max_size=60) | VALUES.map(lambda value: json.dumps({"error": value}).encode()),
)
def test_error_answers_never_raise(status: int, headers: dict[str, str], body: bytes) -> None:
    failure = GEMINI.read_failure(status, headers, body)
    assert failure.code in CODES
    assert 400 <= failure.status <= 599
    msgspec.msgpack.encode((failure.message, failure.detail, failure.retry_after_s))


REQUEST_WORDS: Final = """
contents role parts text thought inlineData mimeType data fileData fileUri functionCall name args id functionResponse
response systemInstruction tools functionDeclarations parameters parametersJsonSchema toolConfig mode type nullable
functionCallingConfig allowedFunctionNames generationConfig topK top_k responseSchema responseMimeType properties items
thinkingConfig thinkingLevel thinkingBudget includeThoughts stopSequences candidateCount labels
"""
REQUEST_KEYS: Final = st.sampled_from(REQUEST_WORDS.split())
BODIES: Final = st.recursive(
    SCALARS | st.sampled_from(["user", "model", "image/png", "application/json", "OBJECT", "AUTO", "aGk="]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(REQUEST_KEYS, inner, max_size=4),
    max_leaves=14,
)


@settings(max_examples=share(8_000), deadline=None)
@given(st.dictionaries(REQUEST_KEYS, BODIES, max_size=4), BODIES)
def test_requests_are_read_and_written_or_refused(fields: dict[str, Any], part: Any) -> None:
    body = {"contents": [{"role": "user", "parts": [part if isinstance(part, dict) else {"text": "Hi"}]}]} | fields
    try:
        request = GEMINI.read_request(json.dumps(body).encode(), model="m", stream=True)
        GEMINI.write_request(request, model="m", stream=True)
        GEMINI.write_prompt(GEMINI.read_prompt(request), model="m", stream=True)
    except RequestError as error:
        status, param = error.status, error.param
    else:
        status, param = 400, "none"
    assert status == 400
    assert param
