"""How a log ends: the terminal of each way of ending."""

from __future__ import annotations

from typing import NamedTuple

from headgate.errors import CODES, Failure
from headgate.events import Blame, Status, Terminal


class Ending(NamedTuple):
    """What a log comes to. A failure says why, also for `blocked`, where it is no failure on the wire."""

    status: Status
    failure: Failure | None = None


def closing(ending: Ending, *, sha256: str, ended_at: int) -> Terminal:
    """The terminal of a log that ended like this."""
    status, failure = ending
    if failure is None:
        return Terminal(status, sha256=sha256, ended_at=ended_at)
    code = CODES[failure.code]
    return Terminal(
        status,
        code=failure.code,
        blame=Blame(code.blame),
        retryable=code.retryable,
        message=failure.message,
        http_status=failure.http_status,
        retry_after_s=failure.retry_after_s,
        detail=failure.detail,
        sha256=sha256,
        ended_at=ended_at,
    )
