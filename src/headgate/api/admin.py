"""Administration: who may, and what there is below ``/admin/v1/``.

A credential of its own: no caller's key opens anything here, and no admin key creates a response. Bodies must have a
type that browsers ask about first, and a page of another origin is refused, so that no page can act in the name of
somebody whose machine needs no key. CORS never applies. Errors are ``application/problem+json``.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import msgspec

from headgate.api import reviews
from headgate.api.callers import KEY_CHARS_MAX
from headgate.api.exchange import Exchange, Scope
from headgate.config import AdminKey, Config, is_loopback
from headgate.dialects.compact import compact_json
from headgate.dialects.headgate import NATIVE
from headgate.errors import CODES, ConfigError, RequestError
from headgate.governor import HISTORY_MAX, Change, Governor

PREFIX: Final = "/admin/v1/"
LOCAL: Final = "local"
"""Who acts where no key is needed."""
HISTORY_DEFAULT: Final = 50
FILES_MAX: Final = 100
"""Files with terms that come with one text of policies."""
_PROXIED: Final = (b"forwarded", b"x-forwarded-for", b"x-real-ip", b"x-forwarded-host")
"""A request that came through a proxy is somebody else's, wherever the proxy runs."""
_JSON: Final = (("content-type", "application/json"), ("cache-control", "no-store"))
_TOML_TYPES: Final = ("application/toml", "application/x-toml")

Header = Callable[[bytes], str | None]
Handler = Callable[[Exchange, str, str], Awaitable[None]]
"""``(exchange, who, id)``; the id is empty on paths without one."""
Table = dict[str, dict[str, Handler]]
"""Path below `PREFIX`, with ``{id}`` in place of an id -> method -> handler."""


def concerns(scope: Scope) -> bool:
    """Whether a request is about administration, which CORS never opens."""
    path: str = scope.get("path", "")
    return path.removeprefix(scope.get("root_path", "")).startswith(PREFIX)


class Office(reviews.Desk, Protocol):
    """What of the gateway is needed here."""

    @property
    def governor(self) -> Governor: ...
    @property
    def config(self) -> Config: ...


class Admins:
    """The configured admin keys."""

    def __init__(self, keys: Sequence[AdminKey], *, open_here: bool) -> None:
        self._names = {key.hash.removeprefix("sha256:"): key.name for key in keys}
        self._open_here = open_here and not keys

    def identify(self, header: Header, peer: str) -> str:
        """Who asks. `peer` is the address of the other end. Raises `RequestError` ``unauthorized``, ``forbidden_origin``."""
        host, origin = header(b"host"), header(b"origin")
        if origin is not None and urlsplit(origin).netloc != (host or ""):
            raise RequestError("forbidden_origin", "A page of another origin cannot administer this gateway.")
        scheme, _, key = (header(b"authorization") or "").partition(" ")
        if scheme.lower() == "bearer" and key and self._names:
            digest = hashlib.sha256(key[:KEY_CHARS_MAX].strip().encode("latin-1", "replace")).hexdigest()
            found = [name for known, name in self._names.items() if hmac.compare_digest(known, digest)]
            if found:
                return found[0]
            raise _unauthorized("The key is not one of [[admin.keys]].")
        if self._open_here and _is_here(peer, host) and not any(header(name) for name in _PROXIED):
            return LOCAL
        if self._names:
            raise _unauthorized("There is no key: send 'Authorization: Bearer <key>'.")
        raise _unauthorized(
            "Administration needs [[admin.keys]]: without them, and without [[keys]], only this machine may."
        )


def _unauthorized(message: str) -> RequestError:
    return RequestError("unauthorized", message, headers={"www-authenticate": "Bearer"})


def _is_here(peer: str, host: str | None) -> bool:
    """Whether the request came from this machine, to this machine: its name could be one that somebody else chose."""
    name = (urlsplit(f"//{host}").hostname or "") if host and host.isprintable() else ""
    return is_loopback(peer) and is_loopback(name)


class Admin:
    """Paths below `PREFIX`. `more` are those of other modules, handlers as here."""

    def __init__(self, gateway: Office, more: Table | None = None) -> None:
        config = gateway.config
        self._admins = Admins(config.admin.keys, open_here=not config.keys)
        self._table: Table = {**policies(gateway), **held(gateway), **(more or {})}

    @property
    def endpoints(self) -> dict[str, list[str]]:
        """Every path there is, with its methods."""
        return {PREFIX + path: list(methods) for path, methods in self._table.items()}

    def identify(self, exchange: Exchange, scope: Scope) -> str:
        """Who asks. Raises `RequestError`."""
        peer = scope.get("client")
        return self._admins.identify(exchange.header, peer[0] if peer else "")

    def match(self, path: str) -> tuple[str, str, dict[str, tuple[Handler, bool]]]:
        """Endpoint, as metrics call it, id, and handlers by method, all of which need a key; none for an unknown path."""
        rest = path.removeprefix(PREFIX)
        kind, _, below = rest.partition("/")
        id_, slash, action = below.partition("/")
        pattern = f"{kind}/{{id}}{slash}{action}"
        for known, found in ((rest, ""), (pattern, id_)):
            if known in self._table and (found or known == rest):
                return PREFIX + known, found, {method: (handle, True) for method, handle in self._table[known].items()}
        return "unknown", "", {}


def policies(gateway: Office) -> Table:
    """Policies in force, and how they change."""
    return {
        "policies": {
            "GET": lambda exchange, *_: show(gateway, exchange),
            "POST": lambda exchange, who, _: apply(gateway, exchange, who),
        },
        "policies/rollback": {"POST": lambda exchange, who, _: rollback(gateway, exchange, who)},
        "policies/history": {"GET": lambda exchange, *_: history(gateway, exchange)},
    }


def held(gateway: Office) -> Table:
    """What waits for a person."""
    table: Table = {}
    for path, (method, handle) in reviews.ROUTES.items():
        table[f"reviews/{path}".rstrip("/")] = {method: partial(handle, gateway)}
    return table


async def show(gateway: Office, exchange: Exchange) -> None:
    """``GET /admin/v1/policies``: what is in force."""
    await exchange.answer(200, _JSON, msgspec.json.encode(gateway.governor.shown()))


async def history(gateway: Office, exchange: Exchange) -> None:
    """``GET /admin/v1/policies/history``: the latest ``?limit=`` changes, newest first."""
    limit = exchange.query().get("limit", str(HISTORY_DEFAULT))
    if not limit.isdecimal() or not 1 <= int(limit[:9]) <= HISTORY_MAX:
        raise RequestError("invalid_request", f"'limit' must be between 1 and {HISTORY_MAX}.", param="limit")
    changes = await gateway.governor.history(int(limit))
    await exchange.answer(200, _JSON, msgspec.json.encode({"changes": [change.shown() for change in changes]}))


async def apply(gateway: Office, exchange: Exchange, who: str) -> None:
    """``POST /admin/v1/policies``: a TOML text, or JSON ``{"text", "files"}`` with the files of terms by name."""
    kind = media_type(exchange)
    body = await _body(gateway, exchange)
    try:
        text, files = (body.decode(), {}) if kind in _TOML_TYPES else _text_and_files(_object(kind, body))
    except UnicodeDecodeError:
        raise RequestError("invalid_request", "The policies must be UTF-8.") from None
    try:
        change = await gateway.governor.apply(text, files, who=who)
    except ConfigError as error:
        await _refuse(exchange, error)
        return
    await _changed(gateway, exchange, change)


async def rollback(gateway: Office, exchange: Exchange, who: str) -> None:
    """``POST /admin/v1/policies/rollback``: ``{"version"}`` of an earlier set."""
    kind = media_type(exchange)
    version = _object(kind, await _body(gateway, exchange)).get("version")
    if not isinstance(version, str) or not version:
        raise RequestError("invalid_request", "'version' must be a string.", param="version")
    try:
        change = await gateway.governor.rollback(version, who=who)
    except ConfigError as error:
        await _refuse(exchange, error)
        return
    await _changed(gateway, exchange, change)


async def _changed(gateway: Office, exchange: Exchange, change: Change | None) -> None:
    body = {"version": gateway.governor.version, "change": change.shown() if change else None}
    await exchange.answer(200, _JSON, msgspec.json.encode(body))


async def _refuse(exchange: Exchange, error: ConfigError) -> None:
    """Everything that is wrong, in one answer."""
    code = CODES["policy_invalid"]
    problem = {
        "type": "urn:headgate:error:policy_invalid",
        "title": code.meaning,
        "status": code.status,
        "detail": f"{_counted(error.problems)}; nothing was changed.",
        "code": "policy_invalid",
        "problems": error.problems,
    }
    await exchange.answer(code.status, (("content-type", NATIVE.error_media_type),), compact_json(problem))


async def _body(gateway: Office, exchange: Exchange) -> bytes:
    server = gateway.config.server
    return await exchange.body(bytes_max=server.body_bytes_max, timeout_s=server.body_timeout_s)


def media_type(exchange: Exchange) -> str:
    """The type of the body, one that no form of another origin can send. Raises `RequestError`."""
    kind = (exchange.header(b"content-type") or "").partition(";")[0].strip().lower()
    if kind not in ("application/json", *_TOML_TYPES):
        raise RequestError("unsupported_media_type", "The body must be application/json, or application/toml.")
    return kind


def _object(kind: str, body: bytes) -> dict[str, Any]:
    if kind != "application/json":
        raise RequestError("unsupported_media_type", "The body must be application/json.")
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError("invalid_json", f"The request body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise RequestError("invalid_request", "The request body must be a JSON object.")
    return value


def _text_and_files(given: dict[str, Any]) -> tuple[str, dict[str, str]]:
    text, files = given.get("text"), given.get("files", {})
    if not isinstance(text, str):
        raise RequestError("invalid_request", "'text' must be a string: the policies as TOML.", param="text")
    if not isinstance(files, dict) or len(files) > FILES_MAX or not all(isinstance(v, str) for v in files.values()):
        raise RequestError("invalid_request", f"'files' must hold at most {FILES_MAX} strings.", param="files")
    return text, files


def _counted(problems: Sequence[str]) -> str:
    return "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
