"""``headgate simulate``: the simulator as a process of its own, and its table of faults for people."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import uvloop
from rich.table import Table

from headgate.simulator.dialect import Dialect
from headgate.simulator.registry import rows
from headgate.simulator.server import Simulator


def table() -> Table:
    """Every fault: its name, what it does in which dialect, and what a correct client must make of it."""
    shown = Table("fault", "dialect", "streamed", "whole", "a correct client", show_lines=True)
    for row in rows():
        shown.add_row(row.name, "all" if row.dialects == tuple(Dialect) else "\n".join(row.dialects), *row.effect)
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
