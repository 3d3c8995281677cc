"""Which text an answer consists of: tokens taken from the corpus, from a place that a digest picks."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from itertools import chain, islice
from typing import Any, Final

from headgate.simulator import corpus
from headgate.simulator.grammar import Behaviour, Content
from headgate.simulator.schema import generate
from headgate.simulator.tokens import tokenize

RUN_ON_MAX: Final = 60
"""Tokens an answer of a length not fixed may run on to the end of its sentence."""
REASONING_TOKENS: Final = 40
BASE64: Final = "base64:"
_BREAK: Final = "\n\n"
_ENDS: Final = (".", "!", "?", "。", "！", "？")  # noqa: RUF001  (the full stops of CJK)


def content_tokens(behaviour: Behaviour, *, digest: int, index: int) -> tuple[str, ...]:
    """The tokens of choice `index`; the same for the same digest."""
    if behaviour.words is not None:
        return behaviour.words
    if behaviour.content is Content.MARKDOWN and behaviour.tokens is None:
        return _piece(corpus.MARKDOWN)[:-1]
    pieces = {Content.UNICODE: corpus.UNICODE, Content.MARKDOWN: (corpus.MARKDOWN,)}.get(
        behaviour.content, corpus.PROSE
    )
    return _take(_flow(pieces, digest + index, index // len(pieces)), behaviour.about, behaviour.tokens)


def refusal_tokens(digest: int) -> tuple[str, ...]:
    return tuple(tokenize(corpus.REFUSALS[digest % len(corpus.REFUSALS)]))


def reasoning_tokens(behaviour: Behaviour, *, digest: int) -> tuple[str, ...]:
    if behaviour.words is not None:
        return behaviour.words
    return _take(_flow(corpus.REASONING, digest, 0), REASONING_TOKENS, None)


def echo_tokens(said: str, most: int) -> tuple[str, ...]:
    """What was said, or what it holds in base64: so a request can ask for a text that stands nowhere in it."""
    if said.startswith(BASE64):
        with suppress(ValueError):
            said = b64decode(said.removeprefix(BASE64), validate=True).decode()
    return tuple(islice(tokenize(said), most))


def json_tokens(behaviour: Behaviour, schema: object, *, digest: int, index: int) -> tuple[str, ...]:
    """JSON that satisfies `schema`, or without one an object about the corpus."""
    value: Any
    if behaviour.words is not None:
        return behaviour.words
    if isinstance(schema, dict):
        value = generate(schema, seed=digest + index)
    else:
        text = "".join(content_tokens(behaviour, digest=digest, index=index))
        words = text.split()
        value = {"title": " ".join(words[:4]), "summary": text, "words": len(words), "complete": True}
    return tuple(tokenize(json.dumps(value, ensure_ascii=False)))


@cache
def _piece(text: str) -> tuple[str, ...]:
    """The tokens of a piece of the corpus, with a paragraph break behind them."""
    return (*tokenize(text), _BREAK)


def _flow(pieces: Sequence[str], start: int, skip: int) -> Iterator[str]:
    """The tokens of all pieces, round and round, from paragraph `skip` of piece `start` on."""
    tokens = [_piece(pieces[(start + i) % len(pieces)]) for i in range(len(pieces))]
    breaks = [0, *(i for i, piece in enumerate(tokens[0], start=1) if piece == _BREAK)]
    yield from tokens[0][breaks[skip % (len(breaks) - 1)] :]
    while True:
        yield from chain.from_iterable((*tokens[1:], tokens[0]))


def _take(flow: Iterator[str], about: int, exactly: int | None) -> tuple[str, ...]:
    """`exactly` so many tokens, or `about` so many and on to the end of the sentence."""
    if exactly is not None:
        return tuple(islice(flow, exactly))
    taken = tuple(islice(flow, about + RUN_ON_MAX))
    ends = (i for i in range(about - 1, len(taken)) if taken[i].rstrip("\"')").endswith(_ENDS))
    return taken[: next(ends, about - 1) + 1]
