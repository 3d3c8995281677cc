"""Policies that change nothing: dry runs, flags, and telling somebody."""

from __future__ import annotations

from typing import Any

from tests.e2e.governance.asking import BLOCKED, COMPLETED, ECHO, jobs, saying, wrong
from tests.e2e.governance.house import CODENAME, House
from tests.e2e.governance.reading import streaming
from tests.e2e.harness import until
from tests.e2e.matrix.desk import Desk
from tests.e2e.matrix.words import Ask

ADDRESS = "ada.lovelace@example.com"
TEXT = f"Her salary for {CODENAME} goes to {ADDRESS}."


def told(house: House, ids: list[str]) -> list[dict[str, Any]]:
    """The first webhook about each of these responses, once all are there."""
    until(lambda: all(house.receiver.of(id_) for id_ in ids), what="webhooks")
    return [house.receiver.of(id_)[0] for id_ in ids]


def test_dry_run_changes_nothing_and_records_everything(desk: Desk, house: House, language: str) -> None:
    asked = jobs(language, "watching", saying(TEXT))
    seen = desk.ask(house.url, asked)
    assert not wrong(asked, seen, COMPLETED, TEXT)
    for one in seen:
        receipt = house.proved("watching", one.response_id)
        found = {(did["gate"], did["rule"], did["action"], did["dry"]) for did in receipt["governance"]}
        assert found >= {
            ("stream", "codename", "block", True),
            ("stream", "email", "mask", True),
            ("stream", "salary", "hold", True),
        }
        assert {(did["rule"], did["outcome"]) for did in receipt["verdicts"]} >= {("length", "fail")}
        assert not house.receiver.of(one.response_id)
    assert house.reviews(policy="watching") == []


def test_dry_run_sends_requests_that_it_would_have_refused(desk: Desk, house: House, language: str) -> None:
    text = "Charge 4111 1111 1111 1111."
    asked = jobs(language, "watching", Ask(prompt=text))
    seen = desk.ask(house.url, asked)
    assert not wrong(asked, seen, COMPLETED, text)
    receipt = house.proved("watching", seen[0].response_id)
    assert ("request", "card", True) in {(did["gate"], did["rule"], did["dry"]) for did in receipt["governance"]}


def test_flag_is_recorded_and_escalation_is_told_and_both_change_nothing(
    desk: Desk, house: House, language: str
) -> None:
    asked = jobs(language, "telling", saying(TEXT))
    seen = desk.ask(house.url, asked)
    assert not wrong(asked, seen, COMPLETED, TEXT)
    for one, webhook in zip(seen, told(house, [one.response_id for one in seen]), strict=True):
        assert webhook["type"] == "headgate.rule.matched"
        data = webhook["data"]
        assert (data["rule"], data["action"], data["policy"]) == ("codename", "escalate", "telling")
        receipt = house.proved("telling", one.response_id)
        assert data["policy_version"] == receipt["policy_version"]
        assert {(did["rule"], did["action"]) for did in receipt["governance"]} >= {
            ("codename", "escalate"),
            ("email", "flag"),
        }
    assert b"Nightingale" not in house.receiver.bytes
    assert b"lovelace" not in house.receiver.bytes


def test_review_of_enough_risk_is_told_of_at_once(house: House) -> None:
    with streaming(house, "alarming", "openai-chat", f"openai-chat/{ECHO}", saying(TEXT)) as stream:
        (webhook,) = told(house, [stream.id])
        assert webhook["type"] == "headgate.review.waiting"
        data = webhook["data"]
        assert (data["rule"], data["risk"], data["policy"]) == ("salary", "medium", "alarming")
        assert house.decide(data["review_id"], "reject").status_code == 200
        stream.rest()
    assert BLOCKED["openai-chat"].encode() in stream.body
    assert b"salary" not in house.receiver.bytes.replace(b'"rule":"salary"', b"")


def test_whole_answer_that_waits_for_nobody_is_told_where_it_will_be_at_once(
    desk: Desk, house: House, language: str
) -> None:
    asked = jobs(language, "alarming", saying(TEXT), modes=[False], act="pending")
    seen = desk.ask(house.url, asked)
    assert {one.text for one in seen} == {""}
    for webhook in told(house, [one.response_id for one in seen]):
        house.decide(webhook["data"]["review_id"], "approve")
    for one in seen:
        assert house.ended("alarming", one.response_id) == ("completed", "")
