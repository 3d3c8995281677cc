"""The gated lane of a log that may retract: text goes out at once, and is taken back where a rule objects to it.

A retraction takes back everything from the beginning of the first delta that changes. What it replaces is the text of
that delta; what had followed goes out again behind it, delta by delta. So every piece of text has one event that
carries it, and a later verdict about any of them can take back that one. Deltas are cut where the rules' segments end.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Protocol

from headgate.events import AnyEvent, Extra, Governance, Released, Verdict
from headgate.governance.judgement import Judgement, Outcome
from headgate.governance.ruleset import ActiveRule
from headgate.governance.stream.cuts import Cut
from headgate.governance.stream.json_values import JsonValues
from headgate.governance.stream.lane import Exit
from headgate.governance.stream.parts import Part, Places, Run
from headgate.governance.stream.questions import Answer, JudgedPart, Questions
from headgate.policies import Action


class RetractingExit(Exit, Protocol):
    """Where text goes, and what takes it back."""

    def retract(self, part: Part, rule: str, from_char: int, replacement: str) -> None: ...


class _Piece:
    """Text that one event carries, and that some rule has not passed yet."""

    __slots__ = ("at", "runs", "shown", "until")

    def __init__(self, runs: list[Run]) -> None:
        self.runs = runs
        self.at = runs[0].at
        self.until = runs[-1].until
        self.shown = "".join([run.text for run in runs])
        """What readers hold of it."""


class _Shown:
    """One part as readers have it."""

    __slots__ = ("cuts", "judged", "masks", "part", "pieces", "places", "values", "verified_chars")

    def __init__(self, part: Part, judged: JudgedPart) -> None:
        self.part = part
        self.judged = judged
        self.places = Places()
        self.pieces: deque[_Piece] = deque()
        self.verified_chars = 0
        """Of the text that readers have, in front of the pieces."""
        self.cuts: list[Cut] = []
        self.values: JsonValues | None = None
        """Of arguments that are complete."""
        self.masks: dict[int, str] = {}
        """What stands in place of strings of theirs."""

    def rendered(self) -> Iterator[str]:
        """What each piece comes to with all that was objected to, as `lane.Lane` would give it."""
        masks = deque(self._masks())
        for piece in self.pieces:
            text = "".join([run.text for run in piece.runs])
            out: list[str] = []
            at = piece.at
            while masks and masks[0][0] < piece.until:
                begin, until, mask = masks[0]
                if begin >= at:
                    out += [text[at - piece.at : begin - piece.at], mask]
                at = max(at, min(until, piece.until))
                if until > piece.until:
                    break
                masks.popleft()
            yield "".join([*out, text[at - piece.at :]])

    def _masks(self) -> Iterator[tuple[int, int, str]]:
        """The ranges that are masked, none of which overlap: one that begins inside another goes on behind it."""
        at = 0
        for cut in self.cuts:
            if cut.until > at:
                yield max(cut.at, at), cut.until, cut.text
                at = cut.until


class RetractingLane:
    """As `lane.Lane`, for a log that may retract."""

    chars = 0
    """Nothing waits."""

    def __init__(self, questions: Questions, out: RetractingExit, *, marks: bool) -> None:
        """`marks`: whatever passes here is verified for good, because no final gate can take it back."""
        self.questions = questions
        self._exit = out
        self._marks = marks
        self._parts: dict[tuple[int, int], _Shown] = {}
        self._held: set[int] = set()
        self._stopped = False

    @property
    def unverified(self) -> list[tuple[int, int, int]]:
        """Of every part of which something is not verified: choice, part, and the first such character as released."""
        return [(*place, shown.verified_chars) for place, shown in self._parts.items() if shown.pieces]

    def text(self, part: Part, runs: Sequence[Run], extra: Extra | None) -> None:
        shown = self._parts.get((part.choice, part.number))
        if shown is None:
            shown = self._parts[part.choice, part.number] = _Shown(part, self.questions.part(part))
        for run in runs:
            shown.places.note(run)
            if run.record is not None:
                self._exit.event(part.choice, run.record)
        ends = [] if part.is_json else self.questions.text(shown.judged, "".join([run.text for run in runs]))
        for piece in _pieces(runs, sorted(set(ends))):
            self._exit.delta(part, piece.shown, extra)
            extra = None
            shown.pieces.append(piece)
        if extra is not None:
            self._exit.delta(part, "", extra)
        self._verify(shown)

    def event(self, choice: int, event: AnyEvent) -> None:
        self._exit.event(choice, event)

    def part_ended(self, part: Part) -> None:
        shown = self._parts.get((part.choice, part.number))
        if shown is None:
            return
        if part.is_json:
            shown.values = JsonValues("".join([piece.shown for piece in shown.pieces]))
            self.questions.whole(shown.judged, shown.values.text)
        else:
            self.questions.end(shown.judged)
        self._verify(shown)

    def hold(self, part: Part, rule: ActiveRule, start: int, end: int, *, gate: str = "stream") -> None:
        """A rule holds here. What nobody has verified of the choice is held with it: a verdict could not take it back."""
        held = [shown for shown in self._parts.values() if shown.pieces and shown.part.choice == part.choice]
        held = [] if part.choice in self._held else held
        self._held.add(part.choice)
        for shown in held:
            shown.part.held = shown.part.verified
            self._exit.retract(shown.part, rule.name, shown.verified_chars, "")
        self._exit.hold(part, rule, start, end, gate=gate)
        for shown in held:
            for piece in shown.pieces:
                self._exit.delta(shown.part, piece.shown, None)

    def withdraw(self, rule: str) -> None:
        """Take back everything that was shown and not verified: readers that wait for verdicts will be shown the rest."""
        self._stopped = True
        for shown in self._parts.values():
            if shown.pieces:
                shown.part.mark = shown.part.verified
                shown.pieces.clear()
                self._exit.retract(shown.part, rule, shown.verified_chars, "")

    def answer(self, number: int, judgement: Judgement) -> None:
        answer = self.questions.answer(number, judgement)
        if answer is None or self._stopped:
            return
        part = answer.judged.part
        shown, rule = self._parts[part.choice, part.number], self.questions.rules[answer.rule]
        watches = self.questions.watches(answer.rule)
        if judgement.outcome is Outcome.ERROR and self.questions.dry:
            self._exit.event(
                part.choice, Verdict("lane", rule.name, "error", part.choice, part.number, judgement.detail)
            )
        elif judgement.outcome is Outcome.ERROR:
            self._stopped = True
            self._exit.fail(part, rule, judgement.detail)
        elif judgement.outcome is Outcome.FAIL and shown.values is not None:
            self._object_to_strings(shown, shown.values, rule, answer, watches=watches)
        elif judgement.outcome is Outcome.FAIL:
            self._object(shown, rule, answer, watches=watches)
        if not self._stopped:
            self._verify(shown)

    def _object(self, shown: _Shown, rule: ActiveRule, answer: Answer, *, watches: bool) -> None:
        """A rule objects to spans: what masks change is shown once for all of them."""
        part = shown.part
        masks = False
        for span in answer.spans:
            if self._stopped:
                return
            at, until, start, end = shown.places.cover(span.start, span.end)
            if watches:
                self._exit.flag(part, rule, start, end, gate="lane")
            elif rule.action is Action.MASK:
                masks = True
                mask = self._exit.mask(rule, answer.text[span.start - answer.start : span.end - answer.start])
                insort(shown.cuts, Cut(at, -until, answer.rule, start, end, mask))
                event = Governance(
                    part.choice, part.number, rule.name, "mask", start, end, gate="lane", released=len(mask)
                )
                self._exit.event(part.choice, event)
            else:
                self._end(shown, rule, (start, end))
        if masks:
            part.changed = True
            self._render(shown, rule)

    def _end(self, shown: _Shown, rule: ActiveRule, ungoverned: tuple[int, int]) -> None:
        """Block or hold."""
        part = shown.part
        if rule.action is Action.BLOCK:
            self._stopped = True
            self._exit.block(part, rule, *ungoverned, gate="lane")
            return
        self.hold(part, rule, *ungoverned, gate="lane")

    def _render(self, shown: _Shown, rule: ActiveRule) -> None:
        """Show what has changed: one retraction, and again what followed."""
        chars, is_new = shown.verified_chars, False
        for piece, text in zip(shown.pieces, [*shown.rendered()], strict=True):
            if is_new:
                piece.shown = text
                self._exit.delta(shown.part, text, None)
            elif text != piece.shown:
                is_new = True
                piece.shown = text
                self._exit.retract(shown.part, rule.name, chars, text)
            chars += len(piece.shown)

    def _object_to_strings(
        self, shown: _Shown, values: JsonValues, rule: ActiveRule, answer: Answer, *, watches: bool
    ) -> None:
        """Of arguments: all of them are taken back, and stand there again with masks in place of strings."""
        part, end = shown.part, shown.part.scanner.decided
        if watches:
            self._exit.flag(part, rule, 0, end, gate="lane")
        elif rule.action is not Action.MASK:
            self._end(shown, rule, (0, end))
        else:
            for number in {number for span in answer.spans for number in values.hit(span.start, span.end)}:
                shown.masks.setdefault(number, self._exit.mask(rule, values.string(number)))
            text = values.replaced(shown.masks)
            part.changed = True
            event = Governance(part.choice, part.number, rule.name, "mask", 0, end, gate="lane", released=len(text))
            self._exit.event(part.choice, event)
            self._exit.retract(part, rule.name, 0, text)
            for number, piece in enumerate(shown.pieces):
                piece.shown = "" if number else text

    def _verify(self, shown: _Shown) -> None:
        """Note what all rules have passed by now, and say so where nothing unverified stands in front of it."""
        frontier = shown.judged.frontier
        if shown.part.is_json:
            frontier = 2**63 if shown.values is not None and not any(shown.judged.asked) else 0
        waited = bool(shown.pieces)
        while shown.pieces and shown.pieces[0].until <= frontier:
            piece = shown.pieces.popleft()
            shown.verified_chars += len(piece.shown)
            shown.part.verified = piece.runs[-1].end
        first = shown.pieces[0].at if shown.pieces else shown.part.governed
        shown.cuts = [cut for cut in shown.cuts if cut.until > first]
        if waited and self._marks and not self.unverified:
            self._exit.event(shown.part.choice, Released(0))


def _pieces(runs: Sequence[Run], ends: Sequence[int]) -> list[_Piece]:
    """Runs of one delta, cut where segments end; a mask is not cut."""
    found: list[list[Run]] = [[]]
    for run in runs:
        rest = run
        for end in ends:
            if rest.at < end < rest.until and not rest.is_mask:
                found[-1].append(rest.before(end))
                found.append([])
                rest = rest.behind(end)
            elif rest.at == end and found[-1]:
                found.append([])
        found[-1].append(rest)
    return [_Piece(group) for group in found if group]
