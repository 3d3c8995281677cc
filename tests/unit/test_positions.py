"""Where the text of a log that may retract stands: how far it is verified, and what takes back the rest."""

from __future__ import annotations

from headgate.events import AnyEvent, Delta, PartDone, PartKind, PartStarted, Released, Retracted
from headgate.positions import Positions


def placed(*events: AnyEvent) -> tuple[Positions, list[AnyEvent]]:
    positions = Positions()
    return positions, positions.place(events, 1)


def test_retraction_names_the_event_that_brought_its_first_character() -> None:
    _, events = placed(
        PartStarted(0, 0, PartKind.TEXT), Delta(0, 0, "It "), Delta(0, 0, "is "), Retracted(0, 0, 3, 0, "rule")
    )
    assert events[-1] == Retracted(0, 0, 3, 3, "rule")


def test_log_is_verified_up_to_the_event_before_what_is_not() -> None:
    positions, _ = placed(PartStarted(0, 0, PartKind.TEXT), Delta(0, 0, "It "), Delta(0, 0, "is "))
    assert positions.verified([(0, 0, 3)], 3) == 2
    assert positions.verified([], 3) == 3


def test_mark_at_the_end_of_a_log_vouches_for_itself() -> None:
    positions, events = placed(PartStarted(0, 0, PartKind.TEXT), Delta(0, 0, "It "), Released(0))
    assert events[-1] == Released(2)
    assert positions.verified_seq == 3
    assert positions.verified([], 3) == positions.verified_seq, "nothing new to say"


def test_text_behind_the_last_mark_is_unverified() -> None:
    positions, _ = placed(
        PartStarted(0, 0, PartKind.TEXT),
        Delta(0, 0, "It "),
        Delta(0, 0, "is "),
        PartStarted(1, 0, PartKind.TEXT),
        Delta(1, 0, "No"),
        Released(2),
    )
    assert positions.verified_seq == 2
    assert positions.unverified == [(0, 0, 3), (1, 0, 0)]


def test_text_of_a_part_that_is_done_is_verified() -> None:
    positions, _ = placed(PartStarted(0, 0, PartKind.TEXT), Delta(0, 0, "It "), PartDone(0, 0))
    assert positions.unverified == []


def test_only_text_that_is_there_is_taken_back() -> None:
    positions, _ = placed(PartStarted(0, 0, PartKind.TEXT), Delta(0, 0, "It "), Delta(0, 0, "is "))
    assert positions.retractions([(0, 0, 3), (0, 0, 6), (1, 0, 0)], "why") == [Retracted(0, 0, 3, 0, "why")]


def test_what_is_taken_back_is_counted_by_choice() -> None:
    positions, _ = placed(
        PartStarted(0, 0, PartKind.TEXT),
        Delta(0, 0, "It is "),
        Retracted(0, 0, 3, 0, "rule", "was "),
        Retracted(0, 0, 0, 0, "rule"),
    )
    assert positions.retracted == {0: 3 + len("It was ")}
    assert positions.unverified == []
