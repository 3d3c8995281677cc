"""Addresses of machines and passwords in them: what is found, to the character, and what is not."""

from __future__ import annotations

import pytest

from tests.unit.governance.detectors.found import found


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("ip_address", "ping 192.168.0.1", "192.168.0.1"),
        ("ip_address", "The server is 10.0.0.255.", "10.0.0.255"),
        ("ip_address", "http://10.0.0.1:8080/x", "10.0.0.1"),
        ("ip_address", "10.0.0.0/8", "10.0.0.0"),
        ("ip_address", "[2001:db8::1]:443", "2001:db8::1"),
        ("ip_address", "2001:0db8:85a3:0000:0000:8a2e:0370:7334 up", "2001:0db8:85a3:0000:0000:8a2e:0370:7334"),
        ("ip_address", "fe80::1%eth0", "fe80::1"),
        ("ip_address", "via 2001:db8::1: no route", "2001:db8::1"),
        ("ip_address", "::1 is here", "::1"),
        ("ip_address", "::ffff:192.0.2.128", "::ffff:192.0.2.128"),
        ("ip_address", "64:ff9b::c000:201", "64:ff9b::c000:201"),
        ("ip_address", "1０.0.0.1", "1０.0.0.1"),  # noqa: RUF001
        ("mac_address", "aa:bb:cc:00:11:22 joined", "aa:bb:cc:00:11:22"),
        ("mac_address", "AA-BB-CC-00-11-22.", "AA-BB-CC-00-11-22"),
        ("mac_address", "aabb.cc00.1122 dynamic", "aabb.cc00.1122"),
        ("mac_address", "aa:bb:cc:00:11:22: link up", "aa:bb:cc:00:11:22"),
        ("url_credentials", "postgres://jo:s3cret@db.example/app", "postgres://jo:s3cret@db.example"),
        ("url_credentials", "'https://jo:pa:ss@example.com:8443/x'", "https://jo:pa:ss@example.com:8443"),
        ("url_credentials", "redis://:s3cret@localhost:6379/0", "redis://:s3cret@localhost:6379"),
        ("url_credentials", "mongodb+srv://jo:p%40ss@c0.example.net.", "mongodb+srv://jo:p%40ss@c0.example.net"),
        ("url_credentials", "amqp://jo:p@ss@[::1]:5672/", "amqp://jo:p@ss@[::1]:5672"),
    ],
)
def test_address_is_found(name: str, text: str, expected: str) -> None:
    assert found(name, text) == [expected]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ip_address", "version 1.2.3, v1.2.3.4, build-1.2.3.4, 1.2"),
        ("ip_address", "version 1.2.3.4.5, OID 1.3.6.1.4.1.311, 2001:db8::1::2"),
        ("mac_address", "43:51:43:a1:b5:fc:8b:b7:0a:3a:a9:b1:0f:66:73:a8"),
        ("ip_address", "Chrome/120.0.6099.109"),
        ("ip_address", "256.1.1.1 and 1.1.1.1a and 1.1.1.01"),
        ("ip_address", "at 12:30:45, ratio 1:2:3"),
        ("ip_address", "std::vector, abc::def, a::b, ::"),
        ("ip_address", "xs[1::2] and xs[::2]"),
        ("ip_address", "43:51:43:a1:b5:fc:8b:b7:0a:3a:a9:b1:0f:66:73:a8"),
        ("ip_address", "aa:bb:cc:00:11:22"),
        ("mac_address", "12:30:45 and 2024-01-15-10-30"),
        ("mac_address", "aa:bb:cc:00:11, aa:bb-cc:00:11:22, gg:bb:cc:00:11:22"),
        ("mac_address", "550e8400-e29b-41d4-a716-446655440000"),
        ("url_credentials", "https://example.com:443/a@b"),
        ("url_credentials", "https://jo@example.com/x and ssh://git@example.com"),
        ("url_credentials", "postgres://jo:${DB_PASSWORD}@db/app"),
        ("url_credentials", "https://jo:***@example.com"),
        ("url_credentials", "https://example.com?next=a:b@c"),
    ],
)
def test_what_only_looks_like_an_address_is_left_alone(name: str, text: str) -> None:
    assert found(name, text) == []
