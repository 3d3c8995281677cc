"""What operators and tools ask of the gateway itself: models, health, metrics."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import msgspec

from headgate.api.exchange import Exchange
from headgate.config import Route, match_route
from headgate.errors import CODES, Failure
from headgate.gateway import Gateway
from headgate.upstream import Pool

MODELS_TIMEOUT_S: Final = 3.0
"""A provider that does not list its models by then is left out of the answer."""
MODELS_TTL_S: Final = 60.0
MODELS_BYTES_MAX: Final = 4 * 1024 * 1024
_GLOB: Final = frozenset("*?[")
_JSON: Final = (("content-type", "application/json"),)


async def health(exchange: Exchange) -> None:
    """``GET /healthz``: the process runs."""
    await exchange.answer(200, _JSON, b'{"status":"ok"}')


async def ready(gateway: Gateway, exchange: Exchange) -> None:
    """``GET /readyz``: whether new work is taken."""
    why = gateway.not_ready
    if why is None:
        await exchange.answer(200, _JSON, b'{"status":"ready"}')
    else:
        await exchange.answer(
            503, _JSON, msgspec.json.encode({"status": "not ready", "code": why, "detail": CODES[why].meaning})
        )


async def metrics(gateway: Gateway, exchange: Exchange) -> None:
    """``GET /metrics``."""
    await exchange.answer(
        200, (("content-type", "text/plain; version=0.0.4; charset=utf-8"),), gateway.metrics.exposition()
    )


class Models:
    """``GET /v1/models``: the names that routes spell out, and what the providers behind globs list."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._listed: dict[str, tuple[float, list[str]]] = {}

    async def show_all(self, exchange: Exchange) -> None:
        data = [_model(name, owner) for name, owner in sorted((await self._names()).items())]
        await exchange.answer(200, _JSON, msgspec.json.encode({"object": "list", "data": data}))

    async def show(self, exchange: Exchange, name: str) -> None:
        route, target = self._gateway.resolve(name)
        del route
        await exchange.answer(200, _JSON, msgspec.json.encode(_model(name, target.provider.name)))

    async def _names(self) -> dict[str, str]:
        routes = self._gateway.config.routes
        providers = sorted({route.to[0].partition("/")[0] for route in routes if _is_glob(route)})
        listed = dict(zip(providers, await asyncio.gather(*(self._list_of(name) for name in providers)), strict=True))
        names: dict[str, str] = {}
        for route in routes:
            provider = route.to[0].partition("/")[0]
            if not _is_glob(route):
                names.setdefault(route.model, provider)
                continue
            for model in listed[provider]:
                for asked in (model, f"{provider}/{model}"):
                    if match_route(routes, asked) is route:
                        names.setdefault(asked, provider)
        return names

    async def _list_of(self, provider: str) -> list[str]:
        at, names = self._listed.get(provider, (0.0, []))
        if not at or time.monotonic() - at > MODELS_TTL_S:
            names = _ids(await _Fetch().run(self._gateway.pool(provider), "/models"))
            self._listed[provider] = (time.monotonic(), names)
        return names


def _is_glob(route: Route) -> bool:
    return bool(_GLOB & set(route.model))


def _model(name: str, owner: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}


def _ids(body: bytes) -> list[str]:
    try:
        data = msgspec.json.decode(body).get("data")
        return [str(item["id"]) for item in data if isinstance(item.get("id"), str)]
    except (msgspec.DecodeError, RecursionError, AttributeError, TypeError, KeyError):
        return []


class _Fetch:
    """A small GET to a provider; an empty answer if it fails."""

    def __init__(self) -> None:
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._status = 0
        self._body = bytearray()

    async def run(self, pool: Pool, path: str) -> bytes:
        call = pool.get(path, handler=self, connect_s=MODELS_TIMEOUT_S)
        try:
            async with asyncio.timeout(MODELS_TIMEOUT_S):
                await self._done
        except TimeoutError:
            call.abort()
            return b""
        call.release()
        return bytes(self._body) if self._status == 200 else b""

    def on_sent(self) -> None:
        pass

    def on_head(self, status: int, headers: dict[str, str]) -> None:
        self._status = status

    def on_body(self, data: bytes) -> None:
        if len(self._body) <= MODELS_BYTES_MAX:
            self._body += data

    def on_end(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def on_failed(self, failure: Failure) -> None:
        self._status = 0
        self.on_end()
