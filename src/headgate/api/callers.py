"""Who is asking. Keys are compared by hash: the configuration never holds one, and neither does memory."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Final

from headgate.config import Key, is_loopback
from headgate.errors import RequestError

KEY_CHARS_MAX: Final = 512
KEY_HEADERS: Final = (b"x-api-key", b"x-goog-api-key")
"""Where the SDKs of Anthropic and Google put a key."""
OPEN_OWNER: Final = ""
"""Owner of everything while no keys are configured."""


def hash_key(key: str) -> str:
    """What stands in the configuration for a key. Keys are random, so a plain hash cannot be guessed backwards."""
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


class Callers:
    """The configured keys."""

    def __init__(self, keys: Sequence[Key], *, check_host: bool) -> None:
        self._owners = {key.hash.removeprefix("sha256:"): key.name for key in keys}
        self._check_host = check_host and not keys

    def identify(self, header: Callable[[bytes], str | None]) -> str:
        """The owner's name, from the request's headers. Raises `RequestError` ``unauthorized`` or ``forbidden_host``."""
        if not self._owners:
            host = header(b"host")
            if self._check_host and not _is_local(host):
                raise RequestError(
                    "forbidden_host", f"The host {host!r} is not this machine: configure [[keys]] to serve others."
                )
            return OPEN_OWNER
        key = _key_in(header)
        if not key:
            raise RequestError(
                "unauthorized",
                "There is no key: send 'Authorization: Bearer <key>' (or 'x-api-key', 'x-goog-api-key').",
                headers={"www-authenticate": "Bearer"},
            )
        digest = hashlib.sha256(key[:KEY_CHARS_MAX].strip().encode("latin-1", "replace")).hexdigest()
        for known, owner in self._owners.items():
            if hmac.compare_digest(known, digest):
                return owner
        raise RequestError("unauthorized", "The key is not known.", headers={"www-authenticate": "Bearer"})

    def miss_key(self, header: Callable[[bytes], str | None]) -> bool:
        """Whether a request needs a key and has none at all."""
        return bool(self._owners) and not _key_in(header)

    def know(self, owner: str) -> bool:
        """Whether there is a key of this name."""
        return owner in self._owners.values()


def _key_in(header: Callable[[bytes], str | None]) -> str:
    """The key, wherever the official SDKs put it."""
    scheme, _, key = (header(b"authorization") or "").partition(" ")
    if scheme.lower() == "bearer" and key:
        return key
    return next((value for name in KEY_HEADERS if (value := header(name))), "")


def _is_local(host: str | None) -> bool:
    """Whether a Host header names this machine. A page of another name that resolves here (DNS rebinding) does not."""
    if not host:
        return True
    name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    return is_loopback(name.lower())
