"""OpenAI Chat Completions, provider side: the counts of a usage object, in one meaning whatever a server's habit.

Input includes what came from a cache, output includes reasoning.
"""

from __future__ import annotations

from typing import Any

from headgate.dialects.fields import are_counts, count_of, typed
from headgate.events import Usage


def usage_of(chunk: dict[str, Any]) -> dict[str, Any] | None:
    """A chunk's usage object; Groq gives it inside an object of its own, Moonshot in the last choice."""
    usage = chunk.get("usage")
    if usage is None:
        groq = chunk.get("x_groq")
        usage = groq.get("usage") if isinstance(groq, dict) else None
    if usage is None:
        choices = chunk.get("choices")
        last = choices[-1] if type(choices) is list and choices else None
        usage = last.get("usage") if isinstance(last, dict) else None
    return None if usage is None else typed(usage, dict, "usage")


def read_usage(usage: dict[str, Any]) -> Usage | None:
    """The counts of a usage object; None if input and output are missing, or one of them is no count."""
    if not are_counts([usage.get("prompt_tokens"), usage.get("completion_tokens")]):
        return None
    given, output = count_of(usage.get("prompt_tokens")), count_of(usage.get("completion_tokens"))
    cached = _detail(usage, "prompt_tokens_details", "cached_tokens") or _elsewhere(usage)
    reasoning = _detail(usage, "completion_tokens_details", "reasoning_tokens")
    beyond = count_of(usage.get("total_tokens")) - given - output
    # xAI and Gemini's endpoint count reasoning in the total alone; the latter may not even name it.
    if given and beyond > 0 and (reasoning == beyond or (not reasoning and cached != beyond)):
        output, reasoning = output + beyond, beyond
    return Usage(given, output, cached_tokens=cached, reasoning_tokens=reasoning, provider=usage)


def _elsewhere(usage: dict[str, Any]) -> int:
    """Cached tokens where DeepSeek and Moonshot have them."""
    return count_of(usage.get("prompt_cache_hit_tokens")) or count_of(usage.get("cached_tokens"))


def _detail(usage: dict[str, Any], group: str, field: str) -> int:
    details = usage.get(group)
    return count_of(details.get(field)) if isinstance(details, dict) else 0
