"""Documents for the measurement of detectors: what is in them is known, and where. Seeded; the same every time.

A document is one genre of text with slots. A slot names a kind of value; ``any`` is any kind, ``gap`` a form that no
detector claims, ``not`` something harmless. Genres put values where such texts have them, and harmless things beside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Final, NamedTuple

from benchmarks.lookalikes import HARMLESS
from benchmarks.specimens import GAPS, KINDS, Specimen

SLOT: Final = re.compile(r"\{(\w+)\}")
DISGUISED: Final = 0.03
"""Share of values with an invisible character or full-width digits in them."""


class Truth(NamedTuple):
    """Where a value stands. A match may begin anywhere from `lead` to `start`, and ends at `end`."""

    kind: str
    lead: int
    start: int
    end: int
    claimed: bool


class Document(NamedTuple):
    genre: str
    text: str
    truths: tuple[Truth, ...]


GENRES: Final[Mapping[str, Sequence[str]]] = {
    "prose": (
        "You can reach the office at {phone} on weekdays, or write to {email}. ",
        "The transfer should go to {iban} by Friday; the reference is {not}. ",
        "According to section {not}, the deadline was {not}, which nobody remembered. ",
        "He read me the number on the card, {credit_card}, twice. ",
        "Her social security number is {us_ssn}, she said, and spelled {not} after it. ",
        "My national insurance number ({uk_nino}) was printed wrong. ",
        "For the appointment they wanted {uk_nhs}. ",
        "Nothing in the report of {not} explains the {not} we saw. ",
        "Please send the coins to {crypto_address}. ",
        "The taxpayer gave {us_itin} on the form of {not}. ",
        "I noted {gap} on the back of the envelope. ",
        "It took 3.5 hours, 1,200 people and {not} to find out. ",
        "Ask {email}, {email} or {phone}; the machine is {ip_address}. ",
        "She wrote {any}, and under it {not}. ",
    ),
    "mail": (
        "From: {email}\n", "To: Jo <{email}>\n", "Date: Mon, 15 Jan 2024 10:30:00 +0100\n", "Message-ID: <{not}>\n",
        "\nDear Jo,\n\n", "my number is {phone}. ", "As discussed, the invoice {not} is due on {not}. ",
        "Account: {iban}\n", "Card: {credit_card}\n", "-- \nJo Doe | {phone} | {email}\n", "> you wrote: {any}\n", "{gap}\n",
    ),
    "log": (
        "2024-01-15T10:30:{seconds}.123Z INFO  [{not}] request from {ip_address} took 12.5ms\n",
        '{ip_address} - - [15/Jan/2024:10:30:{seconds} +0000] "GET /v1/items/{not} HTTP/1.1" 200 5123\n',
        "Jan 15 10:30:{seconds} gw kernel: eth0: link up, {mac_address}\n",
        "DHCPACK on {ip_address} to {mac_address} via eth0\n",
        "ERROR could not connect to {url_credentials}/app: timeout after 30 s\n",
        "DEBUG headers: Authorization: {jwt}\n",
        "WARN user {email} failed to log in (attempt 3), trace {not}\n",
        "level=info msg=done id={not} n={not}\n",
        "INFO key={any} other={not}\n",
    ),
    "code": (
        'client = Client(base_url="https://api.example.com/v1", timeout=30.0)\n',
        'client.key = "{api_key}"\n', "DATABASE = '{url_credentials}/app'  # {not}\n",
        "def area(w: int, h: int) -> int:\n    return w * h  # {not}\n", 'HOST = "{ip_address}"\n',
        "assert checksum == '{not}'\n", "for i in range(0, 1024, 256): total += xs[i : i + 256]\n", "token = '{jwt}'\n",
        'PEM = """\n{private_key}\n"""\n', "wallet = '{crypto_address}'\n", "x = {not}\n", "TEST_VALUE = '{any}'\n",
    ),
    "env": (
        "{api_key}\n", "DATABASE_URL={url_credentials}/app\n", "LOG_LEVEL=info\n", "PORT=8080\n", "BUILD={not}\n",
        "ADMIN={email}\n", "BIND={ip_address}\n", "# {not}\n", "{private_key}\n", "VALUE={gap}\n",
    ),
    "table": (
        "| id | value | note |\n|----|-------|------|\n", "| 1 | {any} | {not} |\n", "| 2 | {not} | {email} |\n",
        "| 3 | {phone} | {not} |\n", "| 256 | 512 | 1024 |\n", "| {not} | {not} | {not} |\n", "| 4 | {iban} | {gap} |\n",
    ),
    "csv": (
        "id,name,email,phone,amount\n", "1,Jo Doe,{email},{phone},1234.50\n", "2,Li Wei,{email},{phone},99.00\n",
        "3,{not},{any},{not},0\n", "4,{us_ssn},{uk_nino},{credit_card},12\n", '"{not}";"{iban}";"{ip_address}"\n',
    ),
    "chat": (
        "user: what is {not}?\n", "assistant: It is {any}, as far as I know.\n", "user: mine is {any}\n",
        "assistant: Thanks! I have noted {any} for you.\n", "user: no, {not}\n", "assistant: **{any}** it is.\n",
        "assistant: 1. `{any}`\n2. `{not}`\n", "user: {gap}\n",
    ),
}  # fmt: skip
FIELDS: Final = ("id:not", "email:email", "phone:phone", "ip:ip_address", "card:credit_card", "iban:iban", "hash:not",
                 "value:any", "note:not", "token:jwt", "key:api_key", "pem:private_key", "mac:mac_address")  # fmt: skip


class _Writer:
    """Text with values in it, and where they stand."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._text = ""
        self._truths: list[Truth] = []

    def line(self, template: str, *, escape: bool = False) -> None:
        at = 0
        for slot in SLOT.finditer(template):
            self._text += template[at : slot.start()]
            self._slot(slot[1], escape=escape)
            at = slot.end()
        self._text += template[at:]

    def _slot(self, name: str, *, escape: bool) -> None:
        rng = self._rng
        if name == "seconds":
            self._text += f"{rng.randrange(60):02}"
        elif name == "not":
            text = rng.choice(HARMLESS)(rng)
            self._text += _escaped(text) if escape else text
        else:
            make = rng.choice(GAPS if name == "gap" else KINDS[rng.choice(list(KINDS)) if name == "any" else name])
            self._value(make(rng), escape=escape)

    def _value(self, value: Specimen, *, escape: bool) -> None:
        text = disguised(self._rng, value.text) if value.kind != "private_key" else value.text
        lead, text = (_escaped(value.lead), _escaped(text)) if escape else (value.lead, text)
        start = len(self._text) + len(lead)
        self._truths.append(Truth(value.kind, len(self._text), start, start + len(text), value.claimed))
        self._text += lead + text

    def document(self, genre: str) -> Document:
        return Document(genre, self._text, tuple(self._truths))


def disguised(rng: Random, text: str) -> str:
    """Now and then with a zero-width character inside, or a full-width digit."""
    if rng.random() >= DISGUISED:
        return text
    at = rng.randrange(1, len(text))
    if rng.random() < 0.5:
        return text[:at] + "\u200b" + text[at:]
    return re.sub("[0-9]", lambda digit: chr(ord(digit[0]) - 0x30 + 0xFF10), text, count=1)


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def documents(count: int, seed: int) -> Iterator[Document]:
    """So many documents, genre after genre."""
    genres = [*GENRES, "json"]
    for number in range(count):
        rng = Random(f"{seed}/{number}")
        writer = _Writer(rng)
        genre = genres[number % len(genres)]
        if genre == "json":
            fields = [field.split(":") for field in rng.sample(FIELDS, k=6)]
            body = ", ".join(f'"{name}": "{{{kind}}}"' for name, kind in fields)
            writer.line("{ " + body + ' , "n": 12.5, "ok": true }\n', escape=True)
        else:
            for template in rng.choices(GENRES[genre], k=rng.randint(3, 9)):
                writer.line(template)
        yield writer.document(genre)
