"""Who may do what to a review, when: every state against every act."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import pytest

from headgate import policies
from headgate.assemble import Fold
from headgate.events import (
    AnyEvent,
    AttemptEnded,
    AttemptStarted,
    ChoiceDone,
    Delta,
    Held,
    PartDone,
    PartKind,
    PartStarted,
    Reason,
    ResponseStarted,
    Retracted,
)
from headgate.governance.people import review
from headgate.governance.people.review import (
    COMMENT_CHARS_MAX,
    COMMENTS_MAX,
    DECIDED_AS,
    EDIT_CHARS_MAX,
    Act,
    Claim,
    HeldResponse,
    Refusal,
    Review,
    State,
    Terms,
)

NOW: Final = 1_780_000_000.0
DEADLINE: Final = NOW + 3600
HELD: Final = HeldResponse(
    id="rev_" + "0" * 32,
    response_id="resp_" + "0" * 32,
    owner="app",
    model="m",
    policy="default",
    risk="low",
    created_at=NOW,
    terms=Terms(deadline=DEADLINE, claim_s=60),
    held=Held(0, 0, 5, "salary", "rev_" + "0" * 32),
)
PENDING: Final = Review(State.PENDING, HELD)
MINE: Final = Review(State.CLAIMED, msgspec.structs.replace(HELD, claim=Claim(by="ada", until=NOW + 60)))
THEIRS: Final = Review(State.CLAIMED, msgspec.structs.replace(HELD, claim=Claim(by="bob", until=NOW + 60)))
RUN_OUT: Final = Review(State.CLAIMED, msgspec.structs.replace(HELD, claim=Claim(by="bob", until=NOW)))
FINAL: Final = [Review(state, HELD) for state in State if state not in review.OPEN]

ACTS: Final[dict[str, Callable[[Review, float], Review | Refusal]]] = {
    "claim": lambda known, now: review.claim(known, "ada", now),
    "release": lambda known, now: review.release(known, "ada", now),
    "comment": lambda known, now: review.comment(known, "ada", "hm", now),
    "approve": lambda known, now: review.decide(known, Act.APPROVE, "ada", now),
    "edit": lambda known, now: review.decide(known, Act.EDIT, "ada", now, text="Better."),
    "reject": lambda known, now: review.decide(known, Act.REJECT, "ada", now),
}
ALLOWED: Final = {
    #          pending           mine              theirs           theirs, run out
    "claim": (State.CLAIMED, State.CLAIMED, None, State.CLAIMED),
    "release": (None, State.PENDING, None, None),
    "comment": (State.PENDING, State.CLAIMED, State.CLAIMED, State.CLAIMED),
    "approve": (State.APPROVED, State.APPROVED, None, State.APPROVED),
    "edit": (State.EDITED, State.EDITED, None, State.EDITED),
    "reject": (State.REJECTED, State.REJECTED, None, State.REJECTED),
}
"""What ada's act makes of an open review; None: a conflict."""


def allowed(found: Review | Refusal) -> Review:
    assert isinstance(found, Review), found
    return found


def refused(found: Review | Refusal) -> str:
    assert isinstance(found, Refusal), found
    return found.code


@pytest.mark.parametrize("act", ACTS)
def test_open_review_allows_what_the_table_says(act: str) -> None:
    for known, state in zip((PENDING, MINE, THEIRS, RUN_OUT), ALLOWED[act], strict=True):
        found = ACTS[act](known, NOW)
        if state is None:
            assert refused(found) == "review_conflict", (act, known.state)
        else:
            assert allowed(found).state is state


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("known", FINAL, ids=lambda known: known.state)
def test_review_that_is_not_open_allows_nothing(act: str, known: Review) -> None:
    assert refused(ACTS[act](known, NOW)) == "review_conflict"


@pytest.mark.parametrize("act", set(ACTS) - {"comment"})
@pytest.mark.parametrize("known", [PENDING, MINE])
def test_nothing_is_decided_or_claimed_from_the_deadline_on(act: str, known: Review) -> None:
    assert refused(ACTS[act](known, DEADLINE)) == "review_conflict"


def test_claim_is_for_its_time_and_is_renewed_by_claiming_again() -> None:
    first = allowed(review.claim(PENDING, "ada", NOW))
    assert first.held.claim == Claim(by="ada", until=NOW + 60)
    assert refused(review.claim(first, "bob", NOW + 59)) == "review_conflict"
    again = allowed(review.claim(first, "ada", NOW + 59))
    assert again.held.claim == Claim(by="ada", until=NOW + 119)
    assert allowed(review.claim(again, "bob", NOW + 119)).held.claim == Claim(by="bob", until=NOW + 179)


@pytest.mark.parametrize("act", Act)
def test_decision_says_who_decided_what_and_when(act: Act) -> None:
    decided = allowed(review.decide(PENDING, act, "ada", NOW + 1, comment="why", text="Better."))
    assert decided.state is DECIDED_AS[act]
    assert decided.held.decision == review.Decision(decision=act, by="ada", at=NOW + 1, comment="why", text="Better.")


def test_deadline_decides_whatever_is_open_and_nothing_else() -> None:
    for known in (PENDING, MINE):
        assert review.elapse(known, DEADLINE - 1).state is not State.TIMED_OUT
        late = review.elapse(known, DEADLINE)
        assert late.state is State.TIMED_OUT
        assert late.held.decision == review.Decision(decision="timeout", by="timeout", at=DEADLINE)
        assert late.held.claim is None
    for known in FINAL:
        assert review.elapse(known, DEADLINE) is known


def test_claim_that_ran_out_is_nobodys() -> None:
    assert review.elapse(THEIRS, NOW + 59) is THEIRS
    assert review.elapse(THEIRS, NOW + 60) == PENDING


def test_review_of_a_response_that_ended_otherwise_is_void_once() -> None:
    for known in (PENDING, MINE, *FINAL):
        if known.state is State.VOID:
            assert refused(review.void(known)) == "review_conflict"
        else:
            assert allowed(review.void(known)).state is State.VOID


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (review.comment(PENDING, "ada", "x" * COMMENT_CHARS_MAX, NOW), ""),
        (review.comment(PENDING, "ada", "x" * (COMMENT_CHARS_MAX + 1), NOW), "invalid_request"),
        (review.comment(PENDING, "ada", " \n", NOW), "invalid_request"),
        (review.decide(PENDING, Act.REJECT, "ada", NOW, comment="x" * (COMMENT_CHARS_MAX + 1)), "invalid_request"),
        (review.decide(PENDING, Act.EDIT, "ada", NOW, text="x" * EDIT_CHARS_MAX), ""),
        (review.decide(PENDING, Act.EDIT, "ada", NOW, text="x" * (EDIT_CHARS_MAX + 1)), "invalid_request"),
        (review.decide(PENDING, Act.EDIT, "ada", NOW, text=""), "invalid_request"),
        (review.decide(PENDING, Act.EDIT, "ada", NOW), "invalid_request"),
    ],
)
def test_texts_have_limits(found: Review | Refusal, code: str) -> None:
    assert (found.code if isinstance(found, Refusal) else "") == code


def test_comments_are_kept_in_order_up_to_a_limit() -> None:
    known = PENDING
    for n in range(COMMENTS_MAX):
        known = allowed(review.comment(known, "ada", str(n), NOW + n))
    assert [said.text for said in known.held.comments] == [str(n) for n in range(COMMENTS_MAX)]
    assert refused(review.comment(known, "ada", "more", NOW)) == "invalid_request"


@pytest.mark.parametrize(
    ("risk", "escalate_risk", "at_once"),
    [
        ("low", "high", False),
        ("medium", "high", False),
        ("high", "high", True),
        ("medium", "low", True),
        ("?", "high", True),
    ],
)
def test_risk_is_escalated_at_once_from_the_policys_level_on(risk: str, escalate_risk: str, at_once: bool) -> None:
    settings = policies.Review.model_validate({"escalate_risk": escalate_risk})
    known = Review(State.PENDING, msgspec.structs.replace(HELD, terms=review.terms(settings, risk=risk, now=NOW)))
    assert review.escalations(known, NOW) == (("risk",) if at_once else ())


def test_waiting_is_escalated_once_and_only_while_the_review_is_open() -> None:
    settings = policies.Review.model_validate({"escalate_after_s": 100.0, "timeout_s": 1000.0})
    held = msgspec.structs.replace(HELD, terms=review.terms(settings, risk="high", now=NOW))
    known = Review(State.PENDING, held)
    assert review.escalations(known, NOW + 99) == ("risk",)
    assert review.next_due(known) == NOW
    known = review.escalated(known, ("risk",))
    assert review.next_due(known) == NOW + 100
    assert review.escalations(known, NOW + 100) == ("waiting",)
    known = review.escalated(known, ("waiting",))
    assert review.escalations(known, NOW + 999) == ()
    assert review.next_due(known) == NOW + 1000
    assert review.escalations(Review(State.APPROVED, held), NOW + 999) == ()


def test_next_due_is_the_end_of_a_claim_where_that_comes_first() -> None:
    assert (review.next_due(PENDING), review.next_due(MINE)) == (DEADLINE, NOW + 60)


def test_held_response_shows_what_the_log_says() -> None:
    fold = Fold()
    log: list[AnyEvent] = [
        ResponseStarted("resp_1", "app", "openai-chat", "m", 0, choices=2, policy="careful", policy_version="v1"),
        AttemptStarted(1, "p", "openai-chat", "m"),
        PartStarted(0, 0, PartKind.TEXT),
        Delta(0, 0, "Hel"),
        PartStarted(1, 0, PartKind.TOOL_CALL, "call_1", "find"),
        PartDone(1, 0),
        ChoiceDone(1, Reason.TOOL_CALLS),
        Held(0, 0, 3, "salary", "rev_1"),
    ]
    for seq, event in enumerate(log, 1):
        fold.feed(seq, event)
    settings = policies.Review(timeout_s=10.0, on_timeout="approve")
    held = review.held_response(fold, Held(0, 0, 3, "salary", "rev_1"), settings=settings, risk="medium", now=NOW)
    assert (held.id, held.response_id, held.owner, held.policy, held.policy_version) == (
        "rev_1",
        "resp_1",
        "app",
        "careful",
        "v1",
    )
    assert [(part.choice, part.part, part.kind, part.text, part.tool_name, part.done) for part in held.shown] == [
        (0, 0, PartKind.TEXT, "Hel", "", False),
        (1, 0, PartKind.TOOL_CALL, "", "find", True),
    ]
    assert held.choices_done == (ChoiceDone(1, Reason.TOOL_CALLS),)
    assert (held.attempt, held.terms.deadline, held.terms.on_timeout) == (1, NOW + 10, "approve")
    places = [(1, 0, 0), (0, 0, 1)]
    nothing = review.held_response(fold, held.held, settings=settings, risk="low", now=NOW, unverified=[(0, 0, 3)])
    assert nothing.retractions == ()
    back = review.held_response(fold, held.held, settings=settings, risk="low", now=NOW, unverified=places).retractions
    assert back == (Retracted(0, 0, 1, 0, "salary"),), "of what is done nothing can be taken back"
    fold.feed(9, AttemptEnded(1, "ok", 200))
    assert review.held_response(fold, held.held, settings=settings, risk="low", now=NOW).attempt == 0
