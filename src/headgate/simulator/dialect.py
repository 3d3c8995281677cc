"""The wire formats a simulator speaks, all on one socket; the path of a request says which."""

from __future__ import annotations

from enum import StrEnum


class Dialect(StrEnum):
    """The closed set of dialects; the values are the names by which the gateway's configuration knows them."""

    CHAT = "openai-chat"
    RESPONSES = "openai-responses"
    MESSAGES = "anthropic-messages"
    GEMINI = "gemini"
