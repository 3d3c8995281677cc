"""Drives one response: sends the request upstream, decodes what comes, appends it to the log, ends the log.

A producer belongs to the gateway, never to a request (law 2). It has no task: provider bytes arrive in `on_body` and
are in the log when that returns. Deadlines are looked at by one ticker for all producers, so a token costs a store of
the time and a request no timer.

Invariant: whatever happens, the log gets exactly one terminal, and the provider's connection is let go of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from headgate.brake import Brake
from headgate.clock import Clock
from headgate.config import Route
from headgate.dialects import Decoder
from headgate.endings import Ending, closing
from headgate.errors import Failure
from headgate.events import (
    AnyEvent,
    AttemptDescribed,
    AttemptEnded,
    AttemptStarted,
    ChoiceDone,
    Delta,
    Reason,
    ResponseStarted,
    Status,
    Terminal,
    Usage,
)
from headgate.governance.ruleset import Ruleset
from headgate.guard import Guard, Holding
from headgate.journal import Journal
from headgate.lifecycle import LifecycleError, terminal_status
from headgate.log import Log
from headgate.request import UpstreamRequest
from headgate.routing import Target
from headgate.telemetry.logs import fields, logger
from headgate.tokens import estimate
from headgate.upstream import Call

ERROR_BYTES_MAX: Final = 64 * 1024
"""Of an HTTP error answer; what is beyond is an error page."""
TICK_S: Final = 0.05
"""How often deadlines are looked at; they are tens of seconds."""
NEVER: Final = float("inf")
ANSWER_BYTES_MAX: Final = 256 * 1024 * 1024
"""Of a provider's answer to one request: far beyond any model, short of what would fill a disk unseen."""

_NO_PROGRESS: Final = frozenset({AttemptDescribed, Usage})
"""Events that come without anything for a reader: a provider that sends only these has stalled."""

_CUT: Final = frozenset({Reason.LENGTH, Reason.CONTENT_FILTER})
"""Reasons that leave an answer unfinished."""

_logger = logger("producer")


class Producer:
    """One response on its way into its log. `start` it once; `cancel` it any time."""

    __slots__ = (
        "_attempt_over",
        "_brake",
        "_call",
        "_clock",
        "_decoder",
        "_error_body",
        "_guard",
        "_headers",
        "_journal",
        "_loop",
        "_muted",
        "_on_hold",
        "_phase",
        "_reasons",
        "_received",
        "_started",
        "_status",
        "_unseen_bytes",
        "_usage",
        "deadline",
        "log",
        "route",
        "target",
        "total_deadline",
    )

    def __init__(
        self,
        log: Log,
        started: ResponseStarted,
        *,
        route: Route,
        target: Target,
        clock: Clock,
        journal: Journal,
    ) -> None:
        self.log = log
        self.target = target
        self.route = route
        self._started = started
        self._clock = clock
        self._journal = journal
        self._loop = asyncio.get_running_loop()
        self._call: Call | None = None
        self._decoder: Decoder | None = None
        self._status = 0
        self._headers: dict[str, str] = {}
        self._error_body = b""
        self._received = 0
        self._reasons: list[ChoiceDone] = []
        self._usage: Usage | None = None
        self._muted = False
        self._unseen_bytes = 0  # of text that came after `mute`
        self._brake: Brake | None = None  # once it was needed
        self._guard: Guard | None = None
        self._on_hold: Callable[[Holding], None] | None = None
        self._attempt_over: AttemptEnded | None = None  # the provider is done; what it said is being judged
        self._phase = "connect"
        self.deadline = NEVER
        """When `tick` is due, as the loop's time; `total_deadline` as well."""
        self.total_deadline = NEVER

    # the outside

    def govern(self, guard: Guard, on_hold: Callable[[Holding], None]) -> None:
        """Before `start`: who judges what is said. `on_hold` is told when a person has to decide."""
        self._guard = guard
        self._on_hold = on_hold

    @property
    def rules(self) -> Ruleset | None:
        """What judges it; None if nothing does."""
        return None if self._guard is None else self._guard.rules

    @property
    def held(self) -> bool:
        """A person will decide: readers may leave without ending it."""
        return self._guard is not None and self._guard.holding

    def announce(self, events: Sequence[AnyEvent] = ()) -> None:
        """Append the beginning of the log, where the request is not sent at once, or not at all."""
        self.log.append([self._started, *events], self._clock.monotonic_ns())

    def start(self, request: UpstreamRequest, events: Sequence[AnyEvent] = ()) -> None:
        """Send the request, and append the beginning of the log, with what was said of the request.

        Never raises; a failure is the log's.
        """
        target = self.target
        attempt = AttemptStarted(1, target.provider.name, target.dialect.name, target.model, request.dropped)
        beginning = [*events, attempt] if self.log.last_seq else [self._started, *events, attempt]
        self.log.append(beginning, self._clock.monotonic_ns(), lazy=True)
        timeouts = self.route.timeouts
        if timeouts.total_s is not None:
            self.total_deadline = self._loop.time() + timeouts.total_s
        self._call = target.pool.post(request, model=target.model, handler=self, connect_s=timeouts.connect_s)

    def cancel(self, code: str, message: str) -> None:
        """Stop the generation: the provider's connection is closed at once, the log ends as cancelled."""
        if not self.log.ended:
            self._drop_call()
            self._end(
                AttemptEnded(self.log.open_attempt, "cancelled"), Ending(Status.CANCELLED, Failure(code, message))
            )

    def interrupt(self) -> None:
        """The gateway stops: the log ends as failed, and may be asked for again."""
        self._fail(Failure("interrupted", "The gateway stopped while the response was in flight."))

    def mute(self) -> None:
        """Read the provider's answer to its end for its usage, but deliver nothing more of it (``drain``)."""
        self._muted = True

    def abandon(self) -> None:
        """The store failed: let go of the provider without another event. Recovery writes the terminal."""
        self._drop_call()

    # upstream.Handler

    def on_sent(self) -> None:
        self._enter("first_token", self.route.timeouts.first_token_s)

    def on_head(self, status: int, headers: dict[str, str]) -> None:
        self._status, self._headers = status, headers
        if not 200 <= status < 300:
            return
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        make = {
            "text/event-stream": self.target.dialect.stream_decoder,
            "application/json": self.target.dialect.whole_decoder,
        }.get(media_type)
        if headers.get("content-encoding", "identity") != "identity":
            self._fail(
                Failure("upstream_malformed", "The provider compressed its answer although it was asked not to.")
            )
        elif make is None:
            self._fail(Failure("upstream_malformed", f"The provider answered with {media_type or 'no content type'}."))
        else:
            self._decoder = make(attempt=self.log.open_attempt, choices=self._started.choices)

    def on_body(self, data: bytes) -> None:
        self._received += len(data)
        if self._call is None:  # the log has ended
            return
        if self._decoder is None:
            if len(self._error_body) < ERROR_BYTES_MAX:
                self._error_body += data
            return
        if self._received > ANSWER_BYTES_MAX:
            self._fail(Failure("upstream_too_large", "The provider's answer is over the limit."))
            return
        events = self._decoder.feed(data)
        if events:
            self._progress(events)
        if not self._decoder.settled:
            return
        if self._decoder.failure is not None:
            self._fail(self._decoder.failure)
        elif self._decoder.ended:
            self.on_end()
        elif self._decoder.finished and self._phase != "linger":
            self._enter("linger", self.route.timeouts.linger_s)

    def on_end(self) -> None:
        if self.log.ended:
            return
        if self._decoder is None:
            self._fail(self.target.dialect.read_failure(self._status, self._headers, self._error_body))
            return
        events = self._decoder.finish()
        if events:
            self._progress(events)
        if self._decoder.failure is not None:
            self._fail(self._decoder.failure)
        elif not self.log.ended:
            self._complete()

    def on_failed(self, failure: Failure) -> None:
        if self._decoder is not None and self._decoder.finished:
            self.on_end()  # the answer was whole; what broke came after it
        else:
            self._fail(failure)

    # what follows

    def _progress(self, events: list[AnyEvent]) -> None:
        """Append; only events that came from the provider's answer itself count as progress."""
        first = type(events[0])
        if first is Delta and len(events) == 1 and self._phase == "stall" and not self._muted:  # a token
            self.deadline = self._loop.time() + self.route.timeouts.stall_s
            self._deliver(events)
            return
        for event in events:
            if type(event) is ChoiceDone:
                self._reasons.append(event)
            elif type(event) is Usage:
                self._usage = event
        if self._phase != "linger" and (len(events) > 1 or first not in _NO_PROGRESS):
            self._enter("stall", self.route.timeouts.stall_s)
        if self._muted:
            self._unseen_bytes += sum([len(event.text.encode()) for event in events if type(event) is Delta])
            events = [event for event in events if type(event) is Usage]
        if events:
            self._deliver(events, lazy=first is AttemptDescribed and len(events) == 1)

    def _deliver(self, events: list[AnyEvent], *, lazy: bool = False) -> None:
        """Append what may be seen of these."""
        guard = self._guard
        if guard is None:
            self._append(events, lazy=lazy)
            return
        governed = guard.feed(events)
        if governed:
            self._append(governed, lazy=lazy)
        guard.attend()

    def _append(self, events: list[AnyEvent], *, lazy: bool = False) -> None:
        try:
            self.log.append(events, self._clock.monotonic_ns(), lazy=lazy)
        except LifecycleError as error:
            _logger.error("illegal event", extra=fields(response=self.log.id, error=str(error)))
            self._fail(Failure("internal", "A fault in the gateway ended the response."))
            return
        if self._journal.congested and self._call is not None:
            self._slow(self._call).press()

    def _slow(self, call: Call) -> Brake:
        if self._brake is None:
            self._brake = Brake(call, self._journal)
        return self._brake

    def _complete(self) -> None:
        if self._call is not None:
            self._call.release()
            self._call = None
            self._brake = None
        attempt = AttemptEnded(self.log.open_attempt, "ok", self._status)
        if self._muted:
            failure = Failure("disconnected", "Every reader went away; the answer was read to its end for its usage.")
            self._end(attempt, Ending(Status.CANCELLED, failure))
            return
        ending = Ending(terminal_status([done.reason for done in self._reasons]))
        if self._guard is None:
            self._end(attempt, ending)
            return
        self.deadline = NEVER
        self._attempt_over = attempt
        self._guard.conclude(ending, [done.choice for done in self._reasons if done.reason in _CUT])
        if not self.log.ended and self.log.open_attempt:  # it takes a while: what the provider did is known already
            self._append(self._closed_attempt(attempt, ending))

    # guard.Course

    def append(self, events: Sequence[AnyEvent]) -> None:
        """What became free while the provider was not saying anything."""
        self._append(list(events))

    def throttle(self, slower: bool) -> None:
        """Whether so much waits for verdicts that the provider has to wait as well."""
        if self._call is not None and (slower or self._brake is not None):
            brake = self._slow(self._call)
            brake.slower = slower
            if slower:
                brake.press()

    def settle(self, ending: Ending) -> None:
        """Everything was judged: the log ends like this."""
        assert self._attempt_over is not None
        self._end(self._attempt_over, ending)

    def stop(self, failure: Failure) -> None:
        """The policy ends it now."""
        if not self.log.ended:
            self._drop_call()
            attempt = self._attempt_over or AttemptEnded(self.log.open_attempt, "cancelled", self._status)
            self._end(attempt, Ending(Status.BLOCKED, failure))

    def hold(self, holding: Holding) -> None:
        """A person has to decide: from here on the response is the review's."""
        assert self._attempt_over is not None
        if self.log.open_attempt:
            self._append(self._closed_attempt(self._attempt_over, holding.ending))
        if self._on_hold is not None and not self.log.ended:
            self._on_hold(holding)

    def _fail(self, failure: Failure) -> None:
        if self.log.ended:
            return
        self._drop_call()
        if self._guard is not None:
            failure = self._guard.judge_failure(failure)
        ended = AttemptEnded(self.log.open_attempt, failure.code, self._status, failure.message)
        status = Status.EXPIRED if failure.code == "deadline_exceeded" else Status.FAILED
        self._end(ended, Ending(status, failure))

    def _end(self, attempt: AttemptEnded, ending: Ending) -> None:
        """Close the attempt and the log."""
        if self._guard is not None:
            self._guard.close()
        events = self._closed_attempt(attempt, ending) if self.log.open_attempt else []
        events.append(self._closing(ending))
        try:
            self.log.append(events, self._clock.monotonic_ns())
        except LifecycleError as error:
            _logger.error("illegal end", extra=fields(response=self.log.id, error=str(error)))
            if self.log.ended:
                return
            fault = Ending(Status.FAILED, Failure("internal", "A fault in the gateway ended the response."))
            self.log.append([self._closing(fault)], self._clock.monotonic_ns())

    def _closed_attempt(self, attempt: AttemptEnded, ending: Ending) -> list[AnyEvent]:
        """The end of the attempt, and what it used, where the provider has not said that."""
        usage = self._usage or self._estimated_usage(ending.status)
        known, self._usage = self._usage, usage
        return [attempt] if usage is None or known is not None else [attempt, usage]

    def _closing(self, ending: Ending) -> Terminal:
        return closing(ending, sha256=self.log.digest(), ended_at=int(self._clock.wall()))

    def _estimated_usage(self, status: Status) -> Usage | None:
        """Nothing is estimated for a request that the provider never began to answer."""
        output_bytes = self.log.released_bytes + self._unseen_bytes
        if not output_bytes and not status.successful:
            return None
        return Usage(self._started.input_tokens_estimate, estimate(output_bytes), estimated=True)

    def _drop_call(self) -> None:
        if self._call is not None:
            self._call.abort()
            self._call = None
            self._brake = None

    # deadlines

    def _enter(self, phase: str, seconds: float) -> None:
        self._phase = phase
        self.deadline = self._loop.time() + seconds

    def tick(self, now: float) -> None:
        """Called with the loop's time once a deadline has passed: end what is overdue, by the one that passed first."""
        if self.total_deadline <= min(now, self.deadline):
            self._fail(Failure("deadline_exceeded", "The response was not done within timeouts.total_s."))
        elif now < self.deadline or (self._brake is not None and self._brake.pressed):
            pass
        elif self._phase == "linger":
            self.on_end()
        elif self._phase == "first_token":
            seconds = self.route.timeouts.first_token_s
            self._fail(Failure("upstream_first_token_timeout", f"The provider sent no token within {seconds:g} s."))
        else:
            seconds = self.route.timeouts.stall_s
            self._fail(Failure("upstream_stalled", f"The provider made no progress for {seconds:g} s."))
