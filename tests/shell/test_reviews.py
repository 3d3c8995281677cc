"""The queue of reviews: durable, decided once, taken over after a restart, and nothing of the text left at the end."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable
from pathlib import Path
from typing import Final

import msgspec
import pytest

from headgate import assemble, policies
from headgate.assemble import Fold
from headgate.clock import Clock
from headgate.endings import Ending, closing
from headgate.errors import RequestError, StoreError
from headgate.events import (
    AnyEvent,
    AttemptEnded,
    ChoiceDone,
    Delta,
    Held,
    PartDone,
    PartKind,
    Reason,
    Reviewed,
    Status,
    Terminal,
)
from headgate.governance.people.review import Act, HeldResponse, State, held_response
from headgate.log import Log
from headgate.reviews import RETRY_S, CannotHoldError, Limits, Reviews, new_review_id
from headgate.reviews.facts import KIND, TEXT_KIND
from headgate.stores import Fact, Store
from headgate.stores.memory import MemoryStore
from headgate.stores.sqlite import SqliteStore
from tests.shell.scene import Scene, begin, run, say

NOW: Final = 1_780_000_000.0
NORMAL: Final = Limits()
SECRET: Final = "earns 5 a day."


class Desk:
    """Reviews over a store, the logs they are about, and a clock that stands still until it is moved."""

    def __init__(self, store: Store | None = None, limits: Limits = NORMAL, path: str = "") -> None:
        self.scene = Scene(store or MemoryStore())
        self.path = path
        self.limits = limits
        self.deaf = False
        """What is appended to logs from here on is lost."""
        self.live: dict[str, Log] = {}
        self.now = NOW
        self.escalated: list[tuple[str, str]] = []
        self.reviews = self.another()

    def another(self) -> Reviews:
        """Reviews of another process, or of this one after a restart."""
        clock = Clock(wall=lambda: self.now)
        return Reviews(
            self.scene.store,
            clock,
            self.live,
            on_decided=self._append,
            on_escalation=self._escalate,
            limits=self.limits,
        )

    async def hold(
        self, *, settings: policies.Review | None = None, policy: str = "p", risk: str = "low"
    ) -> HeldResponse:
        """A log that is held behind ``Ada``, and its review."""
        log = self.scene.log()
        self.live[log.id] = log
        begin(log)
        say(log, "Ada ")
        mark = Held(0, 0, 4, "salary", new_review_id(int(self.now * 1000)))
        log.append([mark], 1)
        await self.scene.journal.flush()
        held = held_response(
            await self.fold(log), mark, settings=settings or policies.Review(), risk=risk, now=self.now
        )
        ending = (PartDone(0, 0), ChoiceDone(0, Reason.STOP, "stop"), AttemptEnded(1, "ok", 200))
        held = msgspec.structs.replace(held, policy=policy, withheld=(Delta(0, 0, SECRET), *ending))
        await self.reviews.open(held)
        return held

    async def fold(self, log: Log) -> Fold:
        fold = Fold()
        for row in log.rows:
            for _, entries in await self.scene.store.read(log.number, [row]):
                for entry in entries:
                    fold.feed_entry(entry)
        return fold

    async def end(self, held: HeldResponse) -> None:
        """What is appended to the log becomes durable; a log that ended is told to the reviews, and forgotten."""
        await self.scene.journal.flush()
        if self.live[held.response_id].terminal is not None:
            del self.live[held.response_id]
            self.reviews.response_ended(held.response_id)

    async def cancel(self, held: HeldResponse) -> None:
        self.live[held.response_id].append([AttemptEnded(1, "cancelled"), Terminal(Status.CANCELLED)], 1)
        await self.end(held)

    async def move(self, seconds: float) -> None:
        self.now += seconds
        await self.reviews.tick(self.now)

    async def states(self, held: HeldResponse) -> tuple[State, str]:
        """Of the review, and of its text."""
        text = await self.scene.store.fact(TEXT_KIND, held.id)
        return (await self.reviews.show(held.id)).state, text.state if text else ""

    def events(self, held: HeldResponse) -> list[AnyEvent]:
        """What was appended to the log after the hold, whatever log it was."""
        seen = self.scene.observer.seen
        at = next(n for n, event in enumerate(seen) if isinstance(event, Held) and event.review == held.id)
        return seen[at + 1 :]

    def _append(self, response_id: str, events: list[AnyEvent], ending: Ending) -> bool:
        log = self.live.get(response_id)
        if self.deaf:
            return True
        if log is None or log.ended:
            return False
        finish(log, events, ending)
        return True

    def _escalate(self, held: HeldResponse, reason: str) -> None:
        self.escalated.append((held.id, reason))


def finish(log: Log, events: list[AnyEvent], ending: Ending) -> None:
    """As whoever has the log does: the digest counts these events, and one commit has them all."""
    log.append(events, 1)
    log.append([closing(ending, sha256=log.digest(), ended_at=0)], 1)


class FailingStore(MemoryStore):
    """Takes no facts of a kind, when it is told not to."""

    fails = ""

    async def put_fact(self, fact: Fact, *, expected: str | None = None) -> bool:
        if fact.kind == self.fails:
            raise StoreError("disk full")
        return await super().put_fact(fact, expected=expected)


async def refusal(call: Awaitable[object]) -> str:
    with pytest.raises(RequestError) as refused:
        await call
    return refused.value.code


def terminal(events: list[AnyEvent]) -> Terminal:
    assert isinstance(events[-1], Terminal)
    return events[-1]


# deciding


@pytest.mark.parametrize(
    ("act", "state", "status", "text"),
    [
        (Act.APPROVE, State.APPROVED, Status.COMPLETED, "Ada " + SECRET),
        (Act.EDIT, State.EDITED, Status.COMPLETED, "Ada works."),
        (Act.REJECT, State.REJECTED, Status.BLOCKED, "Ada "),
    ],
)
def test_decision_ends_the_log_and_then_nothing_of_the_text_is_kept(
    act: Act, state: State, status: Status, text: str
) -> None:
    async def test() -> None:
        desk = Desk()
        held = await desk.hold()
        assert (await desk.reviews.show(held.id)).held == held
        decided = await desk.reviews.decide(held.id, act, "ada", comment="so", text="works.")
        assert decided.state is state
        await desk.end(held)
        events = desk.events(held)
        decision = {Act.APPROVE: "approve", Act.EDIT: "edit", Act.REJECT: "reject"}[act]
        assert events[0] == Reviewed(held.id, decision, "ada", int(NOW), "so")
        assert terminal(events).status is status
        assert text == "Ada " + "".join(event.text for event in events if isinstance(event, Delta))
        digest = assemble.digest([(0, 0, PartKind.TEXT, hashlib.sha256(text.encode()).digest())])
        assert terminal(events).sha256 == digest
        await desk.move(0)
        assert await desk.states(held) == (state, "gone")
        facts = [fact for kind in ("review", TEXT_KIND) for fact in await desk.scene.store.facts(kind, limit=9)]
        assert not any(word in fact.body for fact in facts for word in (b"Ada ", SECRET.encode(), b"works."))
        assert desk.reviews.open_count == 0

    run(test)


def test_of_two_reviewers_one_decides_and_the_other_is_told() -> None:
    async def test() -> None:
        desk = Desk()
        held = await desk.hold()
        both = [desk.reviews.decide(held.id, act, by) for act, by in ((Act.APPROVE, "ada"), (Act.REJECT, "bob"))]
        first, second = await asyncio.gather(*both, return_exceptions=True)
        assert not isinstance(first, BaseException)
        assert isinstance(second, RequestError)
        assert second.code == "review_conflict"
        await desk.end(held)
        assert [event.reviewer for event in desk.events(held) if isinstance(event, Reviewed)] == ["ada"]

    run(test)


class SlowStore(MemoryStore):
    """Everybody has read before anybody writes, as with two processes and one database."""

    async def fact(self, kind: str, key: str) -> Fact | None:
        found = await super().fact(kind, key)
        await asyncio.sleep(0)
        return found

    async def put_fact(self, fact: Fact, *, expected: str | None = None) -> bool:
        for _ in range(3):
            await asyncio.sleep(0)
        return await super().put_fact(fact, expected=expected)


@pytest.mark.parametrize("acts", [(Act.APPROVE, Act.REJECT), (Act.APPROVE, Act.APPROVE), (Act.EDIT, Act.REJECT)])
def test_of_two_processes_that_share_a_store_one_decides(acts: tuple[Act, Act]) -> None:
    async def test() -> None:
        desk = Desk(SlowStore())
        held = await desk.hold()
        decisions = [
            queue.decide(held.id, act, by, text="x")
            for queue, act, by in zip((desk.reviews, desk.another()), acts, ("ada", "bob"), strict=True)
        ]
        found = await asyncio.gather(*decisions, return_exceptions=True)
        lost = [error for error in found if isinstance(error, RequestError)]
        assert [error.code for error in lost] == ["review_conflict"]
        await desk.end(held)
        assert sum(isinstance(event, Reviewed) for event in desk.events(held)) == 1

    run(test)


def test_claim_keeps_others_from_deciding_until_it_runs_out() -> None:
    async def test() -> None:
        desk = Desk()
        held = await desk.hold(settings=policies.Review(claim_s=60.0))
        await desk.reviews.claim(held.id, "ada")
        assert await refusal(desk.reviews.decide(held.id, Act.APPROVE, "bob")) == "review_conflict"
        await desk.reviews.comment(held.id, "bob", "Why not?")
        await desk.move(59)
        assert (await desk.reviews.show(held.id)).state is State.CLAIMED
        await desk.move(1)
        known = await desk.reviews.show(held.id)
        assert (known.state, known.held.claim) == (State.PENDING, None)
        assert [said.text for said in known.held.comments] == ["Why not?"]
        await desk.reviews.claim(held.id, "bob")
        await desk.reviews.release(held.id, "bob")
        assert (await desk.reviews.decide(held.id, Act.REJECT, "ada")).state is State.REJECTED

    run(test)


def test_edit_that_the_log_cannot_take_leaves_the_review_open() -> None:
    async def test() -> None:
        desk = Desk()
        held = await desk.hold()
        assert await refusal(desk.reviews.decide(held.id, Act.EDIT, "ada", text="")) == "invalid_request"
        assert (await desk.reviews.show(held.id)).state is State.PENDING
        assert desk.events(held) == []

    run(test)


@pytest.mark.parametrize("review_id", ["", "x", "rev_1", "resp_" + "0" * 32, "rev_" + "0" * 32, "x" * 10_000])
def test_what_is_no_review_is_not_found(review_id: str) -> None:
    async def test() -> None:
        desk = Desk()
        assert await refusal(desk.reviews.show(review_id)) == "not_found"
        assert await refusal(desk.reviews.claim(review_id, "ada")) == "not_found"
        assert await refusal(desk.reviews.decide(review_id, Act.APPROVE, "ada")) == "not_found"

    run(test)


def test_response_that_was_cancelled_voids_its_review_and_its_text_goes() -> None:
    async def test() -> None:
        desk = Desk()
        held = await desk.hold()
        await desk.cancel(held)
        assert await refusal(desk.reviews.decide(held.id, Act.APPROVE, "ada")) == "review_conflict"
        await desk.move(0)
        assert await desk.states(held) == (State.VOID, "gone")
        assert desk.reviews.open_count == 0

    run(test)


def test_decision_that_comes_while_the_log_is_being_cancelled_is_void() -> None:
    async def test() -> None:
        desk = Desk()
        held = await desk.hold()
        desk.live[held.response_id].append([AttemptEnded(1, "cancelled"), Terminal(Status.CANCELLED)], 1)
        assert await refusal(desk.reviews.decide(held.id, Act.APPROVE, "ada")) == "review_conflict"
        await desk.end(held)
        await desk.move(RETRY_S)
        assert await desk.states(held) == (State.VOID, "gone")
        assert sum(isinstance(event, Terminal) for event in desk.events(held)) == 1

    run(test)


# time


@pytest.mark.parametrize(("on_timeout", "status"), [("reject", Status.BLOCKED), ("approve", Status.COMPLETED)])
@pytest.mark.parametrize("claimed", [False, True])
def test_review_that_nobody_decides_is_decided_by_the_policy(on_timeout: str, status: Status, claimed: bool) -> None:
    async def test() -> None:
        desk = Desk()
        settings = policies.Review.model_validate({"timeout_s": 100.0, "on_timeout": on_timeout, "claim_s": 500.0})
        held = await desk.hold(settings=settings)
        if claimed:
            await desk.reviews.claim(held.id, "ada")
        await desk.move(99.9)
        assert desk.events(held) == []
        await desk.move(0.1)
        await desk.end(held)
        events = desk.events(held)
        assert events[0] == Reviewed(held.id, "timeout", "timeout", int(NOW + 100))
        assert terminal(events).status is status
        assert terminal(events).code == ("review_rejected" if status is Status.BLOCKED else "")
        await desk.move(0)
        assert await desk.states(held) == (State.TIMED_OUT, "gone")

    run(test)


def test_high_risk_is_told_at_once_and_long_waiting_later_each_once() -> None:
    async def test() -> None:
        desk = Desk()
        settings = policies.Review(escalate_after_s=60.0)
        high, low = await desk.hold(settings=settings, risk="high"), await desk.hold(settings=settings)
        await desk.move(0)
        assert desk.escalated == [(high.id, "risk")]
        await desk.move(59)
        await desk.move(1)
        await desk.move(1)
        assert sorted(desk.escalated[1:]) == sorted([(high.id, "waiting"), (low.id, "waiting")])
        again = desk.another()
        await again.recover()
        await again.tick(desk.now)
        assert len(desk.escalated) == 3, "a restart tells nobody twice"

    run(test)


def test_one_tick_does_a_bounded_amount_of_work() -> None:
    async def test() -> None:
        desk = Desk(limits=Limits(looks_max=3))
        for _ in range(5):
            await desk.hold(settings=policies.Review(timeout_s=10.0))
        await desk.move(10)
        assert sum(log.ended for log in desk.live.values()) == 3
        await desk.move(0)
        assert sum(log.ended for log in desk.live.values()) == 5

    run(test)


# limits


def test_more_reviews_than_there_may_be_are_not_opened() -> None:
    async def test() -> None:
        desk = Desk(limits=Limits(open_max=1))
        held = await desk.hold()
        with pytest.raises(CannotHoldError) as refused:
            await desk.hold()
        assert refused.value.code == "guard_failed"
        await desk.reviews.decide(held.id, Act.REJECT, "ada")
        await desk.end(held)
        await desk.move(0)
        await desk.hold()

    run(test)


def test_more_text_than_may_be_held_is_not_held() -> None:
    async def test() -> None:
        with pytest.raises(CannotHoldError):
            await Desk(limits=Limits(held_bytes_max=10)).hold()

    run(test)


# restarts


async def crash(desk: Desk) -> None:
    """The process dies with whatever was not committed; another one rebuilds what is open, as `restart` does."""
    desk.live.clear()
    desk.deaf = False
    if isinstance(desk.scene.store, SqliteStore):
        seen, path = desk.scene.observer, desk.path
        await desk.scene.store.close()
        desk.scene = Scene(SqliteStore(path))
        desk.scene.observer = seen
    desk.reviews = desk.another()
    for record, rows in await desk.scene.store.unfinished():
        log = Log(record, desk.scene.journal, desk.scene.observer)
        mark: Held | None = None
        for row, (_, entries) in zip(rows, await desk.scene.store.read(record.number, rows), strict=True):
            log.replay(row, entries)
            for event in (event for entry in entries for event in entry.events):
                mark = event if isinstance(event, Held) else mark
        fate = await desk.reviews.fate(log.id, mark.review) if mark is not None else None
        if fate is None:
            log.append([AttemptEnded(1, "interrupted"), Terminal(Status.FAILED, code="interrupted")], 1)
        elif fate.outcome is None:
            desk.live[log.id] = log
        else:
            finish(log, *fate.outcome)
    await desk.scene.journal.flush()
    await desk.reviews.recover()


@pytest.mark.parametrize("claimed", [False, True])
@pytest.mark.parametrize("file", ["", "reviews.db"])
def test_open_review_goes_on_after_a_restart(claimed: bool, file: str, tmp_path: Path) -> None:
    async def test() -> None:
        path = str(tmp_path / file) if file else ""
        desk = Desk(SqliteStore(path) if path else None, path=path)
        held = await desk.hold()
        if claimed:
            await desk.reviews.claim(held.id, "ada")
        await crash(desk)
        assert desk.events(held) == [], "the log is not interrupted"
        assert len((await desk.reviews.queue()).reviews) == 1
        other = desk.reviews.decide(held.id, Act.APPROVE, "bob")
        if claimed:
            assert await refusal(other) == "review_conflict"
            await desk.reviews.decide(held.id, Act.APPROVE, "ada")
        else:
            await other
        await desk.end(held)
        assert terminal(desk.events(held)).status is Status.COMPLETED
        await desk.move(0)
        assert await desk.states(held) == (State.APPROVED, "gone")
        await desk.scene.store.close()

    run(test)


@pytest.mark.parametrize("act", Act)
def test_decision_that_the_log_was_not_told_of_is_told_after_a_restart(act: Act) -> None:
    """The process died between the two: what the reviewer was told holds."""

    async def test() -> None:
        desk = Desk()
        held = await desk.hold()
        desk.deaf = True
        await desk.reviews.decide(held.id, act, "ada", text="works.")
        assert desk.events(held) == []
        await crash(desk)
        events = desk.events(held)
        assert isinstance(events[0], Reviewed)
        assert events[0].reviewer == "ada"
        assert terminal(events).status is (Status.BLOCKED if act is Act.REJECT else Status.COMPLETED)
        assert (await desk.states(held))[1] == "gone"
        assert desk.reviews.open_count == 0

    run(test)


def test_log_is_told_again_of_a_decision_that_did_not_reach_it() -> None:
    """The reviewer's connection may break at any await: the next tick goes on with it."""

    async def test() -> None:
        desk = Desk(SlowStore())
        held = await desk.hold()
        deciding = asyncio.create_task(desk.reviews.decide(held.id, Act.APPROVE, "ada"))
        while True:
            fact = await desk.scene.store.fact("review", held.id)
            if fact is not None and fact.state == "approved":
                break
        deciding.cancel()
        await asyncio.gather(deciding, return_exceptions=True)
        await desk.move(RETRY_S)
        await desk.end(held)
        assert [event.reviewer for event in desk.events(held) if isinstance(event, Reviewed)] == ["ada"]

    run(test)


def test_hold_whose_review_was_never_written_is_interrupted() -> None:
    async def test() -> None:
        store = FailingStore()
        desk = Desk(store)
        store.fails = KIND
        with pytest.raises(StoreError):
            await desk.hold()
        assert await store.count_facts(TEXT_KIND, "kept") == 1
        await crash(desk)
        assert terminal(desk.scene.observer.seen).code == "interrupted"
        assert await store.count_facts(TEXT_KIND, "kept") == 0

    run(test)


def test_review_whose_response_ended_before_the_crash_is_voided_by_the_restart() -> None:
    async def test() -> None:
        desk = Desk()
        held = await desk.hold()
        await desk.cancel(held)
        await crash(desk)
        assert await desk.states(held) == (State.VOID, "gone")
        assert (await desk.reviews.queue()).reviews == []

    run(test)


def test_decided_review_whose_text_outlived_the_crash_loses_it_at_the_restart() -> None:
    async def test() -> None:
        desk = Desk()
        held = await desk.hold()
        await desk.reviews.decide(held.id, Act.REJECT, "ada")
        await desk.end(held)
        assert await desk.states(held) == (State.REJECTED, "kept")
        await crash(desk)
        assert await desk.states(held) == (State.REJECTED, "gone")

    run(test)


def test_deadline_that_passed_while_the_gateway_was_down_counts() -> None:
    async def test() -> None:
        desk = Desk()
        held = await desk.hold(settings=policies.Review(timeout_s=10.0))
        desk.now += 1000
        await crash(desk)
        await desk.move(0)
        await desk.end(held)
        assert terminal(desk.events(held)).status is Status.BLOCKED

    run(test)


def test_nothing_is_decided_while_the_log_is_being_recovered() -> None:
    """After a failed commit no log is in memory until the store takes writes again; that voids no review."""

    async def test() -> None:
        desk = Desk()
        held = await desk.hold(settings=policies.Review(timeout_s=10.0))
        desk.live.clear()
        assert await refusal(desk.reviews.decide(held.id, Act.APPROVE, "ada")) == "store_unavailable"
        await desk.move(10)
        assert (await desk.reviews.show(held.id)).state is State.PENDING
        await crash(desk)
        await desk.move(0)
        assert (await desk.reviews.show(held.id)).state is State.TIMED_OUT

    run(test)


def test_store_that_fails_leaves_the_review_as_it_was() -> None:
    async def test() -> None:
        store = FailingStore()
        desk = Desk(store)
        held = await desk.hold(settings=policies.Review(timeout_s=10.0))
        store.fails = KIND
        with pytest.raises(StoreError):
            await desk.reviews.decide(held.id, Act.APPROVE, "ada")
        with pytest.raises(StoreError):
            await desk.move(10)
        assert desk.events(held) == []
        store.fails = ""
        await desk.move(RETRY_S)
        await desk.end(held)
        assert terminal(desk.events(held)).code == "review_rejected"

    run(test)


# the queue


def test_queue_is_ordered_by_risk_and_then_by_age_and_paged() -> None:
    async def test() -> None:
        desk = Desk()
        opened = {}
        for risk in ("low", "high", "medium", "low", "high"):
            desk.now += 1
            opened[(await desk.hold(risk=risk)).id] = (risk, desk.now - NOW)
        seen, after = [], ""
        while True:
            page = await desk.reviews.queue(after=after, limit=2)
            seen += [opened[known.held.id] for known in page.reviews]
            after = page.after
            if not after:
                break
            assert len(page.reviews) == 2
        assert seen == [("high", 2), ("high", 5), ("medium", 3), ("low", 1), ("low", 4)]

    run(test)


def test_queue_is_filtered_by_state_policy_and_risk() -> None:
    async def test() -> None:
        desk = Desk()
        a = await desk.hold(policy="a", risk="high")
        b = await desk.hold(policy="b")
        c = await desk.hold(policy="b")
        await desk.reviews.claim(b.id, "ada")
        await desk.reviews.decide(c.id, Act.APPROVE, "ada")

        async def ids(state: State | None = None, policy: str = "", risk: str = "") -> list[str]:
            return [
                known.held.id for known in (await desk.reviews.queue(state=state, policy=policy, risk=risk)).reviews
            ]

        assert await ids() == [a.id, b.id]
        assert await ids(State.CLAIMED) == [b.id]
        assert await ids(State.APPROVED) == [c.id]
        assert await ids(State.APPROVED, policy="a") == []
        assert await ids(policy="b") == [b.id]
        assert await ids(risk="high") == [a.id]
        assert await ids(State.REJECTED) == []

    run(test)


def test_decided_reviews_are_paged_from_the_store() -> None:
    async def test() -> None:
        desk = Desk()
        ids = []
        for _ in range(5):
            desk.now += 1
            held = await desk.hold()
            await desk.reviews.decide(held.id, Act.REJECT, "ada")
            ids.append(held.id)
        seen, after = [], ""
        for _ in range(10):
            page = await desk.reviews.queue(state=State.REJECTED, after=after, limit=2)
            seen += [known.held.id for known in page.reviews]
            after = page.after
            if not after:
                break
        assert seen == ids
        assert await refusal(desk.reviews.queue(after="nonsense")) == "invalid_cursor"

    run(test)
