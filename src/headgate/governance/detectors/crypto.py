"""Addresses of cryptocurrencies, by the checksum that each family has.

An Ethereum address in one case has no checksum (EIP-55 puts it into the case), so there the form alone counts.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from headgate.governance.detectors.detector import END, START, Detector
from headgate.governance.detectors.folding import folded
from headgate.governance.detectors.keccak import keccak256

BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
RIPPLE58: Final = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
VERSIONS: Final = frozenset(
    {
        b"\x00", b"\x05",  # Bitcoin
        b"\x6f", b"\xc4",  # its test network
        b"\x30", b"\x32",  # Litecoin
        b"\x1e", b"\x16",  # Dogecoin
        b"\x4c", b"\x10",  # Dash
        b"\x41",  # Tron
        b"\x1c\xb8", b"\x1c\xbd",  # Zcash, transparent
    }
)  # fmt: skip
HASH_BYTES: Final = 20

BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
RESTS: Final = (1, 0x2BC830A3)
"""What a valid address leaves: BIP-173, and BIP-350 (bech32m)."""


def base58check(text: str, alphabet: str = BASE58) -> bytes | None:
    """Version and payload of a base58 text whose last four bytes are right; else None."""
    number = 0
    for char in text:
        place = alphabet.find(char)
        if place < 0:
            return None
        number = number * 58 + place
    zeros = len(text) - len(text.lstrip(alphabet[0]))
    data = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
    payload, check = data[:-4], data[-4:]
    return payload if sha256(sha256(payload).digest()).digest()[:4] == check else None


def bech32(text: str) -> bool:
    """BIP-173: one case, and a checksum over the prefix and what follows the last ``1``."""
    prefix, _, data = text.lower().rpartition("1")
    if text not in (text.lower(), text.upper()) or not prefix or any(char not in BECH32 for char in data):
        return False
    expanded = [ord(char) >> 5 for char in prefix] + [0] + [ord(char) & 31 for char in prefix]
    rest = 1
    for value in [*expanded, *(BECH32.index(char) for char in data)]:
        top = rest >> 25
        rest = (rest & 0x1FFFFFF) << 5 ^ value
        for bit, term in enumerate(GENERATOR):
            rest ^= term if top >> bit & 1 else 0
    return rest in RESTS


def eip55(text: str) -> bool:
    """A letter of a mixed-case address is large where the hash of the address in small letters has a high digit."""
    body = text[2:]
    if body in (body.lower(), body.upper()):
        return len(set(body)) > 2
    hashed = keccak256(body.lower().encode()).hex()
    return all(char.isupper() == (hashed[i] >= "8") for i, char in enumerate(body) if char.isalpha())


def valid_address(text: str) -> bool:
    plain = folded(text)
    if plain[:2] in ("0x", "0X"):
        return eip55(plain)
    if plain[0] == "r":
        payload = base58check(plain, RIPPLE58)
        return payload is not None and payload[:1] == b"\x00" and len(payload) == 1 + HASH_BYTES
    payload = base58check(plain)
    if payload is not None and payload[:-HASH_BYTES] in VERSIONS:
        return True
    return bech32(plain)


_58: Final = "[1-9A-HJ-NP-Za-km-z]"
_32: Final = "[02-9ac-hj-np-z]"

CRYPTO_ADDRESS: Final = Detector(
    "crypto_address",
    "Addresses with a right checksum: Bitcoin, Litecoin, Dogecoin, Dash, Tron, transparent Zcash (base58check), XRP, "
    "bech32 (Bitcoin, Litecoin, Cardano, Cosmos), Ethereum (`0x` and 40 hex digits; the checksum where case is mixed).",
    (
        f"{START}[1-37ADLMTXmn]{_58}{{25,34}}{END}",
        f"{START}t[13]{_58}{{33}}{END}",
        f"{START}r{_58}{{24,34}}{END}",
        f"{START}(?:bc|tb|ltc|addr|stake|cosmos)1{_32}{{38,98}}{END}",
        f"{START}(?:BC|TB|LTC)1[02-9AC-HJ-NP-Z]{{38,87}}{END}",
        f"{START}0[xX][0-9A-Fa-f]{{40}}{END}",
    ),
    valid_address,
)
