"""Webhooks: telling somebody else's server of an escalation, signed as Standard Webhooks says.

What is sent names things (ids, rules, risks) and never holds a text that was judged. Where it is sent is a setting, but
names resolve to whatever their owners like: every address is checked, and the one that was checked is connected to.
Redirects are not followed. Invariant: nothing here ever waits for a receiver but its own deliveries, of which there
are at most `PENDING_MAX`. They live in memory: what is under way when the process dies is lost.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import secrets
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from standardwebhooks import Webhook as Signer

from headgate.clock import Clock
from headgate.errors import Failure
from headgate.policies import Webhook
from headgate.request import UpstreamRequest
from headgate.telemetry.logs import fields, logger
from headgate.upstream import Endpoint, Pool, endpoint

PENDING_MAX: Final = 1_000
"""Deliveries under way, waits between attempts included; more are dropped, and logged."""
CONCURRENT_MAX: Final = 16
"""Attempts at once."""
ATTEMPTS_MAX: Final = 5
"""With the waits between them about 15 s to 30 s: long enough for a restart, short enough for whoever is waiting."""
BACKOFF_S: Final = 2.0
"""Of the second attempt; doubled with each, half of it at random so that receivers do not get all retries at once."""
CONNECT_S: Final = 5.0
ATTEMPT_S: Final = 10.0
"""For one attempt, from the look-up of the name to the end of the answer."""
RETRY_AFTER_S_MAX: Final = 60.0
"""A longer ``Retry-After`` is cut to this."""
CLOSE_S: Final = 2.0
"""How long what is under way may take when the gateway closes."""

_RETRYABLE: Final = frozenset({408, 425, 429})
_NAT64: Final = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
_METADATA: Final = frozenset({ipaddress.ip_address("168.63.129.16")})
"""Services of clouds for their own machines that have a public address; the others are link-local."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_logger = logger("webhooks")


class RefusedError(Exception):
    """An address that must not be connected to."""


def is_internal(text: str) -> bool:
    """Whether an address is not one of the public internet, or leads to one that is not."""
    address: Address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        if address.is_site_local or any(address in network for network in _NAT64):
            return True
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is not None:
            return address.ipv4_mapped is None or is_internal(str(inner))  # tunnels end wherever they like
    unfit = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback
    return unfit or address.is_link_local or address.is_private or not address.is_global or address in _METADATA


class Webhooks:
    """Deliveries of one gateway. `count` is told how each attempt ended: ``delivered retried failed refused dropped``."""

    def __init__(
        self,
        clock: Clock,
        *,
        count: Callable[[str], None] = lambda outcome: None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._count = count
        self._pause = pause
        self._slots = asyncio.Semaphore(CONCURRENT_MAX)
        self._deliveries: set[asyncio.Task[None]] = set()

    def send(self, webhook: Webhook, kind: str, payload: dict[str, Any]) -> None:
        """Tell of something, soon. `payload` must not hold text that was judged. Never raises, never waits."""
        if len(self._deliveries) >= PENDING_MAX:
            self._give_up(webhook, kind, "dropped", "too many deliveries are under way")
            return
        at = datetime.fromtimestamp(self._clock.wall(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        body = msgspec.json.encode({"type": kind, "timestamp": at, "data": payload})
        delivery = asyncio.get_running_loop().create_task(self._deliver(webhook, kind, body))
        self._deliveries.add(delivery)
        delivery.add_done_callback(self._deliveries.discard)

    @property
    def pending(self) -> int:
        return len(self._deliveries)

    async def close(self, wait_s: float = CLOSE_S) -> None:
        """Let what is under way end within `wait_s`; the rest is given up."""
        if not self._deliveries:
            return
        _, late = await asyncio.wait(tuple(self._deliveries), timeout=wait_s)
        for delivery in late:
            delivery.cancel()
        if late:
            await asyncio.wait(late)
            _logger.warning("webhooks were not delivered: the gateway closes", extra=fields(count=len(late)))

    async def _deliver(self, webhook: Webhook, kind: str, body: bytes) -> None:
        message_id = f"msg_{secrets.token_hex(12)}"  # the same with every attempt: receivers tell repeats by it
        why = ""
        for attempt in range(ATTEMPTS_MAX):
            try:
                async with self._slots, asyncio.timeout(ATTEMPT_S):
                    status, wait_s, why = await self._attempt(webhook, message_id, body, attempt)
            except RefusedError as error:
                self._give_up(webhook, kind, "refused", str(error))
                return
            except (OSError, TimeoutError, UnicodeError) as error:
                status, wait_s, why = 0, 0.0, str(error) or f"no answer within {ATTEMPT_S:g} s"
            if 200 <= status < 300:
                self._count("delivered")
                return
            if status and status < 500 and status not in _RETRYABLE:
                break
            if attempt + 1 < ATTEMPTS_MAX:
                self._count("retried")
                backoff = BACKOFF_S * 2**attempt * random.uniform(0.5, 1)  # noqa: S311  no secret
                await self._pause(max(backoff, wait_s))
        self._give_up(webhook, kind, "failed", why)

    def _give_up(self, webhook: Webhook, kind: str, outcome: str, why: str) -> None:
        self._count(outcome)
        host = urlsplit(webhook.url).hostname  # the path of a webhook's address often is a secret
        _logger.error("a webhook was not delivered", extra=fields(host=host, type=kind, outcome=outcome, why=why))

    async def _attempt(self, webhook: Webhook, message_id: str, body: bytes, attempt: int) -> tuple[int, float, str]:
        """Status of the answer, how long it asks to wait, and what to say of it. Raises `RefusedError`, `OSError`."""
        url = urlsplit(webhook.url)
        target = endpoint(f"{url.scheme}://{url.netloc.rpartition('@')[2]}", {}, through_proxy=False)
        addresses = await _resolve(target)
        if not webhook.allow_internal and any(is_internal(address) for address in addresses):
            raise RefusedError("its address is not on the public internet (allow_internal)")
        pool = Pool(target, address=addresses[attempt % len(addresses)])
        answer = _Answer()
        try:
            path = (url.path or "/") + (f"?{url.query}" if url.query else "")
            headers = self._signed(webhook, message_id, body)
            pool.post(UpstreamRequest(path, body, False, headers), model="", handler=answer, connect_s=CONNECT_S)
            return await answer.done
        finally:
            await pool.close()

    def _signed(self, webhook: Webhook, message_id: str, body: bytes) -> tuple[tuple[str, str], ...]:
        now = datetime.fromtimestamp(int(self._clock.wall()), UTC)
        signature = Signer(webhook.secret.get_secret_value()).sign(message_id, now, body.decode())
        stamp = str(int(now.timestamp()))
        return ("webhook-id", message_id), ("webhook-timestamp", stamp), ("webhook-signature", signature)


async def _resolve(target: Endpoint) -> list[str]:
    """Addresses of a host. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


class _Answer:
    """The status is all that counts. See `connection.Handler`."""

    def __init__(self) -> None:
        self.done: asyncio.Future[tuple[int, float, str]] = asyncio.get_running_loop().create_future()

    def on_sent(self) -> None:
        pass

    def on_head(self, status: int, headers: dict[str, str]) -> None:
        """The rest of the answer is not waited for: a receiver could make it endless."""
        wait = headers.get("retry-after", "")
        seconds = min(float(wait), RETRY_AFTER_S_MAX) if wait.isdecimal() else 0.0
        if not self.done.done():
            self.done.set_result((status, seconds, f"the receiver answered {status}"))

    def on_body(self, data: bytes) -> None:
        pass

    def on_end(self) -> None:
        pass

    def on_failed(self, failure: Failure) -> None:
        if not self.done.done():
            self.done.set_result((0, 0.0, failure.message.replace("provider", "receiver")))
