"""The tree is that of RFC 6962: known roots, known proofs, and the recursive definition, written here once more."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest

from headgate.merkle import (
    EMPTY_ROOT,
    Span,
    Tile,
    Tree,
    complete,
    consistency_ranges,
    inclusion_ranges,
    is_consistent,
    join,
    leaf_hash,
    root_of_inclusion,
    spans,
)

LEAVES = [bytes.fromhex(data) for data in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
LEAVES.append(bytes.fromhex("606162636465666768696a6b6c6d6e6f"))
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
"""Roots of the first 1 to 8 of `LEAVES`: the tree that implementations of Certificate Transparency are tested with."""


def recursive_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + recursive_root(leaves[:k]) + recursive_root(leaves[k:])).digest()


def grown(leaves: Sequence[bytes]) -> Tree:
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf_hash(leaf))
    return tree


def roots_of(leaves: Sequence[bytes], ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    return [recursive_root(leaves[begin:end]) for begin, end in ranges]


def test_roots_of_the_known_tree() -> None:
    assert grown([]).root() == EMPTY_ROOT == recursive_root([])
    for size, known in enumerate(ROOTS, 1):
        assert grown(LEAVES[:size]).root().hex() == known
        assert recursive_root(LEAVES[:size]).hex() == known


def test_inclusion_proofs_of_the_known_tree() -> None:
    """Paths of the same test data: leaf 0 of 8, leaf 5 of 8, leaf 2 of 3, leaf 1 of 5."""
    known = {
        (0, 8): ["96a296d2", "5f083f0a", "6b47aaf2"],
        (5, 8): ["bc1a0643", "ca854ea1", "d37ee418"],
        (2, 3): ["fac54203"],
        (1, 5): ["6e340b9c", "5f083f0a", "bc1a0643"],
    }
    for (index, size), beginnings in known.items():
        proof = roots_of(LEAVES, inclusion_ranges(index, size))
        assert [node.hex()[:8] for node in proof] == beginnings
        assert root_of_inclusion(leaf_hash(LEAVES[index]), index, size, proof) == bytes.fromhex(ROOTS[size - 1])


def test_consistency_proofs_of_the_known_tree() -> None:
    known = {
        (1, 1): [],
        (1, 8): ["96a296d2", "5f083f0a", "6b47aaf2"],
        (6, 8): ["0ebc5d34", "ca854ea1", "d37ee418"],
        (2, 5): ["5f083f0a", "bc1a0643"],
    }
    for (old, size), beginnings in known.items():
        proof = roots_of(LEAVES, consistency_ranges(old, size))
        assert [node.hex()[:8] for node in proof] == beginnings
        assert is_consistent(old, bytes.fromhex(ROOTS[old - 1]), size, bytes.fromhex(ROOTS[size - 1]), proof)


def test_proof_with_any_part_of_it_changed_proves_nothing() -> None:
    size, root = 7, bytes.fromhex(ROOTS[6])
    for index in range(size):
        leaf, proof = leaf_hash(LEAVES[index]), roots_of(LEAVES, inclusion_ranges(index, size))
        assert root_of_inclusion(leaf, index, size, proof) == root
        broken = [proof[:-1], [*proof, proof[-1]], proof[::-1] if len(proof) > 1 else [], [b"\x00" * 32, *proof[1:]]]
        assert all(root_of_inclusion(leaf, index, size, wrong) != root for wrong in broken)
        others = [other for other in range(-1, size + 2) if other != index]
        assert all(root_of_inclusion(leaf, other, size, proof) != root for other in others)


def test_consistency_with_a_history_that_was_not_is_refused() -> None:
    changed = [*LEAVES[:2], b"other", *LEAVES[3:]]
    for old in range(1, 8):
        proof = roots_of(LEAVES, consistency_ranges(old, 8))
        root = recursive_root(LEAVES)
        assert is_consistent(old, recursive_root(LEAVES[:old]), 8, root, proof)
        assert not is_consistent(old, recursive_root(changed[:old]), 8, root, proof) or old < 3
        assert not is_consistent(old, recursive_root(LEAVES[:old]), 8, recursive_root(changed), proof)
        assert not is_consistent(old, recursive_root(LEAVES[:old]), 8, root, [*proof, root])
        assert not is_consistent(old, recursive_root(LEAVES[:old]), 8, root, proof[:-1])
    assert not is_consistent(0, EMPTY_ROOT, 8, recursive_root(LEAVES), [])
    assert not is_consistent(9, EMPTY_ROOT, 8, recursive_root(LEAVES), [])


def test_tiles_come_with_the_leaf_that_completes_them() -> None:
    leaves = [leaf_hash(n.to_bytes(4, "big")) for n in range(65_536)]
    tree = Tree()
    tiles: list[Tile] = []
    for size, leaf in enumerate(leaves, 1):
        made = tree.append(leaf)
        assert bool(made) == (size % 256 == 0)
        tiles += made
    assert [(tile.level, tile.idx) for tile in tiles] == [(1, index) for index in range(256)] + [(2, 0)]
    assert tiles[3] == Tile(1, 3, complete(leaves[768:1024]))
    assert tiles[-1].hash == complete([tile.hash for tile in tiles[:-1]]) == tree.root()


def test_a_proof_of_a_million_rows_reads_some_hundred_hashes() -> None:
    for index in (0, 1, 123_456, 999_999):
        asked = [span for begin, end in inclusion_ranges(index, 1_000_000) for span in spans(begin, end)]
        assert sum(span.width for span in asked) < 700
    assert spans(0, 1_000_000)[:2] == [Span(2, 0, 8), Span(2, 8, 4)]
    assert spans(0, 0) == []


def test_tree_goes_on_where_its_peaks_say_it_stopped() -> None:
    leaves = [leaf_hash(bytes([n])) for n in range(50)]
    whole = Tree()
    for leaf in leaves:
        whole.append(leaf)
    peaks = [complete(leaves[span.first : span.first + span.width]) for span in spans(0, 37)]
    tree = Tree(37, peaks)
    branch = tree.copy()
    for leaf in leaves[37:]:
        tree.append(leaf)
    assert tree.root() == whole.root()
    assert branch.root() == join(peaks), "a copy stays where it was"
    with pytest.raises(ValueError, match="peaks"):
        Tree(37, peaks[1:])


def test_proofs_nobody_can_make_are_refused() -> None:
    for index, size in ((0, 0), (3, 3), (-1, 3)):
        with pytest.raises(ValueError, match="no leaf"):
            inclusion_ranges(index, size)
    for old, size in ((0, 3), (4, 3)):
        with pytest.raises(ValueError, match="no part"):
            consistency_ranges(old, size)
