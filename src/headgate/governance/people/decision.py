"""What the decision of a review does to the log: the events that follow, and what the log comes to. Pure.

    approve   reviewed, what was withheld, what closes the answer
    edit      reviewed, the reviewer's text for the rest of the held part, what closes the answer
    reject    reviewed, retractions where text is in the log already, usage, the end of the attempt

The terminal is not among them: it needs the digest of the log with these events in it. Whoever has the log appends it
behind them without awaiting anything in between, so that both are in one commit and no crash can come between them.

Invariant: the events are legal where the log of `HeldResponse` stands (`headgate.lifecycle`), and of an edit or a
rejection nothing that was withheld of the held choice is among them, but for the rest of tool calls whose beginning
is in the log.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from headgate.endings import Ending
from headgate.errors import Failure
from headgate.events import (
    AnyEvent,
    AttemptEnded,
    ChoiceDone,
    Delta,
    PartDone,
    PartKind,
    PartStarted,
    Reason,
    Retracted,
    Reviewed,
    Status,
    Usage,
    Verdict,
)
from headgate.governance.people.review import TIMEOUT, Act, Decision, HeldResponse, PartShown, Refusal
from headgate.lifecycle import terminal_status

REJECTED: Final = Failure("review_rejected", "A reviewer refused what was held.")
NOBODY_DECIDED: Final = Failure("review_rejected", "Nobody decided in time about what was held.")

_TEXTLESS: Final = (Usage, AttemptEnded, Verdict)
"""What is said of an answer that is rejected all the same."""
_CONTINUED: Final = frozenset({PartKind.TEXT, PartKind.REFUSAL})
"""Kinds of part that a reviewer's text may go on with; after reasoning it begins a part of its own."""


class Outcome(NamedTuple):
    """What to append before the terminal, and what the terminal says."""

    events: list[AnyEvent]
    ending: Ending


def decision_events(held: HeldResponse, decision: Decision) -> Outcome | Refusal:
    """What this decision does to the log. A refusal (`review_conflict`, `invalid_request`) only of an edit."""
    said = Reviewed(held.id, decision.decision, decision.by, int(decision.at), decision.comment)
    act = held.terms.on_timeout if decision.decision == TIMEOUT else decision.decision
    if act == Act.APPROVE:
        return _outcome(held, [said, *held.withheld, *held.closing], Ending(held.status))
    if act == Act.EDIT:
        return _edit(held, said, decision.text)
    kept = [event for event in (*held.withheld, *held.closing) if isinstance(event, _TEXTLESS)]
    failure = NOBODY_DECIDED if decision.decision == TIMEOUT else REJECTED
    return _outcome(held, [said, *_retractions(held), *kept], Ending(Status.BLOCKED, failure))


def withheld_parts(held: HeldResponse) -> list[PartShown]:
    """The text that is withheld, part by part: what the reviewer decides about."""
    kinds = {(part.choice, part.part): (part.kind, part.tool_name) for part in held.shown}
    texts: dict[tuple[int, int], list[str]] = {}
    for event in (*held.withheld, *held.closing):
        if isinstance(event, PartStarted):
            kinds[event.choice, event.part] = (event.kind, event.tool_name)
            texts.setdefault((event.choice, event.part), [])
        elif isinstance(event, Delta):
            texts.setdefault((event.choice, event.part), []).append(event.text)
    return [
        PartShown(choice=at[0], part=at[1], kind=kinds[at][0], tool_name=kinds[at][1], text="".join(pieces))
        for at, pieces in sorted(texts.items())
    ]


def _outcome(held: HeldResponse, events: list[AnyEvent], ending: Ending) -> Outcome:
    """A terminal is legal only after the end of the attempt."""
    if held.attempt and not any(isinstance(event, AttemptEnded) for event in events):
        events.append(AttemptEnded(held.attempt, "ok"))
    return Outcome(events, ending)


def _retractions(held: HeldResponse) -> list[Retracted]:
    """Those that are legal: of a part that is done nothing can be taken back."""
    still_open = {(part.choice, part.part) for part in held.shown if not part.done}
    return [retraction for retraction in held.retractions if (retraction.choice, retraction.part) in still_open]


def _edit(held: HeldResponse, said: Reviewed, text: str) -> Outcome | Refusal:
    choice = max(held.held.choice, 0)  # the final gate may hold the answer as a whole: the first choice is meant then
    if any(done.choice == choice for done in held.choices_done):
        return Refusal("review_conflict", "All of the text is in the log already: it can be approved or rejected.")
    edit = _Edit(held, choice)
    refusal = edit.write(text)
    if refusal is not None:
        return refusal
    done = edit.close()
    others = [event for event in (*held.withheld, *held.closing) if getattr(event, "choice", -1) != choice]
    reasons = [event.reason for event in (*held.choices_done, *others) if isinstance(event, ChoiceDone)]
    ending = Ending(terminal_status([*reasons, done.reason]))
    return _outcome(held, [said, *edit.events, *others], ending)


class _Edit:
    """The rest of one choice with a reviewer's text in it."""

    def __init__(self, held: HeldResponse, choice: int) -> None:
        self.events: list[AnyEvent] = []
        self._choice = choice
        self._withheld = [event for event in held.withheld + held.closing if getattr(event, "choice", -1) == choice]
        self._parts = {part.part: part for part in held.shown if part.choice == choice}
        self._retractions = {r.part: r for r in _retractions(held) if r.choice == choice}
        self._target = held.held.part if held.held.part >= 0 else self._last_text()
        self._open = {number for number, part in self._parts.items() if not part.done}
        self._refusal = False

    def write(self, text: str) -> Refusal | None:
        """Put the text where the held text would have gone."""
        part = self._parts.get(self._target)
        if part is not None and self._target in self._open and part.kind is PartKind.TOOL_CALL:
            self._take_back(self._target + 1)
            return self._write_arguments(part, text)
        if part is not None and self._target in self._open and part.kind in _CONTINUED:
            self._take_back(self._target + 1)
            self._refusal = part.kind is PartKind.REFUSAL
            self._put(text)
            return None
        self._take_back(self._target)
        self._close_texts()
        number = len(self._parts)
        kind = self._kind_withheld()
        self._refusal = kind is PartKind.REFUSAL
        self.events += [PartStarted(self._choice, number, kind), Delta(self._choice, number, text)]
        self._open.add(number)
        return None

    def close(self) -> ChoiceDone:
        """End every part, and the choice."""
        calls = {number for number, part in self._parts.items() if part.kind is PartKind.TOOL_CALL}
        self._finish_calls(calls & self._open - {self._target})
        for number in sorted(self._open):
            self.events.append(PartDone(self._choice, number))
        reason = Reason.REFUSAL if self._refusal else Reason.TOOL_CALLS if calls else Reason.STOP
        done = ChoiceDone(self._choice, reason)
        self.events.append(done)
        return done

    def _put(self, text: str) -> None:
        """Into the held part: instead of what is taken back, or behind what is there."""
        retraction = self._retractions.get(self._target)
        if retraction is not None:
            self.events.append(msgspec.structs.replace(retraction, replacement=text))
        else:
            self.events.append(Delta(self._choice, self._target, text))

    def _write_arguments(self, part: PartShown, text: str) -> Refusal | None:
        retraction = self._retractions.get(self._target)
        arguments = (part.text if retraction is None else part.text[: retraction.from_char]) + text
        try:
            msgspec.json.decode(arguments)
        except msgspec.DecodeError as error:
            message = f"What is held is a tool call: with this text its arguments are no JSON ({error})."
            return Refusal("invalid_request", message)
        self._put(text)
        return None

    def _take_back(self, first: int) -> None:
        """Text from this part on that is in the log. Calls stay: the reviewer saw them, and no log can unsay one."""
        for number, retraction in sorted(self._retractions.items()):
            if number >= first and self._parts[number].kind is not PartKind.TOOL_CALL:
                self.events.append(retraction)

    def _close_texts(self) -> None:
        for number in sorted(self._open):
            if self._parts[number].kind is not PartKind.TOOL_CALL:
                self.events.append(PartDone(self._choice, number))
                self._open.discard(number)

    def _finish_calls(self, calls: set[int]) -> None:
        """The rest of tool calls that have begun: half a call is worse than a whole one, which the reviewer saw."""
        for event in self._withheld:
            if isinstance(event, Delta | PartDone) and event.part in calls:
                self.events.append(event)
                if isinstance(event, PartDone):
                    self._open.discard(event.part)

    def _kind_withheld(self) -> PartKind:
        for event in self._withheld:
            if isinstance(event, PartStarted) and event.part == self._target and event.kind in _CONTINUED:
                return event.kind
        return PartKind.TEXT

    def _last_text(self) -> int:
        """Of an answer that is held as a whole."""
        return max((number for number, part in self._parts.items() if part.kind in _CONTINUED), default=-1)
