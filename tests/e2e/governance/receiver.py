"""Somebody's webhook endpoint: a small HTTP server that checks signatures with the library of Standard Webhooks."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from standardwebhooks import Webhook

SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="


class Receiver:
    """Takes what is signed with `SECRET`, and refuses the rest."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        """Bodies whose signature was good, in the order in which they came."""
        self.bytes = b""
        """Everything that came, heads and bodies."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.bytes += str(self.headers).encode() + body
                told = Webhook(SECRET).verify(body, dict(self.headers.items()))  # raises, and the connection ends
                receiver.told.append(told)
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/told"

    def of(self, response_id: str) -> list[dict[str, Any]]:
        """What was said of a response."""
        return [told for told in self.told if told["data"]["response_id"] == response_id]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
