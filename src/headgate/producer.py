"""Drives one response: sends the request upstream, decodes what comes, appends it to the log, ends the log.

A producer belongs to the gateway, never to a request (law 2). It has no task: provider bytes arrive in `on_body` and
are in the log when that returns. Deadlines are looked at by one ticker for all producers, so a token costs a store of
the time and a request no timer.

Invariant: whatever happens, the log gets exactly one terminal, and the provider's connection is let go of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from headgate.brake import Brake
from headgate.clock import Clock
from headgate.config import Route
from headgate.endings import INTERNAL, UNREAD, UNVERIFIED, Ending, overdue
from headgate.errors import Failure, LifecycleError
from headgate.events import (
    AnyEvent,
    AttemptDescribed,
    AttemptEnded,
    AttemptStarted,
    Released,
    ResponseStarted,
    Status,
)
from headgate.finish import finish
from headgate.governance.ruleset import Ruleset
from headgate.guard import Guard, Holding
from headgate.journal import Journal
from headgate.log import Log
from headgate.positions import Place
from headgate.reading import Reading
from headgate.request import UpstreamRequest
from headgate.routing import Target
from headgate.tally import Tally, is_text
from headgate.telemetry.logs import fields, logger
from headgate.upstream import Call

TICK_S: Final = 0.05
"""How often deadlines are looked at; they are tens of seconds."""
NEVER: Final = float("inf")

_logger = logger("producer")


class Producer:
    """One response on its way into its log. `send` and `begin` it once; `cancel` it any time."""

    __slots__ = (
        "_abandoned",
        "_attempt_over",
        "_brake",
        "_call",
        "_clock",
        "_guard",
        "_journal",
        "_loop",
        "_monotonic_ns",
        "_muted",
        "_on_hold",
        "_phase",
        "_reading",
        "_stall_s",
        "_streams",
        "_tally",
        "_timeouts",
        "deadline",
        "is_handed_over",
        "log",
        "route",
        "started",
        "target",
        "total_deadline",
    )

    def __init__(
        self,
        log: Log,
        *,
        choices: int,
        input_tokens: int,
        route: Route,
        target: Target,
        clock: Clock,
        journal: Journal,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """`input_tokens` is an estimate. `started` has to be set before anything is appended."""
        self.log = log
        self.target = target
        self.route = route
        self._timeouts = route.timeouts
        self.started: ResponseStarted | None = None
        """The first event of the log."""
        self._clock = clock
        self._monotonic_ns = clock.monotonic_ns
        self._journal = journal
        self._loop = loop
        self._call: Call | None = None
        self._reading = Reading(target.dialect, attempt=1, choices=choices)
        self._tally = Tally(input_tokens)
        self._muted = False
        self._abandoned = False
        self._brake: Brake | None = None  # once it was needed
        self._guard: Guard | None = None
        self._on_hold: Callable[[Holding], None] | None = None
        self._attempt_over: AttemptEnded | None = None  # the provider is done; what it said is being judged
        self._phase = "connect"
        self.is_handed_over = False
        """The answer is on its way to whoever decides about it: nothing here ends it any more but a cancel."""
        self._stall_s = self._timeouts.stall_s
        self._streams = True
        """Asked to, which is not to say that it does."""
        total_s = self._timeouts.total_s
        self.deadline = NEVER
        """When `tick` is due, as the loop's time; `total_deadline` as well."""
        self.total_deadline = NEVER if total_s is None else self._loop.time() + total_s

    # the outside

    def govern(self, guard: Guard, on_hold: Callable[[Holding], None]) -> None:
        """Before anything is read: who judges what is said. `on_hold` is told when a person has to decide."""
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

    @property
    def over(self) -> bool:
        """Nothing may be appended any more."""
        return self._abandoned or self.log.ended

    def generated(self) -> Mapping[Place, int]:
        """Where something judges what is said: how much of each part was read (its watermark), by choice and part."""
        return {} if self._guard is None else self._guard.generated()

    def announce(self, events: Sequence[AnyEvent] = ()) -> None:
        """Append the beginning of the log, where the request is not sent at once, or not at all; and what is said of it."""
        beginning = self._beginning(events)
        if beginning:
            self.log.append(beginning, self._clock.monotonic_ns())

    def send(self, request: UpstreamRequest) -> None:
        """Send the request; `begin` has to follow before anything is awaited. Never raises; a failure is the log's.

        First of the two: what else a response needs is made while the provider works.
        """
        target = self.target
        connect_s = self._timeouts.connect_s
        self._streams = request.stream
        self._call = target.pool.post(request, model=target.model, handler=self, connect_s=connect_s)

    def begin(self, request: UpstreamRequest, events: Sequence[AnyEvent] = ()) -> None:
        """Append the beginning of the log, with what was said of the request that was sent."""
        target = self.target
        attempt = AttemptStarted(1, target.provider_name, target.dialect.name, target.model, request.dropped)
        self.log.append([*self._beginning(events), attempt], self._clock.monotonic_ns(), lazy=True)

    def _beginning(self, events: Sequence[AnyEvent]) -> Sequence[AnyEvent]:
        if self.log.last_seq:
            return events
        assert self.started is not None
        return [self.started, *events]

    def cancel(self, code: str, message: str) -> None:
        """Stop the generation: the provider's connection is closed at once, the log ends as cancelled."""
        if not self.over:
            self._count_input_as_spent()
            self._drop_call()
            ended = AttemptEnded(self.log.open_attempt, "cancelled")
            self._end(ended, Ending(Status.CANCELLED, Failure(code, message)))

    def interrupt(self) -> None:
        """The gateway stops: the log ends as failed, and may be asked for again."""
        self._count_input_as_spent()
        self.fail(Failure("interrupted", "The gateway stopped while the response was in flight."))

    def mute(self) -> None:
        """Read the provider's answer to its end for its usage, but deliver nothing more of it (``drain``)."""
        self._muted = True

    def abandon(self) -> None:
        """The store failed: let go of the provider without another event. Recovery writes the terminal."""
        self._abandoned = True
        self._drop_call()
        self._dismiss()

    def hand_over(self) -> None:
        """Somebody else ends the log from here on."""
        self._dismiss()

    # upstream.Handler

    def on_sent(self) -> None:
        timeouts = self._timeouts
        if self._streams:
            self._enter("first_token", timeouts.first_token_s)
        else:
            self._enter("whole", timeouts.whole_s)

    def on_head(self, status: int, headers: dict[str, str]) -> None:
        failure = self._reading.head(status, headers)
        if failure is not None:
            self.fail(failure)
        elif self._phase == "first_token" and self._reading.is_whole:  # although a stream was asked for
            self._enter("whole", self._timeouts.whole_s)

    def on_body(self, data: bytes) -> None:
        if self._call is None:  # the log has ended
            return
        reading = self._reading
        events = reading.feed(data)
        if events:
            self._progress(events)
        if not reading.settled:
            return
        if reading.failure is not None:
            self.fail(reading.failure)
        elif reading.ended:
            self.on_end()
        elif reading.finished and self._phase != "linger":
            self._enter("linger", self._timeouts.linger_s)

    def on_end(self) -> None:
        if self.over:
            return
        reading = self._reading
        events = reading.finish()
        if events:
            self._progress(events)
        failure = reading.failure or reading.refusal
        if failure is not None:
            self.fail(failure)
        elif not self.over:
            self._complete()

    def on_failed(self, failure: Failure) -> None:
        if self._reading.finished:
            self.on_end()  # the answer was whole; what broke came after it
        else:
            self.fail(failure)

    # what follows

    def _progress(self, events: list[AnyEvent]) -> None:
        """Append; only events that came from the provider's answer itself count as progress."""
        if len(events) == 1 and self._phase == "stall" and not self._muted and is_text(events[0]):
            self.deadline = self._loop.time() + self._stall_s
            self._deliver(events)
            return
        first = type(events[0])
        tally, lazy = self._tally, first is AttemptDescribed and len(events) == 1
        events = tally.note(events)
        if self._phase != "linger":
            if tally.progresses(events):
                self._enter("stall", self._stall_s)
            elif self._phase != "stall":  # the first output does not wait, and this is not it
                lazy = True
        if self._muted:
            events = tally.unseen(events)
        if events:
            self._deliver(events, lazy=lazy)

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
        if self.over:
            return
        try:
            self.log.append(events, self._monotonic_ns(), lazy=lazy)
        except LifecycleError as error:
            _logger.error("illegal event", extra=fields(response=self.log.id, error=str(error)))
            if self._guard is None:
                self.fail(INTERNAL)
            else:
                self._guard.broke(error)
            return
        if self._journal.congested and self._call is not None:
            self._slow(self._call).press()

    def _slow(self, call: Call) -> Brake:
        self._brake = self._brake or Brake(call, self._journal, self._count_anew)
        return self._brake

    def _complete(self) -> None:
        if (call := self._let_go()) is not None:
            call.release()
        attempt = AttemptEnded(self.log.open_attempt, "ok", self._reading.status)
        ending = Ending(Status.CANCELLED, UNREAD) if self._muted else self._tally.ending
        if self._muted or self._guard is None:
            self._end(attempt, ending)
            return
        self.deadline = NEVER
        self._attempt_over = attempt
        self._guard.conclude(ending, self._tally.cut)
        if not self.over and self.log.open_attempt:  # it takes a while: what the provider did is known already
            self._append(self._closed_attempt(attempt, ending))

    # guard.Course

    def append(self, events: Sequence[AnyEvent]) -> None:
        self._append(list(events))

    def throttle(self, slower: bool) -> None:
        """Whether so much waits for verdicts that the provider has to wait as well."""
        if self._call is not None and (slower or self._brake is not None):
            self._slow(self._call).wait(slower)

    def settle(self, ending: Ending) -> None:
        """Everything was judged: the log ends like this."""
        assert self._attempt_over is not None
        self._end(self._attempt_over, ending)

    def stop(self, failure: Failure) -> None:
        """The policy ends it now."""
        if not self.over:
            self._drop_call()
            attempt = self._attempt_over or AttemptEnded(self.log.open_attempt, "cancelled", self._reading.status)
            self._end(attempt, Ending(Status.BLOCKED, failure))

    def hold(self, holding: Holding) -> None:
        """A person has to decide: from here on the response is the review's."""
        assert self._attempt_over is not None
        if self.log.open_attempt:
            self._append(self._closed_attempt(self._attempt_over, holding.ending))
        if self._on_hold is not None and not self.over:
            self.is_handed_over = True
            self.total_deadline = NEVER
            self._on_hold(holding)

    def vouch(self, unverified: Sequence[Place]) -> None:
        """Say how far the log is verified, if that has grown: readers that cannot take text back wait for it."""
        positions = self.log.positions
        if positions is not None and not self.over:
            upto = positions.verified(unverified, self.log.last_seq)
            if upto > positions.verified_seq:
                self._append([Released(upto)])

    def retracted(self) -> Mapping[int, int]:
        """Choice -> code points of it that were taken back so far."""
        return self.log.positions.retracted if self.log.positions is not None else {}

    # the end

    def fail(self, failure: Failure) -> None:
        """Something broke: end it."""
        if self.over:
            return
        self._drop_call()
        if self._guard is not None:
            failure = self._guard.judge_failure(failure)
        ended = AttemptEnded(self.log.open_attempt, failure.code, self._reading.status, failure.message)
        status = Status.EXPIRED if failure.code == "deadline_exceeded" else Status.FAILED
        self._end(ended, Ending(status, failure))

    def _end(self, attempt: AttemptEnded, ending: Ending) -> None:
        """Take back what nobody has passed, close the attempt and the log."""
        events: list[AnyEvent] = []
        guard, positions = self._guard, self.log.positions
        if guard is not None and positions is not None:
            events += positions.retractions(guard.unpassed(), UNVERIFIED)
        self._dismiss()
        if self.log.open_attempt:
            events += self._closed_attempt(attempt, ending)
        finish(self.log, events, ending, self._clock, guarded=guard is not None)

    def _closed_attempt(self, attempt: AttemptEnded, ending: Ending) -> list[AnyEvent]:
        """The end of the attempt, and what it used, where the provider has not said that."""
        return [attempt, *self._tally.last_usage(ending.status, self.log.released_bytes)]

    def _let_go(self) -> Call | None:
        """The call, which is nothing to us any more."""
        call, self._call = self._call, None
        if self._brake is not None:
            self._brake.let_go()
            self._brake = None
        return call

    def _drop_call(self) -> None:
        if (call := self._let_go()) is not None:
            call.abort()

    def _count_input_as_spent(self) -> None:
        """It is we who end it: the provider has the request, unless it was not sent or was refused."""
        self._tally.was_worked_on = self._phase != "connect" and self._reading.status < 300

    def _dismiss(self) -> None:
        """The guard is done; it holds this object, and the text."""
        if self._guard is not None:
            self._guard.close()
        self._guard = self._on_hold = None

    # deadlines

    def _enter(self, phase: str, seconds: float) -> None:
        self._phase = phase
        self.deadline = self._loop.time() + seconds

    def _count_anew(self) -> None:
        """The provider was kept waiting: its silence counts from now on."""
        if self.deadline != NEVER:
            self._enter(self._phase, getattr(self._timeouts, f"{self._phase}_s"))

    def tick(self, now: float) -> None:
        """Called with the loop's time once a deadline has passed: end what is overdue, by the one that passed first."""
        if self.total_deadline <= min(now, self.deadline):
            self._count_input_as_spent()
            self.fail(Failure("deadline_exceeded", "The response was not done within timeouts.total_s."))
        elif now < self.deadline or (self._brake is not None and self._brake.pressed):
            pass
        elif self._phase == "linger":
            self.on_end()
        else:
            self._count_input_as_spent()
            self.fail(overdue(self._phase, self._timeouts))
