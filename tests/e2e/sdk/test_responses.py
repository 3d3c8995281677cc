"""A response after its creation: the object, the log in every form, and resuming from every cursor (PROTOCOL.md section 6)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.e2e.conftest import KINDS, configured
from tests.e2e.harness import GatewayProcess, until
from tests.e2e.sdk.asking import MESSAGES, TEXT, TOOLS, Frame, body, frames, post, response_id, without_comments

FORMS = ("headgate", "ndjson", "openai-chat")
QUERY: dict[str, dict[str, Any]] = {
    "headgate": {},
    "ndjson": {"format": "ndjson"},
    "openai-chat": {"dialect": "openai-chat"},
}
SHAPES: dict[str, dict[str, Any]] = {
    "text": {"model": TEXT},
    "choices": {"model": "sim-fast-t6", "n": 2, "logprobs": True},
    "tools": {"model": "sim-fast-tools", "tools": TOOLS, "parallel_tool_calls": True},
    "cut": {"model": TEXT + "+cut@9"},
    "whole": {"model": "whole/" + TEXT},
}


def events(http: httpx.Client, id_: str, *, headers: dict[str, str] | None = None, **query: Any) -> httpx.Response:
    return http.get(f"/v1/responses/{id_}/events", params=query, headers=headers)


def last_seq(http: httpx.Client, id_: str) -> int:
    value = http.get(f"/v1/responses/{id_}").json()["headgate"]["seq"]
    assert isinstance(value, int)
    return value


@pytest.fixture(scope="module", params=list(SHAPES))
def created(request: pytest.FixtureRequest, http: httpx.Client) -> httpx.Response:
    """A streamed answer that has ended."""
    return post(http, stream=True, stream_options={"include_usage": True}, **SHAPES[request.param])


@pytest.fixture(scope="module")
def plain(http: httpx.Client) -> str:
    """The id of an ordinary response that has ended."""
    return response_id(post(http, TEXT, stream=True))


# the object


def test_sdk_retrieves_the_object_of_a_response(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model=TEXT, messages=MESSAGES)
    shown = client.responses.retrieve(raw.headers["headgate-response-id"])
    answer = raw.parse()
    assert shown.id == raw.headers["headgate-response-id"]
    assert shown.object == "response"
    assert shown.status == "completed"
    assert shown.output_text == answer.choices[0].message.content
    assert shown.created_at == answer.created
    assert shown.usage is not None
    assert answer.usage is not None
    assert shown.usage.output_tokens == answer.usage.completion_tokens
    assert shown.usage.total_tokens == answer.usage.total_tokens


def test_sdk_retrieves_tool_calls_and_refusals(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="sim-fast-tools", messages=MESSAGES, tools=TOOLS)
    (call,) = raw.parse().choices[0].message.tool_calls or []
    (item,) = client.responses.retrieve(raw.headers["headgate-response-id"]).output
    assert item.type == "function_call"
    assert call.type == "function"
    assert (item.call_id, item.name, item.arguments) == (call.id, call.function.name, call.function.arguments)

    raw = client.chat.completions.with_raw_response.create(model="sim-fast-refusal", messages=MESSAGES)
    (message,) = client.responses.retrieve(raw.headers["headgate-response-id"]).output
    assert message.type == "message"
    assert message.content[0].type == "refusal"


@pytest.mark.parametrize(
    ("model", "status", "terminal", "reason"),
    [
        ("sim-fast-t5", "completed", "completed", None),
        ("sim-fast-t5+length", "incomplete", "truncated", "max_output_tokens"),
        ("sim-fast-t5+content-filter", "incomplete", "filtered", "content_filter"),
        ("sim-fast-refusal", "completed", "refused", None),
        ("sim-fast-t5+cut@2", "failed", "failed", None),
    ],
)
def test_object_says_how_the_response_ended(
    http: httpx.Client, model: str, status: str, terminal: str, reason: str | None
) -> None:
    shown = http.get(f"/v1/responses/{response_id(post(http, model, stream=True))}").json()
    assert shown["status"] == status
    assert shown["headgate"]["terminal"]["status"] == terminal
    assert (shown["incomplete_details"] or {}).get("reason") == reason
    assert (shown["error"] is None) == (status != "failed")
    assert shown["headgate"]["sha256"]
    assert shown["headgate"]["requested_model"] == model


def test_object_of_a_running_response_grows_until_it_has_ended(http: httpx.Client) -> None:
    with http.stream("POST", "/v1/chat/completions", json=body("sim-t60-r100-f0", stream=True)) as answer:
        id_ = response_id(answer)
        lengths = []
        while (shown := http.get(f"/v1/responses/{id_}").json())["status"] == "in_progress":
            assert shown["headgate"]["terminal"] is None
            lengths.append(len(shown["output"][0]["content"][0]["text"]) if shown["output"] else 0)
        answer.read()
    assert lengths == sorted(lengths)
    assert lengths[-1] > lengths[0]
    assert shown["status"] == "completed"


def test_sdk_cancels_a_running_response(client: OpenAI, http: httpx.Client) -> None:
    raw = client.chat.completions.with_raw_response.create(model="sim-t5000-r50-f0", messages=MESSAGES, stream=True)
    id_ = raw.headers["headgate-response-id"]
    stream = iter(raw.parse())
    next(stream)
    assert client.responses.cancel(id_).status == "cancelled"
    with pytest.raises(openai.APIError) as cut:
        list(stream)
    assert cut.value.code == "cancelled"
    assert client.responses.cancel(id_).status == "cancelled"
    assert http.get(f"/v1/responses/{id_}").json()["headgate"]["terminal"]["status"] == "cancelled"


def test_response_that_has_ended_cannot_be_cancelled(client: OpenAI, plain: str) -> None:
    with pytest.raises(openai.ConflictError) as refused:
        client.responses.cancel(plain)
    assert refused.value.code == "already_finished"


# the log


def test_every_form_of_the_log_has_the_same_events(http: httpx.Client, created: httpx.Response) -> None:
    id_ = response_id(created)
    sse = events(http, id_)
    lines = events(http, id_, headers={"accept": "application/x-ndjson"})
    assert sse.headers["content-type"].startswith("text/event-stream")
    assert lines.headers["content-type"] == "application/x-ndjson"
    assert events(http, id_, format="ndjson").content == lines.content
    found = [json.loads(line) for line in lines.text.split("\n") if line]
    assert [frame.json for frame in frames(sse.content)] == found
    assert [event["seq"] for event in found] == list(range(1, len(found) + 1))
    assert [(frame.id, frame.event) for frame in frames(sse.content)] == [
        (str(event["seq"]), event["type"]) for event in found
    ]
    assert found[0]["type"] == "response.started"
    assert [event["type"] for event in found].count("terminal") == 1
    assert found[-1]["type"] == "terminal"


def test_replay_in_the_dialect_of_the_creation_is_the_same_bytes(http: httpx.Client, created: httpx.Response) -> None:
    replay = events(http, response_id(created), dialect="openai-chat")
    assert replay.content == without_comments(created.content)
    assert replay.headers["content-type"] == created.headers["content-type"]


def test_usage_is_in_the_replay_if_it_is_asked_for_there(http: httpx.Client) -> None:
    with_usage = post(http, TEXT, stream=True, stream_options={"include_usage": True})
    without = events(http, response_id(with_usage), dialect="openai-chat", include_usage="false").content
    assert b'"usage"' in with_usage.content
    assert b'"usage"' not in without
    assert without == b"".join(
        part + b"\n\n" for part in with_usage.content.split(b"\n\n")[:-1] if b'"usage"' not in part
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("how", ["Last-Event-ID", "?after"])
def test_resume_from_every_cursor_gives_exactly_the_rest(
    http: httpx.Client, created: httpx.Response, form: str, how: str
) -> None:
    id_ = response_id(created)
    last = last_seq(http, id_)
    complete = events(http, id_, **QUERY[form]).content
    assert complete
    for cursor in range(last + 1):
        headers: dict[str, str] = {"last-event-id": str(cursor)} if how == "Last-Event-ID" else {}
        query: dict[str, Any] = {} if how == "Last-Event-ID" else {"after": cursor}
        rest = events(http, id_, headers=headers, **QUERY[form], **query)
        if cursor == last and how == "Last-Event-ID":
            assert (rest.status_code, rest.content) == (204, b"")
        else:
            assert rest.status_code == 200
            assert rest.content == complete[len(complete) - len(rest.content) :]
            assert _before(complete, rest.content, form) <= cursor < _first_id(rest.content, form, last + 1)


def _ids(data: bytes, form: str) -> list[int]:
    if form == "ndjson":
        return [json.loads(line)["seq"] for line in data.split(b"\n") if line]
    return [int(frame.id) for frame in frames(data) if frame.id]


def _before(complete: bytes, rest: bytes, form: str) -> int:
    """The last id of what comes before the rest."""
    return max(_ids(complete[: len(complete) - len(rest)], form), default=0)


def _first_id(rest: bytes, form: str, default: int) -> int:
    return min(_ids(rest, form), default=default)


def test_the_cursor_in_the_query_wins_over_the_header(http: httpx.Client, plain: str) -> None:
    both = events(http, plain, headers={"last-event-id": "3"}, after=7)
    assert _ids(both.content, "headgate")[0] == 8
    last = last_seq(http, plain)
    at_the_end = events(http, plain, headers={"last-event-id": str(last)}, after=last)
    assert (at_the_end.status_code, at_the_end.content) == (200, b"")
    assert at_the_end.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize(
    "cursor",
    [
        "-1",
        "+1",
        "1.0",
        "1e3",
        "abc",
        "1 2",
        "0x1",
        "9" * 15,
        "9" * 16,
        "1" * 5000,
        "\N{ARABIC-INDIC DIGIT ONE}",
        "\N{SUPERSCRIPT TWO}",
        "1,2",
        "NaN",
    ],
)
def test_cursor_that_is_none_of_the_log_is_refused(http: httpx.Client, plain: str, cursor: str) -> None:
    refused = events(http, plain, after=cursor)
    assert refused.status_code == 400
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "invalid_cursor"
    assert refused.json()["type"] == "urn:headgate:error:invalid_cursor"
    by_header = http.get(
        f"/v1/responses/{plain}/events",
        headers=[(b"last-event-id", cursor.encode())],
    )
    assert by_header.status_code == 400
    assert by_header.json()["code"] == "invalid_cursor"


def test_cursor_right_behind_the_log_is_refused(http: httpx.Client, plain: str) -> None:
    assert events(http, plain, after=last_seq(http, plain) + 1).json()["code"] == "invalid_cursor"


def test_zero_is_the_cursor_of_who_has_nothing(http: httpx.Client, plain: str) -> None:
    assert events(http, plain, after=0).content == events(http, plain).content
    assert events(http, plain, headers={"last-event-id": "0"}).content == events(http, plain).content


@pytest.mark.parametrize(
    ("dialect", "status"), [("openai-responses", 406), ("anthropic-messages", 406), ("gemini", 200)]
)
def test_dialect_that_knows_one_answer_refuses_a_log_of_several(http: httpx.Client, dialect: str, status: int) -> None:
    created = http.post("/v1/chat/completions", json=body("sim-fast-t3", n=2))
    assert events(http, response_id(created), dialect=dialect).status_code == status


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"dialect": "nonsense"}, 400, "invalid_request"),
        ({"dialect": "headgate-ndjson"}, 400, "invalid_request"),
        ({"format": "xml"}, 400, "invalid_request"),
        ({"include_usage": "maybe"}, 400, "invalid_request"),
        ({"after_frames": "-1"}, 400, "invalid_cursor"),
    ],
)
def test_form_that_does_not_exist_is_refused(
    http: httpx.Client, plain: str, query: dict[str, Any], status: int, code: str
) -> None:
    refused = events(http, plain, **query)
    assert (refused.status_code, refused.json()["code"]) == (status, code)


@pytest.mark.parametrize("form", FORMS)
def test_second_reader_follows_a_running_response_from_the_middle_to_its_end(http: httpx.Client, form: str) -> None:
    with http.stream("POST", "/v1/chat/completions", json=body("sim-t40-r100-f0", stream=True)) as answer:
        id_ = response_id(answer)
        until(lambda: last_seq(http, id_) > 12)
        late = events(http, id_, after=10, **QUERY[form])
        everything = without_comments(answer.read())
    assert _ids(late.content, form)[0] == 11
    assert _ids(late.content, form)[-1] == last_seq(http, id_)
    if form == "openai-chat":
        assert everything.endswith(without_comments(late.content))


def test_reader_of_a_running_response_may_come_again_and_again(http: httpx.Client) -> None:
    """Every connection is left after a few frames, as on a bad line; the pieces make the stream that was not broken."""
    with http.stream(
        "POST",
        "/v1/chat/completions",
        json=body("sim-t80-r100-f0", stream=True),
        headers={"headgate-resume": "1"},
    ) as answer:
        id_ = response_id(answer)
    received: list[Frame] = []
    cursor = "0"
    for _ in range(100):
        with http.stream("GET", f"/v1/responses/{id_}/events", headers={"last-event-id": cursor}) as piece:
            if piece.status_code == 204:
                break
            data = b""
            for some in piece.iter_raw():
                data += some
                if data.count(b"\n\n") >= 10:
                    break
        new = frames(data[: data.rindex(b"\n\n") + 2])
        received += [frame for frame in new if frame.id]
        cursor = received[-1].id
    assert received == frames(events(http, id_).content)


def test_headers_of_streams_keep_proxies_from_buffering(http: httpx.Client, plain: str) -> None:
    for answer in (post(http, "sim-fast-t3", stream=True), events(http, plain), events(http, plain, format="ndjson")):
        assert answer.headers["cache-control"] == "no-cache, no-transform"
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.headers["incremental"] == "?1"
        assert answer.headers["transfer-encoding"] == "chunked"
        assert answer.headers["headgate-response-id"].startswith("resp_")
        assert "content-length" not in answer.headers


@pytest.mark.parametrize("form", FORMS)
def test_streams_are_not_compressed_also_where_the_app_around_compresses(
    http: httpx.Client, plain: str, form: str
) -> None:
    """Compression buffers: a reader would get the tokens in lumps. The app that mounts the gateway in these tests compresses."""
    stream = events(http, plain, headers={"accept-encoding": "gzip"}, **QUERY[form])
    assert stream.headers.get("content-encoding", "identity") == "identity"


def test_a_quiet_stream_gets_heartbeats_that_are_no_events(http: httpx.Client) -> None:
    slow = post(http, "streamed/sim-t2-r0.7-f0", stream=True)
    assert b": ping\n" in slow.content
    assert b": ping\n\n" not in slow.content
    assert without_comments(slow.content) == events(http, response_id(slow), dialect="openai-chat").content


# what is not there


UNKNOWN = ("resp_" + "0" * 32, "resp_" + "0" * 31, "resp_" + "0" * 33, "nonsense", "resp_" + "A" * 32, "x" * 3000)


@pytest.mark.parametrize("id_", UNKNOWN)
def test_id_that_does_not_exist_is_not_found(http: httpx.Client, id_: str) -> None:
    for path in (f"/v1/responses/{id_}", f"/v1/responses/{id_}/events"):
        assert http.get(path).status_code == 404
    assert http.post(f"/v1/responses/{id_}/cancel").status_code == 404
    assert http.get(f"/v1/responses/{id_}").json()["error"]["code"] == "not_found"
    assert http.get(f"/v1/responses/{id_}/events").json()["code"] == "not_found"


@pytest.fixture(params=list(KINDS))
def forgetful(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GatewayProcess]:
    """A gateway that keeps responses for a fifth of a second."""
    text = configured(store='url = "sqlite:///headgate.db"\nretention_s = 0.2')
    with KINDS[request.param].start(text, directory=tmp_path) as gateway:
        yield gateway


def test_response_older_than_the_retention_is_gone(forgetful: GatewayProcess) -> None:
    with httpx.Client(base_url=forgetful.url, timeout=30) as http:
        id_ = response_id(post(http, "sim-fast-t3", stream=True))
        until(lambda: http.get(f"/v1/responses/{id_}").status_code == 410, within_s=3)
        assert http.get(f"/v1/responses/{id_}/events").status_code == 410
        assert http.get(f"/v1/responses/{id_}/events").json()["code"] == "expired_response"
