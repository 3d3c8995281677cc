"""Between admission and the first event of a log: what is sent, and what a fault of ours leaves behind."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

from headgate.gateway import Gateway
from tests.shell.asking import Answer, request, settings
from tests.shell.provider import CHUNKED, answer, chunk, provider, says, says_and_waits, word
from tests.shell.scene import run, until


class Full(dict[Any, Any]):
    """Takes nothing."""

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise MemoryError


def test_fault_after_the_request_was_sent_lets_go_of_the_provider_and_leaves_no_response() -> None:
    async def test() -> None:
        async with (
            provider(says(answer("once")), says_and_waits(CHUNKED + chunk(word("never")))) as upstream,
            Gateway(settings(upstream.url)) as gateway,
        ):
            await Answer(gateway.create(request(), "")).ended()  # from here on a connection is kept
            live, gateway.hub.live = gateway.hub.live, Full()
            with pytest.raises(MemoryError):
                gateway.create(request(), "")
            gateway.hub.live = live
            await until(lambda: upstream.open == 0)
            assert not live
            await gateway.idle()

    run(test)
