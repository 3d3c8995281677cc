"""What must be left alone: numbers, names and code that look like something that should be masked."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from benchmarks.specimens import (
    BASE62,
    DIGITS,
    HEX,
    account,
    armour,
    b64url,
    base58check,
    card_number,
    fill,
    grouped,
    some,
    written,
)


def isbn(rng: Random) -> str:
    body = "978" + some(rng, DIGITS, 9)
    check = -sum(int(digit) * (1 + 2 * (i % 2)) for i, digit in enumerate(body)) % 10
    return rng.choice([f"{body[:3]}-{body[3]}-{body[4:7]}-{body[7:12]}-{check}", f"{body}{check}"])


def swapped(text: str) -> str:
    """One character of the end is another one."""
    return text[:-2] + ("2" if text[-2] != "2" else "3") + text[-1]


HARMLESS: Final[Sequence[Callable[[Random], str]]] = (
    lambda rng: grouped(rng, card_number(rng, right=False)),
    lambda rng: account(rng, right=False),
    lambda rng: swapped(base58check(rng, 0)),
    lambda rng: rng.choice(["bc1q", "0x"]) + some(rng, HEX.replace("1", "0").replace("b", "c"), 30),
    lambda rng: "0x" + some(rng, HEX, 64),
    isbn,
    # dates, times, timestamps
    written("2024-0~-1#", "1~.0~.2024", "0~/1#/2024", "2024-0~-1~T10:1#:3#Z", "10:1#:3#.######", "20240~1#"),
    written("17########", "17###########", "17#################"),
    # versions, sections, identifiers of objects
    written("#.#.#", "v~.#.#-rc.#", "10.0.1#045.3###", "Chrome/120.0.6###.10#", "#.#.#.#.#", "1.3.6.1.4.1.###", "§ ~.#.#"),
    written("~.#.#.#"),
    # order numbers, invoices, articles, tracking
    written("ORD-########", "2024-#####", "#########", "##########", "###########", "################", "4711-0###-2024"),
    written("INV/2024/####", "~###-##-###", "###-####-###", "##-#######", "~~-~~~-~~~~-~~", "1Z###AA101234567~4"),
    written("000-~#-####", "666-~#-####", "9##-3#-####", "~~#-00-####", "115-~~#-####", "~~#-911-####"),
    written("GB######A", "FX ## ## ## A", "AB#####C", "QQ123456C"),
    # hashes, ids, encoded bytes
    lambda rng: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
    lambda rng: some(rng, HEX, rng.choice([7, 12, 16, 32, 40, 64])),
    lambda rng: "sha256:" + some(rng, HEX, 64),
    lambda rng: base64.b64encode(rng.randbytes(rng.choice([12, 48, 150]))).decode(),
    lambda rng: b64url(b'{"version":3,"sources":["app.js"],"names":[],"mappings":"AAAA"}'),
    lambda rng: ":".join(some(rng, HEX, 2) for _ in range(rng.choice([16, 20]))),
    lambda rng: "#" + some(rng, HEX, 6),
    # code
    lambda rng: rng.choice(["std::map<int, abc::def>", "xs[1::2]", "a::b", "icon@2x.png", "lodash@4.17.21", "@app.get('/x')"]),
    lambda rng: rng.choice(["git@github.com:owner/repo.git", "https://example.com:8443/@jo/post", "jo@localhost", "x @ y.T"]),
    lambda rng: rng.choice(['os.environ["OPENAI_API_KEY"]', "api_key=your-api-key-goes-here", "sk-fading-circle10-spinner"]),
    lambda rng: rng.choice(["postgres://app:${DB_PASSWORD}@db/app", "https://example.com/a:b", "API_KEY=xxxxxxxxxxxxxxxxxxxxxxxx"]),
    lambda rng: rng.choice(["apiKey: process.env.API_KEY_V2", "Bearer <token>"]),
    lambda rng: rng.choice(["sk-...", "AKIA...", "ghp_xxxx", "pk_live_" + some(rng, BASE62, 24)]),
    lambda rng: armour(rng, rng.choice(["CERTIFICATE", "PUBLIC KEY"]), 90),
    lambda rng: fill(rng, "@@ -~##,# +~##,~ @@"),
    # numbers
    written("1,~##,###.##", "€ ~.###,##", "##.## %", "~ ### ###", "-0.########", "#.##e-#", "52.5###, 13.3###", "16:#", "~00 x 600"),
    written("256 512 1024", "~ # ~ # ~ #", "200 ~# ~###", "#/#/##", "[~, ##, ###, ####]", "0.~###############"),
    written("IPv4", "port ~###", "RFC ~###", "ISO 9899", "room ~.##", "p. ~##-~##", "UTC+0~##", "Q~ 2024", "A4", "5G"),
)  # fmt: skip
"""Makers of texts that are none of the kinds."""
