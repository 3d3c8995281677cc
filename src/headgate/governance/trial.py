"""A policy tried on a text: what happens at which character, for people who write policies. Nothing is sent anywhere.

The text goes through the same gates as an answer, in pieces of a size that the caller chooses: for a policy whose
rules judge at once the size makes no difference, which is the point of trying it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from headgate.events import AnyEvent, Delta, Governance, PartDone, PartKind, PartStarted, Verdict
from headgate.governance.final.gate import Effect, FinalGate
from headgate.governance.judgement import Judgement, Outcome
from headgate.governance.request.gate import RequestGate
from headgate.governance.ruleset import ActiveRule, RuleGroup, Ruleset
from headgate.governance.stream.gate import StreamGate
from headgate.governance.texts import PartText

Ask = Callable[[ActiveRule, str], Judgement]
"""Puts a question to a rule that needs meaning."""


class Range(NamedTuple):
    """A range of the text that a rule matched."""

    start: int
    end: int
    rule: str
    action: str
    becomes: str | None
    """What stands in its place; None where it stays."""
    gate: str
    dry: bool = False


class HoldBack(NamedTuple):
    """Characters that were read and not yet released, after each piece."""

    mean: float
    p99: int
    most: int


class Trial(NamedTuple):
    """What one gate made of a text."""

    gate: str
    ranges: list[Range]
    released: str
    """What would go out: up to the match, where a rule blocks or holds."""
    outcome: str
    """``passed``, ``blocked``, ``held``; of the final gate ``replaced`` too."""
    rule: str = ""
    """The rule or check that decided."""
    verdicts: tuple[Verdict, ...] = ()
    hold_back: HoldBack | None = None
    not_asked: tuple[str, ...] = ()
    """Rules that need meaning, and were not asked."""

    @property
    def acted(self) -> bool:
        """Whether any rule or check did anything, recording it included."""
        failed = any(verdict.outcome != Outcome.PASS for verdict in self.verdicts)
        return bool(self.ranges) or failed or self.outcome != "passed"


def try_stream(rules: Ruleset, text: str, *, chunk: int, ask: Ask | None) -> Trial:
    """The stream gate, `chunk` characters at a time."""
    gate = StreamGate(rules, json_text=False)
    events = gate.feed([PartStarted(0, 0, PartKind.TEXT)])
    held_back = []
    for at in range(0, len(text), chunk):
        events += gate.feed([Delta(0, 0, text[at : at + chunk])])
        events += _answered(gate, rules.stream, ask)
        held_back.append(min(at + chunk, len(text)) - _decided(events))
        if gate.stopped or gate.holding:
            break
    else:
        events += gate.feed([PartDone(0, 0)])
        events += gate.finish()
        events += _answered(gate, rules.stream, ask)
    released = "".join([event.text for event in events if isinstance(event, Delta)])
    rule, outcome = "", "passed"
    if gate.stopped:
        rule, outcome = gate.stopped.rule, "blocked"
    elif gate.holding:
        rule, outcome = gate.holding.reason, "held"
    return Trial(
        "stream",
        _ranges(events, released),
        released,
        outcome,
        rule,
        tuple(event for event in events if isinstance(event, Verdict)),
        _hold_back(held_back),
        _unasked(rules.stream, ask),
    )


def try_request(rules: Ruleset, text: str, *, ask: Ask | None) -> Trial:
    """The request gate, on a request whose only message this is."""
    gate = RequestGate(rules, {"messages": [{"role": "user", "content": text}]})
    gate.judge()
    for question in gate.questions:
        rule = rules.request.judged[question.rule]
        gate.answer(question.number, ask(rule, question.text) if ask else Judgement(Outcome.PASS))
    verdict = gate.verdict()
    released = verdict.body["messages"][0]["content"] if verdict.body else ""
    ranges = _ranges(verdict.events, released)
    verdicts = tuple(event for event in verdict.events if isinstance(event, Verdict))
    outcome = "blocked" if verdict.blocked else "passed"
    unasked = _unasked(rules.request, ask)
    return Trial("request", ranges, released, outcome, verdict.blocked, verdicts, None, unasked)


def try_final(rules: Ruleset, text: str, *, ask: Ask | None) -> Trial:
    """The final gate, on an answer that this is all of. What it needs of a request (a JSON schema) it does not have."""
    gate = FinalGate(rules, None)
    events = gate.check([PartText(0, 0, PartKind.TEXT, text)])
    while gate.questions:
        questions, gate.questions = gate.questions, []
        for question in questions:
            rule = rules.final.judged[question.rule]
            events += gate.answer(question.number, ask(rule, question.text) if ask else Judgement(Outcome.PASS))
    result = gate.result
    outcomes = {Effect.PASS: "passed", Effect.HOLD: "held", Effect.REPLACE: "replaced", Effect.BLOCK: "blocked"}
    released = {Effect.PASS: "".join([part.text for part in result.texts]) or text}.get(result.effect, "")
    if result.effect is Effect.REPLACE:
        released = rules.policy.replacement
    verdicts = tuple(event for event in events if isinstance(event, Verdict))
    ranges = _ranges(events, released if result.texts else None)
    unasked = _unasked(rules.final, ask)
    return Trial("final", ranges, released, outcomes[result.effect], result.rule, verdicts, None, unasked)


def _answered(gate: StreamGate, group: RuleGroup, ask: Ask | None) -> list[AnyEvent]:
    """What becomes free once the questions are answered; those that are not asked count as passed."""
    events: list[AnyEvent] = []
    while gate.questions:
        questions = list(gate.questions)
        gate.questions.clear()
        for question in questions:
            judgement = ask(group.judged[question.rule], question.text) if ask else Judgement(Outcome.PASS)
            events += gate.answer(question.number, judgement)
    return events


def _unasked(group: RuleGroup, ask: Ask | None) -> tuple[str, ...]:
    return () if ask else tuple(rule.name for rule in group.judged)


def _decided(events: list[AnyEvent]) -> int:
    """Characters of the text that what is out stands for."""
    released = sum(len(event.text) for event in events if isinstance(event, Delta))
    masked = [event for event in events if isinstance(event, Governance) and event.action == "mask" and not event.dry]
    return released + sum(event.end - event.start - event.released for event in masked)


def _ranges(events: Sequence[AnyEvent], released: str | None) -> list[Range]:
    """The matches in order, each with what stands in its place in what was released, if anything was masked there."""
    ranges, at, done = [], 0, 0
    for event in sorted((e for e in events if isinstance(e, Governance)), key=lambda e: (e.start, e.end)):
        becomes = None
        if released is not None and event.action == "mask" and not event.dry:
            at += event.start - done
            becomes = released[at : at + event.released]
            at, done = at + event.released, event.end
        ranges.append(Range(event.start, event.end, event.rule, event.action, becomes, event.gate, event.dry))
    return ranges


def _hold_back(held: list[int]) -> HoldBack | None:
    if not held:
        return None
    ordered = sorted(held)
    return HoldBack(sum(held) / len(held), ordered[min(len(held) - 1, int(len(held) * 0.99))], ordered[-1])
