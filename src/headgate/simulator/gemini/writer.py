"""Plans as Gemini's large chunks, in a stream of events or of one JSON array, and as a whole answer."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.simulator.faults import FaultName
from headgate.simulator.framing import DONE, NOISE, Framing, padded
from headgate.simulator.gemini.errors import error
from headgate.simulator.gemini.parts import JSON, all_said, finished, ratings, said, signed, usage
from headgate.simulator.plan import Choice, Finish, Kind, Part, Plan
from headgate.simulator.quirks import Quirk
from headgate.simulator.registry import Name
from headgate.simulator.writer import BROKEN, OVERLOADED, Problem
from headgate.simulator.writer import JSON as JSON_TYPE

CHUNK_TOKENS: Final = 16
"""Tokens of a chunk; the first has one, so that the time to the first token is what was asked for."""
GARBAGE: Final = b'{"candidates":[{"content":{"parts":[{"text":"br'
_encode: Final = msgspec.json.encode


class _Held:
    """What of a part was generated and is not yet sent."""

    def __init__(self, part: Part, start: int) -> None:
        self.part = part
        self.start = self.end = start


class GeminiWriter:
    """One answer of one or several candidates."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._framing = Framing(plan)
        self._held: dict[int, _Held] = {}
        """By candidate."""
        self._left = {choice.index: choice.tokens for choice in plan.choices}
        self._spent = self._thought = 0
        self._begun = False

    @property
    def stream_type(self) -> str:
        return JSON_TYPE if self._plan.ask.array else "text/event-stream"

    def prelude(self) -> bytes:
        return b""

    def opening(self) -> bytes:
        return b""

    def token(self, choice: Choice, part: Part, index: int) -> bytes:
        held = self._held.setdefault(choice.index, _Held(part, index))
        first = self._left[choice.index] == choice.tokens
        held.end = index + 1
        self._left[choice.index] -= 1
        self._spent += 1
        self._thought += part.kind is Kind.REASONING
        full = first or held.end - held.start >= CHUNK_TOKENS or held.end == len(part.tokens)
        waits = part.call is not None and held.end < len(part.tokens)
        last = self._left[choice.index] == 0 and not self._plan.has(Quirk.BARE_FINISH)
        return self._release(choice) if full and not waits and not last else b""

    def finish(self, choice: Choice) -> bytes:
        parts = self._take(choice)
        if choice.finish is Finish.BLOCKED:
            return self._chunk({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT", "safetyRatings": ratings()}})
        end: JSON = {} if self._plan.has(FaultName.NO_FINISH) else finished(choice)
        if not parts and not end:
            return b""
        return self._candidate(choice, signed(choice, parts), end)

    def ending(self) -> bytes:
        return self._chunk({}) if self._plan.has(Quirk.DOUBLE_END) else b""

    def done(self) -> bytes:
        if self._plan.ask.array:
            return b"]" if self._begun else b"[]"
        return DONE.replace(b"\n", b"\r\n") if self._plan.has(Quirk.WITH_DONE) else b""

    def flush(self) -> bytes:
        return b"".join(self._release(choice) for choice in self._plan.choices if choice.index in self._held)

    def truncated(self) -> bytes:
        data = self._answer({"candidates": [self._shown(self._plan.choices[-1], [], {"finishReason": "STOP"})]})
        return self._framed(data[: len(data) // 2])

    def interruption(self, name: Name) -> bytes:
        array = self._plan.ask.array
        match name:
            case FaultName.STALL_COMMENTS:
                return b" " if array else b": keep-alive\r\n\r\n"
            case FaultName.NOISE:
                return b"\r\n\t " if array else NOISE.replace(b"\n", b"\r\n")
            case FaultName.GARBAGE:
                return self._framed(GARBAGE)
            case FaultName.HUGE_LINE:
                return self._framed(padded(self._answer({})))
            case FaultName.ERROR_EVENT if not array:
                return b"event: error\r\n" + self._framed(self.broken(name) or b"")
            case FaultName.ERROR | FaultName.ERROR_OBJECT | FaultName.ERROR_EVENT | Quirk.OVERLOADED:
                return self._framed(self.broken(name) or b"")
            case Quirk.UNKNOWN:
                return self._chunk({"xNote": {"says": "ignore me"}})
            case _:
                raise AssertionError(f"{name} strikes at no token")

    def whole(self) -> bytes:
        plan = self._plan
        self._spent, self._thought = plan.tokens, plan.reasoning_tokens
        blocked = plan.choices[0].finish is Finish.BLOCKED
        if blocked:
            answer: JSON = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT", "safetyRatings": ratings()}}
        else:
            answer = {"candidates": [self._whole_candidate(choice) for choice in plan.choices]}
        return self._framing.marked(self._answer(answer))

    def broken(self, name: Name) -> bytes | None:
        match name:
            case FaultName.GARBAGE:
                return b'{"candidates":[{"content":{"parts":[{"te]]'
            case FaultName.ERROR | FaultName.ERROR_EVENT:
                return error(Problem(500, BROKEN))
            case FaultName.ERROR_OBJECT:
                return b"[%b]" % error(Problem(500, BROKEN))
            case Quirk.OVERLOADED:
                return error(Problem(503, OVERLOADED))
            case _:
                return None

    # -- chunks

    def _take(self, choice: Choice) -> list[JSON]:
        """What is held of a candidate, which it is no more."""
        held = self._held.pop(choice.index, None)
        part = said(held.part, held.start, held.end) if held else None
        return [] if part is None else [part]

    def _release(self, choice: Choice) -> bytes:
        """A chunk of what is held of a candidate."""
        parts = self._take(choice)
        call = any("functionCall" in part for part in parts)
        return self._candidate(choice, signed(choice, parts) if call else parts, {}) if parts else b""

    def _candidate(self, choice: Choice, parts: list[JSON], end: JSON) -> bytes:
        return self._chunk({"candidates": [self._shown(choice, parts, end)]})

    def _whole_candidate(self, choice: Choice) -> JSON:
        end = {} if self._plan.has(FaultName.NO_FINISH) else finished(choice)
        return self._shown(choice, signed(choice, all_said(choice)), end)

    def _shown(self, choice: Choice, parts: list[JSON], end: JSON) -> JSON:
        content = {"content": {"parts": parts, "role": "model"}} if parts else {}
        if not parts and self._plan.has(Quirk.BARE_FINISH):
            content = {"content": {"role": "model"}}
        if self._plan.has(Quirk.EARLY_FINISH):
            end = {"finishReason": "STOP", **end}
        return {**content, **end, "index": choice.index}

    def _chunk(self, members: JSON) -> bytes:
        ping = b""
        if self._framing.pings:
            ping = b"\r\n" if self._plan.ask.array else b": keep-alive\r\n\r\n"
        return ping + self._framed(self._framing.marked(self._answer(members)))

    def _answer(self, members: JSON) -> bytes:
        """A GenerateContentResponse with the token counts so far."""
        plan = self._plan
        counts: dict[str, Any] = {}
        if not plan.has(FaultName.NO_USAGE):
            counts["usageMetadata"] = usage(plan, self._spent, self._thought)
        return _encode({**members, **counts, "modelVersion": plan.model, "responseId": plan.id})

    def _framed(self, data: bytes) -> bytes:
        """An event, or the next element of the array."""
        if not self._plan.ask.array:
            return b"data: %b\r\n\r\n" % data
        before, self._begun = (b",\r\n" if self._begun else b"["), True
        return before + data
