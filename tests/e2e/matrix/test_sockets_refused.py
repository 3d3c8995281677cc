"""What a WebSocket refuses: handshakes with a status, messages with an error, and it stays open after those."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidStatus

from headgate.api.lanes import LANES_MAX, WAITING_MAX
from tests.e2e.conftest import ORIGIN
from tests.e2e.harness import GatewayProcess
from tests.e2e.matrix.conftest import configured
from tests.e2e.matrix.sockets import heard, say, session, until_end
from tests.e2e.matrix.words import PROMPT
from tests.e2e.sdk.asking import key_hash

KEY = "hg-key-of-a"


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("no json", "invalid_json", None),
        ("[1]", "invalid_request", None),
        ("{}", "invalid_request", "type"),
        ('{"type": "response.explode"}', "invalid_request", "type"),
        ('{"type": "response.create", "model": "nobody-has-this", "input": "x"}', "model_not_found", "model"),
        ('{"type": "response.create", "model": "gemini/sim", "input": 7}', "invalid_request", "input"),
        ('{"type": "response.create", "model": "gemini/sim", "dialect": "klingon"}', "invalid_request", "dialect"),
        ('{"type": "response.create", "model": 7, "input": "x"}', "invalid_request", "model"),
        ('{"type": "response.create", "dialect": "gemini", "model": "gemini/sim"}', "invalid_request", None),
        ('{"type": "response.follow", "response_id": "resp_0"}', "not_found", None),
        ('{"type": "response.follow", "response_id": 7}', "invalid_request", "response_id"),
        ('{"type": "response.cancel", "response_id": "resp_0"}', "not_found", None),
        ('{"type": "response.cancel"}', "not_found", None),
    ],
)
def test_message_that_cannot_be_served_is_refused_and_the_connection_stays(
    crossing: GatewayProcess, message: str, code: str, param: str | None
) -> None:
    with session(crossing) as connection:
        connection.send(message)
        refused = heard(connection)
        assert refused["type"] == "error"
        assert refused["error"]["code"] == code
        assert refused["status"] in (400, 404)
        assert refused["error"]["message"]
        if param:
            assert refused["error"]["param"] == param
        say(connection, type="response.create", model="gemini/sim-fast-t3", input=PROMPT)
        assert until_end(connection)[-1]["type"] == "response.completed"


def test_connection_has_so_many_lanes_and_so_many_requests_may_wait(crossing: GatewayProcess) -> None:
    endless = {"type": "response.create", "model": "openai-chat/sim-t9000-r5-f0", "input": PROMPT}
    with session(crossing) as connection:
        for number in range(LANES_MAX + 1):
            say(connection, **endless, stream_id=f"lane {number}")
        refused = next(message for message in iter(lambda: heard(connection), None) if message["type"] == "error")
        assert (refused["status"], refused["error"]["code"]) == (503, "overloaded")
        assert refused["stream_id"] == f"lane {LANES_MAX}"
        for _ in range(WAITING_MAX + 1):
            say(connection, **endless, stream_id="lane 0")
        refused = next(message for message in iter(lambda: heard(connection), None) if message["type"] == "error")
        assert (refused["error"]["code"], refused["stream_id"]) == ("overloaded", "lane 0")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway with a key and one origin."""
    keys = f'[[keys]]\nname = "a"\nhash = "{key_hash(KEY)}"\n'
    text = configured(keys=keys, server=f'cors_origins = ["{ORIGIN}"]')
    with GatewayProcess.start(text, directory=tmp_path_factory.mktemp("guarded")) as gateway:
        yield gateway


def test_handshake_is_refused_with_a_status_that_says_why(guarded: GatewayProcess) -> None:
    good = {"Authorization": f"Bearer {KEY}"}
    for path, headers, origin, status, code in (
        ("/v1/responses", {}, None, 401, "unauthorized"),
        ("/v1/responses", {"Authorization": "Bearer wrong"}, None, 401, "unauthorized"),
        ("/v1/responses", good, "https://evil.example", 403, "forbidden_origin"),
        ("/v1/responses/resp_0/events", good, "null", 403, "forbidden_origin"),
        ("/v1/responses/resp_0/events", good, None, 404, "not_found"),
        ("/v1/nothing", good, None, 404, "not_found"),
    ):
        with (
            pytest.raises(InvalidStatus) as refused,
            session(guarded, path, additional_headers=headers, origin=origin),
        ):
            pass
        answer = refused.value.response
        assert answer.status_code == status, path
        body = json.loads(answer.body or b"")
        assert body.get("code", body.get("error", {}).get("code")) == code
        assert KEY.encode() not in (answer.body or b"")


@pytest.mark.parametrize("origin", ["http://[x", "null", "http://", "https://evil.example"])
def test_origin_that_is_none_or_anothers_is_forbidden(crossing: GatewayProcess, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused, session(crossing, additional_headers={"Origin": origin}):
        pass
    assert refused.value.response.status_code == 403


def test_page_of_an_allowed_origin_may_connect(guarded: GatewayProcess) -> None:
    for header in ({"Authorization": f"Bearer {KEY}"}, {"x-api-key": KEY}):
        with session(guarded, additional_headers=header, origin=ORIGIN) as connection:
            say(connection, type="response.create", model="gemini/sim-fast-t3", input=PROMPT)
            assert until_end(connection)[-1]["type"] == "response.completed"


def test_response_of_another_owner_cannot_be_followed_or_cancelled(guarded: GatewayProcess) -> None:
    with session(guarded, additional_headers={"x-api-key": KEY}) as connection:
        for kind in ("response.follow", "response.cancel"):
            say(connection, type=kind, response_id="resp_" + "0" * 32)
            assert heard(connection)["error"]["code"] == "not_found"
