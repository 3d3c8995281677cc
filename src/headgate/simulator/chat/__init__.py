"""OpenAI Chat Completions: its request, its errors, and a writer of plans."""

from headgate.simulator.chat.errors import error
from headgate.simulator.chat.request import read
from headgate.simulator.chat.writer import ChatWriter

__all__ = ["ChatWriter", "error", "read"]
