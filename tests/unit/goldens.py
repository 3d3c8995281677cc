"""Reads the cases in tests/golden: logs and the frames they make, provider bytes and the events they make."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from headgate.assemble import Fold
from headgate.delivery import is_taken_back
from headgate.dialects import StreamEncoder
from headgate.events import NAMES, AnyEvent, Extra, Retracted

ROOT: Final = Path(__file__).parents[1] / "golden"
KINDS: Final = {name: kind for kind, name in NAMES.items()}

NumberedLog = list[tuple[int, AnyEvent]]


def cases(family: str) -> list[str]:
    """Names of all cases of ``logs`` or of a dialect."""
    names = sorted(path.name for path in (ROOT / family).iterdir() if path.is_dir())
    assert names, f"no cases in {family}"
    return names


def lines(path: Path) -> list[str]:
    """Lines of an NDJSON file. LF alone ends a line: a string may hold U+2028."""
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def event_of(fields: dict[str, Any]) -> AnyEvent:
    """The event that is shown as this object (`headgate.dialects.headgate.event_object` backwards)."""
    kind = KINDS[fields["type"]]
    given = {"seq" if name == "upto" else name: value for name, value in fields.items() if name not in ("seq", "type")}
    values = {}
    for field in msgspec.structs.fields(kind):
        if field.name in given:
            value = given.pop(field.name)
            values[field.name] = Extra(**value) if field.name == "extra" else msgspec.convert(value, field.type)
    assert not given, f"unknown fields {given}"
    event: AnyEvent = kind(**values)  # type: ignore[assignment]
    return event


def log_of(case: str) -> NumberedLog:
    """The events of a log with their ``seq``."""
    rows = [json.loads(line) for line in lines(ROOT / "logs" / case / "log.ndjson")]
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    return [(row["seq"], event_of(row)) for row in rows]


def fold_of(log: Iterable[tuple[int, AnyEvent]]) -> Fold:
    fold = Fold()
    for seq, event in log:
        fold.feed(seq, event)
    return fold


def retractions_of(log: NumberedLog) -> list[tuple[int, Retracted]]:
    return [(seq, event) for seq, event in log if isinstance(event, Retracted)]


def frames(encoder: StreamEncoder, log: NumberedLog, *, after: int = 0, knows: int | None = None) -> list[bytes]:
    """What a reader with cursor `after` gets, event by event, as `headgate.reader` does it.

    `knows` is the last event it had a chance to see when it began: retractions after that come to it live.
    """
    known = [(at, r) for at, r in retractions_of(log) if knows is None or at <= knows]
    made = []
    for seq, event in log:
        if seq > after and is_taken_back(seq, event, known):
            continue
        frame = encoder.feed(seq, event)
        made.append(frame if seq > after else b"")
    return made
