"""Values whose kind is known, in the spellings that people and programs use; and what only looks like them.

Check digits are computed here from their definitions, not with the code that is measured (but for Keccak, which has
test vectors of its own). `KINDS` are forms the detectors claim to find, `GAPS` forms in use that they do not claim,
`HARMLESS` what must be left alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final, NamedTuple

from headgate.governance.detectors.keccak import keccak256

DIGITS: Final = "0123456789"
HEX: Final = "0123456789abcdef"
LOWER: Final = "abcdefghijklmnopqrstuvwxyz"
UPPER: Final = LOWER.upper()
BASE62: Final = DIGITS + LOWER + UPPER
BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GIVEN: Final = ("maria", "jonas", "li.wei", "o.brien", "aisha", "tomasz", "sven", "r.patel", "ana-lucia", "j_doe")
HOSTS: Final = ("example.com", "mail.example.org", "acme.co.uk", "firma.de", "xn--bcher-kva.example", "uni.edu")


class Specimen(NamedTuple):
    """A value in a text. What stands in `lead` may be masked with it or not."""

    kind: str
    text: str
    lead: str = ""
    claimed: bool = True


Make = Callable[[Random], Specimen]


def some(rng: Random, alphabet: str, count: int) -> str:
    return "".join(rng.choices(alphabet, k=count))


def fill(rng: Random, form: str) -> str:
    """A form with its signs replaced: `#` by any digit, `~` by one of 2 to 8."""
    return "".join(rng.choice(DIGITS) if c == "#" else rng.choice("2345678") if c == "~" else c for c in form)


def any_of(kind: str, *forms: Callable[[Random], str], claimed: bool = True) -> Make:
    return lambda rng: Specimen(kind, rng.choice(forms)(rng), claimed=claimed)


def written(*forms: str) -> Callable[[Random], str]:
    return lambda rng: fill(rng, rng.choice(forms))


def recased(rng: Random, text: str) -> str:
    return rng.choice([text, text, text.upper()])


def email(rng: Random) -> str:
    local = rng.choice(GIVEN) + rng.choice(["", "", "+news", ".x", some(rng, DIGITS, 2)])
    return recased(rng, f"{local}@{rng.choice(HOSTS)}")


PHONES: Final = (
    "+1 ~~#-~~#-####", "+1~~#~~#####", "(~~#) ~~#-####", "~~#-~~#-####", "~~#.~~#.####", "1-~~#-~~#-####",
    "~~# ~~# ####", "+44 20 7946 0###", "020 7946 0###", "07700 900###", "+447700900###", "+33 6 ## ## ## ##",
    "06 ## ## ## ##", "+49 30 90## ####", "030/90#####", "+49 171 #######", "0171 #######", "+61 412 ### ###",
    "0412 ### ###", "+81 90-~###-####", "03-~###-####", "+91 98### #####", "+55 11 98###-####", "(11) 98###-####",
    "+86 138 #### ####", "+34 612 ## ## ##", "+39 347 ~## ####", "+65 ~### ####", "+353 87 ### ####", "+358 40 ### ####",
    "+972-50-###-####", "+254 7## ######", "+593 9 #### ####", "+420 ~## ### ###", "+1 (~~#) ~~#-#### x##",
    "+31 6 12######", "0044 20 7946 0###",
)  # fmt: skip
PHONE_GAPS: Final = ("612 ## ## ##", "347 1## ####", "98### #####", "~~#~~#####", "138 #### ####", "022 ~## ## ##")


def luhn_digit(body: str) -> str:
    total = sum(sum(divmod(int(d) * (2 - i % 2), 10)) for i, d in enumerate(reversed(body)))
    return str(-total % 10)


CARDS: Final = (("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("2720", 16), ("34", 15), ("37", 15), ("6011", 16),
                ("65", 16), ("3056", 14), ("38", 14), ("3530", 16), ("62", 16), ("4", 19))  # fmt: skip


def card_number(rng: Random, *, right: bool = True) -> str:
    prefix, length = rng.choice(CARDS)
    body = prefix + some(rng, DIGITS, length - len(prefix) - 1)
    digit = luhn_digit(body)
    return body + (digit if right else str((int(digit) + rng.randint(1, 9)) % 10))


def grouped(rng: Random, number: str) -> str:
    """As it is printed on the card."""
    sizes = {14: (4, 6, 4), 15: (4, 6, 5), 16: (4, 4, 4, 4), 19: (4, 4, 4, 4, 3)}[len(number)]
    parts: list[str] = []
    rest = number
    for size in sizes:
        parts, rest = [*parts, rest[:size]], rest[size:]
    return rng.choice(["", " ", " ", "-", "\u00a0", "\u2011"]).join(parts)


ACCOUNTS: Final = ("DE18n", "AT16n", "FR10n11c2n", "GB4a14n", "NL4a10n", "ES20n", "IT1a10n12c", "BE12n", "NO11n",
                   "CH5n12c", "PL24n", "SE20n", "MT4a5n18c", "SA2n18c", "TR6n16c", "PT21n", "IE4a14n", "LU3n13c")  # fmt: skip


def account(rng: Random, *, right: bool = True) -> str:
    form = rng.choice(ACCOUNTS)
    national, count = "", ""
    for char in form[2:]:
        if char.isdigit():
            count += char
        else:
            national += some(rng, {"n": DIGITS, "a": UPPER, "c": DIGITS + UPPER}[char], int(count))
            count = ""
    number = int("".join(str(int(char, 36)) for char in f"{national}{form[:2]}00"))
    check = 98 - number % 97
    if not right:
        check = 2 + (check - 2 + rng.randint(1, 96)) % 97
    plain = f"{form[:2]}{check:02}{national}"
    spaced = rng.choice([" ", " ", "\u00a0"]).join(plain[i : i + 4] for i in range(0, len(plain), 4))
    return rng.choice([plain, spaced, plain.lower(), spaced])


def ssn(rng: Random, separator: str = "-") -> str:
    area = rng.choice([n for n in range(1, 900) if n != 666])
    return f"{area:03}{separator}{rng.randint(1, 99):02}{separator}{rng.randint(1, 9999):04}"


def itin(rng: Random, separator: str = "-") -> str:
    group = rng.choice([*range(50, 66), *range(70, 89), 90, 91, 92, *range(94, 100)])
    return f"9{some(rng, DIGITS, 2)}{separator}{group}{separator}{some(rng, DIGITS, 4)}"


def nino(rng: Random) -> str:
    prefix = rng.choice(["AB", "CE", "JK", "PS", "WL", "YZ", "HM", "SG"])
    pairs = [some(rng, DIGITS, 2) for _ in range(3)]
    return rng.choice(["", "", " ", "-"]).join([prefix, *pairs, rng.choice("ABCD")])


def nhs(rng: Random, separator: str = " ") -> str:
    while True:
        body = rng.choice("4467") + some(rng, DIGITS, 8)
        check = 11 - sum(int(digit) * weight for digit, weight in zip(body, range(10, 1, -1), strict=True)) % 11
        if check != 10:
            return separator.join([body[:3], body[3:6], body[6:] + str(check % 11)])


def labelled(kind: str, make: Callable[[Random, str], str], names: Sequence[str], seps: Sequence[str]) -> Make:
    return lambda rng: Specimen(kind, make(rng, rng.choice(seps)), lead=rng.choice(names))


def address(rng: Random) -> str:
    v4 = ".".join(str(rng.randint(0, 255)) for _ in range(4))
    groups = [some(rng, HEX, 4).lstrip("0") or "0" for _ in range(8)]
    forms = [v4, v4, v4, ":".join(["2001", *groups[1:]]), f"2001:db8:{groups[0]}::{groups[1]}", f"fe80::{groups[0]}",
             f"::ffff:{v4}", f"fd{some(rng, HEX, 2)}:{groups[2]}::{rng.randint(1, 9)}"]  # fmt: skip
    return recased(rng, rng.choice(forms))


def mac(rng: Random) -> str:
    pairs = [some(rng, HEX, 2) for _ in range(6)]
    dotted = ".".join("".join(pairs[i : i + 2]) for i in (0, 2, 4))
    return recased(rng, rng.choice([":".join(pairs), "-".join(pairs), dotted]))


def credentials(rng: Random) -> str:
    scheme = rng.choice(["postgres", "https", "mysql", "amqp", "redis", "mongodb+srv", "ftp"])
    user = rng.choice(["app", "root", "jo.doe", ""]) if scheme == "redis" else rng.choice(["app", "root", "jo.doe"])
    password = some(rng, BASE62 + "-_!$%*", rng.randint(6, 20)).lstrip("$%*")
    host = rng.choice(["localhost", "db.internal", "10.1.2.3", "broker.example.com:5672", "c0.example.net:27017"])
    return f"{scheme}://{user}:a{password}@{host}"


KEY_FORMS: Final[Sequence[tuple[str, str, int]]] = (
    ("sk-", BASE62, 48), ("sk-proj-", BASE62 + "-_", 120), ("sk-ant-api03-", BASE62 + "-_", 93), ("sk-or-v1-", HEX, 64),
    ("AIza", BASE62 + "-_", 35), ("AKIA", UPPER + "234567", 16), ("ASIA", UPPER + "234567", 16), ("ghp_", BASE62, 36),
    ("gho_", BASE62, 36), ("ghs_", BASE62, 36), ("github_pat_", BASE62 + "_", 82), ("glpat-", BASE62 + "-_", 20),
    ("xoxb-1234567890-1234567890123-", BASE62, 24), ("xoxp-1234567890-", BASE62, 32), ("sk_live_", BASE62, 24),
    ("rk_live_", BASE62, 24), ("whsec_", BASE62, 32), ("SK", HEX, 32), ("AC", HEX, 32), ("npm_", BASE62, 36),
    ("pypi-AgEIcHlwaS5vcmc", BASE62 + "-_", 120), ("hf_", BASE62, 34), ("gsk_", BASE62, 52), ("xai-", BASE62, 80),
    ("pplx-", BASE62, 48), ("r8_", BASE62, 37), ("dop_v1_", HEX, 64), ("shpat_", HEX, 32), ("hg-", BASE62 + "-_", 43),
    ("1234567890:AA", BASE62 + "-_", 33), ("nvapi-", BASE62 + "-_", 64), ("lin_api_", BASE62, 40), ("dapi", HEX, 32),
)  # fmt: skip


def api_key(rng: Random) -> Specimen:
    if rng.random() < 0.75:
        prefix, alphabet, count = rng.choice(KEY_FORMS)
        body = some(rng, alphabet, count - 1) + rng.choice(alphabet.replace("-_", "").replace("_", ""))
        lead = rng.choice(["", "", "", "API_KEY=", "api_key: ", "Bearer "])
        return Specimen("api_key", prefix + body, lead)
    value = rng.choice([some(rng, HEX, 32), some(rng, BASE62, 40), some(rng, BASE62, 24)])
    lead = rng.choice(
        ["api_key = ", "API_KEY=", 'apiKey: "', "X-Api-Key: ", "client_secret=", 'access_token":"', "Bearer "]
    )
    return Specimen("api_key", value, lead)


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def jwt(rng: Random) -> str:
    header = {"alg": rng.choice(["HS256", "RS256", "ES256"]), "typ": "JWT"}
    if rng.random() < 0.5:
        header["kid"] = some(rng, HEX, 8)
    claims = {"sub": rng.choice(GIVEN), "iat": rng.randint(1_600_000_000, 1_800_000_000)}
    parts = [json.dumps(part, separators=(",", ":")).encode() for part in (header, claims)]
    return ".".join([*map(b64url, parts), b64url(rng.randbytes(rng.choice([32, 64, 256])))])


def armour(rng: Random, name: str, size: int) -> str:
    body = base64.b64encode(rng.randbytes(size)).decode()
    lines = [body[i : i + 64] for i in range(0, len(body), 64)]
    return "\n".join([f"-----BEGIN {name}-----", *lines, f"-----END {name}-----"])


def private_key(rng: Random) -> str:
    kind = rng.choice(["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
    return armour(rng, f"{kind}PRIVATE KEY", rng.choice([100, 300, 1200]))


def base58check(rng: Random, version: int) -> str:
    data = bytes([version]) + rng.randbytes(20)
    data += hashlib.sha256(hashlib.sha256(data).digest()).digest()[:4]
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = BASE58[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def segwit(rng: Random) -> str:
    values = [0, *(rng.randrange(32) for _ in range(32))]
    rest = 1
    for value in [3, 3, 0, 2, 3, *values, 0, 0, 0, 0, 0, 0]:  # "bc", expanded
        top, rest = rest >> 25, (rest & 0x1FFFFFF) << 5 ^ value
        for bit, term in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            rest ^= term * (top >> bit & 1)
    check = [(rest ^ 1) >> 5 * (5 - i) & 31 for i in range(6)]
    return "bc1" + "".join(BECH32[value] for value in [*values, *check])


def ethereum(rng: Random) -> str:
    body = some(rng, HEX, 40)
    hashed = keccak256(body.encode()).hex()
    mixed = "".join(char.upper() if hashed[i] >= "8" else char for i, char in enumerate(body))
    return "0x" + rng.choice([body, mixed])


KINDS: Final[Mapping[str, Sequence[Make]]] = {
    "email": [any_of("email", email)],
    "phone": [any_of("phone", written(*PHONES))],
    "credit_card": [any_of("credit_card", lambda rng: grouped(rng, card_number(rng)))],
    "iban": [any_of("iban", account)],
    "us_ssn": [any_of("us_ssn", ssn), labelled("us_ssn", ssn, ["SSN: ", "ssn=", "Social Security Number "], ["", " "])],
    "us_itin": [any_of("us_itin", itin), labelled("us_itin", itin, ["ITIN: ", "itin="], ["", " "])],
    "uk_nino": [any_of("uk_nino", nino)],
    "uk_nhs": [any_of("uk_nhs", nhs), labelled("uk_nhs", nhs, ["NHS number: ", "NHS no. "], ["", "-"])],
    "ip_address": [any_of("ip_address", address)],
    "mac_address": [any_of("mac_address", mac)],
    "url_credentials": [any_of("url_credentials", credentials)],
    "api_key": [api_key],
    "jwt": [any_of("jwt", jwt), labelled("jwt", lambda rng, _: jwt(rng), ["Bearer ", "token="], [""])],
    "private_key": [any_of("private_key", private_key)],
    "crypto_address": [
        any_of("crypto_address", lambda rng: base58check(rng, rng.choice([0, 5, 0x30, 0x41])), segwit, ethereum)
    ],
}  # fmt: skip
"""Makers by kind of value; one is chosen."""

GAPS: Final[Sequence[Make]] = (
    any_of("email", lambda rng: f"{rng.choice(GIVEN)} [at] example [dot] com", claimed=False),
    any_of("email", lambda rng: f'"{rng.choice(GIVEN)} x"@example.com', claimed=False),
    any_of("phone", written(*PHONE_GAPS), claimed=False),
    any_of("credit_card", lambda rng: " ".join(card_number(rng)), claimed=False),
    any_of("us_ssn", lambda rng: ssn(rng, ""), lambda rng: ssn(rng, " "), claimed=False),
    any_of("uk_nhs", lambda rng: nhs(rng, ""), claimed=False),
    any_of("uk_nino", lambda rng: nino(rng).lower().replace(" ", ""), claimed=False),
    any_of("api_key", lambda rng: some(rng, BASE62, 40), lambda rng: some(rng, HEX, 32), claimed=False),
    any_of("crypto_address", lambda rng: "4" + some(rng, BASE58, 94), lambda rng: some(rng, BASE58, 44), claimed=False),
)
"""Forms that are in use and not claimed: without label or checksum they cannot be told from other text."""
