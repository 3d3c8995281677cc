"""What can be set about a simulator; read by nobody but those it is handed to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

RATE_MAX: Final = 100_000.0
"""Tokens per second above which pacing means nothing; 0 floods."""
TTFT_MS_MAX: Final = 3_600_000.0


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """The knobs that requests do not set themselves."""

    default_model: str = "sim"
    """Model of a request that names none."""
    rate: float = 60.0
    """Tokens per second and choice of every model that does not set its own; 0 floods."""
    ttft_ms: float = 200.0
    """Milliseconds to the first token, likewise."""
    models: Mapping[str, str] = field(default_factory=dict)
    """More model names, each with what it stands for, such as ``{"flaky": "sim-fast+cut@20"}``."""
