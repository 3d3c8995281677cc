"""Over a WebSocket: a lane that is blocked, and one that waits for a person while others go on."""

from __future__ import annotations

from typing import Any

from websockets.sync.client import ClientConnection

from tests.e2e.governance.asking import ECHO, saying
from tests.e2e.governance.house import CODENAME, House, key_of
from tests.e2e.matrix.sockets import heard, say, session, until_end

SALARY = "He asked, and the salary is five, he said."


def create(connection: ClientConnection, text: str, lane: str) -> None:
    prompt = saying(text).prompt
    say(connection, type="response.create", model=f"openai-responses/{ECHO}", input=prompt, stream_id=lane)


def spoken(messages: list[Any]) -> str:
    return "".join([message["delta"] for message in messages if message["type"] == "response.output_text.delta"])


def keyed(policy: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key_of(policy)}"}


def test_lane_that_a_rule_blocks_ends_and_the_next_begins(house: House) -> None:
    with session(house.gateway, additional_headers=keyed("blocking")) as connection:
        create(connection, f"It is called {CODENAME}.", "a")
        blocked = until_end(connection, "a")
        assert spoken(blocked) == "It is called "
        assert blocked[-1]["response"]["incomplete_details"] == {"reason": "content_filter"}
        create(connection, "Nothing to hide.", "a")
        assert spoken(until_end(connection, "a")) == "Nothing to hide."


def test_lane_that_is_held_waits_and_others_go_on(house: House) -> None:
    with session(house.gateway, additional_headers=keyed("holding")) as connection:
        create(connection, SALARY, "held")
        first = heard(connection)
        messages = [first]
        while spoken(messages) != "He asked, and the ":
            messages.append(heard(connection))
        create(connection, "Nothing to hide.", "other")
        assert spoken(until_end(connection, "other")) == "Nothing to hide."
        (review,) = house.waiting("holding", [first["response"]["id"]])
        assert house.decide(review, "approve").status_code == 200
        messages += until_end(connection, "held")
        assert spoken(messages) == SALARY
        assert messages[-1]["type"] == "response.completed"
