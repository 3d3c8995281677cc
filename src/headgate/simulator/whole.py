"""A plan as a whole answer: one JSON value, sent when the last token would have been.

Faults that break a stream at a token break this halfway through its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from headgate.simulator.faults import FaultName
from headgate.simulator.framing import padded
from headgate.simulator.plan import Plan
from headgate.simulator.steps import SILENCE_S, Abort, Close, Delimit, End, Head, Step, Wait, Write
from headgate.simulator.stream import COMMENT_EVERY_S
from headgate.simulator.writer import JSON, Writer

LENGTH_OVERSTATED_BY: Final = 64
_TYPE: Final = ("content-type", JSON)
_HALVED: Final = (FaultName.CUT, FaultName.RESET, FaultName.CLOSE, FaultName.STALL)


def steps(plan: Plan, writer: Writer) -> Iterator[Step]:
    """The steps of a whole answer."""
    if plan.has(FaultName.STALL_COMMENTS):
        yield Head(200, (_TYPE,), Delimit.CHUNKED)
        for _ in range(int(SILENCE_S / COMMENT_EVERY_S)):
            yield from (Write(b" "), Wait(COMMENT_EVERY_S))
        yield Close()
        return
    longest = max(choice.tokens for choice in plan.choices)
    yield Wait(plan.ttft_s + (max(0, longest - 1) / plan.rate if plan.rate else 0.0))
    yield from _sent(plan, _body(plan, writer))


def _sent(plan: Plan, body: bytes) -> Iterator[Step]:
    length = len(body) + (LENGTH_OVERSTATED_BY if plan.has(FaultName.BAD_LENGTH) else 0)
    if plan.has(FaultName.CLOSE):
        yield Head(200, (_TYPE,), Delimit.CLOSE)
    else:
        yield Head(200, (_TYPE, ("content-length", str(length))), Delimit.LENGTH)
    halved = next((name for name in _HALVED if plan.has(name)), None)
    if halved is None:
        yield Write(body, plan.tokens)
        yield Close() if plan.has(FaultName.BAD_LENGTH) else End()
        return
    yield Write(body[: len(body) // 2])
    if halved is FaultName.STALL:
        yield Wait(SILENCE_S)
    yield Abort() if halved is FaultName.RESET else Close()


def _body(plan: Plan, writer: Writer) -> bytes:
    """The bytes of the answer, after the faults that change what it says."""
    for fault in plan.faults:
        other = writer.broken(fault.name)
        if other is not None:
            return other
    body = writer.whole()
    if plan.has(FaultName.HUGE_LINE):
        body = padded(body)
    if plan.has(FaultName.TRUNCATED_JSON) or plan.has(FaultName.EOF):
        return body[: len(body) // 2]
    return b"\n \t" + body + b"\n\n" if plan.has(FaultName.NOISE) else body
