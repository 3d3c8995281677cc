"""Google's Gemini API: its request, its errors and models, and a writer of plans."""

from headgate.simulator.gemini.errors import error
from headgate.simulator.gemini.models import model, models
from headgate.simulator.gemini.request import read, read_counted
from headgate.simulator.gemini.writer import GeminiWriter

__all__ = ["GeminiWriter", "error", "model", "models", "read", "read_counted"]
