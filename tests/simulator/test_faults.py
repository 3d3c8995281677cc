"""Each fault's bytes, played without a socket. That sockets get exactly these is tested in ``test_server``."""

from __future__ import annotations

import json

import pytest

from headgate.simulator.faults import FAULTS, Argument, FaultName
from headgate.simulator.script import BOM, STATUSES
from headgate.simulator.steps import Abort, Close, Delimit, End
from tests.simulator.asking import Transcript, answered, events, finishes, said, streamed

USAGE = {"include_usage": True}
HEALTHY = streamed("sim-fast-t9", stream_options=USAGE)
WHOLE = answered("sim-fast-t9").whole["choices"][0]


def broken(fault: str, model: str = "sim-fast-t9") -> Transcript:
    """The stream of nine tokens with a fault."""
    return streamed(model, simulate=fault, stream_options=USAGE)


def content(transcript: Transcript) -> dict[str, object]:
    choice = transcript.whole["choices"][0]
    assert isinstance(choice, dict)
    return choice


def tokens(transcript: Transcript) -> list[str]:
    """The deltas of text, one per token."""
    deltas = (choice["delta"] for chunk in transcript.chunks for choice in chunk.get("choices", ()))
    return [delta["content"] for delta in deltas if delta.get("content")]


def without_ids(transcript: Transcript) -> list[object]:
    """The data of each event, without what depends on the request's digest."""
    data = events(transcript.body)
    for chunk in data:
        if isinstance(chunk, dict):
            for key in ("id", "created", "system_fingerprint"):
                chunk.pop(key, None)
    return data


@pytest.mark.parametrize("name", [name for name in STATUSES if isinstance(name, FaultName)])
@pytest.mark.parametrize("streaming", [True, False])
def test_statuses_carry_an_error_object(name: FaultName, streaming: bool) -> None:
    transcript = (streamed if streaming else answered)("sim", simulate=name)
    assert transcript.head is not None
    assert transcript.head.status == int(name)
    assert set(transcript.whole["error"]) == {"message", "type", "param", "code"}
    assert transcript.headers.get("retry-after") == ("1" if name is FaultName.RATE_LIMITED else None)


def test_retry_after_is_what_the_request_says() -> None:
    assert streamed(simulate="429@7").headers["retry-after"] == "7"


@pytest.mark.parametrize("at", [0, 1, 4, 9, 50])
@pytest.mark.parametrize(
    ("name", "last"),
    [("cut", Close), ("reset", Abort), ("eof", End), ("close", Close), ("stall", None), ("stall-comments", Close)],
)
def test_stream_breaks_off_after_exactly_so_many_tokens(name: str, last: type | None, at: int) -> None:
    transcript = broken(f"{name}@{at}")
    assert tokens(transcript) == tokens(HEALTHY)[:at]
    assert transcript.tokens == min(at, 9)
    assert finishes(transcript.chunks) == []
    assert b"[DONE]" not in transcript.body
    assert transcript.stalled if last is None else isinstance(transcript.last, last)
    assert transcript.head is not None
    assert transcript.head.delimit is (Delimit.CLOSE if name == "close" else Delimit.CHUNKED)


def test_break_of_several_choices_counts_the_tokens_of_all() -> None:
    chunks = streamed("sim-fast-t9+cut@5", n=2).chunks
    assert [len(said(chunks, choice=i)) > 0 for i in (0, 1)] == [True, True]
    assert streamed("sim-fast-t9+cut@5", n=2).tokens == 5


def test_comments_keep_coming_every_second_of_a_stall() -> None:
    transcript = broken("stall-comments@3", "sim-t9-r10-f0")
    comments = [when for when, data in transcript.writes if data == b": keep-alive\n\n"]
    assert comments[:3] == pytest.approx([0.2, 1.2, 2.2])
    assert len(comments) == 3600


@pytest.mark.parametrize("name", ["error", "error-object", "error-event"])
def test_error_inside_a_200_is_the_last_event(name: str) -> None:
    transcript = broken(f"{name}@4")
    assert tokens(transcript) == tokens(HEALTHY)[:4]
    last = transcript.chunks[-1]
    assert (last["object"] == "error") if name == "error-object" else set(last) == {"error"}
    assert (b"event: error\ndata: " in transcript.body) == (name == "error-event")
    assert isinstance(transcript.last, End)
    assert finishes(transcript.chunks) == []


def test_garbage_is_one_line_inside_an_otherwise_complete_stream() -> None:
    data = without_ids(broken("garbage@4"))
    (garbage,) = (line for line in data[:-1] if isinstance(line, bytes))
    assert garbage.startswith(b'{"id":')
    assert data.index(garbage) == 5  # the role, four tokens
    data.remove(garbage)
    assert data == without_ids(HEALTHY)


def test_noise_is_harmless_to_who_ignores_what_the_standard_lets_ignore() -> None:
    body = broken("noise@4").body
    assert b"\n\n: a comment\n\nevent: x-note\n" in body
    data = without_ids(broken("noise@4"))
    assert data[5:7] == [{"note": "ignore me"}, b"this is no JSON"]
    assert data[:5] + data[7:] == without_ids(HEALTHY)


def test_huge_line_is_a_chunk_without_text_and_the_rest_is_unharmed() -> None:
    transcript = broken("huge-line@4")
    lines = transcript.body.split(b"\n")
    assert sum(len(line) > 8 * 1024 * 1024 for line in lines) == 1
    assert (transcript.text, finishes(transcript.chunks)) == (HEALTHY.text, [(0, "stop")])


@pytest.mark.parametrize(
    ("name", "finish", "usage", "done"),
    [
        ("no-done", True, True, False),
        ("no-done-open", True, True, False),
        ("no-finish", False, True, True),
        ("no-usage", True, False, True),
        ("crlf", True, True, True),
    ],
)
def test_what_the_end_of_the_stream_lacks(name: str, finish: bool, usage: bool, done: bool) -> None:
    transcript = broken(name)
    assert transcript.text == HEALTHY.text
    assert bool(finishes(transcript.chunks)) == finish
    assert any(chunk.get("usage") for chunk in transcript.chunks) == usage
    assert (events(transcript.body)[-1] == b"[DONE]") == done
    assert transcript.stalled == (name == "no-done-open")


@pytest.mark.parametrize(("name", "reason"), [("length", "length"), ("content-filter", "content_filter")])
def test_finish_reasons_on_demand(name: str, reason: str) -> None:
    assert finishes(broken(name).chunks) == [(0, reason)]
    assert content(answered(simulate=name))["finish_reason"] == reason


def test_line_ends_and_byte_order_mark_change_nothing_else() -> None:
    plain = broken("no-usage,noise@2", "sim-fast-t9").body
    crlf = broken("no-usage,noise@2,crlf", "sim-fast-t9").body
    assert crlf.count(b"\r\n") == crlf.count(b"\n") == plain.count(b"\n")
    marked = broken("bom")
    assert marked.body.startswith(BOM + b"data: ")
    assert without_ids(marked) == without_ids(HEALTHY)


def test_every_multi_byte_character_is_split_over_two_writes() -> None:
    plain, split = (streamed("sim-fast-unicode-t400", simulate=fault) for fault in ("cut@400", "cut@400,split-utf8"))
    assert said(split.chunks) == said(plain.chunks)
    wide = sum(len(character.encode()) > 1 for character in plain.body.decode())
    assert wide > 300
    assert len(split.writes) - len(plain.writes) == wide
    undecodable = 0
    for _, data in split.writes:
        try:
            data.decode()
        except UnicodeDecodeError:
            undecodable += 1
    assert undecodable >= wide


def test_drip_writes_single_bytes_set_apart() -> None:
    transcript = broken("drip")
    assert {len(data) for _, data in transcript.writes} == {1}
    assert without_ids(transcript) == without_ids(HEALTHY)
    assert transcript.tokens == 9


def test_stream_that_ends_in_half_a_line() -> None:
    transcript = broken("truncated-json")
    assert transcript.text == HEALTHY.text
    assert events(transcript.body)[-1].startswith(b'{"id":')
    assert isinstance(transcript.last, End)


def test_answers_that_are_no_stream() -> None:
    html = broken("html")
    assert html.headers["content-type"].startswith("text/html")
    assert html.body.startswith(b"<!doctype html>")
    assert broken("empty").body == b""
    assert broken("empty").headers["content-type"].startswith("text/event-stream")
    assert answered(simulate="empty").headers["content-type"] == "application/json"
    assert content(broken("no-stream")) == WHOLE
    assert broken("no-stream").headers["content-type"] == "application/json"


def test_hang_sends_nothing_and_slow_headers_come_late() -> None:
    assert broken("hang").head is None
    assert broken("hang").stalled
    assert {when for when, _ in broken("slow-headers@3").writes} == {3.0}


def test_huge_headers_are_huge() -> None:
    transcript = broken("huge-headers")
    assert sum(len(name) + len(value) for name, value in transcript.headers.items()) > 256 * 1024
    assert without_ids(transcript) == without_ids(HEALTHY)


def test_length_that_is_too_long_is_declared_and_not_reached() -> None:
    for transcript in (broken("bad-length"), answered("sim-fast-t9", simulate="bad-length")):
        assert int(transcript.headers["content-length"]) > len(transcript.body)
        assert isinstance(transcript.last, Close)
    assert broken("bad-length").text == HEALTHY.text


@pytest.mark.parametrize("name", ["cut", "reset", "close", "stall"])
def test_whole_answer_breaks_off_halfway(name: str) -> None:
    transcript = answered("sim-fast-t9", simulate=name)
    with pytest.raises(json.JSONDecodeError):
        json.loads(transcript.body)
    assert not isinstance(transcript.last, End)
    if name == "close":
        assert "content-length" not in transcript.headers
    else:
        assert int(transcript.headers["content-length"]) > len(transcript.body) + 100


@pytest.mark.parametrize("name", ["eof", "truncated-json", "garbage"])
def test_whole_answer_that_is_no_json_is_framed_correctly(name: str) -> None:
    transcript = answered("sim-fast-t9", simulate=name)
    assert int(transcript.headers["content-length"]) == len(transcript.body)
    assert isinstance(transcript.last, End)
    with pytest.raises(json.JSONDecodeError):
        json.loads(transcript.body)


def test_whole_answers_with_what_is_missing_or_added() -> None:
    assert content(answered(simulate="no-finish"))["finish_reason"] is None
    assert "usage" not in answered(simulate="no-usage").whole
    assert "error" in answered(simulate="error").whole
    assert "error" in answered(simulate="error-event").whole
    assert answered(simulate="error-object").whole["object"] == "error"
    marked = answered("sim-fast-t9", simulate="bom")
    assert marked.body.startswith(BOM + b"{")
    assert int(marked.headers["content-length"]) == len(marked.body)
    assert len(answered(simulate="huge-line").body) > 8 * 1024 * 1024
    comments = answered(simulate="stall-comments")
    assert comments.body.strip() == b""
    assert len(comments.writes) == 3600


HARMLESS_WHOLE = ["no-done", "no-done-open", "crlf", "no-stream", "noise", "split-utf8", "drip", "bad-length"]


@pytest.mark.parametrize("name", HARMLESS_WHOLE)
def test_faults_that_leave_a_whole_answer_readable(name: str) -> None:
    assert content(answered("sim-fast-t9", simulate=name)) == WHOLE


@pytest.mark.parametrize("name", FaultName)
@pytest.mark.parametrize("streaming", [True, False])
def test_every_fault_plays_to_an_end_or_to_silence(name: FaultName, streaming: bool) -> None:
    transcript = (streamed if streaming else answered)("sim-fast-t9", simulate=name)
    assert (transcript.last is None) == transcript.stalled


def test_every_fault_that_counts_tokens_changes_the_stream() -> None:
    for name in (name for name, spec in FAULTS.items() if spec.argument is Argument.TOKENS):
        assert without_ids(streamed("sim-fast-t9", simulate=f"{name}@2")) != without_ids(streamed("sim-fast-t9"))
