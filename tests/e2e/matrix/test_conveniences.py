"""What SDKs offer beside one answer: lists of models, counts of tokens, chats, helpers that put streams together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic
from openai import OpenAI
from pydantic import BaseModel

from tests.e2e.harness import GatewayProcess
from tests.e2e.matrix.desk import Desk
from tests.e2e.matrix.seen import DIALECTS, Job
from tests.e2e.matrix.words import PROMPT, SCHEMA, TOOLS, Ask, said

each_client = pytest.mark.parametrize("client", DIALECTS)
each_provider = pytest.mark.parametrize("provider", DIALECTS)
each_mode = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
MESSAGES: Any = [{"role": "user", "content": PROMPT}]


class Gate(BaseModel):
    gate: str
    inches: int


@pytest.fixture(scope="module")
def messages(crossing: GatewayProcess) -> Iterator[Anthropic]:
    with Anthropic(base_url=crossing.url, api_key="none", max_retries=0, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def openai(crossing: GatewayProcess) -> Iterator[OpenAI]:
    with OpenAI(base_url=crossing.url + "/v1", api_key="none", max_retries=0, timeout=30) as client:
        yield client


@each_client
def test_models_of_every_provider_are_listed(desk: Desk, crossing: GatewayProcess, language: str, client: str) -> None:
    (seen,) = desk.ask(crossing.url, [Job(f"{language} {client}", "", {}, act="models")])
    assert seen.error is None, seen.error
    names = {name.removeprefix("models/") for name in seen.value}
    assert {f"{provider}/sim-fast" for provider in DIALECTS} <= names


@each_client
def test_tokens_are_counted_without_an_answer(desk: Desk, crossing: GatewayProcess, language: str, client: str) -> None:
    if client == "openai-chat":
        pytest.skip("Chat Completions has no counting endpoint")
    jobs = [Job(f"{language} {client}", f"{provider}/sim", said(client, Ask()), act="count") for provider in DIALECTS]
    for seen in desk.ask(crossing.url, jobs):
        assert seen.error is None, seen.error
        assert 5 < seen.value < 40


@each_mode
@each_provider
def test_chat_of_google_keeps_its_turns(
    desk: Desk, crossing: GatewayProcess, language: str, provider: str, stream: bool
) -> None:
    params = {"messages": [PROMPT, "And then?"]}
    job = Job(f"{language} gemini", f"{provider}/sim-fast-reasoning-t20", params, stream=stream, act="chat")
    (seen,) = desk.ask(crossing.url, [job])
    assert seen.error is None, seen.error
    assert seen.value[0::2][:1] == ["user"]
    assert seen.value.count("user") == 2
    assert seen.value[-1] == "model"


@each_provider
def test_stream_helper_of_anthropic_tells_text_and_tools_apart(messages: Anthropic, provider: str) -> None:
    tools: Any = [{"name": name, "input_schema": SCHEMA} for name in TOOLS]
    model = f"{provider}/sim-fast-reasoning-parallel"
    with messages.messages.stream(model=model, max_tokens=999, messages=MESSAGES, tools=tools) as stream:
        kinds = [event.content_block.type for event in stream if event.type == "content_block_stop"]
        final = stream.get_final_message()
    assert kinds[-2:] == ["tool_use", "tool_use"]
    assert set(kinds[:-2]) == {"thinking"}
    assert [block.type for block in final.content] == kinds
    assert final.stop_reason == "tool_use"
    with messages.messages.stream(model=f"{provider}/sim-fast-t30", max_tokens=999, messages=MESSAGES) as stream:
        assert "".join(stream.text_stream) == stream.get_final_text()


@each_provider
def test_structured_output_is_parsed_by_the_helpers(messages: Anthropic, openai: OpenAI, provider: str) -> None:
    model = f"{provider}/sim-fast"
    parsed = messages.messages.parse(model=model, max_tokens=999, messages=MESSAGES, output_format=Gate)
    assert isinstance(parsed.parsed_output, Gate)
    chat = openai.chat.completions.parse(model=model, messages=MESSAGES, response_format=Gate)
    assert isinstance(chat.choices[0].message.parsed, Gate)
    response = openai.responses.parse(model=model, input=PROMPT, text_format=Gate)
    assert isinstance(response.output_parsed, Gate)


@each_provider
def test_stream_helpers_of_openai_put_the_answer_together(openai: OpenAI, provider: str) -> None:
    functions = [{"name": name, "parameters": SCHEMA, "strict": True} for name in TOOLS]
    chat_tools: Any = [{"type": "function", "function": function} for function in functions]
    tools: Any = [{"type": "function", **function} for function in functions]
    model = f"{provider}/sim-fast-parallel"
    with openai.chat.completions.stream(model=model, messages=MESSAGES, tools=chat_tools) as chat:
        calls = chat.get_final_completion().choices[0].message.tool_calls or []
    assert [call.function.name for call in calls] == list(TOOLS)
    assert all(set(json.loads(call.function.arguments)) == {"gate", "inches"} for call in calls)
    with openai.responses.stream(model=model, input=PROMPT, tools=tools) as stream:
        items: list[Any] = [event.item for event in stream if event.type == "response.output_item.done"]
        final: list[Any] = list(stream.get_final_response().output)
    assert [item.name for item in items if item.type == "function_call"] == list(TOOLS)
    assert [item.id for item in final] == [item.id for item in items]


def test_synchronous_clients_see_the_same_failures(messages: Anthropic, openai: OpenAI) -> None:
    with (
        messages.messages.stream(model="gemini/sim-fast-t30+cut@5", max_tokens=99, messages=MESSAGES) as stream,
        pytest.raises(anthropic.APIStatusError),
    ):
        stream.get_final_message()
    with openai.responses.stream(model="anthropic-messages/sim-fast-t30+cut@5", input=PROMPT) as events:
        assert [event.type for event in events][-1] == "response.failed"
        with pytest.raises(RuntimeError, match=r"response\.completed"):
            events.get_final_response()
