"""Policies, gates and events for tests of the stream gate, written short."""

from __future__ import annotations

from typing import Any

from headgate.events import AnyEvent, ChoiceDone, Delta, PartDone, PartKind, PartStarted, Reason
from headgate.governance.judgement import Judgement, Outcome, Span
from headgate.governance.ruleset import Ruleset, compile_policy
from headgate.governance.stream.gate import StreamGate
from headgate.policies import Policy

PASS = Judgement(Outcome.PASS)
FAIL = Judgement(Outcome.FAIL)
ERROR = Judgement(Outcome.ERROR, detail="timeout")


def failing(*spans: tuple[int, int]) -> Judgement:
    return Judgement(Outcome.FAIL, tuple([Span(*span) for span in spans]))


def ruleset(*rules: dict[str, Any], builtin: tuple[str, ...] = (), **settings: Any) -> Ruleset:
    """A policy of these rules, all of them for the stream."""
    names = [rule["name"] for rule in rules]
    if any(rule.get("escalate") or rule.get("action") == "escalate" for rule in rules):
        secret = "whsec_" + "A" * 32
        settings["webhook"] = {"url": "https://example.com/", "secret": secret}
    return compile_policy("p", Policy.model_validate({"stream": [*builtin, *names], "rules": list(rules), **settings}))


def terms(name: str, *words: str, **settings: Any) -> dict[str, Any]:
    return {"name": name, "detector": "terms", "terms": list(words), **settings}


def judge(name: str, **settings: Any) -> dict[str, Any]:
    return {"name": name, "detector": "callable", "callable": "m:f", **settings}


def gate_of(rules: Ruleset, *, json_text: bool = False, dialect: str = "") -> StreamGate:
    return StreamGate(rules, json_text=json_text, dialect=dialect)


def part(choice: int = 0, number: int = 0, kind: PartKind = PartKind.TEXT) -> PartStarted:
    return PartStarted(choice, number, kind)


def call(choice: int = 0, number: int = 0) -> PartStarted:
    return PartStarted(choice, number, PartKind.TOOL_CALL, "call_1", "look_up")


def answer(*texts: str, choice: int = 0) -> list[AnyEvent]:
    """A whole answer of one text part."""
    deltas: list[AnyEvent] = [Delta(choice, 0, text) for text in texts]
    return [part(choice), *deltas, PartDone(choice, 0), ChoiceDone(choice, Reason.STOP, "stop")]


def text_of(events: list[AnyEvent], choice: int = 0, number: int = 0) -> str:
    return "".join([e.text for e in events if isinstance(e, Delta) and (e.choice, e.part) == (choice, number)])


def ask(gate: StreamGate) -> dict[str, int]:
    """The texts that were newly asked about, and the numbers of their questions."""
    asked = {question.text: question.number for question in gate.questions}
    gate.questions.clear()
    return asked
