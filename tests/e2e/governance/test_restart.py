"""A gateway that is killed while answers of it wait for a person."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.e2e.governance.asking import COMPLETED, ECHO, jobs, saying, wrong
from tests.e2e.governance.house import House, opened
from tests.e2e.governance.reading import BEATS, following, quiet, streaming
from tests.e2e.harness import GatewayProcess
from tests.e2e.matrix.desk import Desk

BEFORE = "The figure: her "
TEXT = f"{BEFORE}salary is 5000, says ada.lovelace@example.com."
APPROVED = f"{BEFORE}salary is 5000, says [email]."


def left(house: House) -> tuple[str, int, bytes]:
    """A stream that is cut by the death of the gateway: its id, its cursor, and what was seen of it."""
    with streaming(house, "holding", "openai-chat", f"openai-chat/{ECHO}", saying(TEXT)) as stream:
        stream.until(BEATS["openai-chat"])
        house.waiting("holding", [stream.id])
        house.gateway.kill()
        with pytest.raises(httpx.RemoteProtocolError):
            stream.rest()
    seen = quiet(stream.body, "openai-chat")
    return stream.id, max(int(line[4:]) for line in seen.split(b"\n") if line.startswith(b"id: ")), seen


def test_held_answers_outlive_a_kill_and_go_on_as_decided(desk: Desk, tmp_path: Path) -> None:
    with opened(GatewayProcess, desk, tmp_path) as house:
        asked = jobs("python", "holding", saying(TEXT), modes=[False], act="pending")
        waiting = [one.response_id for one in desk.ask(house.url, asked)]
        id_, cursor, seen = left(house)
        requests = house.simulator.stats.requests
        house.gateway.restart()
        reviews = house.waiting("holding", [id_, *waiting])
        assert house.shown("holding", id_)["status"] == "in_progress"
        shown = house.command("show", reviews[0])
        assert "salary is 5000, says [email]." in shown
        with following(house, "holding", id_, dialect="openai-chat", after=cursor) as again:
            for review in reviews[:-1]:
                house.command("approve", review)
            again.rest()
        house.command("reject", reviews[-1], "--comment", "no")
        with following(house, "holding", id_, dialect="openai-chat") as whole:
            whole.rest()
        assert seen + quiet(again.body, "openai-chat") == whole.body
        assert whole.body.endswith(b"data: [DONE]\n\n")
        for one, status in zip([id_, *waiting], ["completed"] * len(waiting) + ["blocked"], strict=True):
            assert house.ended("holding", one)[0] == status
            receipt = house.proved("holding", one)
            assert [review["reviewer"] for review in receipt["reviews"]] == ["ada"]
        assert house.simulator.stats.requests == requests, "no provider was asked again"
        answers = desk.ask(house.url, jobs("python", "masking", saying("All is well.")))
        assert not wrong(jobs("python", "masking", saying("All is well.")), answers, COMPLETED, "All is well.")
        house.gateway.stop()
        assert house.verify().startswith("good:")
        house.gateway.restart()
