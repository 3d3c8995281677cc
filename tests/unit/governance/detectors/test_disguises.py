"""Values as people and models write them on screens: drawn over, emphasised, turned around, in other digits."""

from __future__ import annotations

import pytest

from headgate.governance.detectors import DETECTORS
from headgate.governance.matching.automaton import Automaton, Source
from headgate.governance.matching.scanner import Found, scan

CARD = "4111111111111111"
KEY = "ghp_" + "a1B2c3D4e5F6" * 3

DISGUISES = {
    "keycaps": ("credit_card", "".join(digit + "\ufe0f\u20e3" for digit in CARD)),
    "underlined": ("credit_card", "".join(digit + "\u0332" for digit in CARD)),
    "struck through": ("us_ssn", "".join(char + "\u0336" for char in "123-45-6789")),
    "arabic digits": ("credit_card", "".join(chr(0x660 + int(digit)) for digit in CARD)),
    "marks of direction": ("credit_card", "\u202d4111\u200e1111\u200f1111\u20661111\u2069\u202c"),
    "grapheme joiner": ("email", "alice\u034f@exam\u034fple.com"),
    "accent behind its letter": ("email", "rene\u0301@example.com"),
    "dotless i": ("email", "al\u0131ce@example.com"),
    "tags": ("us_ssn", "123\U000e0031-45-6789"),
    "_card_": ("credit_card", f"_{CARD}_"),
    "__ssn__": ("us_ssn", "__123-45-6789__"),
    "_iban_": ("iban", "_DE89 3704 0044 0532 0130 00_"),
    "_phone_": ("phone", "_+49 30 901820_"),
    "_ip_": ("ip_address", "_192.168.17.4_"),
    "_key_": ("api_key", f"_{KEY}_"),
    "_key of a fixed length_": ("api_key", "_AIza" + "Sy1-abc4Def" * 3 + "xY_"),
    "_jwt_": ("jwt", "_eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U_"),
}


@pytest.mark.parametrize(("name", "text"), DISGUISES.values(), ids=DISGUISES)
def test_value_is_found_however_it_is_drawn(name: str, text: str) -> None:
    detector = DETECTORS[name]
    automaton = Automaton([Source(detector.patterns, ignore_case=detector.ignore_case, check=detector.check)])
    found = [piece.text for piece in scan(automaton, f"it is {text}, he said") if isinstance(piece, Found)]
    bare = text.strip("_")
    assert len(found) == 1
    assert len(found[0]) >= len(bare) - 4  # but for what nobody reads at its ends
