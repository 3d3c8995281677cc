"""The fold of a log: what the events up to some point amount to.

The folded payload is the answer: whole answers, the response object and the terminal's hash are all read off it.
Invariant: the fold of a streamed answer equals that of the same answer given whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from headgate.events import (
    AnyEvent,
    Asked,
    AttemptDescribed,
    AttemptEnded,
    AttemptStarted,
    ChoiceDone,
    Delta,
    Entry,
    Extra,
    Governance,
    Marks,
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

    __slots__ = (
        "_pieces",
        "_replacements",
        "_shifts",
        "_taken_back",
        "done",
        "extras",
        "generated",
        "kind",
        "retracted",
        "started",
        "tool_extra",
    )

    def __init__(self, started: PartStarted) -> None:
        self.started = started
        self.kind = started.kind
        self.extras: list[Extra] = []
        """What came with its events, in order; `tool_extra` and `ChoiceFold.message_extra` are the same, accumulated."""
        self.tool_extra: dict[str, Any] = {}
        self.done = False
        self.retracted = False
        """Something was taken back from it, so that no text says nothing of what the provider said."""
        self.generated = 0
        """The newest `Marks.generated`; 0 for a part that nothing governs."""
        self._pieces: list[tuple[int, str]] = []
        self._shifts: list[tuple[int, int]] = []  # at this seq, so much more was masked than its mask is long
        self._replacements: list[int] = []  # seqs of pieces that are nobody's but ours
        self._taken_back: list[tuple[int, int]] = []  # code points of deltas that are gone, by their seq

    @property
    def text(self) -> str:
        return "".join([text for _, text in self._pieces])

    def released_upto(self, seq: int) -> int:
        """Code points of the ungoverned text that events up to `seq` brought, masked or as they were; it only grows."""
        ours = set(self._replacements)
        brought = sum([len(text) for at, text in self._pieces if at <= seq and at not in ours])
        return brought + sum([chars for at, chars in (*self._shifts, *self._taken_back) if at <= seq])

    def masked(self, seq: int, chars: int) -> None:
        """A mask stands for `chars` more code points than it has."""
        self._shifts.append((seq, chars))

    def append(self, seq: int, text: str) -> None:
        self._pieces.append((seq, text))

    def retract(self, from_char: int, at_seq: int, replacement: str) -> None:
        """End the text at code point `from_char`, and put `replacement` there."""
        self.retracted = True
        kept, length = [], 0
        for seq, text in self._pieces:
            stays = text[: max(0, from_char - length)]
            length += len(text)
            if stays:
                kept.append((seq, stays))
            if len(stays) < len(text) and seq not in self._replacements:
                self._taken_back.append((seq, len(text) - len(stays)))
        self._pieces = kept
        if replacement:
            self._pieces.append((at_seq, replacement))
            self._replacements.append(at_seq)


class ChoiceFold:
    """One choice as far as it is known. `message_extra` stood inside its deltas, `extra` beside them."""

    __slots__ = ("done", "extra", "extras", "message_extra", "parts")

    def __init__(self) -> None:
        self.extras: list[Extra] = []
        """What came with its ``choice.done`` and ``opaque`` events, in order."""
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
        fold = _FOLDS.get(type(event))
        if fold is not None:  # others (governance, hold, seam) are nothing of the payload
            fold(self, seq, event)

    def feed_entry(self, entry: Entry) -> None:
        """All events of an entry."""
        seq = self.seq
        for seq, event in enumerate(entry.events, entry.first_seq):
            fold = _FOLDS.get(type(event))
            if fold is not None:
                fold(self, seq, event)
        self.seq = seq

    @property
    def dialect(self) -> str:
        """Dialect of the attempt that answered; extra fields are shown only in it."""
        return self.attempts[-1].dialect if self.attempts else ""

    def _started(self, _: int, event: ResponseStarted) -> None:
        self.started = event

    def _asked(self, _: int, event: Asked) -> None:
        assert self.started is not None
        self.started = msgspec.structs.replace(self.started, echo=event.echo, input=event.input)

    def _attempt_started(self, _: int, event: AttemptStarted) -> None:
        self.attempts.append(event)
        self.model, self.provider_id, self.envelope = "", "", {}  # what another attempt said is not this one's

    def _attempt_described(self, _: int, event: AttemptDescribed) -> None:
        self.model = event.model or self.model
        self.provider_id = event.provider_id or self.provider_id
        self.envelope.update(event.envelope or {})

    def _attempt_ended(self, _: int, event: AttemptEnded) -> None:
        self.ended[event.attempt] = event

    def _part_started(self, _: int, event: PartStarted) -> None:
        choice = self._choice(event.choice)
        part = PartFold(event)
        choice.parts.append(part)
        if event.extra is not None:
            part.extras.append(event.extra)
            if event.kind is PartKind.TOOL_CALL:  # in other kinds it says how the dialect calls them
                self._take(choice, event.extra, part.tool_extra)

    def _delta(self, seq: int, event: Delta) -> None:
        choice = self.choices[event.choice]
        part = choice.parts[event.part]
        part.append(seq, event.text)
        if event.extra is not None:
            part.extras.append(event.extra)
            in_call = part.kind is PartKind.TOOL_CALL
            self._take(choice, event.extra, part.tool_extra if in_call else choice.message_extra)

    def _part_done(self, _: int, event: PartDone) -> None:
        part = self.choices[event.choice].parts[event.part]
        part.done = True
        if event.extra is not None:
            part.extras.append(event.extra)

    def _choice_done(self, _: int, event: ChoiceDone) -> None:
        choice = self._choice(event.choice)
        choice.done = event
        if event.extra is not None:
            choice.extras.append(event.extra)
            self._take(choice, event.extra, choice.message_extra)

    def _opaque(self, _: int, event: Opaque) -> None:
        choice = self._choice(event.choice)
        choice.extras.append(event.extra)
        self._take(choice, event.extra, choice.message_extra)

    def _retracted(self, seq: int, event: Retracted) -> None:
        self.choices[event.choice].parts[event.part].retract(event.from_char, seq, event.replacement)

    def _governance(self, seq: int, event: Governance) -> None:
        """Where text already released is masked, a retraction does it, and the text counts as released."""
        if event.choice < 0 or event.dry or event.action != "mask":
            return
        assert self.started is not None
        if event.gate == "stream" or not self.started.may_retract:
            part = self.choices[event.choice].parts[event.part]
            part.masked(seq, event.end - event.start - event.released)

    def _marks(self, _: int, event: Marks) -> None:
        self.choices[event.choice].parts[event.part].generated = event.generated

    def _usage(self, _: int, event: Usage) -> None:
        self.usage = event

    def _released(self, _: int, event: Released) -> None:
        self.verified_seq = event.seq

    def _terminal(self, _: int, event: Terminal) -> None:
        self.terminal = event

    def _choice(self, index: int) -> ChoiceFold:
        choice = self.choices.get(index)
        if choice is None:
            choice = self.choices[index] = ChoiceFold()
        return choice

    def _take(self, choice: ChoiceFold, extra: Extra, around_delta: dict[str, Any]) -> None:
        """Fold in extra fields: at the top they are replaced, in a choice and in a delta they accumulate."""
        self.extra.update(extra.response or {})
        accumulate(choice.extra, extra.choice or {}, strings_grow=False)
        accumulate(around_delta, extra.delta or {}, strings_grow=True)


_FOLDS: Final[dict[type[Any], Callable[[Fold, int, Any], None]]] = {
    ResponseStarted: Fold._started,
    Asked: Fold._asked,
    AttemptStarted: Fold._attempt_started,
    AttemptDescribed: Fold._attempt_described,
    AttemptEnded: Fold._attempt_ended,
    PartStarted: Fold._part_started,
    Delta: Fold._delta,
    PartDone: Fold._part_done,
    ChoiceDone: Fold._choice_done,
    Opaque: Fold._opaque,
    Retracted: Fold._retracted,
    Governance: Fold._governance,
    Marks: Fold._marks,
    Usage: Fold._usage,
    Released: Fold._released,
    Terminal: Fold._terminal,
}


def accumulate(into: dict[str, Any], fields: dict[str, Any], *, strings_grow: bool) -> None:
    """Add the fields of one more chunk, as the official SDKs do.

    Lists grow, objects merge, strings grow if `strings_grow` says so (``type`` and ``index`` never do), the rest is
    replaced; null replaces nothing. What is in `into` belongs to it: `fields` is never changed later on.
    """
    for key, value in fields.items():
        known = into.get(key)
        if isinstance(known, list) and isinstance(value, list):
            known.extend(value)
        elif isinstance(known, dict) and isinstance(value, dict):
            accumulate(known, value, strings_grow=strings_grow)
        elif strings_grow and isinstance(known, str) and isinstance(value, str) and key not in ("type", "index"):
            into[key] = known + value
        elif value is not None or known is None:
            into[key] = _own(value)


def _own(value: Any) -> Any:
    """A copy of everything in `value` that `accumulate` may change: objects, and lists outside of lists."""
    if isinstance(value, dict):
        return {key: _own(item) for key, item in value.items()}
    return list(value) if isinstance(value, list) else value


def digest(parts: Iterable[tuple[int, int, PartKind, bytes]]) -> str:
    """Hash of what was released (PROTOCOL.md section 8) from ``(choice, part, kind, SHA-256 of the part's text)``."""
    lines = [f"{choice}:{part}:{kind}:{text.hex()}\n" for choice, part, kind, text in sorted(parts)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


class _PartDigest:
    """The running hash of one part's text."""

    __slots__ = ("choice", "hash", "kind", "part", "pieces", "text")

    def __init__(self, started: PartStarted, *, keeps_text: bool) -> None:
        self.choice = started.choice
        self.part = started.part
        self.kind = started.kind
        self.hash = hashlib.sha256()
        self.pieces: list[str] = []  # not hashed yet
        self.text = "" if keeps_text else None


PIECES_MAX: Final = 32
"""Deltas that are joined before they are hashed: hashing each by itself cost 1 us more per token."""


class Digester:
    """Computes `digest` while the text goes by; the parts may interleave.

    A log that may retract keeps its text, since a hash cannot give anything back.
    """

    __slots__ = ("_keeps_text", "_latest", "_parts", "_utf8_bytes", "retracted_chars")

    def __init__(self) -> None:
        self.retracted_chars = 0
        """Code points that were released and taken back."""
        self._utf8_bytes = 0
        self._keeps_text = False
        self._parts: dict[tuple[int, int], _PartDigest] = {}
        self._latest: _PartDigest | None = None  # that of the last text: mostly the next one's as well

    def feed(self, event: AnyEvent) -> None:
        """Any event of the log, in order."""
        if type(event) is Delta:
            self.delta(event.choice, event.part, event.text)
        elif type(event) is PartStarted:
            part = self._latest = _PartDigest(event, keeps_text=self._keeps_text)
            self._parts[part.choice, part.part] = part
        elif type(event) is ResponseStarted:
            self._keeps_text = event.may_retract
        elif type(event) is Retracted:
            self._retract(self._parts[event.choice, event.part], event)

    def delta(self, choice: int, index: int, text: str) -> None:
        """What a `Delta` says, for callers that have read it already."""
        part = self._latest
        if part is None or part.part != index or part.choice != choice:
            part = self._latest = self._parts[choice, index]
        part.pieces.append(text)
        if len(part.pieces) >= PIECES_MAX:
            self._flush(part)

    @property
    def utf8_bytes(self) -> int:
        """All released text so far, what was taken back included."""
        for part in self._parts.values():
            self._flush(part)
        return self._utf8_bytes

    def result(self) -> str:
        for part in self._parts.values():
            self._flush(part)
        return digest([(c, p, part.kind, part.hash.digest()) for (c, p), part in self._parts.items()])

    @property
    def parts_count(self) -> int:
        return len(self._parts)

    def parts(self) -> list[tuple[int, int, str, str]]:
        """Choice, part, kind and hash of the text of every part, in order."""
        for part in self._parts.values():
            self._flush(part)
        return [(c, p, part.kind, part.hash.hexdigest()) for (c, p), part in sorted(self._parts.items())]

    def _flush(self, part: _PartDigest) -> None:
        if not part.pieces:
            return
        text = "".join(part.pieces)
        part.pieces.clear()
        data = text.encode()
        part.hash.update(data)
        self._utf8_bytes += len(data)
        if part.text is not None:
            part.text += text

    def _retract(self, part: _PartDigest, event: Retracted) -> None:
        self._flush(part)
        assert part.text is not None
        self.retracted_chars += max(0, len(part.text) - event.from_char)
        part.text = part.text[: event.from_char] + event.replacement
        part.hash = hashlib.sha256(part.text.encode())
        self._utf8_bytes += len(event.replacement.encode())
