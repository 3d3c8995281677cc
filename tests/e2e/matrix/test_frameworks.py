"""A framework and a tool that people use, pointed at the gateway: pydantic-ai, and the ``llm`` command line."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic_ai import Agent, ModelRequest
from pydantic_ai.messages import ToolReturnPart
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider

from tests.e2e.harness import GatewayProcess
from tests.e2e.matrix.seen import DIALECTS
from tests.e2e.matrix.words import PROMPT
from tests.soak import soaking

LLM_S: Final = 60.0
MODELS: Final[dict[str, Callable[[str, str], Model]]] = {
    "openai-chat": lambda name, url: OpenAIChatModel(name, provider=OpenAIProvider(f"{url}/v1", api_key="none")),
    "openai-responses": lambda name, url: OpenAIResponsesModel(
        name, provider=OpenAIProvider(f"{url}/v1", api_key="none")
    ),
    "anthropic-messages": lambda name, url: AnthropicModel(
        name, provider=AnthropicProvider(base_url=url, api_key="none")
    ),
    "gemini": lambda name, url: GoogleModel(name, provider=GoogleProvider(base_url=url, api_key="none")),
}
each_client = pytest.mark.parametrize("client", DIALECTS)
each_provider = pytest.mark.parametrize("provider", DIALECTS)


def keeper(model: Model) -> tuple[Agent, list[int]]:
    """An agent with a tool, and what the tool was called with."""
    called: list[int] = []
    agent = Agent(model, system_prompt="You keep the gates.")

    @agent.tool_plain
    def open_gate(gate: str, inches: int) -> str:
        called.append(inches)
        return f"{gate} is open by {inches}"

    return agent, called


def done(work: Coroutine[Any, Any, str]) -> str:
    return asyncio.run(work)


@each_provider
@each_client
def test_agent_calls_its_tool_and_answers(crossing: GatewayProcess, client: str, provider: str) -> None:
    agent, called = keeper(MODELS[client](f"{provider}/sim-fast-tools", crossing.url))

    async def ask() -> str:
        result = await agent.run(PROMPT)
        returns = [
            part.content
            for message in result.all_messages()
            if isinstance(message, ModelRequest)
            for part in message.parts
            if isinstance(part, ToolReturnPart)
        ]
        assert len(returns) == 1
        assert result.usage.output_tokens > 0
        return result.output

    assert done(ask())
    assert len(called) == 1


@each_provider
@each_client
def test_agent_that_streams_calls_its_tool_and_answers(crossing: GatewayProcess, client: str, provider: str) -> None:
    agent, called = keeper(MODELS[client](f"{provider}/sim-fast-tools", crossing.url))

    async def ask() -> str:
        async with agent.run_stream(PROMPT) as result:
            deltas = [text async for text in result.stream_text(delta=True, debounce_by=None)]
            assert "".join(deltas) == await result.get_output()
            return await result.get_output()

    assert done(ask())
    assert len(called) == 1


@pytest.mark.parametrize("provider", DIALECTS if soaking() else ["anthropic-messages"])  # it is slow to start
def test_llm_on_the_command_line_streams_its_answer(crossing: GatewayProcess, provider: str, tmp_path: Path) -> None:
    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: gate\n  model_name: {provider}/sim-fast-t30\n  api_base: {crossing.url}/v1\n  api_key_name: gate\n",
        "utf-8",
    )
    (tmp_path / "keys.json").write_text('{"gate": "none"}', "utf-8")
    environment = {**os.environ, "LLM_USER_PATH": str(tmp_path)}

    def llm(*arguments: str) -> str:
        command = [str(Path(sys.executable).with_name("llm")), "-m", "gate", *arguments, PROMPT]
        ran = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LLM_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    streamed = llm()
    assert len(streamed) > 30
    assert llm("--no-stream") == streamed
