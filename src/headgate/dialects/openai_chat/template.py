"""The short cut for chunks that differ from an earlier one in nothing but their text.

Nearly every chunk of a stream has the bytes of the one before it, except for the string that is the text (and for
OpenAI's ``obfuscation``, which is dropped). A `Template` holds the bytes around those strings. What it matches decodes
to what the long way makes of it:

- `learn` has replaced the strings by others and decoded the result. Only the text and ``obfuscation`` had changed, so
  these bytes are the whole of those string tokens, and JSON allows any other string there.
- A match has in their place what the JSON decoder takes for the inside of one string; ASCII letters and digits are that
  in any case.
- The chunk it was learned from made one `Delta` and left nothing behind in the decoder; whoever keeps a template
  drops it as soon as another chunk makes anything but deltas (`StreamDecoder`).

A property test compares both ways on random chunks.
"""

from __future__ import annotations

import re
from typing import Any, Final

from headgate.dialects.fields import JSON_ERRORS, read_json
from headgate.events import AnyEvent, Delta

_CONTENT: Final = re.compile(rb'"content" ?: ?"')
_OBFUSCATION: Final = re.compile(rb'"obfuscation" ?: ?"[0-9A-Za-z]*"')
_PROBE: Final = "0123456789"


class Template:
    """The bytes of a chunk before, between and after its text and its ``obfuscation`` (`close` empty for none)."""

    __slots__ = ("_choice", "_close", "_head", "_length", "_part", "_tail")

    def __init__(self, delta: Delta, head: bytes, tail: bytes, close: bytes) -> None:
        self._choice = delta.choice
        self._part = delta.part
        self._head = head
        self._length = len(head)
        self._tail = tail
        self._close = close

    def match(self, event: bytes, data: bytes) -> Delta | None:
        """The one event that this frame makes, or None if the long way has to find out."""
        if event or not data.startswith(self._head):
            return None
        end = self._end_of_text(data)
        if end < self._length:
            return None
        try:
            text = read_json(data[self._length - 1 : end + 1])  # with its quotes, which are head's and tail's
        except JSON_ERRORS:
            return None
        return Delta(self._choice, self._part, text) if text else None

    def _end_of_text(self, data: bytes) -> int:
        """Where the text ends if what follows is `tail`, or else `tail`, some characters, `close`; -1 if it is not.

        ``isalnum`` of bytes knows ASCII only.
        """
        tail, close = self._tail, self._close
        if not close:
            return len(data) - len(tail) if data.endswith(tail) else -1
        rest = data[self._length :]
        if not rest.endswith(close):
            return -1
        text, _, padding = rest[: -len(close)].partition(tail)
        return self._length + len(text) if padding.isalnum() else -1


def learn(data: bytes, made: list[AnyEvent]) -> Template | None:
    """The template of a chunk whose `data` made these events, if they are one plain `Delta`."""
    if len(made) != 1 or not isinstance(made[0], Delta) or made[0].extra is not None:
        return None
    delta, chunk = made[0], read_json(data)
    choices = chunk["choices"]
    fields = choices[0].get("delta")
    if len(choices) != 1 or chunk.get("usage") is not None or type(fields) is not dict or fields.get("tool_calls"):
        return None
    raw = delta.text.encode()
    start = _CONTENT.search(data)
    if fields.get("content") != delta.text or start is None or not data.startswith(raw + b'"', start.end()):
        return None
    end = start.end() + len(raw)
    padding = _OBFUSCATION.search(data, end)
    if padding is None:
        template = Template(delta, data[: start.end()], data[end:], b"")
    else:
        opening = data.index(b'"', data.index(b":", padding.start())) + 1
        template = Template(delta, data[: start.end()], data[end:opening], data[padding.end() - 1 :])
    return template if _is_verified(template, chunk) else None


def _is_verified(template: Template, chunk: dict[str, Any]) -> bool:
    """Whether other strings between the template's bytes change the text and ``obfuscation`` and nothing else."""
    probe = _PROBE.encode()
    data = template._head + probe + template._tail + (probe + template._close if template._close else b"")
    try:
        found = read_json(data)
        changed = found["choices"][0]["delta"].pop("content"), found.pop("obfuscation", None)
    except (*JSON_ERRORS, LookupError, TypeError, AttributeError):
        return False
    text = chunk["choices"][0]["delta"]["content"]
    found["choices"][0]["delta"]["content"] = text
    if "obfuscation" in chunk:
        found["obfuscation"] = chunk["obfuscation"]
    return bool(found == chunk) and changed == (_PROBE, _PROBE if template._close else chunk.get("obfuscation"))
