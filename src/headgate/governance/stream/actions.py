"""What is done about matches and verdicts, for scanners and lanes alike: masks, holds, blocks, flags, and their record.

After a stop nothing more leaves: the text before the match did, then the record, then the watermarks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from headgate.events import AnyEvent, Extra, Governance, Verdict
from headgate.governance.masks import Masks
from headgate.governance.matching.scanner import scan
from headgate.governance.ruleset import ActiveRule, RuleGroup
from headgate.governance.stream.outlet import Outlet
from headgate.governance.stream.parts import FOLLOWS, Part
from headgate.policies import Action

LANE: Final = "lane"
"""What the log calls the gated lane where no rule of it is to blame."""


class Stop(NamedTuple):
    """Why nothing more leaves."""

    rule: str
    choice: int
    part: int
    start: int
    code: str
    """``policy_blocked`` or ``guard_failed``."""


class Actions:
    """The actions of one response."""

    def __init__(self, outlet: Outlet, masks: Masks, *, dry: bool, before_stop: Callable[[str], None]) -> None:
        self.stopped: Stop | None = None
        self.escalations: list[ActiveRule] = []
        self.outlet = outlet
        self.masks = masks
        self._dry = dry
        self._before_stop = before_stop

    def delta(self, part: Part, text: str, extra: Extra | None) -> None:
        if self.stopped is None:
            self.outlet.delta(part, text, extra)

    def event(self, choice: int, event: AnyEvent) -> None:
        if self.stopped is None:
            self.outlet.send(choice, event)

    def retract(self, part: Part, rule: str, from_char: int, replacement: str) -> None:
        """Take back what a log that may retract has shown."""
        self.outlet.retracted(part, from_char, rule, replacement)

    def mask(self, rule: ActiveRule, value: str) -> str:
        """What stands in place of a value."""
        self._escalate(rule)
        return self.masks.of(rule, value)

    def masked(self, part: Part, rule: ActiveRule, start: int, end: int, mask: str) -> Governance:
        """The record of a mask; it goes out before the delta that holds it."""
        part.changed = True
        return Governance(part.choice, part.number, rule.name, "mask", start, end, released=len(mask))

    def name(self, part: Part, group: RuleGroup, name: str) -> tuple[str, list[Governance]]:
        """The name of a tool, masked; it is no text of its part, so records of it are nobody's. A rule that blocks blocks."""
        given: list[str] = []
        records: list[Governance] = []
        for piece in scan(group.acting, name) if name else ():
            if isinstance(piece, str):
                given.append(piece)
                continue
            rule = group.acting_rules[piece.rule]
            if rule.action is Action.BLOCK:
                self.block(part, rule, 0, 0, gate="stream")
                return "", []
            given.append(self.mask(rule, piece.text))
            records.append(Governance(-1, -1, rule.name, "mask", 0, 0, detail="tool_name", released=len(given[-1])))
        return "".join(given), records

    def flag(self, part: Part, rule: ActiveRule, start: int, end: int, *, gate: str) -> None:
        """Let pass, and record."""
        if not self._dry:
            self._escalate(rule)
        event = Governance(part.choice, part.number, rule.name, rule.action, start, end, gate=gate, dry=self._dry)
        self.event(part.choice, event)

    def hold(self, part: Part, rule: ActiveRule, start: int, end: int, *, gate: str) -> None:
        """The release mark stands still before the match."""
        if self.stopped is not None:
            return
        self._escalate(rule)
        event = Governance(part.choice, part.number, rule.name, "hold", start, end, gate=gate)
        self.outlet.send(part.choice, event)
        self.outlet.hold(part, start if part.held == FOLLOWS else min(part.held, start), rule.name)

    def block(self, part: Part, rule: ActiveRule, start: int, end: int, *, gate: str) -> None:
        """The response ends before the match."""
        self._escalate(rule)
        self.stop_at(part, rule.name, start, end, gate=gate)

    def stop_at(self, part: Part, rule: str, start: int, end: int, *, gate: str, detail: str = "") -> None:
        part.mark = start if part.mark == FOLLOWS else min(part.mark, start)
        record = Governance(part.choice, part.number, rule, "block", start, end, gate=gate, detail=detail)
        self._stop(Stop(rule, part.choice, part.number, start, "policy_blocked"), record)

    def fail(self, part: Part, rule: ActiveRule, detail: str) -> None:
        """A rule could not be asked."""
        self.guard_failed(rule.name, part.choice, part.number, detail)

    def guard_failed(self, rule: str, choice: int, part: int, detail: str) -> None:
        record = Verdict(LANE, rule, "error", choice, part, detail)
        self._stop(Stop(rule, choice, part, 0, "guard_failed"), record)

    def _stop(self, stop: Stop, record: AnyEvent) -> None:
        if self.stopped is not None:
            return
        self.outlet.give(record)
        self._before_stop(stop.rule)
        for marks in self.outlet.open_marks():
            self.outlet.give(marks)
        self.stopped = stop

    def _escalate(self, rule: ActiveRule) -> None:
        if rule.escalate or rule.action == "escalate":
            self.escalations.append(rule)
