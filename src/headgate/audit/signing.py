"""The key that signs: Ed25519, in a PEM file that only the gateway's user can read. What is signed is decided elsewhere."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from headgate.errors import ConfigError

KEY_FILE_BYTES_MAX: Final = 64 * 1024
"""An Ed25519 key takes 119 bytes; the rest is room for comments."""
_ID_DIGITS: Final = 16


class PublicKey:
    """A key that signatures are checked with."""

    def __init__(self, raw: bytes) -> None:
        """Raises `ValueError` for what is no key."""
        self._key = Ed25519PublicKey.from_public_bytes(raw)
        self.raw = raw
        self.id = hashlib.sha256(raw).hexdigest()[:_ID_DIGITS]
        """What checkpoints and rows call it."""

    @classmethod
    def from_base64(cls, text: str) -> PublicKey:
        """Raises `ValueError`."""
        return cls(from_base64(text))

    @classmethod
    def from_pem(cls, data: bytes) -> PublicKey:
        """Raises `ValueError`."""
        try:
            key = load_pem_public_key(data)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ValueError("it is no public key in PEM") from error
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError("it is no Ed25519 key")
        return cls(key.public_bytes(Encoding.Raw, PublicFormat.Raw))

    @property
    def base64(self) -> str:
        return base64.b64encode(self.raw).decode()

    @property
    def pem(self) -> str:
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def verifies(self, signature: bytes, data: bytes) -> bool:
        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """A key that signs."""

    def __init__(self, key: Ed25519PrivateKey | None = None) -> None:
        """Without a key a new one is made, which lives as long as this object."""
        self._key = key or Ed25519PrivateKey.generate()
        self.public = PublicKey(self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def sign(self, data: bytes) -> bytes:
        """64 bytes, always the same for the same data."""
        return self._key.sign(data)


def load(path: Path) -> SigningKey:
    """The key in this file; one is made where there is no file. Raises `ConfigError`."""
    try:
        if not path.exists():
            return _make(path)
        with path.open("rb") as file:
            data = file.read(KEY_FILE_BYTES_MAX)
    except OSError as error:
        raise ConfigError([f"audit.key_file: {path}: {error.strerror}"]) from None
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigError([f"audit.key_file: {path} is no private key in PEM, or has a password"]) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError([f"audit.key_file: {path} is no Ed25519 key"])
    return SigningKey(key)


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def from_base64(text: str) -> bytes:
    """Raises `ValueError`, also for text that another encoder would have written otherwise."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is no base64") from None
    if to_base64(data) != text:
        raise ValueError("it is no base64")
    return data


def _make(path: Path) -> SigningKey:
    private = Ed25519PrivateKey.generate()
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()
        os.fsync(file.fileno())
    return SigningKey(private)
