"""What is known of models by their names: how much they take, how much they give, how they count.

The table is ``models.json`` beside this module; the configuration's ``[[models]]`` come before it. A model in neither
has no known limit, and nothing is ever refused for it. Data, not policy: what follows from it is decided in `context`.
"""

from __future__ import annotations

import fnmatch
import functools
import importlib.resources
from collections.abc import Iterable
from typing import Final

import msgspec

NAMES_MAX: Final = 1024
"""Model names whose limits are remembered; clients choose the names."""


class Limits(msgspec.Struct, frozen=True):
    """Limits of the models whose names match. None is unknown."""

    match: str
    """Glob on the name at the provider: lower case, without what stands before its last slash."""
    context_tokens: int | None = None
    """Most tokens of input; with `shared`, of input and the output asked for together."""
    output_tokens_max: int | None = None
    """Most tokens of output that can be asked for."""
    shared: bool = False
    """Whether the provider refuses a request whose input and asked output together are over the context."""
    encoding: str = ""
    """The vocabulary its tokens are counted with, as OpenAI's tiktoken calls it; empty where it is not public."""
    family: str = ""
    """Whose rules of counting images and files hold: ``openai``, ``anthropic``, ``gemini``, ``mistral``."""


class _Table(msgspec.Struct):
    about: str
    as_of: str
    sources: str
    models: tuple[Limits, ...]


UNKNOWN: Final = Limits("*")


def limits(model: str, own: Iterable[Limits] = ()) -> Limits:
    """Limits of a model by its name at the provider. What `own` (the configuration) says goes before the table.

    A limit of 0 in `own` is none, so that nothing is refused.
    """
    name = _plain(model)
    known = _known(name)
    for entry in own:
        if fnmatch.fnmatchcase(model, entry.match) or fnmatch.fnmatchcase(name, entry.match):
            context = known.context_tokens if entry.context_tokens is None else entry.context_tokens or None
            output = known.output_tokens_max if entry.output_tokens_max is None else entry.output_tokens_max or None
            return msgspec.structs.replace(known, context_tokens=context, output_tokens_max=output)
    return known


def _plain(model: str) -> str:
    """``openai/GPT-4o``, ``models/gemini-2.5-pro``, ``ft:gpt-4o:acme::x`` without what is not the model's name."""
    return model.lower().removeprefix("ft:").rpartition("/")[2]


@functools.lru_cache(maxsize=NAMES_MAX)
def _known(name: str) -> Limits:
    return next((entry for entry in table() if fnmatch.fnmatchcase(name, entry.match)), UNKNOWN)


@functools.cache
def table() -> tuple[Limits, ...]:
    """All of ``models.json``, read once."""
    data = importlib.resources.files("headgate").joinpath("models.json").read_bytes()
    return msgspec.json.decode(data, type=_Table).models
