"""Requests for responses that our own server answers without ASGI: the caller must not be able to tell.

Other suites send most of their requests this way, too, and the same ones to a mounted app; here both ways are compared
in one process, and what lies between them is looked at.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import configured
from tests.e2e.harness import GatewayProcess, until
from tests.e2e.sdk.asking import body, key_hash
from tests.e2e.sdk.sockets import ask, connected, creation, head, rest, status_of, unchunked

KEY = "a-key-of-the-tests"
AUTHORIZED = f"Authorization: Bearer {KEY}"
WITH_ASGI = "Origin: https://app.example"
"""A header that only the ordinary path deals with."""
COMMIT_AFTER_S = 0.3
_SAME = re.compile(rb'[0-9a-f]{32}|"created":\d+|date: [^\r]*')


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    text = configured(
        server=f"body_bytes_max = 8192\nbody_timeout_s = 0.5\ncommit_after_s = {COMMIT_AFTER_S}\n",
        keys=f'[[keys]]\nname = "app"\nhash = "{key_hash(KEY)}"\n',
    )
    with GatewayProcess.start(text, directory=tmp_path_factory.mktemp("direct")) as started:
        yield started
        assert started.running
        assert "fault in the gateway" not in started.logs()


def alike(answer: bytes) -> tuple[list[bytes], bytes]:
    """Head and body of an answer without what differs between any two answers: ids, times, how the body was cut."""
    start, _, data = answer.partition(b"\r\n\r\n")
    data = unchunked(answer)[0] if b"chunked" in start else data
    start, data = (_SAME.sub(b"", part) for part in (start, data))
    return sorted(start.lower().split(b"\r\n")), data


def metric(gateway: GatewayProcess, name: str) -> float:
    exposition = ask(gateway, head(gateway, "GET", "/metrics", AUTHORIZED)).decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", exposition, re.MULTILINE)
    return float(found[1]) if found else 0.0


REQUESTS: dict[str, dict[str, Any]] = {
    "whole": body("sim-fast-t5"),
    "streamed": body("sim-fast-t5", stream=True),
    "usage": body("sim-fast-t5", stream=True, stream_options={"include_usage": True}),
    "two choices": body("sim-fast-t5", n=2),
    "tools": body("sim-fast-tools", stream=True),
    "failed before a token": body("sim-server-error", stream=True),
    "failed whole": body("sim-server-error"),
    "no such provider": body("dead/x"),
    "no such model": body("nothing"),
    "wrong type": body("sim-fast-t5", n="two"),
    "silent": body("sim-t3-r100-f500", stream=True),
}


@pytest.mark.parametrize("asked", REQUESTS.values(), ids=list(REQUESTS))
def test_answer_is_the_same_with_and_without_asgi(gateway: GatewayProcess, asked: dict[str, Any]) -> None:
    direct = ask(gateway, creation(gateway, asked, AUTHORIZED))
    ordinary = ask(gateway, creation(gateway, asked, AUTHORIZED, WITH_ASGI))
    assert alike(direct) == alike(ordinary)
    assert status_of(direct) == status_of(ordinary) != 0


@pytest.mark.parametrize(
    "lines", [(), ("Authorization: Bearer wrong",), ("Authorization: Basic eA==",)], ids=["none", "wrong", "basic"]
)
def test_callers_without_a_key_are_refused_the_same(gateway: GatewayProcess, lines: tuple[str, ...]) -> None:
    direct = ask(gateway, creation(gateway, body("sim-fast-t5"), *lines))
    assert status_of(direct) == 401
    assert alike(direct) == alike(ask(gateway, creation(gateway, body("sim-fast-t5"), *lines, WITH_ASGI)))


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"model":1}', b"\xff\xfe"], ids=repr)
@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "Application/JSON; charset=utf-8"])
def test_bodies_that_are_none_are_refused_the_same(gateway: GatewayProcess, data: bytes, media_type: str) -> None:
    lines = (AUTHORIZED, f"Content-Type: {media_type}", f"Content-Length: {len(data)}")
    direct = ask(gateway, head(gateway, "POST", "/v1/chat/completions", *lines) + data)
    ordinary = ask(gateway, head(gateway, "POST", "/v1/chat/completions", *lines, WITH_ASGI) + data)
    assert status_of(direct) == (415 if media_type == "text/plain" else 400)
    assert alike(direct) == alike(ordinary)


def test_requests_are_counted_whichever_way_they_take(gateway: GatewayProcess) -> None:
    name = 'headgate_requests_total{endpoint="/v1/chat/completions",status="200"}'
    before = metric(gateway, name)
    for lines in ((), (WITH_ASGI,)):
        ask(gateway, creation(gateway, body("sim-fast-t5"), AUTHORIZED, *lines))
        ask(gateway, creation(gateway, body("sim-fast-t5", stream=True), AUTHORIZED, *lines))
    assert metric(gateway, name) == before + 4


def test_connection_is_kept_and_used_again_for_anything(gateway: GatewayProcess) -> None:
    with connected(gateway) as connection:
        for streamed in (True, False, True):
            connection.sendall(creation(gateway, body("sim-fast-t5", stream=streamed), AUTHORIZED, close=False))
            answer = b""
            while not answer.endswith(b"0\r\n\r\n" if streamed else b"}"):
                answer += connection.recv(65_536)
            assert b"connection:" not in answer.lower().partition(b"\r\n\r\n")[0]
            connection.sendall(head(gateway, "GET", "/healthz", close=False))
            assert status_of(connection.recv(65_536)) == 200
        connection.sendall(creation(gateway, body("sim-fast-t5"), AUTHORIZED))
        last = rest(connection)
    assert b"connection: close" in last
    assert last.endswith(b"}")


@pytest.mark.parametrize("pause_s", [0.0, 0.01, 0.2], ids=["at once", "soon", "late"])
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
def test_body_may_come_after_its_head_and_in_pieces(gateway: GatewayProcess, pause_s: float, streamed: bool) -> None:
    request = creation(gateway, body("sim-fast-t5", stream=streamed), AUTHORIZED)
    cut = request.index(b"\r\n\r\n") + 4
    with connected(gateway) as connection:
        for piece in (request[:cut], request[cut : cut + 9], request[cut + 9 :]):
            connection.sendall(piece)
            time.sleep(pause_s)
        answer = rest(connection)
    assert status_of(answer) == 200
    assert b"[DONE]" in answer if streamed else answer.endswith(b"}")


def test_body_that_does_not_come_is_408_and_one_that_is_too_large_413(gateway: GatewayProcess) -> None:
    lines = (AUTHORIZED, "Content-Type: application/json")
    late = head(gateway, "POST", "/v1/chat/completions", *lines, "Content-Length: 50", close=False) + b"{"
    assert status_of(ask(gateway, late)) == 408
    large = head(gateway, "POST", "/v1/chat/completions", *lines, "Content-Length: 9000", close=False)
    assert status_of(ask(gateway, large)) == 413
    chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
    chunked = head(gateway, "POST", "/v1/chat/completions", *lines, "Transfer-Encoding: chunked", close=False)
    assert status_of(ask(gateway, chunked + chunk * 3 + b"0\r\n\r\n")) == 413


def test_chunked_body_is_a_body(gateway: GatewayProcess) -> None:
    data = json.dumps(body("sim-fast-t5")).encode()
    chunks = b"".join([b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (data[:20], data[20:])]) + b"0\r\n\r\n"
    lines = (AUTHORIZED, "Content-Type: application/json", "Transfer-Encoding: chunked")
    assert status_of(ask(gateway, head(gateway, "POST", "/v1/chat/completions", *lines) + chunks)) == 200


@pytest.mark.parametrize("target", ["/v1/chat/completions?a=1", "/v1/chat%2Fcompletions", "/v1/chat/completions/"])
def test_target_that_is_spelt_otherwise_means_what_it_means_to_the_router(gateway: GatewayProcess, target: str) -> None:
    data = json.dumps(body("sim-fast-t5")).encode()
    lines = (AUTHORIZED, "Content-Type: application/json", f"Content-Length: {len(data)}")
    expected = 404 if target.endswith("/") else 200
    assert status_of(ask(gateway, head(gateway, "POST", target, *lines) + data)) == expected


def test_request_with_rubbish_behind_it_is_not_served(gateway: GatewayProcess) -> None:
    before = metric(gateway, 'headgate_requests_total{endpoint="/v1/chat/completions",status="200"}')
    answer = ask(gateway, creation(gateway, body("sim-fast-t5"), AUTHORIZED, close=False) + b"\x00rubbish\r\n\r\n")
    assert status_of(answer) in (0, 400)
    assert metric(gateway, 'headgate_requests_total{endpoint="/v1/chat/completions",status="200"}') == before


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
def test_client_that_leaves_before_its_answer_stops_the_generation(gateway: GatewayProcess, streamed: bool) -> None:
    name = 'headgate_cancels_total{reason="disconnected"}'
    before = metric(gateway, name)
    with connected(gateway) as connection:
        connection.sendall(creation(gateway, body("sim-t100-r1-f0", stream=streamed), AUTHORIZED))
        until(lambda: metric(gateway, "headgate_open_responses") == 1)
    until(lambda: metric(gateway, name) == before + 1)
    assert metric(gateway, "headgate_open_responses") == 0
    assert metric(gateway, "headgate_open_streams") == 0
    assert metric(gateway, "headgate_readers") == 0


def test_head_of_a_silent_stream_leaves_after_its_time(gateway: GatewayProcess) -> None:
    with connected(gateway) as connection:
        began = time.monotonic()
        connection.sendall(creation(gateway, body("sim-t3-r100-f1500", stream=True), AUTHORIZED))
        start = connection.recv(65_536)
        waited_s = time.monotonic() - began
        assert start.endswith(b"\r\n\r\n")
        assert COMMIT_AFTER_S * 0.9 <= waited_s < 1.4
        streamed, complete = unchunked(start + rest(connection))
    assert complete
    assert streamed.endswith(b"data: [DONE]\n\n")


def test_what_is_in_flight_is_finished_by_a_drain(tmp_path: Path) -> None:
    with GatewayProcess.start(configured(), directory=tmp_path / "drained") as gateway:
        with connected(gateway) as whole, connected(gateway) as stream, connected(gateway) as late:
            whole.sendall(creation(gateway, body("sim-t20-r50-f0"), close=False))
            stream.sendall(creation(gateway, body("sim-t20-r50-f0", stream=True), close=False))
            until(lambda: status_of(ask(gateway, head(gateway, "GET", "/readyz"))) == 200)
            first = stream.recv(65_536)
            gateway.terminate()
            until(lambda: status_of(ask(gateway, head(gateway, "GET", "/readyz"))) == 503)
            late.sendall(creation(gateway, body("sim-fast-t5")))
            assert status_of(rest(late)) == 503
            assert rest(whole).endswith(b"}")
            assert unchunked(first + rest(stream))[1]
        assert gateway.wait() == 0
