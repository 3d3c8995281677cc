"""A governed response whose gateway is killed at any moment: legal, one end or a review that waits, nothing let out."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import pytest

from headgate.dialects.headgate import NATIVE
from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.events import AnyEvent, Held, Reviewed, Status, Terminal
from headgate.gateway import Gateway
from headgate.governance.people.review import Act
from headgate.lifecycle import Lifecycle
from headgate.policies import Action, Policy, Review, Rule
from tests.faults.snapshots import Camera, Snapshot, photographed, reopened, resumed
from tests.faults.test_crash_points import slowly
from tests.shell.asking import Answer, ask
from tests.shell.provider import DONE, finish, provider, word
from tests.shell.scene import run, until

SECRET: Final = "salary"
SAID: Final = ("Ada ", "works ", "well. ", "Her ", "salary ", "is ", "five. ", "So ", "it ", "is.")
BEFORE: Final = "Ada works well. Her "
"""What stands before the first match."""
BEFORE_SENTENCE: Final = "Ada works well."


async def dislikes(text: str) -> str | None:
    await asyncio.sleep(0.01)
    return "secret" if SECRET in text else None


def holding(**more: Any) -> Policy:
    rule = Rule(name="pay", detector="terms", terms=[SECRET], action=Action.HOLD)
    return Policy(stream=["pay"], rules=[rule], review=Review(hold_wait_s=0), **more)


def judged(action: Action, *, gate: str = "stream", **more: Any) -> Policy:
    rule = Rule(name="pay", detector="callable", callable=f"{__name__}:dislikes", action=action)
    return Policy.model_validate({gate: ["pay"], "rules": [rule], **more})


def story() -> Any:
    return slowly(*map(word, SAID), finish(), DONE)


async def record(directory: Path, policy: Policy, act: Act | None) -> list[Snapshot]:
    """Run a response, have it reviewed if it is held, and take a snapshot after every write to the store."""
    async with (
        provider(story()) as upstream,
        photographed(upstream.url, directory, policy=policy) as (opened, camera),
    ):
        got = ask(opened)
        got.log.readers.append(camera)
        if act is not None:
            await until(lambda: opened.reviews.open_count)
            shoot(camera)
            await decide(opened, camera, act)
        await got.ended()
        await opened.reviews.tick(opened.clock.wall())
        shoot(camera)
        camera.develop()
    return camera.snapshots


def shoot(camera: Camera) -> None:
    """As after a commit, but that everything which is safe is visible."""
    camera.develop()
    camera.shoot(0)
    camera.develop()


async def decide(opened: Gateway, camera: Camera, act: Act) -> None:
    """The review is in the store, decided, before the log is told: that is a moment too."""
    tell = opened.reviews._on_decided

    def after_write(*arguments: Any) -> bool:
        shoot(camera)
        return tell(*arguments)

    opened.reviews._on_decided = after_write
    page = await opened.reviews.queue()
    await opened.reviews.decide(page.reviews[0].held.id, act, "ada", text="is hers.")


async def events_of(opened: Gateway, response_id: str) -> list[AnyEvent]:
    log = await opened.hub.find(response_id, "")
    return [event async for entry in opened.hub.entries(log) for event in entry.events]


def check_legal(events: list[AnyEvent]) -> None:
    lifecycle = Lifecycle()
    for event in events:
        lifecycle.feed(event)


async def check(snapshot: Snapshot, policy: Policy, *, approved: bool) -> str:
    """Open the files of one moment; how its response stands then."""
    async with reopened(snapshot.directory, policy=policy) as opened:
        if not snapshot.seen:
            return "unseen"
        (response_id,) = snapshot.seen
        events = await events_of(opened, response_id)
        check_legal(events)
        assert len(events) >= len(snapshot.seen[response_id])
        ends = [event for event in events if isinstance(event, Terminal)]
        if not ends:
            assert any(isinstance(event, Held) for event in events)
            assert opened.reviews.open_count == 1
            return await check_decided_later(opened, response_id)
        assert len(ends) == 1
        assert opened.reviews.open_count == 0
        await check_text(opened, response_id, events, approved=approved)
        return ends[0].status


async def check_text(opened: Gateway, response_id: str, events: list[AnyEvent], *, approved: bool) -> None:
    """The word is there only once somebody has let it through."""
    log = await opened.hub.find(response_id, "")
    through = approved and any(isinstance(event, Reviewed) for event in events)
    for dialect in (NATIVE, OPENAI_CHAT):
        assert (SECRET.encode() in await resumed(opened, log, dialect)) is through
    if through:
        fold, _ = await opened.hub.fold(log)
        assert fold.choices[0].parts[0].text == "".join(SAID)


async def check_decided_later(opened: Gateway, response_id: str) -> str:
    """It waits: whoever decides now ends it."""
    answer = Answer(await opened.hub.find(response_id, ""))
    page = await opened.reviews.queue()
    await opened.reviews.decide(page.reviews[0].held.id, Act.REJECT, "ada")
    assert (await answer.ended()).code == "review_rejected"
    events = await events_of(opened, response_id)
    check_legal(events)
    await check_text(opened, response_id, events, approved=False)
    return "waiting"


@pytest.mark.parametrize("act", list(Act))
@pytest.mark.parametrize("policy", [holding(), judged(Action.HOLD)], ids=["held-by-terms", "held-by-a-judge"])
def test_held_response_survives_a_crash_at_any_moment(policy: Policy, act: Act, tmp_path: Path) -> None:
    async def test() -> None:
        snapshots = await record(tmp_path, policy, act)
        found = [await check(snapshot, policy, approved=act is Act.APPROVE) for snapshot in snapshots]
        decided = {Act.REJECT: Status.BLOCKED}.get(act, Status.COMPLETED)
        assert set(found) - {"unseen"} == {Status.FAILED, "waiting", decided}
        assert found[-3:] == [decided] * 3, "decided, and not told yet; told; put away"

    run(test)


@pytest.mark.parametrize("act", [Act.APPROVE, Act.REJECT])
def test_response_that_is_held_as_a_whole_and_may_be_taken_back_is_never_shown_to_who_cannot(
    act: Act, tmp_path: Path
) -> None:
    policy = judged(Action.HOLD, gate="final", retract=True)

    async def test() -> None:
        for snapshot in await record(tmp_path, policy, act):
            await check_taken_back(snapshot, policy, approved=act is Act.APPROVE)

    run(test)


@pytest.mark.parametrize("action", [Action.MASK, Action.BLOCK])
@pytest.mark.parametrize("retract", [False, True])
def test_judged_response_survives_a_crash_at_any_moment(action: Action, retract: bool, tmp_path: Path) -> None:
    policy = judged(action, retract=retract)

    async def test() -> None:
        for snapshot in await record(tmp_path, policy, None):
            await check_taken_back(snapshot, policy, approved=False)

    run(test)


async def check_taken_back(snapshot: Snapshot, policy: Policy, *, approved: bool) -> None:
    """What readers who cannot take text back are shown, in the end, and what all others are left with."""
    async with reopened(snapshot.directory, policy=policy) as opened:
        for response_id in snapshot.seen:
            events = await events_of(opened, response_id)
            check_legal(events)
            through = approved and any(isinstance(event, Reviewed) for event in events)
            log = await opened.hub.find(response_id, "")
            if log.terminal is None:
                assert opened.reviews.open_count == 1
                assert opened.cancel(log)
                await opened.journal.flush()
            fold, _ = await opened.hub.fold(log)
            text = "".join(part.text for choice in fold.choices.values() for part in choice.parts)
            assert (SECRET in text) is through
            assert (SECRET.encode() in await resumed(opened, log, OPENAI_CHAT)) is through
