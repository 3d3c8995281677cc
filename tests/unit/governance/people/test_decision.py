"""What a decision does to the log: legal where the log stands, and nothing of what was refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate import policies
from headgate.assemble import Fold
from headgate.endings import Ending, closing
from headgate.events import (
    AnyEvent,
    AttemptEnded,
    AttemptStarted,
    ChoiceDone,
    Delta,
    Governance,
    Held,
    PartDone,
    PartKind,
    PartStarted,
    Reason,
    ResponseStarted,
    Retracted,
    Reviewed,
    Status,
    Usage,
)
from headgate.governance.people.decision import NOBODY_DECIDED, REJECTED, Outcome, decision_events, withheld_parts
from headgate.governance.people.review import TIMEOUT, Decision, HeldResponse, Refusal, held_response
from headgate.lifecycle import Lifecycle

TEXT, REASONING, CALL = PartKind.TEXT, PartKind.REASONING, PartKind.TOOL_CALL
ENDING: Final[tuple[AnyEvent, ...]] = (Usage(3, 4), AttemptEnded(1, "ok", 200))


class Case:
    """A log as it stands when its review is opened, and what is held of it."""

    def __init__(
        self,
        shown: Sequence[AnyEvent],
        held: Held,
        withheld: Sequence[AnyEvent],
        *,
        closing: Sequence[AnyEvent] = ENDING,
        retractions: Sequence[Retracted] = (),
        choices: int = 1,
        status: Status = Status.COMPLETED,
        on_timeout: str = "reject",
    ) -> None:
        started = ResponseStarted("resp_1", "", "openai-chat", "m", 0, choices=choices, may_retract=bool(retractions))
        self.log: list[AnyEvent] = [started, AttemptStarted(1, "p", "openai-chat", "m"), *shown, held]
        settings = policies.Review.model_validate({"on_timeout": on_timeout})
        opened = held_response(self.fold(), held, settings=settings, risk="low", now=0.0, status=status)
        self.held: HeldResponse = msgspec.structs.replace(
            opened, withheld=tuple(withheld), closing=tuple(closing), retractions=tuple(retractions)
        )

    def fold(self, more: Sequence[AnyEvent] = ()) -> Fold:
        fold = Fold()
        for seq, event in enumerate([*self.log, *more], 1):
            fold.feed(seq, event)
        return fold

    def decide(self, decision: str, text: str = "") -> Outcome | Refusal:
        return decision_events(self.held, Decision(decision=decision, by="ada", at=7.9, comment="so", text=text))

    def outcome(self, decision: str, text: str = "") -> tuple[list[AnyEvent], Ending]:
        """The decision's events and end; they are legal, and the terminal after them."""
        found = self.decide(decision, text)
        assert isinstance(found, Outcome), found
        lifecycle = Lifecycle()
        for event in [*self.log, *found.events, closing(found.ending, sha256="", ended_at=0)]:
            lifecycle.feed(event)
        assert found.events[0] == Reviewed(self.held.id, decision, "ada", 7, "so")
        return found.events[1:], found.ending

    def text(self, decision: str, text: str = "", *, choice: int = 0) -> list[tuple[PartKind, str]]:
        """What the choice comes to."""
        events, _ = self.outcome(decision, text)
        return [(part.kind, part.text) for part in self.fold(events).choices[choice].parts]


def held(choice: int = 0, part: int = 0, offset: int = 4) -> Held:
    return Held(choice, part, offset, "salary", "rev_" + "0" * 32)


def rest(choice: int = 0, part: int = 0, reason: Reason = Reason.STOP) -> tuple[AnyEvent, ...]:
    return PartDone(choice, part), ChoiceDone(choice, reason, "provider's word")


IN_TEXT: Final = Case(
    [PartStarted(0, 0, TEXT), Delta(0, 0, "Ada ")],
    held(),
    [Governance(0, 0, "email", "mask", 9, 20), Delta(0, 0, "earns 5."), *rest()],
)


def test_approval_lets_out_exactly_what_was_withheld() -> None:
    events, ending = IN_TEXT.outcome("approve")
    assert events == [*IN_TEXT.held.withheld, *ENDING]
    assert ending == Ending(Status.COMPLETED)


def test_approval_ends_as_the_provider_had_ended() -> None:
    case = Case([PartStarted(0, 0, TEXT)], held(), [*rest(reason=Reason.LENGTH)], status=Status.TRUNCATED)
    assert case.outcome("approve")[1] == Ending(Status.TRUNCATED)


def test_rejection_keeps_usage_and_the_end_of_the_attempt_and_no_text() -> None:
    events, ending = IN_TEXT.outcome("reject")
    assert events == [*ENDING]
    assert ending == Ending(Status.BLOCKED, REJECTED)
    assert REJECTED.code == "review_rejected"


def test_attempt_that_nobody_closed_is_closed() -> None:
    case = Case([PartStarted(0, 0, TEXT)], held(), [Delta(0, 0, "x"), *rest()], closing=[])
    for decision in ("approve", "edit", "reject"):
        assert case.outcome(decision, "y")[0][-1] == AttemptEnded(1, "ok")


def test_attempt_that_ended_in_the_log_is_not_ended_again() -> None:
    case = Case([PartStarted(0, 0, TEXT), *ENDING], held(), [Delta(0, 0, "x"), *rest()], closing=[])
    for decision in ("approve", "edit", "reject"):
        assert not any(isinstance(event, AttemptEnded) for event in case.outcome(decision, "y")[0])


@pytest.mark.parametrize(("on_timeout", "status"), [("reject", Status.BLOCKED), ("approve", Status.COMPLETED)])
def test_timeout_does_what_the_policy_says_and_says_that_nobody_decided(on_timeout: str, status: Status) -> None:
    case = Case([PartStarted(0, 0, TEXT)], held(), [Delta(0, 0, "x"), *rest()], on_timeout=on_timeout)
    found = decision_events(case.held, Decision(decision=TIMEOUT, by=TIMEOUT, at=9.0))
    assert isinstance(found, Outcome)
    assert found.events[0] == Reviewed(case.held.id, "timeout", "timeout", 9)
    assert found.ending == Ending(status, NOBODY_DECIDED if status is Status.BLOCKED else None)


def test_edit_goes_on_where_the_held_text_would_have() -> None:
    events, ending = IN_TEXT.outcome("edit", "earns enough.")
    assert events == [Delta(0, 0, "earns enough."), PartDone(0, 0), ChoiceDone(0, Reason.STOP), *ENDING]
    assert ending == Ending(Status.COMPLETED)


def test_edit_makes_an_answer_that_was_cut_short_a_complete_one() -> None:
    case = Case(
        [PartStarted(0, 0, TEXT)], held(), [Delta(0, 0, "x"), *rest(reason=Reason.LENGTH)], status=Status.TRUNCATED
    )
    assert case.outcome("edit", "y")[1] == Ending(Status.COMPLETED)


def test_edit_leaves_out_later_texts_and_calls_that_were_withheld() -> None:
    case = Case(
        [PartStarted(0, 0, TEXT), Delta(0, 0, "Ada ")],
        held(),
        [
            Delta(0, 0, "earns 5."),
            PartDone(0, 0),
            PartStarted(0, 1, CALL, "c", "pay"),
            Delta(0, 1, "{}"),
            PartDone(0, 1),
            PartStarted(0, 2, TEXT),
            Delta(0, 2, "More."),
            *rest(0, 2, Reason.TOOL_CALLS),
        ],
    )
    assert case.text("edit", "works.") == [(TEXT, "Ada works.")]
    assert ChoiceDone(0, Reason.STOP) in case.outcome("edit", "works.")[0]
    assert len(case.text("approve")) == 3


def test_edit_of_a_part_that_had_not_begun_begins_it() -> None:
    case = Case([], held(offset=0), [PartStarted(0, 0, TEXT), Delta(0, 0, "5"), *rest()])
    assert case.text("edit", "Enough.") == [(TEXT, "Enough.")]


def test_edit_of_a_refusal_that_had_not_begun_is_a_refusal() -> None:
    case = Case(
        [], held(offset=0), [PartStarted(0, 0, PartKind.REFUSAL), Delta(0, 0, "5"), *rest(reason=Reason.REFUSAL)]
    )
    assert case.text("edit", "No.") == [(PartKind.REFUSAL, "No.")]
    assert case.outcome("edit", "No.")[1] == Ending(Status.REFUSED)


def test_edit_of_held_reasoning_is_an_answer_and_not_a_thought() -> None:
    case = Case(
        [PartStarted(0, 0, REASONING), Delta(0, 0, "Hm, ")],
        held(),
        [Delta(0, 0, "5"), PartDone(0, 0), PartStarted(0, 1, TEXT), Delta(0, 1, "It is 5."), *rest(0, 1)],
    )
    assert case.text("edit", "Enough.") == [(REASONING, "Hm, "), (TEXT, "Enough.")]


def test_edit_of_a_call_whose_name_is_held_puts_text_in_its_place() -> None:
    case = Case(
        [PartStarted(0, 0, TEXT), Delta(0, 0, "Well. "), PartDone(0, 0)],
        held(part=1, offset=0),
        [PartStarted(0, 1, CALL, "c", "pay_ada"), Delta(0, 1, "{}"), *rest(0, 1, Reason.TOOL_CALLS)],
    )
    assert case.text("edit", "No.") == [(TEXT, "Well. "), (TEXT, "No.")]


def test_edit_of_a_calls_arguments_must_leave_them_json() -> None:
    case = Case(
        [PartStarted(0, 0, CALL, "c", "pay"), Delta(0, 0, '{"to":"')],
        held(offset=7),
        [Delta(0, 0, 'ada"}'), *rest(reason=Reason.TOOL_CALLS)],
    )
    assert case.text("edit", 'nobody"}') == [(CALL, '{"to":"nobody"}')]
    assert case.outcome("edit", 'nobody"}')[0][-3] == ChoiceDone(0, Reason.TOOL_CALLS)
    found = case.decide("edit", "nobody")
    assert isinstance(found, Refusal)
    assert found.code == "invalid_request"


def test_edit_finishes_calls_that_had_begun_as_they_were() -> None:
    """Their arguments interleave: one that is in the log in half would be no JSON."""
    case = Case(
        [PartStarted(0, 0, CALL, "a", "pay"), Delta(0, 0, '{"n":'), PartStarted(0, 1, TEXT), Delta(0, 1, "Ada ")],
        held(part=1),
        [Delta(0, 1, "earns 5."), Delta(0, 0, "1}"), PartDone(0, 0), *rest(0, 1, Reason.TOOL_CALLS)],
    )
    assert case.text("edit", "works.") == [(CALL, '{"n":1}'), (TEXT, "Ada works.")]
    assert ChoiceDone(0, Reason.TOOL_CALLS) in case.outcome("edit", "works.")[0]


def test_only_the_held_choice_of_two_is_edited_and_the_other_goes_its_way() -> None:
    case = Case(
        [PartStarted(0, 0, TEXT), Delta(0, 0, "Ada "), PartStarted(1, 0, TEXT), Delta(1, 0, "One"), *rest(1)],
        held(),
        [Delta(0, 0, "earns 5."), *rest()],
        choices=2,
    )
    assert case.text("edit", "works.") == [(TEXT, "Ada works.")]
    assert case.text("edit", "works.", choice=1) == [(TEXT, "One")]
    assert case.text("reject", choice=1) == [(TEXT, "One")]


def test_what_is_held_of_another_choice_goes_out_with_an_edit_and_its_end_counts() -> None:
    case = Case(
        [PartStarted(0, 0, TEXT), Delta(0, 0, "Ada "), PartStarted(1, 0, TEXT)],
        held(),
        [Delta(0, 0, "earns 5."), Delta(1, 0, "Two"), *rest(1, 0, Reason.LENGTH), *rest()],
        choices=2,
        status=Status.TRUNCATED,
    )
    assert case.text("edit", "works.", choice=1) == [(TEXT, "Two")]
    assert case.outcome("edit", "works.")[1] == Ending(Status.TRUNCATED)


def test_answer_that_is_out_already_can_be_approved_or_rejected_but_not_edited() -> None:
    case = Case([PartStarted(0, 0, TEXT), Delta(0, 0, "Ada earns 5."), *rest()], held(-1, -1, 0), [])
    assert case.outcome("approve")[1] == Ending(Status.COMPLETED)
    assert case.outcome("reject")[1] == Ending(Status.BLOCKED, REJECTED)
    found = case.decide("edit", "x")
    assert isinstance(found, Refusal)
    assert found.code == "review_conflict"


SHOWN: Final = Case(
    [
        PartStarted(0, 0, REASONING),
        Delta(0, 0, "Hm"),
        PartDone(0, 0),
        PartStarted(0, 1, TEXT),
        Delta(0, 1, "Ada "),
        Delta(0, 1, "earns 5."),
        PartStarted(0, 2, TEXT),
        Delta(0, 2, "More."),
    ],
    held(part=1),
    [],
    closing=[PartDone(0, 1), PartDone(0, 2), ChoiceDone(0, Reason.STOP, "stop"), *ENDING],
    retractions=[Retracted(0, 1, 4, 0, "salary"), Retracted(0, 2, 0, 0, "salary")],
)
"""A log that may retract: what is held is in it already."""


def test_rejection_takes_back_what_was_shown() -> None:
    assert SHOWN.text("reject") == [(REASONING, "Hm"), (TEXT, "Ada "), (TEXT, "")]


def test_edit_puts_its_text_in_place_of_what_is_taken_back() -> None:
    assert SHOWN.text("edit", "works.") == [(REASONING, "Hm"), (TEXT, "Ada works."), (TEXT, "")]
    assert Retracted(0, 1, 4, 0, "salary", "works.") in SHOWN.outcome("edit", "works.")[0]


def test_approval_takes_nothing_back() -> None:
    assert SHOWN.text("approve") == [(REASONING, "Hm"), (TEXT, "Ada earns 5."), (TEXT, "More.")]


def test_answer_held_as_a_whole_is_edited_in_its_last_text() -> None:
    case = Case(SHOWN.log[2:-1], held(-1, -1, 0), [], closing=SHOWN.held.closing, retractions=SHOWN.held.retractions)
    assert case.text("edit", "Enough.") == [(REASONING, "Hm"), (TEXT, "Ada earns 5."), (TEXT, "Enough.")]


def test_part_that_is_done_is_not_taken_back() -> None:
    """Nobody could: so the log is at least marked as blocked."""
    case = Case(
        [PartStarted(0, 0, TEXT), Delta(0, 0, "Ada"), PartDone(0, 0)],
        held(),
        [],
        closing=[ChoiceDone(0, Reason.STOP), *ENDING],
        retractions=[Retracted(0, 0, 0, 0, "salary")],
    )
    assert case.text("reject") == [(TEXT, "Ada")]
    assert case.text("edit", "Eve") == [(TEXT, "Ada"), (TEXT, "Eve")]


def test_reviewer_sees_the_withheld_text_part_by_part() -> None:
    case = Case(
        [PartStarted(0, 0, TEXT), Delta(0, 0, "Ada ")],
        held(),
        [Delta(0, 0, "earns "), Delta(0, 0, "5."), PartDone(0, 0), PartStarted(0, 1, CALL, "c", "pay"), *rest(0, 1)],
    )
    assert [(part.part, part.kind, part.tool_name, part.text) for part in withheld_parts(case.held)] == [
        (0, TEXT, "", "earns 5."),
        (1, CALL, "pay", ""),
    ]


# any answer, held anywhere


def _answer(kinds: list[tuple[int, PartKind]], choices: int) -> list[AnyEvent]:
    """An answer of these parts, ``(choice, kind)`` each, calls open until the choice ends as in Chat Completions."""
    events: list[AnyEvent] = []
    counts = dict.fromkeys(range(choices), 0)
    calls: list[tuple[int, int]] = []
    for choice, kind in kinds:
        number = counts[choice]
        counts[choice] += 1
        events += [PartStarted(choice, number, kind), Delta(choice, number, "[1"), Delta(choice, number, ",2]")]
        if kind is CALL:
            calls.append((choice, number))
        else:
            events.append(PartDone(choice, number))
    for choice in range(choices):
        events += [PartDone(*call) for call in calls if call[0] == choice]
        events.append(ChoiceDone(choice, Reason.STOP))
    return events


@given(
    st.integers(1, 3).flatmap(
        lambda choices: st.tuples(
            st.just(choices),
            st.lists(
                st.tuples(st.integers(0, choices - 1), st.sampled_from([TEXT, REASONING, CALL, PartKind.REFUSAL]))
            ),
        )
    ),
    st.data(),
)
def test_every_decision_is_legal_wherever_an_answer_is_held(
    shape: tuple[int, list[tuple[int, PartKind]]], data: st.DataObject
) -> None:
    choices, kinds = shape
    events = _answer(kinds, choices)
    cut = data.draw(st.integers(0, len(events) - 1))
    at = events[cut]
    choice, part = getattr(at, "choice", 0), getattr(at, "part", 0)
    withheld = [event for event in events[cut:] if getattr(event, "choice", -1) == choice]
    shown = [*events[:cut], *(event for event in events[cut:] if event not in withheld)]
    case = Case(shown, held(choice, part), withheld, choices=choices)
    assert case.outcome("approve")[1].status is Status.COMPLETED
    assert case.outcome("reject")[1].status is Status.BLOCKED
    target = next((shown_ for shown_ in case.held.shown if (shown_.choice, shown_.part) == (choice, part)), None)
    is_call = target is not None and target.kind is CALL
    text = {"": "[7]", "[1": ",7]", "[1,2]": " "}[target.text] if is_call and target is not None else "seven"
    assert case.outcome("edit", text)[1].status in (Status.COMPLETED, Status.REFUSED)
