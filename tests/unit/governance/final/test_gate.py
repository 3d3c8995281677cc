"""The final gate: what a whole answer has to be before its log may say that it is complete."""

from __future__ import annotations

from typing import Any

import pytest

from headgate.events import AnyEvent, Drift, Governance, PartKind, Verdict
from headgate.governance.final.gate import Effect, FinalGate
from headgate.governance.judgement import Judgement, Outcome, Span
from headgate.governance.ruleset import compile_policy
from headgate.governance.texts import PartText
from headgate.policies import Policy
from headgate.prompt import JsonFormat

SECRET = "4111 1111 1111 1111"
WEBHOOK = {"url": "https://hooks.example.com/x", "secret": "whsec_" + "QUJD" * 8}
ASKED = {"name": "judge", "detector": "callable", "callable": "m:f"}
CODE = {"name": "code", "detector": "terms", "terms": ["falcon"]}
FORMAT = JsonFormat(schema={"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}})


def text(content: str, part: int = 0, *, choice: int = 0, kind: PartKind = PartKind.TEXT) -> PartText:
    return PartText(choice, part, kind, content)


def gate(format: JsonFormat | None = None, **policy: Any) -> FinalGate:
    return FinalGate(compile_policy("test", Policy.model_validate(policy)), format)


def verdicts(events: list[AnyEvent]) -> list[tuple[str, str]]:
    return [(event.rule, event.outcome) for event in events if isinstance(event, Verdict)]


# re-scan


def test_answer_without_a_secret_passes_the_re_scan() -> None:
    made = gate(stream=["credit_card"], final=["rescan"])
    assert verdicts(made.check([text("Hello.")])) == [("rescan", "pass")]
    assert made.result.effect is Effect.PASS
    assert made.result.texts == ()


def test_secret_across_two_parts_fails_the_re_scan() -> None:
    made = gate(stream=["credit_card"], final=["rescan"])
    events = made.check([text("Pay with " + SECRET[:9]), text(SECRET[9:] + " today", 1)])
    assert verdicts(events) == [("rescan", "fail")]
    (match,) = (event for event in events if isinstance(event, Governance))
    assert (match.part, match.start, match.end, match.gate) == (0, 9, 28, "final")
    assert made.result[:4] == (Effect.BLOCK, "rescan", 0, "policy_blocked")
    assert SECRET not in repr(events)


def test_secret_across_two_parts_with_reasoning_between_them_fails_the_re_scan() -> None:
    made = gate(stream=["credit_card"], final=["rescan"])
    made.check([text(SECRET[:9]), text("Hm.", 1, kind=PartKind.REASONING), text(SECRET[9:], 2)])
    assert made.result.effect is Effect.BLOCK


def test_secret_is_not_put_together_from_two_choices() -> None:
    made = gate(stream=["credit_card"], final=["rescan"])
    made.check([text(SECRET[:9]), text(SECRET[9:], choice=1)])
    assert made.result.effect is Effect.PASS


@pytest.mark.parametrize("arguments", ['{"card": "4111\\u00201111 1111 1111"}', '{"card": 4111111111111111}'])
def test_arguments_of_a_call_are_judged_as_json_values(arguments: str) -> None:
    made = gate(stream=["credit_card"], final=["rescan"])
    made.check([text(arguments, kind=PartKind.TOOL_CALL)])
    assert made.result.effect is Effect.BLOCK


def test_mask_that_its_own_rule_matches_is_no_secret() -> None:
    made = gate(stream=["falcon"], final=["rescan"], rules=[CODE | {"name": "falcon"}])
    made.check([text("The [falcon] and the [falcon_2] fly.")])
    assert made.result.effect is Effect.PASS
    made = gate(stream=["falcon"], final=["rescan"], rules=[CODE | {"name": "falcon"}])
    made.check([text("The [falcon] is a falcon.")])
    assert made.result.effect is Effect.BLOCK


def test_re_scan_leaves_to_a_reviewer_what_the_stream_has_held() -> None:
    made = gate(stream=["code"], final=["rescan"], rules=[CODE | {"action": "hold"}])
    assert verdicts(made.check([text("The falcon flies.")])) == [("rescan", "pass")]
    assert made.result.effect is Effect.PASS


def test_match_of_a_holding_rule_across_two_parts_asks_for_a_reviewer() -> None:
    made = gate(stream=["code"], final=["rescan"], rules=[CODE | {"action": "hold"}])
    made.check([text("The fal"), text("con flies.", 1)])
    assert made.result[:2] == (Effect.HOLD, "rescan")


# deterministic rules


def test_rule_that_flags_is_recorded_and_lets_the_answer_pass() -> None:
    made = gate(final=["code"], rules=[CODE | {"action": "flag"}])
    events = made.check([text("A falcon.")])
    assert verdicts(events) == [("code", "fail")]
    assert made.result.effect is Effect.PASS


def test_rule_that_escalates_tells_once_of_a_choice() -> None:
    made = gate(final=["code"], rules=[CODE | {"action": "escalate"}], webhook=WEBHOOK)
    made.check([text("falcon falcon")])
    ((rule, event),) = made.escalations
    assert (rule.name, event.start) == ("code", 0)


@pytest.mark.parametrize(
    ("action", "on_failure", "effect"),
    [
        ("block", "block", Effect.BLOCK),
        ("block", "hold", Effect.BLOCK),
        ("block", "replace", Effect.REPLACE),
        ("hold", "block", Effect.HOLD),
        ("mask", "block", Effect.BLOCK),
        ("mask", "hold", Effect.HOLD),
    ],
)
def test_rule_asks_for_what_its_action_and_the_policy_say(action: str, on_failure: str, effect: Effect) -> None:
    retract = on_failure == "replace"
    made = gate(final=["code"], rules=[CODE | {"action": action}], on_failure=on_failure, retract=retract)
    made.check([text("A falcon.")])
    assert made.result.effect is effect
    assert made.result.rule == "code"


def test_rule_masks_where_the_policy_may_take_text_back() -> None:
    made = gate(final=["code"], rules=[CODE], retract=True)
    events = made.check([text("A falcon."), text('{"a":"fal\\u0063on"}', 1, kind=PartKind.TOOL_CALL)])
    assert made.result == (
        Effect.PASS,
        "",
        -1,
        "",
        (text("A [code]."), text('{"a":"[code]"}', 1, kind=PartKind.TOOL_CALL)),
    )
    assert [event.released for event in events if isinstance(event, Governance)] == [6, 6]


def test_match_across_two_parts_cannot_be_masked_and_fails() -> None:
    made = gate(final=["code"], rules=[CODE], retract=True)
    made.check([text("A fal"), text("con.", 1)])
    assert made.result.effect is Effect.BLOCK


def test_strictest_of_several_failures_decides() -> None:
    rules = [CODE | {"action": "hold"}, CODE | {"name": "sky", "terms": ["sky"], "action": "block"}]
    made = gate(final=["code", "sky"], rules=rules)
    made.check([text("A falcon in the sky.")])
    assert made.result[:2] == (Effect.BLOCK, "sky")


# JSON, length


@pytest.mark.parametrize(
    ("content", "effect"), [('{"a":1}', Effect.PASS), ('{"a":"1"}', Effect.BLOCK), ("a", Effect.BLOCK)]
)
def test_answer_has_to_be_of_the_schema_that_was_asked_for(content: str, effect: Effect) -> None:
    made = gate(FORMAT, final=["json_schema"])
    made.check([text(content)])
    assert made.result.effect is effect


def test_failure_of_the_schema_says_where_and_not_what() -> None:
    (event,) = gate(FORMAT, final=["json_schema"]).check([text('{"a":"hunter2"}')])
    assert event == Verdict("final", "json_schema", "fail", 0, -1, "$.a does not satisfy 'type'")


def test_fence_is_taken_off_before_the_schema_is_checked() -> None:
    made = gate(FORMAT, final=["json_schema"], retract=True, formatting=["code_fence"])
    made.check([text('```json\n{"a":1}\n```')])
    assert made.result.effect is Effect.PASS
    assert made.result.texts == (text('{"a":1}'),)


@pytest.mark.parametrize(
    "parts",
    [
        [text("{}", kind=PartKind.TOOL_CALL)],
        [text("I cannot.", kind=PartKind.REFUSAL)],
        [text(""), text("{}", 1, kind=PartKind.TOOL_CALL)],
    ],
)
def test_call_or_refusal_in_place_of_json_is_no_failure(parts: list[PartText]) -> None:
    made = gate(FORMAT, final=["json_schema"])
    made.check(parts)
    assert made.result.effect is Effect.PASS


def test_choice_that_a_limit_cut_is_not_expected_to_be_json() -> None:
    made = gate(FORMAT, final=["json_schema"])
    made.check([text('{"a":'), text('{"a":1}', choice=1)], cut={0})
    assert made.result.effect is Effect.PASS


def test_schema_that_cannot_be_checked_against_fails_closed() -> None:
    made = gate(JsonFormat(schema={"$ref": "http://x/"}), final=["json_schema"])
    assert verdicts(made.check([text("{}")])) == [("json_schema", "error")]
    assert made.result[:4] == (Effect.BLOCK, "json_schema", -1, "guard_failed")


@pytest.mark.parametrize(("content", "effect"), [("abc", Effect.PASS), ("ab", Effect.BLOCK), ("abcdef", Effect.BLOCK)])
def test_length_has_two_ends(content: str, effect: Effect) -> None:
    made = gate(final=["length"], length={"chars_min": 3, "chars_max": 5})
    made.check([text(content), text("thinking, at length", 1, kind=PartKind.REASONING)])
    assert made.result.effect is effect


# drift


def test_answer_that_stays_as_it_was_streamed_has_no_drift() -> None:
    made = gate(final=["drift"])
    events = made.check([text("Hello.")])
    (event,) = (event for event in events if isinstance(event, Drift))
    assert (event.distance, event.retracted, event.streamed_sha256) == (0, 0, event.final_sha256)
    assert verdicts(events) == [("drift", "pass")]


@pytest.mark.parametrize(("distance_max", "effect"), [(0, Effect.BLOCK), (1, Effect.PASS)])
def test_final_text_of_the_provider_may_differ_so_far(distance_max: int, effect: Effect) -> None:
    made = gate(final=["drift"], drift={"distance_max": distance_max})
    events = made.check([text("Hello.")], provider_final={(0, 0): "Hallo."}, retracted={0: 4})
    assert [(event.distance, event.retracted) for event in events if isinstance(event, Drift)] == [(1, 4)]
    assert made.result.effect is effect


def test_formatting_is_drift_that_counts() -> None:
    made = gate(final=["drift"], drift={"distance_max": 2}, retract=True, formatting=["trim"])
    made.check([text(" Hello. ")])
    assert made.result == (Effect.PASS, "", -1, "", (text("Hello."),))
    made = gate(final=["drift"], drift={"distance_max": 1}, retract=True, formatting=["trim"])
    made.check([text(" Hello. ")])
    assert made.result.effect is Effect.BLOCK


def test_final_text_of_the_provider_is_formatted_before_it_is_compared() -> None:
    made = gate(final=["drift"], drift={"distance_max": 1}, retract=True, formatting=["trim"])
    (event, *_) = made.check([text("Hello. ")], provider_final={(0, 0): "Hello.  "})
    assert isinstance(event, Drift)
    assert event.distance == 1


def test_part_that_only_the_provider_speaks_of_is_drift() -> None:
    (event, *_) = gate(final=["drift"]).check([text("a")], provider_final={(0, 1): "bcd"})
    assert isinstance(event, Drift)
    assert event.distance == 3


def test_without_the_check_drift_is_recorded_where_there_is_some() -> None:
    assert gate(final=["rescan"]).check([text("a")], provider_final={(0, 0): "b"})[-1].name == "drift"
    assert verdicts(gate(final=[]).check([text("a")], provider_final={(0, 0): "b"})) == []


# judges


def asking(**policy: Any) -> FinalGate:
    return gate(final=["judge"], rules=[ASKED | policy.pop("rule", {})], **policy)


def test_judge_is_asked_for_what_readers_see_as_one_text_and_for_the_rest_by_itself() -> None:
    made = asking()
    parts = [
        text("One "),
        text("Hm.", 1, kind=PartKind.REASONING),
        text("two.", 2),
        text("{}", 3, kind=PartKind.TOOL_CALL),
    ]
    assert made.check(parts) == []
    assert [(question.text, question.part) for question in made.questions] == [("One two.", -1), ("Hm.", 1), ("{}", 3)]
    assert made.waiting == 3


def test_answer_passes_once_every_judge_has_said_so() -> None:
    made = asking()
    made.check([text("One."), text("{}", 1, kind=PartKind.TOOL_CALL)])
    assert made.answer(0, Judgement(Outcome.PASS)) == []
    assert verdicts(made.answer(1, Judgement(Outcome.PASS))) == [("judge", "pass")]
    assert (made.waiting, made.result.effect) == (0, Effect.PASS)


def test_failing_judge_blocks_and_nothing_waits_for_the_others() -> None:
    made = asking(rule={"action": "block"})
    made.check([text("One."), text("{}", 1, kind=PartKind.TOOL_CALL)])
    events = made.answer(0, Judgement(Outcome.FAIL, detail="off_topic"))
    assert Verdict("final", "judge", "fail", 0, -1, "off_topic") in events
    assert (made.waiting, made.result[:2]) == (0, (Effect.BLOCK, "judge"))
    assert made.answer(1, Judgement(Outcome.PASS)) == []


@pytest.mark.parametrize("action", ["mask", "block", "flag", "hold"])
def test_judge_that_could_not_be_asked_fails_closed_whatever_its_action(action: str) -> None:
    made = asking(rule={"action": action})
    made.check([text("One.")])
    assert verdicts(made.answer(0, Judgement(Outcome.ERROR, detail="late"))) == [("judge", "error")]
    assert made.result[:4] == (Effect.BLOCK, "judge", 0, "guard_failed")


def test_ranges_that_a_judge_names_are_masked_where_the_policy_may_take_text_back() -> None:
    made = asking(retract=True)
    made.check([text("Ann and "), text("Bob and Eve", 1)])
    events = made.answer(0, Judgement(Outcome.FAIL, (Span(0, 3, "name"), Span(4, 11), Span(7, 9))))
    assert made.result.texts == (text("[judge] [judge]"), text("[judge] and Eve", 1))
    assert all(isinstance(event, Governance | Verdict | Drift) for event in events)
    assert "Bob" not in repr(events)


def test_range_in_json_is_not_masked_but_fails() -> None:
    made = asking(retract=True)
    made.check([text('{"a":"Ann"}', kind=PartKind.TOOL_CALL)])
    made.answer(0, Judgement(Outcome.FAIL, (Span(6, 9),)))
    assert made.result.effect is Effect.BLOCK


def test_judges_are_not_asked_once_the_outcome_is_sealed() -> None:
    made = gate(final=["rescan", "judge"], stream=["credit_card"], rules=[ASKED])
    made.check([text(SECRET)])
    assert made.questions == []
    assert made.result.effect is Effect.BLOCK


def test_judge_with_nothing_to_judge_passes() -> None:
    assert verdicts(asking().check([text("")])) == [("judge", "pass")]


# dry run


def test_dry_run_records_and_lets_everything_pass() -> None:
    made = gate(
        FORMAT,
        dry_run=True,
        stream=["credit_card"],
        final=["rescan", "json_schema", "length", "code", "judge", "drift"],
        rules=[CODE | {"action": "block"}, ASKED],
        length={"chars_max": 3},
    )
    events = made.check([text("falcon")], provider_final={(0, 0): "x"})
    events += made.answer(0, Judgement(Outcome.ERROR))
    failed = {rule for rule, outcome in verdicts(events) if outcome != "pass"}
    assert failed == {"json_schema", "length", "code", "judge", "drift"}
    assert all(event.dry for event in events if isinstance(event, Governance))
    assert made.result == (Effect.PASS, "", -1, "", ())


def test_dry_run_does_not_fail_the_re_scan_for_what_the_stream_would_have_masked() -> None:
    made = gate(dry_run=True, stream=["credit_card"], final=["rescan"])
    assert verdicts(made.check([text(SECRET)])) == [("rescan", "pass")]
    made = gate(dry_run=True, stream=["credit_card"], final=["rescan"])
    assert verdicts(made.check([text(SECRET[:9]), text(SECRET[9:], 1)])) == [("rescan", "fail")]


def test_failure_is_recorded_once_of_a_choice_however_often_a_rule_matches() -> None:
    made = gate(final=["code"], rules=[CODE | {"action": "block"}])
    events = made.check([text("falcon " * 3_000)])
    assert verdicts(events) == [("code", "fail")]
    assert len(events) <= 1_001
