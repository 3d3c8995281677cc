"""Logs worked by hand from PROTOCOL.md, as a client of Gemini sees them."""

from __future__ import annotations

import json
from typing import Final

import pytest
from google.genai.errors import APIError

from headgate.dialects.gemini import GEMINI
from headgate.events import Terminal
from tests.unit.gemini.logs import sdk_stream, sdk_whole
from tests.unit.goldens import ROOT, cases, log_of

LOGS: Final = [case for case in cases("logs") if (ROOT / "logs" / case / "gemini.sse").exists()]
every_log = pytest.mark.parametrize("case", LOGS)


def golden(case: str, name: str) -> bytes:
    return (ROOT / "logs" / case / name).read_bytes()


def terminal_of(case: str) -> Terminal:
    _, terminal = log_of(case)[-1]
    assert isinstance(terminal, Terminal)
    return terminal


@every_log
def test_frames_are_data_lines_and_nothing_else(case: str) -> None:
    lines = golden(case, "gemini.sse").split(b"\n")
    assert all(line == b"" or line.startswith(b"data: {") for line in lines)


@every_log
def test_official_sdk_takes_a_success_for_one_and_raises_on_everything_else(case: str) -> None:
    stream, answer = golden(case, "gemini.sse"), golden(case, "gemini.json")
    terminal = terminal_of(case)
    if terminal.status.successful:
        last = sdk_stream(stream)[-1]
        assert last.candidates
        assert all(candidate.finish_reason for candidate in last.candidates)
        assert sdk_whole(answer).candidates
        return
    with pytest.raises(APIError) as raised:
        sdk_stream(stream)
    status = json.loads(answer)["error"]["code"]
    assert raised.value.code == status
    with pytest.raises(APIError) as refused:
        sdk_whole(answer, status)
    assert (refused.value.code, refused.value.message) == (status, terminal.message)


@every_log
@pytest.mark.parametrize("success", [b"finishReason", b"usageMetadata"])
def test_what_fails_has_no_mark_of_success(case: str, success: bytes) -> None:
    assert (success in golden(case, "gemini.sse")) == terminal_of(case).status.successful


@every_log
def test_heartbeats_between_frames_do_not_show(case: str) -> None:
    stream = golden(case, "gemini.sse")
    if terminal_of(case).status.successful:
        beaten = GEMINI.heartbeat.join([frame + b"\n\n" for frame in stream.split(b"\n\n")[:-1]])
        shown = [chunk.model_dump(exclude={"sdk_http_response"}) for chunk in sdk_stream(GEMINI.heartbeat + beaten)]
        assert shown == [chunk.model_dump(exclude={"sdk_http_response"}) for chunk in sdk_stream(stream)]
