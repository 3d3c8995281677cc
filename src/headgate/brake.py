"""Reading from a provider no faster than what it says can be taken in (backpressure)."""

from __future__ import annotations

import asyncio
from typing import Final

from headgate.journal import Journal
from headgate.upstream import Call

LOOK_S: Final = 0.01
"""How often it is looked whether the provider may go on: a journal is congested for tens of milliseconds."""


class Brake:
    """Of one upstream call. It is pressed while the journal is congested, and for as long as `slower` says so."""

    __slots__ = ("_call", "_journal", "_loop", "pressed", "slower")

    def __init__(self, call: Call, journal: Journal) -> None:
        self.pressed = False
        """Nothing is read, so that silence is no fault of the provider's."""
        self.slower = False
        """Somebody else wants the provider to wait: too many questions have no answer."""
        self._call = call
        self._journal = journal
        self._loop = asyncio.get_running_loop()

    def press(self) -> None:
        """Stop reading until whatever is behind has caught up."""
        if not self.pressed:
            self.pressed = True
            self._call.pause(True)
            self._loop.call_later(LOOK_S, self._look)

    def _look(self) -> None:
        if self._journal.congested or self.slower:
            self._loop.call_later(LOOK_S, self._look)
        else:
            self.pressed = False
            self._call.pause(False)
