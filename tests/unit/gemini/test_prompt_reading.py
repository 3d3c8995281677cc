"""Gemini's requests in no dialect's words."""

from __future__ import annotations

from typing import Any, Final

import pytest

from headgate.dialects.gemini.objects import INVALID_JSON
from headgate.dialects.gemini.schema import json_schema
from headgate.errors import RequestError
from headgate.prompt import (
    Audio,
    Effort,
    File,
    Image,
    JsonFormat,
    Message,
    Prompt,
    Reasoning,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolMode,
    ToolResult,
)
from tests.unit.gemini.prompts import HI, SAID, bare, read


def test_values_that_ask_for_nothing_are_not_named() -> None:
    prompt = read(generationConfig={"frequencyPenalty": 0, "presencePenalty": 0.0, "responseLogprobs": False})
    assert (prompt.frequency_penalty, prompt.presence_penalty, prompt.unplaced) == (None, None, ())
    asked = read(generation_config={"response_logprobs": True})
    assert asked.unplaced == ("generation_config.response_logprobs",)


def test_schema_of_an_answer_that_is_no_json_is_named() -> None:
    assert read(generationConfig={"responseSchema": {"type": "STRING"}}).unplaced == (
        "generationConfig.responseSchema",
    )
    text = {"responseMimeType": "text/plain", "response_json_schema": {"type": "string"}}
    assert read(generationConfig=text).unplaced == ("generationConfig.response_json_schema",)


def part_of(part: dict[str, Any], role: str = "user") -> Any:
    (message,) = read(contents=[{"role": role, "parts": [part]}]).messages
    (found,) = message.parts
    return found


AT: Final = "contents[0].parts[0]"


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        ({"text": "a"}, Text("a", AT)),
        ({"text": "a", "thought": True, "thoughtSignature": "s"}, Reasoning("a", AT)),
        ({"inlineData": {"mimeType": "image/PNG", "data": "aGk="}}, Image(data="aGk=", media_type="image/png", at=AT)),
        ({"inline_data": {"mime_type": "audio/wav", "data": "aGk="}}, Audio("aGk=", "audio/wav", AT)),
        (
            {"inlineData": {"mimeType": "application/pdf", "data": "aGk=", "displayName": "a.pdf"}},
            File(data="aGk=", media_type="application/pdf", name="a.pdf", at=AT),
        ),
        ({"inlineData": {"mimeType": "text/csv", "data": "aGk="}}, File(data="hi", media_type="text/csv", at=AT)),
        (
            {"fileData": {"mimeType": "image/png", "fileUri": "https://x/a"}},
            Image(url="https://x/a", media_type="image/png", at=AT),
        ),
        ({"file_data": {"file_uri": "https://x/a"}}, File(url="https://x/a", at=AT)),
        ({"functionCall": {"id": "1", "name": "f", "args": {"a": [1]}}}, ToolCall("1", "f", '{"a":[1]}', AT)),
        ({"functionCall": {"name": "f"}}, ToolCall("call_0_f", "f", "{}", AT)),
        ({"functionCall": {"id": "1", "name": "f", "args": {INVALID_JSON: '{"a'}}}, ToolCall("1", "f", '{"a', AT)),
        (
            {"functionResponse": {"id": "1", "name": "f", "response": {"a": 1, "b": None}}},
            ToolResult("1", (Text('{"a":1,"b":null}', AT),), "f", at=AT),
        ),
        (
            {"functionResponse": {"name": "f", "response": {"result": "ok"}}},
            ToolResult("call_f", (Text("ok", AT),), "f", at=AT),
        ),
        (
            {"functionResponse": {"name": "f", "response": {"output": "ok"}}},
            ToolResult("call_f", (Text("ok", AT),), "f", at=AT),
        ),
        (
            {"functionResponse": {"name": "f", "response": {"error": "no"}}},
            ToolResult("call_f", (Text("no", AT),), "f", is_error=True, at=AT),
        ),
        (
            {"functionResponse": {"name": "f", "response": {"error": {"code": 5}}}},
            ToolResult("call_f", (Text('{"code":5}', AT),), "f", is_error=True, at=AT),
        ),
        (
            {"functionResponse": {"name": "f", "response": {"error": None}}},
            ToolResult("call_f", (Text('{"error":null}', AT),), "f", at=AT),
        ),
    ],
)
def test_parts_are_read(part: dict[str, Any], wanted: Any) -> None:
    assert part_of(part) == wanted


@pytest.mark.parametrize(
    ("role", "wanted"),
    [("user", Role.USER), ("function", Role.USER), (None, Role.USER), ("", Role.USER), ("model", Role.ASSISTANT)],
)
def test_roles_are_read(role: str | None, wanted: Role) -> None:
    (message,) = read(contents=[{"role": role, "parts": [{"text": "a"}]}]).messages
    assert message.role is wanted


def test_system_instruction_comes_first() -> None:
    prompt = read(system_instruction={"role": "system", "parts": [{"text": "Be brief."}]})
    assert bare(prompt)["messages"] == bare(Prompt((Message(Role.SYSTEM, (Text("Be brief."),)), SAID)))["messages"]
    assert prompt.messages[0].at == "system_instruction"
    assert prompt.unplaced == ()


def test_results_without_ids_find_their_calls_by_name_and_order() -> None:
    calls: list[Any] = [{"functionCall": {"name": name, "args": {}}} for name in ("f", "f", "g")]
    results = [{"functionResponse": {"name": name, "response": {"result": name}}} for name in ("g", "f", "f")]
    prompt = read(contents=[HI, {"role": "model", "parts": calls}, {"role": "user", "parts": results}])
    made = [part.id for part in prompt.messages[1].parts if isinstance(part, ToolCall)]
    found = [part.call_id for part in prompt.messages[2].parts if isinstance(part, ToolResult)]
    assert len(set(made)) == 3
    assert found == [made[2], made[0], made[1]]


def test_every_setting_has_its_place() -> None:
    prompt = read(
        generationConfig={
            "temperature": 0.5,
            "topP": 0.9,
            "topK": 40.0,
            "maxOutputTokens": 100,
            "stopSequences": ["a"],
            "seed": 7,
            "presencePenalty": 1,
            "frequencyPenalty": -1,
            "candidateCount": 2,
            "responseMimeType": "application/json",
            "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}},
            "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True},
        },
        toolConfig={"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        tools=[{"functionDeclarations": [{"name": "f", "description": "d", "parameters": {"type": "OBJECT"}}]}],
    )
    assert bare(prompt) == bare(
        Prompt(
            (SAID,),
            tools=(Tool("f", "d", {"type": "object"}),),
            tool_choice=ToolChoice(ToolMode.REQUIRED, ("f",)),
            output_tokens_max=100,
            temperature=0.5,
            top_p=0.9,
            top_k=40,
            seed=7,
            frequency_penalty=-1,
            presence_penalty=1,
            stop=("a",),
            choices=2,
            format=JsonFormat({"type": "object", "properties": {"a": {"type": ["string", "null"]}}}),
            effort=Effort("low", shown=True),
        )
    )
    assert prompt.unplaced == ()
    assert prompt.place("output_tokens_max") == "generationConfig.maxOutputTokens"


def test_settings_may_be_spelt_both_ways() -> None:
    camel = read(
        generationConfig={"topK": 3, "thinkingConfig": {"thinkingBudget": 0}, "responseMimeType": "text/plain"}
    )
    snake = read(generation_config={"top_k": 3, "thinking_config": {"thinking_budget": 0}})
    assert bare(camel) == bare(snake)
    assert snake.place("top_k") == "generation_config.top_k"


@pytest.mark.parametrize(
    ("body", "unplaced"),
    [
        ({"safetySettings": [{"category": "X"}]}, "safetySettings"),
        ({"cached_content": "cachedContents/1"}, "cached_content"),
        ({"labels": {"a": "b"}}, "labels"),
        ({"serviceTier": "flex"}, "serviceTier"),
        ({"tools": [{"googleSearch": {"a": 1}}]}, "tools[0].googleSearch"),
        (
            {"tools": [{"functionDeclarations": [{"name": "f", "response": {"type": "STRING"}}]}]},
            "tools[0].functionDeclarations[0].response",
        ),
        ({"toolConfig": {"retrievalConfig": {"a": 1}}}, "toolConfig.retrievalConfig"),
        ({"generationConfig": {"responseModalities": ["IMAGE"]}}, "generationConfig.responseModalities"),
        ({"generation_config": {"response_mime_type": "text/x.enum"}}, "generation_config.response_mime_type"),
        ({"contents": [{"parts": [{"text": "a", "videoMetadata": {"fps": 1}}]}]}, "contents[0].parts[0].videoMetadata"),
        (
            {"contents": [{"parts": [{"executableCode": {"code": "1"}}, {"text": "a"}]}]},
            "contents[0].parts[0].executableCode",
        ),
    ],
)
def test_what_no_other_dialect_knows_is_named(body: dict[str, Any], unplaced: str) -> None:
    assert read(**body).unplaced == (unplaced,)


def test_tool_that_the_provider_runs_is_named_though_it_has_no_settings() -> None:
    assert read(tools=[{"googleSearch": {}}, {"codeExecution": {}}]).unplaced == (
        "tools[0].googleSearch",
        "tools[1].codeExecution",
    )


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"contents": [{"role": "assistant", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"parts": [{"text": 7}]}]}, "contents[0].parts[0].text"),
        (
            {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png"}}]}]},
            "contents[0].parts[0].inlineData.data",
        ),
        (
            {"contents": [{"parts": [{"inline_data": {"mime_type": "text/plain", "data": "%"}}]}]},
            "contents[0].parts[0].inline_data.data",
        ),
        ({"contents": [{"parts": [{"functionCall": {"args": {}}}]}]}, "contents[0].parts[0].functionCall.name"),
        (
            {"contents": [{"parts": [{"functionCall": {"name": "f", "args": []}}]}]},
            "contents[0].parts[0].functionCall.args",
        ),
        (
            {"contents": [{"parts": [{"functionResponse": {"response": {}}}]}]},
            "contents[0].parts[0].functionResponse.name",
        ),
        ({"tools": [{"functionDeclarations": [{"description": "d"}]}]}, "tools[0].functionDeclarations[0].name"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "MAYBE"}}}, "toolConfig.functionCallingConfig.mode"),
        ({"generation_config": {"top_k": 1.5}}, "generation_config.top_k"),
        ({"generationConfig": {"stopSequences": "a"}}, "generationConfig.stopSequences"),
        (
            {"generationConfig": {"thinkingConfig": {"includeThoughts": 1}}},
            "generationConfig.thinkingConfig.includeThoughts",
        ),
    ],
)
def test_field_of_the_wrong_type_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as refused:
        read(**body)
    assert (refused.value.code, refused.value.param) == ("invalid_request", param)


@pytest.mark.parametrize("mode", ["AUTO", "auto", "VALIDATED", "MODE_UNSPECIFIED", None])
def test_modes_that_leave_it_to_the_model(mode: str | None) -> None:
    assert read(toolConfig={"functionCallingConfig": {"mode": mode}}).tool_choice == ToolChoice(ToolMode.AUTO)


def test_schemas_of_gemini_become_json_schema() -> None:
    own = {
        "type": "OBJECT",
        "property_ordering": ["a"],
        "properties": {
            "type": {"type": "STRING", "enum": ["x"], "nullable": True, "maxLength": "9"},
            "a": {"type": "ARRAY", "items": {"any_of": [{"type": "INTEGER"}, {"ref": "#/defs/N"}]}, "min_items": 1},
            "b": {"anyOf": [{"type": "NUMBER"}], "nullable": True, "example": 3},
            "c": {"type": "TYPE_UNSPECIFIED", "nullable": False, "additionalProperties": False},
        },
        "defs": {"N": {"type": "BOOLEAN"}},
        "required": ["a"],
    }
    assert json_schema(own) == {
        "type": "object",
        "propertyOrdering": ["a"],
        "properties": {
            "type": {"type": ["string", "null"], "enum": ["x", None], "maxLength": 9},
            "a": {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"$ref": "#/$defs/N"}]}, "minItems": 1},
            "b": {"anyOf": [{"type": "number"}, {"type": "null"}], "examples": [3]},
            "c": {"additionalProperties": False},
        },
        "$defs": {"N": {"type": "boolean"}},
        "required": ["a"],
    }
