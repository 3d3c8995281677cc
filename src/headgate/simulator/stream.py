"""A plan as a stream: server-sent events in the order and at the times OpenAI sends them.

Role chunks first, then in rounds one token of every choice, each choice's finish reason right after its last token,
the usage chunk where it was asked for, ``[DONE]``. Faults that count tokens interrupt this after their token; some of
them end it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from headgate.simulator import wire
from headgate.simulator.faults import FAULTS, Argument, Fault, FaultName
from headgate.simulator.plan import Choice, Plan
from headgate.simulator.steps import SILENCE_S, Abort, Close, Delimit, End, Head, Step, Wait, Write

CONTENT_TYPE: Final = "text/event-stream; charset=utf-8"
COMMENT_EVERY_S: Final = 1.0
PADDING_BYTES: Final = 8 * 1024 * 1024
LENGTH_OVERSTATED: Final = 1_000_000_000
"""Content-length of a stream that declares too much."""

DONE: Final = b"data: [DONE]\n\n"
KEEP_ALIVE: Final = b": keep-alive\n\n"
GARBAGE: Final = b'data: {"id":"chatcmpl-garbage","choices":[{"index":0,"delta":{"content":"br\n\n'
NOISE: Final = b': a comment\n\nevent: x-note\ndata: {"note":"ignore me"}\n\ndata: this is no JSON\n\n'
BROKEN: Final = "The model broke off (simulated)."

_LAST: Final = frozenset(
    {
        FaultName.CUT,
        FaultName.RESET,
        FaultName.EOF,
        FaultName.CLOSE,
        FaultName.STALL,
        FaultName.STALL_COMMENTS,
        FaultName.ERROR,
        FaultName.ERROR_OBJECT,
        FaultName.ERROR_EVENT,
    }
)
"""Interruptions after which nothing follows."""


def steps(plan: Plan) -> Iterator[Step]:
    """The steps of a streamed answer."""
    yield _head(plan)
    yield Wait(plan.ttft_s)
    chunks = wire.Chunks(plan)
    pending = sorted(_interruptions(plan), key=lambda fault: fault.at)
    sent = 0
    for choice in plan.choices:
        yield Write(frame(chunks.role(choice)))
    for step in chain(_rounds(plan, chunks), _ending(plan, chunks)):
        while pending and pending[0].at <= sent:
            fault = pending.pop(0)
            yield from _interrupt(fault.name, chunks)
            if fault.name in _LAST:
                return
        if isinstance(step, Write):
            sent += step.tokens
        yield step


def frame(data: bytes) -> bytes:
    """One event of the stream."""
    return b"data: %b\n\n" % data


def _head(plan: Plan) -> Head:
    fields = (("content-type", CONTENT_TYPE), ("cache-control", "no-cache"))
    if plan.has(FaultName.CLOSE):
        return Head(200, fields, Delimit.CLOSE)
    if plan.has(FaultName.BAD_LENGTH):
        return Head(200, (*fields, ("content-length", str(LENGTH_OVERSTATED))), Delimit.LENGTH)
    return Head(200, fields, Delimit.CHUNKED)


def _interruptions(plan: Plan) -> list[Fault]:
    """The faults that count tokens, none of them later than the last token."""
    counting = (fault for fault in plan.faults if FAULTS[fault.name].argument is Argument.TOKENS)
    return [Fault(fault.name, min(fault.at, plan.tokens)) for fault in counting]


def _rounds(plan: Plan, chunks: wire.Chunks) -> Iterator[Step]:
    """Every choice's tokens and finish reason, interleaved."""
    tokens = [((part, i) for part in choice.parts for i in range(len(part.tokens))) for choice in plan.choices]
    period_s = 1 / plan.rate if plan.rate else 0.0
    for i in range(max(1, *(choice.tokens for choice in plan.choices))):
        if i and period_s:
            yield Wait(period_s)
        for choice, rest in zip(plan.choices, tokens, strict=True):
            if i < choice.tokens:
                part, index = next(rest)
                yield Write(frame(chunks.token(choice, part, index)), 1)
            if i + 1 == max(1, choice.tokens):
                yield from _finish(plan, chunks, choice)


def _finish(plan: Plan, chunks: wire.Chunks, choice: Choice) -> Iterator[Step]:
    if not plan.has(FaultName.NO_FINISH) and not plan.has(FaultName.TRUNCATED_JSON):
        yield Write(frame(chunks.finish(choice)))


def _ending(plan: Plan, chunks: wire.Chunks) -> Iterator[Step]:
    """What follows the last finish reason."""
    if plan.has(FaultName.TRUNCATED_JSON):
        last = chunks.finish(plan.choices[-1])
        yield from (Write(frame(last[: len(last) // 2])), End())
        return
    if plan.include_usage and not plan.has(FaultName.NO_USAGE):
        yield Write(frame(chunks.usage()))
    if plan.has(FaultName.NO_DONE_OPEN):
        yield from (Wait(SILENCE_S), Close())
        return
    if not plan.has(FaultName.NO_DONE):
        yield Write(DONE)
    yield Close() if plan.has(FaultName.BAD_LENGTH) else End()


def _interrupt(name: FaultName, chunks: wire.Chunks) -> Iterator[Step]:
    """What happens at the token a fault names."""
    match name:
        case FaultName.CUT | FaultName.CLOSE:
            yield Close()
        case FaultName.RESET:
            yield Abort()
        case FaultName.EOF:
            yield End()
        case FaultName.STALL:
            yield from (Wait(SILENCE_S), Close())
        case FaultName.STALL_COMMENTS:
            for _ in range(int(SILENCE_S / COMMENT_EVERY_S)):
                yield from (Write(KEEP_ALIVE), Wait(COMMENT_EVERY_S))
            yield Close()
        case FaultName.GARBAGE:
            yield Write(GARBAGE)
        case FaultName.NOISE:
            yield Write(NOISE)
        case FaultName.HUGE_LINE:
            yield Write(frame(chunks.padded(PADDING_BYTES)))
        case FaultName.ERROR:
            yield from (Write(frame(wire.encode(wire.error(500, BROKEN, code="server_error")))), End())
        case FaultName.ERROR_OBJECT:
            yield from (Write(frame(wire.encode(wire.error_object(BROKEN)))), End())
        case FaultName.ERROR_EVENT:
            body = wire.encode(wire.error(500, BROKEN, code="server_error"))
            yield from (Write(b"event: error\n" + frame(body)), End())
        case _:
            raise AssertionError(f"{name} does not count tokens")
