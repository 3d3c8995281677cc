"""What one gate hands to the next: the text of a part as a whole, as it is governed by then. A value."""

from __future__ import annotations

from typing import NamedTuple

from headgate.events import PartKind


class PartText(NamedTuple):
    """The whole text of one part."""

    choice: int
    part: int
    kind: PartKind
    text: str
