"""Answers that wait for a person, as those see them who wait for the answer."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from openai import OpenAI

from tests.e2e.governance.asking import BLOCKED, COMPLETED, ECHO, jobs, saying, wrong
from tests.e2e.governance.house import House, key_of
from tests.e2e.governance.reading import BEATS, following, quiet, streaming
from tests.e2e.harness import until
from tests.e2e.matrix.desk import Desk
from tests.e2e.matrix.seen import DIALECTS
from tests.e2e.matrix.words import Ask

BEFORE = "The figure: her "
TEXT = f"{BEFORE}salary is 5000, says ada.lovelace@example.com."
APPROVED = f"{BEFORE}salary is 5000, says [email]."
ARGUMENTS = {"gate": "salary", "inches": 3}


@pytest.fixture(autouse=True)
def _tidy(house: House) -> Iterator[None]:
    """A test that failed leaves nothing for the next one to decide."""
    yield
    for review in house.reviews():
        house.decide(review["id"], "reject")


each_client = pytest.mark.parametrize("client", DIALECTS)


def queued(house: House, policy: str, count: int) -> list[str]:
    """The ids of so many reviews, once they are there; nobody else uses the policy now."""
    until(lambda: len(house.reviews(policy=policy)) >= count, what=f"{count} reviews of {policy}")
    reviews = house.reviews(policy=policy)
    assert len(reviews) == count
    return [review["id"] for review in reviews]


def decided(house: House, reviews: list[str], decision: str, **given: str) -> None:
    for review in reviews:
        answer = house.decide(review, decision, **given)
        assert answer.status_code == 200, answer.text


def test_stream_stays_open_and_goes_on_once_it_is_approved(desk: Desk, house: House, language: str) -> None:
    asked = jobs(language, "holding", saying(TEXT), providers=DIALECTS, modes=[True])
    answers = desk.begin(house.url, asked)
    reviews = queued(house, "holding", len(asked))
    shown = house.admin("GET", f"/reviews/{reviews[0]}").json()
    assert (shown["rule"], shown["risk"], shown["policy"]) == ("salary", "medium", "holding")
    assert [part["text"] for part in shown["released"]] == [BEFORE]
    assert "".join(part["text"] for part in shown["withheld"]) == APPROVED.removeprefix(BEFORE)
    with following(house, "holding", shown["response_id"]) as reader:
        reader.until(BEATS["headgate"])  # every stream has had one by now, or is about to
        assert b"event: held" in reader.body
        assert b"salary is" not in reader.body
    assert not answers.done()
    decided(house, reviews, "approve", comment="as agreed")
    seen = answers.result(30)
    assert not wrong(asked, seen, COMPLETED, APPROVED)
    receipt = house.proved("holding", seen[0].response_id)
    assert [(review["decision"], review["reviewer"]) for review in receipt["reviews"]] == [("approve", "ada")]


@pytest.mark.parametrize(
    ("decision", "given", "text", "finishes"),
    [
        ("approve", {}, APPROVED, COMPLETED),
        ("reject", {"comment": "no"}, BEFORE, BLOCKED),
        ("edit", {"text": "pay is fair."}, f"{BEFORE}pay is fair.", COMPLETED),
    ],
)
def test_decision_is_what_every_client_gets_streamed_and_whole(
    desk: Desk, house: House, language: str, decision: str, given: dict[str, str], text: str, finishes: dict[str, str]
) -> None:
    asked = jobs(language, "waiting", saying(TEXT))
    answers = desk.begin(house.url, asked)
    decided(house, queued(house, "waiting", len(asked)), decision, **given)
    seen = answers.result(30)
    text = text.replace("[email]", "ada.lovelace@example.com")
    assert not wrong(asked, seen, finishes, text)
    code = {"reject": "review_rejected"}.get(decision, "")
    assert {house.ended("waiting", one.response_id)[1] for one in seen} == {code}
    for one in seen[:2]:
        receipt = house.proved("waiting", one.response_id)
        assert [review["decision"] for review in receipt["reviews"]] == [decision]


def test_review_that_nobody_decides_in_time_is_rejected(desk: Desk, house: House, language: str) -> None:
    asked = jobs(language, "hurrying", saying(TEXT))
    seen = desk.ask(house.url, asked)
    assert not wrong(asked, seen, BLOCKED, BEFORE)
    receipt = house.proved("hurrying", seen[0].response_id)
    assert receipt["terminal"]["status"] == "blocked"
    assert house.reviews(policy="hurrying") == []


def test_calls_whose_arguments_are_held_come_whole_or_not_at_all(desk: Desk, house: House, language: str) -> None:
    ask = saying(json.dumps(ARGUMENTS), Ask(tools=True))
    for decision in ("approve", "reject"):
        asked = jobs(language, "waiting", ask, model=f"{ECHO}-tools")
        answers = desk.begin(house.url, asked)
        decided(house, queued(house, "waiting", len(asked)), decision)
        for job, seen in zip(asked, answers.result(30), strict=True):
            assert seen.error is None, (job, seen)
            if decision == "approve":
                assert {str(call.given) for call in seen.calls} == {str(ARGUMENTS)}, job
            else:
                assert seen.finish == BLOCKED[job.dialect], (job, seen)
                assert not any("salary" in call.arguments or "inches" in call.arguments for call in seen.calls), job


def test_whole_answer_that_waits_looks_like_no_answer_to_any_client(desk: Desk, house: House, language: str) -> None:
    asked = jobs(language, "holding", saying(TEXT), modes=[False], act="pending", providers=DIALECTS)
    seen = desk.ask(house.url, asked)
    for job, one in zip(asked, seen, strict=True):
        assert (one.text, one.finish) == ("", "in_progress" if job.dialect == "openai-responses" else ""), job
        assert house.shown("holding", one.response_id)["status"] == "in_progress"
        if job.client == "python gemini":  # which takes nothing but 200 for an answer
            assert one.error is not None
            assert (one.error.kind, one.error.status) == ("APIError", 202)
        else:
            assert one.error is None, (job, one)
            assert one.value == [202, f"{house.gateway.mount}/v1/responses/{one.response_id}", 0], job
    decided(house, house.waiting("holding", [one.response_id for one in seen]), "approve")
    with OpenAI(base_url=f"{house.url}/v1", api_key=key_of("holding"), max_retries=0) as sdk:
        for one in seen:
            answer = sdk.responses.retrieve(one.response_id)
            assert (answer.status, answer.output_text) == ("completed", APPROVED)


def test_code_that_knows_nothing_of_reviews_takes_it_for_no_success(desk: Desk, house: House, language: str) -> None:
    asked = jobs(language, "holding", saying(TEXT), modes=[False])
    seen = desk.ask(house.url, asked)
    for job, one in zip(asked, seen, strict=True):
        assert (one.text, one.calls) == ("", []), job
        assert one.error is not None or one.finish in ("", "in_progress"), (job, one)
    decided(house, queued(house, "holding", len(asked)), "reject")


@each_client
def test_reader_leaves_and_comes_back_with_its_cursor(house: House, client: str) -> None:
    with streaming(house, "holding", client, f"{client}/{ECHO}", saying(TEXT)) as stream:
        stream.until(BEATS[client])
        first = quiet(stream.body, client)
    assert BEFORE.split()[-1].encode() in first
    (review,) = house.waiting("holding", [stream.id])
    assert house.shown("holding", stream.id)["status"] == "in_progress"
    if client == "gemini":
        cursor = {"after_frames": first.count(b"data: ")}
    else:
        cursor = {"after": max(int(line[4:]) for line in first.split(b"\n") if line.startswith(b"id: "))}
    with following(house, "holding", stream.id, dialect=client, **cursor) as again:
        again.until(BEATS[client] if client != "gemini" else b"\n")
        assert house.command("approve", review, "--comment", "as agreed")
        again.rest()
    with following(house, "holding", stream.id, dialect=client) as whole:
        whole.rest()
    assert first + quiet(again.body, client) == whole.body
    assert b"[email]" in whole.body


def test_stream_that_is_held_at_its_first_word_has_begun_all_the_same(house: House) -> None:
    for client in DIALECTS:
        with streaming(house, "holding", client, f"{client}/{ECHO}", saying("salary first")) as stream:
            (review,) = house.waiting("holding", [stream.id])
            assert house.decide(review, "approve").status_code == 200
            stream.rest()
        assert b"first" in stream.body, client


def test_reader_that_leaves_while_the_provider_goes_on_ends_nothing(house: House) -> None:
    text = f"{TEXT} And so on and on and on and on and on and on."
    with streaming(house, "holding", "openai-chat", "openai-chat/sim-r30-f0-echo", saying(text)) as stream:
        with following(house, "holding", stream.id) as native:
            native.until(b"event: held")
        assert house.reviews(policy="holding") == [], "the provider is not done"
    (review,) = house.waiting("holding", [stream.id])
    assert house.decide(review, "approve").status_code == 200
    assert house.ended("holding", stream.id) == ("completed", "")


def test_caller_of_a_whole_answer_that_leaves_ends_nothing(house: House) -> None:
    body = {"model": f"openai-chat/{ECHO}", "messages": [{"role": "user", "content": TEXT}]}
    with house.http("waiting") as http, pytest.raises(httpx.ReadTimeout):
        http.post("/v1/chat/completions", json=body, timeout=0.5)
    (review,) = house.reviews(policy="waiting")
    assert house.decide(review["id"], "approve").status_code == 200
    assert house.ended("waiting", review["response_id"]) == ("completed", "")


def test_cancelled_while_it_waits_it_ends_and_the_review_is_void(house: House) -> None:
    with streaming(house, "holding", "openai-chat", f"openai-chat/{ECHO}", saying(TEXT)) as stream:
        (review,) = house.waiting("holding", [stream.id])
        with house.http("holding") as http:
            assert http.post(f"/v1/responses/{stream.id}/cancel").status_code == 200
        stream.rest()
    assert b'"error"' in stream.body
    assert b"[DONE]" not in stream.body
    until(lambda: house.admin("GET", f"/reviews/{review}").json()["state"] == "void")
    assert house.decide(review, "approve").json()["code"] == "review_conflict"


@pytest.mark.parametrize(
    ("decision", "finishes"), [("approve", COMPLETED), ("reject", BLOCKED)], ids=["approved", "rejected"]
)
def test_answer_whose_whole_fails_can_be_held_for_a_person(
    desk: Desk, house: House, language: str, decision: str, finishes: dict[str, str]
) -> None:
    text = "It is called Project Nightingale."
    asked = jobs(language, "doubting", saying(text), modes=[True])
    answers = desk.begin(house.url, asked)
    decided(house, queued(house, "doubting", len(asked)), decision)
    assert not wrong(asked, answers.result(30), finishes, text)
