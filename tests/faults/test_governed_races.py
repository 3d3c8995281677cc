"""What comes at a bad moment: an end, a cancel, a leaving reader, a failing store, another policy, while gates are at work."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from headgate.api import conversation
from headgate.config import OnDisconnect
from headgate.delivery import Farewell
from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.errors import RequestError, StoreError
from headgate.events import AnyEvent, AttemptStarted, Delta, Held, Released, Retracted, Status, Terminal
from headgate.gateway import Gateway
from headgate.governance.people.review import Act
from headgate.guard import Guard
from headgate.lifecycle import Lifecycle
from headgate.policies import Action, Policy, Review, Rule
from headgate.producer import Producer
from headgate.reader import StreamReader
from headgate.request import CreateRequest
from headgate.reviews.facts import GONE, TEXT_KIND
from tests.faults.snapshots import Page, resumed
from tests.shell.asking import GOVERNED, Answer, ask, gateway, request, settings
from tests.shell.provider import (
    CHUNKED,
    DONE,
    LAST_CHUNK,
    Line,
    Play,
    Request,
    chunk,
    finish,
    provider,
    says,
    says_and_waits,
    word,
)
from tests.shell.scene import run, turns, until

FIRST: Final = "It is fine. "
SECOND: Final = "The word is hunter2. "
THIRD: Final = "So it is."
OPENING: Final = CHUNKED + chunk(word(FIRST) + word(SECOND) + word(THIRD))
WHOLE: Final = CHUNKED + chunk(word(FIRST) + word(SECOND) + word(THIRD) + finish() + DONE) + LAST_CHUNK

_waiting: dict[str, asyncio.Event] = {}
"""Sentences that are being judged."""


@pytest.fixture(autouse=True)
def nothing_waits() -> Iterator[None]:
    _waiting.clear()
    yield
    _waiting.clear()


async def patient(text: str) -> str | None:
    """Says what it thinks of a text once the test lets it."""
    event = _waiting[text.strip()] = asyncio.Event()
    await event.wait()
    return "secret" if "hunter2" in text else None


async def later(text: str) -> None:
    await asyncio.sleep(0.15)


def judged(gate: str = "stream", function: str = "patient", *, at_once: int = 16, **more: Any) -> Policy:
    path = f"{__name__}:{function}"
    rule = Rule(name="judge", detector="callable", callable=path, action=Action.BLOCK, concurrency=at_once)
    return Policy.model_validate({gate: ["judge"], "rules": [rule]} | more)


def holding(**more: Any) -> Policy:
    rule = Rule(name="word", detector="terms", terms=["hunter2"], action=Action.HOLD)
    return Policy(stream=["word"], rules=[rule], review=Review(hold_wait_s=0), **more)


@asynccontextmanager
async def asked(policy: Policy, *plays: Play, **options: Any) -> AsyncIterator[tuple[Gateway, Answer]]:
    async with (
        provider(*(plays or (says(WHOLE),))) as upstream,
        gateway(upstream.url, policy=policy, **options) as opened,
    ):
        yield opened, ask(opened)


async def events_of(opened: Gateway, response_id: str) -> list[AnyEvent]:
    """The events of a log, which must be legal."""
    log = await opened.hub.find(response_id, "")
    lifecycle = Lifecycle()
    events = [event async for entry in opened.hub.entries(log) for event in entry.events]
    for event in events:
        lifecycle.feed(event)
    return events


async def being_judged(*sentences: str) -> None:
    await until(lambda: all(sentence.strip() in _waiting for sentence in sentences))


async def text_for_chat(opened: Gateway, got: Answer) -> bytes:
    return await resumed(opened, await opened.hub.find(got.log.id, ""), OPENAI_CHAT)


# before the request is sent


def test_cancel_while_the_request_is_judged_ends_it_without_an_attempt() -> None:
    async def test() -> None:
        async with asked(judged("request")) as (opened, got):
            await until(lambda: _waiting)
            assert opened.cancel(got.log)
            assert (await got.ended()).status is Status.CANCELLED
            for event in _waiting.values():
                event.set()
            await turns(20)
            assert not any(isinstance(event, AttemptStarted) for event in await events_of(opened, got.log.id))

    run(test)


def test_time_for_judging_the_request_counts() -> None:
    async def test() -> None:
        async with asked(judged("request"), total_s=0.1) as (_, got):
            assert (await got.ended()).status is Status.EXPIRED
            assert got.attempts == []

    run(test)


def test_answer_goes_on_with_the_numbers_of_the_request() -> None:
    policy = Policy(request=["email"], stream=["email"], placeholder="numbered")

    async def test() -> None:
        said = CHUNKED + chunk(word("Ask b@example.com or a@example.com. ") + finish() + DONE) + LAST_CHUNK
        async with provider(says(said)) as upstream, gateway(upstream.url, policy=policy) as opened:
            got = ask(opened, content="I am a@example.com.")
            await got.ended()
            assert upstream.requests[0].body["messages"][0]["content"] == "I am [email_1]."
            assert got.text == "Ask [email_2] or [email_1]. "

    run(test)


# while verdicts of the stream are owed


@pytest.mark.parametrize("end", ["cancel", "cut", "stall", "deadline", "close"])
def test_text_that_waits_for_its_verdict_is_taken_back_however_the_log_ends(end: str, tmp_path: Path) -> None:
    """Readers that cannot take text back are shown everything once a log has ended."""
    limits = {"stall": {"stall_s": 0.5}, "deadline": {"total_s": 0.5}}.get(end, {})
    verified = asyncio.Event()

    async def play(line: Line, request: Request) -> None:
        await line.send(OPENING)
        await verified.wait()
        line.close() if end == "cut" else await line.gone()

    store = f"sqlite:///{tmp_path}/h.db"

    async def test() -> None:
        policy = judged(retract=True)
        async with asked(policy, play, store=store, **limits) as (opened, got):
            await being_judged(FIRST, SECOND)
            _waiting[FIRST.strip()].set()
            await until(lambda: any(isinstance(event, Released) for event in got.seen))
            verified.set()
            if end == "cancel":
                opened.cancel(got.log)
            elif end == "close":
                await opened.close()
            terminal = await got.ended()
            assert not terminal.status.successful
            assert any(isinstance(event, Retracted) and event.reason == "unverified" for event in got.seen)
        async with Gateway(settings("http://127.0.0.1:1/v1", policy=policy, store=store)) as again:
            shown = await text_for_chat(again, got)
            assert FIRST.strip().encode() in shown
            assert b"hunter2" not in shown
            await events_of(again, got.log.id)

    run(test)


def test_reader_that_cannot_take_text_back_is_given_what_is_verified_at_once() -> None:
    async def test() -> None:
        async with asked(judged(retract=True), says_and_waits(OPENING)) as (opened, got):
            await being_judged(FIRST, SECOND)
            page = Page()
            reader = StreamReader(
                got.log,
                OPENAI_CHAT.encoder(),
                expresses_retraction=False,
                heartbeat=b"",
                read_rows=opened.read_rows,
            )
            reader.attach()
            task = asyncio.create_task(reader.run(page))
            _waiting[FIRST.strip()].set()
            await until(lambda: FIRST.strip().encode() in page.data)
            assert b"hunter2" not in page.data
            _waiting[SECOND.strip()].set()
            assert (await got.ended()).code == "policy_blocked"
            await task
            assert b"hunter2" not in page.data

    run(test)


def test_verdict_that_comes_after_the_end_changes_nothing() -> None:
    async def test() -> None:
        async with asked(judged(), says_and_waits(OPENING)) as (opened, got):
            await being_judged(FIRST, SECOND)
            opened.cancel(got.log)
            await got.ended()
            for event in _waiting.values():
                event.set()
            await turns(20)
            await opened.journal.flush()
            events = await events_of(opened, got.log.id)
            assert isinstance(events[-1], Terminal)
            assert not any(isinstance(event, Delta) for event in events)

    run(test)


def test_nothing_of_a_guard_is_kept_once_its_log_has_ended() -> None:
    async def test() -> None:
        async with asked(judged()) as (_, got):
            await being_judged(FIRST)
            gc.collect()
            gc.disable()
            try:
                await being_judged(FIRST, SECOND, THIRD)
                assert len(alive()) == 2
                for event in _waiting.values():
                    event.set()
                assert (await got.ended()).code == "policy_blocked"
                await until(lambda: not alive())
            finally:
                gc.enable()

    run(test)


def alive() -> list[object]:
    """Guards and producers, those that only the cyclic collector would find included: it comes rarely."""
    return [found for found in gc.get_objects() if type(found) in (Guard, Producer)]


# a provider that is kept waiting


def in_one_read(sentences: int) -> Play:
    said = b"".join([word(f"Sentence {n} is here. ") for n in range(sentences)])
    return says(CHUNKED + chunk(said + finish() + DONE) + LAST_CHUNK)


def test_connection_that_was_kept_waiting_is_read_again_by_whoever_has_it_next() -> None:
    async def test() -> None:
        policy = judged(function="later")
        async with provider(in_one_read(100), says(WHOLE)) as upstream, gateway(upstream.url, policy=policy) as opened:
            assert (await ask(opened).ended()).status is Status.COMPLETED
            assert (await ask(opened).ended()).status is Status.COMPLETED
            assert upstream.connections == 1

    run(test)


def test_silence_of_a_provider_that_is_kept_waiting_is_no_stall() -> None:
    """It takes longer than a stall until it may speak again, and then it takes its time as well."""
    said = b"".join([word(f"Sentence {n} is here. ") for n in range(100)])

    async def slow(line: Line, request: Request) -> None:
        await line.send(CHUNKED, chunk(said))
        await asyncio.sleep(1.0)
        await line.send(chunk(word("End.") + finish() + DONE), LAST_CHUNK)

    async def test() -> None:
        async with asked(judged(function="later", at_once=8), slow, stall_s=0.5) as (_, got):
            assert (await got.ended()).status is Status.COMPLETED

    run(test)


# holds


async def until_handed_over(opened: Gateway) -> None:
    while not any(producer.is_handed_over for producer in opened._producers.values()):
        await asyncio.sleep(0)


def test_stop_of_the_gateway_while_a_review_is_being_opened_waits_for_it(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/h.db"

    async def test() -> None:
        async with asked(holding(), store=store) as (opened, got):
            await until_handed_over(opened)
        async with Gateway(settings("http://127.0.0.1:1/v1", policy=holding(), store=store)) as again:
            assert again.reviews.open_count == 1
            log = await again.hub.find(got.log.id, "")
            assert log.terminal is None
            answer = Answer(log)
            page = await again.reviews.queue()
            await again.reviews.decide(page.reviews[0].held.id, Act.APPROVE, "ada")
            assert (await answer.ended()).status is Status.COMPLETED

    run(test)


@pytest.mark.parametrize("opening", [True, False])
def test_held_response_that_is_cancelled_leaves_no_review(opening: bool) -> None:
    async def test() -> None:
        async with asked(holding()) as (opened, got):
            if opening:
                await until_handed_over(opened)
            else:
                await until(lambda: opened.reviews.open_count)
                await turns()
                assert not opened._producers
            assert opened.cancel(got.log)
            assert (await got.ended()).status is Status.CANCELLED
            await opened.oversight.desk.settled()
            await opened.reviews.tick(opened.clock.wall())
            assert opened.reviews.open_count == 0
            assert "hunter2" not in got.text

    run(test)


def test_held_response_that_is_deleted_takes_the_held_text_with_it() -> None:
    async def test() -> None:
        async with asked(holding()) as (opened, got):
            await until(lambda: opened.reviews.open_count and not opened._producers)
            review = (await opened.reviews.queue()).reviews[0].held.id
            opened.cancel(got.log)
            await got.ended()
            await opened.hub.delete(got.log)
            await opened.reviews.tick(opened.clock.wall())
            text = await opened._store.fact(TEXT_KIND, review)
            assert text is not None
            assert (text.state, text.body) == (GONE, b"")

    run(test)


@pytest.mark.parametrize("moment", ["held", "waiting"])
def test_held_response_goes_on_when_its_readers_leave(moment: str) -> None:
    async def test() -> None:
        play = says_and_waits(OPENING) if moment == "held" else says(WHOLE)
        async with asked(holding(), play) as (opened, got):
            await until(lambda: any(isinstance(event, Held) for event in got.seen))
            if moment == "waiting":
                await until(lambda: opened.reviews.open_count)
            got.log.readers.remove(got)
            opened.disconnects.reader_left(got.log, Farewell(OnDisconnect.CANCEL, 0.0))
            await turns()
            assert not got.log.ended

    run(test)


def test_held_response_is_in_progress_and_says_how_much_waits() -> None:
    async def test() -> None:
        async with asked(holding()) as (opened, got):
            await until(lambda: opened.reviews.open_count and not opened._producers)
            answer = await conversation.shown(opened, got.log)
            shown = msgspec.json.decode(answer.body)
            assert shown["status"] == "in_progress"
            (marks,) = shown["headgate"]["watermarks"]
            released = len(FIRST + "The word is ")
            assert marks == {
                "choice": 0,
                "part": 0,
                "generated": len(FIRST + SECOND + THIRD),
                "released": released,
                "verified": released,
            }
            assert b"hunter2" not in answer.body

    run(test)


def next_turn(response_id: str) -> CreateRequest:
    body = {"model": "m", "input": "And then?", "previous_response_id": response_id}
    return CreateRequest("openai-responses", "m", body, text=["And then?"], input=["And then?"])


def test_conversation_goes_on_after_what_was_blocked_and_not_while_it_is_held() -> None:
    async def test() -> None:
        async with provider(says(WHOLE)) as upstream, gateway(upstream.url, policy=holding()) as opened:
            first = request()
            first = msgspec.structs.replace(first, input=[{"role": "user", "content": "Hello"}])
            got = Answer(opened.create(first, ""))
            await until(lambda: opened.reviews.open_count and not opened._producers)
            with pytest.raises(RequestError) as refused:
                await conversation.continued(opened, next_turn(got.log.id), "")
            assert refused.value.code == "invalid_request"
            review = (await opened.reviews.queue()).reviews[0].held.id
            await opened.reviews.decide(review, Act.REJECT, "ada")
            assert (await got.ended()).status is Status.BLOCKED
            following = await conversation.continued(opened, next_turn(got.log.id), "")
            assert FIRST in repr(following.body["input"])
            assert "hunter2" not in repr(following.body["input"])

    run(test)


def test_held_response_has_no_other_deadline_than_its_review() -> None:
    async def test() -> None:
        async with asked(holding(), total_s=60.0) as (opened, got):
            await until_handed_over(opened)
            (producer,) = opened._producers.values()
            producer.tick(asyncio.get_running_loop().time() + 3_600)
            assert not got.log.ended

    run(test)


# a store that fails


def test_nothing_is_appended_to_a_log_whose_store_has_failed() -> None:
    """Verdicts, reviews and requests under way come to nothing; recovery ends the log."""

    async def test() -> None:
        async with asked(judged(), says_and_waits(OPENING)) as (opened, got):
            await being_judged(FIRST, SECOND)
            await opened.journal.flush()
            opened.journal.fail(StoreError("the disk is full"))
            assert got.broken
            for event in _waiting.values():
                event.set()
            await turns(20)
            await until(lambda: opened.not_ready is None)
            events = await events_of(opened, got.log.id)
            assert isinstance(events[-1], Terminal)
            assert events[-1].code == "interrupted"
            assert not any(isinstance(event, Delta) for event in events)

    run(test)


def test_request_that_passes_after_the_store_has_failed_is_not_sent() -> None:
    async def test() -> None:
        async with (
            provider(says(WHOLE)) as upstream,
            gateway(upstream.url, policy=judged("request")) as opened,
        ):
            ask(opened)
            await until(lambda: _waiting)
            opened.journal.fail(StoreError("the disk is full"))
            for event in _waiting.values():
                event.set()
            await turns(20)
            await until(lambda: opened.not_ready is None)
            assert upstream.requests == []

    run(test)


# other policies


def test_response_in_flight_keeps_its_policy_and_its_judge() -> None:
    other = f'[policies.{GOVERNED}]\nstream = ["email"]\n'

    async def test() -> None:
        async with asked(judged(), says_and_waits(OPENING)) as (opened, got):
            await being_judged(FIRST)
            assert await opened.governor.apply(other, {}, who="ada") is not None
            for _ in range(3):
                await opened.oversight.sweep([producer.rules for producer in opened._producers.values()])
            await being_judged(FIRST, SECOND)
            for event in _waiting.values():
                event.set()
            assert (await got.ended()).code == "policy_blocked"
            assert got.text == FIRST

    run(test)


def test_judge_of_a_policy_that_is_about_to_be_in_force_is_not_swept_away() -> None:
    async def test() -> None:
        async with asked(Policy(stream=["email"])) as (opened, got):
            await got.ended()
            record = opened.governor._record
            text = (
                f'[policies.{GOVERNED}]\nstream = ["judge"]\n[[policies.{GOVERNED}.rules]]\nname = "judge"\n'
                f'detector = "callable"\ncallable = "{__name__}:later"\naction = "block"\n'
            )
            prepare = opened.governor._prepare
            assert prepare is not None

            async def prepare_and_sweep(rulesets: Any) -> Any:
                problems = await prepare(rulesets)
                await opened.oversight.sweep([])
                return problems

            opened.governor._prepare = prepare_and_sweep
            await opened.governor.apply(text, {}, who="ada")
            assert record is not None
            assert (await ask(opened).ended()).status is Status.COMPLETED

    run(test)


def test_generated_is_known_of_text_that_waits() -> None:
    async def test() -> None:
        async with asked(judged(), says_and_waits(OPENING)) as (opened, got):
            await being_judged(FIRST, SECOND)
            await until(lambda: opened.generated(got.log) == {(0, 0, 0): len(FIRST + SECOND + THIRD)})
            assert got.text == ""

    run(test)
