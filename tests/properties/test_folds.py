"""However an answer is given and passed on, it amounts to the same."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.events import AnyEvent
from headgate.sse import SseDecoder
from tests.properties.answers import ANSWERS, Answer, cut, frames, log, payload, read, sse, stream_chunks, whole_body
from tests.soak import share


def streamed(answer: Answer, data: st.DataObject) -> list[AnyEvent]:
    """The log of the answer when the provider streams it."""
    body = sse(data.draw(st.composite(lambda draw: stream_chunks(answer, draw))()))
    decoder = OPENAI_CHAT.stream_decoder(attempt=1, choices=len(answer.choices))
    pieces = cut(body, data.draw(st.lists(st.integers(0, len(body)), max_size=4)))
    events = read(decoder, pieces)
    assert decoder.failure is None
    assert decoder.finished
    return log(events, choices=len(answer.choices))


def given_whole(answer: Answer) -> list[AnyEvent]:
    """The log of the answer when the provider gives it at once."""
    decoder = OPENAI_CHAT.whole_decoder(attempt=1, choices=len(answer.choices))
    events = read(decoder, [whole_body(answer)])
    assert decoder.failure is None
    return log(events, choices=len(answer.choices))


def within_the_sdk(answer: Answer) -> Answer:
    """Without what the SDK's accumulator refuses: foreign reasons, lists that grow unindexed, and choices whose first
    text does not come in order of their index.
    """
    choices = (
        replace(choice, annotations=choice.annotations[:1], finish="stop" if choice.finish == "eos" else choice.finish)
        for choice in answer.choices[:1]
    )
    return replace(answer, choices=tuple(choices))


def sdk_snapshot(stream: bytes) -> Any:
    """What the official SDK accumulates from a stream of ours."""
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for _, data in SseDecoder().feed(stream):
        if data == b"[DONE]":
            continue
        state.handle_chunk(ChatCompletionChunk.construct(**json.loads(data)))
    return state.current_completion_snapshot


@settings(max_examples=share(20_000))
@given(ANSWERS, st.data())
def test_stream_and_whole_answer_fold_to_the_same(answer: Answer, data: st.DataObject) -> None:
    assert payload(streamed(answer, data)) == payload(given_whole(answer))


@settings(max_examples=share(20_000))
@given(ANSWERS)
def test_whole_answer_of_a_provider_is_passed_on_with_every_value(answer: Answer) -> None:
    sent, passed_on = json.loads(whole_body(answer)), payload(given_whole(answer))
    for choice, shown in zip(sent["choices"], passed_on["choices"], strict=True):
        message = {key: value for key, value in choice["message"].items() if value not in (None, "")}
        assert {key: shown["message"].get(key) for key in message} == message
        assert shown.get("logprobs") == choice.get("logprobs")
    assert {key: passed_on.get(key) for key in answer.extra} == answer.extra
    assert passed_on.get("usage") == answer.usage
    assert passed_on["model"] == answer.envelope["model"]


@settings(max_examples=share(20_000))
@given(ANSWERS, st.data())
def test_stream_of_ours_decodes_to_the_answer_it_was_made_of(answer: Answer, data: st.DataObject) -> None:
    events = streamed(answer, data)
    decoder = OPENAI_CHAT.stream_decoder(attempt=1, choices=len(answer.choices))
    again = read(decoder, [frames(events)])
    assert decoder.failure is None
    assert decoder.ended
    assert payload(log(again, choices=len(answer.choices))) == payload(events)


@settings(max_examples=share(4_000))
@given(ANSWERS.map(within_the_sdk), st.data())
def test_official_sdk_accumulates_our_stream_to_our_whole_answer(answer: Answer, data: st.DataObject) -> None:
    events = streamed(answer, data)
    snapshot = sdk_snapshot(frames(events))
    wanted = ChatCompletion.model_validate(payload(events))
    assert snapshot.usage == wanted.usage
    for found, choice in zip(snapshot.choices, wanted.choices, strict=True):
        assert found.finish_reason == choice.finish_reason
        assert (found.message.content or None) == (choice.message.content or None)
        assert found.message.refusal == choice.message.refusal
        calls = [(c.id, c.function.name, c.function.arguments) for c in found.message.tool_calls or []]
        given_calls = [c for c in choice.message.tool_calls or [] if c.type == "function"]
        assert calls == [(c.id, c.function.name, c.function.arguments) for c in given_calls]
        for name in ("reasoning_content", "reasoning", "annotations"):
            assert getattr(found.message, name, None) == getattr(choice.message, name, None)
