"""Read links over real sockets: in both kinds of gateway, over a cut, over a kill, and never in what is written down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.e2e.conftest import KINDS, ORIGIN, configured
from tests.e2e.harness import CuttingProxy, GatewayProcess
from tests.e2e.matrix.sockets import session
from tests.e2e.sdk.asking import TEXT, frames, key_hash, post, response_id
from tests.e2e.sdk.sockets import ask, head

KEY = "hg-key-of-the-owner"
KEYS = f'[[keys]]\nname = "owner"\nhash = "{key_hash(KEY)}"\n'


@pytest.fixture(scope="module", params=list(KINDS))
def locked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway with a key, which writes down all it has to say."""
    text = configured(keys=KEYS, server=f'cors_origins = ["{ORIGIN}"]', level="debug")
    with KINDS[request.param].start(text, directory=tmp_path_factory.mktemp("links")) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def owner(locked: GatewayProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=locked.url, headers={"authorization": f"Bearer {KEY}"}, timeout=30) as http:
        yield http


@pytest.fixture(scope="module")
def page(locked: GatewayProcess) -> Iterator[httpx.Client]:
    """A client without a key."""
    with httpx.Client(base_url=locked.url, timeout=30) as http:
        yield http


def linked(owner: httpx.Client, id_: str | None = None) -> dict[str, Any]:
    """A link to a response, to a new one that has ended if none is named."""
    made = owner.post(f"/v1/responses/{id_ or response_id(post(owner, TEXT))}/links")
    assert made.status_code == 201, made.text
    link: dict[str, Any] = made.json()
    return link


def events_path(link: dict[str, Any], gateway: GatewayProcess) -> str:
    path: str = link["url"]
    assert path.startswith(f"{gateway.mount}/v1/responses/")
    return path.removeprefix(gateway.mount)


def until_cut(url: str) -> bytes:
    """What comes of an answer that is not completed."""
    data = bytearray()
    try:
        with httpx.stream("GET", url) as answer:
            for some in answer.iter_raw():
                data += some
    except httpx.RemoteProtocolError:
        return bytes(data)
    raise AssertionError("it was not cut")


def test_reader_with_a_link_sees_what_the_owner_sees(
    locked: GatewayProcess, owner: httpx.Client, page: httpx.Client
) -> None:
    link = linked(owner)
    by_link = page.get(events_path(link, locked))
    by_key = owner.get(f"/v1/responses/{link['response']}/events")
    assert (by_link.status_code, by_link.content) == (200, by_key.content)
    assert by_link.headers["referrer-policy"] == "no-referrer"
    assert "referrer-policy" not in by_key.headers


def test_reader_with_a_link_comes_back_over_a_cut_connection(
    locked: GatewayProcess, owner: httpx.Client, page: httpx.Client
) -> None:
    link = linked(owner)
    path = events_path(link, locked)
    whole = frames(page.get(path).content)
    with CuttingProxy(locked.address, cut_after=(1_500,)) as proxy:
        url = f"http://127.0.0.1:{proxy.address[1]}{locked.mount}{path}"
        seen = frames(until_cut(url))
        assert 0 < len(seen) < len(whole)
        rest = frames(httpx.get(url, headers={"last-event-id": seen[-1].id}).content)
    assert seen + rest == whole


def test_web_socket_takes_a_token_for_one_log_and_for_no_session(locked: GatewayProcess, owner: httpx.Client) -> None:
    link = linked(owner)
    token = link["token"]
    with session(locked, events_path(link, locked) + "&after=3", origin=ORIGIN) as connection:
        seen = [json.loads(message)["seq"] for message in connection]
    assert seen == list(range(4, 4 + len(seen)))
    other = linked(owner)["response"]
    for path, sent in (
        (f"/v1/responses?token={token}", {}),
        (f"/v1/responses/{other}/events?token={token}", {}),
        (f"/v1/responses/{link['response']}/events?token={token[:-1]}", {}),
        (events_path(link, locked), {"x-api-key": "wrong"}),
    ):
        with pytest.raises(InvalidStatus) as refused, session(locked, path, additional_headers=sent):
            pass
        assert refused.value.response.status_code == 401, path
    with (
        pytest.raises(InvalidStatus) as refused,
        session(locked, events_path(link, locked), origin="https://evil.example"),
    ):
        pass
    assert refused.value.response.status_code == 403


def test_token_appears_in_no_log_line_and_no_metric(
    locked: GatewayProcess, owner: httpx.Client, page: httpx.Client
) -> None:
    """Whatever comes of the request: an answer, a refusal, a fault of the parser, a cut."""
    link = linked(owner)
    path, token = events_path(link, locked), link["token"]
    page.get(path).raise_for_status()
    page.get(f"/v1/responses/{link['response']}?token={token}").raise_for_status()
    unserved = (path + "&after=x", path + "&dialect=x", path.replace("/events", "/receipt"), f"/v1/x?token={token}")
    for refused in unserved:
        assert page.get(refused).status_code in (400, 401, 404)
    assert page.delete(path).status_code == 405
    with session(locked, path) as connection:
        assert list(connection)
    with pytest.raises(InvalidStatus), session(locked, path + "&after=x"):
        pass
    ask(locked, head(locked, "GET", path, "Broken header"))
    ask(locked, head(locked, "GET", path, "Content-Length: x"))
    ask(locked, head(locked, "GET", path).replace(b"HTTP/1.1", b"HTTP/9.9"))
    slow = linked(owner, response_id(_background(owner)))
    with page.stream("GET", events_path(slow, locked)) as answer:
        next(answer.iter_raw())  # and gone
    owner.delete(f"/v1/responses/{slow['response']}").raise_for_status()
    metrics, logs = owner.get("/metrics").text, locked.logs()
    assert 'endpoint="/v1/responses/{id}/links"' in metrics
    assert link["response"] in logs
    for secret in (token, slow["token"], "token="):
        assert secret not in metrics
        assert secret not in logs


def _background(owner: httpx.Client) -> httpx.Response:
    body = {"model": "sim-t9000-r20-f0", "input": "How is a gate opened?", "background": True}
    return owner.post("/v1/responses", json=body)


def test_link_outlives_a_kill(tmp_path_factory: pytest.TempPathFactory) -> None:
    with GatewayProcess.start(configured(keys=KEYS), directory=tmp_path_factory.mktemp("killed")) as gateway:
        with httpx.Client(base_url=gateway.url, headers={"x-api-key": KEY}, timeout=30) as owner:
            url = gateway.url + linked(owner)["url"]
        before = httpx.get(url)
        gateway.kill()
        gateway.restart()
        after = httpx.get(url)
    assert (after.status_code, after.content) == (before.status_code, before.content)
