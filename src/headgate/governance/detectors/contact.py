"""How to reach somebody: email addresses and telephone numbers.

Telephone numbers have no checksum, so what is covered is what can be told from other numbers: international numbers
whose length fits their country, and national ones in the groupings of a few countries. A bare run of digits counts
only behind a label.
"""

from __future__ import annotations

import re
from typing import Final

from headgate.governance.detectors.checksums import digits
from headgate.governance.detectors.detector import DASH, END, Detector, field
from headgate.governance.detectors.folding import folded

LETTERS: Final = r"A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02af\u0300-\u1fff"
"""For classes: letters of scripts that put spaces between words, and accents behind letters. In other scripts an address
would take its sentence along."""
_L: Final = f"0-9{LETTERS}"

NOT_DOMAINS: Final = frozenset(
    """
    png jpg jpeg gif webp svg bmp ico tif tiff heic avif mp3 wav css scss js mjs cjs ts tsx jsx json yaml yml toml xml
    html htm txt csv tsv pdf doc docx xls xlsx gz tgz tar bz2 xz whl lock log
    """.split()  # noqa: SIM905  a list of fifty would take fifty lines
)
"""Last labels that are file extensions and no top-level domains: `icon@2x.png`, `lodash@4.17.21.tgz`."""


def plausible_email(text: str) -> bool:
    """Neither the file name of a doubled picture nor the user that everybody clones repositories as."""
    local, _, domain = folded(text).replace("%40", "@").rpartition("@")
    return domain.rpartition(".")[2].lower() not in NOT_DOMAINS and local.lower() != "git" and ".." not in local


EMAIL: Final = Detector(
    "email",
    "Email addresses in the form local@domain.tld, also with `%40`. Not quoted local parts, not addresses at an IP.",
    (
        f"(?<![{_L}])[{_L}_][{_L}_.%+'-]{{0,63}}(?:@|%40)(?:[{_L}_-]{{1,63}}\\.){{1,10}}"
        f"(?:[{LETTERS}]{{2,24}}|xn--[0-9a-z-]{{2,59}})(?![{_L}])",
    ),
    plausible_email,
)

LENGTHS: Final = {
    # ITU-T E.164 country codes with the digits of a national number, where they are known narrowly.
    "1": (10, 10), "7": (10, 10), "20": (8, 10), "27": (9, 9), "30": (10, 10), "31": (9, 9), "32": (8, 9),
    "33": (9, 9), "34": (9, 9), "36": (8, 9), "39": (8, 11), "40": (9, 9), "41": (9, 9), "43": (7, 12),
    "44": (9, 10), "45": (8, 8), "46": (7, 9), "47": (8, 8), "48": (9, 9), "49": (7, 11), "51": (8, 9),
    "52": (10, 10), "53": (8, 8), "54": (10, 11), "55": (10, 11), "56": (9, 9), "57": (10, 10), "58": (10, 10),
    "60": (8, 10), "61": (9, 9), "62": (8, 12), "63": (8, 10), "64": (8, 10), "65": (8, 8), "66": (8, 9),
    "81": (9, 10), "82": (8, 10), "84": (9, 10), "86": (10, 11), "90": (10, 10), "91": (10, 10), "92": (9, 10),
    "93": (9, 9), "94": (9, 9), "95": (7, 10), "98": (10, 10), "351": (9, 9), "352": (6, 9), "353": (7, 9),
    "354": (7, 7), "358": (6, 10), "359": (8, 9), "370": (8, 8), "371": (8, 8), "372": (7, 8), "380": (9, 9),
    "385": (8, 9), "386": (8, 8), "420": (9, 9), "421": (9, 9), "852": (8, 8), "886": (8, 9), "966": (8, 9),
    "971": (8, 9), "972": (8, 9),
}  # fmt: skip
ELSEWHERE: Final = (7, 12)
"""Digits of a national number in all other countries."""
ZONES: Final = re.compile(
    r"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|2[1-689]\d|3[578]\d|42\d|[568][057-9]\d|9[67]\d|99[2-68]"
)
"""Country codes, prefix-free: E.164, annex to the list of assigned codes."""
TRUNK: Final = (9, 12)
"""Digits of a national number with its leading zero."""


def plausible_phone(text: str) -> bool:
    """Whether the digits fit the plan they are written in."""
    plain = folded(text)
    if plain[:1].isalpha():
        return True
    number = digits(re.split("[xe]", plain)[0].replace("(0)", ""))
    if plain.startswith("+") or (number.startswith("00") and not plain.isdecimal()):
        return _international(number.removeprefix("00"))
    if number.startswith("0"):
        return TRUNK[0] <= len(number) <= TRUNK[1] and len(set(number)) > 2
    if plain.startswith("(") and len(number) != 10:
        return True
    return not plain.isdecimal() and _north_american(number.removeprefix("1"))


def _international(number: str) -> bool:
    zone = ZONES.match(number)
    if zone is None:
        return False
    least, most = LENGTHS.get(zone[0], ELSEWHERE)
    rest = number[zone.end() :]
    return least <= len(rest) <= most and (zone[0] != "1" or _north_american(rest))


def _north_american(number: str) -> bool:
    """Area and exchange begin with 2 to 9; neither is a service code such as 911, nor is an area reserved (x9x)."""
    area, exchange = number[:3], number[3:6]
    begin_well = area[:1] not in ("", "0", "1") and exchange[:1] not in ("", "0", "1")
    return len(number) == 10 and begin_well and area[1] != "9" and area[1:] != "11" and exchange[1:] != "11"


_S: Final = f"[ .{DASH}]"
_PLUS: Final = f"(?:\\)?[ ./{DASH}]?\\(?[0-9])"
_EXTENSION: Final = "(?: ?(?:x|ext\\.?) ?[0-9]{1,5})?"
_LEFT: Final = "(?<![0-9A-Za-z.+-])"
_TRUNK: Final = (
    "07[0-9]{9}",  # United Kingdom, mobile
    "\\(?0[1-9][0-9]\\)?[ -][0-9]{4}[ -][0-9]{4}",
    "\\(?0[1-9][0-9]{2}\\)?[ -][0-9]{3}[ -][0-9]{4}",
    "\\(?0[1-9][0-9]{3}\\)?[ -][0-9]{5,6}",
    "\\(?0[1-9][0-9]{3}\\)?[ -][0-9]{3}[ -][0-9]{3}",
    f"0[1-9](?:{_S}[0-9]{{2}}){{4}}",  # France
    "0[1-9][0-9]{1,4} ?/ ?[0-9]{4,8}(?:[ -][0-9]{1,5}){0,2}",  # Germany, Austria
    "01[567][0-9]{1,2}[ -][0-9]{3,8}(?:[ -][0-9]{2,5}){0,2}",
    "04[0-9]{2}[ -][0-9]{3}[ -][0-9]{3}",  # Australia
    "\\(?0[2378]\\)?[ -][0-9]{4}[ -][0-9]{4}",
    "0[1-9](?:-[0-9]{4}|[0-9]-[0-9]{3,4}|[0-9]{2}-[0-9]{2})-[0-9]{4}",  # Japan
    "06[ -][0-9]{8}",  # Netherlands
)

PHONE: Final = Detector(
    "phone",
    "International numbers (`+` or `00`) whose length fits the country; national numbers as they are grouped in the "
    "USA and Canada, the United Kingdom, France, Germany, Australia, Japan, the Netherlands and Brazil; "
    "bare digits only behind a label such as `phone:`.",
    (
        f"(?<![0-9A-Za-z+])\\+[1-9]{_PLUS}{{6,14}}{_EXTENSION}{END}",
        f"{_LEFT}00[1-9]{_PLUS}{{8,14}}{END}",
        f"{_LEFT}(?:1{_S})?(?:\\([2-9][0-9]{{2}}\\) ?|[2-9][0-9]{{2}}{_S})[2-9][0-9]{{2}}{_S}[0-9]{{4}}{_EXTENSION}{END}",
        f"{_LEFT}\\([1-9][0-9]\\) ?9?[0-9]{{4}}-[0-9]{{4}}{END}",
        *(f"{_LEFT}{pattern}{END}" for pattern in _TRUNK),
        f"{field('phone', 'telephone', 'tel', 'mobile', 'cell', 'fax', 'whatsapp')}[0-9]{{7,12}}{END}",
    ),
    plausible_phone,
)
