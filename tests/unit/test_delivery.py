"""Cursors, marks, retractions, and readers that leave."""

from __future__ import annotations

import pytest

from headgate.config import OnDisconnect
from headgate.delivery import Farewell, farewell, follow_limit, is_taken_back, parse_cursor
from headgate.errors import RequestError
from headgate.events import AnyEvent, Delta, PartDone, Retracted


@pytest.mark.parametrize(("text", "cursor"), [("0", 0), ("7", 7), ("007", 7), ("9", 9)])
def test_cursor_is_the_seq_of_the_last_event_received(text: str, cursor: int) -> None:
    assert parse_cursor(text, last_seq=9) == cursor


@pytest.mark.parametrize(
    "text", ["", "10", "-1", "+1", "1.0", "1e1", " 1", "1 ", "0x1", "1_0", "a", "٣", "²", "0" * 16, "9" * 400]
)
def test_what_is_no_cursor_of_the_log_is_refused(text: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse_cursor(text, last_seq=9)
    assert (refused.value.code, refused.value.status) == ("invalid_cursor", 400)


@pytest.mark.parametrize(
    ("ended", "may_retract", "expresses", "limit"),
    [
        (False, False, False, 9),
        (False, False, True, 9),
        (False, True, True, 9),
        (False, True, False, 5),
        (True, True, False, 9),
    ],
)
def test_only_readers_that_cannot_show_a_retraction_stop_at_the_verified_mark(
    *, ended: bool, may_retract: bool, expresses: bool, limit: int
) -> None:
    followed = follow_limit(
        committed_seq=9, verified_seq=5, ended=ended, may_retract=may_retract, expresses_retraction=expresses
    )
    assert followed == limit


@pytest.mark.parametrize(
    ("seq", "event", "wanted"),
    [
        (3, Delta(0, 0, "a"), False),
        (4, Delta(0, 0, "a"), True),
        (7, Delta(0, 0, "a"), True),
        (8, Delta(0, 0, "a"), False),
        (5, Delta(0, 1, "a"), False),
        (5, Delta(1, 0, "a"), False),
        (5, PartDone(0, 0), False),
        (5, Retracted(0, 0, 0, 4, "rule", "earlier"), True),
        (8, Retracted(0, 0, 0, 4, "rule"), False),
    ],
)
def test_text_inside_the_range_is_taken_back_and_nothing_else(seq: int, event: AnyEvent, wanted: bool) -> None:
    assert is_taken_back(seq, event, [(8, Retracted(0, 0, 3, 4, "rule"))]) is wanted


def test_nothing_is_taken_back_where_nothing_was_retracted() -> None:
    assert not is_taken_back(4, Delta(0, 0, "a"), [])


@pytest.mark.parametrize(
    ("grace_s", "resumable", "after_s"), [(None, False, 0.0), (None, True, 10.0), (3.0, True, 3.0), (0.0, True, 0.0)]
)
def test_grace_is_the_routes_or_ten_seconds_for_who_comes_back(
    grace_s: float | None, resumable: bool, after_s: float
) -> None:
    for policy in OnDisconnect:
        assert farewell(policy, grace_s=grace_s, resumable=resumable) == Farewell(policy, after_s)
