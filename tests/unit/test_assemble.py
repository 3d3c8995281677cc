"""What a log amounts to: extra fields, retractions, the hash."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import pytest

from headgate.assemble import Digester, Fold, accumulate
from headgate.events import (
    AnyEvent,
    Delta,
    Extra,
    Governance,
    Opaque,
    PartKind,
    PartStarted,
    ResponseStarted,
    Retracted,
)

STARTED = ResponseStarted("resp_" + "0" * 32, "app", "openai-chat", "m", 1, may_retract=True)


def fold(*events: AnyEvent) -> Fold:
    folded = Fold()
    for seq, event in enumerate(events, 1):
        folded.feed(seq, event)
    return folded


@pytest.mark.parametrize(
    ("place", "first", "second", "wanted"),
    [
        ("response", "a", "b", "b"),
        ("response", [1], [2], [2]),
        ("response", {"a": 1}, {"b": 2}, {"b": 2}),
        ("choice", "a", "b", "b"),
        ("choice", [1], [2], [1, 2]),
        ("choice", {"a": [1], "c": "x"}, {"a": [2], "b": 2, "c": "y"}, {"a": [1, 2], "c": "y", "b": 2}),
        ("delta", "a", "b", "ab"),
        ("delta", [1], [2], [1, 2]),
        ("delta", {"a": "x"}, {"a": "y"}, {"a": "xy"}),
        ("delta", {"type": "x", "index": "0"}, {"type": "x", "index": "0"}, {"type": "x", "index": "0"}),
        ("delta", 1, 2, 2),
        ("delta", [1], "b", "b"),
        ("delta", {"a": 1}, {"a": None}, {"a": 1}),
    ],
)
def test_extra_fields_accumulate_by_where_they_stood(place: str, first: Any, second: Any, wanted: Any) -> None:
    given = copy.deepcopy((first, second))
    folded = fold(*(Opaque(0, Extra(**{place: {"x": value}})) for value in (first, second)))
    choice = folded.choices[0]
    assert {"response": folded.extra, "choice": choice.extra, "delta": choice.message_extra}[place] == {"x": wanted}
    assert (first, second) == given, "the events must stay as they were"


def test_extra_of_a_tool_call_stays_with_it_and_the_mark_of_reasoning_is_none() -> None:
    folded = fold(
        PartStarted(0, 0, PartKind.REASONING, extra=Extra(delta={"reasoning": ""})),
        PartStarted(0, 1, PartKind.TOOL_CALL, extra=Extra(delta={"sig": "a"})),
        Delta(0, 1, "{}", Extra(choice={"c": 1}, delta={"sig": "b"})),
    )
    assert folded.choices[0].message_extra == {}
    assert folded.choices[0].extra == {"c": 1}
    assert folded.choices[0].parts[1].tool_extra == {"sig": "ab"}


def test_accumulating_many_lists_does_not_copy_what_is_there() -> None:
    into: dict[str, Any] = {}
    accumulate(into, {"l": {"content": [1]}}, strings_grow=False)
    owned = into["l"]["content"]
    accumulate(into, {"l": {"content": [2]}}, strings_grow=False)
    assert into["l"]["content"] is owned
    assert owned == [1, 2]


@pytest.mark.parametrize(
    ("from_char", "wanted"), [(0, "new"), (1, "anew"), (3, "abcnew"), (4, "abcdnew"), (6, "abcdefnew")]
)
def test_retraction_ends_the_text_at_its_character(from_char: int, wanted: str) -> None:
    events: list[AnyEvent] = [
        STARTED,
        PartStarted(0, 0, PartKind.TEXT),
        Delta(0, 0, "abc"),
        Delta(0, 0, "def"),
        Retracted(0, 0, from_char, 3, "rule", "new"),
    ]
    assert fold(*events).choices[0].parts[0].text == wanted
    digester, straight = Digester(), Digester()
    for event in events:
        digester.feed(event)
    for event in (*events[:2], Delta(0, 0, wanted)):
        straight.feed(event)
    assert digester.result() == straight.result()


def test_hash_is_over_the_parts_in_their_order_whatever_order_their_text_came_in() -> None:
    digester = Digester()
    events: list[AnyEvent] = [
        PartStarted(1, 0, PartKind.TEXT),
        PartStarted(0, 0, PartKind.REASONING),
        PartStarted(0, 1, PartKind.TEXT),
        Delta(0, 1, "ü"),
        Delta(1, 0, "b"),
        Delta(0, 1, "!"),
    ]
    for event in events:
        digester.feed(event)
    text = [("0:0:reasoning", ""), ("0:1:text", "ü!"), ("1:0:text", "b")]
    by_hand = "".join(f"{key}:{hashlib.sha256(value.encode()).hexdigest()}\n" for key, value in text)
    assert digester.result() == hashlib.sha256(by_hand.encode()).hexdigest()
    assert digester.utf8_bytes == 4


def test_released_upto_a_mark_counts_what_came_before_it() -> None:
    part = fold(PartStarted(0, 0, PartKind.TEXT), Delta(0, 0, "abc"), Delta(0, 0, "de")).choices[0].parts[0]
    assert [part.released_upto(seq) for seq in (1, 2, 3, 9)] == [0, 3, 5, 5]


def test_what_is_released_is_counted_in_the_ungoverned_text_and_a_retraction_takes_nothing_from_it() -> None:
    part = (
        fold(
            STARTED,
            PartStarted(0, 0, PartKind.TEXT),
            Governance(0, 0, "email", "mask", 2, 12, released=7),
            Delta(0, 0, "to [email]"),
            Governance(0, 0, "email", "flag", 2, 12),
            Delta(0, 0, " bad"),
            Governance(0, 0, "judge", "mask", 13, 17, gate="lane", released=3),
            Retracted(0, 0, 10, 6, "judge", "[x]"),
            Delta(0, 0, "!"),
        )
        .choices[0]
        .parts[0]
    )
    assert part.text == "to [email][x]!"
    assert [part.released_upto(seq) for seq in (3, 4, 6, 8, 9)] == [3, 13, 17, 17, 18]
