"""Whether a request fits the model's context, and how many tokens it has.

    limits(model)  -> Limits         models: what the model takes
    may_exceed     -> bool           nearly free: most requests have fewer bytes than the limit has tokens
    refusal        -> RequestError   only for what cannot fit
    count          -> Count          for the endpoints that count

Both go by the same `_Material`: the `Prompt`, and with the client's `body` whatever of it no `Prompt` has a place for.

The invariant: a request that might fit is never refused. So everything that is only estimated enters `refusal` with
the least it can be, a model without a known limit takes anything, and where the provider cuts the output down to what
is left, the output that was asked for does not count (`Limits.shared`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from headgate.errors import RequestError
from headgate.leftover import Leftover, described, found
from headgate.models import Limits
from headgate.prompt import Audio, File, Image, Message, Part, Prompt, Reasoning, ToolCall, ToolMode, ToolResult
from headgate.tokens import ENCODINGS, PROXY_MARGIN, counter, estimate_text, tokens_at_least, without_runs

EXACT_CHARS_MAX: Final = 1024 * 1024
"""Text of a request that is counted with a vocabulary before it is refused: 30 ms. More is judged by estimate."""

SLICE_CHARS: Final = 1 << 18
"""Characters of a long text that are looked at before it is asked whether that is enough."""

UNCOUNTED_SHARE: Final = 0.5
"""A request estimated at less than this share of what there is room for is let through without being counted."""

SHORTENING: Final = frozenset({"truncation", "transforms", "plugins", "context_management"})
"""Fields that have the provider shorten the input: OpenAI's, OpenRouter's (two), Anthropic's."""

MESSAGE_TOKENS: Final = 4
"""Marks around a message: 3 with OpenAI (its cookbook on counting), 3 to 5 in the templates of open models."""
ANSWER_TOKENS: Final = 3
"""Marks that open the answer."""
TOOL_TOKENS: Final = 12
"""Marks around the description of a tool."""

_GIVES_FORMAT: Final = frozenset({"openai", "anthropic", "gemini"})
"""Families whose providers give the model the schema of the answer; servers of open models only keep to it."""

_IMAGE_TOKENS: Final = {"openai": 765, "anthropic": 1568, "gemini": 1120}
"""A picture of 1024 x 1024. OpenAI: 85 + 170 a tile of 512; Anthropic: width x height / 750, at most 1,568 (newer
models: more); Gemini: 258 a tile, 1,120 from Gemini 3 on. Others: `_IMAGE_OTHERS`."""
_IMAGE_OTHERS: Final = 1024
_IMAGE_LOW: Final = 85
"""OpenAI's ``detail: low``."""
_PAGE_TOKENS: Final = {"gemini": 258}
"""A page of a document. OpenAI and Anthropic read it as text and as a picture."""
_PAGE_OTHERS: Final = 2000
_PAGE_BYTES: Final = 50_000
_AUDIO_BYTES_PER_TOKEN: Final = 1000
"""Gemini counts 32 tokens a second, OpenAI 10; a second of common formats has 16 to 32 kB."""


class Count(msgspec.Struct, frozen=True):
    """Tokens of a request."""

    tokens: int
    margin: float
    """The true number is at least ``tokens * (1 - margin)``; it may be over by as much or more."""
    exact: bool
    """All text was counted with the model's own vocabulary; pictures, files and tools are estimates nonetheless."""
    method: str
    """``o200k_base``, ``cl100k_base``; ``o200k_base, not the model's own``; ``estimate``."""

    @property
    def least(self) -> int:
        """Tokens that the request has in any case."""
        return round(self.tokens * (1 - self.margin))


class _Material(msgspec.Struct, frozen=True):
    """Everything of a request that has tokens."""

    texts: list[str]
    """The model is certain to be given these, as they are."""
    described: list[str]
    """It is certain to be given these words, which stand somewhere in `others`: of tools, and of the answer's schema."""
    others: list[str]
    """What it is probably given, in about these words."""
    media: list[Part]
    marks: int
    """Tokens between all that."""


class _Counter(msgspec.Struct, frozen=True):
    """One way of counting text: a guess, and the least it can be."""

    method: str
    exact: bool
    guess: Callable[[str], int]
    least: Callable[[str], int]


_ESTIMATE: Final = _Counter("estimate", False, estimate_text, tokens_at_least)


def may_exceed(utf8_bytes: int, limits: Limits) -> bool:
    """Whether a request with so much text might be too long: a token is at least one byte."""
    if limits.context_tokens is None:
        return False
    return utf8_bytes > limits.context_tokens - _reserved(limits)


def refusal(prompt: Prompt, limits: Limits, body: dict[str, Any] | None = None) -> RequestError | None:
    """The error of a request that cannot fit, None for one that might.

    Meant for requests that `may_exceed`. Costs 1 ms a megabyte of text where it is far from the limit, 50 to 100 ms near
    it, without yielding; of what is far over it only as much is looked at as is needed. `body` is the client's, where it
    is sent as it came: then also what the prompt has no place for counts.
    """
    if limits.context_tokens is None or any(path.partition(".")[0] in SHORTENING for path in prompt.unplaced):
        return None
    material = _material(prompt, limits, body)
    texts = material.texts + material.described
    asked = (prompt.output_tokens_max or 0) if limits.shared else 0
    room = limits.context_tokens - asked
    if sum(map(estimate_text, texts)) < room * UNCOUNTED_SHARE:
        return None
    if sum(map(len, texts)) > EXACT_CHARS_MAX:
        least = _at_least(texts, room)
        has = f"at least {least} tokens"
    else:
        counter = _counter(limits.encoding)
        least = _sum(counter.least, texts)
        if least > room:
            counted = _count(material, limits, counter, least=least)
            about = "" if counted.exact and not material.described else f"about {counted.tokens}, at least "
            has = f"{about}{counted.least} tokens ({counted.method})"
    if least <= room:
        return None
    output = f" and {asked} tokens of output were asked for" if asked else ""
    return RequestError(
        "context_length_exceeded",
        f"The request has {has}{output}; the model takes {limits.context_tokens}.",
        param=prompt.place("messages"),
    )


def _at_least(texts: list[str], room: int) -> int:
    """The least number of tokens that these texts have, or some number over `room`: nothing is counted beyond that."""
    total = 0
    for text in texts:
        for start in range(0, len(text), SLICE_CHARS):
            total += tokens_at_least(text[start : start + SLICE_CHARS]) - (start > 0)  # a cut may count one word twice
            if total > room:
                return total
    return total


def count(prompt: Prompt, limits: Limits, body: dict[str, Any] | None = None) -> Count:
    """Tokens of everything in a prompt, for a model with these limits; with `body` as in `refusal`. Never raises."""
    material = _material(prompt, limits, body)
    if sum(map(len, material.texts)) + sum(map(len, material.others)) > EXACT_CHARS_MAX:
        return _count(material, limits, _ESTIMATE, least=0)  # not worth finding out
    return _count(material, limits, _counter(limits.encoding))


def _counter(encoding: str) -> _Counter:
    exact = counter(encoding)
    if exact is not None:
        return _Counter(encoding, True, exact, exact)
    nearest = counter(ENCODINGS[0])
    if nearest is None:
        return _ESTIMATE
    return _Counter(f"{ENCODINGS[0]}, not the model's own", False, nearest, _least_of(nearest))


def _least_of(nearest: Callable[[str], int]) -> Callable[[str], int]:
    return lambda text: max(int(nearest(without_runs(text)) * (1 - PROXY_MARGIN)), tokens_at_least(text))


def _count(material: _Material, limits: Limits, counter: _Counter, *, least: int | None = None) -> Count:
    """`least` is what the text has at least, where that is known: it costs more to find out than the guess does."""
    text = _sum(counter.guess, material.texts)
    if least is None:
        least = text if counter.exact else _sum(counter.least, material.texts)
        least += _sum(counter.least, material.described)
    others = _sum(counter.guess, material.others)
    media = sum(_other(part, limits.family) for part in material.media)
    total = max(text + others + media + material.marks, least)  # an estimate may be below what is certain
    return Count(total, margin=1 - least / total, exact=counter.exact, method=counter.method)


def _sum(count: Callable[[str], int], texts: Iterable[str]) -> int:
    return sum(map(count, texts))


def _reserved(limits: Limits) -> int:
    """Tokens of the context that a request may ask for as output."""
    return (limits.output_tokens_max or 0) if limits.shared else 0


def _parts(messages: tuple[Message, ...]) -> Iterator[Part]:
    for message in messages:
        for part in message.parts:
            yield part
            if isinstance(part, ToolResult):
                yield from part.content


def _material(prompt: Prompt, limits: Limits, body: dict[str, Any] | None) -> _Material:
    left = Leftover() if body is None else found(prompt.unplaced, body)
    parts = list(_parts(prompt.messages))
    return _Material(
        texts=[*_texts(parts), *left.read],
        described=[words for words in _described(prompt, limits, left) if words],
        others=[*_tools(prompt), *left.maybe, *map(_json, left.tools)],
        media=[*parts, *left.media],
        marks=MESSAGE_TOKENS * len(prompt.messages) + ANSWER_TOKENS + TOOL_TOKENS * len(prompt.tools),
    )


def _texts(parts: list[Part]) -> Iterator[str]:
    """Text that the model is certain to be given. Reasoning of earlier turns is not."""
    for part in parts:
        match part:
            case ToolCall():
                yield part.name
                yield part.arguments
            case File() if part.media_type.startswith("text/"):
                yield part.data
            case Image() | File() | Audio() | ToolResult() | Reasoning():
                pass
            case _:
                yield part.text


def _tools(prompt: Prompt) -> Iterator[str]:
    """What the model is given of tools and of the format, each provider in a form of its own."""
    for tool in prompt.tools:
        yield tool.name
        yield tool.description
        yield _json(tool.parameters)
    if prompt.format is not None:
        yield _json(prompt.format.schema)


def _described(prompt: Prompt, limits: Limits, left: Leftover) -> Iterator[str]:
    """What of that is there in every form: descriptions, and the names of parameters and fields.

    Of no tool where none may be called, nor of one that has to be searched for: providers may leave those out.
    """
    if prompt.tool_choice is None or prompt.tool_choice.mode is not ToolMode.NONE:
        deferred = frozenset(path for path in prompt.unplaced if path.endswith(".defer_loading"))
        for tool in prompt.tools:
            if f"{tool.at}.defer_loading" not in deferred:
                yield tool.description
                yield from described(tool.parameters)
        yield from described(left.tools)
    if prompt.format is not None and limits.family in _GIVES_FORMAT:
        yield prompt.format.description
        yield from described(prompt.format.schema)


def _json(schema: Any) -> str:
    try:
        return msgspec.json.encode(schema).decode() if schema else ""
    except RecursionError:  # deeper than any schema; the provider will say so
        return ""


def _other(part: Part, family: str) -> int:
    """Tokens of what is no text, for a usual size of it."""
    match part:
        case Image():
            return _IMAGE_LOW if part.detail == "low" else _IMAGE_TOKENS.get(family, _IMAGE_OTHERS)
        case File() if not part.media_type.startswith("text/"):
            return _PAGE_TOKENS.get(family, _PAGE_OTHERS) * -(-max(len(part.data), 1) // _PAGE_BYTES)
        case Audio():
            return len(part.data) // _AUDIO_BYTES_PER_TOKEN
        case _:
            return 0
