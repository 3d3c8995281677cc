"""Answers that a rule ends: in mid stream, before anything is sent, because a judge fails, or at their end."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from tests.e2e.governance.asking import BLOCKED, COMPLETED, bodies, jobs, saying, wrong
from tests.e2e.governance.house import CODENAME, House
from tests.e2e.matrix.desk import Desk
from tests.e2e.matrix.seen import DIALECTS, Seen
from tests.e2e.matrix.words import Ask

BEFORE = "It is called "
TEXT = f"{BEFORE}{CODENAME}, and it begins at once."
CARD = "4111 1111 1111 1111"


def proved(house: House, policy: str, seen: Iterable[Seen], code: str) -> list[dict[str, object]]:
    """Receipts of answers that all ended as blocked, for that reason."""
    receipts = [house.proved(policy, one.response_id) for one in seen]
    assert [receipt["terminal"] for receipt in receipts] == [{"code": code, "status": "blocked"}] * len(receipts)
    return receipts


def test_answer_ends_before_the_match_in_every_client(desk: Desk, house: House, language: str) -> None:
    asked = jobs(language, "blocking", saying(TEXT), providers=DIALECTS)
    seen = desk.ask(house.url, asked)
    assert not wrong(asked, seen, BLOCKED, BEFORE)
    for receipt in proved(house, "blocking", seen[::8], "policy_blocked"):
        assert receipt["governance"] == [
            {"action": "block", "count": 1, "dry": False, "gate": "stream", "rule": "codename"}
        ]


@pytest.mark.parametrize("model", ["sim-fast-echo", "sim-r2000-f0-echo"])
def test_nothing_of_the_match_is_on_the_wire(house: House, model: str) -> None:
    for client, answer in bodies(house, "blocking", saying(TEXT), model=model):
        for sent in (answer.content, house.raw_log("blocking", answer.headers["headgate-response-id"])):
            assert b"called" in sent, client
            assert b"Project" not in sent, client
            assert b"Nightin" not in sent, client


def test_arguments_of_a_call_that_are_stopped_never_look_whole(desk: Desk, house: House, language: str) -> None:
    ask = saying(json.dumps({"gate": CODENAME, "inches": 3}), Ask(tools=True))
    asked = jobs(language, "blocking", ask, model="sim-fast-echo-tools", providers=DIALECTS)
    for job, seen in zip(asked, desk.ask(house.url, asked), strict=True):
        assert seen.error is None, (job, seen)
        assert seen.finish == BLOCKED[job.dialect], (job, seen)
        for call in seen.calls:
            assert "inches" not in call.arguments, (job, seen)
            assert "Project" not in call.arguments, (job, seen)


def test_request_that_is_blocked_never_reaches_a_provider(desk: Desk, house: House, language: str) -> None:
    requests = house.simulator.stats.requests
    asked = jobs(language, "blocking", Ask(prompt=f"Charge {CARD}."), providers=DIALECTS)
    seen = desk.ask(house.url, asked)
    assert not wrong(asked, seen, BLOCKED, "")
    assert house.simulator.stats.requests == requests
    for receipt in proved(house, "blocking", seen[::8], "request_blocked"):
        assert receipt["attempts"] == []


def test_request_in_no_words_of_a_card_reaches_it(desk: Desk, house: House, language: str) -> None:
    requests = house.simulator.stats.requests
    asked = jobs(language, "blocking", Ask(prompt="Charge nobody."))
    seen = desk.ask(house.url, asked)
    assert not wrong(asked, seen, COMPLETED, "Charge nobody.")
    assert house.simulator.stats.requests == requests + len(asked)


def test_judge_that_raises_ends_the_answer_before_what_it_could_not_read(
    desk: Desk, house: House, language: str
) -> None:
    asked = jobs(language, "guarding", saying("All is well. Here is trouble. All is well."), providers=DIALECTS)
    seen = desk.ask(house.url, asked)
    assert not wrong(asked, seen, BLOCKED, "All is well. ")
    for receipt in proved(house, "guarding", seen[::8], "guard_failed"):
        assert receipt["policy"] == "guarding"
    assert "trouble" not in house.gateway.logs()


def test_judge_that_raises_about_a_request_keeps_it_from_the_provider(desk: Desk, house: House, language: str) -> None:
    requests = house.simulator.stats.requests
    asked = jobs(language, "screening", Ask(prompt="Here is trouble."))
    seen = desk.ask(house.url, asked)
    assert not wrong(asked, seen, BLOCKED, "")
    assert house.simulator.stats.requests == requests
    proved(house, "screening", seen, "guard_failed")


def test_answer_whose_whole_fails_ends_as_blocked_with_what_was_shown_of_it(
    desk: Desk, house: House, language: str
) -> None:
    asked = jobs(language, "finishing", saying(TEXT), providers=DIALECTS)
    seen = desk.ask(house.url, asked)
    assert not wrong(asked, seen, BLOCKED, TEXT, whole="")
    for receipt in proved(house, "finishing", seen[::8], "policy_blocked"):
        assert receipt["verdicts"] == [{"count": 1, "gate": "final", "outcome": "fail", "rule": "codename"}]


def test_answer_that_does_not_follow_its_schema_ends_as_blocked(desk: Desk, house: House, language: str) -> None:
    for text, finishes in (('{"gate": "third"}', BLOCKED), ('{"gate": "third", "inches": 3}', COMPLETED)):
        asked = jobs(language, "masking", saying(text, Ask(schema=True)), providers=DIALECTS)
        seen = desk.ask(house.url, asked)
        assert not wrong(asked, seen, finishes, text, whole="" if finishes is BLOCKED else text)


def test_mask_in_structured_output_leaves_it_the_json_that_was_asked_for(
    desk: Desk, house: House, language: str
) -> None:
    text = '{"gate": "ada.lovelace@example.com", "inches": 3}'
    asked = jobs(language, "masking", saying(text, Ask(schema=True)), providers=DIALECTS)
    for job, seen in zip(asked, desk.ask(house.url, asked), strict=True):
        assert seen.error is None, (job, seen)
        assert seen.finish == COMPLETED[job.dialect], (job, seen)
        assert json.loads(seen.text) == {"gate": "[email]", "inches": 3}, (job, seen)
