"""Identifiers. They are secrets of a kind: whoever cannot guess one cannot probe for it, so they are random, not counted."""

from __future__ import annotations

import re
import secrets
from typing import Final

RESPONSE_PREFIX: Final = "resp_"
_RANDOM_BYTES: Final = 16
_RESPONSE_ID: Final = re.compile(r"resp_[0-9a-f]{32}")


def new_response_id() -> str:
    """``resp_`` and 32 hex digits: 128 random bits of the operating system."""
    return RESPONSE_PREFIX + secrets.token_hex(_RANDOM_BYTES)


def is_response_id(text: str) -> bool:
    return _RESPONSE_ID.fullmatch(text) is not None


def suffix(response_id: str) -> str:
    """The part every dialect's body id shares."""
    return response_id.removeprefix(RESPONSE_PREFIX)
