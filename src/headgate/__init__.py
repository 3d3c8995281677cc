"""Headgate: a delivery gateway for LLM responses. A response is a log; everything else reads it."""

from headgate import compiled

__version__ = "0.1.0"

INTERPRETED = compiled.enable()
"""Why the hot modules are interpreted; None where they are compiled."""
