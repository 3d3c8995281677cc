"""A page without a key reads by a link, with nothing but what browsers have: `EventSource`, `WebSocket`, an address."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from tests import needs
from tests.e2e.browser.chromium import chromium
from tests.e2e.browser.test_event_source import CUTS, SCRIPT, pages
from tests.e2e.conftest import KINDS, configured
from tests.e2e.harness import HOST, CuttingProxy, GatewayProcess
from tests.e2e.sdk.asking import PROMPT, TEXT, body, frames, key_hash, response_id

pytestmark = needs.chromium

KEY: Final = "hg-key-of-the-backend"
AUTHORIZED: Final = {"authorization": f"Bearer {KEY}"}
LINKED: Final = """
function messages(url) {
  return new Promise((resolve) => {
    const socket = new WebSocket(url);
    const seen = [];
    socket.onmessage = (event) => seen.push(event.data);
    socket.onclose = (event) => resolve({seen, code: event.code});
  });
}

async function expired(link) {
  while (Date.now() / 1000 < link.expires_at) await new Promise((resolve) => setTimeout(resolve, 20));
  const answer = await fetch(link.url);
  return {...await read(link.url), code: (await answer.json()).code};
}

async function linked({ended, running, socket, wrong, brief, foreignPage, direct}) {
  const [whole, live, heard, refused, late, other] = await Promise.all([
    read(ended), read(running), messages(socket), read(wrong), expired(brief), foreign(foreignPage, direct),
  ]);
  return {whole, live, heard, refused, late, other};
}

Promise.all(LINKS.map(linked)).catch((error) => ({failed: String(error)})).then((found) => { window.results = found; });
"""
FOREIGN_PAGE: Final = """<!doctype html><script>
const base = location.hash.slice(1);
const source = new EventSource(base);
source.onopen = () => parent.postMessage({base, outcome: "read"}, "*");
source.onerror = () => parent.postMessage({base, outcome: source.readyState === EventSource.CLOSED}, "*");
</script>"""
AFTERWARDS: Final = "<!doctype html><title>afterwards</title>"


class Backend:
    """Who has the key, and hands links to the page."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self.gateway = gateway
        self.ended = response_id(self._post("/v1/chat/completions", body(TEXT)))
        background = {"model": "sim-t60-r60-f0", "input": PROMPT, "background": True}
        self.running = response_id(self._post("/v1/responses", background))

    def link(self, id_: str, *, seconds: int = 600) -> dict[str, Any]:
        link: dict[str, Any] = self._post(f"/v1/responses/{id_}/links", {"expires_in_s": seconds}).json()
        return link | {"url": self.gateway.url.removesuffix(self.gateway.mount) + link["url"]}

    def events(self, id_: str, **query: str) -> list[list[str]]:
        answer = httpx.get(f"{self.gateway.url}/v1/responses/{id_}/events", headers=AUTHORIZED, params=query)
        return [[frame.id, frame.event, frame.data] for frame in frames(answer.content)]

    def _post(self, path: str, fields: dict[str, Any]) -> httpx.Response:
        answer = httpx.post(self.gateway.url + path, json=fields, headers=AUTHORIZED, timeout=30)
        answer.raise_for_status()
        return answer


@pytest.fixture(scope="module")
def backends() -> dict[str, Backend]:
    return {}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, backends: dict[str, Backend]) -> Iterator[dict[str, Any]]:
    """One page for both kinds of gateway, because a browser waits seconds before it reconnects."""
    contents = {"/foreign": FOREIGN_PAGE, "/afterwards": AFTERWARDS}
    directory = tmp_path_factory.mktemp("links")
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(pages(contents))
        keys = f'[[keys]]\nname = "backend"\nhash = "{key_hash(KEY)}"\n'
        text = configured(server=f'cors_origins = ["http://{HOST}:{port}"]', keys=keys)
        links: list[dict[str, Any]] = []
        for kind, process in KINDS.items():
            gateway = stack.enter_context(process.start(text, directory=directory / kind))
            backend = backends[kind] = Backend(gateway)
            link = backend.link(backend.ended)
            url: str = link["url"]
            given: dict[str, Any] = {"socket": url.replace("http:", "ws:"), "wrong": url[:-1] + "!", "direct": url}
            for name in ("ended", "running"):
                proxy = stack.enter_context(CuttingProxy(gateway.address, cut_after=CUTS))
                ours = backend.link(getattr(backend, name))["url"]
                given[name] = ours.replace(f":{gateway.port}/", f":{proxy.address[1]}/")
            given["foreignPage"] = f"http://localhost:{port}/foreign"
            links.append({**given, "brief": backend.link(backend.ended, seconds=1)})
        script = f"{SCRIPT}\nconst LINKS = {json.dumps(links)};\n{LINKED}"
        contents["/"] = f"<!doctype html><title>page</title><body><script>{script}</script>"
        browser = stack.enter_context(chromium(directory))
        browser.open(f"http://{HOST}:{port}/")
        found = browser.wait_for("return window.results === undefined ? null : window.results", within_s=60)
        assert isinstance(found, list), found
        for seen, link in zip(found, links, strict=True):
            browser.open(link["direct"].replace("/events", ""))  # as who follows a link to the object does
            seen["shown"] = browser.run("return document.body.innerText")
            browser.run(f"location.assign('http://{HOST}:{port}/afterwards')")
            script = "return document.title === 'afterwards' ? document.referrer : null"
            seen["referrer"] = browser.wait_for(script, within_s=20)
        yield dict(zip(KINDS, found, strict=True))


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_event_source_reads_a_whole_log_by_a_link_over_a_connection_that_is_cut(
    results: dict[str, Any], backends: dict[str, Backend], kind: str
) -> None:
    """It comes back to the same address with Last-Event-ID: every event once, and the 204 at the end stops it."""
    whole = results[kind]["whole"]
    assert whole["events"] == backends[kind].events(backends[kind].ended)
    assert (whole["opened"], whole["errors"]) == (2, 3)


def test_event_source_follows_a_running_response_by_a_link(
    results: dict[str, Any], backends: dict[str, Backend], kind: str
) -> None:
    live = results[kind]["live"]
    assert live["events"] == backends[kind].events(backends[kind].running)
    assert json.loads(live["events"][-1][2])["status"] == "completed"
    assert (live["opened"], live["errors"]) == (2, 3)


def test_event_source_gives_up_at_once_where_the_token_is_refused(results: dict[str, Any], kind: str) -> None:
    assert (results[kind]["refused"]["opened"], results[kind]["refused"]["errors"]) == (0, 1)


def test_event_source_gives_up_at_once_where_the_link_has_expired_and_fetch_says_why(
    results: dict[str, Any], kind: str
) -> None:
    assert (results[kind]["late"]["opened"], results[kind]["late"]["errors"]) == (0, 1)
    assert results[kind]["late"]["code"] == "expired_link"


def test_web_socket_follows_a_log_by_a_link(results: dict[str, Any], backends: dict[str, Backend], kind: str) -> None:
    heard = results[kind]["heard"]
    assert heard["code"] == 1000
    assert heard["seen"] == [data for _, _, data in backends[kind].events(backends[kind].ended)]


def test_page_of_another_origin_reads_nothing_by_a_link(results: dict[str, Any], kind: str) -> None:
    assert results[kind]["other"]["outcome"] is True


def test_address_with_a_token_is_not_named_to_where_the_reader_goes_next(results: dict[str, Any], kind: str) -> None:
    assert '"object":"response"' in results[kind]["shown"]
    assert results[kind]["referrer"] == ""
