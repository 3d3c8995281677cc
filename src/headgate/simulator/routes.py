"""What the simulator answers to which request. Pure: a request in, steps out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from headgate.errors import RequestError
from headgate.simulator import chat, gemini, messages, responses
from headgate.simulator.ask import Ask, Turn
from headgate.simulator.config import SimulatorConfig
from headgate.simulator.dialect import Dialect
from headgate.simulator.grammar import NAMES, parse
from headgate.simulator.plan import EPOCH
from headgate.simulator.planning import make
from headgate.simulator.script import reply, script
from headgate.simulator.speakers import SPEAKERS
from headgate.simulator.steps import Step
from headgate.simulator.tokens import count
from headgate.simulator.writer import Problem

_READERS: Final = {
    "/v1/chat/completions": chat.read,
    "/v1/responses": responses.read,
    "/v1/responses/compact": responses.read_compacted,
    "/v1/messages": messages.read,
}
"""Paths that are asked for answers, except Gemini's, which name the model."""
_COUNT: Final = "/v1/messages/count_tokens"
_MODELS: Final = "/v1/models"
_PLAIN: Final = (_MODELS, "/stats", "/healthz")
_GEMINI: Final = re.compile(r"/v1(?:beta|alpha)?/models/(.+):(generateContent|streamGenerateContent|countTokens)")
_GEMINI_MODELS: Final = re.compile(r"/v1(?:beta|alpha)/models(?:/(.+))?")


SENDERS: Final = {b"anthropic-version": Dialect.MESSAGES, b"x-goog-api-key": Dialect.GEMINI}
"""Headers that only the clients of one dialect send."""


@dataclass(slots=True)
class Stats:
    """Counters since the start. Only requests for answers count, in any dialect."""

    requests: int = 0
    """Answers asked for, those that were refused included."""
    open: int = 0
    """Of these, how many are being answered now."""
    aborts: int = 0
    """Of these, how many were left by their client before the answer was complete."""
    tokens: int = 0
    """Tokens sent."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, complete."""

    method: str
    target: str
    simulate: str
    """Value of the header ``X-Simulate``."""
    body: bytes
    sender: Dialect = Dialect.CHAT
    """Whose client sent it, as far as its headers tell: it means that dialect where a path could mean several."""

    @property
    def path(self) -> str:
        try:
            return unquote(urlsplit(self.target).path)
        except ValueError:
            return ""

    @property
    def array(self) -> bool:
        """Whether it asks for a stream of Gemini's that is one JSON array instead of server-sent events."""
        streams = self.path.endswith(":streamGenerateContent")
        return streams and parse_qs(urlsplit(self.target).query).get("alt") != ["sse"]

    @property
    def counted(self) -> bool:
        """Whether `Stats` counts it."""
        named = _GEMINI.fullmatch(self.path)
        return self.method == "POST" and (self.path in _READERS or (named is not None and named[2] != "countTokens"))

    @property
    def dialect(self) -> Dialect:
        """Whose errors the client will understand."""
        if _GEMINI.fullmatch(self.path) or self.path.startswith(("/v1beta/", "/v1alpha/")):
            return Dialect.GEMINI
        if self.path == "/v1/messages" or self.path.startswith("/v1/messages/"):
            return Dialect.MESSAGES
        return Dialect.RESPONSES if self.path.startswith("/v1/responses") else self.sender


def answer(request: Request, config: SimulatorConfig, stats: Stats) -> Iterator[Step]:
    """The steps that answer `request`; a request that cannot be served gets an error, never an exception."""
    try:
        return _route(request, config, stats)
    except RequestError as error:
        problem = Problem(error.status, str(error), error.param, error.code, array=request.array)
        return refuse(problem, request.dialect)


def refuse(problem: Problem, dialect: Dialect = Dialect.CHAT) -> Iterator[Step]:
    """An error in the dialect's shape."""
    return reply(problem.status, SPEAKERS[dialect].error(problem))


def _route(request: Request, config: SimulatorConfig, stats: Stats) -> Iterator[Step]:
    path = request.path
    if (named := _GEMINI.fullmatch(path)) is not None:
        _take(request, "POST")
        return _gemini(request, config, named[1], named[2])
    if path in _READERS:
        _take(request, "POST")
        return _answer(_READERS[path](request.body), request, config)
    if path == _COUNT:
        _take(request, "POST")
        return _json({"input_tokens": _counted(messages.read_counted(request.body))})
    listed = _GEMINI_MODELS.fullmatch(path)
    if listed is None and path not in _PLAIN and not path.startswith(_MODELS + "/"):
        raise RequestError("not_found", f"Unknown request URL: {request.method} {path[:200]}.")
    _take(request, "GET")
    if path in ("/stats", "/healthz"):
        return _json(asdict(stats) if path == "/stats" else {"status": "ok"})
    name = listed[1] if listed else path[len(_MODELS) + 1 :]
    return _json(_models(name, request.dialect, config))


def _take(request: Request, method: str) -> None:
    if request.method != method:
        raise RequestError("method_not_allowed", f"{request.path[:200]} takes {method} only.")


def _answer(ask: Ask, request: Request, config: SimulatorConfig) -> Iterator[Step]:
    return script(make(ask, request.simulate, config))


def _gemini(request: Request, config: SimulatorConfig, model: str, method: str) -> Iterator[Step]:
    if method == "countTokens":
        tokens = _counted(gemini.read_counted(request.body))
        details = [{"modality": "TEXT", "tokenCount": tokens}]
        return _json({"totalTokens": tokens, "promptTokensDetails": details})
    stream = method == "streamGenerateContent"
    ask = gemini.read(request.body, model=model, stream=stream, array=request.array)
    return _answer(ask, request, config)


def _models(name: str | None, dialect: Dialect, config: SimulatorConfig) -> dict[str, Any]:
    """One model, or all; each dialect has a list of its own."""
    if name:
        parse(name, "", config)
    names = (*NAMES, *config.models)
    match dialect:
        case Dialect.GEMINI:
            return gemini.model(name) if name else gemini.models(names)
        case Dialect.MESSAGES:
            return messages.model(name) if name else messages.models(names)
        case _:
            return _model(name) if name else {"object": "list", "data": [_model(one) for one in names]}


def _counted(turns: Iterable[Turn]) -> int:
    return sum(count(turn.text) for turn in turns)


def _json(value: Any) -> Iterator[Step]:
    return reply(200, msgspec.json.encode(value))


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": EPOCH, "owned_by": "headgate"}
