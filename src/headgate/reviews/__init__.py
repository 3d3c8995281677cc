"""The reviews of held responses: opened, decided by people or by time, taken over after a restart.

    Reviews    this module: what may be done, and when the log is told
    facts      how they are kept in the store
    waiting    which of them wait, in memory

    open -> (claim, release, comment) -> decide, or tick at the deadline -> on_decided -> response_ended -> text gone

Nothing here appends to a log. A decision is durable before the log is told of it, and the log is told again (`tick`,
`fate`) until it has ended: between the two a crash, a lost connection or a failing store changes nothing.

Invariants: of several who decide a review at once one does; what is held is as confidential as the log, and goes with
it: once the response has ended, nothing of it is kept here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol, TypeVar

import msgspec

from headgate.clock import Clock
from headgate.endings import Ending
from headgate.errors import HeadgateError, RequestError, store_unavailable
from headgate.events import AnyEvent
from headgate.governance.people import review
from headgate.governance.people.decision import Outcome, decision_events
from headgate.governance.people.review import OPEN, Act, HeldResponse, Refusal, Review, State
from headgate.ids import new_response_id, suffix
from headgate.reviews.facts import ReviewFacts, pack_text
from headgate.reviews.waiting import PAGE_MAX, Position, Waiting
from headgate.stores import Store
from headgate.telemetry.logs import fields, logger

REVIEWS_OPEN_MAX: Final = 10_000
"""More than a team decides in a day; what is held beyond that is blocked (law 5)."""
HELD_BYTES_MAX: Final = 16 * 1024 * 1024
"""Of what is held of one response: nobody could read more, and every look at it loads it."""
LOOKS_MAX: Final = 100
"""Reviews that one tick looks at: some tens of milliseconds of store at the most."""
RETRY_S: Final = 5.0
"""When a review is looked at again whose log, or the store, was not ready."""

_logger = logger("reviews")
_T = TypeVar("_T")


def new_review_id(unix_ms: int) -> str:
    """``rev_`` and 32 hex digits, as those of `ids.new_response_id`."""
    return f"rev_{suffix(new_response_id(unix_ms))}"


class Limits(NamedTuple):
    """How much one gateway takes upon itself."""

    open_max: int = REVIEWS_OPEN_MAX
    held_bytes_max: int = HELD_BYTES_MAX
    looks_max: int = LOOKS_MAX


class CannotHoldError(HeadgateError):
    """The response cannot wait for a review, and has to end as blocked: fail closed."""

    code = "guard_failed"


class LiveLog(Protocol):
    """What is asked of a log in memory (`log.Log`)."""

    @property
    def ended(self) -> bool: ...


class OnDecided(Protocol):
    """Append these events and then the terminal, in one commit: await nothing in between. False if the log has ended already."""

    def __call__(self, response_id: str, events: list[AnyEvent], ending: Ending, /) -> bool: ...


class Fate(NamedTuple):
    """What becomes of an unfinished log with a review: an outcome to append, or None: it goes on waiting."""

    outcome: Outcome | None


class Page(NamedTuple):
    """Some of the queue; `after` leads to what follows, empty at the end."""

    reviews: list[Review]
    after: str


class Reviews:
    """The queue of one gateway."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        live: Mapping[str, LiveLog],
        *,
        on_decided: OnDecided,
        on_escalation: Callable[[HeldResponse, str], None],
        limits: Limits = Limits(),  # noqa: B008  immutable
    ) -> None:
        """`live` is `hub.live`. `on_escalation` is told the reason, ``risk`` or ``waiting``; after a crash perhaps twice."""
        self._store = store
        self._facts = ReviewFacts(store)
        self._clock = clock
        self._live = live
        self._on_decided = on_decided
        self._on_escalation = on_escalation
        self._limits = limits
        self._waiting = Waiting()
        self._lock = asyncio.Lock()  # one change at a time; other processes are kept out by compare and set

    @property
    def open_count(self) -> int:
        """Reviews that wait for a decision, or whose log has not ended yet."""
        return len(self._waiting)

    # the guard's side

    async def open(self, held: HeldResponse) -> None:
        """Begin a review; it is durable on return. Raises `CannotHoldError`, `StoreError`."""
        text = pack_text(held)
        if len(self._waiting) >= self._limits.open_max:
            raise CannotHoldError(f"{self._limits.open_max} reviews are open already.")
        if len(text) > self._limits.held_bytes_max:
            raise CannotHoldError(f"What is held is over {self._limits.held_bytes_max} bytes.")
        opened = Review(State.PENDING, held)
        async with self._lock:
            if not await self._facts.add(opened, text):
                raise CannotHoldError(f"There is a review {held.id} already.")
            self._take_over(opened)

    def response_ended(self, response_id: str) -> None:
        """The log has its terminal: the next `tick` lets go of what is held, and voids the review if it is open."""
        self._waiting.hurry(response_id)

    async def fate(self, response_id: str, review_id: str) -> Fate | None:
        """What is to become of a log that a crash left unfinished. None: it has no review, and was interrupted."""
        found = await self._facts.find(review_id)
        if found is None or found.held.response_id != response_id or found.state is State.VOID:
            return None
        whole = await self._facts.with_text(found)
        if whole is None:
            return None
        outcome = None if found.state in OPEN else _outcome(whole)
        return None if isinstance(outcome, Refusal) else Fate(outcome)

    async def recover(self) -> None:
        """Read the queue anew. Call it once the logs that go on waiting are in `live`; reviews without a log are voided."""
        async with self._lock:
            self._waiting.clear()
            for state in sorted(OPEN):
                async for found in self._facts.of_state(state):
                    self._take_over(found)
            async for review_id, at in self._facts.texts_kept():
                if review_id not in self._waiting:
                    await self._take_over_text(review_id, at)
        while await self._look_at_one(0.0, now=self._clock.wall()):
            pass

    def _take_over(self, found: Review) -> None:
        waits = found.state in OPEN and self._is_live(found.held)
        self._waiting.note(found, due=review.next_due(found) if waits else 0.0)

    async def _take_over_text(self, review_id: str, at: float) -> None:
        """A text whose review is decided, or was never written."""
        found = await self._facts.find(review_id)
        if found is None:
            await self._facts.forget_text(review_id, at)
        else:
            self._take_over(found)

    # the reviewers' side: everything raises `RequestError` (not_found, review_conflict, invalid_request), `StoreError`

    async def queue(
        self, *, state: State | None = None, policy: str = "", risk: str = "", after: str = "", limit: int = 50
    ) -> Page:
        """A page of what waits, highest risk and then oldest first; of a state that is final: oldest first."""
        limit = min(limit, PAGE_MAX)
        position = Position.parse(after) if after else None
        if state is not None and state not in OPEN:
            return Page(*await self._facts.page(state, policy, risk, after=position, limit=limit))
        ids, last = self._waiting.page({state} if state else OPEN, policy, risk, after=position, limit=limit)
        return Page([known for review_id in ids if (known := await self._facts.find(review_id)) is not None], last)

    async def show(self, review_id: str) -> Review:
        """The review, with the text while its response has not ended."""
        found = await self._find(review_id)
        return await self._facts.with_text(found) or found

    async def claim(self, review_id: str, by: str) -> Review:
        """Keep others from deciding it for ``claim_s``; again to go on."""
        return await self._change(review_id, lambda known, now: review.claim(known, by, now))

    async def release(self, review_id: str, by: str) -> Review:
        """Give a claim back."""
        return await self._change(review_id, lambda known, now: review.release(known, by, now))

    async def comment(self, review_id: str, by: str, text: str) -> Review:
        """Say something about it, for other reviewers."""
        return await self._change(review_id, lambda known, now: review.comment(known, by, text, now))

    async def decide(self, review_id: str, act: Act, by: str, *, comment: str = "", text: str | None = None) -> Review:
        """Decide it; the log is told before this returns. `text` is the edit's."""
        async with self._lock:
            known = await self._find(review_id)
            after = _allowed(review.decide(known, act, by, self._clock.wall(), comment=comment, text=text))
            self._waiting.hurry(known.held.response_id)  # should anything break from here on, `tick` goes on with it
            whole = await self._facts.with_text(after)
            if whole is None or not await self._takes_decision(known):
                raise _ended_otherwise()
            outcome = _allowed(_outcome(whole))
            await self._write(known, after)
            if not self._tell(whole, outcome):
                await self._write(after, _allowed(review.void(after)))
                raise _ended_otherwise()
            return after

    # time

    async def tick(self, now: float) -> None:
        """Deadlines, claims that ran out, escalations, ended responses: `LOOKS_MAX` reviews at the most. `now`: Unix time."""
        for _ in range(self._limits.looks_max):
            if not await self._look_at_one(now, now=now):
                return

    async def _look_at_one(self, due: float, *, now: float) -> bool:
        """Look at one review that was due at this time; False if there is none."""
        review_id = self._waiting.take_due(due)
        if review_id is None:
            return False
        again: float | None = now + RETRY_S
        try:
            async with self._lock:
                again = await self._look(review_id, now)
        except RequestError as error:  # another process was quicker
            _logger.info("a review was changed elsewhere", extra=fields(review=review_id, code=error.code))
        finally:
            self._waiting.reschedule(review_id, again)
        return True

    async def _look(self, review_id: str, now: float) -> float | None:
        """Do what is due. Returns when to look again; None if nothing is left to be done."""
        known = await self._facts.find(review_id)
        if known is None:
            return None
        if await self._is_over(known.held):
            await self._put_away(known)
            return None
        if not self._is_live(known.held):  # its end is being written, or its log is being recovered
            return now + RETRY_S
        after = review.elapse(known, now)
        if after.state in OPEN:
            return review.next_due(await self._escalate(known, after, now))
        whole = await self._facts.with_text(after)
        if whole is not None:
            outcome = _allowed(_outcome(whole))
            if after.state is not known.state:
                await self._write(known, after)
            self._tell(whole, outcome)
        return now + RETRY_S

    async def _escalate(self, known: Review, after: Review, now: float) -> Review:
        """Tell the webhook what it has not been told, and write what has changed."""
        reasons = review.escalations(after, now)
        for reason in reasons:
            self._on_escalation(after.held, reason)
        after = review.escalated(after, reasons)
        return after if after == known else await self._write(known, after)

    async def _put_away(self, known: Review) -> None:
        """Its response has ended: keep what was decided, let go of every text."""
        ended = _allowed(review.void(known)) if known.state in OPEN else known
        decision = ended.held.decision
        if decision is not None and decision.text:
            decision = msgspec.structs.replace(decision, text="")
            ended = Review(ended.state, msgspec.structs.replace(ended.held, decision=decision))
        if ended != known:
            await self._write(known, ended)
        await self._facts.forget_text(known.held.id, known.held.created_at)

    # both

    async def _find(self, review_id: str) -> Review:
        found = await self._facts.find(review_id)
        if found is None:
            raise RequestError("not_found", "There is no review with this id.")
        return found

    async def _change(self, review_id: str, change: Callable[[Review, float], Review | Refusal]) -> Review:
        async with self._lock:
            known = await self._find(review_id)
            return await self._write(known, _allowed(change(known, self._clock.wall())))

    async def _write(self, known: Review, after: Review) -> Review:
        """Put `after` in the place of `known`. Raises `RequestError` if somebody else was quicker."""
        if not await self._facts.put(after, expected=known.state):
            raise RequestError("review_conflict", "Somebody else has changed the review just now.")
        self._waiting.note(after, due=review.next_due(after) if after.state in OPEN else None)
        return after

    def _tell(self, decided: Review, outcome: Outcome) -> bool:
        held, decision = decided.held, decided.held.decision
        assert decision is not None
        told = self._on_decided(held.response_id, outcome.events, outcome.ending)
        values = {"review": held.id, "response": held.response_id, "decision": decision.decision, "by": decision.by}
        _logger.info("a review was decided", extra=fields(**values, told=told))
        return told

    async def _takes_decision(self, known: Review) -> bool:
        """Whether the log can still be told. If it has ended, the review is voided."""
        if self._is_live(known.held):
            return True
        if known.held.response_id not in self._live and not await self._is_over(known.held):
            raise store_unavailable("The response is being recovered.")
        await self._write(known, _allowed(review.void(known)))
        return False

    def _is_live(self, held: HeldResponse) -> bool:
        log = self._live.get(held.response_id)
        return log is not None and not log.ended

    async def _is_over(self, held: HeldResponse) -> bool:
        """Whether the end of the response is durable, or the response is gone."""
        if held.response_id in self._live:
            return False
        record = await self._store.find(held.response_id)
        return record is None or bool(record.terminal)


def _outcome(decided: Review) -> Outcome | Refusal:
    assert decided.held.decision is not None
    return decision_events(decided.held, decided.held.decision)


def _ended_otherwise() -> RequestError:
    return RequestError("review_conflict", "The response has ended otherwise.")


def _allowed(found: _T | Refusal) -> _T:
    """What was found, or `RequestError`."""
    if isinstance(found, Refusal):
        raise RequestError(found.code, found.message)
    return found
