"""A policy tried on a text: the same ranges whatever the size of the pieces, and what each gate would say."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.governance.judgement import Judgement, Outcome, Span
from headgate.governance.ruleset import ActiveRule, Ruleset, compile_policy
from headgate.governance.trial import Range, try_final, try_request, try_stream
from headgate.policies import Policy

TEXT = "Write to ada@example.com or to Acme, card 4111 1111 1111 1111."
TERMS = {"name": "names", "detector": "terms", "terms": ["acme"], "action": "flag"}
MEANING = {"name": "mean", "detector": "callable", "callable": "m:f"}
WEBHOOK = {"url": "https://example.com/x", "secret": "whsec_" + b64encode(b"0" * 32).decode()}


def rules(**settings: Any) -> Ruleset:
    return compile_policy("p", Policy.model_validate(settings, strict=False))


def test_ranges_say_what_becomes_of_each_match() -> None:
    trial = try_stream(rules(stream=["email", "names", "credit_card"], rules=[TERMS]), TEXT, chunk=4, ask=None)
    assert trial.ranges == [
        Range(9, 24, "email", "mask", "[email]", "stream"),
        Range(31, 35, "names", "flag", None, "stream"),
        Range(42, 61, "credit_card", "mask", "[credit_card]", "stream"),
    ]
    assert trial.released == "Write to [email] or to Acme, card [credit_card]."
    assert (trial.outcome, trial.acted) == ("passed", True)


@given(st.integers(1, 70))
def test_size_of_the_pieces_changes_nothing_but_what_is_held_back(chunk: int) -> None:
    tried = rules(stream=["email", "names", "credit_card"], placeholder="numbered", rules=[TERMS])
    trial, whole = try_stream(tried, TEXT, chunk=chunk, ask=None), try_stream(tried, TEXT, chunk=len(TEXT), ask=None)
    assert trial._replace(hold_back=None) == whole._replace(hold_back=None)
    assert trial.hold_back is not None
    assert 0 <= trial.hold_back.mean <= trial.hold_back.most <= len(TEXT)


@pytest.mark.parametrize(("action", "outcome"), [("block", "blocked"), ("hold", "held")])
def test_what_is_released_ends_where_a_rule_stops_the_text(action: str, outcome: str) -> None:
    trial = try_stream(rules(stream=["email"], action=action), TEXT, chunk=4, ask=None)
    assert (trial.released, trial.outcome, trial.rule) == ("Write to ", outcome, "email")
    assert [(found.start, found.action) for found in trial.ranges] == [(9, action)]


def test_dry_run_says_what_would_have_been() -> None:
    trial = try_stream(rules(stream=["email"], action="block", dry_run=True), TEXT, chunk=4, ask=None)
    assert (trial.released, trial.outcome, trial.acted) == (TEXT, "passed", True)
    assert trial.ranges == [Range(9, 24, "email", "block", None, "stream", dry=True)]


def test_text_that_nothing_matches_is_released_and_nothing_acted() -> None:
    for trial in (
        try_stream(rules(stream=["email"]), "hello", chunk=2, ask=None),
        try_request(rules(request=["email"]), "hello", ask=None),
        try_final(rules(final=["rescan", "email", "length"]), "hello", ask=None),
    ):
        assert (trial.released, trial.outcome, trial.acted, trial.ranges) == ("hello", "passed", False, [])


def test_request_gate_shows_what_would_be_sent() -> None:
    trial = try_request(rules(request=["email"]), TEXT, ask=None)
    assert trial.ranges == [Range(9, 24, "email", "mask", "[email]", "request")]
    assert trial.released == TEXT.replace("ada@example.com", "[email]")
    blocked = try_request(rules(request=["email"], action="block"), TEXT, ask=None)
    assert (blocked.released, blocked.outcome, blocked.rule) == ("", "blocked", "email")


def test_final_gate_shows_the_checks_that_fail() -> None:
    trial = try_final(rules(final=["length"], length={"chars_max": 3}), "too long", ask=None)
    assert (trial.outcome, trial.rule, trial.released, trial.acted) == ("blocked", "length", "", True)
    assert [(verdict.rule, verdict.outcome) for verdict in trial.verdicts] == [("length", "fail")]


def test_final_gate_shows_the_safe_text() -> None:
    replaced = {"retract": True, "on_failure": "replace", "replacement": "safe"}
    trial = try_final(rules(final=["length"], length={"chars_max": 3}, **replaced), "too long", ask=None)
    assert (trial.outcome, trial.released) == ("replaced", "safe")


@pytest.mark.parametrize("gate", ["request", "stream", "final"])
def test_rules_that_need_meaning_are_named_where_they_are_not_asked(gate: str) -> None:
    tried = rules(**{gate: ["mean"]}, rules=[MEANING])
    tries = {
        "request": lambda: try_request(tried, TEXT, ask=None),
        "stream": lambda: try_stream(tried, TEXT, chunk=4, ask=None),
        "final": lambda: try_final(tried, TEXT, ask=None),
    }
    trial = tries[gate]()
    assert (trial.not_asked, trial.outcome, trial.released) == (("mean",), "passed", TEXT)


def test_rules_that_need_meaning_are_asked_on_demand() -> None:
    def ask(rule: ActiveRule, text: str) -> Judgement:
        at = text.find("Acme")
        return Judgement(Outcome.PASS) if at < 0 else Judgement(Outcome.FAIL, (Span(at, at + 4),))

    tried = rules(stream=["mean"], request=["mean"], rules=[MEANING])
    for trial in (try_stream(tried, TEXT, chunk=4, ask=ask), try_request(tried, TEXT, ask=ask)):
        assert trial.released == TEXT.replace("Acme", "[mean]")
        assert trial.not_asked == ()
