"""Requests for providers that want Chat Completions otherwise than OpenAI: as their traits say, and nothing lost unseen."""

from __future__ import annotations

import json
from typing import Any, Final, get_args

import pytest

from headgate.dialects.openai_chat.prompt_write import write_prompt
from headgate.dialects.openai_chat.request import read_request, write_request
from headgate.prompt import (
    Effort,
    JsonFormat,
    Message,
    Prompt,
    Reasoning,
    Refusal,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
)
from headgate.traits import TRAITS, Lackable, Traits, like_of

HI: Final = Message(Role.USER, (Text("Hi"),))
MISTRAL, DEEPSEEK, MOONSHOT, AZURE = (TRAITS[name] for name in ("mistral", "deepseek", "moonshot", "azure"))
SENDS: Final = Traits(reasoning="send")


def write(prompt: Prompt, traits: Traits, *, model: str = "m", stream: bool = False) -> tuple[dict[str, Any], Any]:
    written = write_prompt(prompt, model=model, stream=stream, traits=traits)
    return json.loads(written.request.body), written.unsupported


def messages(traits: Traits, *given: Message) -> list[dict[str, Any]]:
    body, unsupported = write(Prompt(given), traits)
    assert unsupported == ()
    found: list[dict[str, Any]] = body["messages"]
    return found


def same(traits: Traits, *, stream: bool = True, **fields: Any) -> dict[str, Any]:
    """What a client of the dialect itself sends, as the provider gets it."""
    body = {"model": "asked", "messages": [{"role": "user", "content": "Hi"}], **fields}
    request = read_request(json.dumps(body).encode())
    found: dict[str, Any] = json.loads(write_request(request, model="m", stream=stream, traits=traits).body)
    return found


def assistant(*parts: Any) -> Message:
    return Message(Role.ASSISTANT, parts)


# stream_options


def test_stream_options_are_not_sent_to_a_provider_that_refuses_them() -> None:
    assert "stream_options" in write(Prompt((HI,)), DEEPSEEK, stream=True)[0]
    assert write(Prompt((HI,)), MISTRAL, stream=True)[0] == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
    }


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (None, None),
        ({}, None),
        ({"include_usage": True}, None),
        ({"include_usage": False, "stream_tool_calls": True}, {"stream_tool_calls": True}),
    ],
)
def test_client_of_the_same_dialect_that_asks_for_usage_is_served_without_asking_for_it(
    options: dict[str, Any] | None, sent: dict[str, Any] | None
) -> None:
    assert same(MISTRAL, stream_options=options).get("stream_options") == sent
    assert same(TRAITS["openai"], stream_options=options)["stream_options"] == {
        **(options or {}),
        "include_usage": True,
    }
    assert "stream_options" not in same(MISTRAL, stream=False, stream_options=options)


# fields


def test_seed_has_the_providers_name() -> None:
    assert write(Prompt((HI,), seed=7), MISTRAL)[0]["random_seed"] == 7
    assert "seed" not in write(Prompt((HI,), seed=7), MISTRAL)[0]
    assert write(Prompt((HI,), seed=7), DEEPSEEK)[0]["seed"] == 7


@pytest.mark.parametrize(
    ("field", "prompt", "place"),
    [
        ("user", Prompt((HI,), user="u", places={"user": "metadata.user_id"}), "metadata.user_id"),
        ("seed", Prompt((HI,), seed=1, places={"seed": "generationConfig.seed"}), "generationConfig.seed"),
        ("n", Prompt((HI,), choices=2, places={"choices": "candidateCount"}), "candidateCount"),
        ("stop", Prompt((HI,), stop=("x",), places={"stop": "stop_sequences"}), "stop_sequences"),
        ("response_format", Prompt((HI,), format=JsonFormat(), places={"format": "text.format"}), "text.format"),
        (
            "reasoning_effort",
            Prompt((HI,), effort=Effort("low"), places={"effort": "reasoning", "effort.level": "reasoning.effort"}),
            "reasoning.effort",
        ),
        ("metadata", Prompt((HI,), metadata={"a": "b"}), "metadata"),
        ("verbosity", Prompt((HI,), verbosity="low", places={"verbosity": "text.verbosity"}), "text.verbosity"),
        ("service_tier", Prompt((HI,), service_tier="auto"), "service_tier"),
        ("temperature", Prompt((HI,), temperature=0.0), "temperature"),
        ("top_p", Prompt((HI,), top_p=0.5), "top_p"),
        ("frequency_penalty", Prompt((HI,), frequency_penalty=0.5), "frequency_penalty"),
        ("presence_penalty", Prompt((HI,), presence_penalty=0.5), "presence_penalty"),
        (
            "parallel_tool_calls",
            Prompt((HI,), tools=(Tool("f"),), parallel_tool_calls=False),
            "parallel_tool_calls",
        ),
        (
            "allowed_tools",
            Prompt((HI,), tools=(Tool("f"), Tool("g")), tool_choice=ToolChoice(ToolMode.REQUIRED, ("f", "g"))),
            "tool_choice",
        ),
    ],
)
def test_field_that_the_provider_does_not_have_is_named_by_its_place_and_left_out(
    field: Lackable, prompt: Prompt, place: str
) -> None:
    assert write(prompt, Traits())[1] == ()
    body, unsupported = write(prompt, Traits(lacks=(field,)))
    assert (field in body, unsupported) == (False, (place,))
    assert body.get("tool_choice") in (None, "required")


def test_fields_that_can_be_lacking_are_all_of_those_that_are_written() -> None:
    tools = (Tool("f"), Tool("g"))
    choice = ToolChoice(ToolMode.AUTO, ("f", "g"))
    everything = Prompt(
        (HI, assistant(Refusal("No."))),
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=True,
        output_tokens_max=1,
        temperature=1.0,
        top_p=1.0,
        seed=1,
        frequency_penalty=1.0,
        presence_penalty=1.0,
        stop=("x",),
        choices=2,
        format=JsonFormat(),
        effort=Effort("low"),
        verbosity="low",
        user="u",
        metadata={"a": "b"},
        service_tier="auto",
    )
    body, _ = write(everything, Traits())
    always = {"model", "messages", "tools", "tool_choice", "max_tokens"}
    assert set(body) - always == set(get_args(Lackable)) - {"allowed_tools", "refusal"}


def test_refusal_is_text_for_a_provider_that_has_no_field_for_it() -> None:
    assert messages(MISTRAL, assistant(Refusal("No."))) == [{"role": "assistant", "content": "No."}]


def test_client_of_the_same_dialect_keeps_what_it_wrote() -> None:
    call = {"id": "call_longer_than_nine", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    written = {"seed": 1, "user": "u", "messages": [{"role": "assistant", "tool_calls": [call]}], "verbosity": "low"}
    sent = same(MISTRAL, stream=False, **written)
    assert sent.items() >= written.items()
    thought = [{"role": "assistant", "content": "a", "reasoning_content": "r"}]
    assert same(DEEPSEEK, messages=thought)["messages"] == thought


def test_reasoning_that_our_own_answer_named_so_is_taken_out_for_a_provider_that_refuses_it() -> None:
    thought = [{"role": "assistant", "content": "a", "reasoning_content": "r", "prefix": True}]
    assert same(MISTRAL, messages=thought)["messages"] == [{"role": "assistant", "content": "a", "prefix": True}]


# ids


def test_ids_of_calls_are_of_nine_letters_and_digits_and_the_same_in_results() -> None:
    ids = ["D681PevKs", "call_abc", "call_abd", "123456789é", "ééééééééé", "a-b-c-d-e", "1"]
    calls = [ToolCall(id, "f", "{}") for id in ids]
    said, *answered = messages(
        MISTRAL, assistant(*calls), Message(Role.USER, tuple(ToolResult(id, (Text("x"),)) for id in ids))
    )
    sent = [call["id"] for call in said["tool_calls"]]
    assert sent == [message["tool_call_id"] for message in answered]
    assert sent[0] == "D681PevKs"
    assert len(set(sent)) == len(ids)
    assert all(len(id) == 9 and id.isascii() and id.isalnum() for id in sent)


# reasoning


def test_reasoning_goes_back_with_the_calls_it_led_to() -> None:
    said, *_ = messages(
        DEEPSEEK,
        assistant(Reasoning("Ask the tool.")),
        assistant(ToolCall("a", "f", "{}")),
        Message(Role.USER, (ToolResult("a", (Text("1"),)),)),
    )
    assert said["reasoning_content"] == "Ask the tool."


@pytest.mark.parametrize(
    ("parts", "sent"),
    [
        ((Reasoning("Th"), Reasoning("ink"), Text("a")), "Think"),
        ((Reasoning("One"), Text("a"), Reasoning("Two"), ToolCall("a", "f", "{}")), "One\n\nTwo"),
        ((Reasoning(""), ToolCall("a", "f", "{}")), " "),
        ((ToolCall("a", "f", "{}"),), " "),
        ((Reasoning(""), Text("a")), None),
        ((Text("a"),), None),
    ],
)
def test_reasoning_of_a_turn_is_one_text_and_never_missing_beside_calls(parts: Any, sent: str | None) -> None:
    assert messages(SENDS, assistant(*parts))[0].get("reasoning_content") == sent
    for others in (Traits(), MISTRAL, AZURE):
        assert "reasoning_content" not in messages(others, assistant(*parts))[0]


def test_turn_of_nothing_but_reasoning_is_no_message() -> None:
    assert messages(SENDS, assistant(Reasoning("hm")), HI) == [{"role": "user", "content": "Hi"}]


# the limit


@pytest.mark.parametrize(
    ("traits", "model", "name"),
    [
        (AZURE, "prod-reasoner", "max_completion_tokens"),
        (AZURE, "gpt-5", "max_completion_tokens"),
        (MISTRAL, "gpt-5", "max_tokens"),
        (Traits(output_limit="max_tokens"), "o3", "max_tokens"),
        (Traits(), "ft:o4-mini-2025-04-16:acme::x", "max_completion_tokens"),
        (Traits(), "ft:gpt-4o:acme::x", "max_completion_tokens"),
        (Traits(), "openai/ft:o4-mini", "max_completion_tokens"),
        (Traits(), "ft:open-mistral-7b", "max_tokens"),
        (Traits(), "prod-reasoner", "max_tokens"),
    ],
)
def test_limit_is_called_as_the_provider_does_or_as_the_models_name_says(traits: Traits, model: str, name: str) -> None:
    body, _ = write(Prompt((HI,), output_tokens_max=5), traits, model=model)
    assert {key for key in body if key.startswith("max_")} == {name}


def test_metadata_of_a_deployment_is_not_sent_whatever_its_name() -> None:
    body, unsupported = write(Prompt((HI,), metadata={"a": "b"}), AZURE, model="prod-reasoner")
    assert ("metadata" in body, unsupported) == (False, ("metadata",))
    assert write(Prompt((HI,), metadata={"a": "b"}), AZURE, model="gpt-5")[1] == ("metadata",)


# calls


@pytest.mark.parametrize("allowed", [True, False])
def test_nothing_is_said_of_parallel_calls_without_tools(allowed: bool) -> None:
    body, unsupported = write(Prompt((HI,), parallel_tool_calls=allowed), Traits())
    assert ("parallel_tool_calls" in body, unsupported) == (False, ())
    body, _ = write(Prompt((HI,), tools=(Tool("f"),), parallel_tool_calls=allowed), Traits())
    assert body["parallel_tool_calls"] is allowed


# whose


@pytest.mark.parametrize(
    ("url", "like"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://api.mistral.ai/v1", "mistral"),
        ("https://API.Mistral.AI./v1", "mistral"),
        ("https://codestral.mistral.ai/v1", "mistral"),
        ("https://api.deepseek.com", "deepseek"),
        ("https://api.moonshot.cn/v1", "moonshot"),
        ("https://a.openai.azure.com/openai/v1", "azure"),
        ("https://a.cognitiveservices.azure.com/openai/v1", "azure"),
        ("https://a.services.ai.azure.com/openai/v1", "azure"),
        ("https://a.services.ai.azure.com/models", "openai"),
        ("http://gateway.example/openai/deployments/{model}", "azure"),
        ("http://api.mistral.ai.example.com/v1", "openai"),
        ("http://127.0.0.1:9100/v1", "openai"),
        ("simulator:", "openai"),
    ],
)
def test_address_says_whose_habits_a_provider_has(url: str, like: str) -> None:
    assert like_of(url) == like
    assert like in TRAITS
