"""JSON as it goes into frames: compact, keys in the order they were put in, non-ASCII characters as they are.

U+0085, U+2028 and U+2029 are the exception: they are escaped, because several clients take them for line ends.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

_encode: Final = msgspec.json.Encoder().encode


def compact_json(value: Any) -> bytes:
    """`value` as one line of JSON, whatever a reader takes for the end of a line."""
    data = _encode(value)
    if not data.isascii():
        data = (
            data.replace(b"\xc2\x85", b"\\u0085")
            .replace(b"\xe2\x80\xa8", b"\\u2028")
            .replace(b"\xe2\x80\xa9", b"\\u2029")
        )
    return data
