"""Legality, checked against a second opinion that looks at the whole history every time."""

from __future__ import annotations

from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.errors import LifecycleError
from headgate.events import (
    AnyEvent,
    AttemptDescribed,
    AttemptEnded,
    AttemptStarted,
    ChoiceDone,
    Delta,
    Extra,
    Opaque,
    PartDone,
    PartKind,
    PartStarted,
    Reason,
    Released,
    ResponseStarted,
    Retracted,
    Status,
    Terminal,
    Usage,
)
from headgate.lifecycle import Lifecycle
from tests.soak import share

TWO: Final = st.integers(0, 1)
STARTED: Final = st.builds(
    ResponseStarted,
    st.just("resp"),
    st.just("app"),
    st.just("openai-chat"),
    st.just("m"),
    st.just(1),
    choices=st.integers(1, 2),
    may_retract=st.booleans(),
)
BEGIN: Final = st.just(AttemptStarted(1, "p", "openai-chat", "m"))
PART: Final = st.builds(PartStarted, TWO, st.integers(0, 2), st.just(PartKind.TEXT))
ORDINARY: Final = st.one_of(
    PART,
    st.builds(Delta, TWO, TWO, st.just("a")),
    st.builds(PartDone, TWO, TWO),
    st.builds(ChoiceDone, TWO, st.sampled_from(Reason)),
    st.builds(Opaque, TWO, st.just(Extra(response={"a": 1}))),
    st.builds(Retracted, TWO, TWO, st.just(0), st.just(1), st.just("rule")),
    st.just(Usage(1, 1)),
    st.just(Released(1)),
)
RARE: Final = st.one_of(
    STARTED,
    st.builds(AttemptStarted, st.integers(1, 2), st.just("p"), st.just("openai-chat"), st.just("m")),
    st.builds(AttemptDescribed, st.integers(1, 2)),
    st.builds(AttemptEnded, st.integers(1, 2), st.just("ok")),
    st.builds(Terminal, st.sampled_from(Status)),
)
HISTORIES: Final = st.builds(
    lambda begin, rest, end: [*begin, *rest, *end],
    st.tuples(STARTED, BEGIN) | st.just(()),
    st.lists(ORDINARY | ORDINARY | RARE, max_size=25),
    st.tuples(st.just(AttemptEnded(1, "ok")), st.builds(Terminal, st.sampled_from(Status))),
)


def open_attempt(history: list[AnyEvent]) -> int:
    attempts = [e for e in history if isinstance(e, AttemptStarted | AttemptEnded)]
    return attempts[-1].attempt if attempts and isinstance(attempts[-1], AttemptStarted) else 0


def parts(history: list[AnyEvent], kind: type[PartStarted] | type[PartDone]) -> set[tuple[int, int]]:
    return {(event.choice, event.part) for event in history if isinstance(event, kind)}


def is_legal(history: list[AnyEvent], event: AnyEvent) -> bool:
    """PROTOCOL.md section 1, "Legality", sentence by sentence."""
    if not history or isinstance(event, ResponseStarted):
        return not history and isinstance(event, ResponseStarted)
    started = history[0]
    assert isinstance(started, ResponseStarted)
    if any(isinstance(e, Terminal) for e in history):
        return False
    attempts = [e.attempt for e in history if isinstance(e, AttemptStarted)]
    open_parts = parts(history, PartStarted) - parts(history, PartDone)
    done = {e.choice for e in history if isinstance(e, ChoiceDone)}
    if isinstance(event, PartStarted | Delta | PartDone | ChoiceDone | Opaque | Retracted) and (
        not attempts or event.choice >= started.choices or (event.choice in done and not isinstance(event, Opaque))
    ):
        return False
    match event:
        case AttemptStarted():
            return not open_attempt(history) and event.attempt == len(attempts) + 1
        case AttemptDescribed() | AttemptEnded():
            return event.attempt == open_attempt(history)
        case PartStarted():
            return event.part == sum(choice == event.choice for choice, _ in parts(history, PartStarted))
        case Delta() | PartDone():
            return (event.choice, event.part) in open_parts
        case Retracted():
            return started.may_retract and (event.choice, event.part) in open_parts
        case ChoiceDone():
            return all(choice != event.choice for choice, _ in open_parts)
        case Terminal():
            needs_all = event.status in (Status.COMPLETED, Status.REFUSED, Status.FILTERED)
            return not open_attempt(history) and not (needs_all and len(done) < started.choices)
        case _:
            return True


@settings(max_examples=share(30_000))
@given(HISTORIES)
def test_event_is_accepted_exactly_if_it_is_legal(events: list[AnyEvent]) -> None:
    lifecycle, accepted = Lifecycle(), list[AnyEvent]()
    for event in events:
        legal = is_legal(accepted, event)
        try:
            lifecycle.feed(event)
        except LifecycleError:
            assert not legal, event
        else:
            assert legal, event
            accepted.append(event)
    assert lifecycle.open_attempt == open_attempt(accepted)
    assert lifecycle.terminal == next((e for e in accepted if isinstance(e, Terminal)), None)
    again = Lifecycle()
    for event in accepted:  # what was refused has left nothing behind
        again.feed(event)
