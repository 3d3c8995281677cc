"""Where requests go: the providers, the routes that lead to them, and what is sent there.

A model name and the client's dialect lead to a `Target`; a request that fits it is written in its dialect. Nothing is
sent here, and nothing of a response is known.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any, Final

from headgate.config import SIMULATOR_URL, Config, Provider, Route, match_route, target_model
from headgate.context import Count, count, may_exceed, refusal
from headgate.dialects import ClientDialect, ProviderDialect, client_dialects, provider_dialects
from headgate.dialects.translate import upstream_request
from headgate.errors import RequestError
from headgate.models import UNKNOWN, Limits, limits
from headgate.prompt import Prompt
from headgate.request import CreateRequest, UpstreamRequest
from headgate.upstream import Pool, endpoint

RESOLVED_MAX: Final = 1_024
"""Model names whose route is remembered; clients choose the names."""
_GLOB: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a response is made."""

    provider: Provider
    dialect: ProviderDialect
    model: str
    pool: Pool
    limits: Limits = UNKNOWN
    """Of the model."""
    provider_name: str = ""
    streaming: bool = True
    """Both are the provider's: every request asks for them, and its own attributes cost more."""


class Routing:
    """The providers and routes of one configuration. `open` before use."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._clients: dict[str, ClientDialect] = client_dialects()
        self._targets: dict[str, dict[str, Target]] = {}  # by provider, then by dialect, its own first
        self._resolved: dict[tuple[str, str], tuple[Route, Target]] = {}
        self._own_limits = [Limits(m.match, m.context_tokens, m.output_tokens_max) for m in config.models]

    async def open(self, stack: AsyncExitStack) -> None:
        """Prepare a pool for each provider, and the simulator if one is; `stack` closes them. Raises `ConfigError`."""
        simulator_url = ""
        self._resolved.clear()
        for provider in self._config.providers:
            base_url = provider.base_url
            simulated = base_url == SIMULATOR_URL
            dialects = provider_dialects(provider.traits())
            own = dialects[provider.dialect]
            if simulated:
                simulator_url = simulator_url or await _start_simulator(stack)
                base_url = simulator_url + own.base_path
            headers = own.headers(provider.own_key()) | provider.own_headers()
            pool = Pool(endpoint(base_url, headers, query=provider.own_query(), through_proxy=not simulated))
            stack.push_async_callback(pool.close)
            spoken = dict.fromkeys((provider.dialect, *provider.also))
            self._targets[provider.name] = {
                str(name): Target(
                    provider, dialects[name], "", pool, provider_name=provider.name, streaming=provider.streaming
                )
                for name in spoken
            }

    def resolve(self, model: str, dialect: str = "") -> tuple[Route, Target]:
        """Where a model name leads a client of this dialect. Raises `RequestError` ``model_not_found``, which names what there is."""
        found = self._resolved.get((model, dialect))
        if found is None:
            found = self._resolve(model, dialect)
            if len(self._resolved) >= RESOLVED_MAX:
                self._resolved.clear()
            self._resolved[model, dialect] = found
        return found

    def _resolve(self, model: str, dialect: str) -> tuple[Route, Target]:
        route = match_route(self._config.routes, model)
        if route is None:
            known = ", ".join(sorted({route.model for route in self._config.routes}))
            message = f"No route leads from the model {model!r}. There are: {known}."
            raise RequestError("model_not_found", message, param="model")
        provider, upstream_model = target_model(route.to[0], model)
        if upstream_model in (".", ".."):  # it may stand in the path of a URL
            raise RequestError("model_not_found", f"{model!r} is no model's name.", param="model")
        found = self._target(provider, dialect)
        return route, replace(found, model=upstream_model, limits=limits(upstream_model, self._own_limits))

    def _target(self, provider: str, dialect: str) -> Target:
        """A provider in the client's dialect if it speaks that, else in its own."""
        spoken = self._targets[provider]
        return spoken.get(dialect) or next(iter(spoken.values()))

    def provider(self, name: str) -> Target:
        """A configured provider, for calls that are no responses; its model is empty."""
        return self._target(name, "")

    def translate(self, request: CreateRequest, route: Route, target: Target, text: int) -> UpstreamRequest:
        """What the provider is sent; `text` is how many bytes of UTF-8 the prompt has.

        Raises `RequestError`: ``context_length_exceeded``, ``unsupported_field``, and what is wrong with the request itself.
        """
        self._check_fit(request, route, target, text)
        try:
            return upstream_request(
                request,
                self._clients[request.dialect],
                target.dialect,
                provider_name=target.provider_name,
                model=target.model,
                stream=asks_for_stream(request, route, target),
                may_drop=route.on_unsupported == "drop",
            )
        except RecursionError:
            raise RequestError("invalid_request", "The request is nested too deeply.") from None

    def prompt(self, request: CreateRequest) -> Prompt:
        """What the request asks for, in no dialect's words. Raises `RequestError`."""
        return self._clients[request.dialect].read_prompt(request)

    def count(self, request: CreateRequest) -> Count:
        """How many input tokens the request has, for the model it names, if it does. Raises `RequestError`."""
        prompt = self.prompt(request)
        if not request.model:
            return count(prompt, UNKNOWN, request.body)
        route, target = self.resolve(request.model, request.dialect)
        return count(prompt, target.limits, _body_sent(request, route, target))

    def _check_fit(self, request: CreateRequest, route: Route, target: Target, text: int) -> None:
        """Raises `RequestError` ``context_length_exceeded`` for a request that cannot fit the model's context."""
        size = len(request.raw)  # as many bytes as there is text, or more, except in a conversation that goes on
        if not may_exceed(size if size > text else text, target.limits):
            return
        try:
            prompt = self.prompt(request)
        except RequestError:  # a provider of the same dialect may know better
            return
        error = refusal(prompt, target.limits, _body_sent(request, route, target))
        if error is not None:
            raise error


def _body_sent(request: CreateRequest, route: Route, target: Target) -> dict[str, Any] | None:
    """The body, unless the provider gets only what a `Prompt` has a place for, and the rest is dropped."""
    dropped = route.on_unsupported == "drop" and target.dialect.name != request.dialect
    return None if dropped else request.body


def is_glob(route: Route) -> bool:
    """Whether a route serves more names than the one it is written with."""
    return bool(_GLOB & set(route.model))


def named_models(routes: list[Route]) -> set[tuple[str, str]]:
    """Provider and model of every route that says which model it leads to, whatever name is asked for."""
    return {target_model(r.to[0], r.model) for r in routes if not is_glob(r) or "*" not in r.to[0]}


def asks_for_stream(request: CreateRequest, route: Route, target: Target) -> bool:
    """Whether the provider is asked for a stream."""
    upstream = route.upstream
    if not target.streaming or upstream == "whole":
        return False
    return upstream == "stream" or request.stream or request.background


async def _start_simulator(stack: AsyncExitStack) -> str:
    from headgate.simulator import Simulator  # only who asks for the simulator loads it

    simulator = await Simulator.start()
    stack.push_async_callback(simulator.close)
    return simulator.root
