"""The audit log: one row per response that ended, and per change of what governs them, in a Merkle tree that is signed.

    chain          `Audit`: gives rows their places, keeps the tree, signs checkpoints, proves receipts
    signing        the key
    checkpoints    the signed statements
    source         a log that is read from outside: a store's file, or an export
    verify         whether such a log is what it says it is
    proof          whether a text is what a receipt says was delivered

A row is written in the same commit as the end of the response it speaks of, so neither is ever there without the other.
Nothing here is on the way of a token, and signing is on no commit's way.

Invariant: only what is committed is signed. A checkpoint over rows that a failed commit lost would speak, for ever,
against a log that nobody had touched.
"""

from headgate.audit.chain import DAMAGED, Audit, Note

__all__ = ["DAMAGED", "Audit", "Note"]
