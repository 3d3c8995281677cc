"""What runs on one WebSocket: responses in lanes, one at a time in each, any number of lanes side by side.

A lane is what the client calls it (``stream_id``, none for the first); requests of one lane are answered in the order
in which they came, and everything said about them carries its name. Cancelling does not wait for its turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from headgate.api import conversation
from headgate.api.creation import GetHeader, leave, read
from headgate.api.responses import asked_dialect, asked_encoder, check_cursors, check_expressible, stop
from headgate.delivery import Departure, parse_cursor
from headgate.dialects import Dialect, StreamEncoder, client_dialects
from headgate.dialects.openai_responses import OPENAI_RESPONSES
from headgate.errors import RequestError, StoreError, store_unavailable
from headgate.gateway import Gateway
from headgate.log import Log
from headgate.reader import Broken, StreamReader
from headgate.sinks import ClientGone, ClientStalledError, MessageSink
from headgate.telemetry.logs import fields, logger


class _Head(msgspec.Struct, gc=False):
    """What has to be known of a message before it is its turn."""

    type: str = ""
    stream_id: str = ""


_read_head: Final = msgspec.json.Decoder(_Head).decode

WAITING_MAX: Final = 64
"""Requests of one connection that wait for their turn, in all lanes."""
LANES_MAX: Final = 32
"""Lanes of one connection that are busy at once: HTTP clients have about as many connections."""
NAME_CHARS_MAX: Final = 128

FOLLOW_FIELDS: Final[tuple[str, ...]] = ("dialect", "after", "after_frames", "include_usage", "extensions")
"""Of ``response.follow``: what the query says in its HTTP twin."""

_CLIENTS: Final = client_dialects()
_OURS: Final = frozenset({"type", "stream_id", "stream"})

Say = Callable[[bytes], Awaitable[None]]

_logger = logger("lanes")


class CutError(Exception):
    """What is being streamed cannot be completed: the connection has to be closed as a failure."""


class Lanes:
    """The lanes of one connection. Set `tasks` before the first `take`."""

    tasks: asyncio.TaskGroup

    def __init__(self, gateway: Gateway, owner: str, say: Say, header: GetHeader) -> None:
        """`header` gives those of the handshake, which count for every request on the connection."""
        self._gateway = gateway
        self._owner = owner
        self._say = say
        self._header = header
        self._waiting: dict[str, deque[bytes]] = {}
        self._waiting_bytes = 0
        self._readers: set[StreamReader] = set()
        self._gone = False
        self._why = Departure.CLIENT

    def disconnect(self, why: Departure = Departure.CLIENT) -> None:
        """The client left, or is cut off: its readers with it; what waited for its turn is not begun."""
        self._gone = True
        self._why = why
        self._waiting_bytes = 0
        for waiting in self._waiting.values():
            waiting.clear()
        for reader in tuple(self._readers):
            reader.disconnect()

    async def take(self, data: bytes) -> None:
        """One message of the client."""
        lane = ""
        try:
            head = _head(data)
            lane = head.stream_id
            match head.type:
                case "response.cancel":
                    await self._cancel(_read(data))
                case "response.create" | "response.follow":
                    self._enqueue(lane, data)
                case kind:
                    known = "response.create, response.follow, response.cancel"
                    raise RequestError(
                        "invalid_request", f"There is no message {kind!r}. There are: {known}.", param="type"
                    )
        except (RequestError, StoreError) as error:
            await self._refuse(error, lane)

    async def follower(self, response_id: str, query: dict[str, str]) -> StreamReader:
        """A reader of a response that exists, attached, from the cursor in `query`. Raises `RequestError`."""
        log = await self._gateway.hub.find(response_id, self._owner)
        dialect = asked_dialect(query)
        check_cursors(query, query.get("after"))
        cursor = parse_cursor(query["after"], last_seq=log.committed_seq) if query.get("after") else 0
        encoder = asked_encoder(query, dialect, end_marker=False)  # to its SDK every message is an event
        if cursor or "after_frames" in query:
            self._gateway.metrics.counter("headgate_resumes_total", dialect.name).inc()
        started = await self._gateway.hub.started(log)
        check_expressible(dialect, started)
        reader = self._reader(log, dialect, encoder, cursor=cursor)
        self._gateway.disconnects.forget(log.id)
        return reader

    async def run(self, reader: StreamReader, lane: str = "", *, resumable: bool, greeting: bytes = b"") -> None:
        """`greeting`, and everything an attached reader has to say. Raises `CutError` if it cannot be said."""
        gateway = self._gateway
        sink = MessageSink(lambda message: self._say(_named(message, lane)), reader.wake)
        self._readers.add(reader)
        gateway.stream_opened(reader)
        try:
            if self._gone:
                reader.disconnect()
            if greeting and not reader.lost:
                await gateway.journal.flush()  # law 1: an id that is told can be followed
                if reader.broken:
                    raise Broken
                await self._say(_named(greeting, lane))
            await reader.run(sink)
            if not reader.lost:
                await sink.end()
        except ClientGone:
            await asyncio.sleep(0)  # whoever listens may know why
            reader.disconnect()
        except asyncio.CancelledError:
            reader.cancelled = True
            raise
        except (Broken, ClientStalledError) as error:
            if isinstance(error, ClientStalledError):
                gateway.metrics.counter("headgate_client_stalls_total").inc()
            reader.disconnect()
            raise CutError from error
        finally:
            self._readers.discard(reader)
            gateway.stream_closed(reader)
            leave(gateway, reader.log, reader, resumable=resumable, why=self._why)

    def _enqueue(self, lane: str, message: bytes) -> None:
        waiting = self._waiting.get(lane)
        if waiting is None and len(self._waiting) >= LANES_MAX:
            raise RequestError("overloaded", f"The connection has {LANES_MAX} lanes already.", param="stream_id")
        if sum(len(jobs) for jobs in self._waiting.values()) >= WAITING_MAX:
            raise RequestError("overloaded", f"{WAITING_MAX} requests of this connection are waiting already.")
        if self._waiting_bytes and self._waiting_bytes + len(message) > self._gateway.config.server.body_bytes_max:
            raise RequestError("overloaded", "The requests of this connection that are waiting are too large together.")
        self._waiting_bytes += len(message)
        if waiting is not None:
            waiting.append(message)
            return
        self._waiting[lane] = deque([message])
        self.tasks.create_task(self._work(lane))

    async def _work(self, lane: str) -> None:
        """Answer what waits in a lane, in order, until nothing does."""
        waiting = self._waiting[lane]
        while waiting and not self._gone:
            data = waiting.popleft()
            self._waiting_bytes -= len(data)
            try:
                message = _read(data)
                del data
                if message["type"] == "response.create":
                    reader, greeting = await self._create(message)
                    await self.run(reader, lane, resumable=self._header(b"headgate-resume") == "1", greeting=greeting)
                else:
                    await self.run(await self._join(message), lane, resumable=True)
            except (RequestError, StoreError) as error:
                await self._refuse(error, lane)
        del self._waiting[lane]

    async def _create(self, message: dict[str, Any]) -> tuple[StreamReader, bytes]:
        name = message.get("dialect", OPENAI_RESPONSES.name)
        dialect = _CLIENTS.get(name) if isinstance(name, str) else None
        if dialect is None:
            known = ", ".join(sorted(_CLIENTS))
            raise RequestError("invalid_request", f"There is no dialect {name!r}. There are: {known}.", param="dialect")
        own = {key: value for key, value in message.items() if key not in _OURS}
        body = msgspec.json.encode(message.get("body") if "dialect" in message else own)
        model = message.get("model")
        request = read(dialect, body, self._header, model=model if isinstance(model, str) else "", stream=True)
        request = msgspec.structs.replace(request, stream=True)
        if conversation.goes_on(request):
            request = await conversation.continued(self._gateway, request, self._owner)
        log = self._gateway.create(request, self._owner)
        reader = self._reader(log, dialect, asked_encoder({}, dialect, end_marker=False))
        if "dialect" not in message:
            return reader, b""  # its frames say which response they are of
        return reader, msgspec.json.encode({"type": "headgate.created", "response_id": log.id})

    async def _join(self, message: dict[str, Any]) -> StreamReader:
        query: dict[str, str] = {
            key: str(message[key]).lower() for key in FOLLOW_FIELDS if message.get(key) is not None
        }
        return await self.follower(_text(message, "response_id"), query)

    async def _cancel(self, message: dict[str, Any]) -> None:
        """Readers of the response see its end; nothing else is said."""
        await stop(self._gateway, await self._gateway.hub.find(_text(message, "response_id"), self._owner))

    def _reader(self, log: Log, dialect: Dialect, encoder: StreamEncoder, *, cursor: int = 0) -> StreamReader:
        reader = StreamReader(
            log,
            encoder,
            cursor=cursor,
            expresses_retraction=dialect.expresses_retraction,
            heartbeat=b"",  # the connection has pings of its own
            read_rows=self._gateway.read_rows,
        )
        reader.attach()
        return reader

    async def _refuse(self, error: RequestError | StoreError, lane: str) -> None:
        """An error as the Responses dialect has it on a WebSocket."""
        if isinstance(error, StoreError):
            _logger.error("the store cannot be read", extra=fields(error=str(error)))
            error = store_unavailable("The gateway's store cannot be read.")
        body = msgspec.json.decode(OPENAI_RESPONSES.error_body(error))
        shown = {"type": "error", "status": error.status, "error": body["error"]}
        try:
            await self._say(_named(msgspec.json.encode(shown), lane))
        except ClientGone:
            self.disconnect()
        except ClientStalledError as stalled:
            raise CutError from stalled


def _read(data: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError("invalid_json", f"The message is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise RequestError("invalid_request", "A message must be a JSON object.")
    return value


def _head(data: bytes) -> _Head:
    try:
        head = _read_head(data)
    except msgspec.ValidationError as error:
        raise RequestError("invalid_request", f"A message is an object with a 'type': {error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError("invalid_json", f"The message is not JSON: {error}") from None
    if len(head.stream_id) > NAME_CHARS_MAX:
        text = f"'stream_id' must be a string of at most {NAME_CHARS_MAX} characters."
        raise RequestError("invalid_request", text, param="stream_id")
    return head


def _text(message: dict[str, Any], field: str) -> str:
    value = message.get(field, "")
    if not isinstance(value, str) or len(value) > NAME_CHARS_MAX:
        raise RequestError(
            "invalid_request", f"'{field}' must be a string of at most {NAME_CHARS_MAX} characters.", param=field
        )
    return value


def _named(message: bytes, lane: str) -> bytes:
    """A message with its lane's name in it."""
    if not lane:
        return message
    name = msgspec.json.encode(lane)
    if message.startswith(b"{") and message != b"{}":
        return message[:-1] + b',"stream_id":' + name + b"}"
    return b'{"data":%b,"stream_id":%b}' % (message, name)
