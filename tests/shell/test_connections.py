"""The ways to a provider: TLS, an HTTP proxy for plain requests, and a CONNECT tunnel for TLS ones."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from headgate.events import Status
from tests import needs
from tests.shell.asking import ask, gateway
from tests.shell.provider import answer, provider, says
from tests.shell.scene import run, until

openssl = needs.needs("openssl", how="apt-get install openssl")

HELLO = answer("Hel", "lo")
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxy_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine says of proxies, these tests say it themselves."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@dataclass
class Certificate:
    """A self-made certificate for this machine."""

    pem: Path
    key: Path

    @property
    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pem, self.key)
        return context


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    made = Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    command = (
        f"{needs.path_of('openssl')} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        f" -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout {made.key} -out {made.pem}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    return made


@pytest.fixture
def trusted(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    """The certificate, and an environment that trusts it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.pem))
    return certificate


@dataclass
class Proxy:
    """A proxy that passes on what it is asked to, or answers CONNECT as the test says."""

    connect_answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n"
    heads: list[str] = field(default_factory=list)
    port: int = 0
    open: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head.decode("latin-1"))
            method, target, _ = self.heads[-1].split(" ", 2)
            authority = target if method == "CONNECT" else target.split("/")[2]
            host, _, port = authority.rpartition(":")
            if method == "CONNECT":
                writer.write(self.connect_answer)
                if b" 200 " not in self.connect_answer:
                    await reader.read()
                    return
            up_reader, up_writer = await asyncio.open_connection(host, int(port))
            if method != "CONNECT":
                up_writer.write(head)
            await asyncio.gather(_pump(reader, up_writer), _pump(up_reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            writer.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65_536):
            sink.write(data)
    sink.close()


@asynccontextmanager
async def proxying(proxy: Proxy) -> AsyncIterator[str]:
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield f"127.0.0.1:{proxy.port}"
    finally:
        server.close()
        await until(lambda: proxy.open == 0)
        await server.wait_closed()


@openssl
def test_provider_behind_tls_is_asked_and_its_connection_kept(trusted: Certificate) -> None:
    async def test() -> None:
        async with provider(says(HELLO), tls=trusted.server) as upstream, gateway(upstream.url) as opened:
            for _ in range(3):
                got = ask(opened)
                assert (await got.ended()).status is Status.COMPLETED
                assert got.text == "Hello"
                await asyncio.sleep(0.02)
            assert upstream.connections == 1

    run(test)


@openssl
def test_certificate_nobody_vouches_for_is_a_connect_failure(certificate: Certificate) -> None:
    async def test() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the server's side of the failed handshake
        async with provider(says(HELLO), tls=certificate.server) as upstream, gateway(upstream.url) as opened:
            terminal = await ask(opened).ended()
            assert terminal.code == "upstream_connect"
            assert "certificate is not trusted" in terminal.message
            assert upstream.requests == [], "nothing was sent, no key shown"

    run(test)


@openssl
def test_certificate_for_another_name_is_a_connect_failure(trusted: Certificate) -> None:
    async def test() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        async with provider(says(HELLO), tls=trusted.server) as upstream:
            url = upstream.url.replace("127.0.0.1", "localhost")
            async with gateway(url) as opened:
                assert (await ask(opened).ended()).code == "upstream_connect"

    run(test)


def test_provider_that_speaks_no_tls_is_a_connect_failure() -> None:
    async def test() -> None:
        async with (
            provider(says(HELLO)) as upstream,
            gateway(upstream.url.replace("http:", "https:"), connect_s=1) as opened,
        ):
            assert (await ask(opened).ended()).code == "upstream_connect"

    run(test)


def test_plain_provider_behind_a_proxy_is_asked_with_its_whole_url(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        proxy = Proxy()
        async with provider(says(HELLO)) as upstream, proxying(proxy) as address:
            monkeypatch.setenv("http_proxy", f"http://user:p%40ss@{address}")
            async with gateway(upstream.url) as opened:
                assert (await ask(opened).ended()).status is Status.COMPLETED
                await asyncio.sleep(0.02)
                assert (await ask(opened).ended()).status is Status.COMPLETED
            [head] = proxy.heads
            assert head.startswith(f"POST {upstream.url}/chat/completions HTTP/1.1\r\n")
            assert f"host: 127.0.0.1:{upstream.port}\r\n" in head
            assert f"proxy-authorization: Basic {b64encode(b'user:p@ss').decode()}\r\n" in head

    run(test)


def test_no_proxy_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        proxy = Proxy()
        async with provider(says(HELLO)) as upstream, proxying(proxy) as address:
            monkeypatch.setenv("http_proxy", f"http://{address}")
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            async with gateway(upstream.url) as opened:
                assert (await ask(opened).ended()).status is Status.COMPLETED
            assert proxy.heads == []

    run(test)


@openssl
def test_tls_provider_behind_a_proxy_is_reached_through_a_tunnel(
    trusted: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        proxy = Proxy()
        async with provider(says(HELLO), tls=trusted.server) as upstream, proxying(proxy) as address:
            monkeypatch.setenv("https_proxy", f"http://user:secret@{address}")
            async with gateway(upstream.url) as opened:
                for _ in range(2):
                    got = ask(opened)
                    assert (await got.ended()).status is Status.COMPLETED, got.seen[-1]
                    assert got.text == "Hello"
                    await asyncio.sleep(0.02)
            [head] = proxy.heads
            assert head.startswith(f"CONNECT 127.0.0.1:{upstream.port} HTTP/1.1\r\n")
            assert f"proxy-authorization: Basic {b64encode(b'user:secret').decode()}" in head
            assert "proxy-authorization" not in upstream.requests[0].head, "the proxy's password is not the provider's"

    run(test)


@openssl
@pytest.mark.parametrize(
    "connect_answer",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
        b"x" * 20_000,
        b"\r\n\r\n",
    ],
    ids=["407", "502", "endless", "nothing"],
)
def test_proxy_that_builds_no_tunnel_is_a_connect_failure(
    connect_answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        proxy = Proxy(connect_answer)
        async with proxying(proxy) as address:
            monkeypatch.setenv("https_proxy", f"http://{address}")
            async with gateway("https://127.0.0.1:1/v1", connect_s=2) as opened:
                assert (await ask(opened).ended()).code == "upstream_connect"
            await until(lambda: proxy.open == 0)

    run(test)


def test_proxy_that_never_answers_costs_no_more_than_the_connect_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        proxy = Proxy(b"")
        async with proxying(proxy) as address:
            monkeypatch.setenv("https_proxy", f"http://{address}")
            async with gateway("https://127.0.0.1:1/v1", connect_s=0.05) as opened:
                assert (await ask(opened).ended()).code == "upstream_connect"
            await until(lambda: proxy.open == 0)

    run(test)


def test_cancel_during_the_tunnel_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        proxy = Proxy(b"")
        async with proxying(proxy) as address:
            monkeypatch.setenv("https_proxy", f"http://{address}")
            async with gateway("https://127.0.0.1:1/v1", connect_s=10) as opened:
                got = ask(opened)
                await until(lambda: proxy.heads)
                opened.cancel(got.log)
                await until(lambda: proxy.open == 0)
                assert (await got.ended()).status is Status.CANCELLED

    run(test)
