"""What a provider's line is worth, in every dialect: fields of which nobody knows that they are output, usage that is none."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from headgate.dialects import ProviderDialect, provider_dialects
from headgate.events import AnyEvent, Extra, Opaque, Usage
from headgate.tally import Tally, is_progress

PROVIDERS: Final = provider_dialects()
CHAT, RESPONSES, ANTHROPIC, GEMINI = "openai-chat", "openai-responses", "anthropic-messages", "gemini"


def read(dialect: str, *lines: dict[str, Any]) -> list[AnyEvent]:
    provider: ProviderDialect = PROVIDERS[dialect]
    decoder = provider.stream_decoder(attempt=1, choices=1)
    made = [decoder.feed(b"data: %b\n\n" % json.dumps(line).encode()) for line in lines]
    assert decoder.failure is None
    return [event for events in made for event in events]


IDLE: Final = [
    (CHAT, {"choices": [{"index": 0, "delta": {}, "finish_reason": None}], "provider": "Acme"}),
    (CHAT, {"choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None, "x": 1}]}),
    (CHAT, {"choices": [], "x": 1}),
    (CHAT, {"x": 1}),
    (RESPONSES, {"type": "response.tick", "x": 1}),
    (RESPONSES, {"type": "tick", "x": 1}),
    (ANTHROPIC, {"type": "tick", "x": 1}),
    (ANTHROPIC, {"type": "message_delta", "delta": {}, "x": 1}),
    (GEMINI, {"candidates": [{"index": 0}], "x": 1}),
    (GEMINI, {"candidates": [{"content": {"role": "model", "parts": []}}], "x": 1}),
    (GEMINI, {"candidates": [], "x": 1}),
    (GEMINI, {"modelVersion": "m", "x": 1}),
    (GEMINI, {"x": 1}),
]


@pytest.mark.parametrize(("dialect", "line"), IDLE)
def test_unknown_fields_without_output_are_kept_and_are_no_progress(dialect: str, line: dict[str, Any]) -> None:
    made = read(dialect, line)
    [kept] = [event for event in made if isinstance(event, Opaque)]
    assert kept.idle
    assert not any(map(is_progress, made))


OUTPUT: Final = [
    (CHAT, {"choices": [{"index": 0, "delta": {"audio": {"data": "AA=="}}, "finish_reason": None}]}),
    (RESPONSES, {"type": "response.audio.delta", "delta": "AA=="}),
    (RESPONSES, {"type": "response.web_search_call.searching", "output_index": 0, "item_id": "ws_1"}),
    (RESPONSES, {"type": "response.new_call.partial", "item_id": "n_1"}),
]


@pytest.mark.parametrize(("dialect", "line"), OUTPUT)
def test_what_may_be_output_of_an_unknown_kind_is_progress_unless_it_is_said_again(
    dialect: str, line: dict[str, Any]
) -> None:
    made, tally = read(dialect, line, line), Tally(1)
    assert [tally.progresses([event]) for event in made] == [True, False]
    assert tally.progresses([Opaque(0, Extra(response={"another": 1}))])


GARBAGE: Final = [
    (CHAT, {"choices": [], "usage": {"prompt_tokens": -5, "completion_tokens": "x", "total_tokens": 1e99}}),
    (CHAT, {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": "x"}}),
    (CHAT, {"choices": [], "usage": {"total_tokens": 7}}),
    (RESPONSES, {"type": "response.completed", "response": {"usage": {"input_tokens": -5, "output_tokens": 3}}}),
    (RESPONSES, {"type": "response.completed", "response": {"usage": {}}}),
    (ANTHROPIC, {"type": "message_delta", "delta": {}, "usage": {"input_tokens": -5, "output_tokens": "x"}}),
    (ANTHROPIC, {"type": "message_delta", "delta": {}, "usage": {"x": 1}}),
    (GEMINI, {"candidates": [], "usageMetadata": {"promptTokenCount": -5, "candidatesTokenCount": "x"}}),
    (GEMINI, {"candidates": [], "usageMetadata": {"totalTokenCount": 5}}),
]


@pytest.mark.parametrize(("dialect", "line"), GARBAGE)
def test_usage_that_is_no_count_is_none(dialect: str, line: dict[str, Any]) -> None:
    decoder = PROVIDERS[dialect].stream_decoder(attempt=1, choices=1)
    made = [*decoder.feed(b"data: %b\n\n" % json.dumps(line).encode()), *decoder.finish()]
    assert [event for event in made if isinstance(event, Usage)] == []


def test_usage_that_is_no_count_does_not_replace_one_that_is() -> None:
    good = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3}}
    decoder = PROVIDERS[CHAT].stream_decoder(attempt=1, choices=1)
    for line in (good, GARBAGE[0][1]):
        decoder.feed(b"data: %b\n\n" % json.dumps(line).encode())
    [usage] = decoder.finish()
    assert isinstance(usage, Usage)
    assert (usage.input_tokens, usage.output_tokens) == (5, 3)
