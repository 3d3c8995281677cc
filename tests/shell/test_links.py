"""Read links on the application: what they open, for whom, how long, and what they never do."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from headgate.api.callers import hash_key
from headgate.api.links import LIFETIME_S, LIFETIME_S_MAX
from headgate.app import create_app
from headgate.clock import Clock
from headgate.configfile import parse
from headgate.gateway import Gateway
from tests.shell.provider import CHUNKED, LAST_CHUNK, answer, chunk, finish, provider, says, usage, word
from tests.shell.scene import run, until

KEY, OTHER_KEY = "hg-mine", "hg-theirs"
MINE, THEIRS = ({"authorization": f"Bearer {key}"} for key in (KEY, OTHER_KEY))
NOBODYS = "resp_" + "0" * 32
CHAT = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
NOW = 1_800_000_000.0


def keys(**named: str) -> str:
    return "".join(f'[[keys]]\nname = "{name}"\nhash = "{hash_key(key)}"\n' for name, key in named.items())


KEYS = keys(mine=KEY, theirs=OTHER_KEY)


class World:
    """One gateway that stands still in time, and a client without a key."""

    def __init__(self, gateway: Gateway, http: httpx.AsyncClient) -> None:
        self.now = NOW
        self.gateway = gateway
        self.http = http

    async def answered(self) -> str:
        """The id of a response that has ended."""
        done = await self.http.post("/v1/chat/completions", json=CHAT, headers=MINE)
        assert done.status_code == 200, done.text
        return done.headers["headgate-response-id"]

    async def link(self, id_: str, *, headers: dict[str, str] = MINE, **body: Any) -> dict[str, Any]:
        made = await self.http.post(f"/v1/responses/{id_}/links", json=body or None, headers=headers)
        assert made.status_code == 201, made.text
        link: dict[str, Any] = made.json()
        return link


@asynccontextmanager
async def world(url: str, *, who: str = KEYS, store: str = "memory:", mount: str = "") -> AsyncIterator[World]:
    text = f"""\
[server]
cors_origins = ["https://page.example"]
[store]
url = "{store}"
[[providers]]
name = "p"
base_url = "{url}"
[[routes]]
model = "*"
to = ["p/*"]
{who}"""
    opened: World | None = None
    clock = Clock(wall=lambda: NOW if opened is None else opened.now)
    async with Gateway(parse(text, environ={}), clock=clock) as gateway:
        transport = httpx.ASGITransport(app=create_app(gateway), root_path=mount)
        async with httpx.AsyncClient(transport=transport, base_url="http://gate.example") as http:
            opened = World(gateway, http)
            yield opened


def in_a_world(test: Callable[[World], Awaitable[None]], **options: Any) -> None:
    async def scene() -> None:
        async with provider(says(answer("Hello", " world"))) as upstream, world(upstream.url, **options) as opened:
            await test(opened)

    run(scene)


def code_of(refused: httpx.Response) -> str:
    body = refused.json()
    code: str = body["code"] if "code" in body else body["error"]["code"]
    return code


# making one


def test_link_says_what_it_opens_and_until_when() -> None:
    async def test(here: World) -> None:
        id_ = await here.answered()
        made = await here.http.post(f"/v1/responses/{id_}/links", headers=MINE)
        assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
        link = made.json()
        token = link.pop("token")
        assert link == {
            "object": "response.link",
            "response": id_,
            "url": f"/v1/responses/{id_}/events?token={token}",
            "expires_at": int(NOW) + LIFETIME_S,
        }

    in_a_world(test)


def test_url_of_a_link_is_below_the_place_the_app_is_mounted_at() -> None:
    async def test(here: World) -> None:
        link = await here.link(await here.answered())
        assert link["url"] == f"/llm/v1/responses/{link['response']}/events?token={link['token']}"

    in_a_world(test, mount="/llm")


def test_lifetime_is_asked_for_and_has_limits() -> None:
    async def test(here: World) -> None:
        id_ = await here.answered()
        for seconds in (1, LIFETIME_S_MAX):
            assert (await here.link(id_, expires_in_s=seconds))["expires_at"] == int(NOW) + seconds
        for wrong in (0, -1, LIFETIME_S_MAX + 1, 10**30, "600", True, None, 1.5, [600]):
            refused = await here.http.post(f"/v1/responses/{id_}/links", json={"expires_in_s": wrong}, headers=MINE)
            assert (refused.status_code, code_of(refused)) == (400, "invalid_request"), wrong
            assert refused.json()["error"]["param"] == "expires_in_s"

    in_a_world(test)


def test_body_that_is_no_request_for_a_link_is_refused() -> None:
    async def test(here: World) -> None:
        path, json = f"/v1/responses/{await here.answered()}/links", "application/json"
        for body, kind, code in (
            (b"{", json, "invalid_json"),
            (b"\xff", json, "invalid_json"),
            (b"[]", json, "invalid_request"),
            (b'{"expires_in": 5}', json, "invalid_request"),
            (b"{}", "text/plain", "unsupported_media_type"),
            (b"{" + b" " * 2_000 + b"}", json, "body_too_large"),
        ):
            refused = await here.http.post(path, content=body, headers={**MINE, "content-type": kind})
            assert code_of(refused) == code, body[:20]

    in_a_world(test)


def test_only_the_owner_gets_a_link_and_others_are_told_nothing() -> None:
    async def test(here: World) -> None:
        id_ = await here.answered()
        theirs = await here.http.post(f"/v1/responses/{id_}/links", headers=THEIRS)
        nobodys = await here.http.post(f"/v1/responses/{NOBODYS}/links", headers=THEIRS)
        assert (theirs.status_code, theirs.content) == (404, nobodys.content)
        assert (await here.http.post(f"/v1/responses/{id_}/links")).status_code == 401

    in_a_world(test)


# reading by one


def test_link_reads_the_object_and_the_log_in_every_shape_as_the_key_does() -> None:
    async def test(here: World) -> None:
        id_ = await here.answered()
        token = (await here.link(id_))["token"]
        for path, query in (
            ("", {}),
            ("", {"stream": "true"}),
            ("", {"stream": "true", "starting_after": "1"}),
            ("/events", {}),
            ("/events", {"after": "3"}),
            ("/events", {"format": "ndjson"}),
            ("/events", {"dialect": "openai-chat", "after_frames": "1"}),
            ("/events", {"dialect": "anthropic-messages"}),
        ):
            url = f"/v1/responses/{id_}{path}"
            by_key = await here.http.get(url, params=query, headers=MINE)
            by_link = await here.http.get(url, params={**query, "token": token})
            assert by_link.status_code == by_key.status_code == 200
            assert by_link.content == by_key.content
            assert by_link.headers.pop("referrer-policy") == "no-referrer"
            assert by_link.headers == by_key.headers

    in_a_world(test)


def test_reader_that_comes_back_goes_on_where_it_was_and_stops_at_the_end() -> None:
    async def test(here: World) -> None:
        link = await here.link(await here.answered())
        whole = (await here.http.get(link["url"])).text
        frames = whole.split("\n\n")[:-1]
        rest = await here.http.get(link["url"], headers={"last-event-id": "3"})
        assert rest.text == "\n\n".join(frames[3:]) + "\n\n"
        end = await here.http.get(link["url"], headers={"last-event-id": str(len(frames))})
        assert (end.status_code, end.headers["referrer-policy"]) == (204, "no-referrer")

    in_a_world(test)


def test_token_opens_nothing_but_reading_its_response() -> None:
    async def test(here: World) -> None:
        id_, other = await here.answered(), await here.answered()
        token = (await here.link(id_))["token"]
        for method, path in (
            ("DELETE", f"/v1/responses/{id_}"),
            ("POST", f"/v1/responses/{id_}/cancel"),
            ("POST", f"/v1/responses/{id_}/links"),
            ("GET", f"/v1/responses/{id_}/receipt"),
            ("GET", f"/v1/responses/{id_}/input_items"),
            ("GET", f"/v1/responses/{other}"),
            ("GET", f"/v1/responses/{other}/events"),
            ("GET", "/v1/models"),
            ("GET", "/metrics"),
            ("POST", "/v1/chat/completions"),
            ("POST", "/v1/responses"),
            ("GET", "/admin/v1/policies"),
        ):
            refused = await here.http.request(method, path, params={"token": token})
            assert (refused.status_code, code_of(refused)) == (401, "unauthorized"), path
        for header in ("authorization", "x-api-key"):
            sent = {header: f"Bearer {token}" if header == "authorization" else token}
            assert (await here.http.get(f"/v1/responses/{id_}", headers=sent)).status_code == 401, "it is no key"
        assert (await here.http.get(f"/v1/responses/{id_}", headers=MINE)).status_code == 200

    in_a_world(test)


def test_token_that_does_not_fit_is_refused_in_the_same_bytes_whether_the_id_exists_or_not() -> None:
    async def test(here: World) -> None:
        id_, other = await here.answered(), await here.answered()
        token = (await here.link(id_))["token"]
        wrong = ("A" * 52, token[:-1], token + "A", "x", "%00", "\u00e9")
        for path in ("", "/events"):
            seen = set()
            for aim, sent in ((other, token), (NOBODYS, token), ("nonsense", token), *((id_, text) for text in wrong)):
                refused = await here.http.get(f"/v1/responses/{aim}{path}", params={"token": sent})
                assert refused.headers["www-authenticate"] == "Bearer"
                assert refused.headers["referrer-policy"] == "no-referrer"
                seen.add((refused.status_code, refused.content))
            assert len(seen) == 1
            assert (refused.status_code, code_of(refused)) == (401, "unauthorized")
            assert token not in refused.text

    in_a_world(test)


def test_before_the_first_link_every_token_is_wrong_and_nothing_is_written() -> None:
    async def test(here: World) -> None:
        id_ = await here.answered()
        refused = await here.http.get(f"/v1/responses/{id_}/events", params={"token": "A" * 52})
        assert code_of(refused) == "unauthorized"
        assert await here.gateway.link_secret.find() is None

    in_a_world(test)


def test_key_in_a_header_wins_over_a_token() -> None:
    async def test(here: World) -> None:
        id_ = await here.answered()
        url = (await here.link(id_))["url"]
        assert (await here.http.get(url, headers=THEIRS)).status_code == 404
        assert (await here.http.get(url, headers={"authorization": "Bearer wrong"})).status_code == 401
        assert (await here.http.get(url, headers={"x-api-key": "wrong"})).status_code == 401
        mine = await here.http.get(f"/v1/responses/{id_}", params={"token": "wrong"}, headers=MINE)
        assert mine.status_code == 200

    in_a_world(test)


def test_credentials_that_are_no_key_leave_the_link_alone() -> None:
    """A page behind a proxy that asks for a password sends that with every request."""

    async def test(here: World) -> None:
        link = await here.link(await here.answered())
        for header in ("Basic YTpi", "Bearer", ""):
            assert (await here.http.get(link["url"], headers={"authorization": header})).status_code == 200

    in_a_world(test)


def test_page_of_a_configured_origin_may_read_by_a_link_and_is_told_why_not() -> None:
    async def test(here: World) -> None:
        link = await here.link(await here.answered(), expires_in_s=5)
        page = {"origin": "https://page.example"}
        read = await here.http.get(link["url"], headers=page)
        here.now += 5
        refused = await here.http.get(link["url"], headers=page)
        for got in (read, refused):
            assert got.headers["access-control-allow-origin"] == page["origin"]
        elsewhere = await here.http.get(link["url"], headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in elsewhere.headers

    in_a_world(test)


# the end of one


def test_link_that_has_expired_says_so_to_who_had_it() -> None:
    async def test(here: World) -> None:
        id_ = await here.answered()
        link = await here.link(id_, expires_in_s=60)
        here.now += 59.9
        assert (await here.http.get(link["url"])).status_code == 200
        here.now += 0.1
        for url in (link["url"], f"/v1/responses/{id_}?token={link['token']}"):
            refused = await here.http.get(url, headers={"last-event-id": "3"})
            assert (refused.status_code, code_of(refused)) == (401, "expired_link")
            assert refused.headers["www-authenticate"] == "Bearer"
        elsewhere = await here.http.get(f"/v1/responses/{NOBODYS}/events?token={link['token']}")
        assert code_of(elsewhere) == "unauthorized"

    in_a_world(test)


def test_stream_that_is_open_goes_on_when_its_link_expires() -> None:
    more = asyncio.Event()

    async def play(line: Any, request: Any) -> None:
        await line.send(CHUNKED, chunk(word("Hello")))
        await more.wait()
        await line.send(chunk(word(" world") + finish() + usage() + b"data: [DONE]\n\n"), LAST_CHUNK)

    async def scene() -> None:
        async with provider(play) as upstream, world(upstream.url) as here:
            creation = asyncio.create_task(here.http.post("/v1/chat/completions", json=CHAT, headers=MINE))
            await until(lambda: [log for log in here.gateway.hub.live.values() if log.opened])
            (log,) = here.gateway.hub.live.values()
            link = await here.link(log.id, expires_in_s=5)
            reading = asyncio.create_task(here.http.get(link["url"]))
            await until(lambda: len(log.readers) == 2)
            here.now += 5
            assert code_of(await here.http.get(link["url"])) == "expired_link"
            more.set()
            text = (await reading).text
            assert " world" in text
            assert "event: terminal" in text
            await creation

    run(scene)


def test_link_to_a_response_that_is_gone_says_what_a_key_is_told() -> None:
    async def test(here: World) -> None:
        deleted, old = await here.answered(), await here.answered()
        links = {id_: await here.link(id_, expires_in_s=LIFETIME_S_MAX) for id_ in (deleted, old)}
        await here.http.delete(f"/v1/responses/{deleted}", headers=MINE)
        by_link = await here.http.get(links[deleted]["url"])
        by_key = await here.http.get(f"/v1/responses/{deleted}/events", headers=MINE)
        assert (by_link.status_code, by_link.content) == (404, by_key.content)
        await here.gateway._store.expire(NOW + 90_000, here.gateway._store.next_row)
        by_link = await here.http.get(links[old]["url"])
        assert (by_link.status_code, code_of(by_link)) == (410, "expired_response")

    in_a_world(test)


def test_link_outlives_a_restart_but_not_the_key_of_its_owner(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'headgate.db'}"

    async def scene() -> None:
        async with provider(says(answer("Hello"))) as upstream:
            async with world(upstream.url, store=store) as here:
                link = await here.link(await here.answered())
                whole = (await here.http.get(link["url"])).content
            async with world(upstream.url, store=store) as here:
                again = await here.http.get(link["url"])
                assert (again.status_code, again.content) == (200, whole)
            async with world(upstream.url, store=store, who=keys(theirs=OTHER_KEY)) as here:
                assert (await here.http.get(link["url"])).status_code == 404
            async with world(upstream.url, store=store, who=keys(mine="hg-new-key")) as here:
                assert (await here.http.get(link["url"])).status_code == 200, "the owner has another key now"

    run(scene)


def test_secret_that_is_deleted_ends_all_links_at_once_and_the_next_is_another(tmp_path: Path) -> None:
    """The statement is that of docs/how-to/run-in-production.md, beside a gateway that runs."""
    path = tmp_path / "headgate.db"

    async def test(here: World) -> None:
        id_ = await here.answered()
        old = await here.link(id_)
        assert (await here.http.get(old["url"])).status_code == 200
        with closing(sqlite3.connect(path)) as outside, outside:
            outside.execute("DELETE FROM facts WHERE kind = 'secret' AND key = 'links'")
        assert code_of(await here.http.get(old["url"])) == "unauthorized"
        new = await here.link(id_)
        assert new["token"] != old["token"]
        assert (await here.http.get(new["url"])).status_code == 200
        assert code_of(await here.http.get(old["url"])) == "unauthorized"

    in_a_world(test, store=f"sqlite:///{path}")


# without keys


@pytest.mark.parametrize("token", ["", "wrong"])
def test_without_keys_links_are_made_and_no_token_is_needed(token: str) -> None:
    async def test(here: World) -> None:
        link = await here.link(await here.answered(), headers={})
        assert (await here.http.get(link["url"])).status_code == 200
        assert (await here.http.get(link["url"].partition("=")[0] + "=" + token)).status_code == 200

    in_a_world(test, who="")
