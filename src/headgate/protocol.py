"""One client connection: uvicorn's protocol class, with what it leaves open, and a way around ASGI.

`HeadgateProtocol` adds a limit on header bytes, a deadline for the first request, and word of a lost connection at
the moment it is lost. It offers the connection to the app as an ASGI extension (`channel.Channel`), so that a stream is
written to the socket itself. And what comes most, complete requests for a new response, goes to `api.direct` as a
`channel.Turn`, without ASGI. Everything unusual takes uvicorn's ordinary path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from headgate.api.exchange import EXTENSION
from headgate.channel import Channel, Line, Turn
from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.errors import RequestError
from headgate.sinks import BUFFER_BYTES_MAX

if TYPE_CHECKING:
    from headgate.api.direct import Direct

HEADER_BYTES_MAX: Final = 64 * 1024
"""Of one request's head. Longer ones get 431."""
PATIENCE_S: Final = 0.05
"""How long a head waits for the rest of its body before it takes the ordinary path; clients send both at once, or nearly."""

_MALFORMED: Final = RequestError("invalid_request", "This is not a well-formed HTTP request.")
_HEAD_TOO_LARGE: Final = RequestError("headers_too_large", f"The request headers are over {HEADER_BYTES_MAX} bytes.")
_STATUS_LINES: Final = {400: b"HTTP/1.1 400 Bad Request", 431: b"HTTP/1.1 431 Request Header Fields Too Large"}


class HeadTooLargeError(Exception):
    """Stops the parser inside a head that is over the limit."""


class _Waiting:
    """A head that may be answered without ASGI, waiting for its body."""

    __slots__ = ("headers", "keep_alive", "pieces", "size", "target", "timer")

    def __init__(self, target: bytes, headers: list[tuple[bytes, bytes]], *, keep_alive: bool) -> None:
        self.target = target
        self.headers = headers
        self.keep_alive = keep_alive
        self.pieces: list[bytes] = []
        self.size = 0
        self.timer: asyncio.TimerHandle | None = None


class HeadgateProtocol(HttpToolsProtocol):
    """One client connection."""

    header_timeout_s = 20.0
    direct: Direct | None = None
    """Who answers without ASGI."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lost = False
        """The client is gone."""
        self.owner: Line | None = None
        """The request whose callbacks these are: its answer is being written."""
        self.on_lost: Callable[[], None] | None = None
        self.on_pause: Callable[[bool], None] | None = None
        self._unclaimed_bytes = 0  # received since the parser last completed something: a head or trailers, so far
        self._head_bytes_max = 0  # no head that completes inside this read can have more
        self._in_head = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._upgraded = False  # the connection is a WebSocket now, and another protocol's
        self._waiting: _Waiting | None = None
        self._turn: tuple[Turn, _Waiting] | None = None  # complete, and taken up once the parser has returned

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=BUFFER_BYTES_MAX)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._end_head()
        self._stop_waiting()
        super().connection_lost(exc)
        callback, self.on_lost = self.on_lost, None
        if callback is not None:
            callback()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._unclaimed_bytes += len(data)
        self._head_bytes_max = self._unclaimed_bytes
        super().data_received(data)
        if self._turn is not None:
            self._take_turn()
        if self.transport.is_closing() or self._upgraded:
            return
        if self._unclaimed_bytes > HEADER_BYTES_MAX:
            self._refuse(_HEAD_TOO_LARGE)
        elif self._in_head:
            if self._head_timer is None:
                self._await_head()
        elif self._waiting is not None:
            if self._waiting.timer is None:
                self._waiting.timer = self.loop.call_later(PATIENCE_S, self._go_the_ordinary_way)
        elif self._is_between_requests() and self.timeout_keep_alive_task is None and self._head_timer is None:
            self._await_head()  # line ends, or the rest of a body nobody reads: uvicorn's timer is gone, ours is not

    def on_message_begin(self) -> None:
        self._in_head = True
        self.url = b""
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._head_timer is not None:
            self._end_head()
        self._unclaimed_bytes = 0
        if self._head_bytes_max > HEADER_BYTES_MAX:
            size = len(self.url) + sum([len(name) + len(value) for name, value in self.headers])
            if size > HEADER_BYTES_MAX:
                self._refuse(_HEAD_TOO_LARGE)
                raise HeadTooLargeError
        self._waiting = self._waits()
        if self._waiting is None:
            self._begin_cycle()

    def on_body(self, body: bytes) -> None:
        self._unclaimed_bytes = 0
        waiting = self._waiting
        if waiting is None:
            super().on_body(body)
            return
        waiting.pieces.append(body)
        waiting.size += len(body)
        if self.direct is None or waiting.size > self.direct.body_bytes_max:
            self._go_the_ordinary_way()

    def on_message_complete(self) -> None:
        self._unclaimed_bytes = 0
        waiting = self._waiting
        if waiting is None:
            super().on_message_complete()
            return
        self._waiting = None
        if waiting.timer is not None:
            waiting.timer.cancel()
        turn = Turn(self, keep_alive=waiting.keep_alive)
        self.cycle = turn  # type: ignore[assignment]
        self._turn = turn, waiting

    def _waits(self) -> _Waiting | None:
        """This request, if it may be answered without ASGI once it is complete."""
        direct = self.direct
        if direct is None or (self.cycle is not None and not self.cycle.response_complete):
            return None
        if not direct.takes(self.url, self.headers):
            return None
        parser = self.parser
        if parser.get_method() != b"POST" or parser.get_http_version() != "1.1":
            return None
        if self.transport.is_closing() or parser.should_upgrade():
            return None
        return _Waiting(self.url, self.headers, keep_alive=parser.should_keep_alive())

    def _begin_cycle(self) -> None:
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url, self.headers = url, headers
        self.scope["headers"] = headers
        self.expect_100_continue = any(
            name == b"expect" and value.lower() == b"100-continue" for name, value in headers
        )
        super().on_headers_complete()
        if self.parser.should_upgrade() and self._should_upgrade():
            return  # a WebSocket's handshake is no request of ours
        self.scope["extensions"] = {EXTENSION: Channel(self, self.cycle)}  # type: ignore[dict-item]

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over. Not while an answer is under way on it: the two would be mixed."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
            return
        self._end_head()
        self._upgraded = True
        super().handle_websocket_upgrade()

    def _go_the_ordinary_way(self) -> None:
        """The body is large or late: let uvicorn have the request."""
        waiting = self._waiting
        if waiting is not None:
            self._stop_waiting()
            self._begin_cycle()
            super().on_body(b"".join(waiting.pieces))

    def _stop_waiting(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and waiting.timer is not None:
            waiting.timer.cancel()

    def _take_turn(self) -> None:
        """Outside of the parser's callbacks, which must not be entered again."""
        assert self._turn is not None
        (turn, waiting), self._turn = self._turn, None
        if self.transport.is_closing():  # what came behind it broke HTTP
            turn.disconnected = True
            return
        assert self.direct is not None
        self.direct.take(turn, waiting.target, waiting.headers, b"".join(waiting.pieces))

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.on_pause is not None:
            self.on_pause(True)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.on_pause is not None:
            self.on_pause(False)

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():
            self._refuse(_MALFORMED)

    def timeout_keep_alive_handler(self) -> None:
        """The connection was idle for too long: close it, and cut it if it has not even taken its last answer."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def _is_between_requests(self) -> bool:
        return self.cycle is not None and self.cycle.response_complete and not self.pipeline

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.header_timeout_s, self._head_is_late)

    def _end_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, error: RequestError) -> None:
        """Answer what the router never sees, unless an answer is under way: then the connection is all there is to refuse."""
        cycle: RequestResponseCycle | Turn | None = self.cycle
        begun = cycle is not None and (isinstance(cycle, Turn) or cycle.response_started)
        if cycle is None or cycle.response_complete or not begun:
            dialect = OPENAI_CHAT if self.direct is None else self.direct.dialects.get(self.url, OPENAI_CHAT)
            body = dialect.error_body(error)
            head = b"%b\r\ncontent-type: application/json\r\nconnection: close\r\n" % _STATUS_LINES[error.status]
            self.transport.write(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))
        self.transport.close()
