"""Every error Headgate can show somebody, as data.

    HeadgateError
     |- RequestError     the caller's request cannot be served; becomes an HTTP answer in the caller's dialect
     |- ConfigError      the configuration cannot be used; `headgate check` prints all of its problems
     |- PolicyError      a policy cannot be used; those in force stay
     |- LifecycleError   an event may not stand where it stands: a fault of ours
     `- StoreError       the durable store failed; law 1 decides what happens

What a provider does wrong is never an exception: decoders turn it into a `Failure`, which ends the log.
`code` is stable and documented; messages are for people and may change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from headgate.events import Blame
from headgate.places import Problem


class Code(NamedTuple):
    """What is true of an error code wherever it occurs."""

    status: int
    blame: Blame
    retryable: bool
    meaning: str


CODES: Final[dict[str, Code]] = {
    # the caller's
    "invalid_request": Code(400, Blame.CALLER, False, "The request is malformed; the message names the field."),
    "unsupported_field": Code(
        400,
        Blame.CALLER,
        False,
        "A field of the request has no counterpart in the dialect of the provider behind the model; the message names both.",
    ),
    "unsupported_operation": Code(
        400,
        Blame.CALLER,
        False,
        "The provider behind the model, or the policy that judges it, has no place for what is asked; the message names it.",
    ),
    "context_length_exceeded": Code(
        400, Blame.CALLER, False, "The request cannot fit the model's context; the message has the numbers."
    ),
    "invalid_json": Code(400, Blame.CALLER, False, "The body is not JSON."),
    "invalid_cursor": Code(400, Blame.CALLER, False, "The cursor is not a number of this log."),
    "unauthorized": Code(401, Blame.CALLER, False, "No key, or one that is not known; or a token that does not fit."),
    "expired_link": Code(401, Blame.CALLER, False, "The time of the read link is over; another one can be made."),
    "forbidden_host": Code(
        403,
        Blame.CALLER,
        False,
        "The Host header is not one of this machine; without keys only local clients are served.",
    ),
    "forbidden_origin": Code(
        403,
        Blame.CALLER,
        False,
        "A page of another origin opened a WebSocket (server.cors_origins names those that may), or asked for administration.",
    ),
    "not_found": Code(404, Blame.CALLER, False, "There is no such resource, or it belongs to somebody else."),
    "model_not_found": Code(
        404, Blame.CALLER, False, "No route leads from this model name; the message names some that do."
    ),
    "method_not_allowed": Code(405, Blame.CALLER, False, "The path exists, the method does not."),
    "not_expressible": Code(406, Blame.CALLER, False, "The dialect asked for cannot show this response."),
    "request_timeout": Code(408, Blame.CALLER, True, "The request body did not arrive in time."),
    "already_finished": Code(409, Blame.CALLER, False, "The response has ended; there is nothing left to cancel."),
    "not_finished": Code(409, Blame.CALLER, True, "The response has not ended; its receipt is made with its end."),
    "expired_response": Code(410, Blame.CALLER, False, "The response is older than the retention."),
    "body_too_large": Code(413, Blame.CALLER, False, "The request body is over the limit."),
    "unsupported_media_type": Code(415, Blame.CALLER, False, "The body must be application/json."),
    "headers_too_large": Code(431, Blame.CALLER, False, "The request headers are over the limit."),
    "cancelled": Code(499, Blame.CALLER, False, "Somebody asked for the response to stop."),
    "disconnected": Code(499, Blame.CALLER, False, "Every reader went away, and the route cancels then."),
    # the provider's
    "upstream_rejected": Code(
        400, Blame.CALLER, False, "The provider refused the request; its error object is passed on."
    ),
    "upstream_auth": Code(502, Blame.GATEWAY, False, "The provider refused the gateway's credentials."),
    "upstream_rate_limited": Code(
        429, Blame.UPSTREAM, True, "The provider is rate limiting; Retry-After is passed on."
    ),
    "upstream_error": Code(502, Blame.UPSTREAM, True, "The provider answered with an error."),
    "upstream_connect": Code(502, Blame.UPSTREAM, True, "No connection to the provider."),
    "upstream_cut": Code(502, Blame.UPSTREAM, True, "The provider's answer ended before it was complete."),
    "upstream_malformed": Code(502, Blame.UPSTREAM, True, "The provider sent something that is not its dialect."),
    "upstream_too_large": Code(502, Blame.UPSTREAM, False, "The provider's answer is over a limit."),
    "upstream_first_token_timeout": Code(504, Blame.UPSTREAM, True, "No first token in time (timeouts.first_token_s)."),
    "upstream_timeout": Code(
        504,
        Blame.UPSTREAM,
        True,
        "No answer in time from a provider that was asked for a whole one (timeouts.whole_s). It may have been generating.",
    ),
    "upstream_stalled": Code(504, Blame.UPSTREAM, True, "No progress in time (timeouts.stall_s)."),
    "deadline_exceeded": Code(504, Blame.UPSTREAM, True, "The response was not done in time (timeouts.total_s)."),
    # the policy's
    "policy_blocked": Code(
        200, Blame.POLICY, False, "A rule of the policy, or a check of the final payload, ended the response."
    ),
    "request_blocked": Code(200, Blame.POLICY, False, "A rule of the policy refused the request; nothing was sent."),
    "review_rejected": Code(200, Blame.POLICY, False, "A reviewer refused what was held."),
    "guard_failed": Code(
        200, Blame.POLICY, True, "A rule could not be asked (it raised, hung, or was unreachable): fail closed."
    ),
    "review_conflict": Code(
        409, Blame.CALLER, False, "The review is not in a state that allows this, or is another's."
    ),
    "policy_invalid": Code(422, Blame.CALLER, False, "The policies cannot be used; those in force stay."),
    # ours
    "interrupted": Code(502, Blame.GATEWAY, True, "The gateway stopped while the response was in flight."),
    "store_unavailable": Code(503, Blame.GATEWAY, True, "The durable store does not accept writes."),
    "draining": Code(503, Blame.GATEWAY, True, "The gateway is shutting down and takes no new work."),
    "overloaded": Code(503, Blame.GATEWAY, True, "The gateway is at its limit of open responses."),
    "internal": Code(
        500, Blame.GATEWAY, False, "A fault in the gateway; the log line with this response's id says more."
    ),
}


class HeadgateError(Exception):
    """Root of every exception of ours. ``code`` is one of `CODES`."""

    code: str = "internal"


class RequestError(HeadgateError):
    """A request that cannot be served.

    `param` names the offending field where there is one, `headers` go onto the answer (such as ``Retry-After``).
    """

    def __init__(
        self, code: str, message: str, *, param: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.headers = headers or {}

    @property
    def status(self) -> int:
        return CODES[self.code].status


def store_unavailable(message: str = "The gateway's store does not accept writes.") -> RequestError:
    """Law 1 allows nothing else to be said."""
    return RequestError("store_unavailable", message, headers={"retry-after": "5"})


class ConfigError(HeadgateError):
    """A configuration that cannot be used. `problems` holds all of them, each with its place."""

    code = "invalid_config"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class PolicyError(HeadgateError):
    """A policy that cannot be used. `problems` holds everything that is wrong with it, each with its place."""

    code = "policy_invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, place))}: {text}" for place, text in problems))
        self.problems = list(problems)


class LifecycleError(HeadgateError):
    """An event that may not stand where it stands: a fault in the gateway."""


class StoreError(HeadgateError):
    """The durable store did not do what was asked; nothing of the batch was made visible."""

    code = "store_unavailable"


@dataclass(frozen=True, slots=True)
class Failure:
    """What a stage found wrong with a peer: a value, not an exception. It ends the log as `failed`."""

    code: str
    message: str
    http_status: int = 0
    retry_after_s: float | None = None
    detail: dict[str, Any] | None = field(default=None)

    @property
    def status(self) -> int:
        return self.http_status or CODES[self.code].status
