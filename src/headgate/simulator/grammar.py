"""The grammar of model names: ``sim(-part)*(+fault(@number)?)*``.

A part is a variant (``fast``, ``tools``) or a knob (``t200``); order does not matter, and of two that say the same
thing the last counts. ``sim-t200-r50-f100+cut@20`` is 200 tokens at 50 a second, the first after 100 ms, cut after 20.
The header ``X-Simulate: r50,cut@20`` says the same for any model: knobs and faults, with commas between.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from headgate.errors import RequestError
from headgate.simulator.config import RATE_MAX, TTFT_MS_MAX, SimulatorConfig
from headgate.simulator.faults import Argument
from headgate.simulator.registry import TABLE, Fault, named

TOKENS_MAX: Final = 100_000
"""Tokens of one choice: some 2 MB of memory while it streams."""
SECONDS_MAX: Final = 3600.0


class Content(StrEnum):
    """What an answer is made of."""

    PROSE = "prose"
    UNICODE = "unicode"
    MARKDOWN = "markdown"
    JSON = "json"
    TOOLS = "tools"
    REFUSAL = "refusal"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a model name and the header ``X-Simulate`` ask for."""

    rate: float
    """Tokens per second and choice; 0 floods."""
    ttft_ms: float
    content: Content = Content.PROSE
    reasoning: bool = False
    redacted: bool = False
    """Some of the reasoning is there, but not for anybody to read."""
    parallel: bool = False
    """Two tools are called at once, as if the request had asked for it."""
    cached: bool = False
    """Half of the prompt counts as read from a cache."""
    about: int = 120
    """Tokens of an answer that may run on to the end of its sentence."""
    tokens: int | None = None
    """Tokens of an answer, exactly."""
    echo: bool = False
    """Text, reasoning, and arguments if it is a JSON object, are what the user said last, or what that holds after ``base64:``."""
    words: tuple[str, ...] | None = None
    """The tokens of that, once the request is known."""
    faults: tuple[Fault, ...] = ()


VARIANTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "fast": {"rate": 0.0, "ttft_ms": 0.0},
    "slow": {"rate": 8.0, "ttft_ms": 1500.0},
    "long": {"about": 800},
    "reasoning": {"reasoning": True},
    "redacted": {"reasoning": True, "redacted": True},
    "tools": {"content": Content.TOOLS},
    "parallel": {"content": Content.TOOLS, "parallel": True},
    "cached": {"cached": True},
    "refusal": {"content": Content.REFUSAL},
    "echo": {"echo": True},
    "json": {"content": Content.JSON},
    "unicode": {"content": Content.UNICODE},
    "markdown": {"content": Content.MARKDOWN},
}
ROOT: Final = "sim"
NAMES: Final = (ROOT, *(f"{ROOT}-{variant}" for variant in VARIANTS))
_KNOB: Final = re.compile(r"([trf])(\d{1,7}(?:\.\d{1,3})?)", re.ASCII)
_FAULT: Final = re.compile(r"([a-z0-9-]+)(?:@(\d{1,7}(?:\.\d{1,3})?))?", re.ASCII)


def parse(model: str, simulate: str, config: SimulatorConfig) -> Behaviour:
    """What `model` and the value of ``X-Simulate`` ask for.

    Raises `RequestError` ``model_not_found``, whose message lists what there is.
    """
    name, *faults = _resolve(model, config).split("+")
    root, *parts = name.split("-")
    if root != ROOT:
        raise _unknown(model, config)
    behaviour = Behaviour(rate=config.rate, ttft_ms=config.ttft_ms)
    for part in parts:
        behaviour = _vary(behaviour, part) or _turn(behaviour, part) or _fail(model, config, part)
    for fault in faults:
        behaviour = _break(behaviour, fault) or _fail(model, config, fault)
    for item in filter(None, (item.strip() for item in simulate.split(","))):
        behaviour = _turn(behaviour, item) or _break(behaviour, item) or _fail(model, config, item)
    return behaviour


def _resolve(model: str, config: SimulatorConfig) -> str:
    """Replace a configured name; faults may follow it (``flaky+no-usage``)."""
    if model in config.models:
        return config.models[model]
    name, plus, faults = model.partition("+")
    return config.models.get(name, name) + plus + faults


def _vary(behaviour: Behaviour, part: str) -> Behaviour | None:
    return replace(behaviour, **VARIANTS[part]) if part in VARIANTS else None


def _turn(behaviour: Behaviour, part: str) -> Behaviour | None:
    knob = _KNOB.fullmatch(part)
    if knob is None:
        return None
    value = float(knob[2])
    match knob[1]:
        case "t" if value.is_integer() and value <= TOKENS_MAX:
            return replace(behaviour, tokens=int(value))
        case "r" if value <= RATE_MAX:
            return replace(behaviour, rate=value)
        case "f" if value <= TTFT_MS_MAX:
            return replace(behaviour, ttft_ms=value)
        case _:
            return None


def _break(behaviour: Behaviour, item: str) -> Behaviour | None:
    found = _FAULT.fullmatch(item)
    name = named(found[1]) if found else None
    if found is None or name is None:
        return None
    number, spec = found[2], TABLE[name]
    at = spec.default if number is None else float(number)
    match spec.argument:
        case Argument.NONE if number is not None:
            return None
        case Argument.TOKENS if not at.is_integer():
            return None
        case Argument.SECONDS if at > SECONDS_MAX:
            return None
        case _:
            others = tuple(fault for fault in behaviour.faults if fault.name is not name)
            return replace(behaviour, faults=(*others, Fault(name, at)))


def _fail(model: str, config: SimulatorConfig, part: str) -> Behaviour:
    raise _unknown(model, config, part)


def _unknown(model: str, config: SimulatorConfig, part: str = "") -> RequestError:
    because = f" ({part[:60]!r} is neither a knob nor a fault, or its number is out of range)" if part else ""
    faults = (name + ("" if spec.argument is Argument.NONE else "[@N]") for name, spec in TABLE.items())
    return RequestError(
        "model_not_found",
        f"The model {model[:120]!r} does not exist{because}. Models: {', '.join((*NAMES, *config.models))}. "
        "Knobs: -t<tokens>, -r<tokens per second, 0 floods>, -f<ms to the first token>. "
        f"Faults, after a plus: {', '.join(faults)}.",
        param="model",
    )
