"""The gated lane: text waits for the verdicts of rules that need meaning, or is taken back when they come."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest

from headgate.events import (
    AnyEvent,
    ChoiceDone,
    Delta,
    Extra,
    Governance,
    Held,
    Marks,
    PartDone,
    PartKind,
    PartStarted,
    Reason,
    Released,
    Retracted,
    Verdict,
)
from headgate.governance.stream.gate import WAITING_CHARS_MAX, Stop
from tests.unit.governance.stream.gates import (
    ERROR,
    FAIL,
    PASS,
    answer,
    ask,
    call,
    failing,
    gate_of,
    judge,
    part,
    ruleset,
    terms,
    text_of,
)

NAME = terms("name", "Ada")


def lane(start: int, end: int, released: int, rule: str = "tone", action: str = "mask") -> Governance:
    return Governance(0, 0, rule, action, start, end, gate="lane", released=released)


# waiting


def test_sentence_waits_for_its_verdict() -> None:
    gate = gate_of(ruleset(judge("tone")))
    assert gate.feed([part(), Delta(0, 0, "One two. Thr")]) == [part()]
    asked = ask(gate)
    assert list(asked) == ["One two. "]
    assert gate.waiting == 1
    assert gate.answer(asked["One two. "], PASS) == [Delta(0, 0, "One two. ")]
    assert gate.waiting == 0


def test_judges_see_what_the_other_rules_have_masked() -> None:
    gate = gate_of(ruleset(NAME, judge("tone")))
    gate.feed([part(), Delta(0, 0, "Ada came. And")])
    (text,) = ask(gate)
    assert text == "[name] came. "


def test_span_that_fails_is_masked_and_its_range_is_that_of_the_ungoverned_text() -> None:
    gate = gate_of(ruleset(NAME, judge("tone")))
    gate.feed([part(), Delta(0, 0, "Ada is bad. So")])
    (number,) = ask(gate).values()
    assert gate.answer(number, failing((10, 13))) == [
        Governance(0, 0, "name", "mask", 0, 3, released=6),
        lane(7, 10, 6),
        Delta(0, 0, "[name] is [tone]. "),
    ]


def test_failure_without_spans_masks_the_sentence() -> None:
    gate = gate_of(ruleset(judge("tone")))
    gate.feed(answer("Bad. Good."))
    asked = ask(gate)
    given = gate.answer(asked["Bad. "], FAIL) + gate.answer(asked["Good."], PASS)
    assert text_of(given) == "[tone]Good."
    assert [type(event) for event in given] == [Governance, Delta, Delta, Marks, PartDone, ChoiceDone]


def test_span_that_touches_a_mask_takes_all_of_it() -> None:
    gate = gate_of(ruleset(NAME, judge("tone")))
    gate.feed(answer("by Ada now"))
    (number,) = ask(gate).values()
    given = gate.answer(number, failing((0, 5)))
    assert text_of(given) == "[tone] now"
    assert lane(0, 6, 6) in given


def test_everything_behind_a_piece_that_waits_waits_in_order() -> None:
    gate = gate_of(ruleset(judge("tone")))
    given = gate.feed([*answer("A. B."), part(1), Delta(1, 0, "x")])
    assert given == [part(), part(1)]
    asked = ask(gate)
    assert gate.answer(asked["B."], PASS) == []
    assert gate.answer(asked["A. "], PASS) == [
        Delta(0, 0, "A. B."),
        Marks(0, 0, 5, 5, 5),
        PartDone(0, 0),
        ChoiceDone(0, Reason.STOP, "stop"),
    ]


def test_text_waits_for_all_rules_whatever_their_pieces() -> None:
    gate = gate_of(ruleset(judge("tone"), judge("topic", unit="window", window_chars=50)))
    gate.feed(answer("Short. " + "word " * 12))
    asked = ask(gate)
    tone, topic = "Short. ", next(text for text in asked if text.startswith("Short. word"))
    assert gate.answer(asked[tone], PASS) == []
    assert text_of(gate.answer(asked[topic], PASS)) == "Short. "


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_order_of_the_answers_does_not_show_in_the_text(order: tuple[int, ...]) -> None:
    gate = gate_of(ruleset(judge("tone"), judge("topic")))
    gate.feed(answer("One two. Three four."))
    questions = list(gate.questions)
    verdicts = {
        ("One two. ", 0): failing((0, 3)),
        ("One two. ", 1): failing((2, 5)),
        ("Three four.", 1): failing((6, 10)),
    }
    given: list[AnyEvent] = []
    for at in order:
        question = questions[at]
        given += gate.answer(question.number, verdicts.get((question.text, question.rule), PASS))
    assert text_of(given) == "[tone][topic]wo. Three [topic]."


def test_block_of_a_judge_releases_what_stood_before_it() -> None:
    gate = gate_of(ruleset(judge("tone", action="block")))
    gate.feed(answer("Good. Fine bad. More."))
    asked = ask(gate)
    assert gate.answer(asked["Fine bad. "], failing((5, 8))) == []
    assert gate.answer(asked["More."], PASS) == []
    given = gate.answer(asked["Good. "], PASS)
    assert given == [
        Delta(0, 0, "Good. Fine "),
        Governance(0, 0, "tone", "block", 11, 14, gate="lane"),
        Marks(0, 0, 21, 11, 11),
    ]
    assert gate.stopped == Stop("tone", 0, 0, 11, "policy_blocked")


def test_mask_of_one_judge_never_hides_the_block_of_another() -> None:
    gate = gate_of(ruleset(judge("tone"), judge("topic", action="block")))
    gate.feed(answer("So bad."))
    first, second = [question.number for question in gate.questions]
    assert gate.answer(first, FAIL) == []
    assert text_of(gate.answer(second, failing((3, 6)))) == ""
    assert gate.stopped == Stop("topic", 0, 0, 3, "policy_blocked")


def test_hold_of_a_judge_withholds_what_follows() -> None:
    gate = gate_of(ruleset(judge("tone", action="hold")))
    gate.feed(answer("Good. Bad. More."))
    asked = ask(gate)
    given = gate.answer(asked["Good. "], PASS) + gate.answer(asked["Bad. "], FAIL)
    assert given == [
        Delta(0, 0, "Good. "),
        Governance(0, 0, "tone", "hold", 6, 11, gate="lane"),
        Held(0, 0, 6, "tone"),
        Marks(0, 0, 16, 6, 6),
    ]
    gate.answer(asked["More."], PASS)
    assert text_of(gate.withheld) == "Bad. More."


def test_hold_of_another_rule_waits_for_the_text_in_front_of_it() -> None:
    gate = gate_of(ruleset(terms("claim", "sure", action="hold"), judge("tone")))
    assert gate.feed([part(), Delta(0, 0, "Good. It is sure. So")]) == [part()]
    assert gate.holding is None
    asked = ask(gate)
    assert gate.answer(asked["Good. "], PASS) == [Delta(0, 0, "Good. ")]
    given = gate.answer(asked["It is sure. "], PASS)
    assert given[:3] == [Delta(0, 0, "It is "), Governance(0, 0, "claim", "hold", 12, 16), Held(0, 0, 12, "claim")]
    assert text_of(gate.withheld) == "sure. "


def test_judge_that_cannot_be_asked_ends_the_response() -> None:
    gate = gate_of(ruleset(judge("tone")))
    gate.feed([part(), Delta(0, 0, "One. Two. Three")])
    first, second = ask(gate).values()
    given = gate.answer(first, ERROR)
    assert given == [Verdict("lane", "tone", "error", 0, 0, "timeout"), Marks(0, 0, 15, 0, 0)]
    assert gate.stopped == Stop("tone", 0, 0, 0, "guard_failed")
    assert gate.answer(second, PASS) == []
    assert gate.waiting == 0


@pytest.mark.parametrize("settings", [{"action": "flag"}, {"action": "escalate"}])
def test_judge_that_only_watches_keeps_nothing_waiting(settings: dict[str, Any]) -> None:
    gate = gate_of(ruleset(NAME, judge("tone", **settings)))
    assert text_of(gate.feed([part(), Delta(0, 0, "Ada came. So ")])) == "[name] came. So "
    (number,) = ask(gate).values()
    assert gate.answer(number, failing((7, 11))) == [
        Governance(0, 0, "tone", settings["action"], 4, 8, gate="lane"),
    ]
    assert [rule.name for rule in gate.escalations] == ["tone"] * (settings["action"] == "escalate")


@pytest.mark.parametrize("retract", [False, True])
def test_judge_that_only_watches_and_cannot_be_asked_ends_the_response_all_the_same(retract: bool) -> None:
    gate = gate_of(ruleset(judge("tone", action="flag"), retract=retract))
    gate.feed([part(), Delta(0, 0, "One. Two")])
    (number,) = ask(gate).values()
    assert Verdict("lane", "tone", "error", 0, 0, "timeout") in gate.answer(number, ERROR)
    assert gate.stopped == Stop("tone", 0, 0, 0, "guard_failed")


def test_judge_that_cannot_be_asked_in_a_dry_run_is_recorded() -> None:
    gate = gate_of(ruleset(judge("tone", action="flag"), dry_run=True))
    gate.feed([part(), Delta(0, 0, "One. Two")])
    (number,) = ask(gate).values()
    assert gate.answer(number, ERROR) == [Verdict("lane", "tone", "error", 0, 0, "timeout")]
    assert gate.stopped is None


def test_dry_run_asks_and_changes_nothing() -> None:
    gate = gate_of(ruleset(judge("tone", action="block"), dry_run=True))
    assert text_of(gate.feed([part(), Delta(0, 0, "One. Two")])) == "One. Two"
    (number,) = ask(gate).values()
    assert gate.answer(number, FAIL) == [Governance(0, 0, "tone", "block", 0, 5, gate="lane", dry=True)]


def test_arguments_are_judged_when_they_are_complete_string_by_string() -> None:
    gate = gate_of(ruleset(judge("tone")))
    given = gate.feed([call(), Delta(0, 0, '{"a":"so b\\u0061'), Delta(0, 0, 'd","n":1}'), PartDone(0, 0)])
    assert given == [call()]
    asked = ask(gate)
    assert list(asked) == ["a\nso bad\nn"]
    given = gate.answer(asked["a\nso bad\nn"], failing((5, 8)))
    assert given == [
        lane(0, 25, 20),
        Delta(0, 0, '{"a":"[tone]","n":1}'),
        Marks(0, 0, 25, 25, 25),
        PartDone(0, 0),
    ]


def test_arguments_that_pass_are_what_they_were() -> None:
    gate = gate_of(ruleset(judge("tone")))
    gate.feed([call(), Delta(0, 0, '{ "a":'), Delta(0, 0, '"\\u0061" }'), PartDone(0, 0)])
    (number,) = ask(gate).values()
    assert text_of(gate.answer(number, PASS)) == '{ "a":"\\u0061" }'


def test_arguments_without_strings_are_nobodys_question() -> None:
    gate = gate_of(ruleset(judge("tone")))
    given = gate.feed([call(), Delta(0, 0, "[1,2]"), PartDone(0, 0)])
    assert text_of(given) == "[1,2]"
    assert given[-1] == PartDone(0, 0)


def test_name_that_occurs_twice_in_arguments_is_judged_twice() -> None:
    gate = gate_of(ruleset(judge("tone")))
    gate.feed([call(), Delta(0, 0, '{"a":"bad","a":"good"}'), PartDone(0, 0)])
    assert list(ask(gate)) == ["a\nbad\na\ngood"]


def test_white_space_is_nobodys_question() -> None:
    gate = gate_of(ruleset(judge("tone")))
    assert text_of(gate.feed(answer("\n\n  "))) == "\n\n  "


def test_too_much_text_behind_questions_ends_the_response() -> None:
    gate = gate_of(ruleset(judge("tone")))
    gate.feed([part(), *[Delta(0, 0, "word " * 1000)] * (WAITING_CHARS_MAX // 5000 + 1)])
    assert gate.stopped == Stop("lane", -1, -1, 0, "guard_failed")


def test_fields_beside_a_delta_that_waits_go_with_it() -> None:
    gate = gate_of(ruleset(judge("tone")), dialect="openai-chat")
    extra = Extra(choice={"seed": 7})
    gate.feed([part(), Delta(0, 0, "A. ", extra), Delta(0, 0, "B. C")])
    asked = ask(gate)
    given = gate.answer(asked["A. "], PASS) + gate.answer(asked["B. "], PASS)
    assert given == [Delta(0, 0, "A. ", extra), Delta(0, 0, "B. ")]


def test_signature_is_dropped_where_a_judge_masked() -> None:
    signature = Extra(delta={"type": "signature_delta", "signature": "EqQB"})
    gate = gate_of(ruleset(judge("tone")), dialect="anthropic-messages")
    gate.feed([part(kind=PartKind.REASONING), Delta(0, 0, "Hm."), PartDone(0, 0, signature)])
    (number,) = ask(gate).values()
    assert gate.answer(number, FAIL)[-1] == PartDone(0, 0)


def test_names_that_could_be_prose_do_not_pass_where_a_judge_would_have_to_be_asked() -> None:
    gate = gate_of(ruleset(judge("tone")))
    started = PartStarted(0, 0, PartKind.TOOL_CALL, "call_1", "tell them all about it")
    assert gate.feed([started]) == [PartStarted(0, 0, PartKind.TOOL_CALL, "call_1", "")]
    assert gate.dropped == {"tool_name"}


# a log that may retract


def test_text_is_shown_and_verified_later() -> None:
    gate = gate_of(ruleset(judge("tone"), retract=True))
    assert gate.feed([part(), Delta(0, 0, "One. ")]) == [part(), Delta(0, 0, "One. ")]
    assert gate.unverified == [(0, 0, 0)]
    gate.feed([Delta(0, 0, "Two")])
    (number,) = ask(gate).values()
    assert gate.answer(number, PASS) == []
    assert gate.unverified == [(0, 0, 5)]
    assert gate.feed([PartDone(0, 0), ChoiceDone(0, Reason.STOP, "stop")]) == []
    (number,) = ask(gate).values()
    assert gate.answer(number, PASS) == [Released(0)]
    assert gate.unverified == []
    assert gate.seal() == [Marks(0, 0, 8, 8, 8), PartDone(0, 0), ChoiceDone(0, Reason.STOP, "stop")]


def test_nothing_is_verified_for_good_while_a_final_gate_may_take_it_back() -> None:
    gate = gate_of(ruleset(judge("tone"), retract=True, final=["rescan"]))
    gate.feed(answer("One."))
    (number,) = ask(gate).values()
    assert gate.answer(number, PASS) == []


def test_deltas_are_cut_where_a_sentence_ends() -> None:
    gate = gate_of(ruleset(judge("tone"), retract=True))
    given = gate.feed([part(), Delta(0, 0, "One. Two. Thr")])
    assert given == [part(), Delta(0, 0, "One. "), Delta(0, 0, "Two. "), Delta(0, 0, "Thr")]


def test_sentence_that_fails_is_taken_back_and_what_followed_is_shown_again() -> None:
    gate = gate_of(ruleset(judge("tone"), retract=True))
    gate.feed([part(), Delta(0, 0, "One. Two bad. Thr"), Delta(0, 0, "ee")])
    asked = ask(gate)
    assert gate.answer(asked["Two bad. "], failing((4, 7))) == [
        lane(9, 12, 6),
        Retracted(0, 0, 5, 0, "tone", "Two [tone]. "),
        Delta(0, 0, "Thr"),
        Delta(0, 0, "ee"),
    ]
    assert gate.texts()[0].text == "One. Two [tone]. Three"
    assert gate.unverified == [(0, 0, 0)]
    gate.answer(asked["One. "], PASS)
    assert gate.unverified == [(0, 0, 17)]


def test_block_takes_back_what_nobody_has_verified() -> None:
    gate = gate_of(ruleset(judge("tone", action="block"), retract=True))
    gate.feed([part(), Delta(0, 0, "One. Two. Three")])
    asked = ask(gate)
    gate.answer(asked["One. "], PASS)
    assert gate.answer(asked["Two. "], FAIL) == [
        Governance(0, 0, "tone", "block", 5, 10, gate="lane"),
        Retracted(0, 0, 5, 0, "tone"),
        Marks(0, 0, 15, 5, 5),
    ]


def test_hold_takes_back_what_is_held() -> None:
    gate = gate_of(ruleset(judge("tone", action="hold"), retract=True))
    gate.feed([part(), Delta(0, 0, "One. Two. Three")])
    asked = ask(gate)
    gate.answer(asked["One. "], PASS)
    given = gate.answer(asked["Two. "], FAIL)
    assert given == [
        Retracted(0, 0, 5, 0, "tone"),
        Governance(0, 0, "tone", "hold", 5, 10, gate="lane"),
        Held(0, 0, 5, "tone"),
        Marks(0, 0, 15, 5, 5),
    ]
    assert text_of(gate.withheld) == "Two. Three"


def test_hold_of_another_rule_takes_back_what_nobody_has_verified() -> None:
    gate = gate_of(ruleset(terms("claim", "sure", action="hold"), judge("tone"), retract=True))
    given = gate.feed([part(), Delta(0, 0, "Bad. It is sure. So")])
    assert given == [
        part(),
        Delta(0, 0, "Bad. "),
        Delta(0, 0, "It is "),
        Retracted(0, 0, 0, 0, "claim"),
        Governance(0, 0, "claim", "hold", 11, 15),
        Held(0, 0, 0, "claim"),
        Marks(0, 0, 19, 0, 0),
    ]
    assert text_of(gate.withheld) == "Bad. It is sure. So"


def test_arguments_that_fail_are_taken_back_as_a_whole() -> None:
    gate = gate_of(ruleset(judge("tone"), retract=True))
    gate.feed([call(), Delta(0, 0, '{"a":"b'), Delta(0, 0, 'ad"}'), PartDone(0, 0)])
    (number,) = ask(gate).values()
    given = gate.answer(number, failing((2, 5)))
    assert given[:2] == [lane(0, 11, 14), Retracted(0, 0, 0, 0, "tone", '{"a":"[tone]"}')]
    assert json.loads(gate.texts()[0].text) == {"a": "[tone]"}


def test_spans_of_one_verdict_are_taken_back_at_once() -> None:
    gate = gate_of(ruleset(judge("tone", unit="window", window_chars=20_000), retract=True))
    gate.feed([part(), *[Delta(0, 0, "abcd")] * 5_000])
    (number,) = ask(gate).values()
    given = gate.answer(number, failing(*[(at, at + 3) for at in range(2, 19_998, 10)]))
    assert sum(isinstance(event, Retracted) for event in given) == 1
    assert sum(isinstance(event, Delta) for event in given) < 5_000
    assert gate.texts()[0].text.count("[tone]") == 2_000


def test_number_in_arguments_that_is_long_enough_to_be_a_secret_is_judged() -> None:
    gate = gate_of(ruleset(judge("tone")))
    gate.feed([call(), Delta(0, 0, '{"n":491701234567}'), PartDone(0, 0)])
    ((text, number),) = ask(gate).items()
    assert text == "n\n491701234567"
    assert text_of(gate.answer(number, failing((2, 14)))) == '{"n":"[tone]"}'


def test_signature_beside_text_is_dropped_where_a_judge_masked_that_text() -> None:
    signature = Extra(delta={"thoughtSignature": "EqQB"})
    gate = gate_of(ruleset(judge("tone")), dialect="gemini")
    given = gate.feed([part(), Delta(0, 0, "Bad. ", signature), Delta(0, 0, "", signature), PartDone(0, 0)])
    (number,) = ask(gate).values()
    given += gate.answer(number, failing((0, 3)))
    assert text_of(given) == "[tone]. "
    assert not [event for event in given if isinstance(event, Delta) and event.extra is not None]
