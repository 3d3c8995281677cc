"""How much a run does: a share on every `make test`, the full figures under ``HEADGATE_SOAK=1`` (`make soak`).

Write the full figure where it is used, as ``share(100_000)``, so that one line says both. A test that makes no sense
as a share is marked ``@pytest.mark.soak`` and left out of ordinary runs.
"""

from __future__ import annotations

import os
from typing import Final

PART_OF: Final = 100
"""An ordinary run does a hundredth."""

LEAST: Final = 10
"""But never fewer than this: a property tried three times is not tried."""


def soaking() -> bool:
    """Whether this run does the full figures."""
    return os.environ.get("HEADGATE_SOAK") == "1"


def share(full: int) -> int:
    """`full` under soak, else its share for an ordinary run."""
    if soaking():
        return full
    return max(full // PART_OF, min(full, LEAST))
