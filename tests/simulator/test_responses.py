"""OpenAI Responses, with OpenAI's own SDK and types for judges."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from headgate.simulator import Simulator
from headgate.simulator.dialect import Dialect
from tests.simulator.sockets import serve
from tests.simulator.speaking import ASKED, FUNCTIONS, names, objects, played

EVENT: Final[TypeAdapter[Any]] = TypeAdapter(ResponseStreamEvent)
TOOLS: Final = [{"type": "function", "strict": True, **one} for one in FUNCTIONS]

Create = Callable[..., Awaitable[Any]]


def with_sdk(test: Callable[[AsyncOpenAI, Create], Awaitable[None]]) -> None:
    async def run(simulator: Simulator) -> None:
        async with AsyncOpenAI(base_url=simulator.url, api_key="any", max_retries=0) as client:

            async def create(model: str, **fields: Any) -> Any:
                return await client.responses.create(**{"model": model, "input": ASKED, **fields})

            await test(client, create)

    serve(run)


def streamed(model: str, **fields: Any) -> list[dict[str, Any]]:
    return objects(played(Dialect.RESPONSES, model, stream=True, **fields).body)


MODELS: Final = [
    "sim-fast",
    "sim-fast-t0",
    "sim-fast-t1",
    "sim-fast-reasoning",
    "sim-fast-reasoning+raw-reasoning",
    "sim-fast-redacted",
    "sim-fast-parallel-reasoning",
    "sim-fast-refusal",
    "sim-fast-t20+refused@8",
    "sim-fast-parallel-reasoning+interleaved",
    "sim-fast+length",
    "sim-fast+content-filter",
]


def test_order_of_events_of_a_text() -> None:
    events = streamed("sim-fast-t2")
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    item = events[2]["item"]["id"]
    delta = events[4]
    assert list(delta) == [
        "type",
        "sequence_number",
        "item_id",
        "output_index",
        "content_index",
        "logprobs",
        "delta",
        "obfuscation",
    ]
    assert (delta["item_id"], delta["logprobs"]) == (item, [])
    assert events[2]["item"] == {
        "id": item,
        "type": "message",
        "status": "in_progress",
        "content": [],
        "role": "assistant",
    }
    assert events[-1]["response"]["output"] == [events[-2]["item"]]
    assert events[-1]["response"]["status"] == "completed"
    assert events[0]["response"]["usage"] is None


@pytest.mark.parametrize("model", MODELS)
def test_every_event_is_what_the_types_say(model: str) -> None:
    body = played(Dialect.RESPONSES, model, stream=True, tools=True).body
    events = objects(body)
    for event in events:
        EVENT.validate_python(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert names(body) == [event["type"] for event in events]
    assert b"[DONE]" not in body
    Response.model_validate_json(played(Dialect.RESPONSES, model, tools=True).body)


def without_ids(response: dict[str, Any]) -> dict[str, Any]:
    """A response without what depends on the digest of the request."""
    for item in response["output"]:
        del item["id"]
        for part in item.get("content") or ():
            part.pop("parsed", None)
        item.pop("parsed_arguments", None)
    return {key: value for key, value in response.items() if key not in ("id", "created_at", "completed_at")}


@pytest.mark.parametrize("model", MODELS)
def test_sdk_accumulates_the_stream_to_the_whole_response(model: str) -> None:
    async def test(client: AsyncOpenAI, create: Create) -> None:
        asked: Any = {"model": model, "input": ASKED, "tools": TOOLS}
        last = None
        async with client.responses.stream(**asked) as stream:
            async for event in stream:
                last = event
        accumulated: Any = last
        whole = await create(model, tools=TOOLS)
        assert without_ids(accumulated.response.to_dict()) == without_ids(whole.to_dict())

    with_sdk(test)


def folded(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items as their ``.added`` and ``.done`` events tell them, every delta checked against its ``.done``."""
    said: dict[tuple[Any, ...], str] = {}
    items: dict[int, dict[str, Any]] = {}
    for event in events:
        place = tuple(event.get(key) for key in ("item_id", "content_index", "summary_index"))
        match event["type"].rpartition(".")[2]:
            case "delta":
                said[place] = said.get(place, "") + event["delta"]
            case "done" if {"text", "refusal", "arguments"} & set(event):
                assert said[place] == event.get("text", event.get("refusal", event.get("arguments")))
            case "done" if "item" in event:
                items[event["output_index"]] = event["item"]
    return [items[index] for index in sorted(items)]


@pytest.mark.parametrize("model", MODELS)
def test_deltas_done_events_and_the_final_output_agree(model: str) -> None:
    events = streamed(model, tools=True)
    assert folded(events) == events[-1]["response"]["output"]


def test_items_are_begun_once_and_ended_once() -> None:
    events = streamed("sim-fast-parallel-reasoning+interleaved", tools=True)
    added = [event["output_index"] for event in events if event["type"] == "response.output_item.added"]
    done = [event["output_index"] for event in events if event["type"] == "response.output_item.done"]
    assert added == [0, 1, 2]
    assert sorted(done) == added
    first_done = next(i for i, event in enumerate(events) if event["type"] == "response.output_item.done")
    assert {event.get("output_index") for event in events[2:first_done]} == {0, 1, 2}, "the items overlap"


def test_summary_comes_in_parts() -> None:
    events = streamed("sim-fast-reasoning-t2")
    parts = [event["summary_index"] for event in events if event["type"] == "response.reasoning_summary_part.added"]
    assert parts == [0, 1]
    summary = events[-1]["response"]["output"][0]["summary"]
    assert "".join(part["text"] for part in summary) == "".join(
        event["delta"] for event in events if event["type"] == "response.reasoning_summary_text.delta"
    )


def test_request_is_repeated_in_the_answer() -> None:
    async def test(_: AsyncOpenAI, create: Create) -> None:
        given = {"instructions": "Be brief.", "metadata": {"a": "b"}, "temperature": 0.5, "tools": TOOLS}
        response = await create("sim-fast", max_output_tokens=7, reasoning={"effort": "low"}, **given)
        assert (response.instructions, response.metadata, response.temperature) == ("Be brief.", {"a": "b"}, 0.5)
        assert [tool.name for tool in response.tools] == ["open_gate", "close_gate", "ring_bell"]
        assert response.reasoning.effort == "low"
        assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
        assert response.output[0].status == "incomplete"

    with_sdk(test)


def test_padding_and_sealed_reasoning_and_logprobs_on_demand() -> None:
    async def test(_: AsyncOpenAI, create: Create) -> None:
        plain = [event async for event in await create("sim-fast-t3", stream=True)]
        assert {len(event.obfuscation) for event in plain if event.type == "response.output_text.delta"} != {0}
        options = {"include_obfuscation": False}
        bare = [event async for event in await create("sim-fast-t3", stream=True, stream_options=options)]
        assert not any(hasattr(event, "obfuscation") for event in bare)
        sealed = await create("sim-fast-reasoning-t3", include=["reasoning.encrypted_content"])
        assert sealed.output[0].encrypted_content.startswith("gAAAA")
        likely = await create("sim-fast-t3", include=["message.output_text.logprobs"], top_logprobs=2)
        entries = likely.output[0].content[0].logprobs
        assert "".join(entry.token for entry in entries) == likely.output_text
        assert all(len(entry.top_logprobs) == 2 for entry in entries)

    with_sdk(test)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": []}, "input"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "sometimes", "tools": TOOLS}, "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "x"}, "tools": TOOLS}, "tool_choice"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_bad_field_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    async def test(_: AsyncOpenAI, create: Create) -> None:
        with pytest.raises(openai.BadRequestError) as refused:
            await create("sim-fast", **fields)
        assert refused.value.param == param

    with_sdk(test)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("429", openai.RateLimitError),
        ("503", openai.InternalServerError),
        ("401", openai.AuthenticationError),
        ("cut@3", openai.APIConnectionError),
        ("reset@3", openai.APIConnectionError),
        ("error-object@3", openai.APIError),
        ("error@3", openai.APIError),
        ("garbage@3", json.JSONDecodeError),
        ("error-event@3", None),
        ("failed@3", None),
        ("overloaded@3", None),
        ("eof@3", None),
        ("close@3", None),
        ("no-done", None),
        ("no-finish", None),
    ],
)
def test_faults_as_the_sdk_shows_them(fault: str, error: type[Exception] | None) -> None:
    """None: the loop over events ends as if all were well; whoever does not look at the last event is misled."""

    async def test(_: AsyncOpenAI, create: Create) -> None:
        async def drain() -> list[str]:
            return [event.type async for event in await create("sim-fast-t9+" + fault, stream=True)]

        if error is None:
            assert "response.completed" not in await drain()
            return
        with pytest.raises(error):
            await drain()

    with_sdk(test)


def test_whole_response_that_failed_says_so() -> None:
    async def test(_: AsyncOpenAI, create: Create) -> None:
        response = await create("sim-fast+failed")
        assert (response.status, response.error.code, response.output) == ("failed", "server_error", [])

    with_sdk(test)


def test_conversation_is_compacted_to_what_the_user_said_and_one_sealed_item() -> None:
    async def test(client: AsyncOpenAI, create: Create) -> None:
        said: Any = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
        compacted = await client.responses.compact(model="sim-fast", input=said)
        user, item = (one.model_dump(exclude_none=True, warnings=False) for one in compacted.output)
        assert (compacted.object, user["role"], user["content"][0]["text"]) == ("response.compaction", "user", "Hi")
        assert item["type"] == "compaction"
        again = await client.responses.compact(model="sim-fast", input=said)
        assert again == compacted
        answer = await create("sim-fast", input=[user, item, {"role": "user", "content": "And now?"}])
        assert answer.status == "completed"
        with pytest.raises(openai.RateLimitError):
            await client.responses.compact(model="sim-fast+429", input="Hi")

    with_sdk(test)
