"""One review of a held response: what it holds, and who may do what to it when. Pure: the time is handed in.

    pending --claim--> claimed --release, or claim_s later--> pending
    pending, claimed --approve | edit | reject--> decided for good
    pending, claimed --deadline--> timed_out
    any of these --the response ended otherwise, before the decision was in its log--> void

What a decision does to the log is in `headgate.governance.people.decision`; where reviews are kept is not known here.
Invariant: a review is decided once, by whoever has claimed it if anybody has, and never after its deadline.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from headgate import policies
from headgate.assemble import Fold
from headgate.events import AnyEvent, ChoiceDone, Held, PartKind, Retracted, Status, Verdict
from headgate.positions import Place

COMMENT_CHARS_MAX: Final = 4_000
"""Of one comment: a page. One given with a decision stands in the log, which every reader is sent."""
COMMENTS_MAX: Final = 100
"""Of one review: every one of them writes the review anew."""
EDIT_CHARS_MAX: Final = 1_000_000
"""Of a reviewer's text: beyond what any model answers."""
RISKS: Final = ("low", "medium", "high")
"""In order of rank."""
TIMEOUT: Final = "timeout"
"""The reviewer of what nobody reviewed."""


class State(StrEnum):
    """Where a review stands."""

    PENDING = "pending"
    CLAIMED = "claimed"
    APPROVED = "approved"
    EDITED = "edited"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"
    VOID = "void"
    """The response ended without it: it was cancelled, or its log is gone."""


OPEN: Final = frozenset({State.PENDING, State.CLAIMED})
"""States in which it still waits for a decision."""


class Act(StrEnum):
    """What a reviewer decides."""

    APPROVE = "approve"
    EDIT = "edit"
    REJECT = "reject"


DECIDED_AS: Final = {Act.APPROVE: State.APPROVED, Act.EDIT: State.EDITED, Act.REJECT: State.REJECTED}


class _Stored(msgspec.Struct, frozen=True, omit_defaults=True):
    """Kept in the store as an object: fields are only ever added, with a default."""


class Claim(_Stored, frozen=True, kw_only=True):
    by: str
    until: float
    """Unix time, seconds, as all times here."""


class Comment(_Stored, frozen=True, kw_only=True):
    by: str
    at: float
    text: str


class Decision(_Stored, frozen=True, kw_only=True):
    """What was decided. After a crash the log is ended by it."""

    decision: str
    """As `events.Reviewed.decision`: an `Act`, or ``timeout``."""
    by: str
    at: float
    comment: str = ""
    text: str = ""
    """Of an edit: what stands in place of the held text."""


class Terms(_Stored, frozen=True, kw_only=True):
    """What the policy says of a review, with its times worked out."""

    deadline: float
    on_timeout: str = "reject"
    claim_s: float = 900.0
    escalate_risk: bool = False
    """Its risk alone is reason to tell the webhook."""
    escalate_at: float | None = None


class PartShown(_Stored, frozen=True, kw_only=True):
    """A part as far as it is in the log: what the reviewer sees before the held text."""

    choice: int
    part: int
    kind: PartKind
    text: str
    tool_name: str = ""
    done: bool = False


class HeldResponse(_Stored, frozen=True, kw_only=True):
    """Everything a review has to know, the held text included: as confidential as the log itself."""

    id: str
    response_id: str
    owner: str
    model: str
    policy: str
    policy_version: str = ""
    risk: str
    created_at: float
    terms: Terms
    held: Held
    """Choice and part are -1 where the final gate holds the answer as a whole."""
    shown: tuple[PartShown, ...] = ()
    choices_done: tuple[ChoiceDone, ...] = ()
    """Those that are in the log."""
    attempt: int = 0
    """Number of the attempt that is open in the log; 0 for none."""
    withheld: tuple[AnyEvent, ...] = ()
    """Governed events behind the hold, in order, none of them in the log."""
    closing: tuple[AnyEvent, ...] = ()
    """What ends the answer after them: ``part.done``, ``choice.done``, ``usage``, ``attempt.ended`` and the like."""
    retractions: tuple[Retracted, ...] = ()
    """In a log that may retract: what takes back the text that a rejection must not leave there. `from_seq` is 0: whoever
    appends them knows it (`positions`)."""
    verdicts: tuple[Verdict, ...] = ()
    """Of the final gate, for the reviewer to see."""
    status: Status = Status.COMPLETED
    """The terminal's, if it is approved."""
    claim: Claim | None = None
    comments: tuple[Comment, ...] = ()
    escalated: tuple[str, ...] = ()
    """Reasons for which the webhook was told."""
    decision: Decision | None = None


class Review(NamedTuple):
    state: State
    held: HeldResponse


class Refusal(NamedTuple):
    """Why something cannot be done: an error code, and a sentence for people."""

    code: str
    message: str


def terms(settings: policies.Review, *, risk: str, now: float) -> Terms:
    """The times of a review that is opened now."""
    after = settings.escalate_after_s
    return Terms(
        deadline=now + settings.timeout_s,
        on_timeout=settings.on_timeout,
        claim_s=settings.claim_s,
        escalate_risk=rank(risk) >= rank(settings.escalate_risk),
        escalate_at=None if after is None else now + after,
    )


def rank(risk: str) -> int:
    """Of a risk level, from 0 for low; a word nobody knows ranks highest (law 5)."""
    return RISKS.index(risk) if risk in RISKS else len(RISKS) - 1


def held_response(
    fold: Fold,
    held: Held,
    *,
    settings: policies.Review,
    risk: str,
    now: float,
    status: Status = Status.COMPLETED,
    unverified: Sequence[Place] = (),
) -> HeldResponse:
    """The review of a log that says `fold`, without what is withheld: add that with ``msgspec.structs.replace``.

    `unverified` is of a log that may retract: where the text begins, part by part, that a rejection takes back.
    """
    started = fold.started
    assert started is not None, "a log begins with response.started"
    attempt = fold.attempts[-1].attempt if fold.attempts else 0
    return HeldResponse(
        id=held.review,
        response_id=started.id,
        owner=started.owner,
        model=started.model,
        policy=started.policy,
        policy_version=started.policy_version,
        risk=risk,
        created_at=now,
        terms=terms(settings, risk=risk, now=now),
        held=held,
        shown=_shown(fold),
        choices_done=tuple(folded.done for _, folded in sorted(fold.choices.items()) if folded.done is not None),
        attempt=0 if attempt in fold.ended else attempt,
        retractions=_retractions(fold, unverified, held.reason),
        status=status,
    )


def _shown(fold: Fold) -> tuple[PartShown, ...]:
    return tuple(
        PartShown(
            choice=choice, part=number, kind=part.kind, text=part.text, tool_name=part.started.tool_name, done=part.done
        )
        for choice, folded in sorted(fold.choices.items())
        for number, part in enumerate(folded.parts)
    )


def _retractions(fold: Fold, unverified: Sequence[Place], reason: str) -> tuple[Retracted, ...]:
    """Of what can be taken back, and where there is something to take."""
    return tuple(
        Retracted(choice, number, offset, 0, reason)
        for choice, number, offset in sorted(unverified)
        if not (part := fold.choices[choice].parts[number]).done and len(part.text) > offset
    )


def claim(review: Review, by: str, now: float) -> Review | Refusal:
    """Make it this reviewer's for ``claim_s``; again to go on having it."""
    refusal = _refused(review, by, now)
    if refusal is not None:
        return refusal
    until = now + review.held.terms.claim_s
    return Review(State.CLAIMED, msgspec.structs.replace(review.held, claim=Claim(by=by, until=until)))


def release(review: Review, by: str, now: float) -> Review | Refusal:
    """Give a claim back."""
    refusal = _refused(review, by, now)
    if refusal is not None:
        return refusal
    if _claim(review, now) is None:
        return Refusal("review_conflict", "You have not claimed this review, or no longer.")
    return _unclaimed(review)


def comment(review: Review, by: str, text: str, now: float) -> Review | Refusal:
    """Say something about it; whoever has claimed it."""
    if review.state not in OPEN:
        return _decided(review)
    if not text.strip():
        return Refusal("invalid_request", "A comment must say something.")
    if len(review.held.comments) >= COMMENTS_MAX:
        return Refusal("invalid_request", f"The review has {COMMENTS_MAX} comments, and takes no more.")
    refusal = _too_long("comment", text, COMMENT_CHARS_MAX)
    if refusal is not None:
        return refusal
    comments = (*review.held.comments, Comment(by=by, at=now, text=text))
    return Review(review.state, msgspec.structs.replace(review.held, comments=comments))


def decide(
    review: Review, act: Act, by: str, now: float, *, comment: str = "", text: str | None = None
) -> Review | Refusal:
    """Decide it. `text` is the edit's. Whether the log can take an edit is for `decision.decide_log` to say."""
    refusal = _refused(review, by, now) or _too_long("comment", comment, COMMENT_CHARS_MAX)
    if act is Act.EDIT:
        refusal = refusal or _edit_refused(text)
    if refusal is not None:
        return refusal
    made = Decision(decision=act, by=by, at=now, comment=comment, text=text or "")
    return Review(DECIDED_AS[act], msgspec.structs.replace(review.held, decision=made))


def elapse(review: Review, now: float) -> Review:
    """What time alone makes of it: the deadline decides it, a claim that ran out is nobody's."""
    if review.state not in OPEN:
        return review
    if now >= review.held.terms.deadline:
        made = Decision(decision=TIMEOUT, by=TIMEOUT, at=now)
        return Review(State.TIMED_OUT, msgspec.structs.replace(review.held, decision=made, claim=None))
    if review.state is State.CLAIMED and _claim(review, now) is None:
        return _unclaimed(review)
    return review


def void(review: Review) -> Review | Refusal:
    """The response ended without it."""
    if review.state is State.VOID:
        return _decided(review)
    return Review(State.VOID, msgspec.structs.replace(review.held, claim=None))


def escalations(review: Review, now: float) -> tuple[str, ...]:
    """Reasons to tell the webhook that it has not been told: ``risk`` at once, ``waiting`` after ``escalate_after_s``."""
    if review.state not in OPEN:
        return ()
    known = review.held.terms
    due = ["risk"] if known.escalate_risk else []
    if known.escalate_at is not None and now >= known.escalate_at:
        due.append("waiting")
    return tuple(reason for reason in due if reason not in review.held.escalated)


def escalated(review: Review, reasons: tuple[str, ...]) -> Review:
    """The webhook was told."""
    return Review(review.state, msgspec.structs.replace(review.held, escalated=(*review.held.escalated, *reasons)))


def next_due(review: Review) -> float:
    """When time will next make something of it."""
    held = review.held
    times = [held.terms.deadline]
    if held.claim is not None:
        times.append(held.claim.until)
    if held.terms.escalate_risk and "risk" not in held.escalated:
        times.append(held.created_at)
    if held.terms.escalate_at is not None and "waiting" not in held.escalated:
        times.append(held.terms.escalate_at)
    return min(times)


def _refused(review: Review, by: str, now: float) -> Refusal | None:
    """Why this reviewer may do nothing to it now."""
    if review.state not in OPEN:
        return _decided(review)
    if now >= review.held.terms.deadline:
        return Refusal("review_conflict", "The deadline of this review has passed.")
    known = _claim(review, now)
    if known is not None and known.by != by:
        return Refusal("review_conflict", f"The review is claimed by {known.by!r}.")
    return None


def _claim(review: Review, now: float) -> Claim | None:
    """The claim, while it lasts."""
    known = review.held.claim
    return known if review.state is State.CLAIMED and known is not None and now < known.until else None


def _unclaimed(review: Review) -> Review:
    return Review(State.PENDING, msgspec.structs.replace(review.held, claim=None))


def _decided(review: Review) -> Refusal:
    return Refusal("review_conflict", f"The review is not open any more: it is {review.state}.")


def _edit_refused(text: str | None) -> Refusal | None:
    if not text:
        return Refusal("invalid_request", "An edit needs a text; to let nothing pass, reject.")
    return _too_long("text", text, EDIT_CHARS_MAX)


def _too_long(what: str, text: str, chars_max: int) -> Refusal | None:
    if len(text) > chars_max:
        return Refusal("invalid_request", f"The {what} has {len(text)} characters; {chars_max} are the most.")
    return None
