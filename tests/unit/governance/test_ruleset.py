"""Policies made ready: which rule goes into which group, and what a policy is refused for."""

from __future__ import annotations

from typing import Any

import pytest

from headgate.errors import PolicyError
from headgate.governance.matching.scanner import Found, scan
from headgate.governance.ruleset import compile_policy
from headgate.policies import DEFAULT, DEFAULT_RULES, Action, Policy, Rule


def policy(**settings: Any) -> Policy:
    return Policy.model_validate(settings, strict=False)


def terms(name: str, *words: str, **settings: Any) -> dict[str, Any]:
    return {"name": name, "detector": "terms", "terms": list(words), **settings}


def complaints(**settings: Any) -> dict[tuple[str | int, ...], str]:
    with pytest.raises(PolicyError) as refused:
        compile_policy("p", policy(**settings))
    return dict(refused.value.problems)


def test_default_policy_compiles_and_has_its_rules_in_their_order() -> None:
    rules = compile_policy("default", DEFAULT)
    assert tuple(rule.name for rule in rules.stream.acting_rules) == DEFAULT_RULES
    assert rules.checks == ("rescan", "json_schema")
    assert rules.request.empty
    assert rules.final.empty


def test_rules_that_change_the_text_and_rules_that_watch_run_apart() -> None:
    own = [terms("seen", "acme", action="flag"), terms("told", "corp", action="mask")]
    group = compile_policy("p", policy(stream=["seen", "told", "email"], rules=own)).stream
    assert [rule.name for rule in group.acting_rules] == ["told", "email"]
    assert [rule.name for rule in group.watching_rules] == ["seen"]


def test_in_a_dry_run_every_rule_only_watches() -> None:
    group = compile_policy("p", policy(stream=["email"], action="block", dry_run=True)).stream
    assert not group.acting_rules
    assert [rule.action for rule in group.watching_rules] == [Action.BLOCK]


def test_rules_that_need_meaning_are_in_no_automaton() -> None:
    own: list[dict[str, Any]] = [
        {"name": "asks", "detector": "callable", "callable": "m:f"},
        {"name": "looks", "detector": "regex", "pattern": "(a)\\1", "lane": True},
    ]
    group = compile_policy("p", policy(stream=["asks", "email", "looks"], rules=own)).stream
    assert [rule.name for rule in group.judged] == ["asks", "looks"]
    assert [rule.name for rule in group.acting_rules] == ["email"]


def test_rule_without_action_has_the_policys_and_masks_with_its_name() -> None:
    own = [terms("a", "x"), terms("b", "y", action="hold", mask="", risk="high")]
    first, second = compile_policy("p", policy(stream=["a", "b"], action="block", rules=own)).stream.acting_rules
    assert (first.action, first.mask, first.risk) == (Action.BLOCK, "[a]", "low")
    assert (second.action, second.mask, second.risk) == (Action.HOLD, "", "high")


def test_rule_of_ones_own_may_have_the_name_of_a_built_in_detector_and_comes_first() -> None:
    group = compile_policy("p", policy(stream=["email"], rules=[terms("email", "acme")])).stream
    assert [item.text for item in scan(group.acting, "acme a@example.com") if isinstance(item, Found)] == ["acme"]


def test_rule_of_ones_own_may_use_a_built_in_detector() -> None:
    own = [{"name": "mail", "detector": "email", "action": "block"}]
    group = compile_policy("p", policy(stream=["mail"], rules=own)).stream
    assert [item.text for item in scan(group.acting, "to a@example.com") if isinstance(item, Found)] == [
        "a@example.com"
    ]


def test_canary_is_found_inside_words_and_a_term_is_not() -> None:
    own = [{"name": "canary", "detector": "canary", "terms": ["c4n4ry"]}, terms("word", "term")]
    group = compile_policy("p", policy(stream=["canary", "word"], rules=own)).stream
    found = [item.text for item in scan(group.acting, "xc4n4ryx terminal term") if isinstance(item, Found)]
    assert found == ["c4n4ry", "term"]


def test_final_takes_checks_beside_rules_and_a_rule_of_that_name_is_no_check() -> None:
    rules = compile_policy("p", policy(final=["length", "email", "rescan"], rules=[terms("length", "long")]))
    assert rules.checks == ("rescan",)
    assert [rule.name for rule in rules.final.acting_rules] == ["length", "email"]


def test_names_that_name_nothing_are_refused_by_gate_and_position() -> None:
    found = complaints(request=["email", "x"], stream=["rescan"], final=["drift", "y"])
    assert set(found) == {("request", 1), ("stream", 0), ("final", 1)}


def test_everything_that_is_wrong_with_rules_is_reported_at_once() -> None:
    own = [
        {"name": "a", "detector": "smoke"},
        {"name": "b", "detector": "regex", "pattern": "ax*"},
        {"name": "c", "detector": "regex", "pattern": "(", "lane": True},
        {"name": "d", "detector": "terms", "terms_file": "never-read.txt"},
    ]
    found = complaints(rules=own)
    places = [("rules", 0, "detector"), ("rules", 1, "pattern"), ("rules", 2, "pattern"), ("rules", 3, "terms_file")]
    assert list(found) == places
    assert "(at 2)" in found["rules", 1, "pattern"]


def test_error_of_a_policy_has_a_stable_code() -> None:
    with pytest.raises(PolicyError) as refused:
        compile_policy("p", policy(stream=["nothing"]))
    assert refused.value.code == "policy_invalid"


@pytest.mark.parametrize(
    "change", [{"action": "block"}, {"stream": ["iban"]}, {"rules": [terms("a", "x")]}, {"dry_run": True}]
)
def test_version_changes_with_every_setting(change: dict[str, Any]) -> None:
    before = {"stream": ["email"], "action": "mask"}
    assert compile_policy("p", policy(**before)).version != compile_policy("p", policy(**before | change)).version


def test_version_is_the_same_with_another_secret() -> None:
    def version(key: str) -> str:
        own = Rule.model_validate({"name": "m", "detector": "moderation", "url": "https://x.example", "api_key": key})
        return compile_policy("p", Policy(stream=["m"], rules=[own])).version

    assert version("one") == version("two")


@pytest.mark.parametrize(
    "secret",
    ["4111111111111111", "123-45-6789", "+49 30 901820", "10.1.2.3", "ada@example.com", "ghp_" + "a1B2c3D4e5F6" * 3],
)
def test_built_in_detectors_find_what_stands_behind_an_escape(secret: str) -> None:
    rules = compile_policy("default", DEFAULT)
    given = scan(rules.stream.acting, f'"so\\n{secret}\\n"')
    assert [piece for piece in given if isinstance(piece, str)] == ['"so\\n', '\\n"']
    assert [piece.text for piece in given if not isinstance(piece, str)] == [secret]
