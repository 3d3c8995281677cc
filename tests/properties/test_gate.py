"""Governed text depends on the text, never on how it was split, read, or in which order verdicts came (law 4)."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from headgate.assemble import Fold
from headgate.events import (
    AnyEvent,
    AttemptStarted,
    ChoiceDone,
    Delta,
    Marks,
    PartDone,
    PartKind,
    PartStarted,
    Reason,
    ResponseStarted,
)
from headgate.governance.judgement import Judgement, Outcome, Question, Span
from headgate.governance.matching.scanner import scan
from headgate.governance.ruleset import Ruleset, compile_policy
from headgate.governance.stream.gate import StreamGate
from headgate.lifecycle import Lifecycle
from headgate.policies import Action, Policy

ALPHABET: Final = "ab4@. -\n"
MASKS: Final = st.sampled_from(["[x]", "", "ab", "a@b"])
TERM: Final = st.text("ab4@.- ", min_size=1, max_size=4).filter(str.strip)


@st.composite
def rule_of(draw: st.DrawFn, number: int, actions: Sequence[str]) -> dict[str, Any]:
    common = {"name": f"r{number}", "action": draw(st.sampled_from(actions)), "mask": draw(MASKS)}
    if draw(st.booleans()):
        terms = draw(st.lists(TERM, min_size=1, max_size=3))
        return common | {"detector": "terms", "terms": terms, "words": draw(st.booleans())}
    pattern = draw(st.sampled_from([r"a{1,3}b", r"\b4{2,4}\b", r"[ab]{1,4}@[ab]{1,3}", r"(?<![a])4-?4", r"b(?!a)"]))
    return common | {"detector": "regex", "pattern": pattern}


@st.composite
def policies(draw: st.DrawFn, actions: Sequence[str] = ("mask", "flag")) -> Ruleset:
    rules = [draw(rule_of(number, actions)) for number in range(draw(st.integers(1, 4)))]
    names = [rule["name"] for rule in rules]
    return compile_policy("p", Policy.model_validate({"stream": names, "rules": rules}))


TEXTS: Final = st.text(ALPHABET, max_size=30)
CUTS: Final = st.lists(st.integers(0, 1_000), max_size=6)


def cut(text: str, places: Sequence[int]) -> list[str]:
    ends = sorted({place % (len(text) + 1) for place in places})
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]


def redact(rules: Ruleset, text: str) -> tuple[str, bool]:
    """The reference: governed text up to the first match that blocks or holds, and whether there was one."""
    out = []
    for piece in scan(rules.stream.acting, text):
        if isinstance(piece, str):
            out.append(piece)
            continue
        rule = rules.stream.acting_rules[piece.rule]
        if rule.action is not Action.MASK:
            return "".join(out), True
        out.append(rule.mask)
    return "".join(out), False


def log_of(events: Sequence[AnyEvent], choices: int, *, may_retract: bool = False) -> Fold:
    """The fold of the events as a log, all of them legal."""
    started = ResponseStarted("resp_1", "", "openai-chat", "m", 1, choices=choices, may_retract=may_retract)
    lifecycle, fold = Lifecycle(), Fold()
    for seq, event in enumerate([started, AttemptStarted(1, "p", "openai-chat", "m"), *events], 1):
        lifecycle.feed(event)
        fold.feed(seq, event)
    return fold


def texts(fold: Fold) -> dict[tuple[int, int], str]:
    return {(c, p): part.text for c, choice in fold.choices.items() for p, part in enumerate(choice.parts)}


def interleaved(deltas: Sequence[list[AnyEvent]], seed: int) -> list[AnyEvent]:
    """The deltas of several parts, each part's in order."""
    source = random.Random(seed)
    queues = [list(queue) for queue in deltas]
    found = []
    while any(queues):
        queue = source.choice([queue for queue in queues if queue])
        found.append(queue.pop(0))
    return found


def fed(gate: StreamGate, events: Sequence[AnyEvent], reads: Sequence[int]) -> list[AnyEvent]:
    """What comes out of the gate, the events read in groups of these sizes."""
    out, at = [], 0
    for size in [*reads, len(events) + 1]:
        out += gate.feed(events[at : at + size])
        at += size
    return out + gate.finish()


KINDS: Final = st.sampled_from([PartKind.TEXT, PartKind.REASONING, PartKind.REFUSAL])
READS: Final = st.lists(st.integers(1, 4), max_size=10)


@given(policies(), st.lists(st.tuples(TEXTS, CUTS, KINDS), min_size=1, max_size=3), st.integers(0, 99), READS)
def test_governed_text_is_the_redacted_one(
    rules: Ruleset, parts: list[tuple[str, list[int], PartKind]], seed: int, reads: list[int]
) -> None:
    begin: list[AnyEvent] = [PartStarted(0, number, kind) for number, (_, _, kind) in enumerate(parts)]
    deltas: list[list[AnyEvent]] = [
        [Delta(0, number, piece) for piece in cut(text, at) if piece] for number, (text, at, _) in enumerate(parts)
    ]
    end: list[AnyEvent] = [PartDone(0, number) for number in range(len(parts))]
    events = [*begin, *interleaved(deltas, seed), *end, ChoiceDone(0, Reason.STOP, "stop")]
    out = fed(StreamGate(rules, json_text=False), events, reads)
    assert out == fed(StreamGate(rules, json_text=False), events, [])
    fold = log_of(out, 1)
    assert [part.released_upto(fold.seq) for part in fold.choices[0].parts] == [len(text) for text, _, _ in parts]
    assert texts(fold) == {(0, number): redact(rules, text)[0] for number, (text, _, _) in enumerate(parts)}
    marks = {mark.part: mark for mark in out if isinstance(mark, Marks)}
    assert {n: mark.released for n, mark in marks.items()} == {n: len(text) for n, (text, _, _) in enumerate(parts)}


@given(policies(("mask", "block", "flag")), TEXTS, CUTS, READS)
def test_what_is_released_before_a_block_is_the_text_before_its_match(
    rules: Ruleset, text: str, at: list[int], reads: list[int]
) -> None:
    gate = StreamGate(rules, json_text=False)
    events: list[AnyEvent] = [PartStarted(0, 0, PartKind.TEXT), *[Delta(0, 0, piece) for piece in cut(text, at)]]
    out = fed(gate, [*events, PartDone(0, 0), ChoiceDone(0, Reason.STOP, "stop")], reads)
    wanted, blocks = redact(rules, text)
    assert texts(log_of(out, 1))[0, 0] == wanted
    assert (gate.stopped is not None) is blocks


@given(policies(("mask", "hold")), TEXTS, CUTS, READS)
def test_what_is_released_before_a_hold_is_the_text_before_its_match(
    rules: Ruleset, text: str, at: list[int], reads: list[int]
) -> None:
    gate = StreamGate(rules, json_text=False)
    events: list[AnyEvent] = [PartStarted(0, 0, PartKind.TEXT), *[Delta(0, 0, piece) for piece in cut(text, at)]]
    out = fed(gate, [*events, PartDone(0, 0), ChoiceDone(0, Reason.STOP, "stop")], reads)
    wanted, holds = redact(rules, text)
    assert texts(log_of(out, 1))[0, 0] == wanted
    assert (gate.holding is not None) is holds
    approved = log_of([*out, *gate.withheld], 1)
    assert approved.choices[0].done is not None
    assert texts(approved)[0, 0] == gate.texts()[0].text


VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.sampled_from([4, 44, 4.5, -4]) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@given(policies(("mask",)), VALUES, CUTS, READS)
def test_arguments_stay_json(rules: Ruleset, value: Any, at: list[int], reads: list[int]) -> None:
    def deep(inner: Any) -> Any:
        if isinstance(inner, str):
            return redact(rules, inner)[0]
        if isinstance(inner, dict):
            return {redact(rules, key)[0]: deep(item) for key, item in inner.items()}
        if isinstance(inner, list):
            return [deep(item) for item in inner]
        found = [piece for piece in scan(rules.stream.acting, json.dumps(inner)) if not isinstance(piece, str)]
        return rules.stream.acting_rules[found[0].rule].mask if found else inner

    events: list[AnyEvent] = [PartStarted(0, 0, PartKind.TOOL_CALL)]
    events += [Delta(0, 0, piece) for piece in cut(json.dumps(value), at)]
    out = fed(StreamGate(rules, json_text=False), [*events, PartDone(0, 0)], reads)
    assert json.loads(texts(log_of(out, 1))[0, 0]) == deep(value)


# the gated lane

WORDS: Final = st.lists(
    st.sampled_from(["ab ", "bad ", "a. ", "bad. ", "44 ", "4@ ", "worse! ", "\n"]), max_size=12
).map("".join)


def verdict(question: Question) -> Judgement:
    """What these judges object to: the first to every `bad`, the second to two characters more, and to `worse`."""
    text, spans = question.text, []
    for word in ("bad",) if question.rule == 0 else ("bad", "worse"):
        at = text.find(word)
        while at >= 0:
            spans.append(Span(at, at + len(word) + 2 * question.rule))
            at = text.find(word, at + 1)
    return Judgement(Outcome.FAIL, tuple(spans)) if spans else Judgement(Outcome.PASS)


def judged(*, retract: bool, unit: str) -> Ruleset:
    rules = [
        {"name": "four", "detector": "regex", "pattern": "4{1,3}", "mask": "[f]"},
        {"name": "first", "detector": "callable", "callable": "m:f"},
        {"name": "second", "detector": "callable", "callable": "m:f", "unit": unit, "window_chars": 50},
    ]
    settings = {"stream": ["four", "first", "second"], "rules": rules, "retract": retract}
    return compile_policy("p", Policy.model_validate(settings))


def answered(gate: StreamGate, events: Sequence[AnyEvent], seed: int) -> list[AnyEvent]:
    """What comes out, with the answers coming at random times in random order."""
    source, out = random.Random(seed), []
    open_: list[Question] = []
    for event in events:
        out += gate.feed([event])
        open_ += gate.questions
        gate.questions.clear()
        while open_ and source.random() < 0.4:
            question = open_.pop(source.randrange(len(open_)))
            out += gate.answer(question.number, verdict(question))
    out += gate.finish()
    open_ += gate.questions
    source.shuffle(open_)
    for question in open_:
        out += gate.answer(question.number, verdict(question))
    assert gate.waiting == 0
    return out


@given(st.tuples(WORDS, WORDS), CUTS, st.integers(0, 999), st.sampled_from(["sentence", "window"]))
def test_text_of_the_lane_depends_on_the_verdicts_and_on_nothing_else(
    parts: tuple[str, str], at: list[int], seed: int, unit: str
) -> None:
    deltas: list[list[AnyEvent]] = [
        [Delta(c, 0, piece) for piece in cut(text, at) if piece] for c, text in enumerate(parts)
    ]
    begin: list[AnyEvent] = [PartStarted(0, 0, PartKind.TEXT), PartStarted(1, 0, PartKind.TEXT)]
    end: list[AnyEvent] = [event for c in (0, 1) for event in (PartDone(c, 0), ChoiceDone(c, Reason.STOP, "stop"))]
    events = [*begin, *interleaved(deltas, seed), *end]
    waiting = StreamGate(judged(retract=False, unit=unit), json_text=False)
    first = log_of(answered(waiting, events, seed), 2)
    again = StreamGate(judged(retract=False, unit=unit), json_text=False)
    whole: list[AnyEvent] = [*begin, *[Delta(c, 0, text) for c, text in enumerate(parts) if text], *end]
    assert texts(log_of(answered(again, whole, 0), 2)) == texts(first)
    assert all(choice.done for choice in first.choices.values())
    assert [part.released_upto(first.seq) for _, choice in sorted(first.choices.items()) for part in choice.parts] == [
        len(text) for text in parts
    ]
    shown = StreamGate(judged(retract=True, unit=unit), json_text=False)
    out = answered(shown, events, seed)
    retracted = log_of([*out, *shown.seal()], 2, may_retract=True)
    assert texts(retracted) == texts(first)
    assert {(t.choice, t.part): t.text for t in shown.texts()} == texts(first)
    assert shown.unverified == []


@given(WORDS, CUTS, st.integers(0, 999), st.booleans())
def test_text_that_was_held_is_the_same_once_it_is_approved(text: str, at: list[int], seed: int, retract: bool) -> None:
    """Whether it waits for verdicts or is taken back on them, and whenever they came."""
    deltas: list[AnyEvent] = [Delta(0, 0, piece) for piece in cut(text, at) if piece]
    events = [PartStarted(0, 0, PartKind.TEXT), *deltas, PartDone(0, 0), ChoiceDone(0, Reason.STOP, "stop")]
    reference = StreamGate(judged(retract=False, unit="sentence"), json_text=False)
    wanted = texts(log_of(answered(reference, events, 0), 1))
    rules = judged(retract=retract, unit="sentence")
    held = rules.stream.acting_rules[0]._replace(action=Action.HOLD, mask="")
    rules = rules._replace(stream=rules.stream._replace(acting_rules=(held,)))
    gate = StreamGate(rules, json_text=False)
    out = answered(gate, events, seed)
    assert (gate.holding is not None) is ("4" in text)
    before = texts(log_of(out, 1, may_retract=retract))[0, 0]
    approved = texts(log_of([*out, *gate.withheld, *gate.seal()], 1, may_retract=retract))[0, 0]
    assert approved.startswith(before)
    assert "4" not in before
    assert "bad" not in before
    assert approved == gate.texts()[0].text
    if "4" not in text:
        assert approved == wanted[0, 0]
