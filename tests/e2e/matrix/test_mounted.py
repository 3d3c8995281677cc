"""A share of the matrix inside somebody else's application, whose middleware the frames go through."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e.harness import GatewayProcess
from tests.e2e.matrix.desk import Desk
from tests.e2e.matrix.outcomes import complaint, outcome
from tests.e2e.matrix.raw import create, events, lines_of
from tests.e2e.matrix.seen import DIALECTS, Job
from tests.e2e.matrix.sockets import heard, say, session, until_end
from tests.e2e.matrix.words import PROMPT, Ask, results, said
from tests.e2e.sdk.asking import without_comments

FAULTS = ("", "429", "500", "400", "cut", "eof", "garbage", "error", "no-finish", "length", "content-filter", "no-done")
each_client = pytest.mark.parametrize("client", DIALECTS)


@each_client
def test_faults_end_as_the_oracle_says(
    desk: Desk, crossing_mounted: GatewayProcess, language: str, client: str
) -> None:
    asked = [
        (provider, fault, stream) for provider in DIALECTS for fault in FAULTS if fault for stream in (True, False)
    ]
    jobs = [
        Job(f"{language} {client}", f"{p}/sim-fast-t40+{fault}", said(client, Ask(), stream=stream), stream=stream)
        for p, fault, stream in asked
    ]
    wrong = {}
    for (p, fault, stream), job, seen in zip(asked, jobs, desk.ask(crossing_mounted.url, jobs), strict=True):
        if found := complaint(job, seen, outcome(p, fault, stream=stream, client=client)):
            wrong[str(job)] = found
    assert not wrong


@each_client
def test_tools_are_called_and_answered(
    desk: Desk, crossing_mounted: GatewayProcess, language: str, client: str
) -> None:
    jobs = [
        Job(
            f"{language} {client}",
            f"{p}/sim-fast-parallel",
            said(client, Ask(tools=True), stream=stream),
            stream=stream,
        )
        for p in DIALECTS
        for stream in (True, False)
    ]
    first = desk.ask(crossing_mounted.url, jobs)
    assert [[call.name for call in seen.calls] for seen in first] == [["open_gate", "close_gate"]] * len(jobs)
    again = [
        Job(
            job.client,
            job.model,
            said(client, Ask(tools=True, turns=results(client, seen)), stream=job.stream),
            job.stream,
        )
        for job, seen in zip(jobs, first, strict=True)
    ]
    for seen in desk.ask(crossing_mounted.url, again):
        assert (seen.error, seen.calls) == (None, [])
        assert seen.text


@each_client
def test_stream_is_resumed_and_read_as_lines(crossing_mounted: GatewayProcess, client: str) -> None:
    with httpx.Client(base_url=crossing_mounted.url, timeout=30) as http:
        answer = create(http, client, "gemini/sim-fast-unicode-t40", Ask()).raise_for_status()
        id_, uncut = answer.headers["headgate-response-id"], without_comments(answer.content)
        whole = events(http, id_, client)
        assert whole == uncut
        for count in range(uncut.count(b"\n\n")):
            kept = b"".join(frame + b"\n\n" for frame in uncut.split(b"\n\n")[:count])
            assert kept + events(http, id_, client, after_frames=count) == uncut
        assert len(lines_of(events(http, id_, client, format="ndjson"))) == uncut.count(b"data: ")


def test_websocket_works_through_the_other_applications_server(crossing_mounted: GatewayProcess) -> None:
    with session(crossing_mounted) as connection:
        say(connection, type="response.create", model="openai-chat/sim-t20000-r50-f0", input=PROMPT, stream_id="a")
        id_ = heard(connection)["response"]["id"]
        say(connection, type="response.cancel", response_id=id_)
        assert until_end(connection, "a")[-1]["type"] == "response.failed"
        say(connection, type="response.create", model="gemini/sim-fast-t5", input=PROMPT)
        assert until_end(connection)[-1]["type"] == "response.completed"
    with session(crossing_mounted, f"/v1/responses/{id_}/events?dialect=anthropic-messages") as connection:
        assert '"type":"error"' in list(connection)[-1]
