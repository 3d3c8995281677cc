"""Keccak-256 as Ethereum uses it: the sponge of SHA-3 with the padding it had before it was standardised.

The standard library only has SHA-3, whose padding differs. Addresses are 40 bytes, so this need not be fast.
"""

from __future__ import annotations

from typing import Final

RATE: Final = 136
"""Bytes taken in at a time: 200 less twice the 32 of the digest."""
_LANE: Final = (1 << 64) - 1


def _round_constants() -> tuple[int, ...]:
    """From the shift register of the specification (Keccak reference 3.0, section 1.2)."""
    register, constants = 1, []
    for _ in range(24):
        constant = 0
        for power in range(7):
            if register & 1:
                constant |= 1 << ((1 << power) - 1)
            register = (register << 1) ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    return tuple(constants)


ROUND_CONSTANTS: Final = _round_constants()


def _turn(lane: int, count: int) -> int:
    count %= 64
    return ((lane << count) | (lane >> (64 - count))) & _LANE


def _permute(lanes: list[int]) -> list[int]:
    """Keccak-f[1600]; the lane at (x, y) is `lanes[x + 5 * y]`."""
    for constant in ROUND_CONSTANTS:
        columns = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
        lanes = [lane ^ columns[(i - 1) % 5] ^ _turn(columns[(i + 1) % 5], 1) for i, lane in enumerate(lanes)]
        moved = lanes[:]
        x, y = 1, 0
        for step in range(24):
            source = lanes[x + 5 * y]
            x, y = y, (2 * x + 3 * y) % 5
            moved[x + 5 * y] = _turn(source, (step + 1) * (step + 2) // 2)
        lanes = [
            moved[i] ^ (~moved[(i + 1) % 5 + i - i % 5] & moved[(i + 2) % 5 + i - i % 5] & _LANE) for i in range(25)
        ]
        lanes[0] ^= constant
    return lanes


def keccak256(data: bytes) -> bytes:
    """The digest of `data`, 32 bytes."""
    return sponge(data, padding=0x01)


def sponge(data: bytes, *, padding: int) -> bytes:
    """32 bytes out of any number. With 6 for the padding this is SHA3-256."""
    padded = bytearray(data) + bytes(RATE - len(data) % RATE)
    padded[len(data)] |= padding
    padded[-1] |= 0x80
    lanes = [0] * 25
    for start in range(0, len(padded), RATE):
        for i in range(RATE // 8):
            lanes[i] ^= int.from_bytes(padded[start + 8 * i : start + 8 * i + 8], "little")
        lanes = _permute(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])
