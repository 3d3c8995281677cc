"""The official SDK takes the simulator for OpenAI, and shows its faults as a user of it would meet them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from headgate.simulator import Simulator, SimulatorConfig
from tests.simulator import asking
from tests.simulator.sockets import serve

Chat = Callable[..., Awaitable[Any]]


def with_sdk(test: Callable[[Chat, Simulator], Awaitable[None]], config: SimulatorConfig | None = None) -> None:
    """Run a test that is handed the SDK's ``chat.completions.create`` for our messages."""

    async def run(simulator: Simulator) -> None:
        async with AsyncOpenAI(base_url=simulator.url, api_key="any", max_retries=0) as client:

            async def chat(model: str, **fields: Any) -> Any:
                return await client.chat.completions.create(**{"model": model, "messages": asking.MESSAGES, **fields})

            await test(chat, simulator)

    serve(run, config)


async def drain(stream: Any) -> list[dict[str, Any]]:
    async with stream:
        return [chunk.model_dump() async for chunk in stream]


def test_stream_and_whole_answer() -> None:
    async def test(chat: Chat, simulator: Simulator) -> None:
        chunks = await drain(await chat("sim-t30-r1000-f5", stream=True, stream_options={"include_usage": True}))
        whole = await chat("sim-fast-t30")
        assert asking.said(chunks) == whole.choices[0].message.content
        assert asking.finishes(chunks) == [(0, "stop")]
        assert chunks[-1]["usage"]["completion_tokens"] == whole.usage.completion_tokens == 30
        assert simulator.stats.tokens == 60

    with_sdk(test)


def test_several_choices_with_logprobs() -> None:
    async def test(chat: Chat, _: Simulator) -> None:
        whole = await chat("sim-fast-t5", n=3, logprobs=True, top_logprobs=2)
        for choice in whole.choices:
            assert "".join(entry.token for entry in choice.logprobs.content) == choice.message.content
            assert all(len(entry.top_logprobs) == 2 for entry in choice.logprobs.content)
        chunks = await drain(await chat("sim-fast-t5", n=3, stream=True))
        assert [asking.said(chunks, choice=i) for i in range(3)] == [one.message.content for one in whole.choices]

    with_sdk(test)


def test_tools_in_both_modes() -> None:
    async def test(chat: Chat, _: Simulator) -> None:
        whole = await chat("sim-fast-tools", tools=asking.TOOLS, parallel_tool_calls=True)
        calls = whole.choices[0].message.tool_calls
        assert [call.function.name for call in calls] == ["open_gate", "close_gate"]
        chunks = await drain(await chat("sim-fast-tools", tools=asking.TOOLS, parallel_tool_calls=True, stream=True))
        deltas = [one for chunk in chunks for one in chunk["choices"][0]["delta"].get("tool_calls") or ()]
        for index, call in enumerate(calls):
            arguments = "".join(one["function"]["arguments"] for one in deltas if one["index"] == index)
            assert arguments == call.function.arguments
            assert json.loads(arguments)["inches"] >= 1

    with_sdk(test)


def test_structured_output() -> None:
    schema = {
        "type": "object",
        "properties": {"gates": {"type": "array", "items": {"enum": ["up", "down"]}, "minItems": 3}},
        "required": ["gates"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "state", "schema": schema, "strict": True}}

    async def test(chat: Chat, _: Simulator) -> None:
        whole = await chat("sim-fast", response_format=form)
        gates = json.loads(whole.choices[0].message.content)["gates"]
        assert len(gates) == 3
        assert set(gates) <= {"up", "down"}

    with_sdk(test)


def test_refusal_and_reasoning() -> None:
    async def test(chat: Chat, _: Simulator) -> None:
        refused = (await chat("sim-fast-refusal")).choices[0].message
        assert refused.content is None
        chunks = await drain(await chat("sim-fast-refusal", stream=True))
        assert asking.said(chunks, "refusal") == refused.refusal
        thought = (await chat("sim-fast-reasoning")).choices[0].message
        assert len(thought.reasoning_content) > 50

    with_sdk(test)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("429", openai.RateLimitError),
        ("500", openai.InternalServerError),
        ("503", openai.InternalServerError),
        ("401", openai.AuthenticationError),
        ("400", openai.BadRequestError),
        ("404", openai.NotFoundError),
        ("cut@3", openai.APIConnectionError),
        ("reset@3", openai.APIConnectionError),
        ("bad-length", None),
        ("error@3", openai.APIError),
        ("error-event@3", openai.APIError),
        ("garbage@3", json.JSONDecodeError),
        ("close@3", None),
        ("eof@3", None),
    ],
)
def test_faults_as_the_sdk_shows_them(fault: str, error: type[Exception] | None) -> None:
    """None: the SDK takes the broken stream for a success. That is its trap, and why the fault exists."""

    async def test(chat: Chat, _: Simulator) -> None:
        if error is None:
            assert await drain(await chat("sim-fast-t9+" + fault, stream=True))
            return
        with pytest.raises(error):
            await drain(await chat("sim-fast-t9+" + fault, stream=True))

    with_sdk(test)


def test_unknown_model_says_which_there_are() -> None:
    async def test(chat: Chat, _: Simulator) -> None:
        with pytest.raises(openai.NotFoundError, match="sim-reasoning") as refused:
            await chat("gpt-5")
        assert refused.value.code == "model_not_found"

    with_sdk(test)


def test_configured_model_and_pace() -> None:
    async def test(chat: Chat, _: Simulator) -> None:
        assert (await chat("tiny")).usage.completion_tokens == 2

    with_sdk(test, SimulatorConfig(rate=0, ttft_ms=0, models={"tiny": "sim-t2"}))


def test_client_that_leaves_is_counted() -> None:
    async def test(chat: Chat, simulator: Simulator) -> None:
        stream = await chat("sim-t1000-r100-f0", stream=True)
        async for _ in stream:
            break
        await stream.close()
        while not simulator.stats.aborts:
            await asyncio.sleep(0)
        assert simulator.stats.tokens < 100

    with_sdk(test)


def test_hundreds_of_streams_at_once() -> None:
    async def test(chat: Chat, simulator: Simulator) -> None:
        async def one(seed: int) -> int:
            return len(await drain(await chat("sim-t10-r100-f10", stream=True, seed=seed)))

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(seed)) for seed in range(100)]
        assert {task.result() for task in tasks} == {12}
        assert simulator.stats.tokens == 1000

    with_sdk(test)
