"""Payment cards, accounts and numbers of people: what is found, to the character, and what is not."""

from __future__ import annotations

import pytest

from headgate.governance.detectors.checksums import luhn, mod11, mod97
from tests.unit.governance.detectors.found import found


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("credit_card", "Visa 4111111111111111.", "4111111111111111"),
        ("credit_card", "Visa 4111 1111 1111 1111, 12/29, 123", "4111 1111 1111 1111"),
        ("credit_card", "Visa 4111 1111 1111 1111 12/29", "4111 1111 1111 1111"),
        ("credit_card", "Visa 4111-1111-1111-1111", "4111-1111-1111-1111"),
        ("credit_card", "Mastercard 5555 5555 5555 4444", "5555 5555 5555 4444"),
        ("credit_card", "Mastercard 2223003122003222", "2223003122003222"),
        ("credit_card", "Amex 378282246310005", "378282246310005"),
        ("credit_card", "Amex 3782 822463 10005", "3782 822463 10005"),
        ("credit_card", "Diners 30569309025904", "30569309025904"),
        ("credit_card", "Diners 3056 930902 5904", "3056 930902 5904"),
        ("credit_card", "Discover 6011111111111117", "6011111111111117"),
        ("credit_card", "JCB 3530111333300000", "3530111333300000"),
        ("credit_card", "UnionPay 6200000000000005", "6200000000000005"),
        ("credit_card", "long Visa 4000000000000000006", "4000000000000000006"),
        ("credit_card", '{"card":"4111111111111111"}', "4111111111111111"),
        ("credit_card", "|4111111111111111|", "4111111111111111"),
        ("credit_card", "４１１１ 1111 1111 1111", "４１１１ 1111 1111 1111"),  # noqa: RUF001
        ("credit_card", "4111\u00a01111\u00a01111\u00a01111", "4111\u00a01111\u00a01111\u00a01111"),
        ("credit_card", "41111111\u200b11111111", "41111111\u200b11111111"),
        ("iban", "IBAN DE89370400440532013000.", "DE89370400440532013000"),
        ("iban", "IBAN DE89 3704 0044 0532 0130 00 of Jo", "DE89 3704 0044 0532 0130 00"),
        ("iban", "IBAN DE89 3704 0044 0532 0130 00 THEN MORE", "DE89 3704 0044 0532 0130 00"),
        ("iban", "pay gb29 nwbk 6016 1331 9268 19", "gb29 nwbk 6016 1331 9268 19"),
        ("iban", "GB29NWBK60161331926819", "GB29NWBK60161331926819"),
        ("iban", "FR14 2004 1010 0505 0001 3M02 606", "FR14 2004 1010 0505 0001 3M02 606"),
        ("iban", "NO9386011117947", "NO9386011117947"),
        ("iban", "NL91ABNA0417164300", "NL91ABNA0417164300"),
        ("iban", "BE68 5390 0754 7034", "BE68 5390 0754 7034"),
        ("iban", "MT84MALT011000012345MTLCAST001S", "MT84MALT011000012345MTLCAST001S"),
        ("us_ssn", "SSN: 536-22-4567", "536-22-4567"),
        ("us_ssn", "his number is 001-01-0001.", "001-01-0001"),
        ("us_ssn", "SSN 536 22 4567", "SSN 536 22 4567"),
        ("us_ssn", "social security number: 536224567", "social security number: 536224567"),
        ("us_ssn", "ssn=536224567&x", "ssn=536224567"),
        ("us_itin", "ITIN 912-70-1234", "912-70-1234"),
        ("us_itin", "ITIN: 912701234", "ITIN: 912701234"),
        ("uk_nino", "NI number QQ is none, but AB123456C is", "AB123456C"),
        ("uk_nino", "AB 12 34 56 C", "AB 12 34 56 C"),
        ("uk_nino", "ab 12 34 56 c", "ab 12 34 56 c"),
        ("uk_nhs", "NHS number 943 476 5919", "943 476 5919"),
        ("uk_nhs", "number 943 476 5919.", "943 476 5919"),
        ("uk_nhs", "NHS number: 9434765919", "NHS number: 9434765919"),
    ],
)
def test_number_is_found(name: str, text: str, expected: str) -> None:
    assert found(name, text) == [expected]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("credit_card", "a wrong check digit 4111111111111112"),
        ("credit_card", "wrong and grouped 4111 1111 1111 1112"),
        ("credit_card", "no issuer 9111111111111119"),
        ("credit_card", "an Amex of 16 digits 3782822463100050"),
        ("credit_card", "inside a word x4111111111111111 or 4111111111111111a"),
        ("credit_card", "inside a number 84111111111111111117"),
        ("credit_card", "a fraction 0.4111111111111111"),
        ("credit_card", "in two lines 4111 1111\n1111 1111"),
        ("credit_card", "0000 0000 0000 0000"),
        ("credit_card", "a bar code 4006381333931"),
        ("iban", "a wrong check DE88370400440532013000"),
        ("iban", "too short DE8937040044053201300"),
        ("iban", "no country XX89370400440532013000"),
        ("iban", "a German account with letters DE89ABCD00440532013000"),
        ("us_ssn", "never given: 000-12-3456, 666-12-3456, 900-12-3456"),
        ("us_ssn", "zeros: 123-00-4567, 123-45-0000"),
        ("us_ssn", "no label: 536 22 4567 and 536224567"),
        ("us_ssn", "an ISBN 123-45-6789-0 and a date 2024-01-15"),
        ("us_itin", "a group the IRS does not use: 912-49-1234, 912-93-1234"),
        ("us_itin", "not 9: 812-70-1234"),
        ("uk_nino", "prefixes: BG123456C, DA123456C, AO123456C"),
        ("uk_nino", "suffix: AB123456E; lower case in one piece: ab123456c"),
        ("uk_nino", "in a word: XAB123456C1"),
        ("uk_nhs", "a wrong check 943 476 5918"),
        ("uk_nhs", "bare 9434765919 and a phone 415-555-2671"),
    ],
)
def test_what_only_looks_like_a_number_is_left_alone(name: str, text: str) -> None:
    assert found(name, text) == []


@pytest.mark.parametrize(
    "number", ["4111111111111111", "5555555555554444", "378282246310005", "30569309025904", "79927398713"]
)
def test_luhn_holds_for_no_other_check_digit(number: str) -> None:
    assert [digit for digit in "0123456789" if luhn(number[:-1] + digit)] == [number[-1]]


def test_mod97_finds_each_swap_of_two_digits() -> None:
    account = "DE89370400440532013000"
    assert mod97(account)
    for at in range(4, len(account) - 1):
        swapped = account[:at] + account[at + 1] + account[at] + account[at + 2 :]
        assert mod97(swapped) is (swapped == account)


def test_mod11_of_ten_is_never_a_check_digit() -> None:
    valid = {number: [digit for digit in "0123456789" if mod11(f"{number:09}{digit}")] for number in range(300)}
    assert {len(found) for found in valid.values()} == {0, 1}
