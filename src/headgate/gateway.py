"""The composition root: one gateway, its store, journal, hub, pools and metrics, and the life of a response in it.

    create -> Log + Producer -> (readers come and go) -> terminal -> forgotten, the store has it

Nothing here speaks HTTP; `api` and `app` do. Open it inside a running event loop, close it there.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from headgate import restart
from headgate.admission import Admission, Admitted
from headgate.audit import Audit
from headgate.clock import Clock
from headgate.config import Config, OnDisconnect, Route
from headgate.disconnects import Disconnects
from headgate.endings import INTERNAL
from headgate.errors import Failure, RequestError, StoreError, store_unavailable
from headgate.events import Entry, ResponseStarted
from headgate.governance.request.gate import RequestVerdict
from headgate.governor import Governor
from headgate.hub import Hub
from headgate.journal import Journal
from headgate.log import Log
from headgate.oversight import Oversight, audit_key_file
from headgate.positions import Place
from headgate.producer import TICK_S, Producer
from headgate.reader import StreamReader
from headgate.request import CreateRequest
from headgate.reviews import Reviews
from headgate.routing import Routing, named_models
from headgate.stores import Store, open_store
from headgate.stores.secret import Secret
from headgate.telemetry.account import Account
from headgate.telemetry.logs import fields, logger
from headgate.telemetry.metrics import Metrics
from headgate.telemetry.series import KnownModels
from headgate.tokens import estimate

UPKEEP_S: Final = 0.5
"""How often housekeeping looks: checkpoints, heartbeats, a failed store."""
IDLE_POLL_S: Final = 0.02
"""How often a drain looks whether it is done."""
EXPIRE_S: Final = 30.0
"""How often expired responses are looked for."""

_logger = logger("gateway")


class Gateway:
    """One gateway. `open` before use, `close` after; also an async context manager.

    `rest` (`time.sleep`) is given where the event loop is the gateway's alone; see `Journal`.
    """

    def __init__(
        self, config: Config, *, clock: Clock | None = None, rest: Callable[[float], None] | None = None
    ) -> None:
        self.config = config
        self.clock = clock or Clock()
        self.metrics = Metrics()
        self.draining = False
        self._config_version = config.version
        self._retention_s = config.store.retention_s
        self._open_responses_max = config.server.open_responses_max
        self._rest = rest
        self._is_open = False
        self._recovering = False  # the store failed, and what was in flight then has no end yet
        self.routing = Routing(config)
        self._models = KnownModels(self.metrics, named_models(config.routes))
        self._producers: dict[str, Producer] = {}
        self._streams: set[StreamReader] = set()
        self.errands: set[asyncio.Future[Any]] = set()
        """What is asked of providers beside responses."""
        self.disconnects = Disconnects(self._producers, self.metrics)
        self._tasks: list[asyncio.Task[None]] = []
        self._stack = contextlib.AsyncExitStack()

    @property
    def governor(self) -> Governor:
        """The policies in force."""
        return self.oversight.governor

    @property
    def reviews(self) -> Reviews:
        """What waits for a person."""
        return self.oversight.reviews

    # life

    async def open(self) -> None:
        """Open the store, end what a crash left behind, connect nothing yet. Raises `StoreError`, `ConfigError`."""
        if self._is_open:
            return
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()
            raise
        self._is_open = True

    async def _open(self) -> None:
        store = self.config.store
        self._loop = asyncio.get_running_loop()
        self._store: Store = open_store(store.url, durability=store.durability)
        self._stack.push_async_callback(self._store.close)
        commit_seconds = self.metrics.histogram("headgate_commit_seconds").observe
        self.audit = await Audit.open(self._store, audit_key_file(self.config), self.clock)
        self._stack.push_async_callback(self.audit.close)
        self.journal = Journal(
            self._store,
            audit=self.audit,
            on_commit_seconds=commit_seconds,
            on_failure=self._on_store_failure,
            rest=self._rest,
        )
        self.hub = Hub(self._store, self.journal, self, self.clock)
        self.link_secret = Secret(self._store, "links", self.clock.wall)
        self.oversight = Oversight(
            self.config, self._store, self.journal, self.hub, audit=self.audit, clock=self.clock, metrics=self.metrics
        )
        await self.routing.open(self._stack)
        self._admission = Admission(self.routing, self.oversight.governor, self.oversight.judges.ask)
        self._gauges()
        await self._store.record_config(self._config_version, self.config.public_json(), self.clock.wall())
        await self.oversight.open(self._stack)
        await self._recover()
        await self.journal.flush()
        await self.audit.checkpoint()  # from the first row on the log is signed
        sign = partial(self.audit.run, self.config.audit.checkpoint_s)
        self._tasks = [asyncio.create_task(job()) for job in (self._tick, self._upkeep, self._expire, sign)]

    async def close(self) -> None:
        """End what is in flight as interrupted, write it down, let go of everything."""
        if not self._is_open:
            return
        self.begin_drain()
        await self.interrupt_all()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.disconnects.close()
        await self._stack.aclose()
        self._is_open = False

    async def __aenter__(self) -> Gateway:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def begin_drain(self) -> None:
        """Take no new work; what is in flight goes on."""
        self.draining = True

    async def idle(self) -> None:
        """Until nothing is in flight and nobody is being streamed to."""
        while self._producers or self._streams or self.errands:  # noqa: ASYNC110  counted in many places; nobody waits but a drain
            await asyncio.sleep(IDLE_POLL_S)

    async def interrupt_all(self) -> None:
        """End every response that is in flight, as interrupted and retryable, and wait until that is written."""
        for producer in tuple(self._producers.values()):
            if not producer.is_handed_over:  # what a person decides about outlives this process
                self.metrics.counter("headgate_cancels_total", "drain").inc()
                producer.interrupt()
        for errand in tuple(self.errands):
            errand.cancel()
        await self.oversight.desk.settled()
        await self.journal.flush()

    @property
    def not_ready(self) -> str | None:
        """Why no work is taken, or None."""
        if self.draining:
            return "draining"
        if self.journal.failed is not None or self._recovering:
            return "store_unavailable"
        return None

    # responses

    def create(self, request: CreateRequest, owner: str) -> Log:
        """Admit a request and begin to make its response. Raises `RequestError`. Attach a reader before the next await."""
        self._check_ready()
        admitted = self._admission.admit(request, owner)
        route = admitted.route
        if admitted.request.background:
            route = route.model_copy(update={"on_disconnect": OnDisconnect.CONTINUE})
        now = self.clock.wall()
        log = self.hub.new_log(owner, now=now, expires_at=now + self._retention_s)
        log.provider_dialect = admitted.target.dialect.name
        producer = self._producer(log, admitted, route)
        at_once = admitted.upstream if admitted.verdict is None else None
        if at_once is not None:
            producer.send(at_once)
        try:
            started = admitted.started(log.id, owner, created_at=int(now), config_version=self._config_version)
            self._take_up(producer, admitted, started)
            if at_once is not None:
                producer.begin(at_once)
        except BaseException:  # a fault of ours: nobody would ever read what was sent for
            producer.abandon()
            self.hub.live.pop(log.id, None)
            self._producers.pop(log.id, None)
            raise
        return log

    def _take_up(self, producer: Producer, admitted: Admitted, started: ResponseStarted) -> None:
        """Who judges it, who finds it, who counts it; and the judgement on the request, if there is one."""
        log, target = producer.log, producer.target
        producer.started = started
        if admitted.rules is not None:
            self.oversight.govern(producer, admitted, admitted.rules, partial(self._handed_over, producer))
        self.hub.live[log.id] = log
        self._producers[log.id] = producer
        log.account = Account(self._models, started, target.provider_name, target.model)
        if admitted.screening is not None:
            producer.announce()
            admitted.screening.when_done(partial(self._screened, producer, admitted))
        elif admitted.verdict is not None:
            self._screened(producer, admitted, admitted.verdict)

    def _producer(self, log: Log, admitted: Admitted, route: Route) -> Producer:
        """Who makes this response."""
        return Producer(
            log,
            choices=admitted.choices,
            input_tokens=estimate(admitted.text_bytes),
            route=route,
            target=admitted.target,
            clock=self.clock,
            journal=self.journal,
            loop=self._loop,
        )

    def _screened(self, producer: Producer, admitted: Admitted, verdict: RequestVerdict) -> None:
        """The request was judged: send it, or end."""
        if producer.over:  # cancelled meanwhile
            return
        for rule, _ in verdict.escalations:
            assert admitted.rules is not None
            self.oversight.escalate(producer.log.id, admitted.rules, rule)
        if verdict.blocked:
            producer.announce(verdict.events)
            producer.stop(Failure(verdict.code, f"The rule {verdict.blocked!r} of the policy refused the request."))
            return
        try:
            upstream = admitted.upstream or self._admission.translate(admitted, verdict.body)
        except RequestError as error:  # with masks in it, it is no request any more
            producer.fail(Failure(error.code, error.message))
        except Exception as fault:
            _logger.error("a fault in sending a request", exc_info=fault)
            producer.fail(INTERNAL)
        else:
            producer.send(upstream)
            producer.begin(upstream, admitted.asked(verdict))

    def _handed_over(self, producer: Producer) -> None:
        self._producers.pop(producer.log.id, None)
        producer.hand_over()

    def generated(self, log: Log) -> Mapping[Place, int]:
        """How much was read of each part of a governed response in flight (`Producer.generated`)."""
        producer = self._producers.get(log.id)
        return {} if producer is None else producer.generated()

    def cancel(self, log: Log) -> bool:
        """Stop a response. False if it had ended already."""
        producer = self._producers.get(log.id)
        if log.ended or (producer is None and not self.oversight.desk.cancel(log)):
            return False
        self.metrics.counter("headgate_cancels_total", "requested").inc()
        if producer is not None:
            producer.cancel("cancelled", "The response was cancelled.")
        return True

    def route_of(self, log: Log) -> Route | None:
        """The route of a response in flight."""
        producer = self._producers.get(log.id)
        return producer.route if producer else None

    async def read_rows(self, number: int, rows: Sequence[int]) -> list[tuple[int, list[Entry]]]:
        return await self._store.read(number, rows)

    def stream_opened(self, reader: StreamReader) -> None:
        self._streams.add(reader)

    def stream_closed(self, reader: StreamReader) -> None:
        self._streams.discard(reader)

    # log.Observer

    def expires_at(self) -> float:
        return self.clock.wall() + self._retention_s

    def log_committed(self, log: Log, entries: list[Entry]) -> None:
        account = log.account
        if account is not None:
            for entry in entries:
                account.feed(entry)
        if log.terminal is not None:
            self.hub.live.pop(log.id, None)
            if log.was_held:
                self.oversight.reviews.response_ended(log.id)
            self._producers.pop(log.id, None)
            self.disconnects.forget(log.id)
            if account is not None:
                log.account = None
                account.close(log, log.terminal)

    # inside

    def _check_ready(self) -> None:
        if self.draining:
            raise RequestError(
                "draining", "The gateway is shutting down; try another one.", headers={"retry-after": "1"}
            )
        if self.journal.failed is not None or self._recovering:
            raise store_unavailable()
        if len(self._producers) >= self._open_responses_max:
            raise RequestError(
                "overloaded", "The gateway is at its limit of open responses.", headers={"retry-after": "1"}
            )

    def _on_store_failure(self, error: StoreError) -> None:
        """Law 1: cancel upstream, cut the readers without any end marker; recovery writes the terminals later."""
        _logger.error("the store failed; readers are cut", extra=fields(error=str(error), open=len(self._producers)))
        self.metrics.counter("headgate_commit_failures_total").inc()
        self._recovering = True
        logs, producers = tuple(self.hub.live.values()), tuple(self._producers.values())
        self.hub.live.clear()
        self._producers.clear()
        for log in logs:
            log.account = None
        for producer in producers:
            producer.abandon()
        for log in logs:
            log.broken()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now = self._loop.time()
            producers = self._producers.values()  # a thousand of them, twenty times a second: a look must cost nothing
            for producer in [p for p in producers if p.deadline <= now or p.total_deadline <= now]:
                _guarded(producer.tick, now)

    async def _upkeep(self) -> None:
        while True:
            await asyncio.sleep(UPKEEP_S)
            now = time.monotonic()
            for reader in tuple(self._streams):
                _guarded(reader.beat, now, self.config.server.heartbeat_s)
            try:
                if self.journal.failed is not None or self._recovering:
                    await self._try_to_recover()
                else:
                    await self._store.maintain(self.journal.hold)
                    await self.oversight.reviews.tick(self.clock.wall())
            except Exception as fault:
                _logger.error("housekeeping failed", exc_info=fault)

    async def _try_to_recover(self) -> None:
        """The store failed a while ago: if it takes writes again, end what was in flight and take work."""
        try:
            await self._store.probe()
        except StoreError:
            return
        await self.audit.reload()
        self.journal.recovered()
        await self._recover()
        if self.journal.failed is None:
            self._recovering = False
            _logger.warning("the store accepts writes again")

    async def _recover(self) -> None:
        await restart.take_over(
            self._store, self.journal, self, self.clock, reviews=self.oversight.reviews, live=self.hub.live
        )

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(EXPIRE_S)
            keep_from = min((log.rows[0] for log in self.hub.live.values() if log.rows), default=self._store.next_row)
            try:
                await self.oversight.sweep([producer.rules for producer in self._producers.values()])
                count = await self._store.expire(self.clock.wall(), keep_from)
                self.metrics.counter("headgate_expired_responses_total").inc(count)
            except Exception as fault:
                _logger.error("expiry failed", exc_info=fault)

    def _gauges(self) -> None:
        gauge = self.metrics.gauge
        gauge("headgate_open_responses", lambda: len(self._producers))
        gauge("headgate_open_streams", lambda: len(self._streams))
        gauge("headgate_readers", lambda: sum(len(log.readers) for log in self.hub.live.values()))


def _guarded(job: Callable[..., None], *arguments: float) -> None:
    """One response's fault must not stop what looks after all of them."""
    try:
        job(*arguments)
    except Exception as fault:
        _logger.error("a fault in housekeeping", exc_info=fault)
