"""Frames of logs that another dialect's provider answered, or more than one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headgate.assemble import Fold
from headgate.dialects.openai_chat import OPENAI_CHAT
from headgate.events import (
    AnyEvent,
    AttemptDescribed,
    AttemptEnded,
    AttemptStarted,
    ChoiceDone,
    Delta,
    Extra,
    Opaque,
    PartDone,
    PartKind,
    PartStarted,
    Reason,
    ResponseStarted,
    Retracted,
    Status,
    Terminal,
    Usage,
)

STARTED = ResponseStarted("resp_" + "0" * 32, "app", "openai-chat", "asked", 1, include_usage=True)


def chunks(*events: AnyEvent) -> list[Any]:
    """Everything in ``data:`` lines of the stream; the end marker as it is."""
    encoder = OPENAI_CHAT.encoder()
    data = b"".join(encoder.feed(seq, event) for seq, event in enumerate((STARTED, *events), 1)).decode()
    lines = [line[6:] for line in data.split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def fold(*events: AnyEvent) -> Fold:
    fold = Fold()
    for seq, event in enumerate((STARTED, *events), 1):
        fold.feed(seq, event)
    return fold


def other(part: int = 0) -> list[AnyEvent]:
    """A part of another dialect's own kind, from its start to its end."""
    extra = Extra(delta={"type": "server_tool_use"})
    return [
        PartStarted(0, part, PartKind.OTHER, extra=extra),
        Delta(0, part, '{"query":'),
        Delta(0, part, "1}", Extra(delta={"x": 1})),
        PartDone(0, part),
    ]


@pytest.mark.parametrize("dialect", ["anthropic-messages", "openai-chat"])
def test_part_of_another_dialects_own_kind_is_not_shown(dialect: str) -> None:
    log: list[AnyEvent] = [
        AttemptStarted(1, "p", dialect, "m"),
        *other(0),
        PartStarted(0, 1, PartKind.TEXT),
        Delta(0, 1, "Hi"),
        PartDone(0, 1),
        *other(2),
        PartStarted(0, 3, PartKind.TOOL_CALL, "c", "f"),
        Delta(0, 3, "{}"),
        PartDone(0, 3),
        ChoiceDone(0, Reason.TOOL_CALLS),
        Terminal(Status.COMPLETED),
    ]
    shown = [chunk["choices"][0]["delta"] for chunk in chunks(*log)[:-1]]
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
    arguments = {"index": 0, "function": {"arguments": "{}"}}
    calls = [{"tool_calls": [call]}, {"tool_calls": [arguments]}]
    assert shown == [{"role": "assistant", "content": ""}, {"content": "Hi"}, *calls, {}]
    if dialect != "openai-chat":
        message = json.loads(OPENAI_CHAT.whole(fold(*log)))["choices"][0]["message"]
        assert message.keys() == {"role", "content", "refusal", "tool_calls"}
        assert message["content"] == "Hi"


def test_answer_of_nothing_but_another_dialects_own_parts_is_empty() -> None:
    log = [
        AttemptStarted(1, "p", "anthropic-messages", "m"),
        *other(),
        ChoiceDone(0, Reason.STOP),
        Terminal(Status.COMPLETED),
    ]
    assert chunks(*log)[0]["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert json.loads(OPENAI_CHAT.whole(fold(*log)))["choices"][0]["message"]["content"] is None


def test_replacement_inside_such_a_part_is_not_shown_either() -> None:
    log = [
        AttemptStarted(1, "p", "anthropic-messages", "m"),
        *other()[:2],
        Retracted(0, 0, 0, 4, "rule", replacement="***"),
    ]
    assert chunks(*log) == []


def test_second_attempt_begins_with_what_was_asked_for() -> None:
    """Nothing that the first attempt said of its answer is shown for the second's."""
    shown = chunks(
        AttemptStarted(1, "p", "openai-chat", "m"),
        AttemptDescribed(1, "id", "m-2024", {"system_fingerprint": "fp"}),
        AttemptEnded(1, "upstream_error"),
        AttemptStarted(2, "q", "anthropic-messages", "c"),
        PartStarted(0, 0, PartKind.TEXT),
        Delta(0, 0, "a", Extra(choice={"x": 1})),
        AttemptDescribed(2, "id2", "c-2025", {"anthropic": 1}),
        Opaque(0, Extra(choice={"y": 1})),
        Delta(0, 0, "b"),
    )
    assert [chunk["model"] for chunk in shown] == ["asked", "asked", "c-2025"]
    assert all(chunk.keys() == {"id", "object", "created", "model", "choices"} for chunk in shown)
    assert all(chunk["choices"][0].keys() == {"index", "delta", "finish_reason"} for chunk in shown)


def test_part_that_goes_on_under_another_attempt_shows_that_attempts_model() -> None:
    shown = chunks(
        AttemptStarted(1, "p", "openai-chat", "m"),
        AttemptDescribed(1, "id", "one"),
        PartStarted(0, 0, PartKind.TEXT),
        Delta(0, 0, "a"),
        AttemptEnded(1, "upstream_cut"),
        AttemptStarted(2, "q", "openai-chat", "m"),
        AttemptDescribed(2, "id", "two"),
        Delta(0, 0, "b"),
    )
    assert [chunk["model"] for chunk in shown] == ["one", "one", "two"]


@pytest.mark.parametrize(("dialect", "type"), [("openai-chat", "theirs"), ("gemini", "rate_limit_error")])
def test_providers_error_object_is_shown_only_if_it_speaks_the_dialect(dialect: str, type: str) -> None:
    terminal = Terminal(
        Status.FAILED, "upstream_rate_limited", message="Slow down.", http_status=429, detail={"type": "theirs"}
    )
    (frame,) = chunks(AttemptStarted(1, "p", dialect, "m"), terminal)
    assert frame["error"]["type"] == type
    whole = json.loads(OPENAI_CHAT.terminal_error(terminal, same_dialect=dialect == "openai-chat"))
    assert whole == frame


def test_usage_of_another_dialect_says_what_was_cached_and_what_was_reasoning() -> None:
    end: list[AnyEvent] = [ChoiceDone(0, Reason.STOP), Terminal(Status.COMPLETED)]
    usage = Usage(9, 5, cached_tokens=4, reasoning_tokens=3, provider={"input_tokens": 5})
    shown = chunks(AttemptStarted(1, "p", "anthropic-messages", "m"), usage, *end)[-2]["usage"]
    assert shown == {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    bare = chunks(AttemptStarted(1, "p", "gemini", "m"), Usage(9, 5, provider={"a": 1}), *end)[-2]["usage"]
    assert bare == {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
