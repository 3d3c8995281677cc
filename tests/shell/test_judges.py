"""Judges: every question is answered, once and in time, whatever the judge does; and what an answer means."""

from __future__ import annotations

import asyncio
import functools
import json
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from headgate.governance.judgement import Judgement, Outcome, Span
from headgate.governance.ruleset import ActiveRule, Ruleset, compile_policy
from headgate.judges import Judges
from headgate.judges.callables import read
from headgate.places import Problem
from headgate.policies import Policy
from tests import needs
from tests.shell.provider import HEAD, LAST_CHUNK, Play, chunk, provider, reply, says, says_and_closes, says_and_waits
from tests.shell.scene import run, turns, until

HERE = __name__
SECRET = "hunter2"
SHORT_S = 0.05
PASSED = Judgement(Outcome.PASS)


@pytest.fixture(autouse=True)
def no_proxy_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def policy(*rules: dict[str, Any]) -> Ruleset:
    """A policy with these rules in the gated lane."""
    named = [{"name": f"r{number}"} | rule for number, rule in enumerate(rules)]
    return compile_policy("p", Policy.model_validate({"rules": named, "stream": [rule["name"] for rule in named]}))


class Bench:
    """Judges for the rules of one policy."""

    def __init__(self, judges: Judges, rules: tuple[ActiveRule, ...]) -> None:
        self.judges = judges
        self.rules = rules
        self.observed: list[tuple[str, Outcome]] = []

    def ask(self, text: str = SECRET, rule: int = 0) -> asyncio.Future[Judgement]:
        answer: asyncio.Future[Judgement] = asyncio.get_running_loop().create_future()
        self.judges.ask(self.rules[rule], text, answer.set_result)  # a second answer would raise
        return answer


@asynccontextmanager
async def bench(*rules: dict[str, Any]) -> AsyncIterator[Bench]:
    ruleset = policy(*rules)
    observed: list[tuple[str, Outcome]] = []
    judges = Judges(observe=lambda kind, outcome, seconds: observed.append((kind, outcome)))
    assert await judges.prepare({"p": ruleset}) == []
    made = Bench(judges, ruleset.stream.judged)
    made.observed = observed
    try:
        yield made
    finally:
        await judges.close()


def calls(function: str, **more: Any) -> dict[str, Any]:
    return {"detector": "callable", "callable": f"{HERE}:{function}", **more}


def verdict(rule: dict[str, Any], text: str = SECRET) -> Judgement:
    """What one rule says of one text."""
    answers: list[Judgement] = []

    async def test() -> None:
        async with bench(rule) as made:
            answers.append(await made.ask(text))

    run(test)
    return answers[0]


def problems(*rules: dict[str, Any]) -> list[Problem]:
    found: list[Problem] = []

    async def test() -> None:
        judges = Judges()
        found.extend(await judges.prepare({"p": policy(*rules)}))
        await judges.close()

    run(test)
    return found


# functions that rules of these tests name


def passes(text: str) -> None:
    return None


async def passes_later(text: str) -> bool:
    await asyncio.sleep(0)
    return True


def wrapped(function: Callable[[str], Awaitable[bool]]) -> Callable[[str], Awaitable[bool]]:
    @functools.wraps(function)
    def inner(text: str) -> Awaitable[bool]:
        return function(text)

    return inner


decorated = wrapped(passes_later)


class Model:
    """An object with a method, as somebody keeps a model."""

    async def __call__(self, text: str) -> str:
        return "off_topic"

    def check(self, text: str) -> list[tuple[int, int, str]]:
        return [(0, 3, "name")]


model = Model()


def raises(text: str) -> None:
    raise ValueError(text)


def leaves(text: str) -> None:
    raise SystemExit(text)


async def leaves_later(text: str) -> None:
    raise SystemExit(text)


async def cancels(text: str) -> None:
    raise asyncio.CancelledError


RELEASE = threading.Event()
STARTED: list[str] = []


def hangs(text: str) -> None:
    STARTED.append(text)
    RELEASE.wait()


async def hangs_later(text: str) -> None:
    STARTED.append(text)
    await asyncio.Event().wait()


async def refuses_to_end(text: str) -> None:
    while not RELEASE.is_set():
        try:
            await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            continue


def talks(text: str) -> object:
    return {"verdict": text}


NO_FUNCTION = 3


@pytest.fixture
def hanging() -> Any:
    """Whatever hangs in a test is let go at its end."""
    RELEASE.clear()
    STARTED.clear()
    yield
    RELEASE.set()


# callables: what they may say


@pytest.mark.parametrize("function", ["passes", "passes_later", "decorated"])
def test_function_or_coroutine_that_has_nothing_against_a_text_passes_it(function: str) -> None:
    assert verdict(calls(function)) == PASSED


def test_object_that_can_be_called_and_a_method_of_one_are_functions() -> None:
    assert verdict(calls("model")) == Judgement(Outcome.FAIL, detail="off_topic")
    assert verdict(calls("model.check")) == Judgement(Outcome.FAIL, (Span(0, 3, "name"),))


@pytest.mark.parametrize(
    ("value", "judgement"),
    [
        (None, PASSED),
        (True, PASSED),
        ([], PASSED),
        ({"passed": True}, PASSED),
        ({"spans": []}, PASSED),
        (False, Judgement(Outcome.FAIL)),
        ("off_topic", Judgement(Outcome.FAIL, detail="off_topic")),
        ("", Judgement(Outcome.FAIL)),
        ([(0, 2), (3, 5, "name")], Judgement(Outcome.FAIL, (Span(0, 2), Span(3, 5, "name")))),
        ([{"start": 0, "end": 2, "label": "name"}], Judgement(Outcome.FAIL, (Span(0, 2, "name"),))),
        ([(3, 5), (0, 4)], Judgement(Outcome.FAIL, (Span(0, 4), Span(3, 5)))),
        ({"passed": False, "reason": "hate/threatening"}, Judgement(Outcome.FAIL, detail="hate/threatening")),
        ({"reason": "rude", "spans": [(0, 1)]}, Judgement(Outcome.FAIL, (Span(0, 1),), "rude")),
    ],
)
def test_return_value_means_what_the_page_says(value: object, judgement: Judgement) -> None:
    assert read(value, "Ann and Bob") == judgement


@pytest.mark.parametrize(
    "value",
    [
        0,
        1,
        1.0,
        b"x",
        object(),
        {},
        {"ok": True},
        {"passed": 1},
        {"passed": True, "reason": "rude"},
        {"reason": 3},
        {"spans": "x"},
        [(0, 99)],
        [(2, 2)],
        [(-1, 2)],
        [(True, 2)],
        [(0, 1.5)],
        [(0, 1, 2)],
        [(0,)],
        ["ab"],
        [{"start": 0}],
        [{"start": 0, "end": 1, "text": "A"}],
        [(0, 1)] * 10_001,
        iter([(0, 1)]),
    ],
)
def test_any_other_return_value_is_no_verdict(value: object) -> None:
    assert read(value, "Ann and Bob") == Judgement(Outcome.ERROR, detail="it returned what is no verdict")


@pytest.mark.parametrize(
    "reason", [SECRET, "Hunter2", f"has {SECRET}", "two words", "x" * 65, "\u00fc", "4111111111111111"]
)
def test_reason_that_may_be_a_piece_of_the_text_is_left_out(reason: str) -> None:
    text = f"My password is {SECRET}."
    assert read(reason, text) == Judgement(Outcome.FAIL)
    assert read([(0, 2, reason)], text) == Judgement(Outcome.FAIL, (Span(0, 2),))


# callables: what they may do


@pytest.mark.parametrize(
    ("function", "detail"),
    [
        ("raises", "it raised ValueError"),
        ("leaves", "it raised SystemExit"),
        ("leaves_later", "it raised SystemExit"),
        ("cancels", "it was cancelled"),
        ("talks", "it returned what is no verdict"),
    ],
)
def test_function_that_breaks_is_an_error_that_repeats_nothing(function: str, detail: str) -> None:
    assert verdict(calls(function)) == Judgement(Outcome.ERROR, detail=detail)


@pytest.mark.usefixtures("hanging")
@pytest.mark.parametrize("function", ["hangs", "hangs_later", "refuses_to_end"])
def test_function_that_hangs_is_an_error_at_the_deadline(function: str) -> None:
    async def test() -> None:
        async with bench(calls(function, timeout_s=SHORT_S)) as made:
            assert await made.ask() == Judgement(Outcome.ERROR, detail="no verdict within 0.05 s")
            RELEASE.set()

    run(test)


@pytest.mark.usefixtures("hanging")
def test_function_that_hangs_keeps_no_other_rule_waiting() -> None:
    async def test() -> None:
        rules = calls("hangs", concurrency=2), calls("passes"), calls("passes_later")
        async with bench(*rules) as made:
            stuck = [made.ask(rule=0) for _ in range(100)]
            await until(lambda: len(STARTED) == 2)
            assert await made.ask(rule=1) == PASSED
            assert await made.ask(rule=2) == PASSED
            assert not any(answer.done() for answer in stuck)
            RELEASE.set()
            assert await asyncio.gather(*stuck) == [PASSED] * 100

    run(test)


@pytest.mark.usefixtures("hanging")
def test_thread_that_hangs_counts_as_busy_after_its_deadline() -> None:
    async def test() -> None:
        async with bench(calls("hangs", concurrency=1, timeout_s=SHORT_S)) as made:
            assert (await made.ask("first")).outcome is Outcome.ERROR
            assert (await made.ask("second")).detail == "no verdict within 0.05 s"
            assert STARTED == ["first"]
            RELEASE.set()
            assert await made.ask("third") == PASSED

    run(test)


@pytest.mark.usefixtures("hanging")
def test_time_in_the_queue_counts() -> None:
    async def test() -> None:
        async with bench(calls("hangs_later", concurrency=1, timeout_s=SHORT_S)) as made:
            answers = await asyncio.gather(*(made.ask(str(number)) for number in range(5)))
            assert {answer.detail for answer in answers} == {"no verdict within 0.05 s"}
            assert STARTED == ["0"]

    run(test)


@pytest.mark.usefixtures("hanging")
def test_question_that_finds_the_queue_full_is_an_error_at_once() -> None:
    async def test() -> None:
        async with bench(calls("hangs_later", concurrency=1, queue_max=1)) as made:
            waiting = [made.ask("under way"), made.ask("in the queue")]
            assert await made.ask("too many") == Judgement(Outcome.ERROR, detail="too many questions were waiting")
            assert not any(answer.done() for answer in waiting)

    run(test)


@pytest.mark.usefixtures("hanging")
@pytest.mark.parametrize("function", ["hangs", "hangs_later"])
def test_what_is_open_when_the_judges_close_is_told_so(function: str) -> None:
    async def test() -> None:
        async with bench(calls(function, concurrency=1)) as made:
            answers = [made.ask(), made.ask()]
            await until(lambda: STARTED)
        assert [(await answer).detail for answer in answers] == ["the judge is closed"] * 2

    run(test)


def test_question_after_the_end_or_for_a_rule_nobody_prepared_is_an_error() -> None:
    async def test() -> None:
        async with bench(calls("passes")) as made:
            (other,) = policy(calls("passes")).stream.judged
            answer: asyncio.Future[Judgement] = asyncio.get_running_loop().create_future()
            made.judges.ask(other, SECRET, answer.set_result)
            assert (await answer).detail == "no judge was prepared for the rule"
        assert (await made.ask()).detail == "no judge was prepared for the rule"

    run(test)


def test_answer_never_comes_while_the_question_is_asked() -> None:
    async def test() -> None:
        async with bench(calls("passes", queue_max=0, concurrency=1)) as made:
            answers = [made.ask(), made.ask()]
            assert not any(answer.done() for answer in answers)
            await asyncio.gather(*answers)

    run(test)


def test_listener_that_breaks_keeps_nobody_else_waiting(caplog: pytest.LogCaptureFixture) -> None:
    def breaks(_: Judgement) -> None:
        raise ValueError

    async def test() -> None:
        async with bench(calls("passes", concurrency=1)) as made:
            made.judges.ask(made.rules[0], SECRET, breaks)
            assert await made.ask() == PASSED

    run(test)
    assert "a listener failed" in caplog.text


def test_kinds_and_outcomes_are_told_to_whoever_counts() -> None:
    async def test() -> None:
        async with bench(calls("passes"), calls("raises")) as made:
            await made.ask(rule=0)
            await made.ask(rule=1)
            assert made.observed == [("callable", Outcome.PASS), ("callable", Outcome.ERROR)]

    run(test)


# preparing


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        (calls("missing"), "callable"),
        (calls("NO_FUNCTION"), "callable"),
        (calls("Model"), "callable"),
        ({"detector": "callable", "callable": "no.such.module:f"}, "callable"),
        ({"detector": "callable", "callable": "json"}, "callable"),
        ({"detector": "regex", "lane": True, "pattern": "a*"}, "pattern"),
    ],
)
def test_rule_whose_judge_cannot_be_made_is_a_mistake_with_a_place(rule: dict[str, Any], key: str) -> None:
    ((place, message),) = problems(calls("passes"), rule)
    assert place == ("policies", "p", "rules", 1, key)
    assert message


def test_proxy_that_cannot_be_used_is_a_mistake_with_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "socks5://127.0.0.1:1")
    ((place, _),) = problems({"detector": "moderation", "url": "http://moderation.example/v1"})
    assert place == ("policies", "p", "rules", 0, "url")


def test_judges_of_policies_that_are_gone_are_let_go() -> None:
    async def test() -> None:
        judges = Judges()
        before, after = policy(calls("passes")), policy(calls("passes_later"))
        assert await judges.prepare({"p": before}) == []
        assert await judges.prepare({"p": after}) == []
        await judges.keep([after])
        answers: list[Judgement] = []
        judges.ask(before.stream.judged[0], SECRET, answers.append)
        judges.ask(after.stream.judged[0], SECRET, answers.append)
        await until(lambda: len(answers) == 2)
        assert sorted(answer.outcome for answer in answers) == [Outcome.ERROR, Outcome.PASS]
        await judges.close()

    run(test)


def test_mistake_in_one_policy_leaves_no_judge_of_another() -> None:
    async def test() -> None:
        judges = Judges()
        good, bad = policy(calls("passes")), policy(calls("missing"))
        assert len(await judges.prepare({"good": good, "bad": bad})) == 1
        answers: list[Judgement] = []
        judges.ask(good.stream.judged[0], SECRET, answers.append)
        await turns()
        assert [answer.outcome for answer in answers] == [Outcome.ERROR]
        await judges.close()

    run(test)


# expressions


def expression(pattern: str, **more: Any) -> dict[str, Any]:
    return {"detector": "regex", "lane": True, "pattern": pattern, **more}


def test_any_expression_may_judge_in_the_lane() -> None:
    assert verdict(expression(r"(?<=pin )(\d)\1+(?!\d)"), "PIN 1111, pin 12").spans == (Span(4, 8),)
    assert verdict(expression(r"(?<=pin )(\d)\1+", ignore_case=False), "PIN 1111, pin 12") == PASSED
    assert verdict(expression(r"(?=a)|b+"), "a bb b").spans == (Span(2, 4), Span(5, 6))


def test_expression_that_never_ends_is_an_error_and_keeps_nobody_waiting() -> None:
    async def test() -> None:
        rules = expression(r"(?:a|a)+\b!", timeout_s=0.3, concurrency=1), calls("passes")
        async with bench(*rules) as made:
            stuck = made.ask("a" * 40)
            assert await made.ask(rule=1) == PASSED
            assert not stuck.done()
            assert (await stuck).outcome is Outcome.ERROR
            while await made.ask("b") != PASSED:  # the library stops it in CPU time: the thread is free again later
                pass

    run(test)


# moderation


def result(flagged: bool = False, **scores: float) -> bytes:
    categories = {name: score > 0.5 for name, score in scores.items()}
    return json.dumps(
        {"id": "modr-1", "results": [{"flagged": flagged, "categories": categories, "category_scores": scores}]}
    ).encode()


def moderated(*plays: Play, **rule: Any) -> tuple[Judgement, list[dict[str, Any]], list[str]]:
    """What an endpoint that plays this leads to; the bodies and heads it was sent."""
    seen: list[Any] = []

    async def test() -> None:
        async with (
            provider(*plays) as endpoint,
            bench({"detector": "moderation", "url": f"{endpoint.url}/moderations?v=2", **rule}) as made,
        ):
            seen.append(await made.ask())
            seen.append([request.body for request in endpoint.requests])
            seen.append([request.head for request in endpoint.requests])

    run(test)
    return seen[0], seen[1], seen[2]


def test_endpoint_is_asked_as_openai_describes_it() -> None:
    judgement, (body,), (head,) = moderated(says(reply(200, result())), api_key="sk-1", model="omni-moderation-latest")
    assert judgement == PASSED
    assert body == {"input": SECRET, "model": "omni-moderation-latest"}
    assert head.startswith("POST /v1/moderations?v=2 HTTP/1.1\r\n")
    assert "authorization: Bearer sk-1\r\n" in head


def test_model_is_named_only_where_the_rule_names_one() -> None:
    _, (body,), _ = moderated(says(reply(200, result())))
    assert body == {"input": SECRET}


def test_what_the_endpoint_flags_fails_and_the_categories_are_named() -> None:
    judgement, _, _ = moderated(says(reply(200, result(True, violence=0.9, hate=0.1))))
    assert judgement == Judgement(Outcome.FAIL, detail="violence")


def test_thresholds_count_in_place_of_the_flag() -> None:
    play = says(reply(200, result(True, violence=0.9, hate=0.3)))
    assert moderated(play, categories={"violence": 0.95})[0] == PASSED
    assert moderated(play, categories={"hate": 0.3, "violence": 0.95})[0] == Judgement(Outcome.FAIL, detail="hate")


@pytest.mark.parametrize(
    ("play", "detail"),
    [
        (says(reply(500, b"{}")), "the endpoint answered with status 500"),
        (says(reply(401, b'{"error":"no"}')), "the endpoint answered with status 401"),
        (says(reply(302, b"", extra="location: /elsewhere\r\n")), "the endpoint answered with status 302"),
        (says(reply(200, result(), kind="text/html")), "the endpoint did not answer with JSON"),
        (says(reply(200, b"<html>")), "the endpoint's answer is not of the moderation shape"),
        (says(reply(200, b"[" * 100_000)), "the endpoint's answer is not of the moderation shape"),
        (says(reply(200, b"{}")), "the endpoint's answer is not of the moderation shape"),
        (says(reply(200, b'{"results":[{"flagged":"no"}]}')), "the endpoint's answer is not of the moderation shape"),
        (says(reply(200, b'{"results":[]}')), "the endpoint did not answer with one result"),
        (says(reply(200, b" " * 2_000_000)), "the endpoint did not answer (upstream_too_large)"),
        (says_and_closes(b""), "the endpoint did not answer (upstream_cut)"),
        (says_and_closes(reply(200, result())[:-5]), "the endpoint did not answer (upstream_cut)"),
        (says(b"SMTP ready\r\n\r\n"), "the endpoint did not answer (upstream_malformed)"),
    ],
)
def test_endpoint_that_breaks_is_an_error(play: Play, detail: str) -> None:
    assert moderated(play)[0] == Judgement(Outcome.ERROR, detail=detail)


@pytest.mark.parametrize("pieces", [(), (HEAD,), (HEAD + b"transfer-encoding: chunked\r\n\r\n", chunk(b"{"))])
def test_endpoint_that_is_slow_is_an_error_at_the_deadline(pieces: tuple[bytes, ...]) -> None:
    judgement, _, _ = moderated(says_and_waits(*pieces), timeout_s=SHORT_S)
    assert judgement == Judgement(Outcome.ERROR, detail="no verdict within 0.05 s")


def test_score_that_the_rule_needs_and_the_endpoint_does_not_give_is_an_error() -> None:
    judgement, _, _ = moderated(says(reply(200, result(False, hate=0.1))), categories={"violence": 0.5})
    assert judgement.outcome is Outcome.ERROR


def test_endpoint_that_is_down_is_an_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        rule = {"detector": "moderation", "url": f"http://127.0.0.1:{unused.getsockname()[1]}/v1"}
        assert verdict(rule) == Judgement(Outcome.ERROR, detail="the endpoint did not answer (upstream_connect)")


def test_connection_is_kept_for_the_next_question_and_given_up_after_a_late_one() -> None:
    async def test() -> None:
        plays = says(reply(200, result())), says(reply(200, result())), says_and_waits(), says(reply(200, result()))
        async with (
            provider(*plays) as endpoint,
            bench({"detector": "moderation", "url": endpoint.url, "timeout_s": 0.2}) as made,
        ):
            answers = [await made.ask() for _ in range(4)]
            assert [answer.outcome for answer in answers] == [
                PASSED.outcome,
                PASSED.outcome,
                Outcome.ERROR,
                Outcome.PASS,
            ]
            assert [request.connection for request in endpoint.requests] == [0, 0, 0, 1]

    run(test)


def test_answer_in_chunks_is_read_to_its_end() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
    body = result(True, hate=0.9)
    judgement, _, _ = moderated(says(head, chunk(body[:20]), chunk(body[20:]), LAST_CHUNK))
    assert judgement == Judgement(Outcome.FAIL, detail="hate")


def test_endpoint_is_asked_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with provider(says(reply(200, result()))) as proxy:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
            async with bench({"detector": "moderation", "url": "http://moderation.example/v1/moderations"}) as made:
                assert await made.ask() == PASSED
            assert proxy.requests[0].line == "POST http://moderation.example/v1/moderations HTTP/1.1"

    run(test)


# presidio


def presidio(**more: Any) -> dict[str, Any]:
    return {"detector": "presidio", "timeout_s": 60, **more}


@needs.presidio
def test_presidio_finds_what_has_a_pattern_and_asks_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def refuse(*arguments: object, **_: object) -> Any:
        asked.append(arguments)
        raise OSError("there is no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)

    async def test() -> None:
        rules = presidio(), presidio(entities=["CREDIT_CARD"]), presidio(score=1.0, entities=["PHONE_NUMBER"])
        async with bench(*rules) as made:
            text = "Mail ann@example.com, card 4111 1111 1111 1111, phone 212-555-5555."
            everything = await made.ask(text)
            assert everything.outcome is Outcome.FAIL
            assert {Span(5, 20, "EMAIL_ADDRESS"), Span(27, 46, "CREDIT_CARD")} <= set(everything.spans)
            assert (await made.ask(text, rule=1)).spans == (Span(27, 46, "CREDIT_CARD"),)
            assert await made.ask(text, rule=2) == PASSED
            assert await made.ask("Nothing to see.") == PASSED

    run(test)
    assert asked == []


@needs.presidio
def test_words_near_a_number_count_for_presidio_without_a_model() -> None:
    number = "078-05-1126"
    assert verdict(presidio(entities=["US_SSN"]), f"My social security number is {number}.").outcome is Outcome.FAIL


@needs.presidio
@pytest.mark.parametrize(
    ("rule", "key"),
    [
        (presidio(entities=["NO_SUCH_THING"]), "entities"),
        (presidio(language="no-such-language"), "language"),
    ],
)
def test_rule_that_presidio_cannot_serve_is_a_mistake_with_a_place(rule: dict[str, Any], key: str) -> None:
    ((place, _),) = problems(rule)
    assert place == ("policies", "p", "rules", 0, key)


@needs.presidio
def test_what_only_a_model_finds_is_refused_where_none_is_installed() -> None:
    import spacy

    if any(name.startswith("en_core_") for name in spacy.util.get_installed_models()):
        pytest.skip("an English model is installed")
    ((_, message),) = problems(presidio(entities=["PERSON"]))
    assert "no NLP model" in message


def test_presidio_that_is_not_installed_is_a_mistake_that_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    ((place, message),) = problems(presidio())
    assert place == ("policies", "p", "rules", 0, "detector")
    assert "pip install 'headgate[presidio]'" in message
