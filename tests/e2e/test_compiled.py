"""Compiled modules change how fast the gateway is, and nothing else: two of them, one of which interprets everything.

Both are asked the same, and both have a simulator that says the same bytes to the same request; so what they answer, and
what they keep, may differ in ids and times only.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests import needs
from tests.e2e.harness import GatewayProcess, config
from tests.e2e.matrix import raw
from tests.e2e.matrix.seen import DIALECTS
from tests.e2e.matrix.words import Ask, said
from tests.e2e.sdk.asking import without_comments
from tests.soak import soaking

pytestmark = needs.compiled

TEXT: Final = "Write to ada.lovelace@example.org, or call +44 20 7946 0958; not before 10:45. 写信给 eva@例え.jp!"
"""Two addresses and a number that the default policy masks, and much that looks like more."""
SAYING: Final = Ask(prompt="base64:" + b64encode(TEXT.encode()).decode())
SHAPES: Final = {
    "masked": ("sim-fast-echo", SAYING),
    "masked at every byte": ("sim-fast-echo+drip", SAYING),
    "text": ("sim-fast-unicode-t40", Ask(system=True, tokens_max=4096)),
    "reasoning and tools": ("sim-fast-reasoning-parallel", Ask(tools=True)),
    "json": ("sim-fast-json", Ask(schema=True)),
    "refusal": ("sim-fast-refusal", Ask()),
    "truncated": ("sim-fast-t9+length", Ask()),
    "unknown": ("sim-fast-t9+unknown@2+extra-fields+pings", Ask()),
    "noise": ("sim-fast-t9+noise@3+split-utf8", Ask()),
    "cut": ("sim-fast-t9+cut@5", Ask()),
    "failed": ("sim-fast-t9+error@5", Ask()),
    "garbage": ("sim-fast-t9+garbage@5", Ask()),
    "refused by the provider": ("sim-fast+429@7", Ask()),
    "no such model": ("nobody-has-this", Ask()),
}
POLICIES: Final = ("default", "none")
WRONG: Final[tuple[Any, ...]] = (None, True, -1, 1.5, 10**30, "", "x", [], [None], {}, {"type": "x"})
"""What may stand in place of anything in a request."""

_VARYING: Final = re.compile(rb'[0-9a-f]{32}|"(?:created|createTime|\w+_at|config_version)":("[^"]*"|\d+)')
"""Ids and times, and the version of the settings, which hold the port."""
_HEADERS_VARYING: Final = {"date", "content-length"}


class CompiledProcess(GatewayProcess):
    """A gateway as an installation has it, whatever the environment of the tests says."""

    def _environment(self) -> dict[str, str]:
        return {name: value for name, value in super()._environment().items() if name != "HEADGATE_COMPILED"}


class InterpretedProcess(GatewayProcess):
    """The same gateway without its compiled modules."""

    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), "HEADGATE_COMPILED": "0"}


class Pair:
    """The two gateways."""

    def __init__(self, compiled: GatewayProcess, interpreted: GatewayProcess) -> None:
        self.gateways = (compiled, interpreted)
        self._https = [httpx.Client(base_url=gateway.url, timeout=60) for gateway in self.gateways]

    def ask(self, path: str, body: Any) -> list[httpx.Response]:
        return [http.post(path, json=body) for http in self._https]

    def logs(self, answers: list[httpx.Response]) -> list[bytes]:
        """What was kept of two answers."""
        ids = [answer.headers["headgate-response-id"] for answer in answers]
        return [raw.events(http, id_, "headgate") for http, id_ in zip(self._https, ids, strict=True)]

    def close(self) -> None:
        for http in self._https:
            http.close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Requests for ``<policy>-<dialect>/<model>`` lead to a provider of that dialect under that policy."""
    names = [(f"{policy}-{dialect}", policy, dialect) for policy in POLICIES for dialect in DIALECTS]
    text = config(
        providers="".join(
            f'[[providers]]\nname = "{name}"\ndialect = "{dialect}"\nbase_url = "simulator:"\n'
            for name, _, dialect in names
        ),
        routes="".join(
            f'[[routes]]\nmodel = "{name}/*"\nto = ["{name}/*"]\npolicy = "{policy}"\n' for name, policy, _ in names
        ),
    )
    folder = tmp_path_factory.mktemp("modes")
    with (
        CompiledProcess.start(text, directory=folder / "compiled") as compiled,
        InterpretedProcess.start(text, directory=folder / "interpreted") as interpreted,
    ):
        made = Pair(compiled, interpreted)
        yield made
        made.close()
        for gateway in made.gateways:
            assert gateway.running, f"it died:\n{gateway.logs()[-4000:]}"
            assert "Traceback" not in gateway.logs()
            assert "fault in the gateway" not in gateway.logs()


def request(client: str, model: str, ask: Ask, *, stream: bool) -> tuple[str, dict[str, Any]]:
    """Path and body of the dialect's own request."""
    path, body = raw.request(client, model, ask)
    if not stream and client == "gemini":
        path = path.replace(":streamGenerateContent?alt=sse", ":generateContent")
    elif not stream:
        body = {**said(client, ask), "model": model, "stream": False}
    return path, body


def providers(client: str) -> tuple[str, ...]:
    """The client's own dialect and the next one; in a soak all of them."""
    return DIALECTS if soaking() else (client, DIALECTS[DIALECTS.index(client) - 1])


def alike(answer: httpx.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    """An answer without what differs between any two."""
    headers = [
        (name, _VARYING.sub(b"", value.encode()).decode())
        for name, value in sorted(answer.headers.items())
        if name not in _HEADERS_VARYING
    ]
    return answer.status_code, headers, _VARYING.sub(b"", without_comments(answer.content))


def test_one_of_the_two_is_compiled_and_the_other_is_not(pair: Pair) -> None:
    mapped = [Path(f"/proc/{gateway.pid}/maps").read_text("utf-8") for gateway in pair.gateways]
    assert ["headgate__mypyc" in maps for maps in mapped] == [True, False]


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_answers_and_logs_are_the_same_compiled_and_interpreted(
    pair: Pair, shape: str, client: str, stream: bool
) -> None:
    model, ask = SHAPES[shape]
    for policy in POLICIES:
        for provider in providers(client):
            answers = pair.ask(*request(client, f"{policy}-{provider}/{model}", ask, stream=stream))
            compiled, interpreted = map(alike, answers)
            assert compiled == interpreted
            assert compiled[0] < 500 or shape in {"cut", "failed", "garbage"}, answers[0].text
            if "headgate-response-id" in answers[0].headers:
                logs = [_VARYING.sub(b"", log) for log in pair.logs(answers)]
                assert logs[0] == logs[1]
                assert logs[0].count(b"\n") > 2
            if shape.startswith("masked"):
                assert (b"[email]" in answers[0].content) == (policy == "default")


@pytest.mark.parametrize("client", DIALECTS)
def test_requests_with_anything_in_any_place_are_answered_the_same(pair: Pair, client: str) -> None:
    path, body = request(client, f"none-{client}/sim-fast-t3", Ask(system=True, tools=True), stream=False)
    changed = list(variants(body))
    seen = set()
    for variant in changed[:: 1 if soaking() else 3]:
        compiled, interpreted = map(alike, pair.ask(path, variant))
        assert compiled == interpreted, variant
        seen.add(compiled[0])
    assert seen >= {200, 400}
    assert seen.isdisjoint(range(500, 600)), seen


def variants(value: Any) -> Iterator[Any]:
    """A value with every part of it replaced by what it is not."""
    yield from WRONG
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        for other in variants(part):
            copy = json.loads(json.dumps(value))
            copy[key] = other
            yield copy
