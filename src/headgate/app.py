"""The ASGI application: routes as data, errors in the caller's dialect, CORS.

Serve it with `headgate.server`, or mount it into another application:

    gateway = Gateway(configfile.load("headgate.toml"))
    app.mount("/llm", headgate.app.create_app(gateway))      # and `async with gateway:` in that app's lifespan

It speaks bare ASGI: Starlette's router and request objects cost more than the whole work on a token.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.middleware.cors import CORSMiddleware

from headgate.api import admin, conversation, gemini, links, openapi, operations, receipts, responses
from headgate.api.admin import Admin
from headgate.api.callers import Callers
from headgate.api.compaction import Compactions
from headgate.api.counting import count_tokens
from headgate.api.creation import create
from headgate.api.exchange import Exchange, Receive, Scope, Send, error_answer
from headgate.api.models import Models, client_dialect
from headgate.api.socket import Socket
from headgate.dialects import Dialect, dialects
from headgate.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from headgate.dialects.headgate import NATIVE
from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.dialects.openai_responses import OPENAI_RESPONSES
from headgate.errors import RequestError, StoreError
from headgate.gateway import Gateway
from headgate.reader import Broken
from headgate.sinks import ClientGone, ClientStalledError
from headgate.telemetry.logs import fields, logger

ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Handler = Callable[[Exchange, str, str], Awaitable[None]]
"""``(exchange, owner, id)``; the id is empty on routes without one."""

ID_PREFIXES: Final = ("/v1/responses/", "/v1/models/", "/v1beta/models/", "/v1alpha/models/")
"""Below these a path segment is an id, or a model's name, which may hold slashes."""
EXPOSED_HEADERS: Final = ("Headgate-Response-Id", "Headgate-Token-Count", "Retry-After", "x-should-retry")
"""What scripts of configured origins may read of an answer."""

_logger = logger("app")


class App:
    """Routes requests to the handlers of one gateway."""

    def __init__(self, gateway: Gateway, *, check_host: bool = False) -> None:
        self._gateway = gateway
        self.callers = Callers(gateway.config.keys, check_host=check_host)
        self._links = links.Links(gateway, self.callers)
        self._admin = Admin(gateway)
        self._routes = _routes(gateway)
        self._describe()
        self._dialects = dialects()
        self._requests: dict[tuple[str, int], Any] = {}

    def _describe(self) -> None:
        """The routes, and what they are: one of them shows that."""
        description = openapi.Description(
            self._routes, self._admin.endpoints, needs_keys=bool(self._gateway.config.keys)
        )
        self._routes[openapi.PATH] = (NATIVE, {"GET": (lambda e, *_: description.show(e), False)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        root: str = scope.get("root_path", "")
        if root and path.startswith(root):
            path = path[len(root) :]
        exchange = Exchange(scope, receive, send, path)
        endpoint, response_id, dialect, methods = self._match(exchange)
        try:
            await self._handle(exchange, scope, endpoint, response_id, methods)
        except ClientGone:
            pass
        except RequestError as error:
            await _answer_error(exchange, dialect, error)
        except (Broken, ClientStalledError) as error:
            if isinstance(error, ClientStalledError):
                self._gateway.metrics.counter("headgate_client_stalls_total").inc()
            if not exchange.was_cut:
                raise  # its server closes the connection without completing the body: nobody takes it for whole
        except StoreError as error:
            _logger.error("the store cannot be read", extra=fields(error=str(error)))
            if exchange.started:
                raise Broken from error
            unavailable = RequestError(
                "store_unavailable", "The gateway's store cannot be read.", headers={"retry-after": "5"}
            )
            await _answer_error(exchange, dialect, unavailable)
        except Exception as error:
            _logger.error("fault in the gateway", exc_info=error, extra=fields(path=path))
            if exchange.started:
                raise Broken from error
            await _answer_error(
                exchange, dialect, RequestError("internal", "A fault in the gateway; its log says more.")
            )
        finally:
            exchange.close()
            self.count(endpoint, exchange.status)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"].removeprefix(scope.get("root_path", ""))
        socket = Socket(self._gateway, self.callers, self._links, scope, receive, send, path)
        try:
            await socket.run()
        except Exception as error:
            _logger.error("fault in the gateway", exc_info=error, extra=fields(path=path))
            await socket.fail()
        finally:
            self.count(socket.endpoint, socket.status)

    async def _handle(
        self,
        exchange: Exchange,
        scope: Scope,
        endpoint: str,
        response_id: str,
        methods: dict[str, tuple[Handler, bool]],
    ) -> None:
        if not methods:
            raise RequestError("not_found", f"There is nothing at {exchange.path[:200]}.")
        handler, needs_key = methods.get(exchange.method, (None, True))
        if handler is None:
            allowed = ", ".join(methods)
            raise RequestError("method_not_allowed", f"{endpoint} takes {allowed}.", headers={"allow": allowed})
        owner = ""
        if endpoint.startswith(admin.PREFIX):
            owner = self._admin.identify(exchange, scope)
        elif needs_key and (token := self._links.token_of(scope, endpoint, exchange.header)):
            exchange.also = links.UNREFERRED
            owner = await self._links.identify(token, response_id)
        elif needs_key:
            owner = self.callers.identify(exchange.header)
        await handler(exchange, owner, response_id)

    def _match(self, exchange: Exchange) -> tuple[str, str, Dialect, dict[str, tuple[Handler, bool]]]:
        """Endpoint (as metrics call it), id, dialect of its errors, and its methods; no methods for an unknown path."""
        path = exchange.path
        found = self._routes.get(path)
        if found is not None:
            return path, "", found[0] or self._dialects[client_dialect(exchange)], found[1]
        if path.startswith(admin.PREFIX):
            endpoint, id_, methods = self._admin.match(path)
            return endpoint, id_, NATIVE, methods
        prefix = next((prefix for prefix in ID_PREFIXES if path.startswith(prefix)), None)
        if prefix is not None:
            rest = path[len(prefix) :]
            id_, slash, action = rest.partition("/") if prefix == "/v1/responses/" else (rest, "", "")
            endpoint = f"{prefix}{{id}}{slash}{action}"
            if id_ and endpoint in self._routes:
                dialect, methods = self._routes[endpoint]
                return endpoint, id_, dialect or self._dialects[client_dialect(exchange)], methods
        return "unknown", "", self._dialects[client_dialect(exchange)], {}

    def count(self, endpoint: str, status: int) -> None:
        counter = self._requests.get((endpoint, status))
        if counter is None:
            counter = self._gateway.metrics.counter(
                "headgate_requests_total", endpoint, str(status) if status else "none"
            )
            self._requests[endpoint, status] = counter
        counter.inc()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """Open the gateway with the server and close it with it. Mounted apps are not sent this: open it yourself."""
        await receive()
        try:
            await self._gateway.open()
        except Exception as error:  # noqa: BLE001  told to the server, which stops and shows it
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._gateway.close()
        await send({"type": "lifespan.shutdown.complete"})


def create_app(gateway: Gateway, *, check_host: bool = False) -> ASGIApp:
    """The application, behind CORS if origins are configured. `check_host` refuses foreign Host headers while there are no keys."""
    return behind_cors(App(gateway, check_host=check_host), gateway)


def behind_cors(app: ASGIApp, gateway: Gateway) -> ASGIApp:
    origins = gateway.config.server.cors_origins
    if not origins:
        return app
    opened = CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["*"],
        expose_headers=EXPOSED_HEADERS,
        max_age=3600,
    )

    async def but_for_administration(scope: Scope, receive: Receive, send: Send) -> None:
        await (app if admin.concerns(scope) else opened)(scope, receive, send)

    return but_for_administration


Route = tuple[Dialect | None, dict[str, tuple[Handler, bool]]]


def _routes(gateway: Gateway) -> dict[str, Route]:
    """Path -> dialect of its errors (None: the headers say), and method -> (handler, whether it needs a key)."""
    models, compactions = Models(gateway), Compactions(gateway)
    g = gateway
    chat, messages, native = OPENAI_CHAT, ANTHROPIC_MESSAGES, NATIVE
    listed: dict[str, tuple[Handler, bool]] = {"GET": (lambda e, *_: models.show_all(e), True)}
    one_model: dict[str, tuple[Handler, bool]] = {
        "GET": (lambda e, _, name: models.show(e, name), True),
        "POST": (
            lambda e, owner, name: gemini.act(g, e, owner, name),
            True,
        ),  # some SDKs of Google's say v1, some v1beta; v1alpha is for who asks for it
    }
    return {
        "/v1/chat/completions": (chat, {"POST": (lambda e, owner, _: create(g, e, OPENAI_CHAT, owner), True)}),
        "/v1/responses": (chat, {"POST": (lambda e, owner, _: create(g, e, OPENAI_RESPONSES, owner), True)}),
        "/v1/responses/input_tokens": (
            chat,
            {"POST": (lambda e, owner, _: count_tokens(g, e, OPENAI_RESPONSES, owner), True)},
        ),
        "/v1/responses/compact": (chat, {"POST": (lambda e, owner, _: compactions.make(e, owner), True)}),
        "/v1/messages": (messages, {"POST": (lambda e, owner, _: create(g, e, ANTHROPIC_MESSAGES, owner), True)}),
        "/v1/messages/count_tokens": (
            messages,
            {"POST": (lambda e, owner, _: count_tokens(g, e, ANTHROPIC_MESSAGES, owner), True)},
        ),
        "/v1/models": (None, listed),
        "/v1beta/models": (None, listed),
        "/v1alpha/models": (None, listed),
        "/v1/models/{id}": (None, one_model),
        "/v1beta/models/{id}": (None, one_model),
        "/v1alpha/models/{id}": (None, one_model),
        "/v1/responses/{id}": (
            chat,
            {
                "GET": (lambda e, owner, id_: responses.show(g, e, owner, id_), True),
                "DELETE": (lambda e, owner, id_: responses.delete(g, e, owner, id_), True),
            },
        ),
        "/v1/responses/{id}/cancel": (chat, {"POST": (lambda e, owner, id_: responses.cancel(g, e, owner, id_), True)}),
        "/v1/responses/{id}/receipt": (chat, {"GET": (lambda e, owner, id_: receipts.show(g, e, owner, id_), True)}),
        "/v1/responses/{id}/input_items": (
            chat,
            {"GET": (lambda e, owner, id_: conversation.show_input(g, e, owner, id_), True)},
        ),
        "/v1/responses/{id}/links": (chat, {"POST": (lambda e, owner, id_: links.make(g, e, owner, id_), True)}),
        "/v1/responses/{id}/events": (
            native,
            {"GET": (lambda e, owner, id_: responses.events(g, e, owner, id_), True)},
        ),
        "/healthz": (native, dict.fromkeys(("GET", "HEAD"), (lambda e, *_: operations.health(e), False))),
        "/readyz": (native, dict.fromkeys(("GET", "HEAD"), (lambda e, *_: operations.ready(g, e), False))),
        "/metrics": (native, {"GET": (lambda e, *_: operations.metrics(g, e), True)}),
    }


async def _answer_error(exchange: Exchange, dialect: Dialect, error: RequestError) -> None:
    await exchange.answer(*error_answer(dialect, error))
