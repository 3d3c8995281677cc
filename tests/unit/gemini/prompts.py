"""Requests of Gemini read into prompts, and prompts written."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from headgate.dialects.gemini import GEMINI
from headgate.prompt import (
    Message,
    Prompt,
    Role,
    Text,
)
from headgate.request import CreateRequest

HI: Final = {"role": "user", "parts": [{"text": "Hi"}]}
SAID: Final = Message(Role.USER, (Text("Hi"),))


def read(**body: Any) -> Prompt:
    return GEMINI.read_prompt(CreateRequest("gemini", "m", {"contents": [HI]} | body))


def bare(prompt: Prompt) -> Any:
    """Without what says where things stood."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(item) for key, item in value.items() if key not in ("at", "places", "unplaced")}
        return [strip(item) for item in value] if isinstance(value, list | tuple) else value

    return strip(msgspec.to_builtins(prompt))


def write(prompt: Prompt, model: str = "m") -> tuple[Any, tuple[str, ...]]:
    written = GEMINI.write_prompt(prompt, model=model, stream=False)
    return json.loads(written.request.body), written.unsupported
