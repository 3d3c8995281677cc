"""Requests of other dialects in Gemini's words, and back."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import pytest
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.dialects.gemini import GEMINI
from headgate.dialects.gemini.objects import INVALID_JSON
from headgate.dialects.gemini.request import FOREIGN_SIGNATURE
from headgate.prompt import (
    Audio,
    Effort,
    File,
    Image,
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
from headgate.request import CreateRequest
from tests.soak import share
from tests.unit.gemini.prompts import SAID, bare, write


def test_conversation_is_written_as_turns() -> None:
    body, unsupported = write(
        Prompt(
            (
                Message(Role.SYSTEM, (Text("Be brief."),)),
                Message(
                    Role.USER,
                    (Text("Look"), Image(url="https://x/a.png?b=c"), Image(data="aGk=", media_type="image/gif")),
                ),
                Message(Role.DEVELOPER, (Text("Metric."),)),
                Message(Role.ASSISTANT, (Reasoning("hm"), Text("Well"), ToolCall("1", "f", '{"a":1}'))),
                Message(Role.ASSISTANT, (ToolCall("2", "g", "oops"),)),
                Message(Role.USER, (ToolResult("1", (Text('{"b":2}'),)),)),
                Message(Role.USER, (ToolResult("2", (Text("no"),), is_error=True), Text("Go on"))),
                Message(Role.ASSISTANT, (Refusal("I won't."),)),
            )
        )
    )
    assert unsupported == ()
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "Metric."}]}
    assert body["contents"] == [
        {
            "role": "user",
            "parts": [
                {"text": "Look"},
                {"fileData": {"mimeType": "image/png", "fileUri": "https://x/a.png?b=c"}},
                {"inlineData": {"mimeType": "image/gif", "data": "aGk="}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "Well"},
                {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}, "thoughtSignature": FOREIGN_SIGNATURE},
                {"functionCall": {"id": "2", "name": "g", "args": {INVALID_JSON: "oops"}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "1", "name": "f", "response": {"b": 2}}},
                {"functionResponse": {"id": "2", "name": "g", "response": {"error": "no"}}},
                {"text": "Go on"},
            ],
        },
        {"role": "model", "parts": [{"text": "I won't."}]},
    ]


def test_older_models_sign_nothing_and_think_by_budget() -> None:
    prompt = Prompt((SAID, Message(Role.ASSISTANT, (ToolCall("1", "f", "{}"),))), effort=Effort("medium"))
    old, new = write(prompt, "models/gemini-2.5-flash")[0], write(prompt, "gemini-3.1-pro")[0]
    assert old["contents"][1]["parts"][0].keys() == {"functionCall"}
    assert old["generationConfig"] == {"thinkingConfig": {"thinkingBudget": 8192}}
    assert new["generationConfig"] == {"thinkingConfig": {"thinkingLevel": "MEDIUM"}}


@pytest.mark.parametrize(
    ("effort", "thinking", "unsupported"),
    [
        (Effort("none"), {"thinkingBudget": 0}, ()),
        (Effort("minimal"), {"thinkingLevel": "MINIMAL"}, ()),
        (Effort("xhigh", shown=False), {"thinkingLevel": "XHIGH", "includeThoughts": False}, ()),
        (Effort("high", 2048), {"thinkingBudget": 2048}, ("effort",)),
        (Effort("high", 0), {"thinkingBudget": 0}, ("effort",)),
        (Effort("high", -1), {"thinkingLevel": "HIGH"}, ()),
        (Effort(budget_tokens=-1), {"thinkingBudget": -1}, ()),
        (Effort("max"), None, ("effort",)),
    ],
)
def test_efforts_are_written(effort: Effort, thinking: Any, unsupported: tuple[str, ...]) -> None:
    body, named = write(Prompt((SAID,), effort=effort))
    assert body.get("generationConfig", {}).get("thinkingConfig") == thinking
    assert named == unsupported


def test_instructions_alone_are_what_the_user_says() -> None:
    body, _ = write(Prompt((Message(Role.SYSTEM, (Text("S"),)),)))
    assert body == {"contents": [{"role": "user", "parts": [{"text": "S"}]}]}


def test_description_of_an_answer_goes_into_its_schema() -> None:
    body, named = write(Prompt((SAID,), format=JsonFormat({"a": 1}, description="d")))
    assert (body["generationConfig"]["responseJsonSchema"], named) == ({"a": 1, "description": "d"}, ())
    body, _ = write(Prompt((SAID,), format=JsonFormat({"description": "own"}, description="d")))
    assert body["generationConfig"]["responseJsonSchema"] == {"description": "d\n\nown"}
    assert write(Prompt((SAID,), format=JsonFormat(None, description="d")))[1] == ("format",)


def test_choice_without_tools_is_none_and_one_that_requires_a_call_is_named() -> None:
    assert "toolConfig" not in write(Prompt((SAID,), tool_choice=ToolChoice(ToolMode.AUTO)))[0]
    assert write(Prompt((SAID,), tool_choice=ToolChoice(ToolMode.REQUIRED)))[1] == ("tool_choice",)


def test_what_gemini_has_no_word_for_is_named_where_the_client_wrote_it() -> None:
    prompt = Prompt(
        (
            Message(
                Role.USER,
                (Image(url="https://x/y", detail="high", at="messages[0].content[0]"),),
                "Kari",
                "messages[0]",
            ),
        ),
        parallel_tool_calls=False,
        verbosity="low",
        user="u",
        metadata={"a": "b"},
        service_tier="flex",
        places={"user": "safety_identifier"},
    )
    assert write(prompt)[1] == (
        "messages[0].name",
        "messages[0].content[0].detail",
        "verbosity",
        "safety_identifier",
        "metadata",
        "parallel_tool_calls",
        "service_tier",
    )
    quiet = Prompt((SAID,), parallel_tool_calls=True, service_tier="auto")
    assert write(quiet)[1] == ()


@pytest.mark.parametrize(
    ("choice", "strict", "wanted"),
    [
        (None, None, None),
        (None, True, {"mode": "VALIDATED"}),
        (ToolChoice(ToolMode.AUTO), None, {"mode": "AUTO"}),
        (ToolChoice(ToolMode.AUTO, ("f",)), None, {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
        (ToolChoice(ToolMode.REQUIRED), True, {"mode": "ANY"}),
        (ToolChoice(ToolMode.REQUIRED, ("f",)), None, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (ToolChoice(ToolMode.NONE, ("f",)), True, {"mode": "NONE"}),
    ],
)
def test_tool_choices_are_written(choice: ToolChoice | None, strict: bool | None, wanted: Any) -> None:
    body, _ = write(Prompt((SAID,), tools=(Tool("f", strict=strict),), tool_choice=choice))
    assert body.get("toolConfig") == (None if wanted is None else {"functionCallingConfig": wanted})


def test_official_sdk_knows_every_field_that_is_written() -> None:
    """Its types refuse unknown ones."""
    result = ToolResult("1", (Text("ok"), Image(data="aGk=", media_type="image/png")), "f")
    text = File(data="hi", media_type="text/plain", name="a.txt")
    prompt = Prompt(
        (
            Message(Role.ASSISTANT, (ToolCall("1", "f", "{}"),)),
            Message(Role.USER, (result, text, Audio("aGk=", "audio/wav"))),
        ),
        tools=(Tool("f", "d", {"type": "object"}),),
        tool_choice=ToolChoice(ToolMode.AUTO, ("f",)),
        format=JsonFormat({"type": "object"}),
        effort=Effort("low", shown=True),
        top_k=4,
    )
    body, _ = write(prompt)
    for content in body["contents"]:
        types.Content.model_validate(content)
    assert body["contents"][1]["parts"][1]["inlineData"]["data"] == base64.b64encode(b"hi").decode()
    for tool in body["tools"]:
        types.Tool.model_validate(tool)
    types.ToolConfig.model_validate(body["toolConfig"])
    types.GenerateContentConfig.model_validate(body["generationConfig"])


WORDS: Final = st.text("abcxyz", min_size=1, max_size=5)
TEXTS: Final = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
B64: Final = st.just("aGk=")
OBJECTS: Final = st.dictionaries(WORDS, st.integers(0, 9) | TEXTS, max_size=2)
USER: Final = (
    st.builds(Text, TEXTS)
    | st.builds(Image, data=B64, media_type=st.just("image/png"))
    | st.builds(Image, url=st.just("https://x/y"), media_type=st.just("image/png"))
    | st.builds(File, data=B64, media_type=st.just("application/pdf"), name=WORDS | st.just(""))
    | st.builds(File, data=TEXTS, media_type=st.just("text/plain"))
    | st.builds(Audio, B64, st.just("audio/wav"))
)
CALLS: Final = OBJECTS.map(lambda fields: json.dumps(fields, separators=(",", ":"), ensure_ascii=False))


@st.composite
def prompts(draw: st.DrawFn) -> Prompt:
    messages = [Message(Role.SYSTEM, (Text(draw(TEXTS)),))] if draw(st.booleans()) else []
    for turn in range(draw(st.integers(1, 3))):
        messages.append(Message(Role.USER, tuple(draw(st.lists(USER, min_size=1, max_size=3)))))
        ids = [f"c{turn}_{n}" for n in range(draw(st.integers(0, 2)))]
        calls = [ToolCall(id, draw(WORDS), draw(CALLS)) for id in ids]
        said = [Text(text) for text in draw(st.lists(TEXTS, max_size=2))]
        if not calls and not said:
            break
        messages.append(Message(Role.ASSISTANT, (*said, *calls)))
        if calls:
            results = [
                ToolResult(call.id, (Text(f"<{draw(TEXTS)}>"),), call.name, draw(st.booleans())) for call in calls
            ]
            messages += [Message(Role.USER, tuple(results)), Message(Role.ASSISTANT, (Text(draw(TEXTS)),))]
    maybe = st.none()
    tools = tuple(draw(st.lists(st.builds(Tool, WORDS, WORDS, maybe | OBJECTS), max_size=2)))
    return Prompt(
        tuple(messages),
        tools=tools,
        tool_choice=draw(
            maybe
            if not tools
            else maybe
            | st.builds(
                ToolChoice, st.sampled_from([ToolMode.AUTO, ToolMode.REQUIRED]), st.lists(WORDS, max_size=2).map(tuple)
            )
            | st.just(ToolChoice(ToolMode.NONE))
        ),
        output_tokens_max=draw(maybe | st.integers(1, 9)),
        temperature=draw(maybe | st.floats(0, 2)),
        top_p=draw(maybe | st.floats(0, 1)),
        top_k=draw(maybe | st.integers(1, 9)),
        seed=draw(maybe | st.integers(0, 9)),
        frequency_penalty=draw(maybe | st.floats(-2, 2).filter(bool)),
        presence_penalty=draw(maybe | st.floats(-2, 2).filter(bool)),
        stop=tuple(draw(st.lists(WORDS, max_size=2))),
        choices=draw(st.integers(1, 4)),
        format=draw(maybe | st.builds(JsonFormat, maybe | OBJECTS)),
        effort=draw(
            maybe
            | st.builds(Effort, st.sampled_from(["minimal", "low", "high", "xhigh"]), shown=maybe | st.booleans())
            | st.builds(Effort, budget_tokens=st.integers(-1, 9))
        ),
    )


@settings(max_examples=share(4_000), deadline=None)
@given(prompts())
def test_prompt_that_is_written_and_read_is_the_same(prompt: Prompt) -> None:
    body, unsupported = write(prompt)
    assert unsupported == ()
    again = GEMINI.read_prompt(CreateRequest("gemini", "m", body))
    assert again.unplaced == ()
    assert bare(again) == bare(prompt)
