"""JSON as it goes into frames: compact, keys in the order they were put in, non-ASCII characters as they are.

U+0085, U+2028 and U+2029 are the exception: they are escaped, because several clients take them for line ends.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

_encode: Final = msgspec.json.Encoder().encode
_is_ascii: Final = str.isascii  # compiled code calls it without looking for it in the string's type first


def compact_json(value: Any) -> bytes:
    """`value` as one line of JSON, whatever a reader takes for the end of a line."""
    data = _encode(value)
    return data if data.isascii() else _escape_line_ends(data)


def compact_text(text: str) -> bytes:
    """`compact_json` of a string: strings know whether they are ASCII."""
    data = _encode(text)
    return data if _is_ascii(text) else _escape_line_ends(data)


def _escape_line_ends(data: bytes) -> bytes:
    return (
        data.replace(b"\xc2\x85", b"\\u0085").replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    )
