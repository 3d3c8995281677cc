"""Identifiers. They are secrets of a kind: whoever cannot guess one cannot probe for it, so they are not counted.

They begin with the time, so that the store's index grows at its end: with wholly random ids every response would write
a page of its own somewhere in the middle.
"""

from __future__ import annotations

import os
import re
from typing import Final

RESPONSE_PREFIX: Final = "resp_"
_RANDOM_BYTES: Final = 10
_TIME_BYTES: Final = 6
_TIME_MASK: Final = (1 << 48) - 1
_RESPONSE_ID: Final = re.compile(r"resp_[0-9a-f]{32}")


def new_response_id(unix_ms: int) -> str:
    """``resp_`` and 32 hex digits: 48 bits of Unix time in milliseconds, then 80 random bits of the operating system."""
    time = (unix_ms & _TIME_MASK).to_bytes(_TIME_BYTES, "big")
    return RESPONSE_PREFIX + (time + os.urandom(_RANDOM_BYTES)).hex()


def is_response_id(text: str) -> bool:
    return _RESPONSE_ID.fullmatch(text) is not None


def suffix(response_id: str) -> str:
    """The part every dialect's body id shares."""
    return response_id.removeprefix(RESPONSE_PREFIX)
