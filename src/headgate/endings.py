"""How a log ends: the terminal of each way of ending."""

from __future__ import annotations

from typing import Final, NamedTuple

from headgate.config import Timeouts
from headgate.errors import CODES, Failure
from headgate.events import Blame, Status, Terminal

UNVERIFIED: Final = "unverified"
"""Why text is taken back that nobody had passed when the log ended."""
UNREAD: Final = Failure("disconnected", "Every reader went away; the answer was read to its end for its usage.")
INTERNAL: Final = Failure("internal", "A fault in the gateway ended the response.")
GUARD_FAILED: Final = Failure("guard_failed", "A fault in judging the answer ended the response.")


class Ending(NamedTuple):
    """What a log comes to. A failure says why, also for `blocked`, where it is no failure on the wire."""

    status: Status
    failure: Failure | None = None


_PLAIN: Final = {status: Ending(status) for status in Status}


def ended(status: Status) -> Ending:
    """The ending that is no failure."""
    return _PLAIN[status]


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


def overdue(phase: str, timeouts: Timeouts) -> Failure:
    """The failure of a provider that did nothing for too long in this phase."""
    if phase == "first_token":
        seconds = timeouts.first_token_s
        return Failure("upstream_first_token_timeout", f"The provider sent no token within {seconds:g} s.")
    if phase == "whole":
        text = f"The provider was asked for a whole answer and had not given it after {timeouts.whole_s:g} s."
        return Failure("upstream_timeout", text)
    return Failure("upstream_stalled", f"The provider made no progress for {timeouts.stall_s:g} s.")
