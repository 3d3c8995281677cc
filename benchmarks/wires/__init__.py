"""The dialects as the benchmark speaks them, both ends: a client's requests and checks, a provider's frames.

They were written from what providers send and official SDKs read, without Headgate's own dialects: a mistake that both
made would not be noticed. Frames are as large as real ones and have their habits: ``event:`` lines, sequence numbers,
padding, usage that grows.
"""

from __future__ import annotations

from typing import Final

from benchmarks.wire import Wire
from benchmarks.wires.anthropic_messages import AnthropicMessages
from benchmarks.wires.gemini import Gemini
from benchmarks.wires.openai_chat import OpenAIChat
from benchmarks.wires.openai_responses import OpenAIResponses

_SPOKEN: Final[tuple[Wire, ...]] = (OpenAIChat(), OpenAIResponses(), AnthropicMessages(), Gemini())
WIRES: Final = {wire.name: wire for wire in _SPOKEN}
"""Every dialect by name."""
