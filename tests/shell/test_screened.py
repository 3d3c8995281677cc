"""Requests whose verdict takes a while: the log has begun when it comes, and ends once all the same."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from headgate.config import Config, Provider, Route, StoreSection
from headgate.dialects.openai_responses import OPENAI_RESPONSES
from headgate.events import AttemptStarted, Governance, ResponseStarted, Status
from headgate.gateway import Gateway
from headgate.policies import Action, Policy, Rule
from tests.shell.asking import Answer, request
from tests.shell.scene import run

URL = "http://127.0.0.1:9"
LONG = "word " * 20_000
"""More than is judged in one go."""


def refuse(text: str) -> str:
    return "no"


def fail(text: str) -> None:
    raise ZeroDivisionError


def governed(rule: Rule, dialect: str = "openai-chat") -> Config:
    return Config(
        store=StoreSection(url="memory:"),
        providers=[Provider.model_validate({"name": "p", "base_url": URL, "dialect": dialect})],
        routes=[Route(model="*", to=["p/*"], policy="strict")],
        policies={"strict": Policy(request=[rule.name], rules=[rule])},
    )


def judge(name: str) -> Rule:
    return Rule(name="judge", detector="callable", callable=f"tests.shell.test_screened:{name}", action=Action.BLOCK)


def terms(term: str, action: Action) -> Rule:
    return Rule(name="term", detector="terms", terms=[term], action=action)


def screened(config: Config, content: str, **fields: Any) -> tuple[Any, list[Any]]:
    found: list[Any] = []
    asked = request(content=content)
    asked.body.update(fields)

    async def test() -> None:
        async with Gateway(config) as opened:
            answer = Answer(opened.create(asked, ""))
            assert [type(event) for event in answer.seen] == []
            found.extend((await answer.ended(), answer.seen))

    run(test)
    return found[0], found[1]


@pytest.mark.parametrize(
    ("rule", "content", "code"),
    [
        (judge("refuse"), "Hello", "request_blocked"),
        (judge("fail"), "Hello", "guard_failed"),
        (terms("salary", Action.BLOCK), LONG + "salary", "request_blocked"),
    ],
    ids=["refused", "failed", "long"],
)
def test_request_that_is_refused_later_ends_without_an_attempt(rule: Rule, content: str, code: str) -> None:
    terminal, seen = screened(governed(rule), content)
    assert (terminal.status, terminal.code) == (Status.BLOCKED, code)
    assert [type(event) for event in seen].count(ResponseStarted) == 1
    assert not any(isinstance(event, AttemptStarted) for event in seen)


def test_request_that_passes_later_is_sent_with_what_was_said_of_it() -> None:
    terminal, seen = screened(governed(terms("salary", Action.MASK)), LONG + "salary")
    assert terminal.code == "upstream_connect"
    assert [event.rule for event in seen if isinstance(event, Governance)] == ["term"]
    assert [type(event) for event in seen].count(AttemptStarted) == 1


def test_request_that_is_none_any_more_with_its_masks_is_not_sent() -> None:
    terminal, seen = screened(governed(terms("low", Action.MASK), "anthropic-messages"), LONG, reasoning_effort="low")
    assert (terminal.status, terminal.code) == (Status.FAILED, "unsupported_field")
    assert [type(event) for event in seen].count(ResponseStarted) == 1
    assert not any(isinstance(event, AttemptStarted) for event in seen)


@pytest.mark.parametrize("before", ["", LONG], ids=["at-once", "later"])
@pytest.mark.parametrize("action", [Action.MASK, Action.BLOCK, Action.FLAG])
def test_log_keeps_of_a_request_what_its_rules_let_through(action: Action, before: str) -> None:
    body = {"model": "m", "instructions": "Her salary is secret.", "input": f"{before}My salary is 5."}
    asked = OPENAI_RESPONSES.read_request(msgspec.json.encode(body))

    async def test() -> None:
        async with Gateway(governed(terms("salary", action), "openai-responses")) as opened:
            log = opened.create(asked, "")
            await Answer(log).ended()
            fold, _ = await opened.hub.fold(log)
            assert fold.started is not None
            kept = msgspec.json.encode([fold.started.echo, fold.started.input]).decode()
            stored = b"".join([msgspec.msgpack.encode(entry) async for entry in opened.hub.entries(log)])
            assert (b"salary" in stored) == (action is Action.FLAG)
            assert kept.count("salary") == (2 if action is Action.FLAG else 0)
            assert kept.count("[term]") == (2 if action is Action.MASK else 0)
            assert (fold.started.input is None) == (action is Action.BLOCK)

    run(test)
