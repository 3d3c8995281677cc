"""Who waits for an answer while its server cancels the request: that is no disconnect.

A server that stops cancels the requests that are still open, and closes the gateway right after. Frameworks also cancel
a request when its client goes, or takes too long, and the gateway lives on. What is meant shows within a moment, so the
request stays for that moment: it says how its response ended, or that its client left, or it goes as it was told to.

Invariant: a cancelled request is over within `CANCELLED_GRACE_S`, and at once when it is cancelled a second time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from headgate.api.exchange import Exchange
from headgate.delivery import CANCELLED_GRACE_S
from headgate.reader import StreamReader, WholeReader


async def stay(exchange: Exchange, reader: StreamReader | WholeReader, work: Callable[[], Awaitable[None]]) -> None:
    """Do `work`; after a cancel begin it again, for a moment. It must go on where it was if it is called twice."""
    try:
        await work()
    except asyncio.CancelledError:
        reader.cancelled = True
        if reader.lost or exchange.torn:
            raise
        try:
            async with asyncio.timeout(CANCELLED_GRACE_S):
                await work()
        except TimeoutError:
            reader.cancelled = False  # it has had its moment
        else:
            return
        raise
