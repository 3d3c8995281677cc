"""What each dialect costs by itself: decoding what its provider sends, encoding what its client reads. No sockets.

Decoding is SSE included, and cut the way reads cut it: a token a read, as one paced stream brings it, and some tokens
a read, as a flood does. Every dialect encodes the log that its own decoder made. Runs of all dialects alternate, so
that a busy neighbour does not meet one of them alone.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks import answers
from benchmarks.report import ratio, shown_ratio
from benchmarks.wire import CHAT
from benchmarks.wires import WIRES
from headgate.dialects import client_dialects, provider_dialects
from headgate.events import AnyEvent, AttemptStarted, ResponseStarted, Status, Terminal
from headgate.sse import SseDecoder

TOKENS: Final = 1000
READ_TOKENS: Final = 20
"""Of a read that is not one token."""
RUNS: Final = 15
RESPONSE_ID: Final = "resp_344e36b0c530fd9cda734301c14f7193"
_MODEL: Final = answers.parse(f"bench-t{TOKENS}-r0")

STAGES: Final = ("SSE", "decode", "decode 20", "encode")
PATH: Final = ("decode", "encode")
"""The stages of a token that comes by itself, once each."""

Costs = Mapping[str, float]
"""us/token by stage."""


def once_us(work: Callable[[], object], *, per: int) -> float:
    """Microseconds of CPU per item, of one run."""
    gc.disable()
    started = time.process_time_ns()
    work()
    used = time.process_time_ns() - started
    gc.enable()
    return used / 1000 / per


def best_us(work: Callable[[], object], *, per: int, runs: int = RUNS) -> float:
    """The best of some runs."""
    gc.collect()
    return min(once_us(work, per=per) for _ in range(runs))


def reads(name: str, tokens: int) -> list[bytes]:
    """The body of a dialect's answer as `tokens` frames a read, its first and last frames in reads of their own."""
    wire = WIRES[name]
    frames = [wire.token(_MODEL, index) for index in range(TOKENS)]
    middle = [b"".join(frames[start : start + tokens]) for start in range(0, TOKENS, tokens)]
    return [wire.opening(_MODEL), *middle, wire.closing(_MODEL, usage=True)]


def sse(data: Sequence[bytes]) -> int:
    """Bytes -> frames."""
    decoder = SseDecoder()
    return sum(len(decoder.feed(read)) for read in data)


def decode(name: str, data: Sequence[bytes]) -> list[list[AnyEvent]]:
    """Bytes -> frames -> events, a list for each read."""
    decoder = provider_dialects()[name].stream_decoder(attempt=1, choices=1)
    return [*(decoder.feed(read) for read in data), decoder.finish()]


def log(name: str) -> list[AnyEvent]:
    """A whole log of an answer in this dialect."""
    started = ResponseStarted(RESPONSE_ID, "bench", name, _MODEL.name, 1_780_000_000, stream=True)
    attempt = AttemptStarted(1, "bench", name, _MODEL.name)
    decoded = [event for batch in decode(name, reads(name, 1)) for event in batch]
    return [started, attempt, *decoded, Terminal(Status.COMPLETED)]


def encode(name: str, events: Sequence[AnyEvent]) -> int:
    """Events -> frames for a client."""
    encoder = client_dialects()[name].encoder()
    return sum(len(encoder.feed(seq, event)) for seq, event in enumerate(events, 1))


def measure(runs: int = RUNS) -> dict[str, Costs]:
    """Costs by dialect, the best of each stage."""
    work: dict[tuple[str, str], Callable[[], object]] = {}
    for name in WIRES:
        one, some = reads(name, 1), reads(name, READ_TOKENS)
        work[name, "SSE"] = partial(sse, one)
        work[name, "decode"] = partial(decode, name, one)
        work[name, "decode 20"] = partial(decode, name, some)
        work[name, "encode"] = partial(encode, name, log(name))
    for stage in work.values():
        stage()  # not measured: the interpreter learns, decoders are made
    best = dict.fromkeys(work, float("inf"))
    for _ in range(runs):
        gc.collect()
        for key, stage in work.items():
            best[key] = min(best[key], once_us(stage, per=TOKENS))
    return {name: {stage: best[name, stage] for stage in STAGES} for name in WIRES}


def path_us(costs: Costs) -> float:
    """What a token costs that is decoded by itself and encoded once."""
    return sum(costs[stage] for stage in PATH)


def show(out: Console, found: Mapping[str, Costs]) -> None:
    """A row for each dialect, and how many times what chat costs."""
    out.print(f"[bold]dialects[/] by themselves: us/token, and how many times {CHAT}")
    table = Table(pad_edge=False)
    for heading in ("", *STAGES, "both"):
        table.add_column(heading, no_wrap=True)
    chat = found[CHAT]
    for name, costs in found.items():
        compared = [_cell(costs[stage], chat[stage]) for stage in STAGES[1:]]
        table.add_row(name, f"{costs['SSE']:.2f}", *compared, _cell(path_us(costs), path_us(chat)))
    out.print(table)
    out.print("A token a read, but for 'decode 20'. 'decode' has SSE in it, 'both' is decode + encode.")


def _cell(value: float, chat: float) -> str:
    return f"{value:.2f} {shown_ratio(ratio(value, chat))}"
