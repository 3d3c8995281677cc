"""JSON text as it comes: what is judged is what a reader of the JSON will see; what is not matched stays as it came."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.governance.matching.automaton import Automaton, Source
from headgate.governance.matching.json_text import SCALAR_CHARS_MAX, JsonFound, JsonScanner
from headgate.governance.matching.scanner import Found, scan

AUTOMATON: Final = Automaton(
    [
        Source(patterns=(r"\b[a-z0-9.]+@[a-z]+\.[a-z]+\b",)),
        Source(patterns=(r"\b\d{4}[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}\b",)),
        Source(terms=("é😀", "true"), words=False),
    ]
)
MASKS: Final = ("[email]", '[the "card"]', "[é]")


def gated(pieces: Iterable[str]) -> str:
    """What leaves, with masks in it."""
    scanner = JsonScanner(AUTOMATON)
    given = [*[scanner.feed(piece) for piece in pieces], scanner.finish()]
    found = [piece for some in given for piece in ([some] if isinstance(some, str) else some)]
    assert scanner.decided == scanner.position
    return "".join([piece if isinstance(piece, str) else piece.spelled(MASKS[piece.rule]) for piece in found])


def redacted(text: str) -> str:
    return "".join([piece if isinstance(piece, str) else MASKS[piece.rule] for piece in scan(AUTOMATON, text)])


def deep(value: Any) -> Any:
    """The reference: every key, string, number and literal by itself."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {redacted(key): deep(item) for key, item in value.items()}
    if isinstance(value, list):
        return [deep(item) for item in value]
    found = [piece for piece in scan(AUTOMATON, json.dumps(value)) if isinstance(piece, Found)]
    return MASKS[found[0].rule] if found else value


TEXTS: Final = st.sampled_from(
    [
        "",
        "a",
        "jo@x.org",
        "4111 1111 1111 1111",
        'say "jo@x.org"',
        "\\",
        "é😀",
        "\n",
        "true",
        "\x00",
        "4111",
        "é",
        "😀",
        "/",
    ]
)
VALUES: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([4111111111111111, 1.5, -0.25e-7])
    | st.lists(TEXTS, max_size=3).map("".join),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def cut(text: str, places: Iterable[int]) -> list[str]:
    ends = sorted({place % (len(text) + 1) for place in places})
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]


@given(VALUES, st.booleans(), st.sampled_from([None, 1]), st.lists(st.integers(0, 10_000), max_size=6))
def test_gated_json_is_the_redacted_value_however_it_was_cut(
    value: Any, ascii: bool, indent: int | None, at: list[int]
) -> None:
    text = json.dumps(value, ensure_ascii=ascii, indent=indent)
    assert json.loads(gated(cut(text, at))) == deep(json.loads(text))


@given(st.text('{}[],:" \\u0e9ad8DCbtrue@.41 -\n', max_size=40), st.lists(st.integers(0, 10_000), max_size=6))
def test_any_text_is_governed_and_nothing_of_it_is_lost_however_it_was_cut(text: str, at: list[int]) -> None:
    assert gated(cut(text, at)) == gated([text])


def test_json_without_a_match_is_given_back_byte_for_byte() -> None:
    text = ' { "a" : "\\u00e9\\ud83d\\ude00x\\/" , "b":[1.50,-0,1E5 , null],"c" : {} }\n'
    automaton = Automaton([Source(terms=("nothing",))])
    scanner = JsonScanner(automaton)
    assert "".join([str(scanner.feed(char)) for char in text]) + str(scanner.finish()) == text


def test_match_that_is_spelled_in_escapes_is_found() -> None:
    assert gated(['{"mail":"j\\u006f\\u0040x.org"}']) == '{"mail":"[email]"}'
    assert gated(['["\\u00e9\\ud8', "3d\\ude", '00"]']) == '["[é]"]'


def test_mask_is_escaped_as_the_string_wants_it() -> None:
    assert gated(['{"n":"4111111111111111"}']) == '{"n":"[the \\"card\\"]"}'


def test_number_with_a_match_becomes_a_string() -> None:
    assert gated(["[4111", "1111", "11111111", " ,1]"]) == '["[the \\"card\\"]" ,1]'


def test_key_is_judged_like_a_value() -> None:
    assert gated(['{"jo@x.org":1}']) == '{"[email]":1}'


def test_offsets_are_those_of_the_raw_text() -> None:
    text = '{"a":"\\u00e9 jo\\u0040x.org!"}'
    scanner = JsonScanner(AUTOMATON)
    pieces = scanner.feed(text)
    found = next(piece for piece in pieces if isinstance(piece, JsonFound))
    assert text[found.start : found.end] == found.raw == "jo\\u0040x.org"
    assert found.text == "jo@x.org"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Sure: 4111 1111 1111 1111, or jo@x.org.", 'Sure: [the "card"], or [email].'),
        ("4111 1111 1111 1111", '[the "card"]'),
        ('```json\n{"e": "jo\\u0040x.org"}\n```', '```json\n{"e": "[email]"}\n```'),
        ("{'e': 'jo@x.org'}", "{'e': '[email]'}"),
        ('{"a":1} jo@x.org', '{"a":1} [email]'),
        ('{"a":"jo@x.org', '{"a":"[email]'),
        ('"\\', '"\\'),
        ("[1,,jo@x.org]", "[1,,[email]]"),
        ('5" of jo@x.org', '5" of [email]'),
    ],
)
def test_what_is_no_json_is_governed_as_prose(text: str, wanted: str) -> None:
    assert gated([text]) == wanted
    assert gated(list(text)) == wanted


def test_inner_json_is_judged_as_the_string_it_is() -> None:
    inner = json.dumps({"mail": "jo@x.org"})
    assert json.loads(gated([json.dumps({"body": inner})])) == {"body": '{"mail": "[email]"}'}


def test_text_outside_of_strings_waits_no_longer_than_a_scalar_may_be() -> None:
    scanner = JsonScanner(AUTOMATON)
    given = scanner.feed("7" + " " * SCALAR_CHARS_MAX)
    assert "".join([piece for piece in given if isinstance(piece, str)])


def test_deep_nesting_is_governed_all_the_same() -> None:
    assert gated(["[" * 100_000 + '"jo@x.org"']) == "[" * 100_000 + '"[email]"'


def test_plain_run_of_a_string_is_given_back_as_it_comes() -> None:
    scanner = JsonScanner(AUTOMATON)
    assert scanner.feed('{"text":"') == '{"text":"'
    assert scanner.feed("one two ") == "one two "
