"""Models as ``GET /v1/models`` of Anthropic lists them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

MAX_TOKENS: Final = 100_000
_CREATED: Final = "2026-02-02T02:40:00Z"


def model(name: str) -> dict[str, Any]:
    """One model."""
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": _CREATED,
        "lifecycle": "active",
        "max_input_tokens": MAX_TOKENS,
        "max_tokens": MAX_TOKENS,
    }


def models(names: Sequence[str]) -> dict[str, Any]:
    """All of them, on one page."""
    data = [model(name) for name in names]
    return {"data": data, "has_more": False, "first_id": names[0], "last_id": names[-1]}
