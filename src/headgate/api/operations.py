"""What operators ask of the gateway itself: health, metrics."""

from __future__ import annotations

from typing import Final

import msgspec

from headgate.api.exchange import Exchange
from headgate.errors import CODES
from headgate.gateway import Gateway

_JSON: Final = (("content-type", "application/json"),)


async def health(exchange: Exchange) -> None:
    """``GET /healthz``: the process runs."""
    await exchange.answer(200, _JSON, b'{"status":"ok"}')


async def ready(gateway: Gateway, exchange: Exchange) -> None:
    """``GET /readyz``: whether new work is taken."""
    why = gateway.not_ready
    if why is None:
        await exchange.answer(200, _JSON, b'{"status":"ready"}')
    else:
        await exchange.answer(
            503, _JSON, msgspec.json.encode({"status": "not ready", "code": why, "detail": CODES[why].meaning})
        )


async def metrics(gateway: Gateway, exchange: Exchange) -> None:
    """``GET /metrics``."""
    await exchange.answer(
        200, (("content-type", "text/plain; version=0.0.4; charset=utf-8"),), await gateway.metrics.exposition()
    )
