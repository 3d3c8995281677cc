"""Built-in detectors: what can be told by its form, with the checksum where it has one.

    detector      what a detector is
    folding       how a check reads a match
    checksums     Luhn, mod 97, mod 11
    contact       email, phone
    finance       credit_card, iban
    identity      us_ssn, us_itin, uk_nino, uk_nhs
    network       ip_address, mac_address, url_credentials
    credentials   api_key, jwt, private_key
    crypto        crypto_address; keccak is its hash

A detector is data: patterns in the streamable subset and a pure check. It decides nothing about what becomes of a
match, and knows nothing of the text around it beyond one character on each side.
"""

from __future__ import annotations

from typing import Final

from headgate.governance.detectors.contact import EMAIL, PHONE
from headgate.governance.detectors.credentials import API_KEY, JWT, PRIVATE_KEY
from headgate.governance.detectors.crypto import CRYPTO_ADDRESS
from headgate.governance.detectors.detector import Detector
from headgate.governance.detectors.finance import CREDIT_CARD, IBAN
from headgate.governance.detectors.identity import UK_NHS, UK_NINO, US_ITIN, US_SSN
from headgate.governance.detectors.network import IP_ADDRESS, MAC_ADDRESS, URL_CREDENTIALS

__all__ = ["DETECTORS", "Detector"]

DETECTORS: Final[dict[str, Detector]] = {
    detector.name: detector
    for detector in (
        EMAIL,
        PHONE,
        CREDIT_CARD,
        IBAN,
        US_SSN,
        US_ITIN,
        UK_NINO,
        UK_NHS,
        IP_ADDRESS,
        MAC_ADDRESS,
        URL_CREDENTIALS,
        API_KEY,
        JWT,
        PRIVATE_KEY,
        CRYPTO_ADDRESS,
    )
}
"""By name."""
