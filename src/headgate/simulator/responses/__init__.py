"""OpenAI Responses: its request, and a writer of plans. Its errors are those of Chat Completions."""

from headgate.simulator.responses.request import read, read_compacted
from headgate.simulator.responses.writer import ResponsesWriter

__all__ = ["ResponsesWriter", "read", "read_compacted"]
