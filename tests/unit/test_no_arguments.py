"""A call of a tool without arguments: ``{}`` wherever arguments are text, unless it was cut before they came."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import pytest

from headgate.dialects import client_dialects, provider_dialects
from headgate.dialects.transport import payloads
from headgate.endings import Ending, closing
from headgate.events import (
    AnyEvent,
    AttemptEnded,
    AttemptStarted,
    ChoiceDone,
    Delta,
    PartDone,
    PartKind,
    PartStarted,
    Reason,
    ResponseStarted,
    Retracted,
    Status,
    Terminal,
)
from headgate.lifecycle import terminal_status
from tests.unit.goldens import NumberedLog, fold_of, frames

ID: Final = "resp_" + "0123456789abcdef" * 2
TEXTUAL: Final = ("openai-chat", "openai-responses")
"""Dialects in which arguments are text."""
PROVIDERS: Final = ("openai-chat", "openai-responses", "anthropic-messages")
"""Dialects in which a provider may say nothing for no arguments; in Gemini's they are an object in one event."""


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)


def chat_call(index: int, text: str) -> dict[str, Any]:
    return {
        "index": index,
        "id": f"c{index}",
        "type": "function",
        "function": {"name": f"f{index}", "arguments": text},
    }


def chat(texts: tuple[str, ...], cut: bool) -> tuple[bytes, bytes]:
    calls = [chat_call(index, text) for index, text in enumerate(texts)]
    word = "length" if cut else "tool_calls"
    chunks = [{"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]} for call in calls]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": word}]}
    whole = {"choices": [{"index": 0, "message": {"tool_calls": calls}, "finish_reason": word}]}
    return sse(*chunks, end), json.dumps(whole).encode()


def responses(texts: tuple[str, ...], cut: bool) -> tuple[bytes, bytes]:
    status = "incomplete" if cut else "completed"
    calls = [
        {"type": "function_call", "id": f"fc_{i}", "call_id": f"c{i}", "name": f"f{i}", "arguments": text}
        for i, text in enumerate(texts)
    ]
    response: dict[str, Any] = {"id": "r", "object": "response", "model": "m", "status": status, "output": calls}
    if cut:
        response["incomplete_details"] = {"reason": "max_output_tokens"}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": response | {"output": []}}]
    for index, call in enumerate(calls):
        begun = call | {"arguments": ""}
        events.append({"type": "response.output_item.added", "output_index": index, "item": begun})
        events.append({"type": "response.output_item.done", "output_index": index, "item": call})
    return sse(*events, {"type": f"response.{status}", "response": response}), json.dumps(response).encode()


def messages(texts: tuple[str, ...], cut: bool) -> tuple[bytes, bytes]:
    head = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": []}
    word = "max_tokens" if cut else "tool_use"
    events: list[dict[str, Any]] = [{"type": "message_start", "message": head}]
    content = []
    for index, text in enumerate(texts):
        block = {"type": "tool_use", "id": f"c{index}", "name": f"f{index}", "input": {}}
        content.append(block | {"input": json.loads(text or "{}")})
        delta = {"type": "input_json_delta", "partial_json": text}
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    events += [{"type": "message_delta", "delta": {"stop_reason": word}}, {"type": "message_stop"}]
    return sse(*events), json.dumps(head | {"content": content, "stop_reason": word}).encode()


SAID: Final = {"openai-chat": chat, "openai-responses": responses, "anthropic-messages": messages}


def log_of(provider: str, texts: tuple[str, ...], *, stream: bool, cut: bool = False) -> NumberedLog:
    streamed, given = SAID[provider](texts, cut)
    dialect = provider_dialects()[provider]
    decoder = (dialect.stream_decoder if stream else dialect.whole_decoder)(attempt=1, choices=1)
    events = decoder.feed(streamed if stream else given) + decoder.finish()
    assert decoder.failure is None
    return complete(provider, events)


def complete(provider: str, events: Sequence[AnyEvent], status: Status | None = None) -> NumberedLog:
    if status is None:
        status = terminal_status([event.reason for event in events if isinstance(event, ChoiceDone)])
    end = closing(Ending(status), sha256="", ended_at=2)
    started = ResponseStarted(ID, "", "openai-chat", "asked", 1)
    return list(
        enumerate([started, AttemptStarted(1, "p", provider, "m"), *events, AttemptEnded(1, "ok", 200), end], 1)
    )


def streamed(client: str, log: NumberedLog, *, after: int = 0) -> list[Any]:
    found = frames(client_dialects()[client].encoder(), log, after=after)
    return [event for event in map(json.loads, payloads(b"".join(found))) if event != "[DONE]"]


def arguments_streamed(client: str, events: list[Any]) -> list[str]:
    """What the deltas add up to, per call; that every ``done`` says the same is checked on the way."""
    found: dict[int, str] = {}
    for event in events:
        if client == "openai-chat":
            for choice in event["choices"]:
                for call in choice["delta"].get("tool_calls", []):
                    said = call["function"].get("arguments", "")
                    found[call["index"]] = found.get(call["index"], "") + said
            continue
        match event["type"]:
            case "response.output_item.added":
                found[event["output_index"]] = event["item"]["arguments"]
            case "response.function_call_arguments.delta":
                found[event["output_index"]] += event["delta"]
            case "response.function_call_arguments.done":
                assert event["arguments"] == found[event["output_index"]]
            case "response.output_item.done":
                assert event["item"]["arguments"] == found[event["output_index"]]
    return [found[index] for index in sorted(found)]


def arguments_whole(client: str, log: NumberedLog) -> list[str]:
    answer = json.loads(client_dialects()[client].whole(fold_of(log)))
    if client == "openai-chat":
        return [call["function"]["arguments"] for call in answer["choices"][0]["message"]["tool_calls"]]
    return [item["arguments"] for item in answer["output"]]


def arguments(client: str, log: NumberedLog) -> list[str]:
    found = arguments_streamed(client, streamed(client, log))
    assert found == arguments_whole(client, log)
    return found


PAIRS: Final = [(client, provider) for client in TEXTUAL for provider in PROVIDERS if client != provider]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("texts", [("",), ("", '{"a":1}'), ('{"a":1}', ""), ("", "")])
@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_call_without_arguments_has_an_empty_object(
    client: str, provider: str, texts: tuple[str, ...], stream: bool
) -> None:
    assert arguments(client, log_of(provider, texts, stream=stream)) == [text or "{}" for text in texts]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_log_is_the_same_for_an_answer_streamed_and_given_whole(provider: str) -> None:
    kinds = (PartStarted, Delta, PartDone, ChoiceDone)
    logs = [
        [event for _, event in log_of(provider, ("", '{"a":1}'), stream=stream) if isinstance(event, kinds)]
        for stream in (True, False)
    ]
    assert fold_of(complete(provider, logs[0])).choices[0].parts[0].text == ""
    assert [type(event) for event in logs[0]] == [type(event) for event in logs[1]]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_call_that_was_cut_before_its_arguments_does_not_look_whole(client: str, provider: str, stream: bool) -> None:
    log = log_of(provider, ("", ""), stream=stream, cut=True)
    assert arguments(client, log) == ["{}", ""]
    if client == "openai-responses":
        output = json.loads(client_dialects()[client].whole(fold_of(log)))["output"]
        assert [item["status"] for item in output] == ["completed", "incomplete"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("dialect", TEXTUAL)
def test_client_of_the_same_dialect_gets_what_the_provider_sent(dialect: str, stream: bool) -> None:
    assert arguments(dialect, log_of(dialect, ("",), stream=stream)) == [""]


@pytest.mark.parametrize("stream", [True, False])
def test_anthropic_client_of_anthropic_gets_no_delta_that_was_not_sent(stream: bool) -> None:
    log = log_of("anthropic-messages", ("",), stream=stream)
    kinds = [event["type"] for event in streamed("anthropic-messages", log)]
    assert "content_block_delta" not in kinds
    assert json.loads(client_dialects()["anthropic-messages"].whole(fold_of(log)))["content"][0]["input"] == {}


@pytest.mark.parametrize(("client", "provider"), PAIRS)
def test_stream_that_is_resumed_goes_on_with_the_same_frames(client: str, provider: str) -> None:
    log = log_of(provider, ("", '{"a":1}', ""), stream=True)
    everything = b"".join(frames(client_dialects()[client].encoder(), log))
    for after in range(len(log)):
        rest = b"".join(frames(client_dialects()[client].encoder(), log, after=after))
        assert everything.endswith(rest)
    assert everything.count(b'{}"') >= 2


CALL: Final[tuple[AnyEvent, ...]] = (PartStarted(0, 0, PartKind.TOOL_CALL, "c0", "f0"),)


@pytest.mark.parametrize("client", TEXTUAL)
@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([*CALL, PartDone(0, 0), ChoiceDone(0, Reason.REFUSAL)], None),
        ([*CALL, PartDone(0, 0), ChoiceDone(0, Reason.CONTENT_FILTER)], None),
        ([*CALL, PartDone(0, 0)], Status.TRUNCATED),
        ([*CALL], Status.BLOCKED),
        ([*CALL, Delta(0, 0, '{"a":'), Retracted(0, 0, 0, 4, "r")], Status.BLOCKED),
        ([*CALL, Delta(0, 0, '{"a":1}'), Retracted(0, 0, 0, 4, "r"), PartDone(0, 0), ChoiceDone(0, Reason.STOP)], None),
    ],
    ids=["refused", "filtered", "cut by us", "blocked", "taken back", "taken back and whole"],
)
def test_arguments_that_did_not_come_or_were_taken_back_are_none(
    client: str, events: list[AnyEvent], status: Status | None
) -> None:
    assert arguments(client, complete("anthropic-messages", events, status)) == [""]


@pytest.mark.parametrize("client", TEXTUAL)
def test_no_empty_object_is_made_up_for_a_stream_that_failed(client: str) -> None:
    log = complete("anthropic-messages", [*CALL, PartDone(0, 0)])[:-1]
    log.append((len(log) + 1, Terminal(Status.FAILED, code="upstream_cut", message="Cut.")))
    assert b'{}"' not in b"".join(frames(client_dialects()[client].encoder(), log))


@pytest.mark.parametrize("client", TEXTUAL)
def test_empty_delta_before_arguments_changes_nothing(client: str) -> None:
    events = [*CALL, Delta(0, 0, ""), Delta(0, 0, '{"a"'), Delta(0, 0, ":1}"), PartDone(0, 0)]
    assert arguments(client, complete("gemini", [*events, ChoiceDone(0, Reason.TOOL_CALLS)])) == ['{"a":1}']


def test_server_that_gives_an_empty_object_in_place_of_text_said_so() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": {}}}
    decoder = provider_dialects()["openai-chat"].whole_decoder(attempt=1, choices=1)
    choice = {"index": 0, "message": {"tool_calls": [call]}, "finish_reason": "stop"}
    events = decoder.feed(json.dumps({"choices": [choice]}).encode()) + decoder.finish()
    assert arguments("openai-chat", complete("openai-chat", events)) == ["{}"]
