"""Governed text on its way from the scanners: through the lane where there is one, else straight to the outlet.

Clear text gathers with the masks in it, so that one delta of the provider makes one delta; a match that holds or blocks
ends what has gathered, which goes out first. What has waited in the lane does not come back here.
Invariant: the text of a choice, and what stands beside it, leaves in the order in which it was given.
"""

from __future__ import annotations

from typing import Final

from headgate.events import AnyEvent, Extra, Governance
from headgate.governance.matching.json_text import JsonFound
from headgate.governance.matching.scanner import Found
from headgate.governance.ruleset import ActiveRule
from headgate.governance.stream.actions import Actions
from headgate.governance.stream.lane import Lane
from headgate.governance.stream.parts import Part, Run
from headgate.governance.stream.retracting import RetractingLane
from headgate.policies import Action

OVERLONG: Final = "overlong"
"""What the log calls a candidate for a match that outgrew every limit."""

Given = str | list[str | Found] | list[str | JsonFound]
"""What a scanner gives back."""


class Passage:
    """The passage of one response."""

    __slots__ = ("_actions", "_lane", "_outlet", "_rules")

    def __init__(self, rules: tuple[ActiveRule, ...], actions: Actions, lane: Lane | RetractingLane | None) -> None:
        """`rules` are those the scanners' matches are of."""
        self._rules = rules
        self._actions = actions
        self._outlet = actions.outlet
        self._lane = lane

    def send(self, choice: int, event: AnyEvent) -> None:
        """An event that is no text takes its place behind the text of its choice."""
        if self._lane is not None:
            self._lane.event(choice, event)
        else:
            self._outlet.send(choice, event)

    def give(self, part: Part, given: Given, extra: Extra | None) -> None:
        """Let governed text go its way: clear text, and what is done about matches. It may stop the response."""
        pieces = [given] if isinstance(given, str) else given
        at = part.scanner.decided - sum([len(p) if isinstance(p, str) else p.end - p.start for p in pieces])
        runs: list[Run] = []
        for piece in pieces:
            if isinstance(piece, str):
                self._run(part, runs, piece, at, at + len(piece))
                at += len(piece)
                continue
            rule, at = self._rules[piece.rule], piece.end
            if rule.action is Action.MASK:
                mask = self._actions.mask(rule, piece.text)
                spelled = piece.spelled(mask) if isinstance(piece, JsonFound) else mask
                record = self._actions.masked(part, rule, piece.start, piece.end, spelled)
                self._run(part, runs, spelled, piece.start, piece.end, record)
                continue
            self._flush(part, runs, extra)
            extra = None
            if rule.action is Action.BLOCK:
                self._actions.block(part, rule, piece.start, piece.end, gate="stream")
                return
            self._hold(part, rule, piece)
            raw = piece.raw if isinstance(piece, JsonFound) else piece.text
            self._run(part, runs, raw, piece.start, piece.end)
        self._flush(part, runs, extra)
        if part.scanner.overlong:
            self._actions.stop_at(part, OVERLONG, at, part.scanner.position, gate="stream", detail=OVERLONG)

    def _hold(self, part: Part, rule: ActiveRule, piece: Found | JsonFound) -> None:
        if self._lane is None:
            self._actions.hold(part, rule, piece.start, piece.end, gate="stream")
        else:
            self._lane.hold(part, rule, piece.start, piece.end)

    @staticmethod
    def _run(part: Part, runs: list[Run], text: str, start: int, end: int, record: Governance | None = None) -> None:
        runs.append(Run(part.governed, text, start, end, record is not None, record))
        part.governed += len(text)

    def _flush(self, part: Part, runs: list[Run], extra: Extra | None) -> None:
        """Send what has gathered: the records, then one delta."""
        if not runs and extra is None:
            return
        if self._lane is not None:
            self._lane.text(part, [*runs], extra)
        else:
            for run in runs:
                if run.record is not None:
                    self._outlet.send(part.choice, run.record)
            text = "".join([run.text for run in runs])
            if text or extra is not None:
                self._outlet.delta(part, text, extra)
        runs.clear()
