"""A gateway whose callers each have a policy, in front of a simulator whose counters we can see.

A key's name is the name of its policy, and the key is ``key-<name>``: who asks with it is judged by it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
from typer.testing import CliRunner

from headgate.commands.audit import audit_app
from headgate.commands.reviews import reviews_app
from headgate.simulator import Simulator
from tests.e2e.governance.receiver import SECRET, Receiver
from tests.e2e.harness import GatewayProcess, config, until
from tests.e2e.matrix.desk import Desk
from tests.e2e.matrix.seen import DIALECTS
from tests.e2e.sdk.asking import key_hash

ADMIN: Final = "key-of-ada"
CODENAME: Final = "Project Nightingale"
"""What rules called ``codename`` look for."""
GUARDS: Final = """
def faulty(text: str) -> None:
    if "trouble" in text:
        raise RuntimeError("I cannot read: " + text)
"""
"""The module ``guards`` of judges."""
_CODENAME: Final = f"""
[[policies.NAME.rules]]
name = "codename"
detector = "terms"
terms = ["{CODENAME}"]
action = "ACTION"
"""
_FAULTY: Final = """
[[policies.NAME.rules]]
name = "faulty"
detector = "callable"
callable = "guards:faulty"
action = "block"
"""
_SALARY: Final = """
[[policies.NAME.rules]]
name = "salary"
detector = "terms"
terms = ["salary"]
action = "hold"
risk = "medium"
"""
_CARD: Final = """
[[policies.NAME.rules]]
name = "card"
detector = "credit_card"
action = "ACTION"
"""
_WEBHOOK: Final = f"""
webhook = {{ url = "URL", secret = "{SECRET}", allow_internal = true }}
"""
POLICIES: Final = {
    "masking": 'stream = ["email"]\nfinal = ["rescan", "json_schema"]',
    "numbering": 'stream = ["email"]\nfinal = ["rescan"]\nplaceholder = "numbered"',
    "blocking": 'stream = ["codename"]\nrequest = ["card"]' + _CODENAME.replace("ACTION", "block") + _CARD,
    "guarding": 'stream = ["faulty"]' + _FAULTY,
    "screening": 'request = ["faulty"]' + _FAULTY,
    "finishing": 'final = ["codename"]' + _CODENAME.replace("ACTION", "block"),
    "holding": 'stream = ["salary", "email"]\nfinal = ["rescan"]\nreview = { hold_wait_s = 0.1 }' + _SALARY,
    "waiting": 'stream = ["salary"]\nreview = { hold_wait_s = 30 }' + _SALARY,
    "hurrying": 'stream = ["salary"]\nreview = { hold_wait_s = 30, timeout_s = 0.3 }' + _SALARY,
    "doubting": 'final = ["codename"]\non_failure = "hold"\nreview = { hold_wait_s = 0.1 }'
    + _CODENAME.replace("ACTION", "hold"),
    "replacing": 'stream = ["email"]\nfinal = ["codename"]\nretract = true\non_failure = "replace"\n'
    + 'replacement = "This was withheld."'
    + _CODENAME.replace("ACTION", "block"),
    "formatting": 'retract = true\nformatting = ["trim", "code_fence"]',
    "watching": 'stream = ["codename", "email", "salary"]\nrequest = ["card"]\nfinal = ["rescan", "length"]\n'
    + "dry_run = true\nlength = { chars_max = 10 }"
    + _WEBHOOK
    + _CODENAME.replace("ACTION", "block")
    + _SALARY
    + _CARD,
    "telling": 'stream = ["codename", "email"]'
    + _WEBHOOK
    + _CODENAME.replace("ACTION", "escalate")
    + """
[[policies.NAME.rules]]
name = "email"
detector = "email"
action = "flag"
""",
    "alarming": 'stream = ["salary"]\nreview = { hold_wait_s = 0, escalate_risk = "medium" }' + _WEBHOOK + _SALARY,
}


def policies(url: str = "http://127.0.0.1:9/") -> str:
    """All of them; `url` is where webhooks go."""
    tables = (f"[policies.{name}]\n{text.replace('NAME', name)}\n" for name, text in POLICIES.items())
    return "\n".join(tables).replace("ACTION", "block").replace("URL", url)


def configured(simulator: str, webhooks: str = "http://127.0.0.1:9/") -> str:
    """Requests for ``<dialect>/<model>`` lead to a provider of that dialect; keys have the policies."""
    providers = routes = ""
    for dialect in DIALECTS:
        base_url = simulator if dialect.startswith("openai") else simulator.removesuffix("/v1")
        providers += f'[[providers]]\nname = "{dialect}"\ndialect = "{dialect}"\nbase_url = "{base_url}"\n'
        routes += f'[[routes]]\nmodel = "{dialect}/*"\nto = ["{dialect}/*"]\n'
    keys = "".join(
        f'[[keys]]\nname = "{name}"\nhash = "{key_hash(key_of(name))}"\npolicy = "{name}"\n'
        for name in (*POLICIES, "none")
    )
    keys += f'[[admin.keys]]\nname = "ada"\nhash = "{key_hash(ADMIN)}"\n'
    server = "heartbeat_s = 0.2"
    return config(server=server, providers=providers, routes=routes, keys=keys + policies(webhooks))


def key_of(policy: str) -> str:
    return f"key-{policy}"


class House:
    """The gateway, the provider behind it, and who is told."""

    def __init__(self, gateway: GatewayProcess, simulator: Simulator, receiver: Receiver) -> None:
        self.gateway = gateway
        self.simulator = simulator
        self.receiver = receiver
        self._files = 0

    @property
    def url(self) -> str:
        return self.gateway.url

    def http(self, policy: str) -> httpx.Client:
        """Plain HTTP of the caller with that policy."""
        headers = {"authorization": f"Bearer {key_of(policy)}"}
        return httpx.Client(base_url=self.url, timeout=30, headers=headers)

    def shown(self, policy: str, id_: str) -> dict[str, Any]:
        """``GET /v1/responses/{id}``"""
        with self.http(policy) as http:
            value = http.get(f"/v1/responses/{id_}").raise_for_status().json()
        assert isinstance(value, dict)
        return value

    def ended(self, policy: str, id_: str) -> tuple[str, str]:
        """Status and code of the terminal, once it is there."""
        until(lambda: self.shown(policy, id_)["headgate"]["terminal"] is not None, what=f"{id_} ends")
        terminal = self.log(policy, id_)[-1]
        return terminal["status"], terminal.get("code", "")

    def raw_log(self, policy: str, id_: str, **query: str) -> bytes:
        """What a native reader of the whole log gets, as NDJSON."""
        with self.http(policy) as http:
            answer = http.get(f"/v1/responses/{id_}/events", params={"format": "ndjson", **query})
        return answer.raise_for_status().content

    def log(self, policy: str, id_: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.raw_log(policy, id_).split(b"\n") if line]

    def reviews(self, **query: str) -> list[dict[str, Any]]:
        """The queue, as a reviewer sees it."""
        answer = self.admin("GET", "/reviews", params={"limit": "100", **query})
        reviews = answer.raise_for_status().json()["reviews"]
        assert isinstance(reviews, list)
        return reviews

    def waiting(self, policy: str, ids: list[str]) -> list[str]:
        """The ids of the reviews of these responses, in their order, once all are there."""

        def found() -> dict[str, str]:
            return {review["response_id"]: review["id"] for review in self.reviews(policy=policy)}

        until(lambda: found().keys() >= set(ids), what=f"reviews of {ids}")
        here = found()
        return [here[id_] for id_ in ids]

    def admin(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {ADMIN}"}
        return httpx.request(method, f"{self.url}/admin/v1{path}", headers=headers, timeout=30, **more)

    def decide(self, review_id: str, decision: str, **given: str) -> httpx.Response:
        return self.admin("POST", f"/reviews/{review_id}/{decision}", json=given)

    def command(self, *arguments: str) -> str:
        """``headgate reviews ...`` on the command line; what it printed."""
        environment = {"HEADGATE_URL": self.url, "HEADGATE_ADMIN_KEY": ADMIN}
        return _said(reviews_app, arguments, environment)

    def proved(self, policy: str, id_: str) -> dict[str, Any]:
        """The receipt of a response, once it and the log are found to be what was signed."""
        with self.http(policy) as http:
            answer = http.get(f"/v1/responses/{id_}/receipt").raise_for_status()
        self._files += 1
        receipt, events = (self.gateway.directory / f"{name}-{self._files}" for name in ("receipt", "events"))
        receipt.write_bytes(answer.content)
        events.write_bytes(self.raw_log(policy, id_))
        said = _said(audit_app, ["verify", "--receipt", str(receipt), "--events", str(events)])
        assert "NOT" not in said, said
        body = answer.json()["receipt"]
        assert isinstance(body, dict)
        assert (body["owner"], body["policy"]) == (policy, policy)
        return body

    def verify(self) -> str:
        """``headgate audit verify`` of the store, with all logs that are still there."""
        store = self.gateway.directory / "headgate.db"
        return _said(audit_app, ["verify", "--store", str(store), "--logs"])

    def kept(self) -> bytes:
        """Every byte on disk."""
        return b"".join(path.read_bytes() for path in sorted(self.gateway.directory.glob("headgate.db*")))


@contextmanager
def opened(kind: type[GatewayProcess], desk: Desk, directory: Path) -> Iterator[House]:
    """A house of one's own."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "guards.py").write_text(GUARDS, "utf-8")
    receiver = Receiver()
    simulator = desk.run(Simulator.start())
    try:
        with kind.start(configured(simulator.url, receiver.url), directory=directory) as gateway:
            yield House(gateway, simulator, receiver)
            assert gateway.running, f"it died:\n{gateway.logs()[-4000:]}"
    finally:
        desk.run(simulator.close())
        receiver.close()


def _said(app: Any, arguments: Any, environment: dict[str, str] | None = None) -> str:
    result = CliRunner().invoke(app, list(arguments), env=environment)
    assert result.exit_code == 0, result.output
    return str(result.stdout)
