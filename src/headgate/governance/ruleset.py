"""A policy made ready to run: names become detectors, detectors become automata.

Three groups of rules, one for each gate. In a group, rules that change the text run in one automaton, so that
leftmost, longest and rule order decide between them; rules that only watch (`flag`, `escalate`, a dry run) run in
another, because a match that changes nothing must never hide one that does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

import regex

from headgate.errors import PolicyError
from headgate.governance.detectors import DETECTORS
from headgate.governance.matching.automaton import Automaton, PatternError, Source
from headgate.governance.matching.pattern import check_bounded
from headgate.places import Problem
from headgate.policies import FINAL_CHECKS, Action, Detect, Policy, Rule

GATES: Final = ("request", "stream", "final")
"""Settings of a policy that list rules."""
WATCHING: Final = frozenset({Action.FLAG, Action.ESCALATE})
"""Actions that let the text pass."""


class ActiveRule(NamedTuple):
    """One rule of a group."""

    name: str
    action: Action
    mask: str
    escalate: bool
    risk: str
    settings: Rule | None = None
    """Of a rule of the policy's own; None for a built-in detector."""


class RuleGroup(NamedTuple):
    """The rules of one gate."""

    acting: Automaton
    acting_rules: tuple[ActiveRule, ...]
    watching: Automaton
    watching_rules: tuple[ActiveRule, ...]
    judged: tuple[ActiveRule, ...]
    """Rules that need meaning: they are asked (`headgate.judges`)."""

    @property
    def empty(self) -> bool:
        return not (self.acting_rules or self.watching_rules or self.judged)


class Ruleset(NamedTuple):
    """A policy, compiled."""

    name: str
    version: str
    policy: Policy
    request: RuleGroup
    stream: RuleGroup
    final: RuleGroup
    checks: tuple[str, ...]
    """What else the final gate does; of `policies.FINAL_CHECKS`."""


def compile_policy(name: str, policy: Policy) -> Ruleset:
    """Make a policy ready. Raises `PolicyError` with everything that is wrong with it."""
    own = {rule.name: rule for rule in policy.rules}
    problems = [problem for index, rule in enumerate(policy.rules) for problem in rule_problems(index, rule)]
    problems += [problem for gate in GATES for problem in gate_problems(gate, getattr(policy, gate), own)]
    if problems:
        raise PolicyError(problems)
    rules = {asked: _active(policy, asked, own.get(asked)) for asked in _asked(policy)}
    checks = tuple(check for check in policy.final if check in FINAL_CHECKS and check not in own)
    groups = [[rules[asked] for asked in getattr(policy, gate) if asked in rules] for gate in GATES]
    request, stream, final = (_group(group, dry_run=policy.dry_run) for group in groups)
    return Ruleset(name, policy.version, policy, request, stream, final, checks)


def _asked(policy: Policy) -> list[str]:
    own = {rule.name for rule in policy.rules}
    return [name for name in (*policy.request, *policy.stream, *policy.final) if name in own or name in DETECTORS]


def _active(policy: Policy, name: str, rule: Rule | None) -> ActiveRule:
    if rule is None:
        return ActiveRule(name, policy.action, f"[{name}]", False, "low")
    mask = f"[{name}]" if rule.mask is None else rule.mask
    return ActiveRule(name, rule.action or policy.action, mask, rule.escalate, rule.risk, rule)


def _group(rules: list[ActiveRule], *, dry_run: bool) -> RuleGroup:
    judged = tuple(rule for rule in rules if rule.settings is not None and rule.settings.judged)
    plain = [rule for rule in rules if rule not in judged]
    watching = tuple(rule for rule in plain if dry_run or rule.action in WATCHING)
    acting = tuple(rule for rule in plain if rule not in watching)
    return RuleGroup(
        Automaton([_source(r) for r in acting]), acting, Automaton([_source(r) for r in watching]), watching, judged
    )


def _source(rule: ActiveRule) -> Source:
    settings = rule.settings
    if settings is None or settings.detector in DETECTORS:
        detector = DETECTORS[rule.name if settings is None else settings.detector]
        return Source(patterns=detector.patterns, check=detector.check, ignore_case=detector.ignore_case, escapes=True)
    if settings.detector == Detect.REGEX:
        assert settings.pattern is not None
        return Source(patterns=(settings.pattern,), ignore_case=settings.ignore_case)
    words = settings.words and settings.detector == Detect.TERMS
    return Source(terms=tuple(settings.terms), words=words, ignore_case=settings.ignore_case)


def gate_problems(gate: str, asked: Sequence[str], own: Collection[str]) -> Iterator[Problem]:
    """Names in the list of a gate that name nothing; `own` are the names of the policy's own rules."""
    for position, name in enumerate(asked):
        if name not in own and name not in DETECTORS and not (gate == "final" and name in FINAL_CHECKS):
            yield (gate, position), f"{name!r} is neither a built-in detector nor a rule of the policy"


def rule_problems(index: int, rule: Rule) -> Iterator[Problem]:
    """What is wrong with a rule beyond its settings."""
    if rule.detector not in DETECTORS and rule.detector not in set(Detect):
        known = ", ".join([*sorted(DETECTORS), *(str(kind) for kind in Detect)])
        yield ("rules", index, "detector"), f"there is no detector {rule.detector!r}; there are: {known}"
    if rule.terms_file is not None and not rule.terms:
        yield ("rules", index, "terms_file"), "no terms were read from it"
    if rule.detector == Detect.REGEX and rule.pattern is not None:
        text = _expression_problem(rule.pattern, lane=rule.lane)
        if text is not None:
            yield ("rules", index, "pattern"), text


def _expression_problem(pattern: str, *, lane: bool) -> str | None:
    try:
        if lane:
            regex.compile(pattern)
        else:
            check_bounded(pattern)
    except PatternError as error:
        return f"{error} (at {error.at}); 'lane = true' takes any expression, and judges sentences"
    except (regex.error, OverflowError, RecursionError) as error:
        return f"no regular expression: {error}"
    return None
