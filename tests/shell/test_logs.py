"""Lines that come by the thousands are written together, and in their place among the others."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest

from headgate.telemetry import logs
from headgate.telemetry.logs import LineHandler, info
from tests.shell.scene import run, turns


class Stream(io.StringIO):
    """Counts what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def write(self, text: str, /) -> int:
        self.writes += 1
        return super().write(text)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def stream() -> Stream:
    return Stream()


def test_lines_of_one_turn_of_the_loop_are_one_write(stream: Stream) -> None:
    async def test() -> None:
        handler = LineHandler(stream)
        for number in range(3):
            handler.line("headgate.response", "response", {"number": number, "word": "ä\n"})
        assert stream.writes == 0
        await turns()
        assert stream.writes == 1
        assert [line["number"] for line in stream.lines] == [0, 1, 2]
        handler.line("headgate.response", "response", {"number": 3})
        await turns()
        assert stream.writes == 2

    run(test)
    first = stream.lines[0]
    assert list(first)[:4] == ["time", "level", "logger", "message"]
    assert first["word"] == "ä\n"


def test_other_records_stay_behind_the_lines_before_them(stream: Stream) -> None:
    async def test() -> None:
        handler = LineHandler(stream)
        handler.line("headgate.response", "first", {})
        handler.emit(logging.LogRecord("headgate.x", logging.WARNING, "", 0, "second", None, None))

    run(test)
    assert [line["message"] for line in stream.lines] == ["first", "second"]


def test_lines_go_through_logging_where_the_handlers_are_somebody_elses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    target = logs.logger("response")
    with caplog.at_level(logging.INFO, target.name):
        info(target, "response", {"seq": 7})
    [record] = caplog.records
    assert getattr(record, logs.FIELDS) == {"seq": 7}
    with caplog.at_level(logging.WARNING, target.name):
        info(target, "response", {"seq": 8})
    assert len(caplog.records) == 1
