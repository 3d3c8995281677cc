"""Tokens of read links: what lets somebody without a key read one response for a while (PROTOCOL.md section 7).

A token is 39 bytes in base64url. That makes 52 characters with no bit to spare, so a token has one spelling:

    version (1) | the second it ends, Unix time (6) | HMAC-SHA256 (32)

The MAC is over the purpose, the version, the end and the id of the response, which itself is not in the token: it
stands in the URL. What may be read with a token, and who may make one, is decided in `headgate.api.links`.

Invariant: nothing that a token says is believed before its MAC was found right, in a time that does not depend on how
much of it was.
"""

from __future__ import annotations

import base64
import hmac
from enum import Enum
from typing import Final

PURPOSE: Final = b"headgate read link\0"
"""Stands in front of what is signed, so that nothing else that is ever signed with the same secret can be taken for it."""
VERSION: Final = 1
TOKEN_CHARS: Final = 52

_END_BYTES: Final = 6
_MAC_BYTES: Final = 32
_HEAD_BYTES: Final = 1 + _END_BYTES


class Standing(Enum):
    """What a token is worth."""

    GOOD = "good"
    EXPIRED = "expired"
    """It was made for this response, and its time is over."""
    WRONG = "wrong"
    """It was not made for this response, or not with this secret, or is none at all: nobody can tell which."""


def sign(secret: bytes, response_id: str, expires_at: int) -> str:
    """A token for this response, good until before the second `expires_at` (Unix time)."""
    head = bytes((VERSION,)) + expires_at.to_bytes(_END_BYTES, "big")
    return base64.urlsafe_b64encode(head + _mac(secret, head, response_id)).decode("ascii")


def check(secret: bytes, response_id: str, token: str, now: float) -> Standing:
    """What a token is worth for this response at this Unix time. Never raises, whatever the two texts hold."""
    data = _bytes_of(token)
    head, mac = data[:_HEAD_BYTES], data[_HEAD_BYTES:]
    if not hmac.compare_digest(mac, _mac(secret, head, response_id)) or head[0] != VERSION:
        return Standing.WRONG
    return Standing.GOOD if now < int.from_bytes(head[1:], "big") else Standing.EXPIRED


def _mac(secret: bytes, head: bytes, response_id: str) -> bytes:
    """The head has a fixed length, so no other head and id read the same together."""
    return hmac.digest(secret, PURPOSE + head + response_id.encode("utf-8", "surrogatepass"), "sha256")


def _bytes_of(token: str) -> bytes:
    """The bytes that a token spells; none for a text that spells none, or not the way `sign` would."""
    if len(token) != TOKEN_CHARS:
        return b""
    try:
        data = base64.urlsafe_b64decode(token)
    except ValueError:
        return b""
    return data if base64.urlsafe_b64encode(data).decode("ascii") == token else b""
