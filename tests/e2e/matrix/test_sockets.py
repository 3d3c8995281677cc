"""WebSocket: responses in lanes, followed and cancelled; with the ``websockets`` library and the official SDKs."""

from __future__ import annotations

import json

import httpx
import pytest
from openai import OpenAI

from tests.e2e.harness import GatewayProcess, until
from tests.e2e.matrix.desk import Desk
from tests.e2e.matrix.raw import create, events, messages_of
from tests.e2e.matrix.seen import DIALECTS, Job
from tests.e2e.matrix.sockets import ENDS, heard, say, session, until_end
from tests.e2e.matrix.words import PROMPT, Ask, said

each_provider = pytest.mark.parametrize("provider", DIALECTS)


@each_provider
def test_answer_over_a_websocket_is_the_stream_in_messages(
    crossing: GatewayProcess, plain: httpx.Client, provider: str
) -> None:
    with session(crossing) as connection:
        for _ in range(2):  # one connection, one answer after the other
            say(connection, type="response.create", model=f"{provider}/sim-fast-unicode-t40", input=PROMPT)
            messages = until_end(connection)
            id_ = messages[0]["response"]["id"]
            assert messages == [
                json.loads(line)
                for line in messages_of(events(plain, id_, "openai-responses", format="ndjson"), "openai-responses")
            ]
            assert messages[-1]["type"] == "response.completed"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_answer_can_be_had_in_another_dialect(crossing: GatewayProcess, plain: httpx.Client, dialect: str) -> None:
    body = said(dialect, Ask(), stream=True)
    body.pop("config", None)
    with session(crossing) as connection:
        model = f"{dialect}/sim-fast-t10"
        body = body if dialect == "gemini" else {**body, "model": model}
        say(connection, type="response.create", dialect=dialect, body=body, model=model, stream_id="a")
        created = heard(connection)
        assert created["type"] == "headgate.created"
        lines = events(plain, created["response_id"], dialect, format="ndjson")  # it can be found once it has a name
        for one in map(json.loads, messages_of(lines, dialect)):
            message = heard(connection)
            if not isinstance(one, dict):
                assert message == {"data": one, "stream_id": "a"}
            else:
                assert message == {**one, "stream_id": "a"}


def test_lanes_run_side_by_side_and_each_in_order(crossing: GatewayProcess) -> None:
    """What is sent while an answer runs in the same lane waits; another lane does not."""
    with session(crossing) as connection:
        say(connection, type="response.create", model="openai-chat/sim-t60-r60-f0", input=PROMPT, stream_id="slow")
        assert heard(connection)["type"] == "response.created"
        say(connection, type="response.create", model="gemini/sim-fast-t3", input=PROMPT, stream_id="slow")
        say(connection, type="response.create", model="gemini/sim-fast-t4", input=PROMPT, stream_id="quick")
        ends: list[tuple[str, str]] = []
        begins: list[str] = []
        while len(ends) < 3:
            message = heard(connection)
            if message["type"] == "response.created":
                begins.append(message["stream_id"])
            if message["type"] in ENDS:
                ends.append((message["stream_id"], message["response"]["model"]))
        assert begins == ["quick", "slow"]
        assert [lane for lane, _ in ends] == ["quick", "slow", "slow"]


def test_running_answer_is_cancelled_at_once_and_the_next_one_begins(crossing: GatewayProcess) -> None:
    with session(crossing) as connection:
        say(connection, type="response.create", model="anthropic-messages/sim-t20000-r50-f0", input=PROMPT)
        id_ = heard(connection)["response"]["id"]
        say(connection, type="response.create", model="gemini/sim-fast-t3", input=PROMPT)
        say(connection, type="response.cancel", response_id=id_)
        first = until_end(connection)
        assert first[-1]["type"] == "response.failed"
        assert first[-1]["response"]["id"] == id_
        second = until_end(connection)
        assert second[-1]["type"] == "response.completed"
        say(connection, type="response.cancel", response_id=second[-1]["response"]["id"])  # too late, and no harm
        say(connection, type="response.create", model="gemini/sim-fast-t3", input=PROMPT, stream_id="b")
        assert until_end(connection, "b")[-1]["type"] == "response.completed"


@pytest.mark.parametrize("dialect", [*DIALECTS, "headgate"])
def test_response_is_followed_from_a_cursor(crossing: GatewayProcess, plain: httpx.Client, dialect: str) -> None:
    answer = create(plain, "openai-chat", "gemini/sim-fast-t10", Ask())
    id_ = answer.headers["headgate-response-id"]
    for query in ("", "&after_frames=1") if dialect == "gemini" else ("", "&after=5"):
        cursor = dict([query[1:].split("=")] if query else [])
        lines = messages_of(events(plain, id_, dialect, format="ndjson", **cursor), dialect)
        with session(crossing, f"/v1/responses/{id_}/events?dialect={dialect}{query}") as connection:
            assert list(connection) == lines
            assert connection.close_code == 1000
        with session(crossing) as connection:
            numbers = {name: int(value) for name, value in cursor.items()}
            say(connection, type="response.follow", response_id=id_, dialect=dialect, **numbers)
            assert [connection.recv(timeout=20) for _ in lines] == lines


def test_response_is_followed_while_it_runs(crossing: GatewayProcess, plain: httpx.Client) -> None:
    with session(crossing) as creator:
        say(creator, type="response.create", model="gemini/sim-t30-r60-f0", input=PROMPT)
        id_ = heard(creator)["response"]["id"]
        with session(crossing, f"/v1/responses/{id_}/events?dialect=openai-responses") as follower:
            messages = [json.loads(message) for message in follower]
        assert messages[0]["type"] == "response.created"
        assert messages[1:] == until_end(creator)


def test_provider_is_left_when_the_connection_closes(crossing: GatewayProcess, plain: httpx.Client) -> None:
    with session(crossing) as connection:
        say(connection, type="response.create", model="gemini/sim-t20000-r50-f0", input=PROMPT)
        id_ = heard(connection)["response"]["id"]
    until(lambda: plain.get(f"/v1/responses/{id_}").json()["status"] != "in_progress")
    assert plain.get(f"/v1/responses/{id_}").json()["headgate"]["terminal"]["code"] == "disconnected"


def test_response_in_the_background_goes_on_when_the_connection_closes(
    crossing: GatewayProcess, plain: httpx.Client
) -> None:
    with session(crossing) as connection:
        say(connection, type="response.create", model="gemini/sim-t30-r60-f0", input=PROMPT, background=True)
        id_ = heard(connection)["response"]["id"]
    until(lambda: plain.get(f"/v1/responses/{id_}").json()["status"] != "in_progress")
    assert plain.get(f"/v1/responses/{id_}").json()["status"] == "completed"


def test_bytes_are_messages_too(crossing: GatewayProcess) -> None:
    with session(crossing) as connection:
        connection.send(
            json.dumps({"type": "response.create", "model": "gemini/sim-fast-t3", "input": PROMPT}).encode()
        )
        assert until_end(connection)[-1]["type"] == "response.completed"


@pytest.mark.filterwarnings("ignore:connect:DeprecationWarning")  # the SDK's own use of `websockets`
@each_provider
def test_sdk_connects_creates_and_cancels(crossing: GatewayProcess, provider: str) -> None:
    with OpenAI(base_url=crossing.url + "/v1", api_key="none", max_retries=0) as sdk, sdk.responses.connect() as socket:
        socket.response.create(model=f"{provider}/sim-fast-t12", input=PROMPT)
        text = ""
        for event in socket:
            text += event.delta if event.type == "response.output_text.delta" else ""
            if event.type == "response.completed":
                assert event.response.output_text == text
                break
        assert text


@each_provider
def test_sdk_of_javascript_gets_an_answer(desk: Desk, crossing: GatewayProcess, npm: None, provider: str) -> None:
    job = Job("node openai-responses", f"{provider}/sim-fast-t12", said("openai-responses", Ask()), act="socket")
    whole = Job("node openai-responses", f"{provider}/sim-fast-t12", said("openai-responses", Ask()))
    seen, expected = desk.ask(crossing.url, [job, whole])
    assert (seen.error, seen.finish, seen.text) == (None, "completed", expected.text)
