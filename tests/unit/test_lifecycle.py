"""The table of what may follow what, every cell of it."""

from __future__ import annotations

from typing import Final

import pytest

from headgate.errors import LifecycleError
from headgate.events import (
    AnyEvent,
    AttemptDescribed,
    AttemptEnded,
    AttemptStarted,
    ChoiceDone,
    Delta,
    Extra,
    Governance,
    Held,
    Opaque,
    PartDone,
    PartKind,
    PartStarted,
    Reason,
    Released,
    ResponseStarted,
    Retracted,
    Seam,
    Status,
    Terminal,
    Usage,
)
from headgate.lifecycle import Lifecycle, terminal_status

STARTED: Final = ResponseStarted("resp_" + "0" * 32, "app", "openai-chat", "m", 1, choices=2, may_retract=True)
ATTEMPT: Final = AttemptStarted(1, "p", "openai-chat", "m")
ENDED: Final = AttemptEnded(1, "ok")
PART: Final = PartStarted(0, 0, PartKind.TEXT)
DELTA: Final = Delta(0, 0, "a")
PART_DONE: Final = PartDone(0, 0)
RETRACTED: Final = Retracted(0, 0, 0, 4, "rule")
CHOICE_DONE: Final = ChoiceDone(0, Reason.STOP)
OPAQUE: Final = Opaque(0, Extra(response={"a": 1}))
SECOND: Final[list[AnyEvent]] = [PartStarted(1, 0, PartKind.TEXT), PartDone(1, 0), ChoiceDone(1, Reason.STOP)]
ANYWHERE: Final[list[AnyEvent]] = [
    Usage(1, 1),
    Governance(0, 0, "rule", "flag", 0, 1),
    Held(0, 0, 0, "review"),
    Released(1),
    Seam(1, 2, "restart"),
]

EMPTY: Final[list[AnyEvent]] = []
REQUESTED: Final[list[AnyEvent]] = [STARTED]
OPEN_ATTEMPT: Final[list[AnyEvent]] = [STARTED, ATTEMPT]
OPEN_PART: Final[list[AnyEvent]] = [*OPEN_ATTEMPT, PART]
DONE_PART: Final[list[AnyEvent]] = [*OPEN_PART, PART_DONE]
DONE_CHOICE: Final[list[AnyEvent]] = [*DONE_PART, CHOICE_DONE]
ALL_DONE: Final[list[AnyEvent]] = [*DONE_CHOICE, *SECOND]
BETWEEN: Final[list[AnyEvent]] = [*ALL_DONE, ENDED]
CUT: Final[list[AnyEvent]] = [*OPEN_PART, ENDED]
OVER: Final[list[AnyEvent]] = [*BETWEEN, Terminal(Status.COMPLETED)]

STATES: Final[dict[str, list[AnyEvent]]] = {
    "empty": EMPTY,
    "requested": REQUESTED,
    "open attempt": OPEN_ATTEMPT,
    "open part": OPEN_PART,
    "done part": DONE_PART,
    "done choice": DONE_CHOICE,
    "all done": ALL_DONE,
    "between attempts": BETWEEN,
    "cut": CUT,
    "over": OVER,
}
LEGAL: Final[dict[str, tuple[AnyEvent, str]]] = {
    "response.started": (STARTED, "empty"),
    "attempt.started": (ATTEMPT, "requested"),
    "second attempt.started": (AttemptStarted(2, "p", "openai-chat", "m"), "between attempts, cut"),
    "attempt.described": (AttemptDescribed(1), "open attempt, open part, done part, done choice, all done"),
    "attempt.ended": (ENDED, "open attempt, open part, done part, done choice, all done"),
    "part.started": (PART, "open attempt"),
    "next part.started": (PartStarted(0, 1, PartKind.TEXT), "open part, done part, cut"),
    "delta": (DELTA, "open part, cut"),
    "part.done": (PART_DONE, "open part, cut"),
    "retracted": (RETRACTED, "open part, cut"),
    "choice.done": (CHOICE_DONE, "open attempt, done part"),
    "opaque": (
        OPAQUE,
        "open attempt, open part, done part, done choice, all done, between attempts, cut",
    ),
    "completed": (Terminal(Status.COMPLETED), "between attempts"),
    "refused": (Terminal(Status.REFUSED), "between attempts"),
    "filtered": (Terminal(Status.FILTERED), "between attempts"),
    "truncated": (Terminal(Status.TRUNCATED), "requested, between attempts, cut"),
    "blocked": (Terminal(Status.BLOCKED), "requested, between attempts, cut"),
    "failed": (Terminal(Status.FAILED), "requested, between attempts, cut"),
    "cancelled": (Terminal(Status.CANCELLED), "requested, between attempts, cut"),
    "expired": (Terminal(Status.EXPIRED), "requested, between attempts, cut"),
}


def log(events: list[AnyEvent]) -> Lifecycle:
    lifecycle = Lifecycle()
    for event in events:
        lifecycle.feed(event)
    return lifecycle


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", LEGAL)
def test_event_is_legal_exactly_where_the_table_says(name: str, state: str) -> None:
    event, states = LEGAL[name]
    lifecycle = log(STATES[state])
    if state in states.split(", "):
        lifecycle.feed(event)
    else:
        with pytest.raises(LifecycleError):
            lifecycle.feed(event)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", ANYWHERE, ids=lambda event: event.name)
def test_facts_beside_the_text_are_legal_between_start_and_terminal(event: AnyEvent, state: str) -> None:
    lifecycle = log(STATES[state])
    if state in ("empty", "over"):
        with pytest.raises(LifecycleError):
            lifecycle.feed(event)
    else:
        lifecycle.feed(event)


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (OPEN_ATTEMPT, PartStarted(0, 1, PartKind.TEXT)),
        (OPEN_PART, PART),
        (OPEN_PART, PartStarted(0, 2, PartKind.TEXT)),
        (OPEN_ATTEMPT, PartStarted(2, 0, PartKind.TEXT)),
        (OPEN_ATTEMPT, PartStarted(-1, 0, PartKind.TEXT)),
        (OPEN_PART, Delta(0, 1, "a")),
        (OPEN_PART, Delta(1, 0, "a")),
        (OPEN_ATTEMPT, AttemptEnded(2, "ok")),
        (OPEN_ATTEMPT, AttemptDescribed(2)),
        (BETWEEN, AttemptStarted(1, "p", "openai-chat", "m")),
        (BETWEEN, AttemptStarted(3, "p", "openai-chat", "m")),
        ([*DONE_CHOICE, ENDED], Terminal(Status.COMPLETED)),
        (REQUESTED, Terminal(Status.COMPLETED)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_numbers_must_be_those_that_come_next(state: list[AnyEvent], event: AnyEvent) -> None:
    lifecycle = log(state)
    with pytest.raises(LifecycleError):
        lifecycle.feed(event)


def test_log_that_may_not_retract_does_not() -> None:
    started = ResponseStarted("resp_" + "0" * 32, "app", "openai-chat", "m", 1)
    lifecycle = log([started, ATTEMPT, PART, DELTA])
    with pytest.raises(LifecycleError):
        lifecycle.feed(RETRACTED)


def test_open_attempt_and_terminal_are_told() -> None:
    assert log(REQUESTED).open_attempt == 0
    assert log(OPEN_ATTEMPT).open_attempt == 1
    assert log(BETWEEN).open_attempt == 0
    assert log(OVER).terminal == Terminal(Status.COMPLETED)


@pytest.mark.parametrize(
    ("reasons", "status"),
    [
        ([], Status.COMPLETED),
        ([Reason.STOP, Reason.TOOL_CALLS], Status.COMPLETED),
        ([Reason.LENGTH, Reason.STOP], Status.TRUNCATED),
        ([Reason.LENGTH, Reason.REFUSAL], Status.REFUSED),
        ([Reason.CONTENT_FILTER, Reason.REFUSAL, Reason.LENGTH], Status.FILTERED),
    ],
)
def test_worst_choice_decides_how_a_log_ends(reasons: list[Reason], status: Status) -> None:
    assert terminal_status(reasons) is status
