"""The short cut for plain chunks: that it is taken, and when it is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headgate.dialects.openai_chat.decode import LEARN_AFTER, StreamDecoder
from headgate.dialects.openai_chat.template import Template, learn
from headgate.events import Delta, Extra, Opaque

PLAIN = (
    b'{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","system_fingerprint":"f",'
    b'"choices":[{"index":0,"delta":{"content":"%b"},"logprobs":null,"finish_reason":null}]}'
)
PADDED = PLAIN[:-1] + b',"usage":null,"obfuscation":"%b"}'
SPACED = b'{"choices": [{"index": 0, "delta": {"role": "assistant", "content": "%b"}, "finish_reason": null}]}'


def template(data: bytes, text: str = "Hi", **delta: Any) -> Template | None:
    return learn(data, [Delta(0, 0, text, **delta)])


def match(learned: Template | None, data: bytes, event: bytes = b"") -> str | None:
    assert learned is not None
    found = learned.match(event, data)
    return found.text if found else None


@pytest.mark.parametrize("shape", [PLAIN, SPACED], ids=["compact", "spaced"])
@pytest.mark.parametrize("text", ["a", " there", "ü", "日本", "😀", "{", "}]", "'"])
def test_chunk_that_differs_in_its_text_alone_is_recognised(shape: bytes, text: str) -> None:
    learned = template(shape % b"Hi")
    assert match(learned, shape % text.encode()) == text


@pytest.mark.parametrize("padding", [b"k3", b"9Qx", b"aB7Tq0L", b"0"])
def test_obfuscation_may_differ_too(padding: bytes) -> None:
    learned = template(PADDED % (b"Hi", b"PwZ"))
    assert match(learned, PADDED % (b"a", padding)) == "a"


@pytest.mark.parametrize("rest", [b'"}', b'"', b"}", b"", b'","obfuscation":"}', b'","obfuscation":"'])
def test_chunk_that_is_shorter_than_the_template_around_its_text_goes_the_long_way(rest: bytes) -> None:
    learned = template(PADDED % (b"Hi", b"PwZ"))
    whole = PADDED % (b"a", b"PwZ")
    assert match(learned, whole[: whole.index(b"PwZ")] + rest) is None
    assert match(learned, whole[: whole.index(b'a"')] + rest) is None


@pytest.mark.parametrize(
    "text", [b"\\n", b'\\"', b'a\\"},', b"\\\\", b"\\u0041", b"\\ud83d\\ude00", b"\x7f", "\u2028".encode()]
)
def test_text_with_escapes_is_recognised(text: bytes) -> None:
    meant = json.loads(b'"%b"' % text)
    assert match(template(PLAIN % b"Hi"), PLAIN % text) == meant
    assert match(template(PADDED % (b"Hi", b"PwZ")), PADDED % (text, b"k3")) == meant


@pytest.mark.parametrize(
    "text",
    [b"", b"\xff", b"\xc3", b"\\n\xff", b"\x00", b"\t", b"\\", b"\\x", b"\\ud83d", b'","a":"', b'\\","a":"', b'\\""'],
)
def test_text_that_is_none_goes_the_long_way(text: bytes) -> None:
    assert match(template(PLAIN % b"Hi"), PLAIN % text) is None
    assert match(template(PADDED % (b"Hi", b"PwZ")), PADDED % (text, b"k3")) is None


@pytest.mark.parametrize("padding", [b"", b"a b", b"\\u0041", b'","error":"x', "é".encode()])
def test_obfuscation_that_is_not_plain_goes_the_long_way(padding: bytes) -> None:
    assert match(template(PADDED % (b"Hi", b"PwZ")), PADDED % (b"a", padding)) is None


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.replace(b'"m"', b'"n"') % b"a",
        PLAIN.replace(b'"created":1', b'"created":2') % b"a",
        PLAIN.replace(b'finish_reason":null', b'finish_reason":"stop"') % b"a",
        PLAIN % b"a" + b" ",
        (PLAIN % b"a")[:-1],
        (PLAIN % b"a")[:60],
        b"",
    ],
)
def test_anything_else_that_differs_goes_the_long_way(data: bytes) -> None:
    assert match(template(PLAIN % b"Hi"), data) is None


def test_stream_that_was_cut_at_the_padding_is_not_taken_for_a_chunk() -> None:
    data = PADDED % (b"a", b"PwZ")
    assert match(template(PADDED % (b"Hi", b"PwZ")), data[: data.index(b"PwZ")]) is None


def test_frame_with_an_event_of_its_own_goes_the_long_way() -> None:
    assert match(template(PLAIN % b"Hi"), PLAIN % b"a", event=b"error") is None


@pytest.mark.parametrize(
    "data",
    [
        b'{"choices":[{"index":0,"delta":{"content":"Hi","content":"Hi"}}]}',
        b'{"content":"Hi","choices":[{"index":0,"delta":{"content":"Hi"}}]}',
        b'{"choices":[{"index":0,"message":{"content":"Hi"}}]}',
        b'{"choices":[{"index":0,"delta":{"content":"\\u0048i"}}]}',
        b'{"choices":[{"index":0,"delta":{"content":"Hi"}}],"usage":{"prompt_tokens":1}}',
        b'{"choices":[{"index":0,"delta":{"content":"Hi","tool_calls":[{"index":0}]}}]}',
        b'{"choices":[{"index":0,"delta":{"content":"Hi"}},{"index":1}]}',
        b'{"choices":[{"index":0,"delta":{"content":"Hi"}}],"obfuscation":"a","obfuscation":"b"}',
    ],
)
def test_nothing_is_learned_from_a_chunk_that_could_mean_something_else(data: bytes) -> None:
    assert template(data) is None


def test_same_bytes_make_a_new_part_once_another_part_began() -> None:
    decoder = StreamDecoder(attempt=1, choices=1, learn_after=1)
    text, reasoning = (
        b'data: {"choices":[{"index":0,"delta":{"%b":"a"}}]}\n\n' % n for n in (b"content", b"reasoning")
    )
    events = decoder.feed(text * 3 + reasoning + text)
    parts = [event.part for event in events if isinstance(event, Delta)]
    assert parts == [0, 0, 0, 1, 2]


def test_nothing_is_learned_where_the_chunk_made_more_than_a_plain_delta() -> None:
    data = PLAIN % b"Hi"
    assert template(data, extra=Extra(response={"a": 1})) is None
    assert learn(data, []) is None
    assert learn(data, [Delta(0, 0, "H"), Delta(0, 0, "i")]) is None
    assert template(data, text="other") is None


def test_line_of_which_nothing_is_known_does_not_cost_the_short_cut() -> None:
    decoder = StreamDecoder(attempt=1, choices=1, learn_after=1)
    for text in ("Hi", " there"):
        decoder.feed(b"data: " + PLAIN % text.encode() + b"\n\n")
    learned = decoder._template
    assert learned is not None
    (idle,) = decoder.feed(b'data: {"position":3}\n\n')
    assert isinstance(idle, Opaque)
    assert decoder._template is learned


def test_the_first_chunks_of_a_stream_are_not_learned_from() -> None:
    decoder = StreamDecoder(attempt=1, choices=1)
    chunk = b"data: " + PLAIN % b"Hi" + b"\n\n"
    decoder.feed(chunk)  # it begins the text as well, and is not plain
    for _ in range(LEARN_AFTER - 1):
        decoder.feed(chunk)
        assert decoder._template is None
    decoder.feed(chunk)
    assert decoder._template is not None
