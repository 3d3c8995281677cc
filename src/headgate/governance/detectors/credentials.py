"""Keys, tokens and private keys: what opens something for whoever holds it.

Formats of vendors are told by their prefix, so their keys are found wherever they stand. A key without a form of its
own is found behind a label such as ``api_key =``, and is masked with it. Passwords in prose have no form: they are not
found here.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Final

from headgate.governance.detectors.detector import END, START, Detector, anycase
from headgate.governance.detectors.folding import folded

_W: Final = "[0-9A-Za-z]"
_U: Final = "[0-9A-Za-z_-]"
_H: Final = "[0-9a-f]"

VENDORS: Final[dict[str, tuple[str, ...]]] = {
    "Headgate": (f"hg-{_U}{{43}}{END}",),
    "OpenAI, and those who write keys as it does": (
        f"sk-(?:proj|svcacct|admin|None)-{_U}{{20,}}{END}",
        f"sk-(?:or-v1-|lf-)?{_W}{{32,}}{END}",
        f"sk-lf-{_H}{{8}}-{_H}{{4}}-{_H}{{4}}-{_H}{{4}}-{_H}{{12}}{END}",
    ),
    "Anthropic": (f"sk-ant-{_U}{{20,}}{END}",),
    "Google": (f"AIza{_U}{{35}}{END}", f"ya29\\.{_U}{{20,}}{END}", f"GOCSPX-{_U}{{28}}{END}"),
    "AWS": ("(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![0-9A-Za-z])", "ABSK[0-9A-Za-z+/]{100,}=*"),
    "GitHub": (f"gh[pousr]_{_W}{{36,}}{END}", f"github_pat_[0-9A-Za-z_]{{22,}}{END}"),
    "GitLab": (f"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|soat|oas)-{_U}{{20,}}(?:\\.[0-9a-z]{{2}}\\.[0-9a-z]{{9}})?{END}",),
    "Slack": (
        f"xox[abeoprs](?:\\.xox[bp])?-[0-9A-Za-z-]{{10,}}{END}",
        f"xapp-[0-9]-[0-9A-Za-z-]{{20,}}{END}",
        f"hooks\\.slack\\.com/(?:services|workflows|triggers)/[0-9A-Za-z/]{{20,}}{END}",
    ),
    "Stripe": (f"(?:sk|rk)_(?:live|test)_{_W}{{16,}}{END}", "whsec_[0-9A-Za-z+/]{24,}=*"),
    "Twilio": (f"(?:SK|AC){_H}{{32}}{END}",),
    "SendGrid": (f"SG\\.{_U}{{22}}\\.{_U}{{43}}{END}",),
    "npm": (f"npm_{_W}{{36}}{END}",),
    "PyPI": (f"pypi-{_U}{{50,}}{END}",),
    "Hugging Face": (f"(?:hf|api_org)_{_W}{{34,}}{END}",),
    "Groq": (f"gsk_{_W}{{40,}}{END}",),
    "xAI": (f"xai-{_W}{{60,}}{END}",),
    "Perplexity": (f"pplx-{_W}{{40,}}{END}",),
    "Replicate": (f"r8_{_W}{{37,}}{END}",),
    "NVIDIA": (f"nvapi-{_U}{{60,}}{END}",),
    "Cerebras, Fireworks, Tavily": (f"csk-{_W}{{40,}}{END}", f"fw_{_W}{{22,}}{END}", f"tvly-{_U}{{28,}}{END}"),
    "LangSmith": (f"lsv2_(?:pt|sk)_{_H}{{32}}_{_H}{{10}}{END}",),
    "Pinecone": (f"pcsk_[0-9A-Za-z_]{{40,}}{END}",),
    "DigitalOcean": (f"do[opr]_v1_{_H}{{64}}{END}",),
    "Shopify": (f"shp(?:at|ca|pa|ss)_[0-9A-Fa-f]{{32}}{END}",),
    "Telegram": (f"[0-9]{{8,10}}:AA{_U}{{33}}{END}",),
    "Discord": (f"[MNO][0-9A-Za-z]{{23,25}}\\.{_U}{{6}}\\.{_U}{{27,38}}{END}",),
    "Databricks": (f"dapi{_H}{{32}}(?:-[0-9])?{END}",),
    "Notion": (f"ntn_{_W}{{43,}}{END}", f"secret_{_W}{{43}}{END}"),
    "Linear": (f"lin_(?:api|oauth)_{_W}{{40,}}{END}",),
    "Postman": (f"PMAK-{_H}{{24}}-{_H}{{34}}{END}",),
    "Mailgun, Mailchimp": (f"key-[0-9a-z]{{32}}{END}", f"{_H}{{32}}-us[0-9]{{1,2}}{END}"),
    "New Relic": (f"NRAK-[0-9A-Z]{{27}}{END}",),
    "Airtable": (f"pat{_W}{{14}}\\.{_H}{{64}}{END}",),
    "Figma": (f"figd_{_U}{{40,}}{END}",),
    "HashiCorp": (f"hv[sb]\\.{_U}{{24,}}{END}", f"{_W}{{14}}\\.atlasv1\\.{_U}{{60,}}{END}"),
    "Doppler": (f"dp\\.(?:pt|st|ct|sa|scim|audit)\\.(?:[0-9a-z_-]{{2,35}}\\.)?{_W}{{40,44}}{END}",),
    "Atlassian": ("ATATT3[0-9A-Za-z_=-]{100,}",),
    "Azure": (f"{_W}{{3}}[78]Q~[0-9A-Za-z_.~-]{{30,33}}[0-9A-Za-z_~-]{END}",),
    "Sentry, PlanetScale": ("sntrys_[0-9A-Za-z+/=_]{60,}", f"pscale_(?:tkn|pw|oauth)_{_U}{{32,}}{END}"),
}
"""Patterns by vendor. What ends in a count without an upper bound takes its whole run: a longer key is still a key."""

_LABELS: Final = "|".join(
    anycase(words).replace(" ", "[ _.-]?")
    for words in (
        "api key", "api token", "api secret", "access token", "access key", "account key", "auth token",
        "bearer token", "client secret", "consumer secret", "refresh token", "secret access key", "secret key",
        "secret token", "shared access key", "signing secret", "subscription key", "webhook secret",
    )
)  # fmt: skip
_VALUE: Final = "[0-9A-Za-z_.+/~=-]{15,}[0-9A-Za-z_+/~=-](?![0-9A-Za-z_+/~=-])"
_LABELLED: Final = f"(?<![0-9A-Za-z])(?:{_LABELS})[\"'\\]\\\\]{{0,3}} {{0,8}}(?::|=|:=|=>) {{0,8}}\\\\?[\"']?{_VALUE}"
_BEARER: Final = f"{START}{anycase('bearer')} {{1,2}}{_VALUE}"
_BASIC: Final = f"{START}{anycase('basic')} {{1,2}}[0-9A-Za-z+/]{{8,}}={{0,2}}(?![0-9A-Za-z+/=])"

_LABEL: Final = re.compile(rf"(?:{_LABELS})[\"'\]\\]*\s*[:=]|(bearer|basic)\s", re.IGNORECASE)
_NAMES: Final = re.compile(
    r"[._/~+=-]*(?:[A-Za-z]+[0-9]{0,4}|[0-9]{1,4})(?:[._/~+=-]+(?:[A-Za-z]+[0-9]{0,4}|[0-9]{1,4}))*[=-]*"
)
"""What is made of words: `process.env.API_KEY`, `your-api-key-here`. Words and what stands between them share no
character, so this never looks back."""
_CAMEL: Final = re.compile(r"[a-z]*(?:[A-Z][a-z]{2,})*")
"""What is a name in one piece: `getAccessTokenFromStore`."""
LETTERS_MIN: Final = 20
"""Of a key without any digit behind a label: of 20 random letters and digits, 3 in 100 have none."""
LOOKED_AT: Final = 256
"""Characters of a key that are looked at: a check is asked for every place where a match may end."""
TAIL: Final = 16
DISTINCT_MIN: Final = 6
"""Different characters at the end of a key: `xxxxxxxxxxxxxxxx` and `0000-0000` are none."""


def plausible_key(text: str) -> bool:
    """Whether it is a key and not the place for one."""
    plain = folded(text[:LOOKED_AT])
    behind = _LABEL.match(plain)
    if behind is None:
        return _random(folded(text[-LOOKED_AT:])[-TAIL:])
    value = plain[behind.end() :].lstrip(" =>:\"'\\")
    if (behind[1] or "").lower() == "basic":
        return _basic(value)
    if any(char.isdigit() for char in value):
        one_case = value in (value.lower(), value.upper())
        return len(set(value)) >= DISTINCT_MIN and not (_NAMES.fullmatch(value) and (one_case or not value.isalnum()))
    mixed = value.isalnum() and not value.islower() and not value.isupper()
    return mixed and len(value) >= LETTERS_MIN and _CAMEL.fullmatch(value) is None


def _random(tail: str) -> bool:
    """Enough different characters, and neither words in small letters nor a constant's name."""
    if len(tail) < TAIL:
        return True  # somebody filled it with characters that cannot be seen
    wordy = tail.islower() or (tail.isupper() and not tail.isalnum())
    return len(set(tail)) >= DISTINCT_MIN and (not wordy or any(char.isdigit() for char in tail))


def _basic(value: str) -> bool:
    """RFC 7617: user and password with a colon between them, in base64."""
    try:
        return ":" in base64.b64decode(value, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return False


API_KEY: Final = Detector(
    "api_key",
    "Keys and tokens in the formats of " + ", ".join(VENDORS) + "; any other behind a label such as `api_key =`, "
    "`client_secret:`, `Bearer` or `Basic`, which is masked with it. Not passwords.",
    (
        *("(?<![0-9A-Za-z])" + pattern for patterns in VENDORS.values() for pattern in patterns),
        _LABELLED,
        _BEARER,
        _BASIC,
    ),
    plausible_key,
)


HEADER_MAX: Final = 4_096
"""Twice what the pattern lets a header have, for characters that cannot be seen."""


def jose_header(text: str) -> bool:
    """RFC 7519: what stands before the first dot is a JSON object that names an algorithm."""
    head = folded(text[:HEADER_MAX]).partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, RecursionError):  # not base64, not UTF-8, not JSON; or JSON made to break parsers
        return False
    return isinstance(header, dict) and "alg" in header


JWT: Final = Detector(
    "jwt",
    "JSON Web Tokens: three base64url parts (five if encrypted), the first of which is a header that names an algorithm.",
    (f"(?<![0-9A-Za-z-])eyJ{_U}{{10,1500}}\\.{_U}*\\.{_U}*(?:\\.{_U}+\\.{_U}+)?(?![0-9A-Za-z_-])",),
    jose_header,
)

_BEGIN: Final = "-{4,5} ?BEGIN (?:[0-9A-Z]+ )*PRIVATE KEY(?: BLOCK)? ?-{4,5}"
_DASHES: Final = "(?:-{4,}(?: |EN?| EN?))*"
"""Runs of dashes that might have been an END line."""
_BODY: Final = f"(?:[^-]|{_DASHES}(?:-{{1,3}}[^-]|-{{4,}}(?:[^- E]|E[^-N]|EN[^-D]| [^-E]| E[^-N]| EN[^-D])))*"
_TAIL: Final = f"{_DASHES}(?:-*|-{{4,}} |-{{4,}} ?END[^\\n-]*-{{0,5}})"

PRIVATE_KEY: Final = Detector(
    "private_key",
    "Private keys in PEM, OpenSSH and PGP armour: everything from the BEGIN line to the END line (any END line), "
    "or to the end of the text if there is none.",
    (_BEGIN + _BODY + _TAIL,),
)
"""The body is everything that does not hold ``----END`` or ``---- END``. Every prefix of a match behind the BEGIN line
is a match too, so a key that was cut off is masked to the end of the text."""
