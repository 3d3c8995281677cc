"""What the simulator answers to which request. Pure: a request in, steps out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from headgate.errors import RequestError
from headgate.simulator import wire
from headgate.simulator.config import SimulatorConfig
from headgate.simulator.grammar import NAMES, parse
from headgate.simulator.plan import EPOCH, make
from headgate.simulator.script import reply, script
from headgate.simulator.steps import Step

CHAT: Final = "/v1/chat/completions"
MODELS: Final = "/v1/models"
_METHODS: Final = {CHAT: "POST", MODELS: "GET", "/stats": "GET", "/healthz": "GET"}


@dataclass(slots=True)
class Stats:
    """Counters since the start. Only chat completions count."""

    requests: int = 0
    """Chat completions asked for, those that were refused included."""
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

    @property
    def path(self) -> str:
        try:
            return unquote(urlsplit(self.target).path)
        except ValueError:
            return ""

    @property
    def counted(self) -> bool:
        """Whether `Stats` counts it."""
        return self.path == CHAT and self.method == "POST"


def answer(request: Request, config: SimulatorConfig, stats: Stats) -> Iterator[Step]:
    """The steps that answer `request`; a request that cannot be served gets an error, never an exception."""
    try:
        return _route(request, config, stats)
    except RequestError as error:
        return refuse(error.status, str(error), param=error.param, code=error.code)


def refuse(status: int, message: str, *, param: str | None = None, code: str | None = None) -> Iterator[Step]:
    """An error in OpenAI's shape."""
    return reply(status, wire.encode(wire.error(status, message, param=param, code=code)))


def _route(request: Request, config: SimulatorConfig, stats: Stats) -> Iterator[Step]:
    path = request.path
    model = path.removeprefix(MODELS + "/") if path.startswith(MODELS + "/") else ""
    method = _METHODS.get(MODELS if model else path)
    if method is None:
        raise RequestError("not_found", f"Unknown request URL: {request.method} {path[:200]}.")
    if request.method != method:
        raise RequestError("method_not_allowed", f"{path[:200]} takes {method} only.")
    if path == CHAT:
        return script(make(request.body, request.simulate, config))
    if model:
        parse(model, "", config)
        return _json(_model(model))
    if path == MODELS:
        return _json({"object": "list", "data": [_model(name) for name in (*NAMES, *config.models)]})
    return _json(asdict(stats) if path == "/stats" else {"status": "ok"})


def _json(value: Any) -> Iterator[Step]:
    return reply(200, wire.encode(value))


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": EPOCH, "owned_by": "headgate"}
