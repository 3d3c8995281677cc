"""One client's connection: h11 says what is legal, scripts say what to send and when.

Steps are due at times counted from the request, so pacing does not drift: whatever is due leaves in one write, late
or not. There is one timer per answer and no task. A client that does not read pauses its script.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from typing import Final, Protocol, assert_never, cast

import h11

from headgate.simulator.config import SimulatorConfig
from headgate.simulator.dialect import Dialect
from headgate.simulator.routes import SENDERS, Request, Stats, answer, refuse
from headgate.simulator.steps import SILENCE_S, Abort, Close, Delimit, End, Head, Step, Wait, Write
from headgate.simulator.writer import Problem

HEADER_BYTES_MAX: Final = 64 * 1024
"""Request line and headers; above this 431."""
BODY_BYTES_MAX: Final = 16 * 1024 * 1024
"""Request body; above this 413."""
EARLY_BYTES_MAX: Final = 1024 * 1024
"""What a client may send ahead of the answer it is waiting for."""
REQUEST_WAIT_S: Final = 75.0
"""How long a connection may be idle, and how long a body may take once its headers are there."""
LINGER_S: Final = 5.0
"""How long a refused client may go on sending before its connection is dropped."""
WRITE_STALL_S: Final = SILENCE_S
"""How long a client may read nothing: as long as the simulator itself may send nothing."""
FLUSH_BYTES: Final = 64 * 1024
"""A flood is written in pieces of about this size, with a turn of the loop between them."""
_LINGER_NONE: Final = struct.pack("ii", 1, 0)


class House(Protocol):
    """What a connection shares with the others."""

    config: SimulatorConfig
    stats: Stats

    def joined(self, connection: Connection) -> None: ...
    def left(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """HTTP/1.1 on one socket, one request at a time."""

    _transport: asyncio.Transport

    def __init__(self, house: House) -> None:
        self._house = house
        self._loop = asyncio.get_running_loop()
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEADER_BYTES_MAX)
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._early = 0
        self._script: Iterator[Step] | None = None
        self._counted = False
        self._due = 0.0
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._raw = False
        self._deaf = False
        self._paused = False
        self._timer: asyncio.TimerHandle | None = None

    # -- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._house.joined(self)
        self._abort_in(REQUEST_WAIT_S)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._script is not None:
            self._early += len(data)
            if self._early > EARLY_BYTES_MAX:
                self.abort()
                return
        self._http.receive_data(data)
        if self._script is None:
            self._read()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        if self._script is not None:
            self._house.stats.aborts += self._counted
            self._finish_script()
        self._house.left(self)

    def pause_writing(self) -> None:
        self._paused = True
        self._abort_in(WRITE_STALL_S)

    def resume_writing(self) -> None:
        self._paused = False
        if self._script is not None:
            self._play()

    def abort(self) -> None:
        """Drop the connection at once, for a reason of our own."""
        if self._script is not None:
            self._finish_script()
        self._transport.abort()

    # -- requests

    def _read(self) -> None:
        """Read on until a request is complete or more bytes are needed."""
        try:
            while self._script is None and not self._transport.is_closing():
                event = self._http.next_event()
                if isinstance(event, h11.Request):
                    self._request = event
                    self._abort_in(REQUEST_WAIT_S)
                    if self._http.they_are_waiting_for_100_continue:
                        self._send(h11.InformationalResponse(status_code=100, headers=[]))
                elif isinstance(event, h11.Data):
                    self._body += event.data
                    if len(self._body) > BODY_BYTES_MAX:
                        self._refuse(413, f"The request body is over {BODY_BYTES_MAX} bytes.")
                elif isinstance(event, h11.EndOfMessage):
                    self._answer()
                else:  # more bytes are needed, or the client closed
                    return
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint, str(error))

    def _answer(self) -> None:
        assert self._request is not None
        headers = self._request.headers
        simulate = b",".join(value for name, value in headers if name == b"x-simulate")
        request = Request(
            self._request.method.decode("ascii"),
            self._request.target.decode("ascii"),
            simulate.decode("latin-1"),
            bytes(self._body),
            sender=next((SENDERS[name] for name, _ in headers if name in SENDERS), Dialect.CHAT),
        )
        self._body.clear()
        if request.counted:
            self._house.stats.requests += 1
        self._start(answer(request, self._house.config, self._house.stats), counted=request.counted)

    def _refuse(self, status: int, message: str) -> None:
        """Answer what cannot be read any further; h11 will not let the connection live on."""
        self._body.clear()
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._start(refuse(Problem(status, message)), counted=False)
        else:
            self._transport.close()

    # -- answers

    def _start(self, script: Iterator[Step], *, counted: bool) -> None:
        self._script, self._counted, self._early = script, counted, 0
        self._house.stats.open += counted
        self._due = self._loop.time()
        self._cancel_timer()
        if self._paused:
            self._abort_in(WRITE_STALL_S)
        self._play()

    def _play(self) -> None:
        """Take all steps that are due, then set the timer for the next one."""
        now = self._loop.time()
        while self._script is not None and not self._paused and not self._transport.is_closing():
            if self._due > now:
                self._flush()
                self._play_at(self._due)
                return
            if self._out_bytes >= FLUSH_BYTES:
                self._flush()
                self._play_at(now)
                return
            match step := next(self._script):
                case Write(data, tokens):
                    self._out.append(data)
                    self._out_bytes += len(data)
                    self._house.stats.tokens += tokens
                case Wait(seconds):
                    self._due += seconds
                    if not seconds:
                        self._flush()
                        self._play_at(now)
                        return
                case Head():
                    self._head(step)
                case End() | Close() | Abort():
                    self._flush()
                    self._finish_script()
                    self._over(step)
                case _:
                    assert_never(step)

    def _head(self, head: Head) -> None:
        if head.delimit is Delimit.CLOSE:
            lines = (f"{name}: {value}\r\n" for name, value in (*head.headers, ("connection", "close")))
            self._raw = True
            self._write(f"HTTP/1.1 {head.status} OK\r\n{''.join(lines)}\r\n".encode("latin-1"))
        else:
            self._send(h11.Response(status_code=head.status, headers=list(head.headers), reason=b""))

    def _flush(self) -> None:
        """Write what has gathered: one HTTP chunk, where the body is chunked."""
        data = b"".join(self._out)
        self._out.clear()
        self._out_bytes = 0
        if not data or (self._request is not None and self._request.method == b"HEAD"):
            return
        if self._raw:
            self._write(data)
        else:
            self._send(h11.Data(data=data))

    def _over(self, last: End | Close | Abort) -> None:
        """The answer is over: take the next request, or close."""
        if isinstance(last, Abort):
            self._reset()
        elif isinstance(last, End) and not self._raw:
            self._send(h11.EndOfMessage())
            if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
                self._http.start_next_cycle()
                self._request = None
                self._abort_in(REQUEST_WAIT_S)
                self._loop.call_soon(self._read)
                return
            if self._http.their_state is h11.SEND_BODY and self._transport.can_write_eof():
                self._deaf = True  # closing on a client that still sends would reset it before it has read why
                self._transport.write_eof()
                self._abort_in(LINGER_S)
                return
        self._abort_in(WRITE_STALL_S)
        self._transport.close()

    def _reset(self) -> None:
        """Let closing send RST in place of FIN."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)

    def _finish_script(self) -> None:
        self._script = None
        self._house.stats.open -= self._counted

    def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self._write(data)

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    # -- the one timer

    def _play_at(self, when: float) -> None:
        if not self._paused:
            self._cancel_timer()
            self._timer = self._loop.call_at(when, self._play)

    def _abort_in(self, seconds: float) -> None:
        self._cancel_timer()
        self._timer = self._loop.call_later(seconds, self.abort)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
