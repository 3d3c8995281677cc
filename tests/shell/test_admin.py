"""Administration: whose key opens it, what a page of another origin may do, and policies over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from headgate.api.admin import LOCAL, PREFIX, Admin, Admins, concerns
from headgate.api.callers import hash_key
from headgate.api.exchange import Exchange
from headgate.clock import Clock
from headgate.config import AdminKey, Config
from headgate.configfile import parse
from headgate.dialects.headgate import NATIVE
from headgate.errors import RequestError
from headgate.governor import Governor
from headgate.reviews import Reviews
from headgate.stores.memory import MemoryStore
from tests.shell.scene import run

KEY = "hg-admin-key"
KEYS = [AdminKey(name="ada", hash=hash_key(KEY))]
HERE = {"host": "127.0.0.1:8080"}
CONFIG = f"""\
[[providers]]
name = "p"
base_url = "http://127.0.0.1:1/v1"
[[routes]]
model = "*"
to = ["p/*"]
policy = "team"
[policies.team]
stream = ["email"]
[[admin.keys]]
name = "ada"
hash = "{hash_key(KEY)}"
"""
OTHER = '[policies.team]\nstream = ["iban"]\n'


def identify(admins: Admins, peer: str = "127.0.0.1", **headers: str) -> str:
    given = HERE | {name.replace("_", "-"): value for name, value in headers.items()}
    return admins.identify(lambda name: given.get(name.decode()), peer)


def refused(admins: Admins, peer: str = "127.0.0.1", **headers: str) -> str:
    with pytest.raises(RequestError) as error:
        identify(admins, peer, **headers)
    return error.value.code


# who


def test_admin_key_says_who_it_is_from_anywhere() -> None:
    admins = Admins(KEYS, open_here=True)
    assert identify(admins, "203.0.113.5", host="gate.example", authorization=f"Bearer {KEY}") == "ada"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer other"},
        {"authorization": f"Basic {KEY}"},
        {"x_api_key": KEY},
        {"authorization": "Bearer "},
    ],
)
def test_nothing_but_an_admin_key_opens_where_there_are_admin_keys(headers: dict[str, str]) -> None:
    assert refused(Admins(KEYS, open_here=True), **headers) == "unauthorized"


def test_this_machine_needs_no_key_while_there_are_none_at_all() -> None:
    admins = Admins([], open_here=True)
    assert identify(admins) == LOCAL
    assert identify(admins, "::1", host="localhost:8080") == LOCAL


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("203.0.113.5", {}),
        ("", {}),
        ("127.0.0.1", {"host": "evil.example"}),
        ("127.0.0.1", {"host": ""}),
        ("127.0.0.1", {"x_forwarded_for": "203.0.113.5"}),
        ("127.0.0.1", {"forwarded": "for=203.0.113.5"}),
    ],
)
def test_others_need_a_key_even_while_there_are_none(peer: str, headers: dict[str, str]) -> None:
    assert refused(Admins([], open_here=True), peer, **headers) == "unauthorized"


def test_keys_of_callers_close_administration_until_it_has_keys_of_its_own() -> None:
    assert refused(Admins([], open_here=False)) == "unauthorized"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9999"])
@pytest.mark.parametrize("keys", [[], KEYS])
def test_page_of_another_origin_is_refused(origin: str, keys: list[AdminKey]) -> None:
    admins = Admins(keys, open_here=True)
    assert refused(admins, origin=origin, authorization=f"Bearer {KEY}") == "forbidden_origin"


def test_page_of_the_gateway_itself_is_not() -> None:
    assert identify(Admins([], open_here=True), origin="http://127.0.0.1:8080") == LOCAL


@pytest.mark.parametrize(
    ("scope", "wanted"),
    [
        ({"path": "/admin/v1/policies"}, True),
        ({"path": "/llm/admin/v1/policies", "root_path": "/llm"}, True),
        ({"path": "/v1/models"}, False),
        ({"path": "/administration"}, False),
        ({}, False),
    ],
)
def test_requests_that_cors_must_not_open_are_told_by_their_path(scope: MutableMapping[str, Any], wanted: bool) -> None:
    assert concerns(scope) is wanted


# over HTTP


@dataclass
class Answered:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Gate:
    """What administration needs of a gateway."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.governor = Governor(config, MemoryStore(), clock=Clock(), record=self._record, environ={})
        self.audited: list[str] = []

    @property
    def reviews(self) -> Reviews:
        raise AssertionError("no test here asks for reviews")

    async def _record(self, kind: str, ref: str, body: dict[str, Any]) -> None:
        self.audited.append(ref)


class Office:
    """An admin client and the gateway it administers, in one process."""

    def __init__(self) -> None:
        self.gate = Gate(parse(CONFIG, environ={}))
        self.admin = Admin(self.gate)

    async def __aenter__(self) -> Office:
        await self.gate.governor.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        kind: str = "application/json",
        key: str = KEY,
        query: str = "",
    ) -> Answered:
        """As `headgate.app` does it."""
        headers = {"host": "gate.example", "authorization": f"Bearer {key}", "content-type": kind}
        scope: dict[str, Any] = {
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("203.0.113.5", 1),
        }
        answered = Answered()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answered.status = message["status"]
                answered.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                answered.body += message.get("body", b"")

        exchange = Exchange(scope, receive, send, path)
        try:
            _, id_, methods = self.admin.match(path)
            handle, needs_key = methods[method]
            assert needs_key
            await handle(exchange, self.admin.identify(exchange, scope), id_)
        except RequestError as error:
            await exchange.answer(error.status, (("content-type", NATIVE.error_media_type),), NATIVE.error_body(error))
        return answered


def test_policies_in_force_are_shown_with_versions_and_text() -> None:
    async def scene() -> None:
        async with Office() as office:
            answer = await office.ask("GET", "/admin/v1/policies")
            assert answer.status == 200
            assert answer.headers["cache-control"] == "no-store"
            assert answer.json["version"] == office.gate.governor.version
            assert set(answer.json["policies"]) == {"default", "team"}
            assert answer.json["text"] == '[policies.team]\nstream = ["email"]\n'
            assert answer.json["change"]["what"] == "file"

    run(scene)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/toml", OTHER.encode()),
        ("application/json; charset=utf-8", json.dumps({"text": OTHER, "files": {"n.txt": "x"}}).encode()),
    ],
)
def test_policies_are_put_in_force_and_the_change_names_who_did_it(kind: str, body: bytes) -> None:
    async def scene() -> None:
        async with Office() as office:
            before = office.gate.governor.version
            answer = await office.ask("POST", "/admin/v1/policies", body, kind=kind)
            assert answer.status == 200
            change = answer.json["change"]
            assert (change["who"], change["what"], change["from"]) == ("ada", "apply", before)
            assert change["to"] == answer.json["version"] == office.gate.governor.version
            assert change["id"] in office.gate.audited
            assert "source" not in change

    run(scene)


def test_policies_with_mistakes_are_refused_with_all_of_them() -> None:
    async def scene() -> None:
        async with Office() as office:
            before = office.gate.governor.version
            text = '[policies.team]\nstream = ["x"]\naction = "shout"\n[server]\nport = 1\n'
            answer = await office.ask("POST", "/admin/v1/policies", text.encode(), kind="application/toml")
            assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")
            assert (answer.json["code"], len(answer.json["problems"])) == ("policy_invalid", 3)
            assert answer.json["problems"][0].startswith("policies: line 2: policies.team.stream[0]: ")
            assert office.gate.governor.version == before

    run(scene)


def test_rollback_is_one_request() -> None:
    async def scene() -> None:
        async with Office() as office:
            first = office.gate.governor.version
            await office.ask("POST", "/admin/v1/policies", OTHER.encode(), kind="application/toml")
            answer = await office.ask("POST", "/admin/v1/policies/rollback", json.dumps({"version": first}).encode())
            assert (answer.status, answer.json["version"], answer.json["change"]["what"]) == (200, first, "rollback")
            again = await office.ask("POST", "/admin/v1/policies/rollback", json.dumps({"version": first}).encode())
            assert again.json == {"version": first, "change": None}

    run(scene)


def test_history_is_newest_first_and_no_longer_than_asked_for() -> None:
    async def scene() -> None:
        async with Office() as office:
            await office.ask("POST", "/admin/v1/policies", OTHER.encode(), kind="application/toml")
            answer = await office.ask("GET", "/admin/v1/policies/history", query="limit=2")
            assert [change["what"] for change in answer.json["changes"]] == ["apply", "config"]

    run(scene)


@pytest.mark.parametrize(
    ("path", "kind", "body", "code"),
    [
        ("policies", "text/plain", OTHER.encode(), "unsupported_media_type"),
        ("policies", "", OTHER.encode(), "unsupported_media_type"),
        ("policies", "application/toml", b"\xff", "invalid_request"),
        ("policies", "application/json", b"{", "invalid_json"),
        ("policies", "application/json", b"[]", "invalid_request"),
        ("policies", "application/json", b'{"text": 1}', "invalid_request"),
        ("policies", "application/json", b'{"text": "", "files": {"a": 1}}', "invalid_request"),
        ("policies/rollback", "application/json", b"{}", "invalid_request"),
        ("policies/rollback", "application/json", b'{"version": "000000000000"}', "not_found"),
        ("policies/rollback", "application/toml", b"", "unsupported_media_type"),
    ],
)
def test_request_that_makes_no_sense_is_refused_and_changes_nothing(
    path: str, kind: str, body: bytes, code: str
) -> None:
    async def scene() -> None:
        async with Office() as office:
            before = len(office.gate.audited)
            answer = await office.ask("POST", PREFIX + path, body, kind=kind)
            assert answer.json["code"] == code
            assert len(office.gate.audited) == before

    run(scene)


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1001", "9" * 400])
def test_history_of_no_sensible_length_is_refused(limit: str) -> None:
    async def scene() -> None:
        async with Office() as office:
            answer = await office.ask("GET", "/admin/v1/policies/history", query=f"limit={limit}")
            assert (answer.status, answer.json["code"]) == (400, "invalid_request")

    run(scene)


def test_wrong_key_is_told_nothing() -> None:
    async def scene() -> None:
        async with Office() as office:
            answer = await office.ask("GET", "/admin/v1/policies", key="wrong")
            assert (answer.status, answer.json["code"]) == (401, "unauthorized")

    run(scene)


def test_endpoints_are_counted_by_their_pattern_and_unknown_paths_by_none() -> None:
    async def scene() -> None:
        async with Office() as office:
            match = office.admin.match
            assert match("/admin/v1/policies")[:2] == ("/admin/v1/policies", "")
            assert match("/admin/v1/reviews")[:2] == ("/admin/v1/reviews", "")
            assert match("/admin/v1/reviews/rev_1/approve")[:2] == ("/admin/v1/reviews/{id}/approve", "rev_1")
            assert match("/admin/v1/reviews/rev_1")[:2] == ("/admin/v1/reviews/{id}", "rev_1")
            for path in ("", "x", "reviews/", "reviews//approve", "reviews/a/b/c", "policies/x", "reviews/{id}/claim/"):
                assert match(PREFIX + path) == ("unknown", "", {})

    run(scene)


def test_two_changes_at_once_come_one_after_the_other() -> None:
    async def scene() -> None:
        async with Office() as office:
            texts = [OTHER, OTHER.replace("iban", "jwt")]
            posts = [office.ask("POST", "/admin/v1/policies", text.encode(), kind="application/toml") for text in texts]
            first, second = [answer.json["change"] for answer in await asyncio.gather(*posts)]
            newest, before = sorted((first, second), key=lambda change: -change["at"])
            assert newest["from"] == before["to"]
            assert office.gate.governor.version == newest["to"]

    run(scene)
