"""A client with nothing but a socket, for what no HTTP library would send."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.harness import GatewayProcess

TIMEOUT_S = 10.0


@contextmanager
def connected(gateway: GatewayProcess, *, receive_bytes: int = 0) -> Iterator[socket.socket]:
    """A connection; with `receive_bytes` the kernel holds no more than about that much for us."""
    with socket.socket() as connection:
        if receive_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.settimeout(TIMEOUT_S)
        connection.connect(gateway.address)
        yield connection


def head(gateway: GatewayProcess, method: str, path: str, *lines: str, close: bool = True) -> bytes:
    """A request's head; its path is below the gateway's mount."""
    fields = ["Host: 127.0.0.1", *(["Connection: close"] if close else []), *lines]
    return "\r\n".join([f"{method} {gateway.mount}{path} HTTP/1.1", *fields, "", ""]).encode("latin-1")


def creation(gateway: GatewayProcess, body: dict[str, Any], *lines: str, close: bool = True) -> bytes:
    """A complete request for a response."""
    data = json.dumps(body).encode()
    fields = ("Content-Type: application/json", f"Content-Length: {len(data)}", *lines)
    return head(gateway, "POST", "/v1/chat/completions", *fields, close=close) + data


def rest(connection: socket.socket) -> bytes:
    """Everything until the other side closes or resets the connection."""
    data = bytearray()
    with contextlib.suppress(ConnectionError):
        while some := connection.recv(65_536):
            data += some
    return bytes(data)


def ask(gateway: GatewayProcess, data: bytes) -> bytes:
    """Send this, and return what comes until the connection ends."""
    with connected(gateway) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
        return rest(connection)


def status_of(answer: bytes) -> int:
    """Status of the first answer in these bytes; 0 if there is none."""
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0


def unchunked(answer: bytes) -> tuple[bytes, bool]:
    """Body of a chunked answer as far as it came, and whether it is complete."""
    _, _, data = answer.partition(b"\r\n\r\n")
    body = bytearray()
    while b"\r\n" in data:
        size_line, _, data = data.partition(b"\r\n")
        size = int(size_line, 16)
        if size == 0:
            return bytes(body), True
        body += data[:size]
        if len(data) < size + 2:
            break
        data = data[size + 2 :]
    return bytes(body), False
