"""Finding a log is one call, wherever it is: in memory, in the store, or gone; and only its owner finds it."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest

from headgate.clock import Clock
from headgate.errors import RequestError
from headgate.events import Released, Retracted, Status
from headgate.hub import Hub
from headgate.ids import new_response_id
from headgate.log import Log
from headgate.reader import PAGE_ROWS
from tests.shell.asking import ask, gateway
from tests.shell.provider import CHUNKED, answer, chunk, provider, says, says_and_waits, word
from tests.shell.scene import HeldStore, Scene, begin, end, run, say, until


def hub_of(scene: Scene) -> Hub:
    return Hub(scene.store, scene.journal, scene.observer, Clock())


async def refusal(call: Awaitable[object]) -> str:
    with pytest.raises(RequestError) as refused:
        await call
    return refused.value.code


async def told(scene: Scene, *, owner: str = "app", may_retract: bool = False) -> Log:
    log = scene.log(owner=owner)
    begin(log, may_retract=may_retract)
    for word_ in ("Hello ", "wide ", "world"):
        say(log, word_)
        await scene.journal.flush()
    if may_retract:
        log.append([Released(5), Retracted(0, 0, 11, 6, "policy", "all")], 1)
    end(log)
    await scene.journal.flush()
    return log


def test_live_log_is_found_by_its_owner_only() -> None:
    async def test() -> None:
        scene = Scene()
        hub = hub_of(scene)
        log = scene.log(owner="app")
        hub.live[log.id] = log
        begin(log)
        await scene.journal.flush()
        assert await hub.find(log.id, "app") is log
        assert await refusal(hub.find(log.id, "other")) == "not_found"

    run(test)


def test_log_of_which_nothing_is_committed_does_not_exist_yet() -> None:
    async def test() -> None:
        store = HeldStore()
        scene = Scene(store)
        hub = hub_of(scene)
        log = scene.log()
        hub.live[log.id] = log
        begin(log)
        await until(lambda: store.in_flight)
        assert await refusal(hub.find(log.id, "")) == "not_found"
        store.finish()
        assert await hub.find(log.id, "") is log

    run(test)


def test_ended_log_is_found_in_the_store_and_folds_to_the_same_payload() -> None:
    async def test() -> None:
        scene = Scene()
        hub = hub_of(scene)
        log = await told(scene)
        found = await hub.find(log.id, "app")
        assert found is not log
        assert (found.committed_seq, tuple(found.rows)) == (log.committed_seq, tuple(log.rows))
        assert found.terminal == log.terminal
        fold, timeline = await hub.fold(found)
        assert fold.choices[0].parts[0].text == "Hello wide world"
        assert fold.seq == log.committed_seq
        assert (timeline.first_output_ms, timeline.duration_ms) == (0.0, 0.0)
        assert (await hub.started(found)).id == log.id

    run(test)


def test_marks_of_a_stored_log_that_may_retract_are_there_before_anybody_reads_it() -> None:
    async def test() -> None:
        scene = Scene()
        hub = hub_of(scene)
        log = await told(scene, may_retract=True)
        found = await hub.find(log.id, "app")
        assert found.retractions == log.retractions
        assert found.verified_seq == log.verified_seq == 5

    run(test)


@pytest.mark.parametrize("text", ["", "resp_", "resp_1", "RESP_" + "0" * 32, "resp_" + "0" * 31 + "G", "x" * 10_000])
def test_what_is_no_id_is_not_found(text: str) -> None:
    async def test() -> None:
        assert await refusal(hub_of(Scene()).find(text, "")) == "not_found"

    run(test)


def test_ids_of_others_and_ids_of_nobody_are_refused_in_the_same_words() -> None:
    async def test() -> None:
        scene = Scene()
        log = await told(scene)
        hub = hub_of(scene)
        messages = []
        for response_id in (log.id, new_response_id(1_780_000_000_000)):
            with pytest.raises(RequestError) as refused:
                await hub.find(response_id, "other")
            messages.append((refused.value.code, refused.value.message))
        assert messages[0] == messages[1]

    run(test)


def test_entries_are_what_was_visible_when_they_were_asked_for() -> None:
    async def test() -> None:
        scene = Scene()
        hub = hub_of(scene)
        log = scene.log()
        begin(log)
        for n in range(2 * PAGE_ROWS):
            say(log, f"{n} ")
            await scene.journal.flush()
        seen = 0
        async for entry in hub.entries(log):
            if not seen:
                say(log, "later")
                await scene.journal.flush()
            seen = entry.first_seq + len(entry.events) - 1
        assert seen == 3 + 2 * PAGE_ROWS

    run(test)


def test_response_that_expired_is_gone_for_its_owner_and_unknown_to_others() -> None:
    """Through the gateway's own expiry: the log goes, its rows go, and the owner is told that it expired."""

    async def test() -> None:
        async with (
            provider(says(answer("Hel", "lo"))) as upstream,
            gateway(upstream.url, retention_s=0.01) as opened,
        ):
            got = ask(opened)
            assert (await got.ended()).status is Status.COMPLETED
            store = opened.hub._store
            assert await store.expire(opened.clock.wall() + 1, store.next_row) == 1
            assert await refusal(opened.hub.find(got.log.id, "")) == "expired_response"
            assert await refusal(opened.hub.find(got.log.id, "other")) == "not_found"
            found = await store.find(got.log.id)
            assert found is not None
            assert found.rows == ()

    run(test)


def test_live_response_outlives_any_retention() -> None:
    async def test() -> None:
        play = says_and_waits(CHUNKED, chunk(word("Hel")))
        async with provider(play) as upstream, gateway(upstream.url, retention_s=0.01) as opened:
            got = ask(opened)
            await until(lambda: got.text)
            store = opened.hub._store
            assert await store.expire(opened.clock.wall() + 1e6, got.log.rows[0]) == 0
            fold, _ = await opened.hub.fold(await opened.hub.find(got.log.id, ""))
            assert fold.choices[0].parts[0].text == "Hel"

    run(test)


def test_retention_of_a_response_counts_from_its_end() -> None:
    """`store.retention_s` is how long an *ended* response is kept, however long it took to make it."""

    async def test() -> None:
        play = says_and_waits(CHUNKED, chunk(word("Hel")))
        async with provider(play) as upstream, gateway(upstream.url, retention_s=1000) as opened:
            real = opened.clock
            got = ask(opened)
            await until(lambda: got.text)
            opened.clock = type(real)(wall=lambda: real.wall() + 5000)
            opened.cancel(got.log)
            await got.ended()
            store = opened.hub._store
            assert await store.expire(opened.clock.wall(), store.next_row) == 0

    run(test)
