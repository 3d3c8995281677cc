"""A secret in any string of a provider's answer, known or not, is nowhere in what any reader is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, Final

import pytest

from headgate.governance.ruleset import compile_policy
from headgate.policies import DEFAULT
from tests.unit.goldens import cases
from tests.unit.governance.delivered import governed_log, is_legal, shown, upstream

RULES: Final = compile_policy("default", DEFAULT)
EMAIL: Final = "jane.roe@example.com"
CARD: Final = "4111111111111111"
DIALECTS: Final = ("openai-chat", "openai-responses", "anthropic-messages", "gemini")
CASES: Final = [pytest.param(dialect, case, id=f"{dialect}-{case}") for dialect in DIALECTS for case in cases(dialect)]
LINE: Final = re.compile(rb"^data:[ ]?(\{.*\}|\[\{.*\}\])\r?$", re.MULTILINE)

Plant = Callable[[Any], None]


def frames_of(data: bytes, *, whole: bool) -> list[tuple[int, int, Any]]:
    """Where JSON stands in the bytes, and its value."""
    if whole:
        try:
            return [(0, len(data), json.loads(data))]
        except ValueError:
            return []
    found = []
    for line in LINE.finditer(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")):
        try:
            found.append((line.start(1), line.end(1), json.loads(line[1])))
        except ValueError:
            continue
    return found


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Every string, every key and every object of a value: what it is, and where."""
    if isinstance(value, dict):
        yield "object", path
        for key, item in value.items():
            yield "key", (*path, key)
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        yield "list", path
        for index, item in enumerate(value):
            yield from places(item, (*path, index))
    elif isinstance(value, str):
        yield "string", path


def planted(value: Any, what: str, path: tuple[Any, ...], secret: str) -> Any:
    """A copy of the value with the secret in one place."""
    copy = deepcopy(value)
    if not path:
        if what == "object":
            return {**copy, "x_note": secret, "x_deep": {"x": [secret, {secret: 1}]}}
        return [*copy, secret] if what == "list" else secret
    at = copy
    for step in path[:-1]:
        at = at[step]
    last = path[-1]
    if what == "key":
        at[secret] = at.pop(last)
    elif what == "object":
        at[last] = {**at[last], "x_note": secret, "x_deep": {"x": [secret, {secret: 1}]}}
    elif what == "list":
        at[last] = [*at[last], secret]
    else:
        at[last] = secret
    return copy


def shape(value: Any, what: str, path: tuple[Any, ...]) -> tuple[Any, ...]:
    """Places of one shape need one secret among them; the type of the event is part of it."""
    kind = value.get("type") if isinstance(value, dict) else None
    inner = value
    kinds = []
    for step in path:
        inner = inner[step]
        if isinstance(inner, dict):
            kinds.append(inner.get("type"))
    return (what, kind, *kinds, *("[]" if isinstance(step, int) else step for step in path))


def is_glued(secret: str, text: str) -> bool:
    """The secret stands inside of a longer word, so that no rule takes it for one: it became part of some prose."""
    return re.search(rf"\w{secret}|{secret}\w|\d[ -]?{CARD}|{CARD}[ -]?\d", text) is not None


@pytest.mark.parametrize(("dialect", "case"), CASES)
def test_secret_planted_anywhere_in_an_answer_is_never_shown(dialect: str, case: str) -> None:
    data, whole, choices = upstream(dialect, case)
    plain = data if whole else data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    seen: set[tuple[Any, ...]] = set()
    for start, end, value in frames_of(data, whole=whole):
        for what, path in places(value):
            if (found := shape(value, what, path)) in seen:
                continue
            seen.add(found)
            for secret in (f" {EMAIL} ", EMAIL, CARD) if what == "string" else (EMAIL,):
                frame = json.dumps(planted(value, what, path, secret), ensure_ascii=False).encode()
                check(dialect, plain[:start] + frame + plain[end:], (what, path, secret), whole=whole, choices=choices)


def check(dialect: str, data: bytes, place: Any, *, whole: bool, choices: int) -> None:
    secret = place[2].strip()
    log = governed_log(RULES, dialect, data, whole=whole, choices=choices)
    assert is_legal(log)
    for reader, given in shown(log).items():
        text = given.decode()
        if secret in text and not is_glued(secret, text):
            raise AssertionError(f"{reader} was shown the secret at {place}:\n{text}")


def test_without_a_policy_the_secret_is_shown() -> None:
    """What is tested here can fail."""
    chunk = {"choices": [{"index": 0, "delta": {"content": "Hi", "x_note": EMAIL}, "finish_reason": "stop"}]}
    data = b"data: " + json.dumps(chunk).encode() + b"\n\ndata: [DONE]\n\n"
    ungoverned = shown(governed_log(None, "openai-chat", data, whole=False, choices=1))
    governed = shown(governed_log(RULES, "openai-chat", data, whole=False, choices=1))
    assert {name for name, given in ungoverned.items() if EMAIL.encode() in given} >= {"headgate", "openai-chat"}
    assert not [name for name, given in governed.items() if EMAIL.encode() in given]
