"""Anthropic Messages, client side: events -> frames.

One block is open at a time (`current`). Frames of a part that started while another was open wait in its block, and go
out with the stop of the one before it; its index is given at its start, so blocks are shown in order of their parts.

The token path is the first branch of `StreamEncoder.feed`: what is the same in every frame of a block is kept as
bytes, so a token costs one JSON string and one join.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import msgspec

from headgate.dialects.anthropic_messages.failures import terminal_error
from headgate.dialects.anthropic_messages.objects import (
    NAME,
    SHAPES,
    Shape,
    beside_stop,
    delta_of,
    empty_block,
    is_shown,
    message_object,
    stop_fields,
    usage_object,
)
from headgate.dialects.compact import compact_json, compact_text
from headgate.events import (
    AnyEvent,
    AttemptDescribed,
    AttemptStarted,
    ChoiceDone,
    Delta,
    Extra,
    Opaque,
    PartDone,
    PartStarted,
    ResponseStarted,
    Retracted,
    Terminal,
    Usage,
)

_DELTA: Final = Delta  # of this module: a name from an interpreted one is looked up each time
_WORDS_OF_OURS: Final = (
    "message_start content_block_start content_block_delta content_block_stop message_delta message_stop ping error"
)
OURS: Final = frozenset(_WORDS_OF_OURS.split())
"""Types that are made from our own log only, whatever a provider's event says (law 3)."""

_encode: Final = msgspec.json.Encoder().encode


class _Block:
    """A part that is shown: its index, what stands around its text, and what waits until it is its turn."""

    __slots__ = ("done", "head", "index", "shape", "tail", "waiting")

    def __init__(self, index: int, shape: Shape) -> None:
        self.index = index
        self.shape = shape
        self.head = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":'
            % (
                index,
                shape.delta.encode(),
                shape.field.encode(),
            )
        )
        self.tail = b"}}\n\n"
        self.done = False
        self.waiting: list[bytes] = []


class StreamEncoder:
    """Stage (seq, event) -> bytes of SSE frames. Deterministic: the same events give the same bytes."""

    def __init__(self) -> None:
        self._started: ResponseStarted | None = None
        self._model = ""
        self._envelope: dict[str, Any] = {}
        self._same = False  # the answering attempt speaks this dialect: what else it said is shown
        self._begun = False
        self._blocks: dict[int, _Block] = {}
        self._current: _Block | None = None
        self._queue: deque[_Block] = deque()
        self._done: ChoiceDone | None = None
        self._beside: dict[
            str, Any
        ] = {}  # fields of ``message_delta``, and of the delta in it, that came by themselves
        self._inside: dict[str, Any] = {}
        self._beside_stop: dict[str, Any] = {}  # and of ``message_stop``
        self._early: list[bytes] = []  # events of the provider's own from before ``message_start``
        self._usage: Usage | None = None

    def feed(self, seq: int, event: AnyEvent) -> bytes:
        if type(event) is _DELTA:
            block = self._blocks.get(event.part)
            if block is None:
                return b""
            text = event.text
            if block is not self._current or event.extra is not None or not text:
                return self._delta(seq, block, event)
            return b"id: %d\n%b%b%b" % (seq, block.head, compact_text(text), block.tail)
        return self._rare(seq, event)

    def _rare(self, seq: int, event: AnyEvent) -> bytes:
        match event:
            case ResponseStarted():
                self._started, self._model = event, event.model
            case AttemptStarted():
                self._same = event.dialect == NAME
            case AttemptDescribed():
                self._model = event.model or self._model
                self._envelope |= (event.envelope if self._same else None) or {}
                beside = event.extra.response if self._same and event.extra is not None else None
                return _numbered(seq, self._begin(beside))
            case PartStarted():
                return self._part_started(seq, event)
            case PartDone():
                return self._part_done(seq, event)
            case Retracted() if event.replacement and event.part in self._blocks:
                block = self._blocks[event.part]
                return self._show(seq, block, [_text(block, event.replacement)])
            case ChoiceDone():
                self._done = event
                self._keep(event.extra)
            case Opaque() if event.extra.choice:
                return self._other(seq, event.extra.choice) if self._same else b""
            case Opaque():
                self._keep(event.extra)
                self._inside |= beside_stop(event.extra) if self._same else {}
            case Usage():
                self._usage = event
            case Terminal():
                return self._terminal(seq, event)
            case _:
                pass
        return b""

    def _keep(self, extra: Extra | None) -> None:
        if self._same and extra is not None and extra.response:
            self._beside |= extra.response

    def _other(self, seq: int, event: dict[str, Any]) -> bytes:
        """An event of the provider's that is nothing of ours; what says how an answer goes and ends is ours alone."""
        kind = event.get("type")
        if kind == "message_stop":
            self._beside_stop |= {name: value for name, value in event.items() if name != "type"}
            return b""
        if type(kind) is not str or kind in OURS:
            return b""
        if not self._begun:  # what the provider says of its message may be still to come
            self._early.append(_frame(kind, event))
            return b""
        return _numbered(seq, [_frame(kind, event)])

    def _begin(self, beside: dict[str, Any] | None = None) -> list[bytes]:
        """``message_start``, the first time; `beside` stood there in the provider's."""
        if self._begun:
            return []
        self._begun = True
        assert self._started is not None
        fields = dict(self._envelope)
        estimate = {"input_tokens": self._started.input_tokens_estimate, "output_tokens": 0}
        usage = fields.pop("usage", estimate)
        message = message_object(self._started.id, self._model) | fields | {"usage": usage}
        return [_frame("message_start", {"message": message} | (beside or {})), *self._early]

    def _part_started(self, seq: int, event: PartStarted) -> bytes:
        if not is_shown(event, same_dialect=self._same):
            return b""
        assert self._started is not None
        frames = self._begin()
        block = self._blocks[event.part] = _Block(len(self._blocks), SHAPES[event.kind])
        shown = empty_block(self._started.id, event, same_dialect=self._same)
        frames.append(
            _frame("content_block_start", {"index": block.index, "content_block": shown} | self._beside_of(event))
        )
        if self._current is None:
            self._current = block
        else:
            self._queue.append(block)
        return self._show(seq, block, frames)

    def _delta(self, seq: int, block: _Block, event: Delta) -> bytes:
        """A delta of a block whose turn it is not, one that is more than text, or one that is less."""
        fields, beside = (delta_of(event.extra) if self._same else {}), self._beside_of(event)
        frames = []
        if fields.get("type", block.shape.delta) == block.shape.delta:
            if event.text or fields or beside:
                frames = [_delta(block, {"type": block.shape.delta, block.shape.field: event.text} | fields, beside)]
        else:  # a delta of its own kind
            frames = ([_text(block, event.text)] if event.text else []) + [_delta(block, fields, beside)]
        return self._show(seq, block, frames)

    def _part_done(self, seq: int, event: PartDone) -> bytes:
        block = self._blocks.get(event.part)
        if block is None:
            return b""
        block.done = True
        signature = delta_of(event.extra) if self._same else {}
        frames = [_delta(block, signature)] if signature else []
        frames.append(_stop(block, self._beside_of(event)))
        if block is self._current:
            frames += self._next()
            return _numbered(seq, frames)
        return self._show(seq, block, frames)

    def _beside_of(self, event: PartStarted | Delta | PartDone) -> dict[str, Any]:
        """What stood beside the block or the delta in the provider's event."""
        return (event.extra.response if self._same and event.extra is not None else None) or {}

    def _show(self, seq: int, block: _Block, frames: list[bytes]) -> bytes:
        """The frames, or nothing yet if another block is open."""
        if block is self._current:
            return _numbered(seq, frames)
        block.waiting += frames
        return b""

    def _next(self) -> list[bytes]:
        """Let the next blocks have their turn: frames up to the first one that is not done."""
        frames: list[bytes] = []
        self._current = None
        while self._queue and self._current is None:
            block = self._queue.popleft()
            frames += block.waiting
            block.waiting = []
            if not block.done:
                self._current = block
        return frames

    def _terminal(self, seq: int, event: Terminal) -> bytes:
        if not event.status.successful:
            data = terminal_error(event, same_dialect=self._same)
            return b"id: %d\nevent: error\ndata: %b\n\n" % (seq, data)
        frames = self._begin()
        while self._current is not None:
            frames.append(_stop(self._current))
            frames += self._next()
        assert self._started is not None
        delta = stop_fields(self._done, event.status, same_dialect=self._same) | self._inside
        estimate = self._started.input_tokens_estimate
        usage = usage_object(self._usage, input_tokens_estimate=estimate, same_dialect=self._same)
        frames.append(_frame("message_delta", {"delta": delta, "usage": usage} | self._beside))
        frames.append(_frame("message_stop", self._beside_stop))
        return _numbered(seq, frames)


def _frame(name: str, fields: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), compact_json({"type": name} | fields))


def _delta(block: _Block, delta: dict[str, Any], beside: dict[str, Any] | None = None) -> bytes:
    return _frame("content_block_delta", {"index": block.index, "delta": delta} | (beside or {}))


def _text(block: _Block, text: str) -> bytes:
    return block.head + compact_json(text) + block.tail


def _stop(block: _Block, beside: dict[str, Any] | None = None) -> bytes:
    return _frame("content_block_stop", {"index": block.index} | (beside or {}))


def _numbered(seq: int, frames: list[bytes]) -> bytes:
    """The frames of one event: only the last has its ``id``."""
    return b"".join([*frames[:-1], b"id: %d\n" % seq, frames[-1]]) if frames else b""
