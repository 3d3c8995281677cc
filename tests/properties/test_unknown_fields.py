"""A client of the provider's own dialect gets every field back that nobody here knows, at every level of every object.

The specimens are the recorded answers: into each of their objects in turn a field is put that no dialect has. What
cannot be kept is in `LOST`, and in PROTOCOL.md, with the reason.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pytest

from headgate.assemble import Fold
from headgate.dialects import client_dialects, provider_dialects
from headgate.events import (
    AnyEvent,
    AttemptEnded,
    AttemptStarted,
    ChoiceDone,
    Extra,
    Opaque,
    ResponseStarted,
    Terminal,
)
from headgate.lifecycle import terminal_status
from tests.unit.goldens import ROOT, cases
from tests.unit.governance.stream.gates import gate_of, ruleset, terms

MARK: Final = "x_unknown"
PROVIDERS: Final = provider_dialects()
CLIENTS: Final = client_dialects()
TYPED: Final = frozenset({"openai-responses", "anthropic-messages"})
"""Dialects whose events have a type."""

Step = str | int
Path = tuple[Step, ...]

_AGAIN: Final = "said again of what has ended already: readers have its end"
_SHOWN_BEFORE: Final = "our own event of that name left before the provider said anything"
_ASKED: Final = "of the client's request, which the log has from the client"
_STRING: Final = "the text of the item is shown as a string"
LOST: Final[dict[str, dict[tuple[str, str], str]]] = {
    "openai-chat": {
        ("", "choices.[].delta.content.[]"): _STRING,
        ("", "choices.[].delta.content.[].thinking.[]"): _STRING,
        ("", "choices.[].message.content.[]"): _STRING,
        ("", "choices.[].message.content.[].thinking.[]"): _STRING,
        ("", "choices.[].message"): "all of the text so far, once more beside a delta",
    },
    "gemini": {
        ("", "candidates.[].safetyRatings.[]"): "later ratings of a candidate replace earlier ones",
    },
    "anthropic-messages": {
        ("ping", ""): "a heartbeat",
        ("keepalive", ""): "a heartbeat",
        ("content_block_start", "content_block.input"): "deltas bring other arguments",
        ("content_block_stop", ""): "the end of a block that is not open",
    },
    "openai-responses": {
        ("keepalive", ""): "a heartbeat",
        ("response.output_item.added", ""): "without its item",
        **{("response." + word, ""): _SHOWN_BEFORE for word in ("created", "queued", "in_progress")},
        **{
            ("response." + word, f"response.{field}"): "later values of the envelope replace earlier ones"
            for word in ("created", "in_progress")
            for field in ("billing", "reasoning", "text", "text.format")
        },
        **{
            ("response." + word, f"response.{field}"): _ASKED
            for word in ("created", "in_progress", "completed")
            for field in ("metadata", "tools.[]")
        },
        ("", "metadata"): _ASKED,
    },
}
"""By type of the event (empty in whole answers, and where events have none) and place in it."""
REPEATED: Final = {
    "response.completed": "response.output.[]",
    "response.incomplete": "response.output.[]",
    "response.output_item.done": "item.",
    "response.output_text.done": "logprobs.[]",
}
"""Where the Responses dialect says again what it has said."""


class Shown(NamedTuple):
    frames: list[Any]
    whole: Any


def answer(dialect: str, data: bytes, *, whole: bool, choices: int) -> Shown | None:
    """What a client gets of an answer, streamed and whole; None where the answer failed."""
    provider = PROVIDERS[dialect]
    decoder = (provider.whole_decoder if whole else provider.stream_decoder)(attempt=1, choices=choices)
    events = decoder.feed(data)
    events += decoder.finish() if decoder.failure is None else []
    return None if decoder.failure else shown(dialect, events, choices=choices)


def shown(dialect: str, events: list[AnyEvent], *, choices: int = 1) -> Shown:
    reasons = [event.reason for event in events if isinstance(event, ChoiceDone)]
    log: list[AnyEvent] = [
        ResponseStarted("resp_" + "0" * 32, "app", dialect, "m", 1, choices=choices, include_usage=True),
        AttemptStarted(1, "p", dialect, "m"),
        *events,
        AttemptEnded(1, "ok"),
        Terminal(terminal_status(reasons)),
    ]
    encoder, fold, stream = CLIENTS[dialect].encoder(), Fold(), b""
    for seq, event in enumerate(log, 1):
        stream += encoder.feed(seq, event)
        fold.feed(seq, event)
    lines = [line[6:] for line in stream.split(b"\n") if line.startswith(b"data: ") and line != b"data: [DONE]"]
    return Shown([json.loads(line) for line in lines], json.loads(CLIENTS[dialect].whole(fold)))


def objects(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where the objects of a value are."""
    if isinstance(value, dict):
        yield path
        for name, item in value.items():
            yield from objects(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from objects(item, (*path, index))


def marked(value: Any, path: Path) -> Any:
    value = there = copy.deepcopy(value)
    for step in path:
        there = there[step]
    there[MARK] = {"u": 1}
    return value


def places(value: Any, path: Path = ()) -> Iterator[str]:
    """Where the mark is. In a string it stands in arguments that came as an object."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == MARK:
                yield dotted(path)
            yield from places(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))
    elif isinstance(value, str) and MARK in value:
        yield dotted(path)


def dotted(path: Path) -> str:
    return ".".join("[]" if isinstance(step, int) else step for step in path)


def is_lost(dialect: str, kind: str, place: str) -> bool:
    again = dialect == "openai-responses" and kind in REPEATED and place.startswith(REPEATED[kind])
    return again or (kind, place) in LOST[dialect]


def is_kept(place: str, found: set[str]) -> bool:
    """The mark is where it was; inside arguments, which are text, it is in the text."""
    head, arguments, _ = place.partition("arguments")
    return place in found or bool(arguments and head + arguments in found)


def recorded(dialect: str, case: str) -> tuple[bytes, bool, int]:
    """The provider's bytes, whether they are a whole answer, and how many choices were asked for."""
    folder = ROOT / dialect / case
    request = folder / "request.json"
    asked = json.loads(request.read_text()) if request.exists() else {}
    choices = asked.get("n", 2 if case.endswith("n2") else 1)
    whole = folder / "upstream.json"
    return (whole if whole.exists() else folder / "upstream.sse").read_bytes(), whole.exists(), choices


def specimens(whole: bool) -> list[tuple[str, str]]:
    """The recorded answers that are answers."""
    found = []
    for dialect in PROVIDERS:
        for case in cases(dialect):
            data, is_whole, choices = recorded(dialect, case)
            if is_whole == whole and answer(dialect, data, whole=whole, choices=choices):
                found.append((dialect, case))
    return found


@pytest.mark.parametrize(("dialect", "case"), specimens(whole=True))
def test_whole_answer_keeps_an_unknown_field_of_every_object(dialect: str, case: str) -> None:
    data, _, choices = recorded(dialect, case)
    given = json.loads(data)
    for path in objects(given):
        place = dotted(path[1:] if isinstance(given, list) else path)
        got = answer(dialect, json.dumps(marked(given, path)).encode(), whole=True, choices=choices)
        assert got is not None, place
        if isinstance(given, list) and place.startswith("usageMetadata"):
            continue  # the counts of one chunk, and the next has others
        assert is_kept(place, set(places(got.whole))) or is_lost(dialect, "", place), place


@pytest.mark.parametrize(("dialect", "case"), specimens(whole=False))
def test_stream_keeps_an_unknown_field_of_every_object_of_every_event(dialect: str, case: str) -> None:
    data, _, choices = recorded(dialect, case)
    lines = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, kind, given, path in _first_of_each(dialect, lines):
        place = dotted(path)
        marked_lines = [*lines[:number], "data: " + json.dumps(marked(given, path)), *lines[number + 1 :]]
        got = answer(dialect, "\n".join(marked_lines).encode(), whole=False, choices=choices)
        assert got is not None, (kind, place)
        found = {found for frame in got.frames for found in places(frame)}
        assert is_kept(place, found) or is_lost(dialect, kind, place), (kind, place)


def _first_of_each(dialect: str, lines: list[str]) -> Iterator[tuple[int, str, Any, Path]]:
    """One object for every type of event and place in it: the first, but the last of counts, which replace each other."""
    found: dict[tuple[str, str], tuple[int, str, Any, Path]] = {}
    for number, line in enumerate(lines):
        given = _object(line.removeprefix("data:")) if line.startswith("data:") else None
        if given is None:
            continue
        kind = str(given.get("type", "")) if dialect in TYPED else ""
        for path in objects(given):
            key = kind, dotted(path)
            if key not in found or path[:1] in (("usage",), ("usageMetadata",)):
                found[key] = number, kind, given, path
    yield from found.values()


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


# lines of which nothing is known

ENDS: Final = {
    "openai-chat": b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
    "gemini": b'data: {"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP"}]}\n\n',
    "openai-responses": b'data: {"type":"response.completed","response":{"output":[]}}\n\n',
    "anthropic-messages": b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\n\n'
    b'data: {"type":"message_stop"}\n\n',
}
LINES: Final = [
    ("openai-chat", b'data: {"queue":{"position":3}}\n\n'),
    ("openai-chat", b'event: progress\ndata: {"id":"c","queue":{"position":3}}\n\n'),
    ("gemini", b'data: {"queue":{"position":3}}\n\n'),
    ("openai-responses", b'data: {"type":"acme.queue","queue":{"position":3}}\n\n'),
    ("openai-responses", b'event: acme.queue\ndata: {"queue":{"position":3}}\n\n'),
    ("anthropic-messages", b'data: {"type":"acme.queue","queue":{"position":3}}\n\n'),
    ("anthropic-messages", b'event: acme.queue\ndata: {"queue":{"position":3}}\n\n'),
]
HEARTBEATS: Final = [
    (dialect, line)
    for dialect in PROVIDERS
    for line in (
        b"data: {}\n\n",
        b": ping\n\n",
        b'event: ping\ndata: {"type":"ping","n":1}\n\n',
        b'data: {"x":null}\n\n',
    )
]


@pytest.mark.parametrize(("dialect", "line"), LINES)
def test_line_of_which_nothing_is_known_reaches_clients_of_the_dialect_where_it_stood(
    dialect: str, line: bytes
) -> None:
    decoder = PROVIDERS[dialect].stream_decoder(attempt=1, choices=1)
    made = [event for event in decoder.feed(line) if isinstance(event, Opaque)]
    got = shown(dialect, [*made, *decoder.feed(ENDS[dialect]), *decoder.finish()])
    (at,) = [at for at, frame in enumerate(got.frames) if frame.get("queue") == {"position": 3}]
    assert at < len(got.frames) - 1


@pytest.mark.parametrize(("dialect", "line"), LINES)
def test_line_of_which_nothing_is_known_is_no_progress(dialect: str, line: bytes) -> None:
    decoder = PROVIDERS[dialect].stream_decoder(attempt=1, choices=1)
    assert [event.idle for event in decoder.feed(line) if isinstance(event, Opaque)] == [True]


@pytest.mark.parametrize(("dialect", "line"), HEARTBEATS)
def test_heartbeats_make_no_event(dialect: str, line: bytes) -> None:
    assert PROVIDERS[dialect].stream_decoder(attempt=1, choices=1).feed(line) == []


@pytest.mark.parametrize("dialect", PROVIDERS)
def test_clients_of_other_dialects_see_nothing_of_it(dialect: str) -> None:
    line = next(line for name, line in LINES if name == dialect)
    decoder = PROVIDERS[dialect].stream_decoder(attempt=1, choices=1)
    events = [*decoder.feed(line), *decoder.feed(ENDS[dialect]), *decoder.finish()]
    for name, client in CLIENTS.items():
        if name != dialect:
            encoder = client.encoder()
            beginning: list[AnyEvent] = [
                ResponseStarted("resp_" + "0" * 32, "app", name, "m", 1),
                AttemptStarted(1, "p", dialect, "m"),
            ]
            stream = b"".join(encoder.feed(seq, event) for seq, event in enumerate([*beginning, *events], 1))
            assert b"queue" not in stream


@pytest.mark.parametrize(("dialect", "line"), LINES)
def test_line_of_which_nothing_is_known_does_not_get_past_a_policy(dialect: str, line: bytes) -> None:
    gate = gate_of(ruleset(terms("animals", "zebra")), dialect=dialect)
    assert gate.feed(PROVIDERS[dialect].stream_decoder(attempt=1, choices=1).feed(line)) == []
    assert all("queue" not in path for path in gate.dropped), "a name may be text itself"


def test_what_of_such_a_line_may_pass_a_policy_is_no_progress_either() -> None:
    line = b'data: {"provider":"Acme","note":"a zebra"}\n\n'
    gate = gate_of(ruleset(terms("animals", "zebra")), dialect="openai-chat")
    made = gate.feed(PROVIDERS["openai-chat"].stream_decoder(attempt=1, choices=1).feed(line))
    assert made == [Opaque(0, Extra(response={"provider": "Acme"}), idle=True)]
