"""One HTTP request and its answer, whichever server carries it.

Under our own server a stream is written to the connection itself, which the server offers as an ASGI extension; in
somebody else's app everything goes through ``send``, and so through that app's middleware.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qsl

from headgate.dialects import Dialect
from headgate.errors import RequestError
from headgate.sinks import ClientGone, ClientStalledError, SendSink, Sink, TransportSink

if TYPE_CHECKING:
    from headgate.channel import Channel

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Iterable[tuple[str, str]]

EXTENSION: Final = "headgate.connection"
"""Key in ``scope["extensions"]`` under which our server offers its connection."""
QUERY_FIELDS_MAX: Final = 32
ANSWER_STALL_S: Final = 60.0
"""For answers that no configured deadline is handed to: errors, metrics and the like."""


class Answer(NamedTuple):
    """A whole answer, whichever way it leaves."""

    status: int
    headers: Headers
    body: bytes


def error_answer(dialect: Dialect, error: RequestError) -> Answer:
    """What a caller is told of an error, in the words of its dialect."""
    headers = (("content-type", dialect.error_media_type), *error.headers.items())
    return Answer(error.status, headers, dialect.error_body(error))


def query_of(scope: Scope) -> dict[str, str]:
    """Query parameters of a request; the last of several counts. Raises `RequestError`."""
    query = scope["query_string"].decode("latin-1")
    try:
        return dict(parse_qsl(query, keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX))
    except ValueError:
        raise RequestError("invalid_request", "The query string cannot be read.") from None


class Exchange:
    """A request to read and an answer to give, once."""

    __slots__ = (
        "_channel",
        "_headers",
        "_receive",
        "_scope",
        "_send",
        "_sink",
        "_watcher",
        "also",
        "method",
        "mount",
        "path",
        "started",
        "status",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        self.path = path
        """Path below the place this app is mounted at."""
        self.method: str = scope["method"]
        self.mount: str = scope.get("root_path", "")
        """Path of that place, without a slash at its end; empty for the root."""
        self.also: Headers = ()
        """Headers of whatever is answered, beside its own."""
        self.started = False
        """The status line has left."""
        self.status = 0
        self._scope = scope
        self._receive = receive
        self._send = send
        self._channel: Channel | None = (scope.get("extensions") or {}).get(EXTENSION)
        self._watcher: asyncio.Task[None] | None = None
        self._headers: dict[bytes, bytes] | None = None
        self._sink: Sink | None = None

    def header(self, name: bytes) -> str | None:
        """The first value of a header, by its lower-case name."""
        if self._headers is None:
            self._headers = dict(reversed(self._scope["headers"]))
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    def query(self) -> dict[str, str]:
        """Query parameters; the last of several counts. Raises `RequestError`."""
        return query_of(self._scope)

    async def body(self, *, bytes_max: int, timeout_s: float) -> bytes:
        """The whole body. Raises `RequestError` ``body_too_large``, ``request_timeout``; `ClientGone`."""
        too_large = RequestError(
            "body_too_large", f"The request body is over {bytes_max} bytes.", headers={"connection": "close"}
        )
        length = self.header(b"content-length")
        if length is not None and length.isdecimal() and int(length) > bytes_max:
            raise too_large
        message = await self._receive_within(timeout_s)
        data: bytes = message.get("body", b"")
        if message.get("more_body", False):
            pieces, size = [data], len(data)
            deadline = asyncio.get_running_loop().time() + timeout_s
            while message.get("more_body", False):
                message = await self._receive_within(deadline - asyncio.get_running_loop().time())
                pieces.append(message.get("body", b""))
                size += len(pieces[-1])
                if size > bytes_max:
                    raise too_large
            data = b"".join(pieces)
        if len(data) > bytes_max:
            raise too_large
        return data

    def on_disconnect(self, callback: Callable[[], None]) -> None:
        """Call back, once, when the client goes away. The body must have been read."""
        if self._channel is not None:
            self._channel.on_lost(callback)
        else:
            self._watcher = asyncio.create_task(self._watch(callback))

    async def answer(self, status: int, headers: Headers, body: bytes, *, stall_s: float = ANSWER_STALL_S) -> None:
        """The whole answer at once. Raises `ClientStalledError` if the client takes nothing of it for `stall_s`."""
        if status != 204:
            headers = (*headers, ("content-length", str(len(body))))
        messages = (self._head(status, headers), {"type": "http.response.body", "body": body, "more_body": False})
        if self._channel is not None:
            await self._channel.send_at_once(self._send, messages)
            if self._channel.write_paused:
                await self._drain(self._channel, stall_s)
            return
        for message in messages:
            await self._send(message)

    async def _drain(self, channel: Channel, stall_s: float) -> None:
        try:
            await channel.drain(stall_s)
        except ClientStalledError:
            channel.abort()
            raise

    async def open_stream(self, headers: Headers, *, wake: Callable[[], None], stall_s: float) -> Sink:
        """Send the head of a chunked answer, once; the sink takes the rest."""
        if self._sink is not None:
            return self._sink
        await self._send(self._head(200, headers))
        if self._channel is not None:
            self._sink = TransportSink(self._channel, self._end, stall_s=stall_s)
        else:
            self._sink = SendSink(self._send, wake, stall_s=stall_s)
        return self._sink

    @property
    def torn(self) -> bool:
        """Cancelled in the middle of sending: nobody knows what of it has left, so nothing may follow."""
        sink = self._sink
        return sink.torn if isinstance(sink, SendSink) else self.started and sink is None

    @property
    def was_cut(self) -> bool:
        """The connection is gone, so nothing has to be raised to make its server cut it."""
        return self._channel is not None and self._channel.transport.is_closing()

    def close(self) -> None:
        """The answer is given, or nobody is there to take it."""
        self._sink = None
        if self._watcher is not None:
            self._watcher.cancel()
        if self._channel is not None:
            self._channel.on_lost(None)
            self._channel.release()

    async def _end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def _head(self, status: int, headers: Headers) -> dict[str, Any]:
        self.started = True
        self.status = status
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (*headers, *self.also)]
        return {"type": "http.response.start", "status": status, "headers": raw}

    async def _receive_within(self, seconds: float) -> MutableMapping[str, Any]:
        if self._channel is not None and self._channel.body_complete:
            message = await self._receive()
        else:
            try:
                async with asyncio.timeout(max(seconds, 0.001)):
                    message = await self._receive()
            except TimeoutError:
                raise RequestError(
                    "request_timeout", "The request body did not arrive in time.", headers={"connection": "close"}
                ) from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        return message

    async def _watch(self, callback: Callable[[], None]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        callback()
