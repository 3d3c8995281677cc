"""Fields of a request that ask for answers no rule can judge: text cut into tokens of the provider's, sound, pictures.

Under any policy but ``none`` they are refused, or left out where the route allows that. What a provider sends unasked
is not this module's business: the stream gate lets nothing of it through.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from headgate.places import Location, dotted

_GEMINI_CONFIG: Final = ("generationConfig", "generation_config")


def unjudgeable(dialect: str, body: dict[str, Any]) -> list[str]:
    """Locations of such fields in a body of this client dialect, as errors name them."""
    return [dotted(path) for path in _found(dialect, body)]


def without_unjudgeable(dialect: str, body: dict[str, Any]) -> dict[str, Any]:
    """The body without them. What is left is shared with `body`."""
    for path in reversed(list(_found(dialect, body))):  # from behind: positions in lists stay what they were
        body = _without(body, path)
    return body


def _found(dialect: str, body: dict[str, Any]) -> Iterator[Location]:
    match dialect:
        case "openai-chat":
            yield from _chat(body)
        case "openai-responses":
            yield from _responses(body)
        case "gemini":
            for name in _GEMINI_CONFIG:
                if isinstance(config := body.get(name), dict):
                    yield from ((name, *path) for path in _gemini(config))


def _chat(body: dict[str, Any]) -> Iterator[Location]:
    for name in ("logprobs", "top_logprobs", "audio"):
        if body.get(name):
            yield (name,)
    yield from _modalities(body, "modalities")


def _responses(body: dict[str, Any]) -> Iterator[Location]:
    if body.get("top_logprobs"):
        yield ("top_logprobs",)
    included = body.get("include")
    for index, name in enumerate(included if isinstance(included, list) else []):
        if isinstance(name, str) and name.endswith(".logprobs"):
            yield "include", index
    yield from _modalities(body, "modalities")


def _gemini(config: dict[str, Any]) -> Iterator[Location]:
    for name in ("responseLogprobs", "response_logprobs", "logprobs", "speechConfig", "speech_config"):
        if config.get(name):
            yield (name,)
    yield from _modalities(config, "responseModalities")
    yield from _modalities(config, "response_modalities")


def _modalities(fields: dict[str, Any], name: str) -> Iterator[Location]:
    """Everything but text; the whole field where nothing else is asked for."""
    given = fields.get(name)
    if not isinstance(given, list):
        return
    others = [index for index, kind in enumerate(given) if str(kind).lower() != "text"]
    if others and len(others) == len(given):
        yield (name,)
    else:
        yield from ((name, index) for index in others)


def _without(value: Any, path: Location) -> Any:
    step, *rest = path
    if isinstance(value, list):
        items = list(value)
        if rest:
            items[int(step)] = _without(items[int(step)], tuple(rest))
        else:
            del items[int(step)]
        return items
    if rest:
        return {**value, step: _without(value[step], tuple(rest))}
    return {key: item for key, item in value.items() if key != step}
