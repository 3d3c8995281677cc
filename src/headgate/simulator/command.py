"""``headgate simulate``: the simulator as a process of its own, and its table of faults for people."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import uvloop
from rich.table import Table

from headgate.simulator.faults import FAULTS
from headgate.simulator.server import Simulator


def table() -> Table:
    """Every fault: its name, what it does, and what a correct client must make of it."""
    shown = Table("fault", "streamed", "whole", "a correct client", show_lines=True)
    for name, spec in FAULTS.items():
        shown.add_row(str(name), spec.stream, spec.whole, spec.client)
    return shown


def run(*, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises `OSError` if the address cannot be had."""
    uvloop.run(_serve(host, port, announce))


async def _serve(host: str, port: int, announce: Callable[[str], None]) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with await Simulator.start(host=host, port=port) as simulator:
        announce(simulator.url)
        await stopped.wait()
