"""Answers with masks in them: text, reasoning, arguments of calls."""

from __future__ import annotations

import json

from tests.e2e.governance.asking import COMPLETED, bodies, jobs, saying, wrong
from tests.e2e.governance.house import House
from tests.e2e.matrix.desk import Desk
from tests.e2e.matrix.seen import DIALECTS
from tests.e2e.matrix.words import Ask

ADDRESS = "ada.lovelace@example.com"
TEXT = f"Write to {ADDRESS} or to grace@example.com; not to @ada, nor at 5 pm."
MASKED = "Write to [email] or to [email]; not to @ada, nor at 5 pm."
ARGUMENTS = {"gate": f'"{ADDRESS}"', "inches": 3}
MASKED_ARGUMENTS = {"gate": '"[email]"', "inches": 3}


THOUGHT = f"Write to {ADDRESS}, and then wait for an answer of hers until it is late in the evening."
"""Some providers give reasoning, or text, in two parts; the first ends in the middle, or later."""
MASKED_THOUGHT = THOUGHT.replace(ADDRESS, "[email]")


def test_every_client_sees_the_masked_text(desk: Desk, house: House, language: str) -> None:
    asked = jobs(language, "masking", saying(TEXT), providers=DIALECTS)
    seen = desk.ask(house.url, asked)
    assert not wrong(asked, seen, COMPLETED, MASKED)


def test_arguments_of_calls_are_still_json_in_every_client(desk: Desk, house: House, language: str) -> None:
    ask = saying(json.dumps(ARGUMENTS), Ask(tools=True))
    asked = jobs(language, "masking", ask, model="sim-fast-echo-parallel", providers=DIALECTS)
    for job, seen in zip(asked, desk.ask(house.url, asked), strict=True):
        assert seen.error is None, (job, seen)
        assert [(call.name, call.given) for call in seen.calls] == [
            ("open_gate", MASKED_ARGUMENTS),
            ("close_gate", MASKED_ARGUMENTS),
        ], job


def test_reasoning_is_masked_as_the_text_is(desk: Desk, house: House, language: str) -> None:
    ask = saying(THOUGHT, Ask(reasoning=True))
    asked = jobs(language, "masking", ask, model="sim-fast-echo-reasoning", providers=DIALECTS)
    seen = desk.ask(house.url, asked)
    assert not wrong(asked, seen, COMPLETED, MASKED_THOUGHT)
    assert [str(job) for job, one in zip(asked, seen, strict=True) if one.reasoning != MASKED_THOUGHT] == []


def test_address_that_stands_across_two_parts_is_masked(desk: Desk, house: House, language: str) -> None:
    half = "one two three four five six"
    ask = saying(f"{half} {ADDRESS} {half}", Ask(reasoning=True))
    asked = jobs(language, "masking", ask, model="sim-fast-echo-reasoning", providers=["openai-responses"])
    seen = desk.ask(house.url, asked)
    assert not wrong(asked, seen, COMPLETED, f"{half} [email] {half}")


def test_same_value_has_the_same_number_in_all_of_an_answer(desk: Desk, house: House, language: str) -> None:
    prose = "and then wait for an answer of theirs until it is late in the evening of the day after"
    text = f"{ADDRESS}, grace@example.com, {ADDRESS}, {prose}, {prose}."
    numbered = text.replace(ADDRESS, "[email_1]").replace("grace@example.com", "[email_2]")
    asked = jobs(language, "numbering", saying(text, Ask(reasoning=True)), model="sim-fast-echo-reasoning")
    seen = desk.ask(house.url, asked)
    assert not wrong(asked, seen, COMPLETED, numbered)
    assert {one.reasoning for one in seen} == {numbered}


def test_nothing_of_what_was_masked_is_on_the_wire_or_on_disk(house: House) -> None:
    ask = saying(THOUGHT.replace("lovelace", "byron"), Ask(reasoning=True, tools=True))
    for client, answer in bodies(house, "masking", ask, model="sim-fast-echo-reasoning"):
        id_ = answer.headers["headgate-response-id"]
        for sent in (answer.content, house.raw_log("masking", id_)):
            assert b"byron" not in sent, client
            assert b"[email]" in sent, client
        receipt = house.proved("masking", id_)
        assert ("email", "mask") in {(one["rule"], one["action"]) for one in receipt["governance"]}
    assert b"byron" not in house.kept()
