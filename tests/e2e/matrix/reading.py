"""Reading a stream of an SDK to its end, or leaving it, or having it cancelled."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from typing import Any

import httpx

from tests.e2e.matrix.seen import Job, Seen


async def each(stream: AsyncIterable[Any], url: str, job: Job, seen: Seen, take: Callable[[Any], None]) -> bool:
    """Take every item; False once the job says to leave."""
    taken = 0
    async for item in stream:
        take(item)
        taken += 1
        if taken == job.cancel:
            async with httpx.AsyncClient(headers={"authorization": f"Bearer {job.key}"}) as http:
                (await http.post(f"{url}/v1/responses/{seen.response_id}/cancel")).raise_for_status()
        if taken == job.leave:
            return False
    return True
