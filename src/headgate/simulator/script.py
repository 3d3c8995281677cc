"""A plan as the steps that send it, faults included. Pure, and lazy: a stream's bytes are made when they are due.

A script sends one `Head` (or nothing at all) and ends with `End`, `Close` or `Abort`. Its body bytes are the same
every time; only how writes are gathered into HTTP chunks depends on the time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from headgate.simulator import stream, whole
from headgate.simulator.dialect import Dialect
from headgate.simulator.faults import FaultName
from headgate.simulator.plan import Plan
from headgate.simulator.quirks import Quirk
from headgate.simulator.registry import Name
from headgate.simulator.speakers import SPEAKERS
from headgate.simulator.steps import SILENCE_S, Close, Delimit, End, Head, Step, Wait, Write
from headgate.simulator.writer import JSON, OVERLOADED, Problem

HUGE_HEADERS: Final = tuple((f"x-padding-{i}", "." * 8192) for i in range(32))
BOM: Final = b"\xef\xbb\xbf"
HTML: Final = b"<!doctype html>\n<html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>\n"

STATUSES: Final[Mapping[Name, tuple[str, str]]] = {
    FaultName.RATE_LIMITED: ("rate_limit_exceeded", "Rate limit reached (simulated)."),
    FaultName.SERVER_ERROR: ("server_error", "The server had an error (simulated)."),
    FaultName.UNAVAILABLE: ("overloaded", "The server is overloaded (simulated)."),
    FaultName.UNAUTHORIZED: ("invalid_api_key", "Incorrect API key provided (simulated)."),
    FaultName.BAD_REQUEST: ("invalid_value", "The request cannot be served (simulated)."),
    FaultName.NOT_FOUND: ("not_found", "Nothing is here (simulated)."),
    Quirk.OVERLOADED_STATUS: ("overloaded", OVERLOADED),
}
"""Faults that are an HTTP status: the error's code and message."""

_SHAPING: Final = (FaultName.BOM, FaultName.CRLF, FaultName.SPLIT_UTF8, FaultName.DRIP)
_MULTI_BYTE: Final = re.compile(rb"[\xc2-\xf4][\x80-\xbf]+")


def script(plan: Plan) -> Iterator[Step]:
    """The steps of `plan`, from the request to the end of the answer."""
    if plan.has(FaultName.HANG):
        yield from (Wait(SILENCE_S), Close())
        return
    if delay_s := plan.at(FaultName.SLOW_HEADERS):
        yield Wait(delay_s)
    named = SPEAKERS[plan.ask.dialect].request_id
    extra = ((named, f"req_{plan.id}"), *(HUGE_HEADERS if plan.has(FaultName.HUGE_HEADERS) else ()))
    for step in _shaped(plan, _answer(plan)):
        yield replace(step, headers=(*step.headers, *extra)) if isinstance(step, Head) else step


def reply(status: int, body: bytes, *, kind: str = JSON, headers: Mapping[str, str] | None = None) -> Iterator[Step]:
    """The steps of an answer that is all there at once."""
    fields = {"content-type": kind, "content-length": str(len(body)), **(headers or {})}
    yield Head(status, tuple(fields.items()), Delimit.LENGTH)
    if body:
        yield Write(body)
    yield End()


def _answer(plan: Plan) -> Iterator[Step]:
    status = next((fault for fault in plan.faults if fault.name in STATUSES), None)
    if status is not None:
        code, message = STATUSES[status.name]
        retry_s = status.at if status.name is FaultName.RATE_LIMITED else None
        problem = Problem(int(status.name), message, code=code, retry_s=retry_s, array=plan.ask.array)
        body = SPEAKERS[plan.ask.dialect].error(problem)
        return reply(problem.status, body, headers={} if retry_s is None else {"retry-after": f"{retry_s:g}"})
    writer = SPEAKERS[plan.ask.dialect].writer(plan)
    streamed = plan.ask.stream and not plan.has(FaultName.NO_STREAM)
    if plan.has(FaultName.HTML):
        return reply(200, HTML, kind="text/html; charset=utf-8")
    if plan.has(FaultName.EMPTY):
        return reply(200, b"", kind=writer.stream_type if streamed else JSON)
    return stream.steps(plan, writer) if streamed else whole.steps(plan, writer)


def _shaped(plan: Plan, steps: Iterable[Step]) -> Iterator[Step]:
    """Apply the faults that change bytes or the writes they travel in, and nothing about the answer."""
    bom, crlf, split, drip = (plan.has(name) for name in _SHAPING)
    if not (bom or crlf or split or drip):
        yield from steps
        return
    prefix = BOM if bom else b""
    for step in steps:
        match step:
            case Head(delimit=Delimit.LENGTH) if prefix:
                yield _lengthened(step, len(prefix))
            case Write(b""):
                yield step
            case Write(data, tokens):
                if crlf and plan.ask.stream:
                    data = _other_ends(plan.ask.dialect, data)
                data, prefix = prefix + data, b""
                yield from _apart(_bytes(data) if drip else _halves(data) if split else [data], tokens)
            case _:
                yield step


def _other_ends(dialect: Dialect, data: bytes) -> bytes:
    """Lines with the ends that the dialect's own provider does not use."""
    lines = data.replace(b"\r\n", b"\n")
    return lines if dialect is Dialect.GEMINI else lines.replace(b"\n", b"\r\n")


def _lengthened(head: Head, by: int) -> Head:
    lengths = ((name, str(int(value) + by) if name == "content-length" else value) for name, value in head.headers)
    return replace(head, headers=tuple(lengths))


def _apart(pieces: list[bytes], tokens: int) -> Iterator[Step]:
    """One write per piece, none joined with its neighbour; the tokens are complete with the last."""
    if len(pieces) == 1:
        yield Write(pieces[0], tokens)
        return
    for i, piece in enumerate(pieces, start=1):
        yield from (Wait(0), Write(piece, tokens if i == len(pieces) else 0))
    yield Wait(0)


def _bytes(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def _halves(data: bytes) -> list[bytes]:
    cuts = [found.start() + len(found[0]) // 2 for found in _MULTI_BYTE.finditer(data)]
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
