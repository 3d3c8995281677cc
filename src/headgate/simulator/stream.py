"""A plan as a stream: what its writer says, in the order and at the times a provider would.

In rounds one token of every choice, each choice's end right after its last token, then the end of the answer. Faults
that count tokens interrupt this after their token; some of them end it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, zip_longest
from typing import Final

from headgate.simulator.faults import Argument, FaultName
from headgate.simulator.plan import Choice, Part, Plan
from headgate.simulator.quirks import Quirk
from headgate.simulator.registry import TABLE, Fault, Name
from headgate.simulator.steps import SILENCE_S, Abort, Close, Delimit, End, Head, Step, Wait, Write
from headgate.simulator.writer import Writer

COMMENT_EVERY_S: Final = 1.0
LENGTH_OVERSTATED: Final = 1_000_000_000
"""Content-length of a stream that declares too much."""

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
        Quirk.OVERLOADED,
        Quirk.FAILED,
    }
)
"""Interruptions after which nothing follows."""


def steps(plan: Plan, writer: Writer) -> Iterator[Step]:
    """The steps of a streamed answer."""
    yield _head(plan, writer)
    yield from _written(writer.prelude())
    yield Wait(plan.ttft_s)
    pending = sorted(_interruptions(plan), key=lambda fault: fault.at)
    sent = 0
    yield from _written(writer.opening())
    rest = chain(_rounds(plan, writer), _ending(plan, writer))
    while True:
        while pending and pending[0].at <= sent:
            fault = pending.pop(0)
            yield from _written(writer.flush())
            yield from _interrupt(fault.name, writer)
            if fault.name in _LAST:
                return
        step = next(rest, None)
        if step is None:
            return
        if isinstance(step, Write):
            sent += step.tokens
        yield step


def _written(data: bytes) -> Iterator[Write]:
    if data:
        yield Write(data)


def _head(plan: Plan, writer: Writer) -> Head:
    fields = (("content-type", writer.stream_type), ("cache-control", "no-cache"))
    if plan.has(FaultName.CLOSE):
        return Head(200, fields, Delimit.CLOSE)
    if plan.has(FaultName.BAD_LENGTH):
        return Head(200, (*fields, ("content-length", str(LENGTH_OVERSTATED))), Delimit.LENGTH)
    return Head(200, fields, Delimit.CHUNKED)


def _interruptions(plan: Plan) -> list[Fault]:
    """The faults that strike at a token, none of them later than the last token."""
    counting = (fault for fault in plan.faults if TABLE[fault.name].argument is Argument.TOKENS)
    return [Fault(fault.name, min(fault.at, plan.tokens)) for fault in counting if fault.name is not Quirk.REFUSED]


def _rounds(plan: Plan, writer: Writer) -> Iterator[Step]:
    """Every choice's tokens and its end, interleaved."""
    mixed = plan.has(Quirk.INTERLEAVED)
    tokens = [_mixed(choice) if mixed else _in_order(choice) for choice in plan.choices]
    period_s = 1 / plan.rate if plan.rate else 0.0
    for i in range(max(1, *(choice.tokens for choice in plan.choices))):
        if i and period_s:
            yield Wait(period_s)
        for choice, rest in zip(plan.choices, tokens, strict=True):
            if i < choice.tokens:
                part, index = next(rest)
                yield Write(writer.token(choice, part, index), 1)
            if i + 1 == max(1, choice.tokens) and not plan.has(FaultName.TRUNCATED_JSON):
                yield from _written(writer.finish(choice))


def _in_order(choice: Choice) -> Iterator[tuple[Part, int]]:
    return ((part, i) for part in choice.parts for i in range(len(part.tokens)))


def _mixed(choice: Choice) -> Iterator[tuple[Part, int]]:
    """A token of each part in turn."""
    parts = [[(part, i) for i in range(len(part.tokens))] for part in choice.parts]
    return (one for turn in zip_longest(*parts) for one in turn if one is not None)


def _ending(plan: Plan, writer: Writer) -> Iterator[Step]:
    """What follows the last choice's end."""
    if plan.has(FaultName.TRUNCATED_JSON):
        yield from _written(writer.flush())
        yield from (Write(writer.truncated()), End())
        return
    yield from _written(writer.ending())
    if plan.has(FaultName.NO_DONE_OPEN):
        yield from (Wait(SILENCE_S), Close())
        return
    if not plan.has(FaultName.NO_DONE):
        yield from _written(writer.done())
    yield Close() if plan.has(FaultName.BAD_LENGTH) else End()


def _interrupt(name: Name, writer: Writer) -> Iterator[Step]:
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
            comment = writer.interruption(name)
            for _ in range(int(SILENCE_S / COMMENT_EVERY_S)):
                yield from (Write(comment), Wait(COMMENT_EVERY_S))
            yield Close()
        case _:
            yield from _written(writer.interruption(name))
            if name in _LAST:
                yield End()
