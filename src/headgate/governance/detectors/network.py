"""Where machines are, and the passwords that stand in their addresses."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from headgate.governance.detectors.detector import END, Detector
from headgate.governance.detectors.folding import folded

_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_V4: Final = f"{_OCTET}(?:\\.{_OCTET}){{3}}"


def plausible_address(text: str) -> bool | None:
    """IPv4 is told by its pattern. IPv6 must be valid, and neither a slice, a scoped name nor a fingerprint.

    None for what goes on like an address beyond where one ends: 1.2.3.4.5 is none, and does not begin with one.
    """
    plain = folded(text)
    if ":" not in plain:
        return True if plain.count(".") == 3 else None
    try:
        IPv6Address(plain)
    except AddressValueError:
        return False if plain.endswith(":") else None  # 2001:db8::1: has a colon behind it
    groups = [group for group in plain.split(":") if group]
    if "::" not in plain:
        return any(len(group) != 2 for group in groups)  # else the beginning of a fingerprint
    if plain == "::1" or "." in plain:
        return True
    # `abc::def` is C++, `a[1::2]` is Python; 2001:db8::1 and fe80::1 are addresses
    return any(char.isdigit() for char in plain) and (len(groups) >= 3 or len(groups[:1] and groups[0]) == 4)


IP_ADDRESS: Final = Detector(
    "ip_address",
    "IPv4 and IPv6 addresses, without port, zone and prefix length. A version or section number of exactly four parts, "
    "each below 256, cannot be told from an IPv4 address.",
    (
        f"(?<![0-9A-Za-z.-]){_V4}(?:\\.[0-9]{{1,6}}){{0,9}}{END}",
        f"(?<![0-9A-Za-z:.])(?:[0-9A-Fa-f]{{0,4}}:){{2,7}}(?:[0-9A-Fa-f]{{0,4}}|{_V4}){END}",
    ),
    plausible_address,
)


def six_pairs(text: str) -> bool | None:
    """A fingerprint has more, and does not begin with an address."""
    return True if len(folded(text)) <= 17 else None


MAC_ADDRESS: Final = Detector(
    "mac_address",
    "Hardware addresses of 48 bits: six pairs with colons or hyphens, or three groups of four with dots.",
    (
        f"(?<![0-9A-Za-z:-])[0-9A-Fa-f]{{2}}(?:(?::[0-9A-Fa-f]{{2}}){{5,31}}|(?:-[0-9A-Fa-f]{{2}}){{5,31}}){END}",
        f"(?<![0-9A-Za-z.])[0-9A-Fa-f]{{4}}\\.[0-9A-Fa-f]{{4}}\\.[0-9A-Fa-f]{{4}}{END}",
    ),
    six_pairs,
)

_PLACEHOLDER: Final = re.compile(r"[$<{%*].*|x+|\.+", re.IGNORECASE | re.DOTALL)


def real_password(text: str) -> bool:
    """Something else than a variable or a mask stands where the password is."""
    userinfo = folded(text).partition("://")[2].rpartition("@")[0]
    return _PLACEHOLDER.fullmatch(userinfo.partition(":")[2]) is None


URL_CREDENTIALS: Final = Detector(
    "url_credentials",
    "URLs with a password in them, scheme://user:password@host, up to host and port; the user may be empty. "
    "Variables such as `${PASSWORD}` in its place are left alone.",
    (
        "(?<![0-9A-Za-z+.-])[A-Za-z][0-9A-Za-z+.-]{0,30}://[^\\s:@/?#\"'<>]{0,128}:[^\\s/?#\"'<>]{1,256}@"
        "(?:[0-9A-Za-z_-]{1,63}(?:\\.[0-9A-Za-z_-]{1,63}){0,10}|\\[[0-9A-Fa-f:.]{2,45}\\])(?::[0-9]{1,5})?(?![0-9A-Za-z_-])",
    ),
    real_password,
)
