"""A WebSocket client that waits for nothing longer than an answer can take."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from websockets.sync.client import ClientConnection, connect

from tests.e2e.harness import GatewayProcess

ENDS: Final = ("response.completed", "response.incomplete", "response.failed", "error")
MESSAGE_S: Final = 20.0


@contextmanager
def session(gateway: GatewayProcess, path: str = "/v1/responses", **options: Any) -> Iterator[ClientConnection]:
    """A connection that fails rather than wait for ever."""
    url = gateway.url.replace("http://", "ws://") + path
    with connect(
        url, max_size=None, max_queue=None, **options
    ) as connection:  # else it reads no goodbye behind a full queue
        yield connection


def say(connection: ClientConnection, **message: Any) -> None:
    connection.send(json.dumps(message))


def heard(connection: ClientConnection) -> Any:
    return json.loads(connection.recv(timeout=MESSAGE_S))


def until_end(connection: ClientConnection, lane: str = "") -> list[Any]:
    """Messages of a lane up to the end of its answer."""
    messages: list[Any] = []
    while not messages or messages[-1]["type"] not in ENDS:
        message = heard(connection)
        assert message.get("stream_id", "") == lane
        messages.append(message)
    return messages
