"""The stream gate: events in, events out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headgate.errors import Failure
from headgate.events import (
    AnyEvent,
    AttemptDescribed,
    AttemptEnded,
    AttemptStarted,
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
    Reason,
    ResponseStarted,
    Terminal,
    Usage,
)
from headgate.governance.ruleset import compile_policy
from headgate.governance.stream.gate import Stop
from headgate.policies import DEFAULT
from tests.unit.goldens import log_of
from tests.unit.governance.stream.gates import answer, call, gate_of, part, ruleset, terms, text_of

BLOCK = terms("canary", "zebra", action="block")
MASK = terms("name", "Ada", "Grace")
HOLD = terms("claim", "guaranteed", action="hold")


def masked(start: int, end: int, released: int, rule: str = "name", number: int = 0) -> Governance:
    return Governance(0, number, rule, "mask", start, end, released=released)


# masks


def test_log_worked_by_hand_in_the_protocol_comes_out_of_the_gate() -> None:
    log = [event for _, event in log_of("mask-in-token")]
    tokens = ["Write to ali", "ce@exam", "ple.com, to", "day."]
    first = next(at for at, event in enumerate(log) if isinstance(event, Delta))
    last = max(at for at, event in enumerate(log) if isinstance(event, Delta))
    after = [event for event in log[last + 1 :] if not isinstance(event, Marks)]
    fed: list[AnyEvent] = [*log[:first], *[Delta(0, 0, text) for text in tokens], *after]
    gate = gate_of(compile_policy("default", DEFAULT))
    assert [event for one in fed for event in gate.feed([one])] + gate.finish() == log


def test_record_of_a_mask_comes_before_the_delta_that_holds_it() -> None:
    gate = gate_of(ruleset(MASK))
    gate.feed([part()])
    assert gate.feed([Delta(0, 0, "Ask Ada or ")]) == [masked(4, 7, 6), Delta(0, 0, "Ask [name] or ")]


def test_one_delta_makes_at_most_one_delta() -> None:
    gate = gate_of(ruleset(MASK))
    gate.feed([part()])
    given = gate.feed([Delta(0, 0, "Ada, Ada and Grace. ")])
    assert [type(event) for event in given] == [Governance, Governance, Governance, Delta]


def test_delta_that_nothing_changes_is_the_same_object() -> None:
    gate = gate_of(ruleset(MASK))
    gate.feed([part()])
    delta = Delta(0, 0, "nothing here, ")
    assert gate.feed([delta])[0] is delta


def test_same_value_has_the_same_number_within_a_response() -> None:
    gate = gate_of(ruleset(MASK, placeholder="numbered"))
    given = gate.feed(answer("Ada, Grace, ", "ADA and Grace."))
    assert text_of(given) == "[name_1], [name_2], [name_1] and [name_2]."


def test_mask_of_ones_own_is_not_numbered() -> None:
    gate = gate_of(ruleset(terms("name", "Ada", mask="***"), placeholder="numbered"))
    assert text_of(gate.feed(answer("Ada!"))) == "***!"


def test_text_that_was_kept_leaves_before_its_part_is_done() -> None:
    gate = gate_of(ruleset(MASK))
    assert gate.feed([part(), Delta(0, 0, "Ad")]) == [part()]
    assert gate.feed([PartDone(0, 0)]) == []
    assert gate.finish() == [Delta(0, 0, "Ad"), Marks(0, 0, 2, 2, 2), PartDone(0, 0)]


@pytest.mark.parametrize("kind", [PartKind.TEXT, PartKind.REASONING, PartKind.REFUSAL])
def test_value_that_stands_across_two_parts_of_one_kind_is_found(kind: PartKind) -> None:
    gate = gate_of(ruleset(MASK))
    given = gate.feed([part(kind=kind), Delta(0, 0, "Hi A"), PartDone(0, 0), part(0, 1, kind), Delta(0, 1, "da! ")])
    assert given == [
        part(kind=kind),
        Delta(0, 0, "Hi "),
        Marks(0, 0, 3, 3, 3),
        PartDone(0, 0),
        part(0, 1, kind),
        masked(0, 3, 6, number=1),
        Delta(0, 1, "[name]! "),
    ]


def test_event_that_is_not_of_the_answer_does_not_part_what_stands_across_two_parts() -> None:
    gate = gate_of(ruleset(MASK))
    beside = Opaque(0, Extra({"type": "foo"}), idle=True)
    given = gate.feed([part(), Delta(0, 0, "Hi A"), PartDone(0, 0), beside, part(0, 1), Delta(0, 1, "da! ")])
    assert (text_of(given), text_of(given, number=1)) == ("Hi ", "[name]! ")


def test_text_that_ends_where_another_kind_follows_is_decided_there() -> None:
    gate = gate_of(ruleset(MASK))
    given = gate.feed([part(), Delta(0, 0, "Hi A"), PartDone(0, 0), call(0, 1), Delta(0, 1, '{"da":1}')])
    assert (text_of(given), text_of(given, number=1)) == ("Hi A", '{"da":1}')
    started = next(at for at, event in enumerate(given) if isinstance(event, PartStarted) and event.part == 1)
    assert given.index(PartDone(0, 0)) < started


def test_word_in_front_of_a_joint_still_stands_in_front_of_what_follows() -> None:
    gate = gate_of(ruleset(MASK))
    given = gate.feed([part(), Delta(0, 0, "x"), PartDone(0, 0), part(0, 1), Delta(0, 1, "Ada "), PartDone(0, 1)])
    assert (text_of(given), text_of([*given, *gate.finish()], number=1)) == ("x", "Ada ")


def test_every_kind_of_text_is_judged() -> None:
    for kind in (PartKind.TEXT, PartKind.REASONING, PartKind.REFUSAL):
        gate = gate_of(ruleset(MASK))
        given = gate.feed([part(kind=kind), Delta(0, 0, "Hi Ada!"), PartDone(0, 0)])
        assert text_of(given) == "Hi [name]!"


def test_arguments_of_a_call_stay_json() -> None:
    gate = gate_of(ruleset(terms("name", "Ada", "42", mask='"x"')))
    given = gate.feed([call(), Delta(0, 0, '{"to":"A'), Delta(0, 0, 'da","n":4'), Delta(0, 0, "2}"), PartDone(0, 0)])
    assert json.loads(text_of(given)) == {"to": '"x"', "n": '"x"'}


def test_text_is_json_where_the_request_asked_for_it() -> None:
    gate = gate_of(ruleset(MASK), json_text=True)
    assert text_of(gate.feed(answer('{"a":"\\u0041da"}'))) == '{"a":"[name]"}'


def test_parts_that_interleave_are_judged_each_for_itself() -> None:
    gate = gate_of(ruleset(MASK))
    events: list[AnyEvent] = [call(0, 0), call(0, 1)]
    for first, second in zip(['{"a":"A', "d", 'a"}'], ['{"b":"Gra', "c", 'e"}'], strict=True):
        events += [Delta(0, 0, first), Delta(0, 1, second)]
    given = gate.feed([*events, PartDone(0, 0), PartDone(0, 1)])
    assert text_of(given, 0, 0) == '{"a":"[name]"}'
    assert text_of(given, 0, 1) == '{"b":"[name]"}'


# blocks and holds


def test_block_releases_the_text_before_the_match_and_nothing_after_it() -> None:
    gate = gate_of(ruleset(BLOCK, MASK))
    given = gate.feed([part(), Delta(0, 0, "Ada saw a ze"), Delta(0, 0, "bra. And more"), Delta(0, 0, " of it")])
    assert given == [
        part(),
        masked(0, 3, 6),
        Delta(0, 0, "[name] saw a "),
        Governance(0, 0, "canary", "block", 10, 15),
        Marks(0, 0, 25, 10, 10),
    ]
    assert gate.stopped == Stop("canary", 0, 0, 10, "policy_blocked")
    assert gate.feed([Delta(0, 0, "x"), PartDone(0, 0)]) == []
    assert gate.finish() == []
    assert [text.text for text in gate.texts()] == ["[name] saw a "]


def test_block_in_one_choice_ends_the_others() -> None:
    gate = gate_of(ruleset(BLOCK))
    gate.feed([part(0), part(1), Delta(0, 0, "fine "), Delta(1, 0, "a zebra ")])
    assert gate.feed([Delta(0, 0, "more ")]) == []


def test_hold_withholds_everything_of_its_choice_from_the_match_on() -> None:
    gate = gate_of(ruleset(HOLD, MASK))
    given = gate.feed([part(), Delta(0, 0, "It is guaranteed by Ada. "), part(1), Delta(1, 0, "Free. ")])
    held = Held(0, 0, 6, "claim")
    assert given == [
        part(),
        Delta(0, 0, "It is "),
        Governance(0, 0, "claim", "hold", 6, 16),
        held,
        Marks(0, 0, 25, 6, 6),
        part(1),
        Delta(1, 0, "Free. "),
    ]
    assert gate.holding == held
    assert gate.withheld == [masked(20, 23, 6), Delta(0, 0, "guaranteed by [name]. ")]
    end: list[AnyEvent] = [PartDone(0, 0), ChoiceDone(0, Reason.STOP, "stop")]
    assert gate.feed(end) == []
    assert gate.withheld[2:] == [Marks(0, 0, 25, 25, 25), *end]
    assert gate.texts()[0].text == "It is guaranteed by [name]. "


def test_second_hold_of_a_choice_is_recorded_behind_the_first() -> None:
    gate = gate_of(ruleset(HOLD))
    gate.feed(answer("guaranteed and guaranteed again"))
    assert [event for event in gate.withheld if isinstance(event, Governance | Held)] == [
        Governance(0, 0, "claim", "hold", 15, 25)
    ]


def test_block_behind_a_hold_ends_the_response_at_once() -> None:
    gate = gate_of(ruleset(HOLD, BLOCK))
    given = gate.feed(answer("guaranteed zebra "))
    assert gate.stopped == Stop("canary", 0, 0, 11, "policy_blocked")
    assert given[-1] == Marks(0, 0, 17, 0, 0)


def test_too_much_text_behind_a_hold_ends_the_response() -> None:
    gate = gate_of(ruleset(HOLD))
    gate.feed([part(), Delta(0, 0, "guaranteed ")])
    for _ in range(11):
        gate.feed([Delta(0, 0, "long " * 20_000)])
    assert gate.stopped is not None
    assert gate.stopped.code == "guard_failed"


def test_candidate_that_outgrows_every_limit_ends_the_response() -> None:
    gate = gate_of(ruleset(builtin=("private_key",)))
    given = gate.feed([part(), Delta(0, 0, "so: -----BEGIN PRIVATE KEY-----\n"), *[Delta(0, 0, "b" * 64)] * 500])
    assert text_of(given) == "so: "
    assert gate.stopped == Stop("overlong", 0, 0, 4, "policy_blocked")
    (record,) = [event for event in given if isinstance(event, Governance)]
    assert (record.action, record.start, record.detail) == ("block", 4, "overlong")


# rules that watch


def test_flag_is_recorded_and_delays_nothing() -> None:
    gate = gate_of(ruleset(terms("topic", "weather report", action="flag"), MASK))
    gate.feed([part()])
    assert gate.feed([Delta(0, 0, "the weather ")]) == [Delta(0, 0, "the weather ")]
    assert gate.feed([Delta(0, 0, "report ")]) == [
        Governance(0, 0, "topic", "flag", 4, 18),
        Delta(0, 0, "report "),
    ]


def test_flag_never_hides_a_match_that_masks() -> None:
    gate = gate_of(ruleset(terms("topic", "about Ada Lovelace", action="flag"), MASK))
    assert text_of(gate.feed(answer("about Ada Lovelace"))) == "about [name] Lovelace"


def test_escalation_is_told_of() -> None:
    gate = gate_of(ruleset(terms("a", "fire", action="escalate"), terms("b", "smoke", escalate=True)))
    given = gate.feed(answer("fire and smoke "))
    assert sorted(rule.name for rule in gate.escalations) == ["a", "b"]
    assert text_of(given) == "fire and [b] "


def test_dry_run_records_and_changes_nothing() -> None:
    gate = gate_of(ruleset(BLOCK, MASK, HOLD, dry_run=True), dialect="openai-chat")
    extra = Extra(response={"note": "zebra"})
    fed: list[AnyEvent] = [
        part(),
        Delta(0, 0, "Ada, zebra, guaranteed. ", extra),
        part(0, 1, PartKind.OTHER),
        PartDone(0, 0),
    ]
    given = gate.feed(fed) + gate.finish()
    assert [event for event in given if not isinstance(event, Governance | Marks)] == fed
    records = [event for event in given if isinstance(event, Governance)]
    assert [(record.rule, record.action, record.dry) for record in records] == [
        ("name", "mask", True),
        ("canary", "block", True),
        ("claim", "hold", True),
        ("fields", "drop", True),
    ]


# what is no text


def test_part_that_only_one_dialect_knows_does_not_pass_and_the_others_are_numbered_anew() -> None:
    gate = gate_of(ruleset(MASK), dialect="anthropic-messages")
    other = PartStarted(0, 0, PartKind.OTHER, extra=Extra(delta={"type": "server_tool_use", "input": {"q": "Ada"}}))
    given = gate.feed(
        [other, Delta(0, 0, '{"q":"Ada"}'), PartDone(0, 0), part(0, 1), Delta(0, 1, "Hi "), PartDone(0, 1)]
    )
    assert [*given, *gate.finish()] == [
        part(),
        Delta(0, 0, "Hi "),
        Marks(0, 0, 3, 3, 3),
        PartDone(0, 0),
        Governance(-1, -1, "fields", "drop", 0, 0, detail="part.other"),
    ]


def test_fields_that_did_not_pass_are_named_once_and_by_us() -> None:
    gate = gate_of(ruleset(MASK), dialect="openai-chat")
    extra = Extra(choice={"logprobs": {"content": []}, "Ada": 1})
    gate.feed([part(), Delta(0, 0, "a ", extra), Delta(0, 0, "b ", extra), Opaque(0, Extra(response={"x": 1}))])
    assert gate.dropped == {"delta.choice.logprobs", "delta.choice.*", "opaque.response.*"}
    (record,) = gate.finish()
    assert record == Governance(
        -1, -1, "fields", "drop", 0, 0, detail="delta.choice.logprobs, delta.choice.*, opaque.response.*"
    )


def test_fields_that_did_not_pass_are_named_before_a_stop() -> None:
    gate = gate_of(ruleset(BLOCK), dialect="openai-chat")
    given = gate.feed([part(), Opaque(0, Extra(response={"x": 1})), Delta(0, 0, "zebra ")])
    assert Governance(-1, -1, "fields", "drop", 0, 0, detail="opaque.response.*") in given


def test_event_of_nothing_but_such_fields_is_none() -> None:
    gate = gate_of(ruleset(MASK), dialect="openai-chat")
    gate.feed([part()])
    assert gate.feed([Delta(0, 0, "", Extra(choice={"logprobs": {}})), Opaque(0, Extra(delta={"x": "y"}))]) == []


def test_names_and_ids_are_judged() -> None:
    gate = gate_of(ruleset(MASK))
    given = gate.feed(
        [
            AttemptStarted(1, "p", "openai-chat", "m"),
            AttemptDescribed(1, "Ada", "Ada 7", {"system_fingerprint": "Ada"}),
            PartStarted(0, 0, PartKind.TOOL_CALL, "Ada", "ask Ada"),
            PartDone(0, 0),
            ChoiceDone(0, Reason.STOP, "Ada"),
            Usage(1, 2, provider={"prompt_tokens": 1, "Ada": 2}),
            AttemptEnded(1, "upstream_error", 200, "Ada broke it"),
        ]
    )
    assert given == [
        AttemptStarted(1, "p", "openai-chat", "m"),
        AttemptDescribed(1),
        Governance(-1, -1, "name", "mask", 0, 0, detail="tool_name", released=6),
        PartStarted(0, 0, PartKind.TOOL_CALL, "", "ask [name]"),
        Marks(0, 0, 0, 0, 0),
        PartDone(0, 0),
        ChoiceDone(0, Reason.STOP, ""),
        Usage(1, 2, provider={"prompt_tokens": 1}),
        AttemptEnded(1, "upstream_error", 200, "[name] broke it"),
    ]


def test_name_of_a_tool_may_block() -> None:
    gate = gate_of(ruleset(BLOCK))
    given = gate.feed([PartStarted(0, 0, PartKind.TOOL_CALL, "id", "zebra")])
    assert given == [Governance(0, 0, "canary", "block", 0, 0)]
    assert gate.stopped == Stop("canary", 0, 0, 0, "policy_blocked")


def test_signature_of_text_that_was_masked_is_worth_nothing_and_dropped() -> None:
    signature = Extra(delta={"type": "signature_delta", "signature": "EqQB"})
    for text, kept in (("Hm, Ada. ", None), ("Hm. ", signature)):
        gate = gate_of(ruleset(MASK), dialect="anthropic-messages")
        given = gate.feed([part(kind=PartKind.REASONING), Delta(0, 0, text), PartDone(0, 0, signature)])
        assert given[-1] == PartDone(0, 0, kept)


def test_signature_that_comes_with_its_text_waits_for_the_end_of_it() -> None:
    signature = Extra(delta={"thoughtSignature": "EqQB"})
    gate = gate_of(ruleset(MASK), dialect="gemini")
    assert gate.feed([part(), Delta(0, 0, "by A", signature)]) == [part(), Delta(0, 0, "by ")]
    assert gate.feed([PartDone(0, 0)])[0] == Delta(0, 0, "A", signature)
    gate = gate_of(ruleset(MASK), dialect="gemini")
    given = gate.feed([part(), Delta(0, 0, "by Ada", signature), PartDone(0, 0)])
    assert text_of(given) == "by [name]"
    assert not any(isinstance(event, Delta) and event.extra for event in given)


def test_failure_of_the_provider_is_a_text_like_any_other() -> None:
    gate = gate_of(ruleset(MASK), dialect="openai-chat")
    detail = {"type": "server_error", "param": "Ada", "code": 7}
    failure = gate.failure(Failure("upstream_error", "Ada is out", detail=detail))
    assert (failure.message, failure.detail) == ("[name] is out", {"type": "server_error", "code": 7})
    blocked = gate_of(ruleset(BLOCK)).failure(Failure("upstream_error", "a zebra"))
    assert blocked.message == "The provider answered with an error."


def test_items_are_counted_without_those_that_did_not_pass() -> None:
    gate = gate_of(ruleset(MASK), dialect="openai-responses")
    item: dict[str, Any] = {
        "type": "response.output_item.added",
        "output_index": 1,
        "item": {"type": "message", "id": "msg_1"},
    }
    given = gate.feed(
        [
            PartStarted(
                0, 0, PartKind.OTHER, extra=Extra(choice={"output_index": 0}, delta={"type": "web_search_call"})
            ),
            PartDone(0, 0),
            Opaque(0, Extra(response=item)),
            PartStarted(0, 1, PartKind.TEXT, extra=Extra(choice={"output_index": 1, "content_index": 0})),
            Opaque(0, Extra(response={"type": "response.web_search_call.completed", "output_index": 0})),
        ]
    )
    assert given == [
        Opaque(0, Extra(response=item | {"output_index": 0})),
        PartStarted(0, 0, PartKind.TEXT, extra=Extra(choice={"output_index": 0, "content_index": 0})),
    ]


def test_events_of_ours_pass_as_they_are() -> None:
    ours: list[AnyEvent] = [ResponseStarted("resp_1", "app", "gemini", "Ada", 1), Terminal("completed")]  # type: ignore[arg-type]
    assert gate_of(ruleset(MASK)).feed(ours) == ours


def test_answer_that_breaks_off_releases_what_was_kept() -> None:
    gate = gate_of(ruleset(MASK))
    gate.feed([part(), Delta(0, 0, "so Ad")])
    assert gate.finish() == [Delta(0, 0, "Ad")]


@pytest.mark.parametrize("size", [1, 2, 7])
def test_where_a_read_ended_never_shows(size: int) -> None:
    events = answer("Ada ", "saw ", "Gra", "ce and", " others", choice=0)
    one = gate_of(ruleset(MASK))
    whole = one.feed(events) + one.finish()
    other = gate_of(ruleset(MASK))
    pieces = [other.feed(events[at : at + size]) for at in range(0, len(events), size)]
    assert [event for piece in pieces for event in piece] + other.finish() == whole


@pytest.mark.parametrize("length", [256, 500, 2_000])
def test_secret_that_the_end_of_a_long_message_cuts_in_two_is_not_shown(length: int) -> None:
    gate = gate_of(compile_policy("default", DEFAULT))
    for secret in ("4111 1111 1111 11", "sk-ant-a1B2c3D4e5", "ada.lovelace@exam", "-----BEGIN PRIVATE KEY-----\nMIIE"):
        said = "It is " + "so " * (length // 3)
        message = said[: length - len(secret) - 1] + " " + secret
        failure = gate.failure(Failure("upstream_error", message))
        assert len(message) == length
        assert message.startswith(failure.message)
        assert secret.split()[0] not in failure.message


def test_escapes_of_json_in_a_message_hide_nothing() -> None:
    gate = gate_of(compile_policy("default", DEFAULT))
    failure = gate.failure(Failure("upstream_error", r'bad body {"a":"x\n4111111111111111","b":"jo\u0040example.com"}'))
    assert failure.message == r'bad body {"a":"x\n[credit_card]","b":"[email]"}'
