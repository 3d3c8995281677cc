"""Streams of every dialect that break at any byte and are resumed, and the same streams as lines of JSON."""

from __future__ import annotations

import json
import random

import httpx
import pytest

from tests.e2e.matrix.raw import create, events, lines_of
from tests.e2e.matrix.seen import DIALECTS
from tests.e2e.matrix.words import Ask
from tests.e2e.sdk.asking import frames, without_comments
from tests.soak import share

MODELS = {"text": "sim-fast-unicode-t40", "tools": "sim-fast-reasoning-parallel"}
ASKS = {"text": Ask(), "tools": Ask(tools=True)}
Answers = dict[tuple[str, str, str], tuple[str, bytes]]
"""By shape, client dialect and provider dialect: the id of a response, and the stream that created it."""

each_shape = pytest.mark.parametrize("shape", MODELS)
each_client = pytest.mark.parametrize("client", DIALECTS)


@pytest.fixture(scope="module")
def created(plain: httpx.Client) -> Answers:
    """One response of each client dialect, provider dialect and shape."""
    found: Answers = {}
    for shape, model in MODELS.items():
        for client in DIALECTS:
            for provider in DIALECTS:
                answer = create(plain, client, f"{provider}/{model}", ASKS[shape]).raise_for_status()
                id_ = answer.headers["headgate-response-id"]
                found[shape, client, provider] = (id_, without_comments(answer.content))
    return found


@each_shape
@each_client
def test_stream_read_again_is_byte_for_byte_the_stream_that_was_created(
    plain: httpx.Client, created: Answers, client: str, shape: str
) -> None:
    for provider in DIALECTS:
        id_, uncut = created[shape, client, provider]
        assert events(plain, id_, client) == uncut


@each_shape
@pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if dialect != "gemini"])
def test_stream_cut_at_any_byte_and_resumed_after_its_last_id_is_the_stream_that_was_not_cut(
    plain: httpx.Client, created: Answers, dialect: str, shape: str
) -> None:
    """Whichever dialect the response was created in. What is behind the last complete frame with an id is thrown away."""
    choose = random.Random(7)
    for client, provider in ((client, provider) for client in DIALECTS for provider in DIALECTS):
        id_ = created[shape, client, provider][0]
        uncut = events(plain, id_, dialect)
        for _ in range(share(300) // 2):
            piece = uncut[: choose.randrange(len(uncut))]
            seq, kept = last_id(piece)
            assert kept + events(plain, id_, dialect, after=seq) == uncut


def last_id(piece: bytes) -> tuple[int, bytes]:
    """The cursor a client has after these bytes, and the bytes that it stands for."""
    complete = piece[: piece.rfind(b"\n\n") + 2] if b"\n\n" in piece else b""
    kept, seq, end = b"", 0, 0
    for frame in complete.split(b"\n\n")[:-1]:
        end += len(frame) + 2
        for line in frame.split(b"\n"):
            if line.startswith(b"id: "):
                seq, kept = int(line[4:]), complete[:end]
    return seq, kept


@each_shape
@pytest.mark.parametrize("dialect", DIALECTS)
def test_stream_resumed_after_a_number_of_frames_goes_on_there(
    plain: httpx.Client, created: Answers, dialect: str, shape: str
) -> None:
    choose = random.Random(8)
    for client, provider in ((client, provider) for client in DIALECTS for provider in DIALECTS):
        id_ = created[shape, client, provider][0]
        uncut = events(plain, id_, dialect)
        count = uncut.count(b"\n\n")
        for _ in range(share(200) // 2):
            piece = uncut[: choose.randrange(len(uncut))]
            seen = piece.count(b"\n\n")
            kept = b"".join(frame + b"\n\n" for frame in piece.split(b"\n\n")[:seen])
            assert kept + events(plain, id_, dialect, after_frames=seen) == uncut
        assert events(plain, id_, dialect, after_frames=count) == b""
        assert events(plain, id_, dialect, after_frames=count + 5) == b""


@each_shape
def test_responses_stream_starts_after_any_sequence_number(plain: httpx.Client, created: Answers, shape: str) -> None:
    for client, provider in ((client, provider) for client in DIALECTS for provider in DIALECTS):
        id_ = created[shape, client, provider][0]
        uncut = frames(events(plain, id_, "openai-responses"))
        assert uncut[-1].data == "[DONE]"
        numbers = [frame.json["sequence_number"] for frame in uncut[:-1]]
        assert numbers == list(range(len(numbers)))
        for number in (0, 1, len(numbers) // 2, len(numbers) - 2, len(numbers) - 1):
            query = {"stream": "true", "starting_after": str(number)}
            rest = plain.get(f"/v1/responses/{id_}", params=query).raise_for_status()
            assert frames(without_comments(rest.content)) == uncut[number + 1 :]
        whole = plain.get(f"/v1/responses/{id_}", params={"stream": "true"})
        assert frames(without_comments(whole.content)) == uncut


@each_shape
@each_client
def test_lines_of_json_hold_what_the_events_hold(
    plain: httpx.Client, created: Answers, client: str, shape: str
) -> None:
    for provider in DIALECTS:
        id_ = created[shape, client, provider][0]
        for dialect in (*DIALECTS, "headgate"):
            expected = [frame.data for frame in frames(events(plain, id_, dialect))]
            answer = plain.get(
                f"/v1/responses/{id_}/events", params={"dialect": dialect}, headers={"accept": "application/x-ndjson"}
            )
            assert answer.headers["content-type"] == "application/x-ndjson"
            assert lines_of(answer.content) == ['"[DONE]"' if data == "[DONE]" else data for data in expected]


@each_client
def test_response_can_be_created_as_lines_of_json(plain: httpx.Client, client: str) -> None:
    for provider in DIALECTS:
        model = f"{provider}/{MODELS['text']}"
        answer = create(plain, client, model, Ask(), accept="application/x-ndjson").raise_for_status()
        assert answer.headers["content-type"] == "application/x-ndjson"
        id_ = answer.headers["headgate-response-id"]
        lines = lines_of(answer.content)
        assert lines == lines_of(events(plain, id_, client, format="ndjson"))
        assert all(json.loads(line) for line in lines)


def test_cursor_is_either_a_seq_or_a_number_of_frames(plain: httpx.Client, created: Answers) -> None:
    id_ = created["text", "gemini", "gemini"][0]
    for query, headers in (("after=2&after_frames=2", {}), ("after_frames=2", {"last-event-id": "2"})):
        answer = plain.get(f"/v1/responses/{id_}/events?{query}", headers=headers)
        assert answer.status_code == 400, query
