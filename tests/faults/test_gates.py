"""Every gate x every way of failing: the answer ends blocked, the log and the receipt say so, and no text gets past."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
import pytest

from headgate import receipts
from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.events import AttemptStarted, Status, Verdict
from headgate.gateway import Gateway
from headgate.governance.detectors import DETECTORS, Detector
from headgate.policies import Policy, Rule
from tests.faults.snapshots import resumed
from tests.shell.asking import Answer, ask, gateway
from tests.shell.provider import (
    CHUNKED,
    DONE,
    LAST_CHUNK,
    Play,
    chunk,
    finish,
    provider,
    reply,
    says,
    says_and_closes,
    says_and_waits,
    word,
)
from tests.shell.scene import run

SECRET: Final = "hunter2"
WORDS: Final = ("It is fine. ", f"The word is {SECRET}. ", "That is all.")
GATES: Final = ("request", "stream", "retract", "final", "final-retract")
SHORT_S: Final = 0.1
NOBODY: Final = "http://127.0.0.1:1/v1/moderations"

_freed = threading.Event()


@pytest.fixture(autouse=True)
def threads_end() -> Iterator[None]:
    """Threads that a judge blocks go on when the test is over."""
    _freed.clear()
    yield
    _freed.set()


# judges that fail


def raises(text: str) -> None:
    raise ValueError(text)


async def raises_later(text: str) -> None:
    await asyncio.sleep(0)
    raise ValueError(text)


def leaves(text: str) -> None:
    raise SystemExit(text)


async def hangs(text: str) -> None:
    await asyncio.Event().wait()


def blocks_its_thread(text: str) -> None:
    _freed.wait(20)


def says_nonsense(text: str) -> int:
    return len(text)


def says_spans_of_nothing(text: str) -> list[tuple[int, int]]:
    return [(0, len(text) + 1)]


def gets_stuck(text: str) -> str | None:
    """Objects, unless it is asked what there is to say of the first sentence."""
    if SECRET in text:
        raise ValueError(text)
    return None


CALLABLES: Final = (
    raises,
    raises_later,
    leaves,
    hangs,
    blocks_its_thread,
    says_nonsense,
    says_spans_of_nothing,
)
OK: Final = b'{"results":[{"flagged":false,"categories":{},"category_scores":{}}]}'
ENDPOINTS: Final[dict[str, Play]] = {
    "slow": says_and_waits(),
    "slow-body": says_and_waits(reply(200, OK)[:-5]),
    "cut": says_and_closes(reply(200, OK)[:-5]),
    "500": says(reply(500, OK)),
    "no-json": says(reply(200, b"all fine")),
    "not-called-json": says(reply(200, OK, kind="text/plain")),
    "another-shape": says(reply(200, b'{"results":[{"flagged":"no"}]}')),
    "no-result": says(reply(200, b'{"results":[]}')),
    "no-http": says(b"\x00\x01\x02\r\n\r\n"),
}


def governed(gate: str, rule: Rule, **more: Any) -> Policy:
    """A policy with one rule in one gate."""
    at = {"retract": "stream", "final-retract": "final"}.get(gate, gate)
    return Policy.model_validate({at: [rule.name], "rules": [rule], "retract": "retract" in gate} | more)


def calling(function: Any, **more: Any) -> Rule:
    name = getattr(function, "__name__", function)
    return Rule.model_validate(
        {"name": "judge", "detector": "callable", "callable": f"{__name__}:{name}", "timeout_s": SHORT_S} | more
    )


def moderated(url: str) -> Rule:
    return Rule.model_validate({"name": "judge", "detector": "moderation", "url": url, "timeout_s": SHORT_S})


@asynccontextmanager
async def answered(policy: Policy, *words: str, question: str = "Hello") -> AsyncIterator[tuple[Gateway, Answer]]:
    body = b"".join([word(text) for text in words or WORDS]) + finish() + DONE
    async with (
        provider(says(CHUNKED + chunk(body) + LAST_CHUNK)) as upstream,
        gateway(upstream.url, policy=policy) as opened,
    ):
        yield opened, ask(opened, content=question)


async def check_failed_closed(opened: Gateway, got: Answer, *, rule: str = "judge") -> None:
    """It ended as it has to end, and everybody who asks is told so."""
    terminal = await got.ended()
    assert (terminal.status, terminal.code) == (Status.BLOCKED, "guard_failed")
    errors = [event for event in got.seen if isinstance(event, Verdict) and event.outcome == "error"]
    assert errors
    assert {error.rule for error in errors} == {rule}
    assert SECRET not in f"{errors}{terminal.message}"
    row = await opened._store.audit_row(receipts.RESPONSE, got.log.id)
    assert row is not None
    receipt = msgspec.json.decode(row.body)
    assert receipt["terminal"] == {"status": "blocked", "code": "guard_failed"}
    assert {"gate": errors[0].gate, "rule": rule, "outcome": "error", "count": len(errors)} in receipt["verdicts"]
    assert not opened._producers
    assert not opened.hub.live


async def check_nothing_passed(opened: Gateway, got: Answer, gate: str) -> None:
    """No text got past the gate: of a final one that cannot take anything back the text was out before."""
    log = await opened.hub.find(got.log.id, "")
    fold, _ = await opened.hub.fold(log)
    shown = "".join(part.text for choice in fold.choices.values() for part in choice.parts)
    if gate == "request":
        assert not got.attempts
        assert not any(isinstance(event, AttemptStarted) for event in got.seen)
    if gate != "final":
        assert shown == ""
        assert SECRET.encode() not in await resumed(opened, log, OPENAI_CHAT)
    if gate == "stream":
        assert got.text == ""
    failed_at = next(at for at, event in enumerate(got.seen) if isinstance(event, Verdict))
    assert not any(event.name == "delta" for event in got.seen[failed_at:])


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("function", CALLABLES, ids=lambda function: function.__name__)
def test_rule_whose_function_fails_blocks(function: Any, gate: str, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with answered(governed(gate, calling(function)), question=f"Is it {SECRET}?") as (opened, got):
            await check_failed_closed(opened, got)
            await check_nothing_passed(opened, got, gate)

    run(test)
    assert SECRET not in caplog.text


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_rule_whose_endpoint_fails_blocks(endpoint: str, gate: str) -> None:
    async def test() -> None:
        async with (
            provider(ENDPOINTS[endpoint]) as moderation,
            answered(governed(gate, moderated(moderation.url))) as (opened, got),
        ):
            await check_failed_closed(opened, got)
            await check_nothing_passed(opened, got, gate)

    run(test)


@pytest.mark.parametrize("gate", GATES)
def test_rule_whose_endpoint_is_down_blocks(gate: str) -> None:
    async def test() -> None:
        async with answered(governed(gate, moderated(NOBODY))) as (opened, got):
            await check_failed_closed(opened, got)
            await check_nothing_passed(opened, got, gate)

    run(test)


@pytest.mark.parametrize("gate", GATES)
def test_rule_for_which_too_much_waits_blocks(gate: str) -> None:
    """Somebody else's question is being answered, and none may wait."""

    async def test() -> None:
        policy = governed(gate, calling(hangs, concurrency=1, queue_max=0, timeout_s=15.0))
        async with answered(policy) as (opened, got):
            rules = opened.governor.rulesets["governed"]
            judged = (*rules.request.judged, *rules.stream.judged, *rules.final.judged)
            opened.oversight.judges.ask(judged[0], "first", lambda judgement: None)
            await check_failed_closed(opened, got)
            await check_nothing_passed(opened, got, gate)

    run(test)


@pytest.mark.parametrize("gate", GATES)
def test_rule_whose_judge_is_gone_blocks(gate: str) -> None:
    async def test() -> None:
        async with answered(governed(gate, calling(hangs))) as (opened, got):
            await opened.oversight.judges.close()
            await check_failed_closed(opened, got)
            await check_nothing_passed(opened, got, gate)

    run(test)


@pytest.mark.parametrize("gate", ["stream", "retract"])
def test_rule_that_fails_later_leaves_what_it_had_passed(gate: str) -> None:
    async def test() -> None:
        policy = governed(gate, calling(gets_stuck, concurrency=1))
        async with answered(policy) as (opened, got):
            await check_failed_closed(opened, got)
            log = await opened.hub.find(got.log.id, "")
            fold, _ = await opened.hub.fold(log)
            assert fold.choices[0].parts[0].text.strip() == WORDS[0].strip()
            whole = await resumed(opened, log, OPENAI_CHAT)
            assert WORDS[0].strip().encode() in whole
            assert SECRET.encode() not in whole

    run(test)


# gates that break themselves


@pytest.fixture
def broken_detector(monkeypatch: pytest.MonkeyPatch) -> str:
    """A built-in detector whose check does not survive what it is made to check."""

    def check(text: str) -> bool:
        raise ZeroDivisionError(text)

    monkeypatch.setitem(DETECTORS, "broken", Detector("broken", "Breaks.", (SECRET,), check))
    return "broken"


@pytest.mark.parametrize("question", [SECRET, "word " * 20_000 + SECRET], ids=["at-once", "in-slices"])
def test_request_gate_that_breaks_blocks(broken_detector: str, question: str, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with answered(Policy(request=[broken_detector]), question=question) as (opened, got):
            await check_failed_closed(opened, got, rule="guard")
            await check_nothing_passed(opened, got, "request")

    run(test)
    assert SECRET not in caplog.text


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("retract", [False, True])
def test_stream_gate_that_breaks_blocks(
    broken_detector: str, retract: bool, at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where the text has ended with what it cannot check: the fault is in the gate's `finish` then."""
    words = ("It is fine. ", f"It is {SECRET}", " too.") if at_once else ("It is fine. ", f"It is {SECRET}")

    async def test() -> None:
        policy = Policy(stream=[broken_detector], final=["rescan"] if retract else [], retract=retract)
        async with answered(policy, *words) as (opened, got):
            await check_failed_closed(opened, got, rule="guard")
            assert SECRET not in got.text
            if retract:
                await check_nothing_passed(opened, got, "retract")

    run(test)
    assert SECRET not in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("retract", [False, True])
def test_final_gate_that_breaks_blocks(broken_detector: str, retract: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        policy = Policy(stream=[], final=[broken_detector], retract=retract)
        async with answered(policy) as (opened, got):
            await check_failed_closed(opened, got, rule="guard")
            assert not got.finished_choices or not retract
            await check_nothing_passed(opened, got, "final-retract" if retract else "final")

    run(test)
    assert SECRET not in caplog.text


def test_provider_that_fails_with_what_a_gate_cannot_judge_says_nothing(broken_detector: str) -> None:
    async def test() -> None:
        body = msgspec.json.encode({"error": {"message": f"I cannot say {SECRET}", "type": "x"}})
        async with (
            provider(says(reply(400, body))) as upstream,
            gateway(upstream.url, policy=Policy(stream=[broken_detector])) as opened,
        ):
            got = ask(opened)
            terminal = await got.ended()
            assert (terminal.status, terminal.code) == (Status.FAILED, "upstream_rejected")
            assert not any(SECRET in repr(event) for event in got.seen)

    run(test)
