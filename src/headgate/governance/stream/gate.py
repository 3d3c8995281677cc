"""Stage: events of a provider's answer -> events that may be shown (laws 4 and 5).

    event --fields, scanners--> governed event --passage, lane--> verified event --outlet--> log

Every text is judged by the rules of the policy, each part for itself, whatever it is; every other string as a text of
its own; of a provider's own fields only those pass that hold none (`fields`). What only one dialect has a word for
(`PartKind.OTHER`) does not pass, because nothing can be said about it; the parts behind it are numbered anew.

Invariant: for every way of cutting the text, what leaves is the same, and nothing leaves that no rule has judged. One
delta makes at most one delta, and the events before it that say what was done to it; how events were read together
never shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from headgate.errors import Failure
from headgate.events import (
    AnyEvent,
    ChoiceDone,
    Delta,
    Extra,
    Governance,
    Held,
    Marks,
    Opaque,
    PartDone,
    PartKind,
    PartStarted,
)
from headgate.governance.judgement import Judgement
from headgate.governance.masks import Masks
from headgate.governance.ruleset import Ruleset
from headgate.governance.stream.actions import LANE, Actions
from headgate.governance.stream.actions import Stop as Stop
from headgate.governance.stream.facts import Facts
from headgate.governance.stream.fields import Fields, is_signature
from headgate.governance.stream.grouping import Grouping
from headgate.governance.stream.joints import Joints
from headgate.governance.stream.lane import Lane
from headgate.governance.stream.outlet import Outlet
from headgate.governance.stream.parts import Part, Watcher
from headgate.governance.stream.passage import Passage
from headgate.governance.stream.questions import Questions
from headgate.governance.stream.retracting import RetractingLane
from headgate.governance.texts import PartText

WAITING_CHARS_MAX: Final = 1_000_000
"""Text that may wait behind questions or a hold, in code points: about 250,000 tokens, beyond what models give."""
FIELDS: Final = "fields"
"""What the log calls the rule that drops a provider's own fields."""


class StreamGate:
    """The stream gate of one response."""

    def __init__(self, rules: Ruleset, *, json_text: bool, dialect: str = "", masks: Masks | None = None) -> None:
        """`json_text`: text parts are JSON, because the request asked for that. `masks` are those of the request.

        `dialect` is the provider's; an ``attempt.started`` that comes by says it as well.
        """
        group, policy = rules.stream, rules.policy
        self._group = group
        self._dry = policy.dry_run
        self._retracts = policy.may_retract
        self._json_text = json_text
        self._fields = Fields(group.acting, dialect, words_only=bool(group.judged) and not self._dry)
        self._grouping = Grouping()
        self._joints = Joints()
        self._parts: dict[tuple[int, int], Part] = {}
        """By the provider's numbers; parts that do not pass are not here."""
        self._numbers: dict[int, int] = {}
        """Choice -> parts that pass."""
        self._outlet = Outlet(seals=self._retracts, unsigned=self._unsigned)
        masks = masks or Masks(numbered=policy.placeholder == "numbered")
        self._actions = Actions(self._outlet, masks, dry=self._dry, before_stop=self._withdraw)
        self.escalations = self._actions.escalations
        """Rules that matched, of which somebody is to be told; the guard takes and clears them."""
        self._facts = Facts(group, self._fields, self._actions, dry=self._dry)
        self.provider_final = self._facts.provider_final
        """Choice and part -> the provider's own final text, as it is governed, where it contradicts its deltas."""
        self._questions = Questions(group.judged, dry=self._dry)
        self.questions = self._questions.new
        """Newly asked; the guard takes and clears them."""
        self._lane: Lane | RetractingLane | None = None
        if group.judged:
            self._lane = self._lane_of(rules)
        self._passage = Passage(group.acting_rules, self._actions, self._lane)
        self._recorded = False
        self.eventful = False
        """More happened than clear text that went its way; the guard sees to it, and clears this."""
        self._plain = not (group.judged or group.watching_rules)
        """A delta is its text, and nothing but the scanner looks at it."""

    def _lane_of(self, rules: Ruleset) -> Lane | RetractingLane:
        if not self._retracts:
            return Lane(self._questions, self._actions)
        is_last = rules.final.empty and not rules.checks and not rules.policy.formatting
        return RetractingLane(self._questions, self._actions, marks=is_last)

    # what the guard sees

    @property
    def stopped(self) -> Stop | None:
        """A rule blocks, or could not be asked: nothing is given out any more."""
        return self._actions.stopped

    @property
    def holding(self) -> Held | None:
        """The first hold: what follows of its choice is withheld."""
        return self._outlet.holding

    @property
    def withheld(self) -> list[AnyEvent]:
        """Governed events behind a hold, in order."""
        return self._outlet.withheld

    @property
    def waiting(self) -> int:
        """Questions without an answer."""
        return self._questions.waiting

    @property
    def unverified(self) -> list[tuple[int, int, int]]:
        """In a log that may retract: choice, part and first character, as released, of what waits for verdicts."""
        return self._lane.unverified if isinstance(self._lane, RetractingLane) else []

    @property
    def marks(self) -> list[Marks]:
        """Watermarks of the parts that are given out and not done."""
        return self._outlet.open_marks()

    @property
    def dropped(self) -> set[str]:
        """Paths of a provider's fields that did not pass, in our spelling."""
        return set(self._fields.dropped)

    def feed(self, events: Sequence[AnyEvent]) -> list[AnyEvent]:
        """What may leave. The first branch is the token path."""
        outlet = self._outlet
        for event in events:
            if self._plain and type(event) is Delta and event.extra is None:
                choice, number, text = event.choice, event.part, event.text
                part = self._parts.get((choice, number))
                if part is None:
                    continue
                scanner = part.scanner
                given = scanner.feed(text)
                if type(given) is not str or scanner.overlong:
                    self.eventful = True
                    self._passage.give(part, given, None)
                    self._note()
                elif given:
                    part.texts.append(given)
                    same = given == text and number == part.number
                    outlet.out.append(event if same else Delta(choice, part.number, given))
            elif self._actions.stopped is None:
                self.eventful = True
                self._take(event)
        out = outlet.out
        if out:
            outlet.out = []
            return out
        return []

    def answer(self, number: int, judgement: Judgement) -> list[AnyEvent]:
        """What may leave with this verdict."""
        self.eventful = True
        if self._lane is not None and self.stopped is None:
            self._lane.answer(number, judgement)
        else:
            self._questions.answer(number, judgement)
        return self._leave()

    def finish(self) -> list[AnyEvent]:
        """The provider's answer has ended; verdicts may still be owed."""
        self.eventful = True
        self._end_parts(None)
        for part in self._parts.values():
            if not part.ended and self.stopped is None:
                self._end_text(part)
        if self.stopped is None:
            self._record_dropped()
        return self._leave()

    def seal(self) -> list[AnyEvent]:
        """In a log that may retract: the ends of parts and choices, once the final gate has passed."""
        return self._outlet.seal() if self.stopped is None else []

    def texts(self) -> list[PartText]:
        """Governed text per part so far, what is withheld included."""
        return [PartText(part.choice, part.number, part.kind, part.text) for part in self._outlet.parts.values()]

    def failure(self, failure: Failure) -> Failure:
        """A failure as it may be shown: its message and its detail are the provider's."""
        return self._facts.failure(failure)

    # the way of an event

    def _leave(self) -> list[AnyEvent]:
        outlet = self._outlet
        if not outlet.out:
            return []
        out, outlet.out = outlet.out, []
        return out

    def _take(self, event: AnyEvent) -> None:
        if self._joints.waiting and not (type(event) is Opaque and event.idle):  # which has no place in the answer
            self._end_parts(event)
            if self.stopped is not None:
                return
        take = _TAKES.get(type(event))
        if take is not None:
            take(self, event)
        else:
            self._outlet.give(self._facts.governed(event))
        waiting = self._outlet.withheld_chars + (self._lane.chars if self._lane is not None else 0)
        if waiting > WAITING_CHARS_MAX and self.stopped is None:
            self._actions.guard_failed(LANE, -1, -1, "too much text waits")
        self._note()

    def _note(self) -> None:
        """Whether the token path may still be taken."""
        if self._plain and (self._actions.stopped is not None or self._outlet.holding is not None):
            self._plain = False

    def _delta(self, event: Delta) -> None:
        part = self._parts.get((event.choice, event.part))
        if part is None:
            return
        if event.text:
            self._watch(part, event.text)
        given = part.scanner.feed(event.text)
        signed = type(given) is str and not part.changed
        extra = self._passed(event, event.extra, signed=signed)
        if extra is not None and part.scanner.decided < part.scanner.position and is_signature(extra):
            part.signed, extra = extra, None
        if given or extra is not None or part.scanner.overlong:
            self._passage.give(part, given, extra)
            self._note()

    def _watch(self, part: Part, text: str | None) -> None:
        """Rules that only record; None is the end of the part."""
        if part.watcher is not None:
            for rule, start, end in part.watcher.finish() if text is None else part.watcher.feed(text):
                self._actions.flag(part, self._group.watching_rules[rule], start, end, gate="stream")

    def _part_started(self, event: PartStarted) -> None:
        if event.kind is PartKind.OTHER and not self._dry:
            self._fields.drop("part.other")
            self._grouping.leave_out(event.extra)
            return
        number = self._numbers.get(event.choice, 0)
        self._numbers[event.choice] = number + 1
        is_json = event.kind is PartKind.TOOL_CALL or (self._json_text and event.kind is PartKind.TEXT)
        part = Part(event.choice, number, event.kind, is_json=is_json, acting=self._group.acting)
        part.scanner = self._joints.carried() or part.scanner
        if self._group.watching_rules:
            part.watcher = Watcher(self._group.watching, is_json=is_json)
        self._parts[event.choice, event.part] = self._outlet.parts[event.choice, number] = part
        name = self._name(part, event.tool_name)
        if self.stopped is None:
            tool_id = self._fields.word(event.tool_id, "tool_id")
            extra = self._passed(event, event.extra)
            self._passage.send(event.choice, PartStarted(event.choice, number, event.kind, tool_id, name, extra))

    def _name(self, part: Part, name: str) -> str:
        """The name of a tool. A match in it is masked, and one that blocks blocks."""
        if self._group.judged and not self._dry:
            return self._fields.word(name, "tool_name")
        given, records = self._actions.name(part, self._group, name)
        for record in records:
            self._passage.send(part.choice, record)
        return given

    def _part_done(self, event: PartDone) -> None:
        part = self._parts.get((event.choice, event.part))
        if part is not None and not self._joints.keep(event, part):
            self._end_part(event, part)

    def _end_parts(self, event: AnyEvent | None) -> None:
        """Those whose ends have waited for this event; None is the end of the answer."""
        for end, part in self._joints.due(event):
            if self.stopped is None:
                self._end_part(end, part)

    def _end_part(self, event: PartDone, part: Part) -> None:
        self._end_text(part)
        if self.stopped is None:
            event = self._facts.uncontradicted(part, event)
            extra = self._passed(event, event.extra, signed=not part.changed)
            self._passage.send(event.choice, PartDone(event.choice, part.number, extra))

    def _end_text(self, part: Part) -> None:
        """No more text follows: what was kept because more might follow is decided."""
        part.ended = True
        self._watch(part, None)
        given = part.scanner.finish()
        extra, part.signed = part.signed, None
        if extra is not None and (part.changed or type(given) is not str):
            extra = self._fields.beside(Delta(part.choice, part.number, ""), extra, signed=self._dry)
        if given or extra is not None or part.scanner.overlong:
            self._passage.give(part, given, extra)
            self._note()
        if self._lane is not None and self.stopped is None:
            self._lane.part_ended(part)

    def _choice_done(self, event: ChoiceDone) -> None:
        word = self._fields.word(event.provider_reason, "provider_reason")
        extra = self._passed(event, event.extra)
        self._passage.send(event.choice, ChoiceDone(event.choice, event.reason, word, extra))

    def _opaque(self, event: Opaque) -> None:
        extra = self._passed(event, event.extra)
        if extra is not None:
            self._passage.send(event.choice, Opaque(event.choice, extra, event.idle))

    def _passed(self, event: AnyEvent, extra: Extra | None, *, signed: bool = True) -> Extra | None:
        if extra is None:
            return None
        passed = self._fields.beside(event, extra, signed=signed)
        return extra if self._dry else self._grouping.closed_up(passed)

    def _unsigned(self, event: Delta | PartDone) -> Extra | None:
        return self._fields.beside(event, event.extra, signed=False)

    def _withdraw(self, rule: str) -> None:
        """The answer stops: what was shown and not verified is taken back, and what there is to say is said."""
        if isinstance(self._lane, RetractingLane):
            self._lane.withdraw(rule)
        self._record_dropped()

    def _record_dropped(self) -> None:
        """Say, once, which of the provider's fields did not pass."""
        if self._fields.dropped and not self._recorded:
            self._recorded = True
            detail = ", ".join(self._fields.dropped)
            self._outlet.give(Governance(-1, -1, FIELDS, "drop", 0, 0, dry=self._dry, detail=detail))


_TAKES: Final[dict[type[Any], Callable[[StreamGate, Any], None]]] = {
    Delta: StreamGate._delta,
    PartStarted: StreamGate._part_started,
    PartDone: StreamGate._part_done,
    ChoiceDone: StreamGate._choice_done,
    Opaque: StreamGate._opaque,
}
