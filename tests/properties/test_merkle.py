"""Whatever the tree's size: what is made from the frontier and from tiles is what the definition makes of all leaves."""

from __future__ import annotations

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.merkle import (
    TILE_BITS,
    Tree,
    complete,
    consistency_ranges,
    inclusion_ranges,
    is_consistent,
    join,
    leaf_hash,
    node_hash,
    root_of_inclusion,
    spans,
)
from tests.soak import share

LEAVES_MAX = 3_000
LEAVES = [leaf_hash(n.to_bytes(2, "big")) for n in range(LEAVES_MAX)]
TILES = {tile[:2]: tile.hash for tree in [Tree()] for leaf in LEAVES for tile in tree.append(leaf)}

sizes = st.integers(1, LEAVES_MAX)


@cache
def root(begin: int, end: int) -> bytes:
    """The recursive definition, of a range of `LEAVES`."""
    if end - begin == 1:
        return LEAVES[begin]
    k = 1
    while k * 2 < end - begin:
        k *= 2
    return node_hash(root(begin, begin + k), root(begin + k, end))


def from_tiles(begin: int, end: int) -> bytes:
    """The same, as the shell makes it of what a store keeps."""
    peaks = []
    for level, first, count in spans(begin, end):
        indices = range(first, first + count)
        peaks.append(complete([TILES[level, index] if level else LEAVES[index] for index in indices]))
    return join(peaks)


@settings(max_examples=share(20_000), deadline=None)
@given(sizes)
def test_frontier_and_tiles_make_the_root_of_the_definition(size: int) -> None:
    tree = Tree()
    for leaf in LEAVES[:size]:
        tree.append(leaf)
    assert tree.root() == root(0, size) == from_tiles(0, size)


@settings(max_examples=share(20_000), deadline=None)
@given(sizes, st.data())
def test_every_leaf_is_proved_and_no_other_is(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = [from_tiles(*r) for r in inclusion_ranges(index, size)]
    assert proof == [root(*r) for r in inclusion_ranges(index, size)]
    assert len(proof) <= size.bit_length()
    assert root_of_inclusion(LEAVES[index], index, size, proof) == root(0, size)
    other = data.draw(st.integers(0, LEAVES_MAX - 1).filter(lambda n: n != index))
    assert root_of_inclusion(LEAVES[other], index, size, proof) != root(0, size)
    if other < size:
        assert root_of_inclusion(LEAVES[index], other, size, proof) != root(0, size)


@settings(max_examples=share(20_000), deadline=None)
@given(sizes, st.data())
def test_every_prefix_is_proved_and_no_other_history_is(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size))
    proof = [from_tiles(*r) for r in consistency_ranges(old, size)]
    assert is_consistent(old, root(0, old), size, root(0, size), proof)
    assert not is_consistent(old, leaf_hash(b"forged"), size, root(0, size), proof)
    assert not is_consistent(old, root(0, old), size, leaf_hash(b"forged"), proof)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        assert not is_consistent(old, root(0, old), size, root(0, size), [*proof[:at], bytes(32), *proof[at + 1 :]])


@settings(max_examples=share(5_000), deadline=None)
@given(st.integers(0, 5_000), st.integers(0, 5_000), st.lists(st.binary(min_size=32, max_size=32), max_size=20))
def test_garbage_is_no_proof_and_no_exception(old: int, size: int, proof: list[bytes]) -> None:
    assert root_of_inclusion(LEAVES[0], old, size, proof) != root(0, 7)
    assert not is_consistent(old, root(0, 7), size, root(0, 9), proof)


def test_tiles_are_of_the_size_the_store_keeps() -> None:
    assert {level for level, _ in TILES} == {1}
    assert len(TILES) == LEAVES_MAX >> TILE_BITS
