"""Models as ``GET /v1beta/models`` lists them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

TOKENS_MAX: Final = 100_000
_METHODS: Final = ("generateContent", "streamGenerateContent", "countTokens")


def model(name: str) -> dict[str, Any]:
    """One model."""
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name,
        "description": "Simulated.",
        "inputTokenLimit": TOKENS_MAX,
        "outputTokenLimit": TOKENS_MAX,
        "supportedGenerationMethods": list(_METHODS),
    }


def models(names: Sequence[str]) -> dict[str, Any]:
    """All of them, on one page."""
    return {"models": [model(name) for name in names]}
