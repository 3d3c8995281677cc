"""The scanner: what is held and what is given back, as transcripts."""

# ruff: noqa: RUF001  (ambiguous characters are the point of some tests)

from __future__ import annotations

from collections.abc import Callable

import pytest

from headgate.governance.matching.automaton import Automaton, Source
from headgate.governance.matching.pattern import MATCH_CHARS_MAX
from headgate.governance.matching.scanner import Found, Scanner, joined, scan

EMAIL = r"(?<![\w.+-])[\w.+-]{1,64}@(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24}(?![\w-])"
CARD = r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)"
KEY = "-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:[^-]|-[^-])*(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?"


def automaton(*patterns: str, check: Callable[[str], bool] | None = None) -> Automaton:
    return Automaton([Source(patterns=(pattern,), check=check) for pattern in patterns])


def transcript(rules: Automaton, *texts: str) -> list[str | list[str | Found]]:
    scanner = Scanner(rules)
    return [*(scanner.feed(text) for text in texts), scanner.finish()]


def texts(pieces: list[str | Found]) -> list[str]:
    """Matches in brackets."""
    return [f"[{piece.text}]" if isinstance(piece, Found) else piece for piece in pieces]


def luhn(text: str) -> bool:
    digits = [int(char) for char in text if char.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(digits[-1::-2])) % 10 == 0


def test_address_in_the_middle_of_a_token_leaves_with_what_follows_it() -> None:
    given = transcript(automaton(EMAIL), "Write to ali", "ce@exam", "ple.com, to", "day.")
    assert given == ["Write to ", "", [Found(9, 26, 0, "alice@example.com"), ", "], "", "today."]


def test_in_prose_at_most_the_current_word_is_held() -> None:
    scanner = Scanner(automaton(EMAIL, CARD, KEY))
    shown = ""
    for token in ("The", " gate", " is", " clo", "sed", ",", "\n\n", "and", " dry"):
        shown += str(scanner.feed(token))
        held = scanner.position - scanner.decided
        assert held <= len("closed,")
        assert " " not in ("The gate is closed,\n\nand dry"[scanner.decided : scanner.position])
    assert shown + str(scanner.finish()) == "The gate is closed,\n\nand dry"


def test_match_that_cannot_grow_is_given_back_with_its_last_character() -> None:
    assert transcript(automaton("abc"), "a", "b", "c", "d") == ["", "", [Found(0, 3, 0, "abc")], "d", ""]


def test_match_that_may_grow_waits_for_what_decides() -> None:
    assert transcript(automaton("ab+"), "ab", "b", "c") == ["", "", [Found(0, 3, 0, "abb"), "c"], ""]
    assert transcript(automaton("ab+"), "ab", "b") == ["", "", [Found(0, 3, 0, "abb")]]
    assert transcript(automaton("a(?!b)"), "a", "b", "a") == ["", "ab", "", [Found(2, 3, 0, "a")]]


def test_edge_of_a_word_turns_either_way() -> None:
    assert texts(scan(automaton(r"\ba\b"), "a ba ab a-a")) == ["[a]", " ba ab ", "[a]", "-", "[a]"]
    assert texts(scan(automaton(r"\b-\b"), "a-b - -a a- a--b")) == ["a", "[-]", "b - -a a- a--b"]
    assert texts(scan(automaton(r"\b.\b"), "x -")) == ["[x]", " -"]


def test_beginning_and_end_of_the_text_satisfy_what_must_not_stand_there() -> None:
    assert texts(scan(automaton("(?<!a)b(?!a)"), "b ab ba b")) == ["[b]", " ab ba ", "[b]"]


def test_start_hidden_by_an_older_one_is_found_when_that_fails_its_check() -> None:
    rules = automaton(r"\d{4}", check=lambda text: text == "2345")
    assert texts(scan(rules, "12345")) == ["1", "[2345]"]
    rules = automaton(r"\d+", check=lambda text: text.startswith("3"))
    assert texts(scan(rules, "12345 123")) == ["12", "[345]", " 12", "[3]"]


def test_shorter_match_stands_if_the_longer_fails_its_check() -> None:
    rules = automaton("a{1,5}", check=lambda text: len(text) == 3)
    assert texts(scan(rules, "aaaaaaa")) == ["[aaa]", "[aaa]", "a"]


def test_card_number_split_over_three_chunks_is_found_and_its_neighbour_is_not() -> None:
    rules = automaton(CARD, check=luhn)
    given = transcript(rules, "pay 4111 1111", " 1111 11", "11 or 4111 1111 1111 1112.")
    assert texts(joined(given)) == ["pay ", "[4111 1111 1111 1111]", " or 4111 1111 1111 1112."]


def test_characters_that_cannot_be_seen_are_looked_through_and_belong_to_a_match_only_inside() -> None:
    text = "\u200bx jo\u00adhn@exam\u200bple.com\u200b\u200b. "
    assert texts(scan(automaton(EMAIL), text)) == ["\u200bx ", "[jo\u00adhn@exam\u200bple.com]", "\u200b\u200b. "]
    assert texts(scan(automaton("ab"), "a\u200bb\u200b")) == ["[a\u200bb]", "\u200b"]


def test_look_alikes_and_wide_forms_are_found_and_clear_text_is_not_changed() -> None:
    assert texts(scan(automaton(EMAIL), "на j\u043ehn＠example．com ｙes")) == [
        "на ",
        "[j\u043ehn＠example．com]",
        " ｙes",
    ]


def test_private_key_is_one_match_up_to_its_end_line_or_the_end_of_the_text() -> None:
    body = "MIIEow-IBAAKCAQEA\n" * 90
    text = f"-----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY-----"
    assert texts(scan(automaton(KEY), f"x {text} y")) == ["x ", f"[{text}]", " y"]
    scanner = Scanner(automaton(KEY))
    for start in range(0, 600, 7):
        scanner.feed(text[start : start + 7])
    assert scanner.decided == 0
    (cut,) = joined([scanner.finish()])
    assert isinstance(cut, Found)
    assert not scanner.overlong


def test_what_outgrows_the_longest_match_is_never_given_back() -> None:
    rules = automaton("key:[^-]*")
    fits = "key:" + "a" * (MATCH_CHARS_MAX - 5)
    for size in (1, 5, 4_096, 100_000):
        for text, overlong in ((f"{fits} ", True), (fits, False)):
            scanner = Scanner(rules)
            given = [scanner.feed("well, ")]
            given += [scanner.feed(text[at : at + size]) for at in range(0, len(text), size)]
            given += [scanner.feed(" more"), scanner.feed("-")] if overlong else []
            given.append(scanner.finish())
            assert scanner.overlong is overlong, size
            assert scanner.decided == (6 if overlong else 6 + len(text))
            assert joined(given) == ["well, "] if overlong else ["well, ", Found(6, 6 + len(text), 0, text)]


def test_text_made_to_be_read_again_and_again_is_given_up_wherever_it_was_cut() -> None:
    asked = []

    def refuse(text: str) -> bool:
        asked.append(len(text))
        return False

    rules = automaton("k=[a-z=]{16,}(?![a-z=])", check=refuse)
    text = "k=" * 1_500 + " end"
    ends = set()
    for size in (1, 1_000, len(text)):
        asked.clear()
        scanner = Scanner(rules)
        given = [scanner.feed(text[at : at + size]) for at in range(0, len(text), size)]
        given.append(scanner.finish())
        assert scanner.overlong
        assert "".join(map(str, given)) == text[: scanner.decided]
        assert sum(asked) < 4_000 * len(text), "reading again costs no more than a text of this length may"
        ends.add(scanner.decided)
    assert len(ends) == 1


def test_numbers_without_end_that_fail_every_check_are_decided() -> None:
    rules = automaton(r"\d(?:[ -]?\d){12,18}", check=lambda text: False)
    digits = "1234567890" * 2_000
    assert scan(rules, digits) == [digits]


def test_invisible_characters_do_not_stretch_a_match_without_end() -> None:
    scanner = Scanner(automaton("ab"))
    scanner.feed("a" + "\u200b" * MATCH_CHARS_MAX)
    assert scanner.overlong
    assert scanner.decided == 0


def test_positions_count_code_points_of_the_text_as_it_came() -> None:
    scanner = Scanner(automaton("ab+"))
    assert scanner.feed("x\u200b😀ab") == "x\u200b😀"
    assert (scanner.position, scanner.decided) == (5, 3)
    assert scanner.feed("") == ""
    scanner.finish()
    assert (scanner.position, scanner.decided) == (5, 5)


def test_remembered_token_is_cut_where_it_was_cut_the_first_time() -> None:
    rules = automaton("ab{1,20}c", "b{3}d")
    for _ in range(3):
        scanner = Scanner(rules)
        given = [scanner.feed(text) for text in ("x a", "bb", "bb", "d", " a", "b", "c", "b", "bb", "x")]
        assert texts(joined([*given, scanner.finish()])) == ["x ab", "[bbbd]", " ", "[abc]", "bbbx"]


@pytest.mark.parametrize("gap", ["", "\u200b"])
def test_letter_of_an_escape_belongs_to_no_word_where_the_source_says_so(gap: str) -> None:
    text = f"card:\\{gap}n{gap}4111 \\n4111 n4111 \\q4111 \\t41"
    pattern = "(?<![0-9A-Za-z])4111(?![0-9])"
    for escapes, count in ((True, 2), (False, 0)):
        source = Source(patterns=(pattern,), escapes=escapes, check=lambda match: match == "4111")
        found = [piece for piece in scan(Automaton([source]), text) if isinstance(piece, Found)]
        assert [text[match.start : match.end] for match in found] == ["4111"] * count


def test_long_text_gives_the_same_read_word_by_word_as_character_by_character() -> None:
    rules = automaton(EMAIL, CARD, KEY, "the (?:river|canal) of [a-z ]{1,40}e", check=None)
    words = (
        "  Write to alice@example.com, or\n\nto bob.jones @ 4111 1111 1111 1111 by the river of no return,   please. "
    )
    text = (words + "x" * 30 + " the canal of a b c d e ") * 3 + "and so the rive"
    by_char = transcript(rules, *text)
    for cut in (0, 1, 40, 100, len(text) // 2):
        by_word = transcript(rules, text[:cut], text[cut:])
        assert joined(by_word) == joined(by_char)
    again = transcript(rules, text)  # every word is remembered by now
    assert joined(again) == joined(by_char)
    assert any(isinstance(piece, Found) for piece in joined(again))


def test_long_text_whose_match_never_ends_is_taken_in_to_its_end() -> None:
    scanner = Scanner(automaton("k[a-z ]+"))
    text = "so k" + " and on" * MATCH_CHARS_MAX
    assert scanner.feed(text) == "so "
    assert scanner.overlong
    assert scanner.position == len(text)
    assert (
        scanner.feed(" more words than anybody would want to read, again and again and again"),
        scanner.finish(),
    ) == ("", "")
    assert scanner.decided == len("so ")
