"""Creations answered on our own server's connection itself: no ASGI messages, no task, no parked coroutine.

What is done is `creation`'s, with the same readers, encoders and answers. What differs is who waits: there a coroutine
parks until the reader wakes it, here the reader calls back, and the answer leaves in the loop iteration that committed
it. A reader that falls behind its client goes on in a coroutine, as it would have there.

`protocol.HeadgateProtocol` decides what comes here: complete requests with nothing unusual about them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from headgate.api import conversation
from headgate.api.callers import Callers
from headgate.api.creation import (
    failed,
    leave,
    pending,
    read,
    require_json,
    stream_headers,
    stream_reader,
    wanted_shape,
    whole,
)
from headgate.api.exchange import Answer, Headers, error_answer
from headgate.dialects import ClientDialect
from headgate.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.dialects.openai_responses import OPENAI_RESPONSES
from headgate.dialects.transport import NDJSON, Shape
from headgate.errors import RequestError, StoreError, store_unavailable
from headgate.gateway import Gateway
from headgate.log import Log
from headgate.reader import Broken, WholeReader
from headgate.request import CreateRequest
from headgate.sinks import ClientStalledError, TransportSink
from headgate.telemetry.logs import fields, logger

if TYPE_CHECKING:
    from headgate.channel import Turn

BODY_BYTES_MAX: Final = 64 * 1024
"""Larger bodies take the ordinary path: they come in many reads, and waiting for them is its business."""

_UNUSUAL: Final = frozenset({b"origin", b"expect", b"upgrade"})
"""Headers of requests that need what only the ordinary path has; CORS is one."""

Count = Callable[[str, int], None]
"""Counts a request, by endpoint and status."""

_logger = logger("direct")


class Direct:
    """Answers complete requests for new responses."""

    def __init__(self, gateway: Gateway, callers: Callers, count: Count) -> None:
        self.gateway = gateway
        self.dialects: dict[bytes, ClientDialect] = {
            b"/v1/chat/completions": OPENAI_CHAT,
            b"/v1/responses": OPENAI_RESPONSES,
            b"/v1/messages": ANTHROPIC_MESSAGES,
        }
        """By request target, to the byte: any other spelling of it takes the ordinary path."""
        self.body_bytes_max = min(BODY_BYTES_MAX, gateway.config.server.body_bytes_max)
        self._callers = callers
        self._count = count
        self._endpoints = {target: target.decode("ascii") for target in self.dialects}

    def takes(self, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """Whether a ``POST`` with this head may be answered here once it is complete. Whatever is unusual about it may not."""
        if target not in self.dialects:
            return False
        for name, value in headers:
            if name in _UNUSUAL:
                return False
            if name == b"content-length" and int(value) > self.body_bytes_max:
                return False
        return True

    def take(self, turn: Turn, target: bytes, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        """Answer one request, now or later. Never raises."""
        given = dict(reversed(headers))

        def header(name: bytes) -> str | None:
            value = given.get(name)
            return None if value is None else value.decode("latin-1")

        request = Request(self, turn, target, resumable=given.get(b"headgate-resume") == b"1")
        try:
            owner = self._callers.identify(header)
            require_json(header(b"content-type"))
            asked = read(request.dialect, body, header)
            if asked.stream:
                request.shape = wanted_shape(request.dialect, header)
            if asked.background or conversation.goes_on(asked):
                turn.spawn(self._look_up(request, asked, owner))
                return
            self._begin(request, asked, owner)
        except Exception as error:  # noqa: BLE001  told to the client, and to our log where it is a fault of ours
            request.refuse(error)

    async def _look_up(self, request: Request, asked: CreateRequest, owner: str) -> None:
        """A request that needs the store before it can be answered, or is answered from it."""
        try:
            if conversation.goes_on(asked):
                asked = await conversation.continued(self.gateway, asked, owner)
            if not asked.background or asked.stream:
                self._begin(request, asked, owner)
            else:
                request.answer(await conversation.shown(self.gateway, self.gateway.create(asked, owner)))
        except Exception as error:  # noqa: BLE001  as above
            request.refuse(error)

    def _begin(self, request: Request, asked: CreateRequest, owner: str) -> None:
        log = self.gateway.create(asked, owner)
        if asked.stream:
            _Streamed(request, log)
        else:
            _Whole(request, log)

    def done(self, target: bytes, status: int) -> None:
        self._count(self._endpoints[target], status)


class Request:
    """One request, until it is answered."""

    __slots__ = ("_direct", "_target", "dialect", "gateway", "resumable", "shape", "status", "turn")

    def __init__(self, direct: Direct, turn: Turn, target: bytes, *, resumable: bool) -> None:
        self.turn = turn
        self.dialect = direct.dialects[target]
        self.shape: Shape = NDJSON  # of a stream; settled once it is known that it is one
        self.gateway = direct.gateway
        self.resumable = resumable
        self.status = 0
        self._direct = direct
        self._target = target

    def answer(self, answer: Answer) -> None:
        """Answer, and be done."""
        self.status = answer.status
        self.turn.answer(answer)
        self._answered()

    def answer_stream(self, headers: Headers, data: bytes) -> None:
        """Answer with a stream that is complete already, and be done."""
        self.turn.open(headers, data, ended=True)
        self._answered()

    def refuse(self, error: Exception) -> None:
        """Answer with an error, or cut what has begun already, and be done."""
        if isinstance(error, Broken):
            error = store_unavailable()
        elif isinstance(error, StoreError):
            _logger.error("the store cannot be read", extra=fields(error=str(error)))
            error = store_unavailable("The gateway's store cannot be read.")
        elif not isinstance(error, RequestError):
            _logger.error("fault in the gateway", exc_info=error, extra=fields(path=self._target.decode("ascii")))
            error = RequestError("internal", "A fault in the gateway; its log says more.")
        if self.turn.started:
            self.turn.abort()
            self.done()
        else:
            self.answer(error_answer(self.dialect, error))

    def done(self) -> None:
        self.turn.on_lost(None)
        self._direct.done(self._target, self.status)

    def _answered(self) -> None:
        if self.turn.write_paused:
            self.turn.spawn(self._see_it_taken())
        self.done()

    async def _see_it_taken(self) -> None:
        try:
            await self.turn.drain(self.gateway.config.server.write_stall_s)
        except ClientStalledError:
            self.stalled()

    def stalled(self) -> None:
        """The client takes nothing: cut it."""
        self.turn.abort()
        self.gateway.metrics.counter("headgate_client_stalls_total").inc()


class _Whole:
    """Waits for the end of a log and answers with its fold."""

    __slots__ = ("_log", "_reader", "_request", "_waited")

    def __init__(self, request: Request, log: Log) -> None:
        self._request = request
        self._log = log
        self._waited: asyncio.TimerHandle | None = None  # for a person's decision
        self._reader = WholeReader(log)
        self._reader.on_wake = self._look
        self._reader.attach()
        request.turn.on_lost(self._reader.disconnect)

    def _look(self) -> None:
        """Something happened: the log has ended, the client is gone, or the store failed."""
        request, reader, log = self._request, self._reader, self._log
        if log.terminal is None and not (reader.lost or reader.broken):
            if log.held is not None and self._waited is None:
                self._waited = request.turn.loop.call_later(log.hold_wait_s, self._give_up)
            return
        self._leave()
        try:
            if reader.lost:
                request.done()
            elif log.terminal is None:
                request.refuse(Broken())
            else:
                request.answer(whole(request.dialect, log, reader.fold, log.terminal))
        except Exception as error:  # noqa: BLE001  of ours, and this request's alone
            request.refuse(error)

    def _give_up(self) -> None:
        """A person has not decided in time: say where the answer will be."""
        if self._log.held is None:  # decided, and the end is near
            self._waited = None
            return
        self._leave()
        self._request.answer(pending(self._request.dialect, self._log, self._reader.fold))

    def _leave(self) -> None:
        """Detach, and let go of what holds this object."""
        self._reader.on_wake = None
        if self._waited is not None:
            self._waited.cancel()
        leave(self._request.gateway, self._log, self._reader, resumable=self._request.resumable)


class _Streamed:
    """Lets the head leave once there is something to say, and ends the body when the log has ended.

    In between the reader writes by itself.
    """

    __slots__ = ("_log", "_reader", "_request", "_sink", "_timer")

    def __init__(self, request: Request, log: Log) -> None:
        self._request = request
        self._log = log
        self._sink: TransportSink | None = None
        self._reader = stream_reader(request.gateway, request.dialect, log, request.shape)
        self._reader.on_wake = self._look
        self._reader.attach()
        commit_after_s = request.gateway.config.server.commit_after_s
        self._timer: asyncio.TimerHandle | None = request.turn.loop.call_later(commit_after_s, self._begin)
        request.turn.on_lost(self._reader.disconnect)

    def _look(self) -> None:
        """Something happened that the reader does not deal with by itself."""
        try:
            self._go_on()
        except Exception as error:  # noqa: BLE001  Broken, or a fault of ours that is this request's alone
            self._leave()
            self._request.refuse(error)

    def _go_on(self) -> None:
        reader, log = self._reader, self._log
        if reader.lost:
            self._leave()
            self._request.done()
        elif reader.broken:
            raise Broken
        elif self._sink is None and not log.opened:
            if log.terminal is None:
                return
            if log.terminal.status.successful:  # blocked before anything was generated
                self._begin()
            else:
                answer = failed(self._request.dialect, log, log.terminal, generated=False)
                self._leave()
                self._request.answer(answer)
        elif self._sink is None:
            self._begin()
        elif self._sink.paused or not (reader.at_tail or reader.done):
            reader.on_wake = None
            self._request.turn.spawn(self._follow(self._sink))
        elif reader.done:
            self._leave()
            self._request.turn.end()
            self._request.done()

    def _begin(self) -> None:
        """The head leaves, and what was held back for it."""
        request = self._request
        self._stop_timer()
        request.gateway.stream_opened(self._reader)
        request.status = 200
        stall_s = request.gateway.config.server.write_stall_s
        self._sink = TransportSink(request.turn, request.turn.finish, stall_s=stall_s)
        data = self._reader.follow_into(self._sink)
        headers = stream_headers(request.shape.media_type, self._log)
        if self._reader.done and not self._sink.paused:
            self._leave()
            request.answer_stream(headers, data)
        else:
            request.turn.open(headers, data)
            self._look()

    async def _follow(self, sink: TransportSink) -> None:
        """Go on for a client that is slower than the log."""
        try:
            await self._reader.run(sink)
            if not self._reader.lost:
                await sink.end()
        except Exception as error:  # noqa: BLE001  of ours, the store's or the client's, and this request's alone
            if isinstance(error, ClientStalledError):
                self._request.stalled()
            else:
                self._request.refuse(error)
                return
        finally:
            self._leave()
        self._request.done()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _leave(self) -> None:
        """Detach, and let go of what holds this object, so that nothing is left for the cyclic collector."""
        self._stop_timer()
        self._reader.on_wake = None
        self._request.gateway.stream_closed(self._reader)
        leave(self._request.gateway, self._log, self._reader, resumable=self._request.resumable)
