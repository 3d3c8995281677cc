"""The bytes of a stream without faults: OpenAI's chunks, in OpenAI's order, at the right times."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.simulator.steps import Delimit, End
from tests.simulator.asking import TOOLS, answered, events, finishes, said, streamed


def test_stream_of_two_tokens_word_for_word() -> None:
    stream = streamed("sim-fast-t2", seed=1, stream_options={"include_usage": True})
    head = stream.chunks[0]
    start = (
        f'data: {{"id":"{head["id"]}","object":"chat.completion.chunk","created":{head["created"]},'
        f'"model":"sim-fast-t2","service_tier":"default","system_fingerprint":"{head["system_fingerprint"]}","choices":['
    )
    words = [chunk["choices"][0]["delta"]["content"] for chunk in stream.chunks[1:3]]
    choices = [
        '{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}',
        *(
            '{"index":0,"delta":{"content":"%s"},"logprobs":null,"finish_reason":null}' % word  # noqa: UP031
            for word in words
        ),
        '{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}',
    ]
    usage = json.dumps(stream.chunks[-1]["usage"], separators=(",", ":"))
    lines = [*(f'{start}{choice}],"usage":null}}' for choice in choices), f'{start}],"usage":{usage}}}', "data: [DONE]"]
    assert stream.body.decode() == "".join(f"{line}\n\n" for line in lines)
    assert stream.chunks[-1]["usage"]["completion_tokens"] == stream.tokens == 2
    assert stream.head is not None
    assert (stream.head.status, stream.head.delimit) == (200, Delimit.CHUNKED)
    assert isinstance(stream.last, End)


def test_usage_comes_only_when_asked_for() -> None:
    assert all("usage" not in chunk for chunk in streamed("sim-fast-t3").chunks)


def test_choices_are_interleaved_and_each_finishes() -> None:
    stream = streamed("sim-fast-t3", n=3)
    order = [chunk["choices"][0]["index"] for chunk in stream.chunks]
    assert order == [0, 1, 2] * 3 + [0, 0, 1, 1, 2, 2]
    assert finishes(stream.chunks) == [(0, "stop"), (1, "stop"), (2, "stop")]
    assert len({said(stream.chunks, choice=i) for i in range(3)}) == 3


def test_reasoning_comes_before_content() -> None:
    chunks = streamed("sim-fast-reasoning-t5").chunks
    kinds = [next(iter(chunk["choices"][0]["delta"]), "") for chunk in chunks[1:-1]]
    assert kinds == sorted(kinds, reverse=True)
    assert set(kinds) == {"reasoning_content", "content"}
    message = answered("sim-fast-reasoning-t5").whole["choices"][0]["message"]
    assert said(chunks, "reasoning_content") == message["reasoning_content"]


def test_tool_calls_come_as_head_and_pieces_of_arguments() -> None:
    stream = streamed("sim-fast-tools", tools=TOOLS, parallel_tool_calls=True)
    calls: dict[int, dict[str, str]] = {}
    for chunk in stream.chunks:
        for delta in chunk["choices"][0]["delta"].get("tool_calls", ()):
            if "id" in delta:
                assert delta["type"] == "function"
                calls[delta["index"]] = {"id": delta["id"], "name": delta["function"]["name"], "arguments": ""}
            calls[delta["index"]]["arguments"] += delta["function"]["arguments"]
    expected = answered("sim-fast-tools", tools=TOOLS, parallel_tool_calls=True).whole["choices"][0]["message"]
    assert list(calls.values()) == [{"id": call["id"], **call["function"]} for call in expected["tool_calls"]]
    assert [call["name"] for call in calls.values()] == ["open_gate", "close_gate"]
    assert len({call["id"] for call in calls.values()}) == 2
    assert stream.chunks[0]["choices"][0]["delta"]["content"] is None
    assert finishes(stream.chunks) == [(0, "tool_calls")]
    assert len(stream.chunks) > 12


def test_refusal_comes_as_deltas_of_its_own() -> None:
    chunks = streamed("sim-fast-refusal").chunks
    assert said(chunks) == ""
    assert said(chunks, "refusal") == answered("sim-fast-refusal").whole["choices"][0]["message"]["refusal"]


def test_logprobs_of_the_stream_are_those_of_the_whole_answer() -> None:
    chunks = streamed("sim-fast-t4", logprobs=True, top_logprobs=2).chunks
    entries = [entry for chunk in chunks for entry in (chunk["choices"][0]["logprobs"] or {}).get("content", ())]
    assert entries == answered("sim-fast-t4", logprobs=True, top_logprobs=2).whole["choices"][0]["logprobs"]["content"]


@given(st.integers(1, 50), st.integers(1, 500), st.integers(0, 900))
def test_tokens_are_due_by_rate_after_the_first(tokens: int, rate: int, ttft_ms: int) -> None:
    writes = streamed(f"sim-t{tokens}-r{rate}-f{ttft_ms}").writes
    due = [when for when, data in writes if b'"content":' in data][1:]
    assert due == pytest.approx([ttft_ms / 1000 + i / rate for i in range(tokens)])


def test_whole_answer_is_due_when_the_last_token_would_have_been() -> None:
    ((due, _),) = answered("sim-t11-r50-f100").writes
    assert due == pytest.approx(0.3)


def test_flood_waits_for_nothing() -> None:
    assert {when for when, _ in streamed("sim-fast").writes} == {0.0}


def test_answer_without_tokens_still_finishes() -> None:
    stream = streamed("sim-fast-t0", n=2)
    assert finishes(stream.chunks) == [(0, "stop"), (1, "stop")]
    assert events(stream.body)[-1] == b"[DONE]"
