"""Random answers, and both ways a provider can give them: as one object, and as a stream of chunks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from hypothesis import strategies as st

from headgate.assemble import Fold
from headgate.dialects import Decoder
from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.events import (
    AnyEvent,
    AttemptEnded,
    AttemptStarted,
    ChoiceDone,
    ResponseStarted,
    Status,
    Terminal,
)
from headgate.lifecycle import Lifecycle, terminal_status

TEXTS: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", "a", "\n", "\u2028", '"}', "\\", "data: [DONE]\n\n", "😀", "\x85", "\x00"]
)
WORDS: Final = st.text("abcxyz_", min_size=1, max_size=6)
FINISH: Final = st.sampled_from(["stop", "stop", "length", "tool_calls", "content_filter", "function_call", "eos"])


@dataclass(frozen=True)
class Call:
    id: str
    name: str
    arguments: tuple[str, ...]
    extra: dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """Texts are in the pieces that a stream sends them in."""

    reasoning_name: str
    reasoning: tuple[str, ...]
    content: tuple[str, ...]
    refusal: tuple[str, ...]
    calls: tuple[Call, ...]
    logprobs: tuple[int, ...]
    annotations: tuple[int, ...]
    finish: str


@dataclass(frozen=True)
class Answer:
    envelope: dict[str, Any]
    choices: tuple[Choice, ...]
    extra: dict[str, Any]
    usage: dict[str, int] | None


PIECES: Final = st.lists(TEXTS, max_size=4).map(tuple)
CALLS: Final = st.builds(
    Call,
    id=WORDS,
    name=WORDS,
    arguments=PIECES,
    extra=st.dictionaries(st.sampled_from(["sig", "content_kind"]), st.integers(0, 9), max_size=1),
)
CHOICES: Final = st.builds(
    Choice,
    reasoning_name=st.sampled_from(["reasoning_content", "reasoning"]),
    reasoning=PIECES,
    content=PIECES,
    refusal=PIECES | st.just(()),
    calls=st.lists(CALLS, max_size=3, unique_by=lambda call: call.id).map(tuple),
    logprobs=st.lists(st.integers(0, 9), max_size=3).map(tuple),
    annotations=st.lists(st.integers(0, 9), max_size=3).map(tuple),
    finish=FINISH,
)
ANSWERS: Final = st.builds(
    Answer,
    envelope=st.fixed_dictionaries(
        {"id": WORDS, "model": WORDS},
        optional={"system_fingerprint": WORDS, "service_tier": st.sampled_from(["default", "priority"])},
    ),
    choices=st.lists(CHOICES, min_size=1, max_size=3).map(tuple),
    extra=st.dictionaries(st.sampled_from(["provider", "timings"]), st.integers(0, 9) | WORDS, max_size=2),
    usage=st.none()
    | st.fixed_dictionaries({f"{what}_tokens": st.integers(0, 99) for what in ("prompt", "completion", "total")}),
)


def whole_body(answer: Answer) -> bytes:
    """The answer as a ``chat.completion``."""
    choices = []
    for index, choice in enumerate(answer.choices):
        message: dict[str, Any] = {"role": "assistant", "content": "".join(choice.content) or None}
        if choice.reasoning:
            message[choice.reasoning_name] = "".join(choice.reasoning)
        if choice.refusal:
            message["refusal"] = "".join(choice.refusal)
        if choice.calls:
            message["tool_calls"] = [_call(call, "".join(call.arguments)) for call in choice.calls]
        if choice.annotations:
            message["annotations"] = [_annotation(value) for value in choice.annotations]
        beside = {"logprobs": {"content": [_logprob(value) for value in choice.logprobs]}} if choice.logprobs else {}
        choices.append({"index": index, "message": message, "finish_reason": choice.finish} | beside)
    usage = {"usage": answer.usage} if answer.usage else {}
    return json.dumps(
        answer.envelope | {"object": "chat.completion", "choices": choices} | usage | answer.extra
    ).encode()


def stream_chunks(answer: Answer, draw: st.DrawFn) -> list[dict[str, Any]]:
    """The answer as ``chat.completion.chunk`` objects. The choices interleave at random."""
    waiting = [_choice_chunks(index, choice) for index, choice in enumerate(answer.choices)]
    chunks: list[dict[str, Any]] = []
    while any(waiting):
        turn = draw(st.sampled_from([index for index, rest in enumerate(waiting) if rest]))
        chunks.append(answer.envelope | {"object": "chat.completion.chunk", "choices": [waiting[turn].pop(0)]})
    carrier = draw(st.integers(0, len(chunks) - 1))
    chunks[carrier] |= answer.extra
    if answer.usage is not None:
        chunks.append(answer.envelope | {"choices": [], "usage": answer.usage})
    return chunks


def sse(chunks: Iterable[Any], *, end: str = "\n") -> bytes:
    frames = [f"data: {json.dumps(chunk, ensure_ascii=False, separators=(',', ':'))}{end}{end}" for chunk in chunks]
    return "".join([*frames, f"data: [DONE]{end}{end}"]).encode()


def _call(call: Call, arguments: str) -> dict[str, Any]:
    function = {"name": call.name, "arguments": arguments}
    return {"id": call.id, "type": "function", "function": function} | call.extra


def _logprob(value: int) -> dict[str, Any]:
    return {"token": str(value), "logprob": -value, "bytes": None, "top_logprobs": []}


def _annotation(value: int) -> dict[str, Any]:
    citation = {"url": "https://example.com/", "title": str(value), "start_index": 0, "end_index": value}
    return {"type": "url_citation", "url_citation": citation}


def _choice_chunks(index: int, choice: Choice) -> list[dict[str, Any]]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{choice.reasoning_name: text} for text in choice.reasoning]
    deltas += [{"content": text} for text in choice.content]
    deltas += [{"refusal": text} for text in choice.refusal]
    calls = list(enumerate(choice.calls))
    deltas += [{"tool_calls": [{"index": at} | _call(call, "")]} for at, call in calls]
    longest = max((len(call.arguments) for call in choice.calls), default=0)
    deltas += [  # the arguments of the calls come in turns
        {"tool_calls": [{"index": at, "function": {"arguments": call.arguments[turn]}}]}
        for turn in range(longest)
        for at, call in calls
        if turn < len(call.arguments)
    ]
    chunks: list[dict[str, Any]] = [{"index": index, "delta": delta, "finish_reason": None} for delta in deltas]
    for number, value in enumerate(choice.logprobs):
        chunks[min(number, len(chunks) - 1)].setdefault("logprobs", {"content": []})["content"].append(_logprob(value))
    chunks += [{"index": index, "delta": {"annotations": [_annotation(value)]}} for value in choice.annotations]
    chunks.append({"index": index, "delta": {}, "finish_reason": choice.finish})
    return chunks


def read(decoder: Decoder, pieces: Sequence[bytes]) -> list[AnyEvent]:
    """Everything that a decoder makes of these bytes, as the producer asks for it."""
    events: list[AnyEvent] = []
    for piece in pieces:
        events += decoder.feed(piece)
        if decoder.failure or decoder.ended:
            break
    if decoder.failure is None:
        events += decoder.finish()
    return events


def cut(data: bytes, at: Iterable[int]) -> list[bytes]:
    """`data` in pieces that end at these places."""
    marks = [0, *sorted(mark % (len(data) + 1) for mark in at), len(data)]
    return [data[start:end] for start, end in pairwise(marks)]


def log(events: list[AnyEvent], *, choices: int, failed: bool = False) -> list[AnyEvent]:
    """The whole log of an answer with these events; every one of them legal."""
    lifecycle = Lifecycle()
    reasons = [event.reason for event in events if isinstance(event, ChoiceDone)]
    status = Status.FAILED if failed else terminal_status(reasons)
    complete = [
        ResponseStarted("resp_" + "0" * 32, "app", "openai-chat", "m", 1, choices=choices, include_usage=True),
        AttemptStarted(1, "p", "openai-chat", "m"),
        *events,
        AttemptEnded(1, "upstream_cut" if failed else "ok"),
        Terminal(status, code="upstream_cut" if failed else ""),
    ]
    for event in complete:
        lifecycle.feed(event)
    return complete


def fold(events: list[AnyEvent]) -> Fold:
    folded = Fold()
    for seq, event in enumerate(events, 1):
        folded.feed(seq, event)
    return folded


def payload(events: list[AnyEvent]) -> Any:
    """What a client gets that asks for the whole answer."""
    return json.loads(OPENAI_CHAT.whole(fold(events)))


def frames(events: list[AnyEvent]) -> bytes:
    """What a client gets that asks for a stream."""
    encoder = OPENAI_CHAT.encoder()
    return b"".join(encoder.feed(seq, event) for seq, event in enumerate(events, 1))
