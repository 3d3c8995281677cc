"""Answers that may be taken back: what those see who can take text back, and those who cannot."""

from __future__ import annotations

import json

import pytest

from tests.e2e.governance.asking import BLOCKED, COMPLETED, bodies, jobs, saying, wrong
from tests.e2e.governance.house import CODENAME, House
from tests.e2e.governance.reading import following, streaming
from tests.e2e.matrix.desk import Desk
from tests.e2e.matrix.seen import DIALECTS

WITHHELD = "This was withheld."
TEXT = f"Write to ada.lovelace@example.com about {CODENAME}."
FENCED = "\n```json\n{}\n```  \n"


def test_answer_that_fails_is_replaced_in_every_client(desk: Desk, house: House, language: str) -> None:
    asked = jobs(language, "replacing", saying(TEXT), providers=DIALECTS)
    seen = desk.ask(house.url, asked)
    assert not wrong(asked, seen, BLOCKED, WITHHELD)
    for one in seen[::8]:
        receipt = house.proved("replacing", one.response_id)
        assert receipt["terminal"] == {"code": "policy_blocked", "status": "blocked"}
        assert receipt["retractions"]["count"] == 1


def test_answer_that_passes_is_what_it_was_in_every_client(desk: Desk, house: House, language: str) -> None:
    asked = jobs(language, "replacing", saying("Write to ada.lovelace@example.com."), providers=DIALECTS)
    assert not wrong(asked, desk.ask(house.url, asked), COMPLETED, "Write to [email].")


def test_formatting_is_all_that_clients_ever_see(desk: Desk, house: House, language: str) -> None:
    asked = jobs(language, "formatting", saying(FENCED), providers=DIALECTS)
    assert not wrong(asked, desk.ask(house.url, asked), COMPLETED, "{}")


def test_nothing_that_was_taken_back_is_in_any_byte_for_clients_that_cannot_take_back(house: House) -> None:
    for client, answer in bodies(house, "replacing", saying(TEXT)):
        assert b"Nightin" not in answer.content, client
        assert b"Write" not in answer.content, client
        assert WITHHELD.encode() in answer.content, client
        id_ = answer.headers["headgate-response-id"]
        for dialect in (*DIALECTS, "headgate"):
            with following(house, "replacing", id_, dialect=dialect) as replay:
                replay.rest()
            assert b"Nightin" not in replay.body, (client, dialect)
            if dialect == client:
                assert replay.body == answer.content.replace(b": ping\n", b"")


@pytest.mark.parametrize(("policy", "text", "shown"), [("replacing", TEXT, WITHHELD), ("formatting", FENCED, "{}")])
def test_native_reader_sees_the_text_at_once_and_is_told_what_to_take_back(
    house: House, policy: str, text: str, shown: str
) -> None:
    with streaming(house, policy, "openai-chat", "openai-chat/sim-r20-f0-echo", saying(text)) as stream:
        with following(house, policy, stream.id, format="ndjson") as native:
            native.until(b'"type":"delta"')
            native.rest()
        stream.rest()
    held: dict[tuple[int, int], str] = {}
    retractions = 0
    for event in (json.loads(line) for line in native.body.split(b"\n") if line):
        place = event.get("choice", -1), event.get("part", -1)
        if event["type"] == "delta":
            held[place] = held.get(place, "") + event["text"]
        elif event["type"] == "retracted":
            retractions += 1
            held[place] = held[place][: event["from_char"]] + event.get("replacement", "")
    assert retractions == 1
    assert list(held.values()) == [shown]
    streamed = [json.loads(line[6:]) for line in stream.body.split(b"\n") if line.startswith(b"data: {")]
    deltas = [choice["delta"].get("content") or "" for chunk in streamed for choice in chunk["choices"]]
    assert "".join(deltas) == shown
