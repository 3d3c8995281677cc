"""Email addresses and telephone numbers: what is found, to the character, and what is not."""

from __future__ import annotations

import pytest

from tests.unit.governance.detectors.found import found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write to jo@example.com, please.", "jo@example.com"),
        ("Write to jo@example.com.", "jo@example.com"),
        ("<jo.o'brien+news@mail.example.co.uk>", "jo.o'brien+news@mail.example.co.uk"),
        ("mailto:JO_99@EXAMPLE.ORG?subject=hi", "JO_99@EXAMPLE.ORG"),
        ("[jo@example.com](mailto:x)", "jo@example.com"),
        ("user=jo%40example.com&x=1", "jo%40example.com"),
        ("björn@müller.de schrieb", "björn@müller.de"),
        ("jo@xn--mller-kva.example is punycode", "jo@xn--mller-kva.example"),
        ("full width jo\uff20example.com", "jo\uff20example.com"),
        ("a look-alike j\u043e@example.com", "j\u043e@example.com"),
        ("invisible jo@exam\u200bple.com", "jo@exam\u200bple.com"),
        ("{'to': 'jo@example.com'}", "jo@example.com"),
        ("12@34.example", "12@34.example"),
    ],
)
def test_email_is_found(text: str, expected: str) -> None:
    assert found("email", text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "icon@2x.png and logo@3x.webp",
        "npm install lodash@4.17.21 @types/node@20",
        "git clone git@github.com:owner/repo.git",
        "@app.route('/x') and @dataclass(frozen=True)",
        "meet me @ home.example at 9",
        "jo@localhost",
        "price @ 3.50 each",
        "a@b",
        "docker pull image@sha256:abcdef",
    ],
)
def test_what_only_looks_like_an_email_is_left_alone(text: str) -> None:
    assert found("email", text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Call +1 415 555 2671 today.", "+1 415 555 2671"),
        ("Call +14155552671.", "+14155552671"),
        ("Call +1 415 555 2671 10 times.", "+1 415 555 2671"),
        ("Call 415-555-2671, ask for Jo", "415-555-2671"),
        ("Call (415) 555-2671", "(415) 555-2671"),
        ("Call (415)555-2671", "(415)555-2671"),
        ("Call 415.555.2671 x42", "415.555.2671 x42"),
        ("Call 1-800-555-2671.", "1-800-555-2671"),
        ("Call 415 555 2671.", "415 555 2671"),
        ("tel:+44-20-7946-0958", "+44-20-7946-0958"),
        ("+44 (0)20 7946 0958 is London", "+44 (0)20 7946 0958"),
        ("020 7946 0958 is London", "020 7946 0958"),
        ("(020) 7946 0958 is London", "(020) 7946 0958"),
        ("mobile 07700 900123", "07700 900123"),
        ("mobile 07700 900079", "07700 900079"),
        ("mobile 07700900123", "07700900123"),
        ("06 12 34 56 78 en France", "06 12 34 56 78"),
        ("01.42.68.53.00 en France", "01.42.68.53.00"),
        ("+33 1 42 68 53 00", "+33 1 42 68 53 00"),
        ("0033 1 42 68 53 00", "0033 1 42 68 53 00"),
        ("Telefon 030/9018200", "030/9018200"),
        ("+49 (30) 901820", "+49 (30) 901820"),
        ("0171 1234567 anrufen", "0171 1234567"),
        ("0412 345 678 in Sydney", "0412 345 678"),
        ("03-1234-5678 in Tokyo", "03-1234-5678"),
        ("(11) 98765-4321 em São Paulo", "(11) 98765-4321"),
        ("+91 98765 43210", "+91 98765 43210"),
        ("+86 138 0013 8000", "+86 138 0013 8000"),
        ("phone: 4155552671", "phone: 4155552671"),
        ("full width +１ ４１５ ５５５ ２６７１", "+１ ４１５ ５５５ ２６７１"),  # noqa: RUF001
        ("non-breaking 415\u2011555\u20112671", "415\u2011555\u20112671"),
    ],
)
def test_phone_is_found(text: str, expected: str) -> None:
    assert found("phone", text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "order 4155552671 and 20240115103000",
        "2024-01-15 10:30:00 and 15.01.2024",
        "versions 1.2.3 and 10.0.22631",
        "ISBN 978-0-306-40615-7 and 0-306-40615-2",
        "192.168.100.200",
        "area 115-555-2671 begins with 1",
        "service 415-911-2671",
        "+999 123 456 789 is no country",
        "+1 415 555 267 is too short",
        "@@ -415,7 +415,9 @@",
        "046-53-0848 has no telephone's length",
        "UTC+0100 and 12:00+02:00",
        "550e8400-e29b-41d4-a716-446655440000",
        "1/2 + 3/4 = 5/4, 1,234,567.89",
        "0000-0000-0000",
        "timestamps 1700000000 1700000000123",
    ],
)
def test_what_only_looks_like_a_phone_number_is_left_alone(text: str) -> None:
    assert found("phone", text) == []
