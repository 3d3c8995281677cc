"""Reading from a provider no faster than what it says can be taken in (backpressure)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from headgate.journal import Journal
from headgate.upstream import Call

LOOK_S: Final = 0.01
"""How often it is looked whether the provider may go on: a journal is congested for tens of milliseconds."""


class Brake:
    """Of one upstream call. It is pressed while the journal is congested, and for as long as somebody waits."""

    __slots__ = ("_call", "_journal", "_loop", "_on_released", "_slower", "_timer", "pressed")

    def __init__(self, call: Call, journal: Journal, on_released: Callable[[], None]) -> None:
        """`on_released` is told that the provider may speak again: its silence counts from then on."""
        self.pressed = False
        """Nothing is read, so that silence is no fault of the provider's."""
        self._slower = False
        self._call = call
        self._journal = journal
        self._on_released = on_released
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def press(self) -> None:
        """Stop reading until whatever is behind has caught up."""
        if not self.pressed:
            self.pressed = True
            self._call.pause(True)
            self._timer = self._loop.call_later(LOOK_S, self._look)

    def wait(self, slower: bool) -> None:
        """Whether somebody wants the provider to wait: too many questions have no answer."""
        self._slower = slower
        if slower:
            self.press()

    def let_go(self) -> None:
        """The call is over for us. Its connection may serve another, which nobody would read if it stayed as it is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.pressed:
            self.pressed = False
            self._call.pause(False)

    def _look(self) -> None:
        if self._journal.congested or self._slower:
            self._timer = self._loop.call_later(LOOK_S, self._look)
        else:
            self.let_go()
            self._on_released()
