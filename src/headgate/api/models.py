"""The models that can be asked for, in the shape that the caller's SDK reads.

Three SDKs ask for the same paths below ``/v1/models``, so here it is the headers that tell them apart.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import msgspec

from headgate import fetch
from headgate.api.exchange import Exchange
from headgate.api.pages import anthropic_page, gemini_page
from headgate.config import match_route
from headgate.dialects.gemini.request import model_object
from headgate.gateway import Gateway
from headgate.routing import is_glob

MODELS_TIMEOUT_S: Final = 3.0
"""A provider that does not list its models by then is left out of the answer."""
MODELS_TTL_S: Final = 60.0
MODELS_BYTES_MAX: Final = 4 * 1024 * 1024
GEMINI_PREFIXES: Final = ("/v1beta/", "/v1alpha/")
"""Versions of Google's API that nobody else has; its methods are the same in all, ``/v1`` included."""
_JSON: Final = (("content-type", "application/json"),)


def client_dialect(exchange: Exchange) -> str:
    """Name of the dialect whose SDK sent this request, on a path that several of them use."""
    if (
        exchange.path.startswith(GEMINI_PREFIXES)
        or exchange.header(b"x-goog-api-key")
        or exchange.header(b"x-goog-api-client")
    ):
        return "gemini"
    if exchange.path.startswith("/v1/messages") or exchange.header(b"anthropic-version"):
        return "anthropic-messages"
    return "openai-chat"


class Models:
    """The names that routes spell out, and what the providers behind globs list."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._listed: dict[str, tuple[float, list[str]]] = {}

    async def show_all(self, exchange: Exchange) -> None:
        """``GET /v1/models``, ``/v1beta/models`` and ``/v1alpha/models``."""
        query, owners = exchange.query(), await self._names()
        names = sorted(owners)
        match client_dialect(exchange):
            case "gemini":
                page, token = gemini_page(names, query)
                listed: dict[str, Any] = {"models": [model_object(name) for name in page.names]}
                listed |= {"nextPageToken": token} if token else {}
            case "anthropic-messages":
                page = anthropic_page(names, query)
                first, last = (page.names[0], page.names[-1]) if page.names else (None, None)
                data = [_anthropic_model(name) for name in page.names]
                listed = {"data": data, "has_more": page.more, "first_id": first, "last_id": last}
            case _:
                listed = {"object": "list", "data": [_openai_model(name, owners[name]) for name in names]}
        await exchange.answer(200, _JSON, msgspec.json.encode(listed))

    async def show(self, exchange: Exchange, name: str) -> None:
        """``GET /v1/models/{model}``, the same below ``/v1beta`` and ``/v1alpha``."""
        _, target = self._gateway.routing.resolve(name)
        match client_dialect(exchange):
            case "gemini":
                shown = model_object(name)
            case "anthropic-messages":
                shown = _anthropic_model(name)
            case _:
                shown = _openai_model(name, target.provider.name)
        await exchange.answer(200, _JSON, msgspec.json.encode(shown))

    async def _names(self) -> dict[str, str]:
        routes = self._gateway.config.routes
        providers = sorted({route.to[0].partition("/")[0] for route in routes if is_glob(route)})
        listed = dict(zip(providers, await asyncio.gather(*(self._list_of(name) for name in providers)), strict=True))
        names: dict[str, str] = {}
        for route in routes:
            provider = route.to[0].partition("/")[0]
            if not is_glob(route):
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
            target = self._gateway.routing.provider(provider)
            fetched = await fetch.get(
                target.pool, target.dialect.models_path, timeout_s=MODELS_TIMEOUT_S, bytes_max=MODELS_BYTES_MAX
            )
            body = fetched.body if isinstance(fetched, fetch.Fetched) and fetched.status == 200 else b""
            names = target.dialect.read_models(body)
            self._listed[provider] = (time.monotonic(), names)
        return names


def _openai_model(name: str, owner: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}


def _anthropic_model(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"}
