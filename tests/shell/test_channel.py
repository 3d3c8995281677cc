"""What a connection tells the requests on it, when they are pipelined."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from headgate.channel import Channel


def connection() -> Any:
    flow = SimpleNamespace(write_paused=False)
    return SimpleNamespace(flow=flow, transport=None, lost=False, owner=None, on_lost=None, on_pause=None)


def test_request_that_is_done_does_not_take_the_callbacks_of_the_one_behind_it() -> None:
    line = connection()
    first, second = (Channel(line, cast(Any, SimpleNamespace())) for _ in range(2))
    told: list[str] = []
    first.on_lost(lambda: told.append("first"))
    second.on_lost(lambda: told.append("second"))
    second.on_pause(lambda paused: told.append(f"paused {paused}"))
    first.on_lost(None)
    line.on_lost()
    line.on_pause(True)
    assert told == ["paused False", "second", "paused True"]


def test_request_that_is_done_lets_go_of_its_own_callbacks() -> None:
    line = connection()
    only = Channel(line, cast(Any, SimpleNamespace()))
    only.on_lost(lambda: None)
    only.on_lost(None)
    assert line.on_lost is None
    assert line.owner is None


def test_client_that_is_lost_already_is_told_at_once() -> None:
    line = connection()
    line.lost = True
    told: list[str] = []
    Channel(line, cast(Any, SimpleNamespace())).on_lost(lambda: told.append("lost"))
    assert told == ["lost"]
