"""The registry: every detector is in the subset, checks are pure and never raise, and text comes back unharmed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.governance.detectors import DETECTORS
from headgate.governance.matching.pattern import check_bounded, parse
from tests.unit.governance.detectors.found import found

PROSE = """\
The gateway was released on 2024-01-15 (version 1.2.3, build 20240115.4). It serves 1,234,567 requests a day, 99.95 %
of them within 12.5 ms; the rest, 0.05 %, takes 3 to 4 s. Chapter 3.1.4 explains why: see pp. 120-145 of
ISBN 978-3-16-148410-0, or §4.2 of RFC 9110. Order no. 4711-0815-2024 cost $12,345.67 (EUR 11.234,56).

| size | 256 | 512 | 1024 |
|------|-----|-----|------|
| ms   | 0.5 | 1.0 | 2.25 |

```python
def f(xs: list[int]) -> dict[str, int]:
    return {"id": xs[0], "sha": "9fceb02d0ae598e95dc970b74767f19372d61af8", **{str(x): x << 3 for x in xs[1::2]}}
```
{"id": "550e8400-e29b-41d4-a716-446655440000", "created": 1700000000, "ratio": 0.3333333333333333, "tags": ["a", "b"]}
"""


def test_names_are_those_policies_use() -> None:
    assert list(DETECTORS) == [
        "email", "phone", "credit_card", "iban", "us_ssn", "us_itin", "uk_nino", "uk_nhs", "ip_address", "mac_address",
        "url_credentials", "api_key", "jwt", "private_key", "crypto_address",
    ]  # fmt: skip
    assert all(detector.name == name and detector.about.endswith(".") for name, detector in DETECTORS.items())


@pytest.mark.parametrize("name", DETECTORS)
def test_patterns_are_in_the_subset(name: str) -> None:
    for pattern in DETECTORS[name].patterns:
        assert parse(pattern, ignore_case=DETECTORS[name].ignore_case)


@pytest.mark.parametrize("name", sorted(set(DETECTORS) - {"api_key", "jwt", "private_key"}))
def test_only_secrets_may_grow_until_they_block(name: str) -> None:
    for pattern in DETECTORS[name].patterns:
        check_bounded(pattern)


@pytest.mark.parametrize("name", DETECTORS)
def test_prose_tables_and_code_are_left_alone(name: str) -> None:
    assert found(name, PROSE) == []


@pytest.mark.parametrize("name", DETECTORS)
@settings(max_examples=30, deadline=None)
@given(text=st.text(alphabet="aB1.:-@/_ =x4０\u200b\u043e", max_size=60))  # noqa: RUF001
def test_checks_never_raise_on_what_their_patterns_match(name: str, text: str) -> None:
    assert all(piece in text for piece in found(name, text))
