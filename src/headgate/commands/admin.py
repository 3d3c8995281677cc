"""The admin API of a running gateway, for commands. They print; this asks, and says what went wrong.

The key comes from the environment, never from an argument, which other users of the machine could read. Redirects are
not followed: the key is for this gateway alone.
"""

from __future__ import annotations

import http.client
import os
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec
import typer
from rich.console import Console

TIMEOUT_S: Final = 60.0
"""Of one request: a gateway reads a million terms in a few seconds."""
ANSWER_BYTES_MAX: Final = 256 * 1024 * 1024
"""Of an answer: what is held of one response in JSON, escaped at its worst."""
HERE: Final = "http://127.0.0.1:8080"
_PREFIX: Final = "/admin/v1"
_SHOWN_CONTROLS: Final = "\n\t"

Url = Annotated[str, typer.Option(envvar="HEADGATE_URL", help="Where the gateway's admin API is.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def ask(url: str, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """The gateway's answer; whatever else happens is said, and ends the command."""
    status, data = _exchange(url, method, path, body)
    try:
        answer: dict[str, Any] = msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise failed(f"{url} answered {status}, and not as a gateway does: is HEADGATE_URL right?") from None
    if status == 200:
        return answer
    if status == 401:
        raise failed("the gateway does not know the key: set HEADGATE_ADMIN_KEY")
    if isinstance(problems := answer.get("problems"), list):
        raise failed("\n".join(str(problem) for problem in problems), status=2)
    raise failed(f"{answer.get('code', status)}: {answer.get('detail', 'no reason given')}")


def failed(message: str, *, status: int = 1) -> typer.Exit:
    """Says it; raise what this returns."""
    err.print(printable(message))
    return typer.Exit(status)


def printable(text: str) -> str:
    """The text without what a terminal would obey: control characters, and those that turn its direction."""
    return "".join(
        char
        if char in _SHOWN_CONTROLS or unicodedata.category(char) not in ("Cc", "Cf", "Cs")
        else "\N{REPLACEMENT CHARACTER}"
        for char in text
    )


def time_of(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _exchange(url: str, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, bytes]:
    where = urlsplit(url)
    if where.scheme not in ("http", "https") or not where.hostname:
        raise failed(f"{url!r} is no http:// or https:// URL", status=2)
    kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
    data = None if body is None else msgspec.json.encode(body)
    try:
        connection = kind(where.hostname, where.port, timeout=TIMEOUT_S)
        connection.request(method, where.path.rstrip("/") + _PREFIX + path, data, _headers())
        answer = connection.getresponse()
        return answer.status, answer.read(ANSWER_BYTES_MAX)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise failed(f"cannot reach the gateway at {url}: {error or type(error).__name__}") from None


def _headers() -> dict[str, str]:
    headers = {"content-type": "application/json", "accept": "application/json"}
    key = os.environ.get("HEADGATE_ADMIN_KEY", "").strip()
    return headers | {"authorization": f"Bearer {key}"} if key else headers
