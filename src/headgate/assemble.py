"""The fold of a log: what the events up to some point amount to.

The folded payload is the answer: whole answers, the response object and the terminal's hash are all read off it.
Invariant: the fold of a streamed answer equals that of the same answer given whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from headgate.events import (
    AnyEvent,
    AttemptDescribed,
    AttemptEnded,
    AttemptStarted,
    ChoiceDone,
    Delta,
    Extra,
    Opaque,
    PartDone,
    PartKind,
    PartStarted,
    Released,
    ResponseStarted,
    Retracted,
    Terminal,
    Usage,
)


class PartFold:
    """One part as far as it is known."""

    __slots__ = ("_pieces", "done", "kind", "tool_extra", "tool_id", "tool_name")

    def __init__(self, started: PartStarted) -> None:
        self.kind = started.kind
        self.tool_id = started.tool_id
        self.tool_name = started.tool_name
        self.tool_extra: dict[str, Any] = {}
        self.done = False
        self._pieces: list[tuple[int, str]] = []

    @property
    def text(self) -> str:
        return "".join([text for _, text in self._pieces])

    def length_upto(self, seq: int) -> int:
        """Code points that events up to `seq` brought."""
        return sum(len(text) for at, text in self._pieces if at <= seq)

    def append(self, seq: int, text: str) -> None:
        self._pieces.append((seq, text))

    def retract(self, from_seq: int, at_seq: int, replacement: str) -> None:
        """Drop what the deltas from `from_seq` on brought, and put `replacement` there."""
        self._pieces = [piece for piece in self._pieces if piece[0] < from_seq]
        if replacement:
            self._pieces.append((at_seq, replacement))


class ChoiceFold:
    """One choice as far as it is known. `message_extra` stood inside its deltas, `extra` beside them."""

    __slots__ = ("done", "extra", "message_extra", "parts")

    def __init__(self) -> None:
        self.parts: list[PartFold] = []
        self.done: ChoiceDone | None = None
        self.extra: dict[str, Any] = {}
        self.message_extra: dict[str, Any] = {}


class Fold:
    """What a log says so far. Feed it every event with its ``seq``."""

    def __init__(self) -> None:
        self.seq = 0
        self.started: ResponseStarted | None = None
        self.attempts: list[AttemptStarted] = []
        self.ended: dict[int, AttemptEnded] = {}
        self.model = ""
        self.provider_id = ""
        self.envelope: dict[str, Any] = {}
        self.choices: dict[int, ChoiceFold] = {}
        self.extra: dict[str, Any] = {}
        self.usage: Usage | None = None
        self.verified_seq = 0
        self.terminal: Terminal | None = None

    def feed(self, seq: int, event: AnyEvent) -> None:
        self.seq = seq
        match event:
            case Delta():
                self._delta(seq, event)
            case PartStarted():
                self._part_started(event)
            case PartDone():
                self.choices[event.choice].parts[event.part].done = True
            case ChoiceDone():
                choice = self._choice(event.choice)
                choice.done = event
                self._merge(choice, event.extra)
            case Opaque():
                self._merge(self._choice(event.choice), event.extra)
            case Retracted():
                self.choices[event.choice].parts[event.part].retract(event.from_seq, seq, event.replacement)
            case ResponseStarted():
                self.started = event
            case AttemptStarted():
                self.attempts.append(event)
            case AttemptDescribed():
                self.model = event.model or self.model
                self.provider_id = event.provider_id or self.provider_id
                self.envelope.update(event.envelope or {})
            case AttemptEnded():
                self.ended[event.attempt] = event
            case Usage():
                self.usage = event
            case Released():
                self.verified_seq = event.seq
            case Terminal():
                self.terminal = event
            case _:
                pass  # governance, hold, seam: nothing of the payload

    @property
    def dialect(self) -> str:
        """Dialect of the attempt that answered; extra fields are shown only in it."""
        return self.attempts[-1].dialect if self.attempts else ""

    def _choice(self, index: int) -> ChoiceFold:
        return self.choices.setdefault(index, ChoiceFold())

    def _part_started(self, event: PartStarted) -> None:
        choice = self._choice(event.choice)
        part = PartFold(event)
        choice.parts.append(part)
        self._merge(choice, event.extra, part)

    def _delta(self, seq: int, event: Delta) -> None:
        choice = self.choices[event.choice]
        part = choice.parts[event.part]
        part.append(seq, event.text)
        if event.extra is not None:
            self._merge(choice, event.extra, part)

    def _merge(self, choice: ChoiceFold, extra: Extra | None, part: PartFold | None = None) -> None:
        if extra is None:
            return
        if extra.response:
            accumulate(self.extra, extra.response)
        if extra.choice:
            accumulate(choice.extra, extra.choice)
        if extra.delta:
            inside_tool = part is not None and part.kind is PartKind.TOOL_CALL
            accumulate(part.tool_extra if inside_tool and part is not None else choice.message_extra, extra.delta)


def accumulate(into: dict[str, Any], fields: dict[str, Any]) -> None:
    """Add the fields of one more chunk, as the official SDKs do: strings and lists grow, objects merge, the rest is replaced."""
    for key, value in fields.items():
        known = into.get(key)
        if (isinstance(known, str) and isinstance(value, str)) or (isinstance(known, list) and isinstance(value, list)):
            into[key] = known + value
        elif isinstance(known, dict) and isinstance(value, dict):
            merged = dict(known)
            accumulate(merged, value)
            into[key] = merged
        elif value is not None or known is None:
            into[key] = value


def digest(parts: Iterable[tuple[int, int, PartKind, bytes]]) -> str:
    """Hash of what was released (PROTOCOL.md section 8) from ``(choice, part, kind, SHA-256 of the part's text)``."""
    lines = [f"{choice}:{part}:{kind}:{text.hex()}\n" for choice, part, kind, text in sorted(parts)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


class Digester:
    """Computes `digest` while the text goes by; the parts may interleave."""

    __slots__ = ("_parts", "utf8_bytes")

    def __init__(self) -> None:
        self.utf8_bytes = 0
        """All released text so far."""
        self._parts: dict[tuple[int, int], tuple[PartKind, Any]] = {}

    def start(self, event: PartStarted) -> None:
        self._parts[event.choice, event.part] = (event.kind, hashlib.sha256())

    def update(self, event: Delta) -> None:
        data = event.text.encode("utf-8", "surrogatepass")
        self.utf8_bytes += len(data)
        self._parts[event.choice, event.part][1].update(data)

    def result(self) -> str:
        return digest((c, p, kind, text.digest()) for (c, p), (kind, text) in self._parts.items())
