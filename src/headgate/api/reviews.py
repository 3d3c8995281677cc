"""Reviews for those who decide them: ``/admin/v1/reviews``. Who the reviewer is was found out by who routes here.

    GET  /admin/v1/reviews                          the queue: ?state=&policy=&risk=&after=&limit=
    GET  /admin/v1/reviews/{id}                     one review, with what is held and what is out already
    POST /admin/v1/reviews/{id}/claim, /release     {}
    POST /admin/v1/reviews/{id}/comment             {"comment"}
    POST /admin/v1/reviews/{id}/approve, /reject    {"comment"?}
    POST /admin/v1/reviews/{id}/edit                {"text", "comment"?}

Every answer holds text that was withheld, or says whose it is: none may be kept by a cache.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

import msgspec

from headgate.api.creation import require_json
from headgate.api.exchange import Exchange
from headgate.config import Config
from headgate.errors import RequestError
from headgate.governance.people.decision import withheld_parts
from headgate.governance.people.review import RISKS, Act, PartShown, Review, State
from headgate.reviews import Reviews
from headgate.reviews.waiting import PAGE_MAX

BODY_BYTES_MAX: Final = 8 * 1024 * 1024
"""Of a decision: an edit of `EDIT_CHARS_MAX` in any script."""
PAGE: Final = 50
_HEADERS: Final = (("content-type", "application/json"), ("cache-control", "no-store"))
_T = TypeVar("_T")


class Desk(Protocol):
    """What of the gateway is needed here."""

    @property
    def reviews(self) -> Reviews: ...
    @property
    def config(self) -> Config: ...


Handler = Callable[[Desk, Exchange, str, str], Awaitable[None]]
"""``(gateway, exchange, reviewer, review_id)``; the id is empty for the queue."""


class _Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _Commented(msgspec.Struct, forbid_unknown_fields=True):
    comment: str = ""


class _Comment(msgspec.Struct, forbid_unknown_fields=True):
    comment: str


class _Edit(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    comment: str = ""


async def queue(gateway: Desk, exchange: Exchange, reviewer: str, review_id: str = "") -> None:
    """``GET /admin/v1/reviews``: what waits, or with ``?state=`` what has that state."""
    query = exchange.query()
    unknown = sorted(query.keys() - {"state", "policy", "risk", "after", "limit"})
    if unknown:
        raise RequestError("invalid_request", f"The queue has no parameter {unknown[0]!r}.", param=unknown[0])
    page = await gateway.reviews.queue(
        state=_state(query.get("state", "")),
        policy=query.get("policy", ""),
        risk=_risk(query.get("risk", "")),
        after=query.get("after", ""),
        limit=_limit(query.get("limit", str(PAGE))),
    )
    await _answer(exchange, {"reviews": [summary(known) for known in page.reviews], "after": page.after or None})


async def show(gateway: Desk, exchange: Exchange, reviewer: str, review_id: str) -> None:
    """``GET /admin/v1/reviews/{id}``."""
    await _answer(exchange, whole(await gateway.reviews.show(review_id)))


async def claim(gateway: Desk, exchange: Exchange, reviewer: str, review_id: str) -> None:
    """``POST .../claim``: others cannot decide it for a while; again to go on."""
    await _read(gateway, exchange, _Nothing)
    await _answer(exchange, summary(await gateway.reviews.claim(review_id, reviewer)))


async def release(gateway: Desk, exchange: Exchange, reviewer: str, review_id: str) -> None:
    """``POST .../release``: give a claim back."""
    await _read(gateway, exchange, _Nothing)
    await _answer(exchange, summary(await gateway.reviews.release(review_id, reviewer)))


async def comment(gateway: Desk, exchange: Exchange, reviewer: str, review_id: str) -> None:
    """``POST .../comment``: for other reviewers; it is not in the log."""
    given = await _read(gateway, exchange, _Comment)
    await _answer(exchange, summary(await gateway.reviews.comment(review_id, reviewer, given.comment)))


async def approve(gateway: Desk, exchange: Exchange, reviewer: str, review_id: str) -> None:
    """``POST .../approve``: what is held goes out."""
    given = await _read(gateway, exchange, _Commented)
    known = await gateway.reviews.decide(review_id, Act.APPROVE, reviewer, comment=given.comment)
    await _answer(exchange, summary(known))


async def edit(gateway: Desk, exchange: Exchange, reviewer: str, review_id: str) -> None:
    """``POST .../edit``: the text goes out in place of what is held."""
    given = await _read(gateway, exchange, _Edit)
    known = await gateway.reviews.decide(review_id, Act.EDIT, reviewer, comment=given.comment, text=given.text)
    await _answer(exchange, summary(known))


async def reject(gateway: Desk, exchange: Exchange, reviewer: str, review_id: str) -> None:
    """``POST .../reject``: the response ends as blocked."""
    given = await _read(gateway, exchange, _Commented)
    known = await gateway.reviews.decide(review_id, Act.REJECT, reviewer, comment=given.comment)
    await _answer(exchange, summary(known))


ROUTES: Final[dict[str, tuple[str, Handler]]] = {
    "": ("GET", queue),
    "{id}": ("GET", show),
    "{id}/claim": ("POST", claim),
    "{id}/release": ("POST", release),
    "{id}/comment": ("POST", comment),
    "{id}/approve": ("POST", approve),
    "{id}/edit": ("POST", edit),
    "{id}/reject": ("POST", reject),
}
"""What is below ``/admin/v1/reviews``, each with its method."""


def summary(known: Review) -> dict[str, Any]:
    """A review without any text of the answer."""
    held = known.held
    decision = None if held.decision is None else msgspec.to_builtins(held.decision)
    if decision is not None:
        decision.pop("text", None)
    return {
        "id": held.id,
        "object": "review",
        "state": known.state,
        "response_id": held.response_id,
        "owner": held.owner,
        "model": held.model,
        "policy": held.policy,
        "policy_version": held.policy_version,
        "rule": held.held.reason,
        "risk": held.risk,
        "created_at": held.created_at,
        "deadline": held.terms.deadline,
        "on_timeout": held.terms.on_timeout,
        "claim": None if held.claim is None else msgspec.to_builtins(held.claim),
        "comments": [msgspec.to_builtins(said) for said in held.comments],
        "decision": decision,
    }


def whole(known: Review) -> dict[str, Any]:
    """A review with what the reviewer decides about; the texts are gone once the response has ended."""
    held = known.held
    at = held.held
    return summary(known) | {
        "held": {"choice": at.choice, "part": at.part, "offset": at.offset},
        "released": [_part(part) for part in held.shown],
        "withheld": [_part(part) for part in withheld_parts(held)],
        "taken_back_if_rejected": [
            {"choice": back.choice, "part": back.part, "from_char": back.from_char} for back in held.retractions
        ],
        "verdicts": [_named(verdict) for verdict in held.verdicts],
        "text_available": bool(held.shown or held.withheld or held.closing),
    }


def _part(part: PartShown) -> dict[str, Any]:
    return {
        "choice": part.choice,
        "part": part.part,
        "kind": part.kind,
        "tool_name": part.tool_name,
        "text": part.text,
    }


def _named(event: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


async def _read(gateway: Desk, exchange: Exchange, kind: type[_T]) -> _T:
    """The checked body. JSON is required, also where it says nothing: no page of another origin may send that unasked."""
    require_json(exchange.header(b"content-type"))
    body = await exchange.body(bytes_max=BODY_BYTES_MAX, timeout_s=gateway.config.server.body_timeout_s)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise RequestError("invalid_request", f"The body is not what is taken here: {error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise RequestError("invalid_json", "The body is not JSON.") from None


async def _answer(exchange: Exchange, shown: dict[str, Any]) -> None:
    await exchange.answer(200, _HEADERS, msgspec.json.encode(shown))


def _state(text: str) -> State | None:
    if text in ("", "open"):
        return None
    if text not in set(State):
        known = ", ".join(["open", *State])
        raise RequestError("invalid_request", f"'state' must be one of {known}.", param="state")
    return State(text)


def _risk(text: str) -> str:
    if text not in ("", *RISKS):
        raise RequestError("invalid_request", f"'risk' must be one of {', '.join(RISKS)}.", param="risk")
    return text


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 3 and 1 <= int(text) <= PAGE_MAX):
        raise RequestError("invalid_request", f"'limit' must be 1 to {PAGE_MAX}.", param="limit")
    return int(text)
