"""Read links: URLs that open one response for a while to whoever has them, such as a page's plain ``EventSource``.

Who owns a response asks for one (`make`); a request that has its token in place of a key is then its owner's, for
reading that response and nothing else (`Links`). What a token is stands in `headgate.links`.

Invariant: a link opens what its owner's key would open now, and less: once no key has the owner's name, the link opens
nothing either. The token is written to no log and no metric.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

import msgspec

from headgate import links
from headgate.api.callers import Callers
from headgate.api.creation import require_json
from headgate.api.exchange import Exchange, Scope, query_of
from headgate.errors import RequestError
from headgate.gateway import Gateway
from headgate.hub import MISSING
from headgate.links import Standing

LIFETIME_S: Final = 600
"""For a page that has just asked: most answers are over long before, and a stream that is open then goes on."""
LIFETIME_S_MAX: Final = 86_400
"""A day, which is how long responses are kept unless told otherwise. Who needs a link for longer makes another."""
BODY_BYTES_MAX: Final = 1024
"""Of one number and its name."""

EVENTS: Final = "/v1/responses/{id}/events"
READABLE: Final = frozenset({"/v1/responses/{id}", EVENTS})
"""Endpoints whose GET a token opens."""
UNREFERRED: Final = (("referrer-policy", "no-referrer"),)
"""On every answer to a token: a page that was opened by one does not name its own URL to where it leads."""

_HEADERS: Final = (("content-type", "application/json"), ("cache-control", "no-store"))


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    expires_in_s: Annotated[int, msgspec.Meta(ge=1, le=LIFETIME_S_MAX)] = LIFETIME_S


_read: Final = msgspec.json.Decoder(_Wanted).decode


async def make(gateway: Gateway, exchange: Exchange, owner: str, response_id: str) -> None:
    """``POST /v1/responses/{id}/links``: 201 with a token for this response."""
    lifetime_s = await _lifetime_s(gateway, exchange)
    log = await gateway.hub.find(response_id, owner)
    expires_at = int(gateway.clock.wall()) + lifetime_s
    token = links.sign(await gateway.link_secret.find_or_make(), log.id, expires_at)
    link = {
        "object": "response.link",
        "response": log.id,
        "token": token,
        "url": f"{exchange.mount}{EVENTS.format(id=log.id)}?token={token}",
        "expires_at": expires_at,
    }
    await exchange.answer(201, _HEADERS, msgspec.json.encode(link))


async def _lifetime_s(gateway: Gateway, exchange: Exchange) -> int:
    """For how long the link is wanted. Raises `RequestError`."""
    body = await exchange.body(bytes_max=BODY_BYTES_MAX, timeout_s=gateway.config.server.body_timeout_s)
    if not body:
        return LIFETIME_S
    require_json(exchange.header(b"content-type"))
    try:
        return _read(body).expires_in_s
    except msgspec.ValidationError as error:
        text = f"The body of a link is nothing, or 'expires_in_s' from 1 to {LIFETIME_S_MAX}: {error}"
        raise RequestError("invalid_request", text, param="expires_in_s") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError("invalid_json", f"The request body is not JSON: {error}") from None


class Links:
    """Those who read by a link."""

    def __init__(self, gateway: Gateway, callers: Callers) -> None:
        self._gateway = gateway
        self._callers = callers

    def token_of(self, scope: Scope, endpoint: str, header: Callable[[bytes], str | None]) -> str:
        """The token that a request has in place of a key, where that counts; empty if it has none. Raises `RequestError`."""
        if b"token=" not in scope["query_string"] or endpoint not in READABLE or scope.get("method", "GET") != "GET":
            return ""  # a WebSocket's handshake has no method in its scope, and is a GET
        return query_of(scope).get("token", "") if self._callers.miss_key(header) else ""

    async def identify(self, token: str, response_id: str) -> str:
        """The owner as whom this response may be read. Raises `RequestError`: ``unauthorized``, ``expired_link``, ``not_found``."""
        secret = await self._gateway.link_secret.find()
        now = self._gateway.clock.wall()
        standing = links.check(secret, response_id, token, now) if secret else Standing.WRONG
        if standing is Standing.WRONG:  # said before anything is looked up: it tells nothing of ids
            raise _refused("unauthorized", "The token is not one for this response.")
        if standing is Standing.EXPIRED:
            raise _refused("expired_link", "The link has expired: ask whoever gave it to you for another.")
        owner = await self._gateway.hub.owner_of(response_id)
        if owner is None or not self._callers.know(owner):
            raise RequestError("not_found", MISSING)
        return owner


def _refused(code: str, message: str) -> RequestError:
    return RequestError(code, message, headers={"www-authenticate": "Bearer"})
