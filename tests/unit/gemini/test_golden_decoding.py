"""Provider bytes as recorded (or made up in their likeness), the events they must become, and what readers get."""

from __future__ import annotations

from typing import Final

import pytest
from google.genai import types

from headgate.dialects.gemini import GEMINI
from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.events import Delta, PartKind, PartStarted
from headgate.sse import SseDecoder
from tests.unit.gemini.logs import (
    CASES,
    choices_of,
    decode,
    fold,
    folder,
    log_of,
    sdk_stream,
    sdk_whole,
    stream,
    upstream,
    wanted,
)

SHOWN: Final = [case for case in CASES if wanted(case)[1] is None]
every_case = pytest.mark.parametrize("case", CASES)
every_answer = pytest.mark.parametrize("case", SHOWN)


@every_case
def test_provider_bytes_become_the_golden_events(case: str) -> None:
    data, decoder = upstream(case)
    assert decode(decoder, [data]) == wanted(case)


@every_case
def test_events_are_the_same_wherever_the_bytes_are_cut(case: str) -> None:
    data, _ = upstream(case)
    golden = wanted(case)
    for cut in range(len(data) + 1):
        assert decode(upstream(case)[1], [data[:cut], data[cut:]]) == golden, f"cut at {cut}"


@every_case
def test_events_are_the_same_when_every_byte_comes_alone(case: str) -> None:
    data, decoder = upstream(case)
    assert decode(decoder, [data[at : at + 1] for at in range(len(data))]) == wanted(case)


@every_case
def test_answer_is_finished_or_has_failed_and_never_both(case: str) -> None:
    data, decoder = upstream(case)
    _, code = decode(decoder, [data])
    assert decoder.finished == (code is None)
    assert not decoder.ended


@every_case
def test_decoded_events_are_legal(case: str) -> None:
    events, code = wanted(case)
    assert log_of(events, choices=choices_of(case), failed=code is not None)


@every_answer
def test_reader_of_the_same_dialect_gets_the_golden_frames(case: str) -> None:
    log = log_of(wanted(case)[0], choices=choices_of(case))
    assert stream(log) == (folder(case) / "shown.sse").read_bytes()
    assert GEMINI.whole(fold(log)) == (folder(case) / "shown.json").read_bytes()


@every_answer
def test_golden_frames_read_again_are_the_same_answer(case: str) -> None:
    """What went through one gateway goes through another and loses nothing."""
    decoder = GEMINI.stream_decoder(attempt=1, choices=choices_of(case))
    events, code = decode(decoder, [(folder(case) / "shown.sse").read_bytes()])
    assert code is None
    again = log_of(events, choices=choices_of(case))
    assert GEMINI.whole(fold(again)) == (folder(case) / "shown.json").read_bytes()


@every_answer
def test_official_sdk_takes_every_frame_and_the_whole(case: str) -> None:
    chunks = sdk_stream((folder(case) / "shown.sse").read_bytes())
    answer = sdk_whole((folder(case) / "shown.json").read_bytes())
    assert len(chunks) == (folder(case) / "shown.sse").read_bytes().count(b"\n\n")
    last = chunks[-1]
    if answer.candidates is None:
        assert last.prompt_feedback == answer.prompt_feedback is not None
        return
    assert last.candidates is not None
    assert [c.finish_reason for c in last.candidates] == [c.finish_reason for c in answer.candidates]
    assert all(c.finish_reason for c in answer.candidates)
    assert last.usage_metadata == answer.usage_metadata
    texts = ["".join(p.text or "" for c in chunks for p in _parts(c, index)) for index in range(choices_of(case))]
    assert texts == ["".join(p.text or "" for p in _parts(answer, index)) for index in range(choices_of(case))]


def _parts(chunk: types.GenerateContentResponse, index: int) -> list[types.Part]:
    candidates = chunk.candidates or []
    found = [c.content.parts for c in candidates if (c.index or 0) == index and c.content and c.content.parts]
    return [part for parts in found for part in parts]


@every_answer
def test_reader_of_another_dialect_gets_text_calls_and_reasoning_and_nothing_else(case: str) -> None:
    log = log_of(wanted(case)[0], choices=choices_of(case))
    data = stream(log, OPENAI_CHAT.encoder())
    assert b"thoughtSignature" not in data
    assert b"groundingMetadata" not in data
    kinds = {(e.choice, e.part): e.kind for e in log if isinstance(e, PartStarted)}
    prose = [e for e in log if isinstance(e, Delta) and kinds[e.choice, e.part] is not PartKind.OTHER]
    assert len(SseDecoder().feed(data)) >= len(prose)


def test_nasty_cases_are_all_there() -> None:
    assert len(CASES) >= 35
