"""The native dialect: the log as it is.

Every event is one frame. Fields that hold their default are left out, except ``choice``, ``part`` and ``text``.
No times: frames must not depend on them. The object of a log is in `headgate.dialects.response_object`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headgate.dialects.compact import compact_json, compact_text
from headgate.errors import CODES, RequestError
from headgate.events import NAMES, AnyEvent, Delta, Event, Extra, Released

CHOICES_MAX: Final = 1_000_000
"""All there can be."""
_DELTA: Final = Delta  # of this module: a name from an interpreted one is looked up each time
_ALWAYS: Final = frozenset({"choice", "part", "text"})
_NEVER: Final = frozenset({"input"})
"""A prompt is not sent back with every stream; ``GET /v1/responses/{id}/input_items`` has it."""


def shown_fields(kind: type[Event]) -> list[tuple[str, str, Any]]:
    """Field, its name on the wire, and the default that is left out (``msgspec.NODEFAULT``: never)."""
    rows = []
    for field in msgspec.structs.fields(kind):
        if field.name in _NEVER:
            continue
        name = "upto" if kind is Released and field.name == "seq" else field.name
        rows.append((field.name, name, msgspec.NODEFAULT if field.name in _ALWAYS else field.default))
    return rows


_FIELDS: Final = {kind: shown_fields(kind) for kind in NAMES}


def event_object(seq: int, event: AnyEvent) -> dict[str, Any]:
    """The event as clients see it."""
    shown: dict[str, Any] = {"seq": seq, "type": event.name}
    for field, name, default in _FIELDS[type(event)]:
        value = getattr(event, field)
        if value != default or type(value) is not type(default):
            shown[name] = _extra_object(value) if isinstance(value, Extra) else value
    return shown


def _extra_object(extra: Extra) -> dict[str, Any]:
    return {name: value for name in Extra.__struct_fields__ if (value := getattr(extra, name)) is not None}


class _NativeEncoder:
    """Stage (seq, event) -> one frame."""

    def feed(self, seq: int, event: AnyEvent) -> bytes:
        if type(event) is _DELTA and event.extra is None:
            return b'id: %d\nevent: delta\ndata: {"seq":%d,"type":"delta","choice":%d,"part":%d,"text":%b}\n\n' % (
                seq,
                seq,
                event.choice,
                event.part,
                compact_text(event.text),
            )
        data = compact_json(event_object(seq, event))
        return b"id: %d\nevent: %b\ndata: %b\n\n" % (seq, event.name.encode(), data)


class Native:
    """The dialect ``headgate``; see `headgate.dialects.Dialect`."""

    name = "headgate"
    media_type = "text/event-stream; charset=utf-8"
    heartbeat = b": ping\n\n"
    expresses_retraction = True
    error_media_type = "application/problem+json"
    choices_max = CHOICES_MAX

    def encoder(self, *, include_usage: bool | None = None) -> _NativeEncoder:
        """Usage is an event of its own here, so there is nothing to include or leave out."""
        return _NativeEncoder()

    def error_body(self, error: RequestError) -> bytes:
        """``application/problem+json`` (RFC 9457)."""
        code = CODES[error.code]
        problem = {
            "type": f"urn:headgate:error:{error.code}",
            "title": code.meaning,
            "status": code.status,
            "detail": error.message,
            "code": error.code,
        }
        return compact_json(problem)


NATIVE: Final = Native()
