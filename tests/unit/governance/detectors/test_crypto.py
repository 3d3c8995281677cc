"""Addresses of cryptocurrencies, and the hash behind those of Ethereum."""

from __future__ import annotations

from hashlib import sha3_256

import pytest

from headgate.governance.detectors.crypto import bech32
from headgate.governance.detectors.keccak import RATE, keccak256, sponge
from tests.unit.governance.detectors.found import found

ADDRESSES = [
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
    "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh",
    "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
    # The examples of EIP-55
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    "0x52908400098527886e0f7030069857d2e4169ee7",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_address_is_found_and_with_one_wrong_character_it_is_not(address: str) -> None:
    assert found("crypto_address", f"send to {address}.") == [address]
    wrong = address[:-1] + ("2" if address[-1] != "2" else "3")
    expected = [wrong] if address.islower() and address.startswith("0x") else []
    assert found("crypto_address", f"send to {wrong}.") == expected


@pytest.mark.parametrize(
    "text",
    [
        "0x0000000000000000000000000000000000000000",
        "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed00",
        "hash 0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
        "x1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        "12345678901234567890123456789012",
    ],
)
def test_what_only_looks_like_an_address_is_left_alone(text: str) -> None:
    assert found("crypto_address", text) == []


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        # BIP-173 and BIP-350, test vectors
        ("A12UEL5L", True),
        ("an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs", True),
        ("abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", True),
        ("abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx", True),
        ("a12uEL5L", False),
        ("A1G7SGD8", False),
    ],
)
def test_bech32_agrees_with_its_test_vectors(text: str, valid: bool) -> None:
    assert bech32(text) is valid


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (
            b"The quick brown fox jumps over the lazy dog",
            "4d741b6f1eb29cb2a9b9911c82f56fa8d73b04959d3d9d222895df6c0b28aa15",
        ),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
    ],
)
def test_keccak_agrees_with_known_digests(data: bytes, digest: str) -> None:
    assert keccak256(data).hex() == digest


def test_keccak_is_sha3_but_for_its_padding() -> None:
    for length in (0, 1, RATE - 2, RATE - 1, RATE, RATE + 1, 3 * RATE, 500):
        data = bytes(at % 251 for at in range(length))
        assert sponge(data, padding=0x06) == sha3_256(data).digest()
