"""The form of a receipt: what a row of the kind ``response`` may say. `receipts` fills it in.

Interpreted, as all structs are. **Fields stand in the order of their names**, here and in the objects that the lists
hold: that is the order of canonical JSON (RFC 8785), so the encoder has nothing to sort.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from headgate.events import Status


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """One upstream call."""

    attempt: int
    code: str
    http_status: int
    model: str
    provider: str


class End(msgspec.Struct, frozen=True, gc=False):
    """How the log ended."""

    code: str
    status: Status


class Counts(msgspec.Struct, frozen=True, gc=False):
    """Tokens used, at most `receipts.SAFE_INTEGER` each."""

    cache_write_tokens: int
    cached_tokens: int
    estimated: bool
    input_tokens: int
    output_tokens: int
    reasoning_tokens: int


class Receipt(msgspec.Struct, kw_only=True, gc=False):
    """All that is said of a response; `id`, `kind` and `seq` are its place, which it gets last."""

    attempts: list[Attempt]
    attempts_count: int
    config_version: str
    created_at: int
    dialect: str
    drift: list[dict[str, Any]] | UnsetType = UNSET
    duration_ms: int | UnsetType = UNSET
    ended_at: int
    event_count: int
    first_output_ms: int | UnsetType = UNSET
    governance: list[dict[str, Any]] | UnsetType = UNSET
    id: str = ""
    kind: str = ""
    model: str
    owner: str
    parts: list[dict[str, Any]] | UnsetType = UNSET
    policy: str
    policy_version: str
    provider: str
    request_sha256: str
    requested_model: str
    retractions: dict[str, int] | UnsetType = UNSET
    reviews: list[dict[str, Any]] | UnsetType = UNSET
    reviews_count: int | UnsetType = UNSET
    risk: str
    route: str
    seq: int = 0
    sha256: str
    sources: Raw | UnsetType = UNSET
    sources_count: int | UnsetType = UNSET
    sources_sha256: str | UnsetType = UNSET
    terminal: End
    usage: Counts | UnsetType = UNSET
    verdicts: list[dict[str, Any]] | UnsetType = UNSET
