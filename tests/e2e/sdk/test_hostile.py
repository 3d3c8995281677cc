"""Clients that send what nobody should, never finish, never read, or come by the thousands. The process goes on each time."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import soak
from tests.e2e.conftest import KINDS, configured
from tests.e2e.harness import GatewayProcess, until
from tests.e2e.sdk.asking import body, frames, post, response_id
from tests.e2e.sdk.sockets import ask, connected, creation, head, rest, status_of, unchunked

BODY_BYTES_MAX = 256 * 1024
STALL_S = 1.0
HEADER_S = 1.0
IMPATIENT = configured(
    server=f"body_bytes_max = {BODY_BYTES_MAX}\nbody_timeout_s = 0.6\nheader_timeout_s = {HEADER_S}\nidle_timeout_s = 60.0\n"
    f"write_stall_s = {STALL_S}\ncommit_after_s = 0.2\nheartbeat_s = 0.2\n"
)
HEAVY = {"logprobs": True, "top_logprobs": 20}
"""Makes every token more than a kilobyte on the wire."""
MIB = 1024 * 1024


@pytest.fixture(scope="module", params=list(KINDS))
def impatient(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that waits for nobody."""
    with KINDS[request.param].start(IMPATIENT, directory=tmp_path_factory.mktemp("impatient")) as gateway:
        yield gateway


@pytest.fixture
def victim(impatient: GatewayProcess) -> Iterator[GatewayProcess]:
    """The gateway under attack; whatever the test did to it, it goes on, and ordinary work is done as ever."""
    before = len(impatient.logs())
    yield impatient
    assert impatient.running, impatient.logs()[-4000:]
    assert_serves(impatient)
    assert "fault in the gateway" not in impatient.logs()[before:]


def assert_serves(gateway: GatewayProcess) -> None:
    assert status_of(ask(gateway, head(gateway, "GET", "/healthz"))) == 200
    whole = ask(gateway, creation(gateway, body("sim-fast-t5")))
    assert status_of(whole) == 200
    assert b'"finish_reason":"stop"' in whole
    streamed, complete = unchunked(ask(gateway, creation(gateway, body("sim-fast-t5", stream=True))))
    assert complete
    assert streamed.endswith(b"data: [DONE]\n\n")


def served_alone(gateway: GatewayProcess) -> None:
    """For what only our own server can promise."""
    if gateway.mount:
        pytest.skip("how connections are handled is the server's business, and this one is not ours")


def id_of(answer: bytes) -> str:
    found = re.search(rb"headgate-response-id: (\S+)", answer, re.IGNORECASE)
    assert found is not None
    return found[1].decode()


def metric(gateway: GatewayProcess, name: str) -> float:
    exposition = ask(gateway, head(gateway, "GET", "/metrics")).decode()
    found = re.search(rf"^{name}(?:{{.*}})? (\S+)$", exposition, re.MULTILINE)
    return float(found[1]) if found else 0.0


# requests that are none

SMUGGLED = b"5\r\nhello\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: -5",),
        ("Content-Length: 99999999999999999999999",),
        ("Content-Length: 5x",),
        ("Transfer-Encoding: chunked, identity",),
        ("X-Bad\x00Name: 1",),
        ("X Space : 1",),
        ("X-Injected: a\rX-Evil: 1",),
        (": nameless",),
    ],
    ids=lambda lines: re.sub(r"[^ -~]", "?", lines[0]),
)
def test_malformed_heads_are_refused_and_nothing_is_smuggled(victim: GatewayProcess, lines: tuple[str, ...]) -> None:
    request = head(victim, "POST", "/v1/chat/completions", "Content-Type: application/json", *lines, close=False)
    answer = ask(victim, request + SMUGGLED)
    assert status_of(answer) in (0, 400)
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert b"headgate_requests_total" not in answer
    assert b"evil" not in answer.lower().partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n\r\n",
        b"\x00" * 1000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"hello\n" * 100,
    ],
    ids=lambda data: repr(data[:12]),
)
def test_bytes_that_are_no_http_end_the_connection(victim: GatewayProcess, data: bytes) -> None:
    with connected(victim) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        assert status_of(rest(connection)) in (0, 400)


@pytest.mark.parametrize(
    ("path", "place"), [("/v1/chat/completions", "error.code"), ("/v1/messages", "error.type"), ("/x", "error.code")]
)
def test_request_that_is_none_gets_an_error_in_the_shape_of_its_dialect(
    victim: GatewayProcess, path: str, place: str
) -> None:
    served_alone(victim)
    answer = ask(victim, head(victim, "POST", path, "Transfer-Encoding: chunked", close=False) + b"zz\r\n")
    assert status_of(answer) == 400
    assert b"content-type: application/json" in answer
    error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    assert "well-formed HTTP" in error["message"]
    assert "invalid_request" in error[place.partition(".")[2]]
    if path == "/v1/messages":
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["type"] == "error"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/responses/x%0d%0aX-Evil:%201",
        "/v1/responses/x%0d%0aX-Evil:%201/events",
        "/v1/models/x%0d%0aX-Evil:%201",
        "/v1/nothing%0d%0aX-Evil:%201",
        "/v1/responses/resp_00000000000000000000000000000000/events?dialect=x%0d%0aX-Evil:%201",
        "/v1/responses/resp_00000000000000000000000000000000/events?after=%0d%0aX-Evil:%201",
        "/v1/models/%00%ff",
        "/v1/responses/" + "a" * 20_000,
        "/v1/models?" + "&".join(f"a{i}=1" for i in range(500)),
    ],
    ids=lambda path: path[:40],
)
def test_line_breaks_in_a_path_stay_out_of_heads_and_logs(victim: GatewayProcess, path: str) -> None:
    before = len(victim.logs())
    answer = ask(victim, head(victim, "GET", path))
    assert 200 <= status_of(answer) < 500
    assert b"x-evil" not in answer.partition(b"\r\n\r\n")[0].lower()
    assert all(line.startswith("{") for line in victim.logs()[before:].splitlines())


def test_line_breaks_in_a_model_name_go_nowhere(victim: GatewayProcess) -> None:
    answer = ask(victim, creation(victim, body('sim-fast\r\nX-Evil: 1"} {"level":"error')))
    assert status_of(answer) == 400
    assert b"x-evil" not in answer.partition(b"\r\n\r\n")[0].lower()


def test_foreign_host_header_is_refused_without_keys(victim: GatewayProcess) -> None:
    """A page whose name resolves to this machine (DNS rebinding) sends its own name."""
    served_alone(victim)
    request = head(victim, "GET", "/v1/models").replace(b"Host: 127.0.0.1", b"Host: evil.example")
    answer = ask(victim, request)
    assert status_of(answer) == 403
    assert b"forbidden_host" in answer
    for own in (b"localhost:1234", b"127.0.0.1", b"[::1]:80", b"LOCALHOST"):
        assert status_of(ask(victim, request.replace(b"evil.example", own))) == 200, own
    for evil in (b"127.0.0.1.evil.example", b"localhost.evil.example", b"evil.example:127.0.0.1"):
        assert status_of(ask(victim, request.replace(b"evil.example", evil))) == 403, evil


def test_oversized_head_is_431(victim: GatewayProcess) -> None:
    served_alone(victim)
    answer = ask(victim, head(victim, "GET", "/healthz", "X-Huge: " + "x" * 100_000))
    assert status_of(answer) == 431
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "headers_too_large"


@pytest.mark.parametrize(
    "line",
    [b"X-More: " + b"x" * 1000 + b"\r\n", b"X: y\r\n" * 100, b"x" * 1000],
    ids=["lines", "short-lines", "one-line"],
)
def test_head_that_never_ends_is_431_and_the_memory_stays(victim: GatewayProcess, line: bytes) -> None:
    served_alone(victim)
    before = victim.resident_bytes()
    with connected(victim) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-First: ")
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 50 * MIB:
                connection.sendall(line)
                sent += len(line)
        assert sent < 20 * MIB
        answer = rest(connection)
    assert status_of(answer) in (0, 431)  # the answer may be lost with the reset that too many bytes provoke
    assert victim.resident_bytes() - before < 30 * MIB


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/healthz"])
@pytest.mark.parametrize("line", [b"X-Trailer: " + b"x" * 1000 + b"\r\n", b"x" * 1000], ids=["lines", "one-line"])
def test_trailers_that_never_end_do_not_fill_the_memory(victim: GatewayProcess, path: str, line: bytes) -> None:
    """Also behind a request that was answered long ago: nobody waits for its body any more, and no deadline runs."""
    served_alone(victim)
    before = victim.resident_bytes()
    with connected(victim) as connection, contextlib.suppress(ConnectionError):
        fields = ("Content-Type: application/json", "Transfer-Encoding: chunked")
        connection.sendall(head(victim, "POST", path, *fields, close=False) + b"0\r\nX-First: ")
        for _ in range(40):
            connection.sendall(line * 1000)
    assert victim.resident_bytes() - before < 20 * MIB


def test_head_that_comes_drop_by_drop_is_dropped(victim: GatewayProcess) -> None:
    served_alone(victim)
    began = time.monotonic()
    with connected(victim) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        connection.settimeout(0.05)
        ended = False
        while not ended and time.monotonic() - began < 10:
            try:
                connection.sendall(b"X")
                ended = connection.recv(1000) == b""
            except TimeoutError:
                continue
            except ConnectionError:
                ended = True
    assert ended
    assert 0.8 * HEADER_S < time.monotonic() - began < 8


def test_connection_that_says_nothing_is_dropped(victim: GatewayProcess) -> None:
    served_alone(victim)
    with connected(victim) as connection:
        assert rest(connection) == b""


@pytest.mark.parametrize("framing", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_body_that_never_ends_is_408(victim: GatewayProcess, framing: str) -> None:
    request = head(victim, "POST", "/v1/chat/completions", "Content-Type: application/json", framing, close=False)
    answer = ask(victim, request + (b'5\r\n{"mod\r\n' if "chunked" in framing else b'{"mod'))
    assert status_of(answer) == 408
    assert b'"request_timeout"' in answer
    assert b"connection: close" in answer.lower()


def test_body_of_a_reader_that_never_ends_is_408_too(victim: GatewayProcess) -> None:
    id_ = response_id(httpx.post(victim.url + "/v1/chat/completions", json=body("sim-fast-t3")))
    path = f"/v1/responses/{id_}/events"
    assert status_of(ask(victim, head(victim, "GET", path, "Transfer-Encoding: chunked", close=False))) == 408
    assert status_of(ask(victim, head(victim, "GET", path, "Content-Length: 10", close=False))) == 413


def test_body_that_comes_drop_by_drop_is_408(victim: GatewayProcess) -> None:
    """Every drop is progress, the deadline is for the whole."""
    with connected(victim) as connection:
        request = head(
            victim, "POST", "/v1/chat/completions", "Content-Type: application/json", "Content-Length: 100000"
        )
        connection.sendall(request)
        connection.settimeout(0.02)
        answer = b""
        began = time.monotonic()
        while not answer and time.monotonic() - began < 10:
            with contextlib.suppress(TimeoutError):
                connection.sendall(b" ")
                answer = connection.recv(4096)
    assert status_of(answer) == 408


def test_endless_chunked_body_is_413_and_the_memory_stays(victim: GatewayProcess) -> None:
    before = victim.resident_bytes()
    piece = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    with connected(victim) as connection:
        connection.sendall(
            head(victim, "POST", "/v1/chat/completions", "Content-Type: application/json", "Transfer-Encoding: chunked")
        )
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                connection.sendall(piece)
        answer = rest(connection)
    assert status_of(answer) in (0, 413)
    assert victim.resident_bytes() - before < 30 * MIB


def test_client_that_waits_for_a_go_ahead_gets_it(victim: GatewayProcess) -> None:
    data = json.dumps(body("sim-fast-t3")).encode()
    with connected(victim) as connection:
        connection.sendall(
            head(
                victim,
                "POST",
                "/v1/chat/completions",
                "Content-Type: application/json",
                f"Content-Length: {len(data)}",
                "Expect: 100-continue",
            )
        )
        assert connection.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(data)
        assert status_of(rest(connection)) == 200


# pipelining


def test_pipelined_requests_are_answered_in_order(victim: GatewayProcess) -> None:
    answer = ask(
        victim,
        creation(victim, body("sim-fast-t5", stream=True), close=False)
        + head(victim, "GET", "/healthz", close=False)
        + creation(victim, body("sim-fast-t5"), close=False)
        + head(victim, "GET", "/v1/nothing", close=False)
        + head(victim, "GET", "/v1/models"),
    )
    assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"200", b"200", b"200", b"404", b"200"]
    order = [
        answer.index(mark)
        for mark in (b"data: [DONE]", b'{"status":"ok"}', b'chat.completion"', b"not_found", b'"list"')
    ]
    assert order == sorted(order)


def test_request_that_comes_during_a_stream_waits_for_its_end(victim: GatewayProcess) -> None:
    with connected(victim) as connection:
        connection.sendall(creation(victim, body("sim-t20-r100-f0", stream=True), close=False))
        first = connection.recv(4096)
        connection.sendall(creation(victim, body("sim-t20-r100-f0", stream=True)))
        everything = first + rest(connection)
    assert everything.count(b"data: [DONE]") == 2
    second = everything.index(b"HTTP/1.1 200", 20)
    assert everything.index(b"data: [DONE]") < second
    assert everything[:second].endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("second", [{"stream": True}, {}], ids=["streamed", "whole"])
@pytest.mark.parametrize("first", [{"stream": True}, {}], ids=["streamed", "whole"])
def test_every_pipelined_answer_is_the_one_to_its_request(
    victim: GatewayProcess, first: dict[str, bool], second: dict[str, bool]
) -> None:
    """The second request is there before the first is answered, the third comes while the second waits."""
    with connected(victim) as connection:
        connection.settimeout(3)
        connection.sendall(creation(victim, body("sim-t10-r50-f0", **first), close=False))
        connection.sendall(creation(victim, body("sim-t20-r50-f0", **second), close=False))
        answer = b""
        while b"HTTP/1.1 200" not in answer[20:]:
            some = connection.recv(65_536)
            assert some, answer
            answer += some
        connection.sendall(head(victim, "GET", "/healthz"))
        answer += rest(connection)
    _, *answers = answer.split(b"HTTP/1.1 ")
    assert len(answers) == 3
    for one, model, streamed in ((answers[0], b"sim-t10", first), (answers[1], b"sim-t20", second)):
        assert model in one
        assert (b"data: [DONE]" in one) == bool(streamed)
        assert one.endswith(b"0\r\n\r\n" if streamed else b"}")
    assert answers[2].endswith(b'{"status":"ok"}')


def test_client_that_leaves_with_requests_in_the_pipe_stops_what_runs(victim: GatewayProcess) -> None:
    served_alone(victim)  # others tell the application of the newest request only that its client has left
    with connected(victim) as connection:
        for _ in range(3):
            connection.sendall(creation(victim, body("sim-t5000-r50-f0", stream=True), close=False))
        connection.recv(4096)
    until(lambda: metric(victim, "headgate_open_responses") == 0)


# clients that do not read


def test_client_that_never_reads_is_cut_costs_little_and_gets_the_rest_by_its_cursor(victim: GatewayProcess) -> None:
    request = creation(victim, body("sim-fast-t6000", stream=True, **HEAVY), "Headgate-Resume: 1")
    stalls, before, most = metric(victim, "headgate_client_stalls_total"), victim.resident_bytes(), 0
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connected(victim, receive_bytes=16_384)) for _ in range(3)]
        for connection in idle:
            connection.sendall(request)
        while metric(victim, "headgate_client_stalls_total") < stalls + 3:
            most = max(most, victim.resident_bytes() - before)
            began = time.monotonic()
            assert status_of(ask(victim, creation(victim, body("sim-fast-t3")))) == 200
            assert time.monotonic() - began < 5
        until(lambda: metric(victim, "headgate_open_streams") == 0)
        answer = rest(idle[0])
    assert most < 60 * MIB, f"{most / MIB:.0f} MiB"
    part, complete = unchunked(answer)
    assert not complete
    assert b"[DONE]" not in part
    part = part[: part.rindex(b"\n\n") + 2].replace(b": ping\n", b"")
    cursor = [frame.id for frame in frames(part) if frame.id][-1]
    url = f"{victim.url}/v1/responses/{id_of(answer)}/events"
    everything = httpx.get(url, params={"dialect": "openai-chat"}, timeout=30).content
    remainder = httpx.get(url, params={"dialect": "openai-chat", "after": cursor}, timeout=30).content
    assert part + remainder == everything
    assert everything.endswith(b"data: [DONE]\n\n")


def test_slow_client_that_reads_now_and_then_gets_everything(victim: GatewayProcess) -> None:
    """It takes less than it could, and never nothing for as long as the limit."""
    with connected(victim, receive_bytes=65_536) as connection:
        connection.sendall(creation(victim, body("sim-fast-t1500", stream=True, **HEAVY)))
        answer = bytearray()
        while some := connection.recv(65_536):
            answer += some
            if len(answer) < MIB:
                time.sleep(0.01)
    part, complete = unchunked(bytes(answer))
    assert complete
    assert part.endswith(b"data: [DONE]\n\n")


def test_client_that_never_reads_a_whole_answer_is_cut_too(victim: GatewayProcess) -> None:
    """The rule is for every client that takes nothing for `write_stall_s`, whatever it asked for."""
    served_alone(victim)
    with connected(victim, receive_bytes=16_384) as connection:
        connection.sendall(creation(victim, body("sim-fast-t10000", **HEAVY), close=False))
        until(lambda: metric(victim, "headgate_open_responses") == 0, within_s=20)
        port = connection.getsockname()[1]
        until(lambda: not established(victim, port), within_s=STALL_S + 3, what="the connection is gone")


def established(gateway: GatewayProcess, port: int) -> bool:
    """Whether the gateway still has its end of our connection open."""
    wanted = f":{gateway.port:04X}", f":{port:04X}"
    for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        if local.endswith(wanted[0]) and remote.endswith(wanted[1]):
            return state == "01"
    return False


def test_answer_that_waits_long_begins_with_headers_and_heartbeats(victim: GatewayProcess) -> None:
    """The headers leave before the first token; what follows them is as if nothing had been."""
    answer = ask(victim, creation(victim, body("sim-t3-r0-f1700", stream=True)))
    everything, complete = unchunked(answer)
    assert complete
    assert everything.startswith(b": ping\n")
    replay = head(victim, "GET", f"/v1/responses/{id_of(answer)}/events?dialect=openai-chat")
    assert everything.replace(b": ping\n", b"") == unchunked(ask(victim, replay))[0]


def test_failure_after_the_headers_is_an_error_in_the_stream(victim: GatewayProcess) -> None:
    with connected(victim) as connection:
        connection.sendall(creation(victim, body("hasty/sim-fast+hang", stream=True)))
        first = connection.recv(4096)
        assert first.startswith(b"HTTP/1.1 200")
        everything, complete = unchunked(first + rest(connection))
    assert complete
    assert everything.count(b"data: ") == 1
    assert b'"code":"upstream_first_token_timeout"' in everything


# crowds


def test_idle_connections_by_the_thousands_cost_little_and_block_nobody(victim: GatewayProcess) -> None:
    served_alone(victim)
    count = 10_000 if soak.soaking() else 2_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 500:
        pytest.skip(f"needs a hard limit of {count + 500} open files; it is {hard} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 500), hard))
    before, files = victim.resident_bytes(), open_files(victim)
    crowd: list[socket.socket] = []
    try:
        for _ in range(count):
            connection = socket.create_connection(victim.address, timeout=20)
            connection.sendall(head(victim, "GET", "/healthz", close=False))
            crowd.append(connection)
        for connection in crowd:
            assert status_of(connection.recv(4096)) == 200
        assert open_files(victim) >= files + count
        assert (victim.resident_bytes() - before) / count < 32 * 1024
        began = time.monotonic()
        assert_serves(victim)
        assert time.monotonic() - began < 5
        crowd[0].sendall(head(victim, "GET", "/healthz", close=False))
        assert status_of(crowd[0].recv(4096)) == 200
    finally:
        for connection in crowd:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    until(lambda: open_files(victim) <= files + 10, what="the connections are gone")


def test_gateway_raises_its_own_file_limit_when_it_starts(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        gateway = GatewayProcess.start(configured(), directory=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with gateway:
        limits = Path(f"/proc/{gateway.pid}/limits").read_text("utf-8")
        assert re.search(r"^Max open files +(\d+)", limits, re.MULTILINE)[1] == str(hard)  # type: ignore[index]


def open_files(gateway: GatewayProcess) -> int:
    return len(os.listdir(f"/proc/{gateway.pid}/fd"))


def test_clients_that_come_and_go_at_once_leave_nothing_behind(victim: GatewayProcess) -> None:
    files = open_files(victim)
    request = creation(victim, body("sim-t5000-r50-f0", stream=True))
    for cut in (0, 10, len(request) // 2, len(request)):
        for _ in range(25):
            with connected(victim) as connection:
                connection.sendall(request[:cut])
    until(lambda: metric(victim, "headgate_open_responses") == 0)
    until(lambda: open_files(victim) <= files + 15)


def test_more_responses_than_the_limit_are_refused_at_once(tmp_path: Path) -> None:
    text = configured(server="open_responses_max = 3")
    with KINDS["served"].start(text, directory=tmp_path) as gateway, contextlib.ExitStack() as stack:
        for _ in range(3):
            connection = stack.enter_context(connected(gateway))
            connection.sendall(creation(gateway, body("sim-t5000-r50-f0", stream=True)))
            assert status_of(connection.recv(4096)) == 200
        with httpx.Client(base_url=gateway.url) as http:
            refused = post(http, "sim-fast")
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["error"]["code"] == "overloaded"


def test_body_nested_to_the_very_limit_leaves_nothing_behind(victim: GatewayProcess) -> None:
    """At some depth the body can still be read and no longer be written for the provider."""
    for depth in range(940, 1000, 4):
        nested = b"[" * depth + b"]" * depth
        plain = json.dumps(body("sim-fast-t5")).encode()
        request = plain[:-1] + b', "extra": ' + nested + b"}"
        fields = ("Content-Type: application/json", f"Content-Length: {len(request)}")
        assert status_of(ask(victim, head(victim, "POST", "/v1/chat/completions", *fields) + request)) in (
            200,
            400,
            500,
        )
    until(lambda: metric(victim, "headgate_open_responses") == 0)


@pytest.mark.parametrize("crumb", [b"\r\n", b"x"], ids=["line-end", "late-body"])
def test_connection_on_which_nothing_begins_is_closed(victim: GatewayProcess, crumb: bytes) -> None:
    """A byte that is no request must not buy a connection all the time in the world."""
    served_alone(victim)
    with connected(victim) as connection:
        connection.settimeout(HEADER_S + 3)
        length = "Content-Length: 10" if crumb == b"x" else "X-Length: 0"
        method, path = ("POST", "/nowhere") if crumb == b"x" else ("GET", "/healthz")
        connection.sendall(head(victim, method, path, length, close=False))
        assert connection.recv(4096)
        connection.sendall(crumb)
        assert connection.recv(4096) == b""
