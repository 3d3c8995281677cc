"""Which path is answered how, on real sockets: every dialect, the lists of models, and errors the client understands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.simulator import NAMES, Dialect, Simulator, SimulatorConfig, Stats
from headgate.simulator.gemini.request import GeminiRequest, GenerationConfig
from headgate.simulator.messages.request import MessagesRequest
from headgate.simulator.registry import TABLE, rows
from headgate.simulator.responses.request import ResponsesRequest
from headgate.simulator.routes import Request, answer
from tests.simulator.asking import play
from tests.simulator.sockets import connected, receive, request, serve
from tests.simulator.speaking import asked, played

each_dialect = pytest.mark.parametrize("dialect", Dialect)
ANTHROPIC = "anthropic-version: 2023-06-01"
GOOGLE = "x-goog-api-key: any"


@each_dialect
@pytest.mark.parametrize("fault", ["", "+split-utf8", "+close@5", "+error@5"])
@pytest.mark.parametrize("stream", [True, False])
def test_socket_gets_what_the_script_says(dialect: Dialect, fault: str, stream: bool) -> None:
    model = f"sim-fast-unicode-t20{fault}"
    script, sent = played(dialect, model, stream=stream), asked(dialect, model, stream=stream)

    async def test(simulator: Simulator) -> None:
        async with connected(simulator) as (reader, writer):
            writer.write(request(sent.body, path=sent.target))
            received = await receive(reader)
            assert received.body == script.body
            assert received.headers.items() >= script.headers.items()
            assert (simulator.stats.requests, simulator.stats.tokens) == (1, script.tokens)

    serve(test)


@each_dialect
def test_header_steers_every_dialect(dialect: Dialect) -> None:
    transcript = played(dialect, "sim", simulate="r0,t3,f0,429@3")
    assert transcript.headers["retry-after"] == "3"


@pytest.mark.parametrize(
    ("method", "path", "header", "status", "holds"),
    [
        ("GET", "/v1/models", "", 200, '"object":"list"'),
        ("GET", "/v1/models", ANTHROPIC, 200, '"has_more":false'),
        ("GET", "/v1/models", GOOGLE, 200, '"models":[{"name":"models/sim"'),
        ("GET", "/v1/models/sim-t3", ANTHROPIC, 200, '"type":"model"'),
        ("GET", "/v1/models/gpt-5", ANTHROPIC, 404, '"type":"not_found_error"'),
        ("GET", "/v1beta/models", "", 200, '"supportedGenerationMethods"'),
        ("GET", "/v1beta/models/flaky", "", 200, '"name":"models/flaky"'),
        ("GET", "/v1beta/models/gpt-5", "", 404, '"status":"NOT_FOUND"'),
        ("GET", "/v1beta/nothing", "", 404, '"status":"NOT_FOUND"'),
        ("GET", "/v1/nothing", ANTHROPIC, 404, '"type":"not_found_error"'),
        ("GET", "/v1/messages", "", 405, '"type":"invalid_request_error"'),
        ("GET", "/v1/messages/count_tokens", "", 405, '"request_id"'),
        ("GET", "/v1/responses", "", 405, '"code":"method_not_allowed"'),
        ("GET", "/v1beta/models/sim:generateContent", "", 405, '"status":"UNIMPLEMENTED"'),
        ("POST", "/v1/messages", "", 400, '"type":"error"'),
        ("POST", "/v1/responses", "", 400, '"code":"invalid_json"'),
        ("GET", "/v1/responses/compact", "", 405, '"code":"method_not_allowed"'),
        ("POST", "/v1/responses/compact", "", 400, '"code":"invalid_json"'),
        ("POST", "/v1beta/models/sim:generateContent", "", 400, '{"error":{"code":400'),
        ("POST", "/v1beta/models/sim:streamGenerateContent", "", 400, '[{"error":{"code":400'),
        ("POST", "/v1beta/models/sim:streamGenerateContent?alt=sse", "", 400, '{"error":{"code":400'),
    ],
)
def test_paths(method: str, path: str, header: str, status: int, holds: str) -> None:
    async def test(simulator: Simulator) -> None:
        async with connected(simulator) as (reader, writer):
            sent = request(b"", method=method, path=path)
            writer.write(sent.replace(b"\r\n", f"\r\n{header}\r\n".encode(), 1) if header else sent)
            received = await receive(reader)
            assert received.status == status
            assert holds in received.body.decode()
            assert received.body[:1] == holds[:1].encode() or holds.startswith('"')
            assert received.complete
            assert simulator.stats.requests == (method == "POST" and status == 400)

    serve(test, SimulatorConfig(models={"flaky": "sim+cut@3"}))


def test_configured_names_are_listed_and_played_in_every_dialect() -> None:
    config = SimulatorConfig(rate=0, ttft_ms=0, models={"tiny": "sim-t2"})
    for dialect in Dialect:
        assert play(answer(asked(dialect, "tiny"), config, Stats())).tokens == 2
    for path in ("/v1/models", "/v1beta/models"):
        listed = play(answer(Request("GET", path, "", b""), config, Stats())).body.decode()
        assert all(name in listed for name in (*NAMES, "tiny"))


def test_base_urls_are_what_the_sdks_take() -> None:
    async def test(simulator: Simulator) -> None:
        assert simulator.base_url(Dialect.CHAT) == simulator.base_url("openai-responses") == simulator.url
        assert simulator.base_url(Dialect.MESSAGES) == simulator.base_url("gemini") == simulator.root
        assert simulator.url == simulator.root + "/v1"

    serve(test)


def test_documentation_has_a_row_for_every_fault_in_every_dialect_that_has_it() -> None:
    told = [(row.name.partition("@")[0], dialect) for row in rows() for dialect in row.dialects]
    assert sorted(told) == sorted((str(name), dialect) for name, spec in TABLE.items() for dialect in spec.dialects)


ODD = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=4), inner, max_size=2)),
    max_leaves=4,
)
FIELDS = {
    Dialect.RESPONSES: ResponsesRequest.__struct_encode_fields__,
    Dialect.MESSAGES: MessagesRequest.__struct_encode_fields__,
    Dialect.GEMINI: (*GeminiRequest.__struct_encode_fields__, *GenerationConfig.__struct_encode_fields__),
}


@pytest.mark.parametrize("dialect", FIELDS)
@given(data=st.data())
def test_odd_requests_are_answered_or_refused_and_nothing_else(dialect: Dialect, data: st.DataObject) -> None:
    fields = st.dictionaries(st.sampled_from(sorted(FIELDS[dialect])), ODD, max_size=3)
    sent = asked(dialect, "sim-fast-t3")
    body: dict[str, Any] = {**json.loads(sent.body), **data.draw(fields)}
    if dialect is Dialect.GEMINI and data.draw(st.booleans()):
        body["generationConfig"] = data.draw(fields)
    odd = Request("POST", sent.target, "", json.dumps(body).encode())
    head = play(answer(odd, SimulatorConfig(rate=0, ttft_ms=0), Stats())).head
    assert head is not None
    assert head.status in (200, 400, 404)
