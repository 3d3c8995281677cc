"""Server-sent events as the simulator writes them, with the quirks that touch every event of a stream."""

from __future__ import annotations

from typing import Final

from headgate.simulator.plan import Plan
from headgate.simulator.quirks import Quirk

COMMENT: Final = b": keep-alive\n\n"
NOISE: Final = b': a comment\n\nevent: x-note\ndata: {"note":"ignore me"}\n\ndata: this is no JSON\n\n'
DONE: Final = b"data: [DONE]\n\n"
PADDING_BYTES: Final = 8 * 1024 * 1024
_EXTRA: Final = b',"x_provider":{"region":"delta-7","cost":0.25}}'


class Framing:
    """Makes events of one answer's JSON objects."""

    def __init__(self, plan: Plan) -> None:
        self._named = not plan.has(Quirk.NO_EVENT_NAMES)
        self.extra = plan.has(Quirk.EXTRA_FIELDS)
        self.pings = plan.has(Quirk.PINGS)

    def event(self, data: bytes, name: str = "") -> bytes:
        """One event; `name` is its ``event:`` line, where there is to be one."""
        head = f"event: {name}\n".encode() if name and self._named else b""
        return b"%bdata: %b\n\n" % (head, self.marked(data))

    def marked(self, data: bytes) -> bytes:
        """An object with the members that no client knows, where the plan has them."""
        return data[:-1] + _EXTRA if self.extra else data


def padded(data: bytes) -> bytes:
    """An object made very long by a member that no client knows."""
    return b'%b,"padding":"%b"}' % (data[:-1], b"." * PADDING_BYTES)
