"""A token is good for the one response it was made for, with the one secret, in its time, in its one spelling."""

from __future__ import annotations

import base64
import hmac
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.links import PURPOSE, TOKEN_CHARS, VERSION, Standing, check, sign

SECRET = bytes(range(32))
ID = "resp_0197f00ba4000123456789abcdef0123"
OTHER = "resp_0197f00ba4000123456789abcdef0124"
ENDS_AT = 1_800_000_000
BEFORE = ENDS_AT - 1.0
TOKEN = sign(SECRET, ID, ENDS_AT)
ALPHABET = string.ascii_letters + string.digits + "-_"


def signed(*, purpose: bytes = PURPOSE, version: int = VERSION, ends_at: int = ENDS_AT, id_: str = ID) -> str:
    """A token made by hand of what it is said to be made of."""
    head = bytes([version]) + ends_at.to_bytes(6, "big")
    return base64.urlsafe_b64encode(head + hmac.digest(SECRET, purpose + head + id_.encode(), "sha256")).decode()


def worth(token: str, *, secret: bytes = SECRET, id_: str = ID, now: float = BEFORE) -> Standing:
    return check(secret, id_, token, now)


def test_token_is_good_for_its_response_until_its_time_is_over() -> None:
    assert worth(TOKEN) is Standing.GOOD
    assert worth(TOKEN, now=0.0) is Standing.GOOD
    assert worth(TOKEN, now=ENDS_AT - 0.001) is Standing.GOOD
    assert worth(TOKEN, now=float(ENDS_AT)) is Standing.EXPIRED
    assert worth(TOKEN, now=ENDS_AT + 1e9) is Standing.EXPIRED


def test_token_is_what_the_module_says_it_is_and_needs_no_escape_in_a_url() -> None:
    assert signed() == TOKEN
    assert len(TOKEN) == TOKEN_CHARS
    assert set(TOKEN) <= set(ALPHABET)


def test_token_with_any_character_changed_is_wrong() -> None:
    """Also one of the expiry: a token cannot be made to live longer."""
    for place in range(TOKEN_CHARS):
        for character in set(ALPHABET) - {TOKEN[place]}:
            assert worth(TOKEN[:place] + character + TOKEN[place + 1 :]) is Standing.WRONG, place


def test_expired_token_that_was_changed_is_wrong_and_not_expired() -> None:
    changed = TOKEN[:-1] + ("A" if TOKEN[-1] != "A" else "B")
    assert worth(changed, now=ENDS_AT + 1.0) is Standing.WRONG


def test_token_of_another_length_is_wrong() -> None:
    for length in range(TOKEN_CHARS):
        assert worth(TOKEN[:length]) is Standing.WRONG
    for longer in (TOKEN + "A", TOKEN + "=", TOKEN + "\n", " " + TOKEN, TOKEN * 2, TOKEN * 10_000):
        assert worth(longer) is Standing.WRONG


def test_token_has_one_spelling() -> None:
    """What decoders of base64 forgive is not forgiven: the other alphabet, padding, characters in between."""
    ends_at = next(at for at in range(ENDS_AT, ENDS_AT + 1_000) if {"-", "_"} <= set(sign(SECRET, ID, at)))
    token = sign(SECRET, ID, ends_at)
    assert worth(token.replace("-", "+").replace("_", "/")) is Standing.WRONG
    assert worth(token[:-1] + "=") is Standing.WRONG
    assert worth(token[:26] + "!" + token[26:]) is Standing.WRONG
    assert worth(token[:26] + "!" + token[27:]) is Standing.WRONG
    assert worth("!" * TOKEN_CHARS) is Standing.WRONG


@pytest.mark.parametrize("id_", [OTHER, ID[:-1], ID + "0", ID.upper(), "", "resp_", "\udcff", "ä" * 100])
def test_token_of_one_response_is_wrong_for_every_other(id_: str) -> None:
    assert worth(TOKEN, id_=id_) is Standing.WRONG
    assert worth(TOKEN, id_=id_, now=ENDS_AT + 1.0) is Standing.WRONG


@pytest.mark.parametrize("secret", [bytes(32), SECRET[:-1], SECRET + b"\1", b"", SECRET[::-1]])
def test_token_is_wrong_once_the_secret_is_another(secret: bytes) -> None:
    assert worth(TOKEN, secret=secret) is Standing.WRONG


def test_statement_signed_for_another_purpose_is_wrong() -> None:
    assert worth(signed(purpose=b"headgate write link\0")) is Standing.WRONG
    assert worth(signed(purpose=b"")) is Standing.WRONG


@pytest.mark.parametrize("version", [0, 2, 255])
def test_token_of_another_version_is_wrong_even_if_it_is_signed(version: int) -> None:
    assert worth(signed(version=version)) is Standing.WRONG


def test_expiry_and_id_cannot_flow_into_each_other() -> None:
    """The same bytes are signed for neither another end nor another id."""
    head = bytes([VERSION]) + ENDS_AT.to_bytes(6, "big")
    mac = hmac.digest(SECRET, PURPOSE + head + ID.encode(), "sha256")
    shifted = base64.urlsafe_b64encode(head + b"r" + mac).decode()
    assert worth(shifted, id_=ID[1:]) is Standing.WRONG


@given(token=st.text(max_size=60), id_=st.text(max_size=40))
def test_nothing_that_is_sent_as_a_token_raises(token: str, id_: str) -> None:
    assert worth(token, id_=id_) is Standing.WRONG


@given(st.text(ALPHABET + "=+/", min_size=TOKEN_CHARS, max_size=TOKEN_CHARS))
def test_no_text_of_a_tokens_length_is_good_or_raises(token: str) -> None:
    assert worth(token) is Standing.WRONG
