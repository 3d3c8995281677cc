"""What an empty value, false or 0 asks for, field by field: it has a place, it is named, or it asks for nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headgate.dialects import client_dialects, provider_dialects
from headgate.dialects.translate import upstream_request
from headgate.errors import RequestError
from headgate.prompt import Effort, Prompt, ToolChoice, ToolMode
from headgate.request import UpstreamRequest
from tests.unit.test_leftover import asked

CHAT, RESPONSES, MESSAGES, GEMINI = "openai-chat", "openai-responses", "anthropic-messages", "gemini"
DIALECTS = client_dialects()


def prompt(dialect: str, fields: dict[str, Any]) -> Prompt:
    return DIALECTS[dialect].read_prompt(asked(dialect, **fields))


@pytest.mark.parametrize(
    ("dialect", "fields", "unplaced"),
    [
        (CHAT, {"web_search_options": {}}, "web_search_options"),
        (CHAT, {"search_parameters": {}}, "search_parameters"),
        (CHAT, {"tools": [{"type": "web_search", "web_search": {}}]}, "tools[0]"),
        (CHAT, {"min_p": 0}, "min_p"),
        (CHAT, {"enable_thinking": False}, "enable_thinking"),
        (CHAT, {"thinking": {"type": "disabled"}}, "thinking"),
        (CHAT, {"reasoning": {"enabled": False}}, "reasoning"),
        (RESPONSES, {"max_tool_calls": 0}, "max_tool_calls"),
        (RESPONSES, {"tools": [{"type": "web_search"}]}, "tools[0].type"),
        (RESPONSES, {"input": [{"role": "user", "content": "a"}, {"type": "compaction_trigger"}]}, "input[1]"),
        (MESSAGES, {"max_tokens": 0}, "max_tokens"),
        (MESSAGES, {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0]"),
        (
            MESSAGES,
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "document",
                                "citations": {},
                                "source": {"type": "text", "media_type": "text/plain", "data": "a"},
                            }
                        ],
                    }
                ]
            },
            "messages[0].content[0].citations",
        ),
        (GEMINI, {"tools": [{"googleSearch": {}}]}, "tools[0].googleSearch"),
        (GEMINI, {"tools": [{"google_search": {}}]}, "tools[0].google_search"),
        (GEMINI, {"tools": [{"urlContext": {}}]}, "tools[0].urlContext"),
        (GEMINI, {"tools": [{"codeExecution": {}}]}, "tools[0].codeExecution"),
        (GEMINI, {"tools": [{"googleMaps": {}, "functionDeclarations": []}]}, "tools[0].googleMaps"),
        (GEMINI, {"generationConfig": {"logprobs": 0}}, "generationConfig.logprobs"),
    ],
)
def test_what_an_empty_value_switches_on_or_off_is_named(dialect: str, fields: dict[str, Any], unplaced: str) -> None:
    assert prompt(dialect, fields).unplaced == (unplaced,)


@pytest.mark.parametrize(
    ("dialect", "fields"),
    [
        (CHAT, {"tools": [], "functions": [], "stop": [], "metadata": {}, "logit_bias": {}, "modalities": []}),
        (CHAT, {"store": False, "logprobs": False, "top_logprobs": 0, "user": "", "service_tier": ""}),
        (CHAT, {"reasoning": {}, "plugins": [], "transforms": [], "stream_options": {}, "web_search_options": None}),
        (RESPONSES, {"reasoning": {}, "text": {}, "tools": [], "include": [], "metadata": {}, "instructions": ""}),
        (RESPONSES, {"store": False, "background": False, "top_logprobs": 0, "context_management": []}),
        (MESSAGES, {"output_config": {}, "tools": [], "system": [], "stop_sequences": [], "metadata": {}}),
        (MESSAGES, {"mcp_servers": [], "container": {}, "context_management": {}, "fallbacks": []}),
        (GEMINI, {"tools": [{}], "toolConfig": {}, "safetySettings": [], "labels": {}, "cachedContent": ""}),
        (GEMINI, {"generationConfig": {"thinkingConfig": {}, "stopSequences": [], "responseModalities": []}}),
        (GEMINI, {"generationConfig": {"speechConfig": {}, "imageConfig": {}, "responseLogprobs": False}}),
    ],
)
def test_what_asks_for_nothing_is_as_if_it_were_not_there(dialect: str, fields: dict[str, Any]) -> None:
    plain, given = prompt(dialect, {}), prompt(dialect, fields)
    assert given.unplaced == ()
    assert (given.tools, given.effort, given.format, given.stop, given.tool_choice) == ((), None, None, (), None)
    assert given.messages == plain.messages


@pytest.mark.parametrize(
    ("dialect", "fields", "name", "wanted"),
    [
        (CHAT, {"seed": 0}, "seed", 0),
        (CHAT, {"temperature": 0}, "temperature", 0),
        (CHAT, {"top_k": 0}, "top_k", 0),
        (CHAT, {"parallel_tool_calls": False}, "parallel_tool_calls", False),
        (RESPONSES, {"top_p": 0}, "top_p", 0),
        (RESPONSES, {"parallel_tool_calls": False}, "parallel_tool_calls", False),
        (MESSAGES, {"thinking": {"type": "disabled"}}, "effort", Effort(budget_tokens=0)),
        (MESSAGES, {"top_k": 0}, "top_k", 0),
        (
            MESSAGES,
            {"tool_choice": {"type": "auto", "disable_parallel_tool_use": False}},
            "parallel_tool_calls",
            True,
        ),
        (GEMINI, {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}, "effort", Effort(budget_tokens=0)),
        (GEMINI, {"generationConfig": {"thinkingConfig": {"includeThoughts": False}}}, "effort", Effort(shown=False)),
        (GEMINI, {"generationConfig": {"seed": 0}}, "seed", 0),
        (GEMINI, {"toolConfig": {"functionCallingConfig": {}}}, "tool_choice", ToolChoice(ToolMode.AUTO)),
    ],
)
def test_zero_and_false_have_their_place(dialect: str, fields: dict[str, Any], name: str, wanted: Any) -> None:
    given = prompt(dialect, fields)
    assert (getattr(given, name), given.unplaced) == (wanted, ())


@pytest.mark.parametrize("provider", [RESPONSES, MESSAGES, GEMINI])
@pytest.mark.parametrize("field", ["web_search_options", "search_parameters"])
def test_search_that_the_provider_has_no_word_for_is_refused_or_dropped_by_name(provider: str, field: str) -> None:
    def sent_to(provider: str, *, may_drop: bool) -> UpstreamRequest:
        to = provider_dialects()[provider]
        request = asked(CHAT, **{field: {}})
        return upstream_request(
            request, DIALECTS[CHAT], to, provider_name="p", model="m", stream=False, may_drop=may_drop
        )

    with pytest.raises(RequestError) as refused:
        sent_to(provider, may_drop=False)
    assert refused.value.param == field
    sent = sent_to(provider, may_drop=True)
    assert (sent.dropped, field in json.loads(sent.body)) == ((field,), False)
