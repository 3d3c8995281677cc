"""Keys, tokens, private keys: what is found, to the character, and what is not.

Keys are put together here, so that no scanner of repositories takes them for real ones.
"""

from __future__ import annotations

import base64
import json
from typing import Final

import pytest

from tests.unit.governance.detectors.found import found

BASE62: Final = "a7Kq9ZxT2mWbR4vNc8LdJ1hYs6Gf3PeU5oXiB0kQyVtMwCzHrDgEjSnApFlIuO"
HEX: Final = "3f9a1c7be05d4826af13c9e7b2640d58" * 2
UPPER: Final = "Q7ZK2MWBR4VNC8LD"


def body(count: int) -> str:
    return (BASE62 * 3)[:count]


KEYS: Final = {
    "hg-": body(43),
    "sk-": body(48),
    "sk-proj-": body(60) + "_-" + body(60),
    "sk-ant-api03-": body(90) + "-AA",
    "sk-or-v1-": HEX,
    "AIza": body(35),
    "AKIA": UPPER,
    "ASIA": UPPER,
    "ghp_": body(36),
    "gho_": body(36),
    "ghs_": body(36),
    "github_pat_": body(22) + "_" + body(59),
    "glpat-": body(20),
    "xoxb-": "123456789012-1234567890123-" + body(24),
    "sk_live_": body(24),
    "rk_live_": body(24),
    "whsec_": body(32),
    "SK": HEX[:32],
    "AC": HEX[:32],
    "SG.": body(22) + "." + body(43),
    "npm_": body(36),
    "pypi-": "AgEIcHlwaS5vcmc" + body(80),
    "hf_": body(34),
    "gsk_": body(52),
    "xai-": body(80),
    "pplx-": body(48),
    "r8_": body(37),
    "dop_v1_": HEX,
    "shpat_": HEX[:32],
    "123456789:AA": body(33),
}


@pytest.mark.parametrize("prefix", KEYS)
@pytest.mark.parametrize("around", ["{}", "key is {}.", '"{}"', "use `{}`, now", "--token={} --x", "\n{}\n", "a/{}?b"])
def test_key_of_a_vendor_is_found_wherever_it_stands(prefix: str, around: str) -> None:
    key = prefix + KEYS[prefix]
    assert found("api_key", around.format(key)) == [key]


def test_key_longer_than_known_is_masked_whole() -> None:
    key = "ghp_" + body(36) * 3
    assert found("api_key", f"x {key} y") == [key]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'api_key = "{body(24)}"', f'api_key = "{body(24)}'),
        (f"the api_key: {body(24)}.", f"api_key: {body(24)}"),
        ('{"access_token":"VKELHWRcVZCtAXzhGYSZQriu"}', 'access_token":"VKELHWRcVZCtAXzhGYSZQriu'),
        (f"OPENAI_API_KEY={body(24)}", f"API_KEY={body(24)}"),
        (f"x-api-key: {HEX[:32]}", f"api-key: {HEX[:32]}"),
        (f'{{"client_secret": "{body(40)}"}}', f'client_secret": "{body(40)}'),
        (f"aws_secret_access_key={body(19)}/{body(20)}", f"secret_access_key={body(19)}/{body(20)}"),
        (f"AccountKey={body(60)}==;", f"AccountKey={body(60)}=="),
        (f"Authorization: Bearer {body(40)}", f"Bearer {body(40)}"),
        (f"Authorization: Basic {base64.b64encode(b'jo:s3cret').decode()}", "Basic am86czNjcmV0"),
        (f"AccessToken : {body(16)}.{body(16)}", f"AccessToken : {body(16)}.{body(16)}"),
    ],
)
def test_key_behind_a_label_is_found_with_it(text: str, expected: str) -> None:
    assert found("api_key", text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        'api_key = os.environ["OPENAI_API_KEY"]',
        "api_key: process.env.OPENAI_API_KEY",
        "api_key = getAccessTokenFromLocalStorage()",
        "use apiKey: process.env.API_KEY_V2.",
        'apiKey: "your-api-key-goes-here"',
        "API_KEY=xxxxxxxxxxxxxxxxxxxxxxxx",
        "api_key = settings.provider1.api_key_v2",
        "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "sk-proj-your-openai-project-key-here",
        "class='sk-fading-circle sk-circle10'",
        "risk-averse task-oriented desk-1234567890",
        "AKIA is a prefix; AKIASHORT1 is too short",
        "a bearer of good news, basic understanding",
        "Bearer authentication-scheme-of-rfc6750",
        f"sha256:{HEX}",
        f"commit {HEX[:40]}",
        "550e8400-e29b-41d4-a716-446655440000",
        f"pk_live_{body(24)} is public",
        "the access token is short-lived",
        f"data:image/png;base64,{body(62)}",
    ],
)
def test_what_only_looks_like_a_key_is_left_alone(text: str) -> None:
    assert found("api_key", text) == []


@pytest.mark.parametrize(
    "text",
    ["api_key = " + "a_" * 4_000 + "9999999", "api_key = " + "a." * 4_000 + "9", "token " + "A" * 4_000, "client_secret="
     + "A" * 4_000 + "bA", "sk-ant-" + "a-" * 4_000, "sk-ant-\u200b" + "a-" * 4_000, "Bearer " + "Ab" * 4_000 + "-"],
)  # fmt: skip
def test_text_made_to_be_slow_is_judged_in_time_that_grows_with_its_length(text: str) -> None:
    """An expression that looks back would take years."""
    assert "".join(found("api_key", text)) in text


def test_key_filled_with_characters_that_cannot_be_seen_is_found() -> None:
    key = "sk-ant-" + "\u200b".join(body(30)) + "\u200b" * 300 + "x"
    assert found("api_key", f"{key} ") == [key]


def test_jwt_header_made_to_break_parsers_is_no_header() -> None:
    head = base64.urlsafe_b64encode(b'{"a":' + b"[" * 1_000).decode().rstrip("=")
    assert found("jwt", f"{head}.{body(20)}.{body(20)}") == []


def part(**members: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(members).encode()).decode().rstrip("=")


TOKEN: Final = f"{part(alg='HS256', typ='JWT')}.{part(sub='jo', iat=1516239022)}.{body(43)}"


@pytest.mark.parametrize("around", ["{}", "token={};", "it is {}.", '{{"t":"{}"}}', "Bearer {}"])
def test_jwt_is_found(around: str) -> None:
    assert found("jwt", around.format(TOKEN))[0].rstrip(".") == TOKEN


@pytest.mark.parametrize(
    "text",
    [
        part(alg="HS256", typ="JWT"),
        f"{part(version=3, sources=[])}.{body(20)}.{body(20)}",
        f"eyJub3Rqc29u.{body(20)}.{body(20)}",
        "eyJ.eyJ.x",
        f"x{TOKEN}",
    ],
)
def test_what_only_looks_like_a_jwt_is_left_alone(text: str) -> None:
    assert found("jwt", text) == []


def pem(label: str, *, end: str | None = None, dashes: str = "-----") -> str:
    lines = [f"{dashes}BEGIN {label}{dashes}", body(64), body(64), "q83=", f"{dashes}END {end or label}{dashes}"]
    return "\n".join(lines)


LABELS: Final = (
    "PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "DSA PRIVATE KEY",
    "OPENSSH PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "PGP PRIVATE KEY BLOCK",
)


@pytest.mark.parametrize("name", LABELS)
def test_private_key_is_found_from_its_begin_line_to_its_end_line(name: str) -> None:
    assert found("private_key", f"Here:\n{pem(name)}\nand on") == [pem(name)]


def test_ssh2_private_key_with_four_dashes_is_found() -> None:
    key = f"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n{body(64)}\n---- END SSH2 ENCRYPTED PRIVATE KEY ----"
    assert found("private_key", f"x\n{key}\ny") == [key]


def test_private_key_without_end_line_is_found_to_the_end_of_the_text() -> None:
    for cut in range(len("-----BEGIN RSA PRIVATE KEY-----"), len(pem("RSA PRIVATE KEY"))):
        text = pem("RSA PRIVATE KEY")[:cut]
        assert found("private_key", f"Here: {text}") == [text]


@pytest.mark.parametrize(
    "inside",
    ["Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n", "-- - ---\n", "-----\n", "-----E\n", "-----EN-----EN D\n",
     "-----BEGIN X-----\n", "------ ----- -----", "END PRIVATE KEY", "---- -----\n", "---END PRIVATE KEY---\n"],
)  # fmt: skip
def test_dashes_inside_a_private_key_do_not_end_it(inside: str) -> None:
    key = f"-----BEGIN PRIVATE KEY-----\n{inside}{body(64)}\n-----END PRIVATE KEY-----"
    assert found("private_key", f"{key} and on") == [key]
    assert found("private_key", key[:-30]) == [key[:-30]]


def test_private_key_written_with_escaped_line_ends_is_found() -> None:
    key = pem("PRIVATE KEY").replace("\n", "\\n")
    assert found("private_key", f'{{"private_key": "{key}\\n"}}') == [key]


def test_two_private_keys_are_two() -> None:
    one, two = pem("PRIVATE KEY"), pem("EC PRIVATE KEY")
    assert found("private_key", f"{one}\nbetween\n{two}\n") == [one, two]


@pytest.mark.parametrize(
    "text", [pem("CERTIFICATE"), pem("PUBLIC KEY"), "BEGIN PRIVATE KEY", "-- BEGIN PRIVATE KEY --", "----- BEGIN -----"]
)
def test_other_armour_is_no_private_key(text: str) -> None:
    assert found("private_key", text) == []
