"""Ask the simulator something without a socket, and read what it would send."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from headgate.simulator import chat
from headgate.simulator.config import SimulatorConfig
from headgate.simulator.plan import Plan
from headgate.simulator.planning import make
from headgate.simulator.script import script
from headgate.simulator.steps import SILENCE_S, Abort, Close, End, Head, Step, Wait, Write

MESSAGES = [{"role": "user", "content": "How is a gate opened?"}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {
                "type": "object",
                "properties": {"gate": {"type": "string"}, "inches": {"type": "integer", "minimum": 1}},
                "required": ["gate", "inches"],
            },
        },
    }
    for name in ("open_gate", "close_gate", "ring_bell")
]


@dataclass
class Transcript:
    """A script played in no time."""

    head: Head | None = None
    writes: list[tuple[float, bytes]] = field(default_factory=list)
    """When each write was due, and its bytes."""
    tokens: int = 0
    last: End | Close | Abort | None = None
    stalled: bool = False
    """It fell silent with the connection open."""

    @property
    def body(self) -> bytes:
        return b"".join(data for _, data in self.writes)

    @property
    def headers(self) -> dict[str, str]:
        assert self.head is not None
        return dict(self.head.headers)

    @property
    def whole(self) -> dict[str, Any]:
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value

    @property
    def chunks(self) -> list[dict[str, Any]]:
        return [data for data in events(self.body) if isinstance(data, dict)]

    @property
    def text(self) -> str:
        return said(self.chunks)


def body(model: str = "sim-fast", **fields: Any) -> bytes:
    return json.dumps({"model": model, "messages": MESSAGES, **fields}).encode()


def plan(model: str = "sim-fast", *, simulate: str = "", config: SimulatorConfig | None = None, **fields: Any) -> Plan:
    return make(chat.read(body(model, **fields)), simulate, config or SimulatorConfig())


def streamed(model: str = "sim-fast", *, simulate: str = "", **fields: Any) -> Transcript:
    return play(script(plan(model, simulate=simulate, stream=True, **fields)))


def answered(model: str = "sim-fast", *, simulate: str = "", **fields: Any) -> Transcript:
    return play(script(plan(model, simulate=simulate, **fields)))


def play(steps: Iterable[Step]) -> Transcript:
    """Take all steps up to the last one, or to an hour of silence."""
    transcript, now = Transcript(), 0.0
    for step in steps:
        match step:
            case Head():
                assert transcript.head is None
                transcript.head = step
            case Write(data, tokens):
                assert transcript.head is not None
                transcript.writes.append((now, data))
                transcript.tokens += tokens
            case Wait(seconds):
                if seconds >= SILENCE_S:
                    transcript.stalled = True
                    break
                now += seconds
            case End() | Close() | Abort():
                assert transcript.last is None
                transcript.last = step
    return transcript


def events(data: bytes) -> list[Any]:
    """The data of each event: parsed where it is JSON, else as it stands; comments and event names are left out."""
    found: list[Any] = []
    for block in data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").split(b"\n\n"):
        for line in block.split(b"\n"):
            if line.startswith(b"data: "):
                value = line[6:]
                try:
                    found.append(json.loads(value))
                except ValueError:
                    found.append(value)
    return found


def said(chunks: Iterable[dict[str, Any]], key: str = "content", choice: int = 0) -> str:
    """What a choice's deltas add up to."""
    choices = (one for chunk in chunks for one in chunk.get("choices", ()))
    return "".join(one["delta"].get(key) or "" for one in choices if one["index"] == choice)


def finishes(chunks: Iterable[dict[str, Any]]) -> list[tuple[int, str]]:
    choices = (one for chunk in chunks for one in chunk.get("choices", ()))
    return [(one["index"], one["finish_reason"]) for one in choices if one["finish_reason"]]
