"""The policies in force together, made of the tables of a file: checked, compiled, with a version of their own.

Tables are kept as they were written, ``${NAME}`` and all, because that is what an earlier set is built of again: a
secret never stands in what is kept. Nothing is read here: the text of files with terms is handed in.
Invariant: a set is whole or it is not there; whatever is wrong with it is found at once, each with its place.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from headgate.governance.ruleset import GATES, Ruleset, compile_policy, gate_problems, rule_problems
from headgate.places import Location, Problem
from headgate.policies import DEFAULT, Policy, Rule
from headgate.section import Name

TERM_CHARS_MAX: Final = 1_000
"""Of one line of a file with terms: more is a file of something else."""
MASKED: Final = "*" * 10
"""What stands for a secret in what is shown."""
_SECRETS: Final = frozenset({"secret", "api_key"})
_REFERENCE: Final = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
"""All of a value that may be shown where a secret stands."""
_Tables: Final = TypeAdapter(dict[Name, Policy])


class PolicySource(NamedTuple):
    """What a set is made of."""

    tables: dict[str, Any]
    """``[policies.*]`` as they were written."""
    files: dict[str, str]
    """Text of the files with terms, by the name that `terms_file` has."""


class PolicySet(NamedTuple):
    """Policies that are in force together."""

    version: str
    """12 hex digits that change whenever one of them does. Secrets are not in it."""
    rulesets: dict[str, Ruleset]
    source: PolicySource

    @classmethod
    def of(cls, policies: Mapping[str, Policy], source: PolicySource) -> PolicySet:
        """Compiled, with ``default`` among them. Raises `PolicyError`."""
        rulesets = {
            name: compile_policy(name, policy) for name, policy in ({"default": DEFAULT} | dict(policies)).items()
        }
        return cls(digest({name: ruleset.version for name, ruleset in rulesets.items()}), rulesets, source)

    @property
    def versions(self) -> dict[str, str]:
        """Of each policy."""
        return {name: ruleset.version for name, ruleset in sorted(self.rulesets.items())}


def build(tables: dict[str, Any], source: PolicySource) -> tuple[PolicySet | None, list[Problem]]:
    """The set of `tables`, which are those of `source` with the environment in them; or everything that is wrong."""
    problems: list[Problem] = []
    tables = with_terms(tables, source.files, problems)
    policies: dict[str, Policy] = {}
    try:
        policies = _Tables.validate_python(tables)
    except ValidationError as error:
        problems += [(("policies", *item["loc"]), said(item)) for item in error.errors()]
    problems += compile_problems(tables)
    if problems:
        return None, problems
    return PolicySet.of(policies, source), []


def with_terms(tables: dict[str, Any], files: Mapping[str, str], problems: list[Problem]) -> dict[str, Any]:
    """The tables with the terms of their files in them, and complaints about masked secrets and unfit files."""
    changed = {}
    for name, table in tables.items():
        changed[name] = table
        problems += [
            (("policies", name, *at), "a masked secret: write the secret, or ${NAME}") for at in _masked(table)
        ]
        rules = table.get("rules") if isinstance(table, dict) else None
        if isinstance(rules, list):
            read = [
                _rule_with_terms(rule, files, problems, ("policies", name, "rules", i)) for i, rule in enumerate(rules)
            ]
            changed[name] = table | {"rules": read}
    return changed


def _rule_with_terms(rule: Any, files: Mapping[str, str], problems: list[Problem], at: Location) -> Any:
    wanted = rule.get("terms_file") if isinstance(rule, dict) else None
    if not isinstance(wanted, str) or not isinstance(rule.get("terms", []), list):
        return rule
    text = files.get(wanted)
    if text is None:
        return rule  # whoever reads the files has complained
    terms = [line for line in (line.strip() for line in text.splitlines()) if line]
    long = next((term for term in terms if len(term) > TERM_CHARS_MAX), None)
    if long is not None:
        problems.append(((*at, "terms_file"), f"a line of {wanted!r} has more than {TERM_CHARS_MAX} characters"))
    elif not terms:
        problems.append(((*at, "terms_file"), f"{wanted!r} holds no terms"))
    return rule | {"terms": [*rule.get("terms", []), *terms]}


def terms_files(tables: Mapping[str, Any]) -> Iterator[tuple[Location, str]]:
    """Where a file with terms is asked for, and its name."""
    for name, table in tables.items():
        rules = table.get("rules") if isinstance(table, dict) else None
        for index, rule in enumerate(rules if isinstance(rules, list) else []):
            wanted = rule.get("terms_file") if isinstance(rule, dict) else None
            if isinstance(wanted, str):
                yield ("policies", name, "rules", index, "terms_file"), wanted


def compile_problems(tables: Any) -> list[Problem]:
    """What is wrong beyond the settings themselves, in the parts whose settings are right."""
    found: list[Problem] = []
    for name, table in tables.items() if isinstance(tables, dict) else ():
        given = table.get("rules") if isinstance(table, dict) else None
        rules = [_sound(rule) for rule in given] if isinstance(given, list) else []
        own = {str(rule.get("name")) for rule in given if isinstance(rule, dict)} if isinstance(given, list) else set()
        problems = [problem for index, rule in enumerate(rules) if rule for problem in rule_problems(index, rule)]
        for gate in GATES:
            asked = table.get(gate) if isinstance(table, dict) else None
            names = [str(item) for item in asked] if isinstance(asked, list) else []
            problems += gate_problems(gate, names, own)
        found += [(("policies", name, *place), text) for place, text in problems]
    return found


def _sound(rule: Any) -> Rule | None:
    """A rule by itself, if its settings are right."""
    try:
        return Rule.model_validate(rule)
    except ValidationError:
        return None


def digest(value: Any) -> str:
    """12 hex digits of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Names of the policies that differ, came or went, from their versions."""
    return [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]


def source_of(policies: Mapping[str, Policy]) -> PolicySource:
    """For a configuration that was not read from a file. Secrets are masked, so a set that has some cannot be built of it."""
    return PolicySource({name: p.model_dump(mode="json", exclude_defaults=True) for name, p in policies.items()}, {})


def said(item: Any) -> str:
    """An error of pydantic's as a line of ours."""
    if item["type"] == "extra_forbidden":
        return "unknown key"
    return str(item["msg"]).removeprefix("Value error, ")


def _masked(value: Any) -> Iterator[Location]:
    pairs: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    for key, item in pairs:
        if key in _SECRETS and item == MASKED:
            yield (key,)
        elif isinstance(item, dict | list):
            for rest in _masked(item):
                yield (key, *rest)


def toml(source: PolicySource) -> str:
    """The tables as TOML, secrets that are written out masked."""
    blocks = [
        block for name, table in source.tables.items() for block in _table(f"policies.{_key(name)}", table, "[{}]")
    ]
    return "\n\n".join(blocks) + "\n" if blocks else ""


def _table(path: str, table: Mapping[str, Any], header: str) -> Iterator[str]:
    lines, below = [header.format(path)], []
    for key, value in table.items():
        inner = f"{path}.{_key(key)}"
        if isinstance(value, dict):
            below += list(_table(inner, value, "[{}]"))
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            below += [block for item in value for block in _table(inner, item, "[[{}]]")]
        else:
            secret = key in _SECRETS and not (isinstance(value, str) and _REFERENCE.fullmatch(value))
            lines.append(f"{_key(key)} = {_value(MASKED if secret else value)}")
    yield "\n".join(lines)
    yield from below


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if bare else _value(key)


def _value(value: Any) -> str:
    """A value of TOML on one line. Strings are those of JSON, but for DEL."""
    match value:
        case list():
            return "[" + ", ".join(_value(item) for item in value) + "]"
        case dict():
            return "{" + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + "}"
        case float() if value != value or value in (float("inf"), float("-inf")):
            return str(value)
        case str() | int() | float():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case _:
            return _value(str(value))
