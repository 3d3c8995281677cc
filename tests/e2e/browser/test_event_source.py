"""A page in a real browser reads the log with nothing but `EventSource`, over a connection that is cut under way."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests import needs
from tests.e2e.browser.chromium import chromium
from tests.e2e.conftest import KINDS, configured
from tests.e2e.harness import HOST, CuttingProxy, GatewayProcess
from tests.e2e.sdk.asking import frames

pytestmark = needs.chromium

CUTS: Final = (1_500,)
"""Bytes of the first connection: a few events and a part of one."""
SCRIPT: Final = Path(__file__).with_name("page.js").read_text("utf-8")
FOREIGN_PAGE: Final = """<!doctype html><script>
const base = location.hash.slice(1);
const say = (outcome) => parent.postMessage({base, outcome}, "*");
fetch(base + "/v1/models").then((answer) => say("read " + answer.status), (error) => say(error.name));
</script>"""


@contextmanager
def pages(contents: dict[str, str]) -> Iterator[int]:
    """A web server on every local name; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = contents.get(self.path, "").encode()
            self.send_response(200 if self.path in contents else 404)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def gateways() -> dict[str, GatewayProcess]:
    return {}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, gateways: dict[str, GatewayProcess]) -> Iterator[dict[str, Any]]:
    """One page that does everything with both kinds of gateway at once, because a browser waits seconds to reconnect."""
    contents = {"/foreign": FOREIGN_PAGE}
    directory = tmp_path_factory.mktemp("browser")
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(pages(contents))
        text = configured(server=f'cors_origins = ["http://{HOST}:{port}"]')
        for kind, process in KINDS.items():
            gateways[kind] = stack.enter_context(process.start(text, directory=directory / kind))
        arguments = []
        for gateway in gateways.values():
            proxy = stack.enter_context(CuttingProxy(gateway.address, cut_after=CUTS))
            cutting = f"http://{HOST}:{proxy.address[1]}{gateway.mount}"
            foreign = f"http://localhost:{port}/foreign"
            arguments.append({"direct": gateway.url, "cutting": cutting, "foreignPage": foreign})
        call = f"main({json.dumps(arguments)})"
        contents["/"] = f"<!doctype html><title>page</title><body><script>{SCRIPT}\n{call}</script>"
        browser = stack.enter_context(chromium(directory))
        browser.open(f"http://{HOST}:{port}/")
        found = browser.wait_for("return window.results === undefined ? null : window.results", within_s=60)
        assert isinstance(found, list), found
        yield dict(zip(gateways, found, strict=True))


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def events_of(gateway: GatewayProcess, id_: str) -> list[list[str]]:
    answer = httpx.get(f"{gateway.url}/v1/responses/{id_}/events")
    return [[frame.id, frame.event, frame.data] for frame in frames(answer.content)]


def test_fetch_reads_a_stream_and_the_id_of_its_response(
    results: dict[str, Any], gateways: dict[str, GatewayProcess], kind: str
) -> None:
    answer = results[kind]["answer"]
    replay = httpx.get(f"{gateways[kind].url}/v1/responses/{answer['id']}/events", params={"dialect": "openai-chat"})
    assert answer["text"] == replay.text


def test_event_source_reads_a_whole_log_over_a_connection_that_is_cut(
    results: dict[str, Any], gateways: dict[str, GatewayProcess], kind: str
) -> None:
    """Every event once, in order: none is lost with the frame that was cut in two, and none comes twice."""
    whole = results[kind]["whole"]
    assert whole["events"] == events_of(gateways[kind], results[kind]["answer"]["id"])
    assert whole["opened"] == 2


def test_event_source_stops_by_itself_at_the_end(results: dict[str, Any], kind: str) -> None:
    """One error for the cut, one for the end of the stream, one for the 204 that closes it."""
    assert results[kind]["whole"]["errors"] == 3
    assert results[kind]["live"]["errors"] == 2


def test_event_source_follows_a_running_response_to_its_end(
    results: dict[str, Any], gateways: dict[str, GatewayProcess], kind: str
) -> None:
    """The page had left the answer itself; it may, having said that it comes back."""
    live = results[kind]["live"]
    assert live["events"] == events_of(gateways[kind], live["id"])
    assert json.loads(live["events"][-1][2])["status"] == "completed"


def test_page_may_read_why_it_was_refused_and_when_to_come_back(results: dict[str, Any], kind: str) -> None:
    assert results[kind]["refused"] == {"status": 429, "retryAfter": "1", "code": "rate_limit_exceeded"}


def test_fetch_at_the_end_of_a_log_gets_no_content(results: dict[str, Any], kind: str) -> None:
    assert results[kind]["end"] == {"status": 204, "text": ""}


def test_page_of_another_origin_reads_nothing(results: dict[str, Any], kind: str) -> None:
    assert results[kind]["other"]["outcome"] == "TypeError"
