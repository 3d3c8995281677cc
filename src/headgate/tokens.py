"""Estimates of token counts, for when a provider gives none.

Four bytes of UTF-8 a token is the usual rule of thumb for English prose on today's vocabularies; it is off by up to
a third either way for other languages and for code. Every number made here is marked as estimated.
"""

from __future__ import annotations

from typing import Any, Final

BYTES_PER_TOKEN: Final = 4


def estimate(utf8_bytes: int) -> int:
    """Tokens in this many bytes of text, rounded up."""
    return -(-utf8_bytes // BYTES_PER_TOKEN)


def text_bytes(value: Any) -> int:
    """UTF-8 bytes of all strings in a JSON value (keys excluded)."""
    total = 0
    pending = [value]
    for item in pending:  # grows on the way
        kind = type(item)
        if kind is str:
            total += len(item) if item.isascii() else len(item.encode("utf-8", "surrogatepass"))
        elif kind is dict:
            pending.extend(item.values())
        elif kind is list:
            pending.extend(item)
    return total
