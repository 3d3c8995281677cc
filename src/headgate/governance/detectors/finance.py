"""Numbers that money is moved with: payment cards and bank accounts. Both carry a checksum, which decides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from headgate.governance.detectors.checksums import digits, luhn, mod97
from headgate.governance.detectors.detector import DASH, END, Detector
from headgate.governance.detectors.folding import folded

ISSUERS: Final = (
    # Ranges of first digits, and the lengths that are issued in them (ISO/IEC 7812 as published by the networks).
    (re.compile("4"), {16, 19}),  # Visa; its 13 digits are gone, and look like the bar codes of half the world
    (re.compile("5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), {16}),  # Mastercard
    (re.compile("3[47]"), {15}),  # American Express
    (re.compile("6011|64[4-9]|65"), {16, 19}),  # Discover
    (re.compile("30[0-5]|3095|3[689]"), {14, 16, 19}),  # Diners Club
    (re.compile("352[89]|35[3-8]"), {16, 19}),  # JCB
    (re.compile("62|81"), {16, 17, 18, 19}),  # UnionPay
    (re.compile("50(?:18|20|38)|5893|6304|6759|676[1-3]"), {16, 18, 19}),  # Maestro; its 12 and 13 digits are left out
    (re.compile("220[0-4]"), {16, 19}),  # Mir
    (re.compile("60|82|508"), {16}),  # RuPay
)


def valid_card(text: str) -> bool:
    """An issuer's prefix, one of its lengths, and Luhn's check digit."""
    number = digits(text)
    issued = any(prefix.match(number) and len(number) in lengths for prefix, lengths in ISSUERS)
    return issued and luhn(number) and len(set(number)) > 1


_S: Final = f"[ {DASH}]"

CREDIT_CARD: Final = Detector(
    "credit_card",
    "Payment card numbers of 14 to 19 digits with an issuer's prefix and length and a right check digit, in one piece "
    "or in the groups that are printed on cards, with spaces or hyphens.",
    tuple(
        f"(?<![0-9A-Za-z.])(?:{body}){END}"
        for body in (
            "[2-68][0-9]{13,18}",
            f"[2-68][0-9]{{3}}{_S}[0-9]{{4}}{_S}[0-9]{{4}}{_S}[0-9]{{4}}(?:{_S}?[0-9]{{3}})?",
            f"3[0-9]{{3}}{_S}[0-9]{{6}}{_S}[0-9]{{4,5}}",
        )
    ),
    valid_card,
)

ACCOUNTS: Final[Mapping[str, str]] = {
    # The national part by country: length and kind of its fields (n digits, a letters, c both), from the registry
    # of ISO 13616 (SWIFT).
    "AD": "8n12c", "AE": "19n", "AL": "8n16c", "AT": "16n", "AZ": "4a20c", "BA": "16n", "BE": "12n",
    "BG": "4a6n8c", "BH": "4a14c", "BI": "23n", "BR": "23n1a1c", "BY": "4c4n16c", "CH": "5n12c", "CR": "18n",
    "CY": "8n16c", "CZ": "20n", "DE": "18n", "DJ": "23n", "DK": "14n", "DO": "4c20n", "EE": "16n", "EG": "25n",
    "ES": "20n", "FI": "14n", "FK": "2a12n", "FO": "14n", "FR": "10n11c2n", "GB": "4a14n", "GE": "2a16n",
    "GI": "4a15c", "GL": "14n", "GR": "7n16c", "GT": "4c20c", "HN": "4a20n", "HR": "17n", "HU": "24n",
    "IE": "4a14n", "IL": "19n", "IQ": "4a15n", "IS": "22n", "IT": "1a10n12c", "JO": "4a4n18c", "KW": "4a22c",
    "KZ": "3n13c", "LB": "4n20c", "LC": "4a24c", "LI": "5n12c", "LT": "16n", "LU": "3n13c", "LV": "4a13c",
    "LY": "21n", "MC": "10n11c2n", "MD": "2c18c", "ME": "18n", "MK": "3n10c2n", "MN": "16n", "MR": "23n",
    "MT": "4a5n18c", "MU": "4a19n3a", "NI": "4a20n", "NL": "4a10n", "NO": "11n", "OM": "3n16c", "PK": "4a16c",
    "PL": "24n", "PS": "4a21c", "PT": "21n", "QA": "4a21c", "RO": "4a16c", "RS": "18n", "RU": "14n15c",
    "SA": "2n18c", "SC": "4a20n3a", "SD": "14n", "SE": "20n", "SI": "15n", "SK": "20n", "SM": "1a10n12c",
    "SO": "19n", "ST": "21n", "SV": "4a20n", "TL": "19n", "TN": "20n", "TR": "6n16c", "UA": "6n19c",
    "VA": "18n", "VG": "4a16n", "XK": "16n", "YE": "4a4n18c",
}  # fmt: skip

_FIELDS: Final = {"n": "[0-9]", "a": "[A-Z]", "c": "[A-Z0-9]"}


def _national(form: str) -> str:
    """The pattern of a national part."""
    return "".join(f"{_FIELDS[kind]}{{{count}}}" for count, kind in re.findall(r"(\d+)([nac])", form))


_NATIONAL: Final = {country: re.compile(_national(form)) for country, form in ACCOUNTS.items()}


def valid_iban(text: str) -> bool:
    """The national part has its country's form, and the whole leaves 1 when divided by 97."""
    account = "".join(char for char in folded(text).upper() if char.isascii() and char.isalnum())
    national = _NATIONAL.get(account[:2])
    return national is not None and national.fullmatch(account, 4) is not None and mod97(account)


def _iban_patterns() -> tuple[str, ...]:
    """One pattern for all countries of a length: in groups of four, with or without single spaces or hyphens."""
    countries: dict[int, list[str]] = {}
    for country, form in ACCOUNTS.items():
        countries.setdefault(sum(int(count) for count in re.findall(r"\d+", form)), []).append(country)
    found = []
    for length, names in sorted(countries.items()):
        groups, rest = divmod(length, 4)
        tail = f"[ -]?[A-Z0-9]{{{rest}}}" if rest else ""
        prefix = f"(?:{'|'.join(names)})[0-9]{{2}}"
        found.append(f"(?<![0-9A-Za-z]){prefix}(?:[ -]?[A-Z0-9]{{4}}){{{groups}}}{tail}{END}")
    return tuple(found)


IBAN: Final = Detector(
    "iban",
    f"International bank account numbers of {len(ACCOUNTS)} countries, by their national form and check digits; "
    "in one piece or in groups of four.",
    _iban_patterns(),
    valid_iban,
    ignore_case=True,
)
