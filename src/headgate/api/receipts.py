"""``GET /v1/responses/{id}/receipt``: what was delivered, signed, with the proof that it is in the audit log.

It is there as long as the audit log is: also after the response itself has expired or was deleted, for its owner alone.
"""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from headgate.api.exchange import Exchange
from headgate.audit import Audit
from headgate.errors import RequestError
from headgate.hub import MISSING, Hub

_JSON: Final = (("content-type", "application/json"),)


class Keeper(Protocol):
    """What is asked of a gateway here."""

    @property
    def hub(self) -> Hub: ...

    @property
    def audit(self) -> Audit: ...


async def show(gateway: Keeper, exchange: Exchange, owner: str, response_id: str) -> None:
    """200 with the receipt and its proof. Raises `RequestError`: ``not_finished`` while it runs, ``not_found``."""
    proof = await gateway.audit.prove(response_id, owner)
    if proof is None:
        log = await gateway.hub.find(response_id, owner)  # raises what is to be said of a response that is not there
        if log.terminal is None:
            raise RequestError("not_finished", "The response has not ended: there is no receipt of it yet.")
        raise RequestError("not_found", MISSING)  # it ended before there was an audit log
    await exchange.answer(200, _JSON, msgspec.json.encode(proof))
