"""WebSocket: one connection, any number of responses, created, followed and cancelled while others run (PROTOCOL.md section 7).

    /v1/responses                a session: the client says what it wants in messages
    /v1/responses/{id}/events    one log, as its HTTP twin; the connection closes after the terminal

Every message to the client is the JSON of one frame of the dialect asked for. A connection that closes with another
code than 1000 was cut: what was being streamed is not complete.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from headgate.api.callers import Callers
from headgate.api.exchange import Receive, Scope, Send, query_of
from headgate.api.lanes import CutError, Lanes
from headgate.api.links import EVENTS, Links
from headgate.delivery import Departure
from headgate.dialects import Dialect
from headgate.dialects.headgate import NATIVE
from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.errors import RequestError, StoreError, store_unavailable
from headgate.gateway import Gateway
from headgate.sinks import ClientGone, ClientStalledError

SESSION: Final = "/v1/responses"
_PREFIX, _SUFFIX = "/v1/responses/", "/events"
CLOSE_DONE: Final = 1000
CLOSE_BROKEN: Final = 1011
"""RFC 6455 section 7.4.1: the server met an unexpected condition."""
CLOSE_SERVER_STOPS: Final = 1012
"""Service Restart, in IANA's registry of close codes: what servers say of a connection they close because they stop."""


class Socket:
    """One WebSocket connection."""

    def __init__(
        self, gateway: Gateway, callers: Callers, links: Links, scope: Scope, receive: Receive, send: Send, path: str
    ) -> None:
        self.endpoint = "unknown"
        self.status = 0
        """HTTP status of the handshake."""
        self._gateway = gateway
        self._callers = callers
        self._links = links
        self._scope = scope
        self._receive = receive
        self._send_raw = send
        self._path = path
        self._headers = dict(reversed(scope["headers"]))
        self._one_message = asyncio.Lock()
        self._closed = False

    async def run(self) -> None:
        """Until the client or the work is done."""
        await self._receive()  # websocket.connect
        try:
            response_id = self._route()
            owner = await self._identify(response_id)
        except (RequestError, StoreError) as error:
            await self._refuse(error, NATIVE if self.endpoint.endswith(_SUFFIX) else OPENAI_CHAT)
            return
        lanes = Lanes(self._gateway, owner, self._send, self._header)
        if response_id:
            await self._follow(lanes, response_id)
        else:
            await self._session(lanes)

    def _route(self) -> str:
        """The response that is asked for, or empty for a session. Raises `RequestError` ``not_found``."""
        path = self._path
        if path == SESSION:
            self.endpoint = f"websocket {SESSION}"
            return ""
        if path.startswith(_PREFIX) and path.endswith(_SUFFIX) and path.count("/") == 4:
            self.endpoint = f"websocket {_PREFIX}{{id}}{_SUFFIX}"
            return path[len(_PREFIX) : -len(_SUFFIX)]
        raise RequestError("not_found", f"There is no WebSocket at {path[:200]}.")

    async def _identify(self, response_id: str) -> str:
        """The owner's name. Browsers do not ask before they open a WebSocket to another origin, so origins are checked here."""
        origin, host = self._header(b"origin"), self._header(b"host")
        allowed = self._gateway.config.server.cors_origins
        if origin is not None and "*" not in allowed and origin not in allowed and origin.partition("://")[2] != host:
            raise RequestError("forbidden_origin", f"Pages of {origin!r} may not connect: see server.cors_origins.")
        if response_id and (token := self._links.token_of(self._scope, EVENTS, self._header)):
            return await self._links.identify(token, response_id)
        return self._callers.identify(self._header)

    def _header(self, name: bytes) -> str | None:
        value: bytes | None = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    async def _refuse(self, error: RequestError | StoreError, dialect: Dialect) -> None:
        """Answer the handshake with an HTTP error, where the server can."""
        if isinstance(error, StoreError):
            error = store_unavailable("The gateway's store cannot be read.")
        self.status = error.status
        if "websocket.http.response" not in (self._scope.get("extensions") or {}):
            await self._send_raw({"type": "websocket.close", "code": CLOSE_DONE})
            return
        body = dialect.error_body(error)
        headers = {"content-type": dialect.error_media_type, "content-length": str(len(body)), **error.headers}
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._send_raw({"type": "websocket.http.response.start", "status": error.status, "headers": raw})
        await self._send_raw({"type": "websocket.http.response.body", "body": body})

    async def _accept(self) -> None:
        self.status = 101
        await self._send_raw({"type": "websocket.accept"})

    async def _follow(self, lanes: Lanes, response_id: str) -> None:
        """One log, then the end of the connection."""
        try:
            reader = await lanes.follower(response_id, query_of(self._scope))
        except (RequestError, StoreError) as error:
            await self._refuse(error, NATIVE)
            return
        await self._accept()
        async with self._closing(), asyncio.TaskGroup() as tasks:
            listener = tasks.create_task(self._listen(lanes, hears=False))
            await lanes.run(reader, resumable=True)
            listener.cancel()

    async def _session(self, lanes: Lanes) -> None:
        await self._accept()
        async with self._closing(), asyncio.TaskGroup() as tasks:
            lanes.tasks = tasks
            await self._listen(lanes)

    @contextlib.asynccontextmanager
    async def _closing(self) -> AsyncIterator[None]:
        """Close with a code that says whether everything was said."""
        code = CLOSE_DONE
        try:
            yield
        except* CutError:
            code = CLOSE_BROKEN
        await self._close(code)

    async def _listen(self, lanes: Lanes, *, hears: bool = True) -> None:
        """Hand over messages until the client leaves. Who follows one log has nothing to say but goodbye."""
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                # A client that says so itself gains nothing but another word at the end of its own response.
                stops = message.get("code") == CLOSE_SERVER_STOPS
                lanes.disconnect(Departure.SERVER if stops else Departure.CLIENT)
                return
            if hears:
                text = message.get("text")
                await lanes.take(text.encode() if text is not None else message.get("bytes") or b"")

    async def _send(self, message: bytes) -> None:
        """Send one message. Raises `ClientGone`, `ClientStalledError`."""
        try:
            async with asyncio.timeout(self._gateway.config.server.write_stall_s), self._one_message:
                await self._send_raw({"type": "websocket.send", "text": message.decode()})
        except TimeoutError:
            raise ClientStalledError from None
        except (OSError, RuntimeError) as error:  # how servers say that the client has left
            raise ClientGone from error

    async def fail(self) -> None:
        """A fault: close, so that nobody takes anything for complete."""
        await self._close(CLOSE_BROKEN)

    async def _close(self, code: int) -> None:
        if self._closed or self.status != 101:
            return
        self._closed = True
        try:
            await self._send_raw({"type": "websocket.close", "code": code})
        except (OSError, RuntimeError):
            return  # it was closed already
