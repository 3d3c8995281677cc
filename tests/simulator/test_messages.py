"""Anthropic Messages, with Anthropic's own SDK and types for judges."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anthropic
import httpx2
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from headgate.simulator import Simulator
from headgate.simulator.dialect import Dialect
from tests.simulator.sockets import serve
from tests.simulator.speaking import FUNCTIONS, names, objects, played

EVENT: Final[TypeAdapter[Any]] = TypeAdapter(RawMessageStreamEvent)
ASKED: Final = {"max_tokens": 5000, "messages": [{"role": "user", "content": "How is a gate opened?"}]}
TOOLS: Final = [{"name": one["name"], "input_schema": one["parameters"]} for one in FUNCTIONS]

Create = Callable[..., Awaitable[Any]]


def with_sdk(test: Callable[[AsyncAnthropic, Create], Awaitable[None]]) -> None:
    async def run(simulator: Simulator) -> None:
        async with AsyncAnthropic(base_url=simulator.root, api_key="any", max_retries=0) as client:

            async def create(model: str, **fields: Any) -> Any:
                return await client.messages.create(**{"model": model, **ASKED, **fields})

            await test(client, create)

    serve(run)


def streamed(model: str, **fields: Any) -> list[dict[str, Any]]:
    return objects(played(Dialect.MESSAGES, model, stream=True, **fields).body)


def test_stream_of_two_tokens_word_for_word() -> None:
    body = played(Dialect.MESSAGES, "sim-fast-t2", stream=True).body.decode()
    events = objects(body.encode())
    words = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
    usage = '"input_tokens":6,"cache_creation_input_tokens":0,"cache_read_input_tokens":0'
    details = '"output_tokens_details":{"thinking_tokens":0}'
    head = f'"model":"sim-fast-t2","id":"{events[0]["message"]["id"]}","type":"message","role":"assistant"'
    delta = 'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta",'
    assert body == (
        f'event: message_start\ndata: {{"type":"message_start","message":{{{head},"content":[],"stop_reason":null,'
        f'"stop_sequence":null,"usage":{{{usage},"output_tokens":1,{details},"service_tier":"standard"}}}}}}\n\n'
        'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
        '"content_block":{"type":"text","text":""}}\n\n'
        'event: ping\ndata: {"type": "ping"}\n\n'
        f'{delta}"text":"{words[0]}"}}}}\n\n{delta}"text":"{words[1]}"}}}}\n\n'
        'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
        'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null,'
        f'"stop_details":null}},"usage":{{{usage},"output_tokens":2,{details}}}}}\n\n'
        'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    )


MODELS: Final = [
    "sim-fast",
    "sim-fast-t0",
    "sim-fast-reasoning",
    "sim-fast-redacted",
    "sim-fast-reasoning+omitted-thinking",
    "sim-fast-parallel-reasoning",
    "sim-fast-refusal",
    "sim-fast-cached",
    "sim-fast-parallel-reasoning+interleaved",
    "sim-fast+pause",
]


@pytest.mark.parametrize("model", MODELS)
def test_every_event_is_what_the_types_say(model: str) -> None:
    for event in streamed(model, tools=True):
        if event["type"] != "ping":
            EVENT.validate_python(event, strict=True)
    Message.model_validate_json(played(Dialect.MESSAGES, model, tools=True).body, strict=True)


@pytest.mark.parametrize("model", MODELS)
def test_event_lines_say_what_the_data_says(model: str) -> None:
    body = played(Dialect.MESSAGES, model, stream=True, tools=True).body
    assert names(body) == [event["type"] for event in objects(body)]


@pytest.mark.parametrize("model", MODELS)
def test_sdk_accumulates_the_stream_to_the_whole_message(model: str) -> None:
    async def test(client: AsyncAnthropic, create: Create) -> None:
        asked: Any = {"model": model, "tools": TOOLS, **ASKED}
        async with client.messages.stream(**asked) as stream:
            async for _ in stream:
                pass
            accumulated: dict[str, Any] = (await stream.get_final_message()).to_dict()
        whole: dict[str, Any] = (await create(model, tools=TOOLS)).to_dict()
        assert accumulated["id"].startswith("msg_")
        for message in (accumulated, whole):
            del message["id"]
            message["content"] = [
                {k: v for k, v in block.items() if k != "parsed_output"} for block in message["content"]
            ]
        assert accumulated == whole

    with_sdk(test)


def test_thinking_is_signed_and_stands_first() -> None:
    events = streamed("sim-fast-redacted-t3")
    kinds = [event["content_block"]["type"] for event in events if event["type"] == "content_block_start"]
    assert kinds == ["thinking", "redacted_thinking", "text"]
    deltas = [event["delta"]["type"] for event in events if event["type"] == "content_block_delta"]
    first = deltas.index("signature_delta")
    assert set(deltas[:first]) == {"thinking_delta"}
    assert deltas[first:] == ["signature_delta", *["text_delta"] * 3]


def test_tool_use_starts_empty_and_its_first_piece_is_empty() -> None:
    events = streamed("sim-fast-tools", tools=True)
    start = next(event for event in events if event["type"] == "content_block_start")
    assert start["content_block"]["input"] == {}
    assert start["content_block"]["id"].startswith("toolu_")
    pieces = [event["delta"]["partial_json"] for event in events if event["type"] == "content_block_delta"]
    assert pieces[0] == ""
    assert (
        json.loads("".join(pieces))
        == played(Dialect.MESSAGES, "sim-fast-tools", tools=True).whole["content"][0]["input"]
    )


def test_stop_sequence_is_named() -> None:
    whole = played(Dialect.MESSAGES, "sim-fast").whole["content"][0]["text"]
    stopped = played(Dialect.MESSAGES, "sim-fast", stops=["no such text", whole[40:44]]).whole
    assert (stopped["stop_reason"], stopped["stop_sequence"]) == ("stop_sequence", whole[40:44])


@pytest.mark.parametrize(
    ("fields", "names_field"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "tool", "name": "x"}}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "tool"}}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "perhaps"}}, "tool_choice"),
        ({"thinking": {"type": "enabled", "budget_tokens": 3}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5000}}, "max_tokens"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_bad_field_is_refused_by_name(fields: dict[str, Any], names_field: str) -> None:
    async def test(_: AsyncAnthropic, create: Create) -> None:
        with pytest.raises(anthropic.BadRequestError, match=names_field) as refused:
            await create("sim-fast", **fields)
        assert refused.value.type == "invalid_request_error"

    with_sdk(test)


def test_tokens_are_counted_and_models_listed() -> None:
    async def test(client: AsyncAnthropic, _: Create) -> None:
        counted = await client.messages.count_tokens(
            model="sim", system="Be brief.", messages=[{"role": "user", "content": "How is a gate opened?"}]
        )
        assert counted.input_tokens == 9
        models = await client.models.list()
        assert "sim-reasoning" in [model.id for model in models.data]
        assert not models.has_next_page()
        assert (await client.models.retrieve("sim-t5+cut@3")).display_name == "sim-t5+cut@3"
        with pytest.raises(anthropic.NotFoundError):
            await client.models.retrieve("claude-9")

    with_sdk(test)


@pytest.mark.parametrize(
    ("fault", "error", "kind"),
    [
        ("429@7", anthropic.RateLimitError, "rate_limit_error"),
        ("500", anthropic.InternalServerError, "api_error"),
        ("503", anthropic.InternalServerError, "api_error"),
        ("529", anthropic.APIStatusError, "overloaded_error"),
        ("401", anthropic.AuthenticationError, "authentication_error"),
        ("400", anthropic.BadRequestError, "invalid_request_error"),
        ("404", anthropic.NotFoundError, "not_found_error"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_statuses_as_the_sdk_shows_them(
    fault: str, error: type[anthropic.APIStatusError], kind: str, stream: bool
) -> None:
    async def test(_: AsyncAnthropic, create: Create) -> None:
        with pytest.raises(error) as refused:
            await create(f"sim-fast+{fault}", stream=stream)
        assert refused.value.status_code == int(fault.partition("@")[0])
        assert refused.value.type == kind
        assert refused.value.response.headers.get("retry-after") == ("7" if "@" in fault else None)
        assert (refused.value.request_id or "").startswith("req_")

    with_sdk(test)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("cut@3", httpx2.RemoteProtocolError),
        ("reset@3", httpx2.ReadError),
        ("error@3", anthropic.APIStatusError),
        ("overloaded@3", anthropic.APIStatusError),
        ("garbage@3", json.JSONDecodeError),
        ("eof@3", None),
        ("close@3", None),
        ("error-object@3", None),
        ("no-done", None),
    ],
)
def test_broken_streams_as_the_sdk_shows_them(fault: str, error: type[Exception] | None) -> None:
    """None: the SDK's plain stream ends as if all were well. That is its trap, and why the fault exists."""

    async def test(_: AsyncAnthropic, create: Create) -> None:
        async def drain() -> list[str]:
            return [event.type async for event in await create("sim-fast-t9+" + fault, stream=True)]

        if error is None:
            assert "message_stop" not in await drain()
            return
        with pytest.raises(error) as failed:
            await drain()
        if fault == "overloaded@3":
            assert "overloaded_error" in str(failed.value)

    with_sdk(test)
