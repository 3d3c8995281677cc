"""Webhooks: signed as the library verifies it, tried again, given up, and never sent into the own network unasked."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import subprocess
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from headgate.clock import Clock
from headgate.policies import Webhook
from headgate.webhooks import ATTEMPTS_MAX, BACKOFF_S, PENDING_MAX, RETRY_AFTER_S_MAX, Webhooks, is_internal
from tests import needs
from tests.shell.scene import run, until

openssl = needs.needs("openssl", how="apt-get install openssl")
SECRET = "whsec_" + b64encode(b"0123456789abcdef0123456789abcdef").decode()
OK = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass
class Received:
    """One request as the receiver saw it."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A server on loopback that says what it is told to, one answer a request, the last one for all that follow."""

    answers: list[bytes] = field(default_factory=lambda: [OK])
    requests: list[Received] = field(default_factory=list)
    port: int = 0
    tls: ssl.SSLContext | None = None

    async def __aenter__(self) -> Receiver:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    def url(self, host: str = "127.0.0.1") -> str:
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}/hook/?token=1"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *rest = head.strip().split("\r\n")
        headers = dict(item.lower().split(": ", 1)[:1] + item.split(": ", 1)[1:] for item in rest)
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests.append(Received(line, headers, body))
        writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
        writer.close()


@dataclass
class Sender:
    """Webhooks whose waits are written down and not waited for."""

    outcomes: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.webhooks = Webhooks(Clock(), count=self.outcomes.append, pause=self._pause)

    async def _pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)

    async def send(self, url: str, payload: dict[str, Any] | None = None, *, allow_internal: bool = True) -> None:
        webhook = Webhook.model_validate({"url": url, "secret": SECRET, "allow_internal": allow_internal})
        self.webhooks.send(webhook, "escalation", payload or {"rule": "email"})
        await until(lambda: not self.webhooks.pending)


def with_receiver(*answers: bytes) -> Callable[[Callable[[Receiver, Sender], Awaitable[None]]], None]:
    """Run a scene with a receiver that gives these answers."""

    def decorated(scene: Callable[[Receiver, Sender], Awaitable[None]]) -> None:
        async def within() -> None:
            async with Receiver(list(answers) or [OK]) as receiver:
                await scene(receiver, Sender())

        run(within)

    return decorated


def test_library_verifies_what_is_sent_and_finds_type_time_and_data() -> None:
    @with_receiver()
    async def scene(receiver: Receiver, sender: Sender) -> None:
        await sender.send(receiver.url(), {"response_id": "resp_1", "rule": "email"})
        (request,) = receiver.requests
        assert request.line == "POST /hook/?token=1 HTTP/1.1"
        assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
        payload = Verifier(SECRET).verify(request.body, request.headers)
        assert payload["type"] == "escalation"
        assert payload["data"] == {"response_id": "resp_1", "rule": "email"}
        assert payload["timestamp"].endswith("Z")
        assert sender.outcomes == ["delivered"]


def test_attempts_carry_one_id_and_a_signature_of_their_own_time() -> None:
    @with_receiver(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", OK)
    async def scene(receiver: Receiver, sender: Sender) -> None:
        await sender.send(receiver.url())
        first, second = receiver.requests
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.body == second.body
        for request in (first, second):
            assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 60
            Verifier(SECRET).verify(request.body, request.headers)
        assert sender.outcomes == ["retried", "delivered"]


def test_receiver_that_stays_broken_is_given_up_after_growing_waits(caplog: pytest.LogCaptureFixture) -> None:
    @with_receiver(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")
    async def scene(receiver: Receiver, sender: Sender) -> None:
        with caplog.at_level(logging.ERROR, logger="headgate"):
            await sender.send(receiver.url())
        assert len(receiver.requests) == ATTEMPTS_MAX
        assert sender.outcomes == ["retried"] * (ATTEMPTS_MAX - 1) + ["failed"]
        for number, wait in enumerate(sender.waits):
            assert BACKOFF_S * 2**number / 2 <= wait <= BACKOFF_S * 2**number
        (record,) = [record for record in caplog.records if record.name == "headgate.webhooks"]
        assert "token" not in repr(vars(record)), "the address of a webhook is a secret"


def test_receiver_is_asked_again_no_sooner_than_it_wants() -> None:
    @with_receiver(
        b"HTTP/1.1 429 No\r\nretry-after: 17\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 503 No\r\nretry-after: 99999\r\n\r\n",
        OK,
    )
    async def scene(receiver: Receiver, sender: Sender) -> None:
        await sender.send(receiver.url())
        assert sender.waits == [17, RETRY_AFTER_S_MAX]


@pytest.mark.parametrize("status", ["400 Bad Request", "410 Gone", "404 Not Found"])
def test_receiver_that_refuses_is_not_asked_again(status: str) -> None:
    @with_receiver(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode())
    async def scene(receiver: Receiver, sender: Sender) -> None:
        await sender.send(receiver.url())
        assert len(receiver.requests) == 1
        assert sender.outcomes == ["failed"]


def test_redirect_is_not_followed() -> None:
    @with_receiver(b"HTTP/1.1 307 Go\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")
    async def scene(receiver: Receiver, sender: Sender) -> None:
        await sender.send(receiver.url())
        assert len(receiver.requests) == 1
        assert sender.outcomes == ["failed"]


@pytest.mark.parametrize("answer", [b"", b"SMTP ready\r\n\r\n"])
def test_receiver_that_does_not_answer_in_http_is_tried_again(answer: bytes) -> None:
    @with_receiver(answer, OK)
    async def scene(receiver: Receiver, sender: Sender) -> None:
        await sender.send(receiver.url())
        assert sender.outcomes == ["retried", "delivered"]


def test_answer_without_end_is_not_waited_for() -> None:
    @with_receiver(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nand")
    async def scene(receiver: Receiver, sender: Sender) -> None:
        await sender.send(receiver.url())
        assert sender.outcomes == ["delivered"]


def test_port_where_nobody_listens_is_tried_again_and_given_up() -> None:
    async def scene() -> None:
        async with Receiver() as receiver:
            url = receiver.url()
        sender = Sender()
        await sender.send(url)
        assert sender.outcomes == ["retried"] * (ATTEMPTS_MAX - 1) + ["failed"]

    run(scene)


# where it may not be sent


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0.0.0.0", "[::1]"])
def test_address_of_this_machine_is_refused_however_it_is_written(host: str) -> None:
    @with_receiver()
    async def scene(receiver: Receiver, sender: Sender) -> None:
        await sender.send(receiver.url(host), allow_internal=False)
        assert receiver.requests == []
        assert sender.outcomes[-1] in ("refused", "failed"), "failed: this system does not know such a spelling"
        if host in ("127.0.0.1", "localhost"):
            assert sender.outcomes == ["refused"]


def test_name_is_looked_up_once_an_attempt_and_what_was_checked_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @with_receiver()
    async def scene(receiver: Receiver, sender: Sender) -> None:
        loop, asked = asyncio.get_running_loop(), list[Any]()
        real = loop.getaddrinfo

        async def rebinding(host: Any, port: Any, **options: Any) -> Any:
            """A name server whose answer is another one each time; addresses are looked up as ever."""
            if host != "rebind.example":
                return await real(host, port, **options)
            asked.append(host)
            address = "127.0.0.1" if len(asked) == 1 else "192.0.2.1"
            return await real(address, port, **options)

        monkeypatch.setattr(loop, "getaddrinfo", rebinding)
        await sender.send(receiver.url("rebind.example"))
        assert asked == ["rebind.example"]
        assert receiver.requests[0].headers["host"] == f"rebind.example:{receiver.port}"
        assert sender.outcomes == ["delivered"]


def test_name_with_one_internal_address_among_others_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    @with_receiver()
    async def scene(receiver: Receiver, sender: Sender) -> None:
        async def mixed(host: Any, port: Any, **options: Any) -> Any:
            return [(2, 1, 6, "", (address, port)) for address in ("8.8.8.8", "10.0.0.1")]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", mixed)
        await sender.send(receiver.url("mixed.example"), allow_internal=False)
        assert sender.outcomes == ["refused"]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.10",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "240.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%1",
        "fec0::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
    ],
)
def test_address_inside_a_network_is_told(address: str) -> None:
    assert is_internal(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_address_of_the_public_internet_is_told(address: str) -> None:
    assert not is_internal(address)


@openssl
@pytest.mark.parametrize(("name", "outcome"), [("hook.example", "delivered"), ("other.example", "failed")])
def test_certificate_must_be_that_of_the_name_and_not_of_the_address(
    name: str, outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = (
        f"{needs.path_of('openssl')} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        f" -subj /CN=hook.example -addext subjectAltName=DNS:hook.example -keyout {key} -out {pem}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem, key)

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        real = loop.getaddrinfo

        async def here(host: Any, port: Any, **options: Any) -> Any:
            return await real("127.0.0.1", port, **options)

        monkeypatch.setattr(loop, "getaddrinfo", here)
        async with Receiver(tls=tls) as receiver:
            sender = Sender()
            await sender.send(receiver.url(name))
            assert sender.outcomes[-1] == outcome
            assert bool(receiver.requests) is (outcome == "delivered")

    run(scene)


# limits


def test_deliveries_beyond_the_limit_are_dropped_at_once() -> None:
    async def scene() -> None:
        sender = Sender()
        webhook = Webhook.model_validate({"url": "http://127.0.0.1:1/", "secret": SECRET})
        for _ in range(PENDING_MAX + 3):
            sender.webhooks.send(webhook, "escalation", {})
        assert sender.outcomes == ["dropped"] * 3
        assert sender.webhooks.pending == PENDING_MAX
        await until(lambda: not sender.webhooks.pending)
        assert sender.outcomes.count("refused") == PENDING_MAX

    run(scene)


def test_closing_gives_up_what_waits() -> None:
    async def scene() -> None:
        never = asyncio.Event()

        async def pause(seconds: float) -> None:
            await never.wait()

        webhooks = Webhooks(Clock(), pause=pause)
        async with Receiver([b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"]) as receiver:
            webhook = Webhook.model_validate({"url": receiver.url(), "secret": SECRET, "allow_internal": True})
            webhooks.send(webhook, "escalation", {})
            await until(lambda: receiver.requests)
            await webhooks.close(0.01)
        assert webhooks.pending == 0
        assert json.loads(receiver.requests[0].body)["type"] == "escalation"

    run(scene)
