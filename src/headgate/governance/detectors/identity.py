"""Numbers that states give to people: USA and United Kingdom.

Where a number has no checksum, the form with separators is the only one that counts by itself; bare digits count
behind a label, which is masked with them.
"""

from __future__ import annotations

from typing import Final

from headgate.governance.detectors.checksums import digits, mod11
from headgate.governance.detectors.detector import DASH, END, START, Detector, label
from headgate.governance.detectors.folding import folded

_SSN_LABEL: Final = label("ssn", "ss", "social security", "social security number")
_ITIN_LABEL: Final = label("itin", "taxpayer id", "taxpayer identification number")
_NHS_LABEL: Final = label("nhs", "nhs id")
_AT: Final = "[0-9]{3} ?[0-9]{2} ?[0-9]{4}"
_HYPHENS: Final = f"{START}[0-9]{{3}}[{DASH}][0-9]{{2}}[{DASH}][0-9]{{4}}(?![0-9A-Za-z-])"


def valid_ssn(text: str) -> bool:
    """Area, group and serial are never zero; areas 666 and 900 and above were never given (SSA POMS RM 10201.035)."""
    number = digits(text)
    area, group, serial = number[:3], number[3:5], number[5:]
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


US_SSN: Final = Detector(
    "us_ssn",
    "US social security numbers: with hyphens, or with spaces or bare behind a label such as `SSN:`; "
    "areas that were never given are left alone.",
    (_HYPHENS, f"{_SSN_LABEL}{_AT}{END}"),
    valid_ssn,
)


def valid_itin(text: str) -> bool:
    """Area 9xx, and a group the IRS uses: 50-65, 70-88, 90-92, 94-99 (IRS, Publication 1915)."""
    number = digits(text)
    group = int(number[3:5])
    return number[0] == "9" and (50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or group >= 94)


US_ITIN: Final = Detector(
    "us_itin",
    "US individual taxpayer numbers: 9xx with hyphens, or with spaces or bare behind a label such as `ITIN:`.",
    (_HYPHENS.replace("[0-9]{3}", "9[0-9]{2}", 1), f"{_ITIN_LABEL}9{_AT.replace('{3}', '{2}', 1)}{END}"),
    valid_itin,
)

NINO_NEVER: Final = frozenset({"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"})
"""Prefixes that are not given (HMRC NIM39110)."""


def valid_nino(text: str) -> bool:
    return folded(text)[:2].upper() not in NINO_NEVER


_PAIRS: Final = "(?: [0-9]{2}){3}"

UK_NINO: Final = Detector(
    "uk_nino",
    "UK national insurance numbers: two letters, six digits, A to D; in lower case only when grouped in pairs.",
    (
        f"{START}[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?:[0-9]{{6}}[A-D]|{_PAIRS} [A-D]|-?[0-9]{{6}}-?[A-D]){END}",
        f"{START}[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?:-[0-9]{{2}}){{3}}-[A-D]{END}",
        f"{START}[a-ceghj-pr-tw-z][a-ceghj-npr-tw-z]{_PAIRS} [a-d]{END}",
    ),
    valid_nino,
)


def valid_nhs(text: str) -> bool:
    return mod11(digits(text))


UK_NHS: Final = Detector(
    "uk_nhs",
    "NHS numbers of England, Wales and the Isle of Man with a right check digit: grouped 3-3-4 by spaces, "
    "or bare or with hyphens behind a label such as `NHS number:`.",
    (
        f"(?<![0-9A-Za-z.+-])[34679][0-9]{{2}} [0-9]{{3}} [0-9]{{4}}{END}",
        f"{_NHS_LABEL}[0-9]{{3}}-?[0-9]{{3}}-?[0-9]{{4}}{END}",
    ),
    valid_nhs,
)
