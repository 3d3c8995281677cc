"""The gated lane: governed text waits here, in order, until every rule that needs meaning has passed it.

Per choice one queue: whatever follows a piece that waits, waits behind it. What leaves is the text as far as all rules
have answered, with what they masked masked; at a span that blocks or holds it stops, whatever the order in which the
answers came. Rules that only watch keep nothing waiting.

A call's arguments, and text that is JSON, are judged once they are complete, string by string (`json_values`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from headgate.events import AnyEvent, Extra, Governance, Verdict
from headgate.governance.judgement import Judgement, Outcome
from headgate.governance.ruleset import ActiveRule
from headgate.governance.stream.cuts import Cut, Cuts, take
from headgate.governance.stream.json_values import JsonValues
from headgate.governance.stream.parts import Part, Places, Run
from headgate.governance.stream.questions import Answer, JudgedPart, Questions
from headgate.policies import Action


class Exit(Protocol):
    """Where what leaves the lane goes."""

    def delta(self, part: Part, text: str, extra: Extra | None) -> None: ...

    def event(self, choice: int, event: AnyEvent) -> None: ...

    def mask(self, rule: ActiveRule, value: str) -> str: ...

    def hold(self, part: Part, rule: ActiveRule, start: int, end: int, *, gate: str) -> None: ...

    def block(self, part: Part, rule: ActiveRule, start: int, end: int, *, gate: str) -> None: ...

    def flag(self, part: Part, rule: ActiveRule, start: int, end: int, *, gate: str) -> None: ...

    def fail(self, part: Part, rule: ActiveRule, detail: str) -> None: ...


class _Hold(NamedTuple):
    """Where a deterministic rule holds."""

    part: Part
    rule: ActiveRule
    start: int
    end: int


class _Piece:
    """What one delta of the provider's became, on its way."""

    __slots__ = ("extra", "lane", "runs")

    def __init__(self, lane: _LanePart, runs: Sequence[Run], extra: Extra | None) -> None:
        self.lane = lane
        self.runs = deque(runs)
        self.extra = extra


class _LanePart:
    """One part in the lane."""

    __slots__ = ("at", "cuts", "judged", "masked_upto", "part", "pieces", "places", "strings", "values")

    def __init__(self, part: Part, judged: JudgedPart) -> None:
        self.part = part
        part.mark = 0
        self.judged = judged
        self.pieces: deque[_Piece] = deque()
        """Those of it that have not left."""
        self.places = Places()
        self.cuts = Cuts()
        self.at = 0
        """Up to where its governed text has left."""
        self.masked_upto = 0
        self.values: JsonValues | None = None
        """Of arguments that are complete."""
        self.strings: dict[int, list[int]] = {}
        """Strings of those that rules objected to -> the rules."""

    def runs(self) -> list[Run]:
        """What has not left."""
        return [run for piece in self.pieces for run in piece.runs]


class Lane:
    """The lane of one response."""

    def __init__(self, questions: Questions, out: Exit) -> None:
        self.questions = questions
        self.chars = 0
        """Code points that wait."""
        self._exit = out
        self._parts: dict[tuple[int, int], _LanePart] = {}
        self._queues: dict[int, deque[_Piece | _Hold | AnyEvent]] = {}
        self._stopped = False

    def text(self, part: Part, runs: Sequence[Run], extra: Extra | None) -> None:
        """Governed text of a part."""
        lane = self._parts.get((part.choice, part.number))
        if lane is None:
            lane = self._parts[part.choice, part.number] = _LanePart(part, self.questions.part(part))
        piece = _Piece(lane, runs, extra)
        lane.pieces.append(piece)
        self._queue(part.choice).append(piece)
        text = "".join([run.text for run in runs])
        for run in runs:
            lane.places.note(run)
        self.chars += len(text)
        if not part.is_json:
            self.questions.text(lane.judged, text)
        self._drain(part.choice)

    def event(self, choice: int, event: AnyEvent) -> None:
        """Anything else of a choice."""
        self._queue(choice).append(event)
        self._drain(choice)

    def part_ended(self, part: Part) -> None:
        """No more text follows for the part; its ``part.done`` is an event."""
        lane = self._parts.get((part.choice, part.number))
        if lane is None:
            return
        if part.is_json:
            lane.values = JsonValues("".join([run.text for run in lane.runs()]))
            self.questions.whole(lane.judged, lane.values.text)
        else:
            self.questions.end(lane.judged)
        self._drain(part.choice)

    def hold(self, part: Part, rule: ActiveRule, start: int, end: int) -> None:
        """A deterministic rule holds here."""
        self._queue(part.choice).append(_Hold(part, rule, start, end))
        self._drain(part.choice)

    def answer(self, number: int, judgement: Judgement) -> None:
        answer = self.questions.answer(number, judgement)
        if answer is None or self._stopped:
            return
        lane = self._parts[answer.judged.part.choice, answer.judged.part.number]
        rule = self.questions.rules[answer.rule]
        if judgement.outcome is Outcome.ERROR:
            self._failed(lane, rule, answer)
        elif judgement.outcome is Outcome.FAIL:
            self._object(lane, rule, answer)
        if not self._stopped:
            self._drain(lane.part.choice)

    def _failed(self, lane: _LanePart, rule: ActiveRule, answer: Answer) -> None:
        part, detail = lane.part, answer.judgement.detail
        if self.questions.dry:
            self._exit.event(part.choice, Verdict("lane", rule.name, "error", part.choice, part.number, detail))
        else:
            self._stopped = True
            self._exit.fail(part, rule, detail)

    def _object(self, lane: _LanePart, rule: ActiveRule, answer: Answer) -> None:
        """A rule objects to something of the part."""
        watches = self.questions.watches(answer.rule)
        for span in answer.spans:
            if lane.values is not None:
                if watches:
                    self._exit.flag(lane.part, rule, 0, lane.part.scanner.decided, gate="lane")
                    return
                for string in lane.values.hit(span.start, span.end):
                    lane.strings.setdefault(string, []).append(answer.rule)
                continue
            covered = lane.places.cover(span.start, span.end)
            if watches:
                self._exit.flag(lane.part, rule, *covered[2:], gate="lane")
            else:
                lane.cuts.add(answer.rule, covered, answer.text[span.start - answer.start : span.end - answer.start])

    def _queue(self, choice: int) -> deque[_Piece | _Hold | AnyEvent]:
        queue = self._queues.get(choice)
        if queue is None:
            queue = self._queues[choice] = deque()
        return queue

    def _drain(self, choice: int) -> None:
        """Let go of what need not wait any longer."""
        queue = self._queue(choice)
        texts: list[str] = []
        last: Part | None = None
        while queue and not self._stopped:
            item = queue[0]
            part = item.lane.part if isinstance(item, _Piece) else None
            if last is not None and (part is not last or (isinstance(item, _Piece) and item.extra is not None)):
                self._flush(last, texts)
                last = None
            if isinstance(item, _Piece):
                last = part
                gone = self._json(item, texts) if item.lane.part.is_json else self._prose(item, texts)
                if item.extra is not None and (gone or any(texts)) and last is not None:
                    self._exit.delta(last, "".join(texts), item.extra)
                    texts.clear()
                    item.extra = None
                if not gone:
                    break
                item.lane.pieces.popleft()
            elif isinstance(item, _Hold):
                self._exit.hold(*item, gate="stream")
            else:
                self._exit.event(choice, item)
            queue.popleft()
        if last is not None:
            self._flush(last, texts)

    def _flush(self, part: Part, texts: list[str]) -> None:
        text = "".join(texts)
        texts.clear()
        if text:
            self._exit.delta(part, text, None)

    def _take(self, part: Part, run: Run, texts: list[str], *, replaced: bool) -> None:
        """A run leaves, or something else has left in its place."""
        self.chars -= len(run.text)
        record = run.record
        if record is not None and replaced:  # its range is told of by what replaced it
            record = msgspec.structs.replace(record, start=record.end, released=0)
        if record is not None:
            self._exit.event(part.choice, record)
        if not replaced:
            texts.append(run.text)
        part.mark = run.end

    def _prose(self, piece: _Piece, texts: list[str]) -> bool:
        """Take from a piece what may leave; whether that is all of it."""
        lane = piece.lane
        frontier = lane.judged.frontier
        while piece.runs and not self._stopped and (lane.at < frontier or piece.runs[0].until <= frontier):
            masked = lane.at < lane.masked_upto
            cut = None if masked else lane.cuts.at(lane.at)
            if cut is not None:
                if cut.until > frontier:  # another rule may yet have something to say about it
                    break
                self._cut(lane, lane.cuts.first(cut, self._stops), texts)
                continue
            run = take(piece.runs, min(frontier, lane.masked_upto if masked else lane.cuts.next))
            if run is None:
                break
            lane.at = run.until
            self._take(lane.part, run, texts, replaced=masked)
        return not piece.runs

    def _stops(self, cut: Cut) -> bool:
        return self.questions.rules[cut.rule].action is not Action.MASK

    def _cut(self, lane: _LanePart, cut: Cut, texts: list[str]) -> None:
        part, rule = lane.part, self.questions.rules[cut.rule]
        if rule.action is Action.MASK:
            mask = self._exit.mask(rule, cut.text)
            start = max(cut.start, part.mark)  # what is masked already is not masked again
            self._exit.event(part.choice, _masked(part, rule, start, cut.end, mask))
            part.changed = True
            lane.masked_upto = max(lane.masked_upto, cut.until)
            texts.append(mask)
            return
        self._flush(part, texts)
        if rule.action is Action.BLOCK:
            self._stopped = True
            self._exit.block(part, rule, cut.start, cut.end, gate="lane")
        else:
            self._exit.hold(part, rule, cut.start, cut.end, gate="lane")

    def _json(self, piece: _Piece, texts: list[str]) -> bool:
        """A piece of arguments: all of them leave with the first, once they are judged."""
        lane = piece.lane
        if lane.values is None or lane.judged.frontier < len(lane.values.text):
            return False
        if lane.strings:
            self._replace(lane, texts)
            if self._stopped:
                return False
        for run in piece.runs:
            self._take(lane.part, run, texts, replaced=False)
        piece.runs.clear()
        return True

    def _replace(self, lane: _LanePart, texts: list[str]) -> None:
        """Do what the rules want that object to strings of the arguments; of several the strictest counts."""
        part = lane.part
        objecting = [
            self.questions.rules[rule] for rule in sorted({rule for rules in lane.strings.values() for rule in rules})
        ]
        end = lane.runs()[-1].end if lane.runs() else 0
        for action, stop in ((Action.BLOCK, self._exit.block), (Action.HOLD, self._exit.hold)):
            rule = next((rule for rule in objecting if rule.action is action), None)
            if rule is not None:
                self._stopped = action is Action.BLOCK
                lane.strings.clear()
                stop(part, rule, 0, end, gate="lane")
                return
        assert lane.values is not None
        masks = {
            at: self._exit.mask(self.questions.rules[min(rules)], lane.values.string(at))
            for at, rules in lane.strings.items()
        }
        text = lane.values.replaced(masks)
        for rule in objecting:  # the first is told to have replaced the arguments, the others to have had their share
            replaced = (0, end, text) if rule is objecting[0] else (end, end, "")
            self._exit.event(part.choice, _masked(part, rule, *replaced))
        part.changed = True
        lane.strings.clear()
        for piece in lane.pieces:
            for run in piece.runs:
                self._take(part, run, texts, replaced=True)
            piece.runs.clear()
        texts.append(text)


def _masked(part: Part, rule: ActiveRule, start: int, end: int, mask: str) -> Governance:
    return Governance(part.choice, part.number, rule.name, "mask", start, end, gate="lane", released=len(mask))
