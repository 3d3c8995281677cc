"""A Merkle tree over a list that only grows: roots, and proofs that a row is in it and that nothing before was changed.

Hashes are those of RFC 6962, section 2.1 (leaf 0x00, node 0x01); proofs are made and checked as in RFC 9162, section 2.1.
Nothing here holds the rows. A growing tree is its frontier, one hash per power of two; a proof of an old row is made of
roots of complete subtrees, which whoever keeps the rows keeps as well: those of 256, 256 ** 2, ... rows (*tiles*).

Invariant: whatever is made from tiles equals what the recursive definition makes of all leaves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

TILE_BITS: Final = 8
"""A tile is the root of 256 nodes of the level below: a proof then reads some hundred hashes, whatever the size."""
HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

_sha256 = hashlib.sha256


def leaf_hash(data: bytes) -> bytes:
    return _sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return _sha256(b"\x01" + left + right).digest()


class Tile(NamedTuple):
    """Root of a complete subtree: number `idx` (from 0) of ``256 ** level`` leaves."""

    level: int
    idx: int
    hash: bytes


class Span(NamedTuple):
    """`width` neighbours among the tiles of a level (0: the leaves), from `first` on, that are one complete subtree."""

    level: int
    first: int
    width: int


class Tree:
    """The tree as it grows."""

    __slots__ = ("_frontier", "size")

    def __init__(self, size: int = 0, frontier: Sequence[bytes] = ()) -> None:
        """Go on at `size`; `frontier` are the roots of its complete subtrees, the largest first (`peaks`)."""
        if size.bit_count() != len(frontier):
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} peaks, not {len(frontier)}")
        self.size = size
        self._frontier = list(frontier)

    def append(self, leaf: bytes) -> Sequence[Tile]:
        """Add a leaf hash; the tiles that are complete with it."""
        tiles: Sequence[Tile] = ()
        node, index, level = leaf, self.size, 0
        self.size += 1
        while index & 1:
            node = _sha256(b"\x01" + self._frontier.pop() + node).digest()
            index >>= 1
            level += 1
            if not level % TILE_BITS:
                tiles = (*tiles, Tile(level // TILE_BITS, index, node))
        self._frontier.append(node)
        return tiles

    def root(self) -> bytes:
        return join(self._frontier)

    def copy(self) -> Tree:
        return Tree(self.size, self._frontier)


def join(peaks: Sequence[bytes]) -> bytes:
    """The root over complete subtrees of falling size."""
    if not peaks:
        return EMPTY_ROOT
    *others, node = peaks
    for peak in reversed(others):
        node = node_hash(peak, node)
    return node


def complete(nodes: Sequence[bytes]) -> bytes:
    """The root of a complete subtree, from a power of two of its nodes of one level."""
    while len(nodes) > 1:
        nodes = [node_hash(nodes[at], nodes[at + 1]) for at in range(0, len(nodes), 2)]
    return nodes[0]


def spans(begin: int, end: int) -> list[Span]:
    """The complete subtrees of the leaves ``[begin, end)`` of a subtree, in order; where to find each."""
    found = []
    while begin < end:
        height = (end - begin).bit_length() - 1
        if begin:
            height = min(height, (begin & -begin).bit_length() - 1)
        level, rest = divmod(height, TILE_BITS)
        found.append(Span(level, begin >> (level * TILE_BITS), 1 << rest))
        begin += 1 << height
    return found


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """The subtrees whose roots prove leaf `index` (from 0) in a tree of `size`, the lowest first (RFC 9162, 2.1.3.1)."""
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} in a tree of {size}")
    ranges, begin, end = [], 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    return ranges[::-1]


def consistency_ranges(old: int, size: int) -> list[tuple[int, int]]:
    """The subtrees whose roots prove that a tree of `size` begins with that of `old` (RFC 9162, 2.1.4.1)."""
    if not 0 < old <= size:
        raise ValueError(f"a tree of {size} has no part of {old} to prove")
    ranges, begin, end, whole = [], 0, size, True
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin, whole = middle, False
    if not whole:
        ranges.append((begin, end))
    return ranges[::-1]


def root_of_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """The root that an inclusion proof leads to, None if it cannot be one of this size (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return None
    node, at, last = leaf, index, size - 1
    for sibling in proof:
        if not last:
            return None
        if at & 1 or at == last:
            node = node_hash(sibling, node)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        at, last = at >> 1, last >> 1
    return node if not last else None


def is_consistent(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a proof shows that the tree with `root` begins with the one of `old_root` (RFC 9162, 2.1.4.2)."""
    if old == size:
        return not proof and old_root == root
    if not 0 < old < size or not proof:
        return False
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = after = path[0]
    for sibling in path[1:]:
        if not last:
            return False
        if at & 1 or at == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            after = node_hash(after, sibling)
        at, last = at >> 1, last >> 1
    return not last and (before, after) == (old_root, root)


def _split(size: int) -> int:
    """The largest power of two below `size`: where a tree has its left half end."""
    return 1 << ((size - 1).bit_length() - 1)
