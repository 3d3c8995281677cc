"""The benchmark's dialects are the real ones: the official SDKs' types take every frame, and our decoders every answer."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from google.genai.types import GenerateContentResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from benchmarks.answers import PROMPT_TOKENS, parse
from benchmarks.dialects import measure as measure_dialects
from benchmarks.dialects import path_us
from benchmarks.wire import CHAT, Asked
from benchmarks.wires import WIRES
from headgate.assemble import Fold
from headgate.dialects import client_dialects, provider_dialects
from headgate.events import AttemptStarted, ChoiceDone, Delta, ResponseStarted, Status, Terminal, Usage
from headgate.sse import Frame, SseDecoder

MODEL: Final = parse("bench-t50-r0")
EVENTS: Final[dict[str, TypeAdapter[Any]]] = {
    CHAT: TypeAdapter(ChatCompletionChunk),
    "openai-responses": TypeAdapter(ResponseStreamEvent),
    "anthropic-messages": TypeAdapter(RawMessageStreamEvent),
    "gemini": TypeAdapter(GenerateContentResponse),
}
WHOLES: Final[dict[str, TypeAdapter[Any]]] = {
    CHAT: TypeAdapter(ChatCompletion),
    "openai-responses": TypeAdapter(Response),
    "anthropic-messages": TypeAdapter(Message),
    "gemini": TypeAdapter(GenerateContentResponse),
}


def stream(name: str) -> bytes:
    wire = WIRES[name]
    tokens = [wire.token(MODEL, index) for index in range(MODEL.tokens)]
    return b"".join([wire.opening(MODEL), *tokens, wire.closing(MODEL, usage=True)])


def frames(data: bytes) -> list[Frame]:
    return SseDecoder().feed(data)


def test_every_dialect_is_measured() -> None:
    assert set(WIRES) == set(provider_dialects()) == set(client_dialects())


@pytest.mark.parametrize("name", WIRES)
def test_frames_are_what_the_official_sdk_reads(name: str) -> None:
    read = [frame for frame in frames(stream(name)) if frame != (b"", b"[DONE]") and frame[0] != b"ping"]
    assert len(read) >= MODEL.tokens
    for event, data in read:
        EVENTS[name].validate_json(data)
        if event:
            assert json.loads(data)["type"] == event.decode()


@pytest.mark.parametrize("name", WIRES)
def test_whole_answer_is_what_the_official_sdk_reads(name: str) -> None:
    WHOLES[name].validate_json(WIRES[name].whole(MODEL))


@pytest.mark.parametrize("name", WIRES)
def test_stream_decodes_to_its_text_and_its_usage(name: str) -> None:
    decoder = provider_dialects()[name].stream_decoder(attempt=1, choices=1)
    events = [*decoder.feed(stream(name)), *decoder.finish()]
    assert decoder.failure is None
    assert "".join(event.text for event in events if isinstance(event, Delta)) == MODEL.text()
    assert [event.reason.value for event in events if isinstance(event, ChoiceDone)] == ["stop"]
    usage = next(event for event in events if isinstance(event, Usage))
    assert (usage.input_tokens, usage.output_tokens) == (PROMPT_TOKENS, 50)


@pytest.mark.parametrize("client", WIRES)
@pytest.mark.parametrize("provider", WIRES)
def test_checks_find_nothing_wrong_with_what_our_encoders_write(client: str, provider: str) -> None:
    decoder = provider_dialects()[provider].stream_decoder(attempt=1, choices=1)
    decoded = [*decoder.feed(stream(provider)), *decoder.finish()]
    log = [
        ResponseStarted("resp_344e36b0c530fd9cda734301c14f7193", "bench", client, MODEL.name, 1, stream=True),
        AttemptStarted(1, provider, provider, MODEL.name),
        *decoded,
        Terminal(Status.COMPLETED),
    ]
    encoder, fold = client_dialects()[client].encoder(), Fold()
    check = WIRES[client].check(MODEL)
    for seq, event in enumerate(log, 1):
        check.feed(encoder.feed(seq, event))
        fold.feed(seq, event)
    assert check.finish() == []
    assert WIRES[client].told(client_dialects()[client].whole(fold)) == (MODEL.text(), check.FINISH)


@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize("name", WIRES)
def test_request_of_a_client_is_one_that_its_provider_and_headgate_read(name: str, is_stream: bool) -> None:
    wire = WIRES[name]
    body = json.dumps(wire.body("gemini/bench-t2-r0", stream=is_stream)).encode()
    path = wire.path("gemini/bench-t2-r0", stream=is_stream)
    assert wire.asked(path, body) == Asked("gemini/bench-t2-r0", is_stream, usage=name != CHAT)
    assert wire.asked("/healthz", b"") is None
    assert [other for other in WIRES.values() if other.asked(path, body)] == [wire]
    read = client_dialects()[name].read_request(body, model="gemini/bench-t2-r0", stream=is_stream)
    assert (read.model, read.stream) == ("gemini/bench-t2-r0", is_stream)


def test_costs_of_every_dialect_are_known() -> None:
    costs = measure_dialects(runs=1)
    assert list(costs) == list(WIRES)
    for found in costs.values():
        assert found["SSE"] > 0
        assert path_us(found) == found["decode"] + found["encode"] > 0
