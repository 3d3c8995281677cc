"""Anthropic Messages: its request, its errors and models, and a writer of plans."""

from headgate.simulator.messages.errors import error
from headgate.simulator.messages.models import model, models
from headgate.simulator.messages.request import read, read_counted
from headgate.simulator.messages.writer import MessagesWriter

__all__ = ["MessagesWriter", "error", "model", "models", "read", "read_counted"]
