"""Headgate: a delivery gateway for LLM responses. A response is a log; everything else reads it."""

__version__ = "0.1.0"
