"""The shape of everything between two sockets.

    provider bytes -> SSE frames -> events -> governed events -> committed log -> readers -> client bytes

Each arrow inside the process is a stage. Stages never await, never look at a clock and never raise on what a peer
sent: a bad peer becomes a value (`errors.Failure`) that ends the log.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

In_contra = TypeVar("In_contra", contravariant=True)
Out = TypeVar("Out")


class Stage(Protocol[In_contra, Out]):
    """Items in, items out; after `finish` nothing is fed any more."""

    def feed(self, item: In_contra, /) -> list[Out]: ...

    def finish(self) -> list[Out]: ...
