"""Logs worked by hand from PROTOCOL.md, and the bytes that every reader of them gets."""

from __future__ import annotations

import hashlib
import json
import re
from itertools import accumulate
from typing import Final

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from headgate.assemble import Digester
from headgate.dialects import ClientDialect, Dialect, client_dialects, dialects
from headgate.dialects.headgate import NATIVE
from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.dialects.transport import Lines
from headgate.events import Status, Terminal
from headgate.lifecycle import Lifecycle
from headgate.sse import SseDecoder
from tests.unit.goldens import ROOT, cases, fold_of, frames, log_of

LOGS: Final = cases("logs")
PROTOCOL: Final = ROOT.parents[1] / "PROTOCOL.md"
BLOCK: Final = re.compile(r"<!-- (tests/golden/\S+) -->\n```[a-z]*\n(.*?)```", re.DOTALL)

DIALECTS: Final = client_dialects()
SHOWN: Final = [
    (case, dialect)
    for case in LOGS
    for dialect in DIALECTS.values()
    if (ROOT / "logs" / case / f"{dialect.name}.sse").exists()
]

every_log = pytest.mark.parametrize("case", LOGS)
every_shown_log = pytest.mark.parametrize(
    ("case", "dialect"), [pytest.param(case, dialect, id=f"{case}-{dialect.name}") for case, dialect in SHOWN]
)


def golden(case: str, name: str) -> bytes:
    return (ROOT / "logs" / case / name).read_bytes()


def terminal_of(case: str) -> Terminal:
    _, terminal = log_of(case)[-1]
    assert isinstance(terminal, Terminal)
    return terminal


@every_log
def test_native_stream_of_a_log_is_the_golden_one(case: str) -> None:
    assert b"".join(frames(NATIVE.encoder(), log_of(case))) == golden(case, "headgate.sse")


@every_log
def test_native_ndjson_is_the_log_itself_without_what_was_taken_back(case: str) -> None:
    data = b"".join(frames(Lines(NATIVE.encoder()), log_of(case), knows=0))
    assert data == golden(case, "log.ndjson")


@every_shown_log
def test_stream_of_a_log_is_the_golden_one(case: str, dialect: ClientDialect) -> None:
    assert b"".join(frames(dialect.encoder(), log_of(case))) == golden(case, f"{dialect.name}.sse")


@every_shown_log
def test_whole_answer_of_a_log_is_the_golden_one(case: str, dialect: ClientDialect) -> None:
    terminal, fold = terminal_of(case), fold_of(log_of(case))
    if terminal.status.successful:
        assert dialect.whole(fold) == golden(case, f"{dialect.name}.json")
    else:
        same_dialect = fold.dialect == dialect.name
        assert dialect.terminal_error(terminal, same_dialect=same_dialect) == golden(case, f"{dialect.name}.json")


def test_every_log_is_worked_in_every_dialect_that_can_express_it() -> None:
    expressible = set()
    for case in LOGS:
        started = fold_of(log_of(case)).started
        assert started is not None
        expressible |= {(case, name) for name, dialect in DIALECTS.items() if started.choices <= dialect.choices_max}
    assert {(case, dialect.name) for case, dialect in SHOWN} == expressible


@every_log
@pytest.mark.parametrize("dialect", dialects().values(), ids=lambda dialect: dialect.name)
def test_stream_resumed_at_any_cursor_is_exactly_what_was_missing(case: str, dialect: Dialect) -> None:
    log = log_of(case)
    whole = frames(dialect.encoder(), log, knows=0)
    for cursor in range(len(log) + 1):
        assert frames(dialect.encoder(), log, after=cursor, knows=0) == [b""] * cursor + whole[cursor:]


def test_reader_that_is_there_gets_the_text_and_then_its_retraction() -> None:
    data = b"".join(frames(NATIVE.encoder(), log_of("retraction"), knows=0))
    assert data == golden("retraction", "headgate.live.sse")


def test_reader_that_comes_back_inside_a_retracted_range_gets_the_retraction_and_no_more_of_the_text() -> None:
    data = b"".join(frames(NATIVE.encoder(), log_of("retraction"), after=8))
    assert data == golden("retraction", "headgate.after-8.sse")


@pytest.mark.parametrize("cursor", range(19))
def test_nobody_gets_retracted_text_after_the_retraction(cursor: int) -> None:
    data = b"".join(frames(NATIVE.encoder(), log_of("retraction"), after=cursor))
    assert b"12 Example" not in data
    assert b"Road and" not in data


@every_log
def test_log_is_legal(case: str) -> None:
    lifecycle = Lifecycle()
    for _, event in log_of(case):
        lifecycle.feed(event)
    assert lifecycle.terminal is not None


@every_log
def test_terminal_has_the_hash_of_the_released_text(case: str) -> None:
    digester = Digester()
    for _, event in log_of(case):
        digester.feed(event)
    parts = [
        f"{c}:{p}:{part.kind}:{hashlib.sha256(part.text.encode()).hexdigest()}\n"
        for c, choice in sorted(fold_of(log_of(case)).choices.items())
        for p, part in enumerate(choice.parts)
    ]
    by_hand = hashlib.sha256("".join(parts).encode()).hexdigest()
    assert digester.result() == terminal_of(case).sha256 == by_hand


@every_log
def test_chat_frames_and_whole_answers_are_what_the_official_sdk_takes(case: str) -> None:
    status = terminal_of(case).status
    decoder = SseDecoder()
    data = [frame for _, frame in decoder.feed(golden(case, "openai-chat.sse"))]
    if not status.successful:
        assert "error" in json.loads(data[-1])
        assert b"[DONE]" not in data
        return
    assert data.pop() == b"[DONE]"
    chunks = [ChatCompletionChunk.model_validate_json(chunk) for chunk in data]
    reasons = {choice.index: choice.finish_reason for chunk in chunks for choice in chunk.choices}
    answer = ChatCompletion.model_validate_json(golden(case, "openai-chat.json"))
    assert reasons == {choice.index: choice.finish_reason for choice in answer.choices}


def test_examples_of_the_protocol_are_the_golden_files() -> None:
    blocks = BLOCK.findall(PROTOCOL.read_text(encoding="utf-8"))
    assert len(blocks) >= 20
    for name, text in blocks:
        path = PROTOCOL.parent / name
        wanted = path.read_text(encoding="utf-8")
        assert text == (wanted + "\n" if path.suffix == ".json" else wanted), name


@pytest.mark.parametrize("case", LOGS)
def test_chat_stream_can_be_cut_anywhere_and_its_ids_say_where_to_go_on(case: str) -> None:
    """A reader that takes the id of its last whole frame as cursor misses no byte and gets none twice."""
    log = log_of(case)
    stream = golden(case, "openai-chat.sse")
    ends = list(accumulate(len(frame) + 2 for frame in stream.split(b"\n\n")[:-1]))
    for end in ends:
        seen = stream[:end]
        ids = re.findall(rb"^id: (\d+)$", seen, re.MULTILINE)
        if ids and not seen[seen.rfind(b"id: ") :].count(b"\n\n") > 1:
            rest = b"".join(frames(OPENAI_CHAT.encoder(), log, after=int(ids[-1])))
            assert seen + rest == stream


def test_every_status_has_a_log_or_is_shown_like_one_that_has() -> None:
    shown = {terminal_of(case).status for case in LOGS}
    assert shown >= {Status.COMPLETED, Status.TRUNCATED, Status.REFUSED, Status.FILTERED, Status.BLOCKED}
    assert shown >= {Status.FAILED, Status.CANCELLED}
