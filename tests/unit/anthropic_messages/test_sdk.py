"""What the official SDK makes of our bytes: its types take every frame, and its accumulator ends where `whole` does."""

from __future__ import annotations

import json
from typing import Any, Final

import anthropic
import httpx2
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types.beta import BetaMessage, BetaRawMessageStreamEvent
from pydantic import TypeAdapter

from headgate.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from headgate.events import Status, Terminal
from headgate.sse import SseDecoder
from tests.unit.anthropic_messages.wire import SUCCESSES, decoded, frames, log
from tests.unit.goldens import cases, fold_of, log_of
from tests.unit.goldens import frames as frames_of_reader

EVENTS: Final[TypeAdapter[Any]] = TypeAdapter(RawMessageStreamEvent)
BETA_EVENTS: Final[TypeAdapter[Any]] = TypeAdapter(BetaRawMessageStreamEvent)
BETA: Final = {"beta-blocks", "whole-beta-blocks"}
FOREIGN: Final = {"foreign-events", "unknown-stop-reason", "missing-message-start", "missing-usage"}
"""Answers that are beyond the SDK's types as the provider gave them, or have no usage of the provider's."""
UNPARSABLE: Final = {"fine-grained-tool"}
"""The SDK raises on arguments that are no JSON."""
EXACT: Final = [case for case in SUCCESSES if case not in BETA | FOREIGN | UNPARSABLE]
OTHERS: Final = [case for case in cases("logs") if case != "n2"]
"""Logs of a chat provider that this dialect can show."""


def client_for(body: bytes, media_type: str) -> anthropic.Anthropic:
    """The official client, connected to an answer."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": media_type}, content=body)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return anthropic.Anthropic(api_key="k", base_url="http://localhost", http_client=http, max_retries=0)


def streamed(body: bytes) -> Message:
    asked: list[Any] = [{"role": "user", "content": "Hi"}]
    client = client_for(body, "text/event-stream")
    with client.messages.stream(model="m", max_tokens=9, messages=asked) as stream:
        return stream.get_final_message()


def created(body: bytes) -> Message:
    asked: list[Any] = [{"role": "user", "content": "Hi"}]
    return client_for(body, "application/json").messages.create(model="m", max_tokens=9, messages=asked)


def as_given(message: Message) -> Any:
    """Without what is null: the accumulator sets fields that are not in an answer."""
    found = json.loads(message.to_json(exclude_none=True, warnings=False))
    for block in found["content"]:
        block.pop("parsed_output", None)
    return found


@pytest.mark.parametrize("case", [case for case in SUCCESSES if case not in FOREIGN])
def test_types_of_the_sdk_take_every_frame(case: str) -> None:
    adapter = BETA_EVENTS if case in BETA else EVENTS
    for name, data in SseDecoder().feed(frames(log(decoded(case)))):
        event = adapter.validate_json(data)
        assert event.type == name.decode()


@pytest.mark.parametrize("case", [case for case in SUCCESSES if case not in FOREIGN])
def test_types_of_the_sdk_take_every_whole_message(case: str) -> None:
    kind = BetaMessage if case in BETA else Message
    kind.model_validate_json(ANTHROPIC_MESSAGES.whole(fold_of(log(decoded(case)))))


@pytest.mark.parametrize("case", EXACT)
def test_accumulator_of_the_sdk_ends_with_our_whole_message(case: str) -> None:
    numbered = log(decoded(case))
    found = as_given(streamed(frames(numbered)))
    wanted = as_given(created(ANTHROPIC_MESSAGES.whole(fold_of(numbered))))
    if case == "duplicate-message-start":  # a stream names its model once
        wanted["model"] = found["model"]
    if case == "late-message-delta":  # a field that the SDK has no place for
        del wanted["note"], wanted["context_management"]
    assert found == wanted


@pytest.mark.parametrize("case", OTHERS)
def test_logs_of_a_chat_provider_are_within_the_types_and_accumulate_to_the_whole_message(case: str) -> None:
    numbered = log_of(case)
    body = b"".join(frames_of_reader(ANTHROPIC_MESSAGES.encoder(), numbered))
    *events, (name, _) = SseDecoder().feed(body)
    for _, data in events:
        EVENTS.validate_json(data)
    terminal = numbered[-1][1]
    assert isinstance(terminal, Terminal)
    if not terminal.status.successful:
        assert name == b"error"
        assert b"message_stop" not in body
        with pytest.raises(anthropic.APIStatusError):
            streamed(body)
        return
    wanted = as_given(created(ANTHROPIC_MESSAGES.whole(fold_of(numbered))))
    usage = wanted["usage"]
    usage.pop("estimated", None)  # beyond the SDK's type of a stream's usage
    assert as_given(streamed(body)) == wanted


def test_every_status_is_among_them() -> None:
    terminals = [log_of(case)[-1][1] for case in OTHERS]
    found = {terminal.status for terminal in terminals if isinstance(terminal, Terminal)}
    assert found >= set(Status) - {Status.EXPIRED}


def test_heartbeat_is_nothing_to_the_sdk() -> None:
    body = frames(log(decoded("text")))
    beat = ANTHROPIC_MESSAGES.heartbeat
    with_beats = beat + body.replace(b"\n\n", b"\n\n" + beat)
    assert as_given(streamed(with_beats)) == as_given(streamed(body))


def test_count_is_what_the_sdk_takes() -> None:
    body = ANTHROPIC_MESSAGES.count_answer(12)
    count = client_for(body, "application/json").messages.count_tokens(
        model="m", messages=[{"role": "user", "content": "Hi"}]
    )
    assert count.input_tokens == 12
