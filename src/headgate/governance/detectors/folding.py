"""How a check reads a match: as the engine compared it."""

from __future__ import annotations

from headgate.governance.matching.folding import ZERO_WIDTH, fold


def folded(text: str) -> str:
    """`text` without characters that cannot be seen, each of the others in its plain form."""
    return text if text.isascii() else "".join(fold(char) for char in text if char not in ZERO_WIDTH)
